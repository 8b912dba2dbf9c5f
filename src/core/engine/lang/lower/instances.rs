//! Expands `count` and `for_each` into instances; counts and keys must be known.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::address::{Address, Key};
use crate::engine::fast_map::FastMap;
use crate::engine::lang::cel::lookup::word;
use crate::engine::lang::model::{Each, EachValue, InstanceShape, Spread, Stack, Term};
use crate::engine::lang::resolve::term;
use crate::engine::lang::view::{ScopeView, Texts};
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span, stops};
use crate::engine::value::Value;

/// The most instances of one resource. A guess: two and a half times what is benchmarked (100,000), and a `count` that slipped
/// by some digits is refused before it fills the memory.
const INSTANCES_MAX: u32 = 250_000;

/// How a resource says that it is repeated.
#[derive(Debug)]
pub enum Repeat {
    Count(Term),
    ForEach(Term),
}

/// The instances of each resource that is repeated.
pub type Entries = FastMap<String, Vec<(Key, Option<Each>)>>;

/// Decides the instances of every resource that is repeated, and puts their spreads into the stack.
pub fn expand(
    stack: &mut Stack,
    repeats: &FastMap<String, Repeat>,
    catalog: &Catalog,
    texts: &dyn Texts,
    out: &mut Vec<Diagnostic>,
) -> Entries {
    let mut entries = Entries::default();
    for name in repeats.keys() {
        // A resource over another one needs that one's instances first.
        let mut chain = vec![name.as_str()];
        let mut seen = BTreeSet::from([name.as_str()]);
        while let Some(over) =
            chain.last().and_then(|it| repeats.get(*it)).and_then(|it| over(it, stack))
        {
            let Some((over, _)) = repeats.get_key_value(&over) else { break };
            if entries.contains_key(over.as_str()) {
                break;
            }
            if !seen.insert(over.as_str()) {
                let span = repeats[over.as_str()].span();
                out.push(
                    Diagnostic::error(
                        DiagnosticCode::Cycle,
                        "Resources repeat over each other in a cycle",
                    )
                    .at(span, format!("`for_each` of `{over}` refers back to itself")),
                );
                for name in chain.drain(..) {
                    entries.insert(name.to_owned(), Vec::new());
                    stack.spreads.insert(name.to_owned(), Spread::Keys(Arc::from([])));
                }
                break;
            }
            chain.push(over.as_str());
        }
        while let Some(name) = chain.pop() {
            if entries.contains_key(name) {
                continue;
            }
            let before = out.len();
            let mut found =
                Expander { stack, catalog, texts, entries: &entries, out }.entries(&repeats[name]);
            if stops(&out[before..]) {
                // Not known how often: as if it were there once under an unknown key, so that nothing else is blamed.
                found.0 = Spread::Keys(Arc::from([]));
                found.1.clear();
            }
            stack.spreads.insert(name.to_owned(), found.0);
            entries.insert(name.to_owned(), found.1);
        }
    }
    entries
}

impl Repeat {
    pub fn span(&self) -> Span {
        let (Self::Count(it) | Self::ForEach(it)) = self;
        it.span
    }
}

/// The resource that `for_each` names.
pub fn over(repeat: &Repeat, stack: &Stack) -> Option<String> {
    let Repeat::ForEach(Term { shape: InstanceShape::Expression(it), .. }) = repeat else {
        return None;
    };
    let path = it.as_path().filter(|it| it.steps.is_empty())?;
    stack.resources.contains_key(&*path.root).then(|| path.root.to_string())
}

type Expanded = (Spread, Vec<(Key, Option<Each>)>);

struct Expander<'a> {
    stack: &'a Stack,
    catalog: &'a Catalog,
    texts: &'a dyn Texts,
    entries: &'a Entries,
    out: &'a mut Vec<Diagnostic>,
}

impl Expander<'_> {
    fn entries(&mut self, repeat: &Repeat) -> Expanded {
        match repeat {
            Repeat::Count(it) => {
                let count = self.count(it);
                let all = (0..count).map(|it| (Key::Index(it), Some(Each::Index(it)))).collect();
                (Spread::Count(count), all)
            }
            Repeat::ForEach(it) => match over(repeat, self.stack) {
                Some(name) => self.over(&name, it.span),
                None => self.for_each(it),
            },
        }
    }

    fn known(&mut self, it: &Term, what: &str) -> Option<Value> {
        let before = self.out.len();
        let view = ScopeView {
            stack: self.stack,
            catalog: self.catalog,
            scope: None,
            instance: None,
            own: None,
            texts: self.texts,
        };
        let value = term(it, &view, self.out);
        if stops(&self.out[before..]) {
            return None;
        }
        if matches!(it.shape, InstanceShape::Literal(Value::Open)) {
            // An expression that cannot be read, and was told.
            return None;
        }
        if value.has_secret() || value.has_open() {
            let why = if value.has_secret() { "sensitive" } else { "known only after apply" };
            self.out.push(
                Diagnostic::error(DiagnosticCode::NotKnown, format!("`{what}` must be known"))
                    .at(it.span, format!("this is {why}"))
                    .help("it becomes part of addresses; use variables that are not sensitive"),
            );
            return None;
        }
        Some(value)
    }

    fn count(&mut self, it: &Term) -> u32 {
        match self.known(it, "count") {
            None => 0,
            Some(Value::Int(number)) if (0..=i64::from(INSTANCES_MAX)).contains(&number) => {
                u32::try_from(number).unwrap_or(0)
            }
            Some(Value::Int(number)) => {
                self.out.push(
                    Diagnostic::error(DiagnosticCode::OutOfRange, "Out of range")
                        .at(it.span, format!("`count` cannot be {number}"))
                        .help(format!("from 0 to {INSTANCES_MAX}")),
                );
                0
            }
            Some(other) => {
                let wrong = Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                    .at(it.span, format!("`count` takes an integer, but this is {}", word(&other)));
                let is_literal = matches!(it.shape, InstanceShape::Literal(_));
                self.out.push(match &other {
                    Value::Text(text) if text.parse::<u32>().is_err() => {
                        wrong.help("write a number")
                    }
                    Value::Text(_) if is_literal => wrong.help("remove the quotes"),
                    Value::Text(_) => wrong.help("convert it: int(…)"),
                    Value::List(_) | Value::Map(_) => {
                        wrong.help("use `for_each`, or write the number of elements: size(…)")
                    }
                    _ => wrong.help("write a number"),
                });
                0
            }
        }
    }

    /// One for each instance of another resource, under the same keys.
    fn over(&mut self, name: &str, span: Span) -> Expanded {
        let spread = self.stack.spreads.get(name).cloned().unwrap_or(Spread::One);
        if spread == Spread::One {
            self.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "This resource is not repeated")
                    .at(span, format!("`{name}` has neither `count` nor `for_each`"))
                    .help(format!("remove `for_each`, and use '${{{name}}}' where it is needed")),
            );
        }
        let all = self.entries.get(name).into_iter().flatten();
        let entries = all.map(|(key, _)| {
            let text = match key {
                Key::One => String::new(),
                Key::Index(index) => index.to_string(),
                Key::Name(name) => name.clone(),
            };
            let value = EachValue::Instance(Address { name: name.to_owned(), key: key.clone() });
            (key.clone(), Some(Each::Entry { key: text, value }))
        });
        (spread, entries.collect())
    }

    fn for_each(&mut self, it: &Term) -> Expanded {
        let mut entries: FastMap<String, Value> = FastMap::default();
        match self.known(it, "for_each") {
            None => {}
            Some(Value::Map(map)) => entries.extend(map),
            Some(Value::List(items)) => {
                for item in items {
                    let Value::Text(key) = &item else {
                        self.out.push(
                            Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                                .at(
                                    it.span,
                                    format!(
                                        "a list for `for_each` contains text, but this is {}",
                                        word(&item)
                                    ),
                                )
                                .help("use a map to give each a value: { key: value }"),
                        );
                        continue;
                    };
                    if entries.insert(key.clone(), item.clone()).is_some() {
                        self.out.push(
                            Diagnostic::error(DiagnosticCode::DuplicateKey, "Duplicate key")
                                .at(it.span, format!("`{key}` appears in the list twice")),
                        );
                    }
                }
            }
            Some(other) => self.out.push(Diagnostic::error(DiagnosticCode::WrongType, "Wrong type").at(
                it.span,
                format!(
                    "`for_each` takes a list of text, a map, or a repeated resource, but this is {}",
                    word(&other)
                ),
            )),
        }
        if entries.contains_key("") {
            self.out.push(
                Diagnostic::error(DiagnosticCode::BadKey, "A key cannot be empty")
                    .at(it.span, "one of the keys is ''"),
            );
        }
        let keys: Vec<String> = entries.keys().cloned().collect();
        let all = entries.into_iter().map(|(key, value)| {
            let each = Each::Entry { key: key.clone(), value: EachValue::Value(value) };
            (Key::Name(key), Some(each))
        });
        (Spread::Keys(keys.into()), all.collect())
    }
}
