//! The rules of kinds over the attributes of one object: each compiled once, and asked once for the same values.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::engine::lang::cel::code::{Code, Slice};
use crate::engine::lang::cel::compile::compile_rule;
use crate::engine::lang::cel::evaluate::evaluate;
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep, cut, follow};
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::model::Instance;
use crate::engine::lang::resolve::Resolved;
use crate::engine::lang::term::expressions;
use crate::engine::lang::validate::attribute_reads::Around;
use crate::engine::schema::{Catalog, Kind, KindRule, Type};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Severity, Span};
use crate::engine::value::{Attributes, Value};

/// How many checked values of one attribute are remembered, to check equal ones once. An attribute such as a region has few
/// values, and one such as a name differs for each resource and would only fill the memory.
const REMEMBERED_MAX: usize = 32;

/// The name under which a rule asks for what `ready` tries.
pub const READY: &str = "ready";

/// The rules of every kind that was met, with what they answered.
#[derive(Default)]
pub struct KindRules<'a>(BTreeMap<&'a str, Vec<Compiled<'a>>>);

struct Compiled<'a> {
    rule: &'a KindRule,
    code: Code,
    /// The names of what attributes lead to.
    far: Vec<&'a str>,
    answers: Answers,
}

/// What a rule answered so far. It reads one attribute after the other, and what it reads next depends on nothing but
/// the values before.
enum Answers {
    Unknown,
    Holds(bool),
    Reads { name: String, seen: Vec<(Value, Answers)> },
}

impl<'a> KindRules<'a> {
    fn compiled(kind: &'a Kind) -> Vec<Compiled<'a>> {
        let compile = |rule: &'a KindRule| {
            let code = compile_rule(&rule.check).ok()?;
            Some(Compiled { rule, code, far: far(&rule.check), answers: Answers::Unknown })
        };
        kind.rules.iter().filter_map(compile).collect()
    }

    fn of(&mut self, kind: &'a Kind) -> &mut Vec<Compiled<'a>> {
        self.0.entry(&kind.kind).or_insert_with(|| Self::compiled(kind))
    }

    /// The rules of a kind that these attributes break.
    pub fn broken(&mut self, kind: &'a Kind, attributes: &Attributes) -> Vec<&'a KindRule> {
        let beyond = Attributes::new();
        let object = RuledObject { kind, attributes, beyond: &beyond };
        let compiled = self.of(kind).iter_mut();
        compiled.filter_map(|it| (!it.holds(&object)).then_some(it.rule)).collect()
    }

    /// Tells every rule of its kind that an instance breaks.
    pub fn check(
        &mut self,
        kind: &'a Kind,
        instance: &Instance,
        resolved: &Resolved,
        around: Around<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        let compiled = self.of(kind);
        let mut beyond = Attributes::from([(READY.to_owned(), tried(instance))]);
        let mut whose = BTreeMap::new();
        let names = compiled.iter().flat_map(|it| &it.far);
        for name in names.filter(|it| !resolved.attributes.contains_key(**it)) {
            if let Some((of, value)) = around.far(instance, name) {
                whose.insert((*name).to_owned(), of);
                beyond.insert((*name).to_owned(), value);
            }
        }
        let object = RuledObject { kind, attributes: &resolved.attributes, beyond: &beyond };
        for it in compiled {
            if !it.holds(&object) {
                let rule = it.rule;
                // What is wrong within a value may be all that the rule misses in it.
                let value = instance.resource.attributes.get(&*rule.at).map(|it| it.term.span);
                if value.is_some_and(|value| is_wrong_within(value, out)) {
                    continue;
                }
                let ready = || instance.resource.ready.as_ref().filter(|_| rule.at == READY);
                let at = resolved.span(&rule.at).or_else(|| ready().map(|it| it.span));
                let mut wrong =
                    Diagnostic::error(DiagnosticCode::BrokenRule, "Conflicting attributes")
                        .at(at.unwrap_or(instance.resource.span), rule.message.clone());
                for name in &it.far {
                    let last = name.rsplit('.').next().unwrap_or_default();
                    let Some(of) = whose.get(*name).map(|it| &**it) else { continue };
                    let given = of.resource.attributes.get(last).map(|it| it.key);
                    let label = format!("`{last}` of `{}`", of.address);
                    wrong = wrong.at(given.unwrap_or(of.resource.span), label);
                }
                out.push(match &rule.help {
                    Some(help) => wrong.help(help.clone()),
                    None => wrong,
                });
            }
        }
    }
}

/// The names with which a rule asks for attributes of what its own lead to, and for those that references carry.
pub fn far(check: &str) -> Vec<&str> {
    let names = check.split("self['").skip(1).filter_map(|it| Some(it.split_once('\'')?.0));
    let mut names: Vec<&str> = names.filter(|it| it.contains('.')).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The kinds whose objects rules ask for over others: nobody who names them may be left when they are asked for.
pub fn far_kinds<'a>(kinds: impl Iterator<Item = &'a Kind>, catalog: &'a Catalog) -> Vec<&'a str> {
    let mut found = Vec::new();
    for kind in kinds {
        for name in kind.rules.iter().flat_map(|it| far(&it.check)) {
            let mut at = kind;
            for (hop, step) in name.split('.').enumerate() {
                let leads = at.attribute(step).and_then(|it| {
                    it.to.as_ref().or_else(|| it.leads_to.as_ref().map(|it| &it.kind))
                });
                let Some(next) = leads.and_then(|it| catalog.get(it)) else { break };
                if hop > 0 {
                    found.push(next.kind.as_str());
                }
                at = next;
            }
        }
    }
    found
}

/// What of the object itself its `ready` condition tries; null where it has none.
fn tried(instance: &Instance) -> Value {
    let Some(target) = instance.resource.ready.as_ref().map(|it| it.target()) else {
        return Value::Null;
    };
    let mut all = Vec::new();
    if let Some(target) = target {
        expressions(target, &mut all);
    }
    let own = all.iter().flat_map(|it| it.paths()).filter(|it| &*it.root == "self");
    let names = own.filter_map(|it| match it.steps.first() {
        Some(Segment::Name(name)) => Some(Value::text(&**name)),
        _ => None,
    });
    Value::List(names.collect())
}

/// Whether a mistake was found in this part of a source already.
fn is_wrong_within(value: Span, out: &[Diagnostic]) -> bool {
    let within =
        |it: Span| it.source == value.source && it.start >= value.start && it.end <= value.end;
    out.iter().any(|it| {
        it.severity == Severity::Error && it.labels.first().is_some_and(|it| within(it.span))
    })
}

impl Compiled<'_> {
    fn holds(&mut self, object: &RuledObject<'_>) -> bool {
        if let Some(known) = self.answers.of(object) {
            return known;
        }
        let reader = RuleReader { object, read: RefCell::default(), is_whole: Cell::new(false) };
        // Only a plain false breaks a rule; what is not known yet may still turn out well.
        let answer = evaluate(&self.code, &self.rule.check, &reader);
        let holds = !matches!(answer.map(|it| it.exposed()), Ok(Value::Bool(false)));
        if !reader.is_whole.get() {
            self.answers.remember(reader.read.into_inner(), object, holds);
        }
        holds
    }
}

impl Answers {
    fn of(&self, object: &RuledObject<'_>) -> Option<bool> {
        let mut at = self;
        loop {
            match at {
                Self::Unknown => return None,
                Self::Holds(holds) => return Some(*holds),
                Self::Reads { name, seen } => {
                    let value = object.value(name);
                    at = &seen.iter().find(|(it, _)| it == value)?.1;
                }
            }
        }
    }

    /// `read` are the names in the order in which they were read, each once.
    fn remember(&mut self, read: Vec<String>, object: &RuledObject<'_>, holds: bool) {
        let mut at = self;
        for name in read {
            let value = object.value(&name);
            if matches!(at, Self::Unknown) {
                *at = Self::Reads { name, seen: Vec::new() };
            }
            let Self::Reads { seen, .. } = at else { return };
            let position = match seen.iter().position(|(it, _)| it == value) {
                Some(position) => position,
                None if seen.len() >= REMEMBERED_MAX => return,
                None => {
                    seen.push((value.clone(), Self::Unknown));
                    seen.len() - 1
                }
            };
            at = &mut seen[position].1;
        }
        *at = Self::Holds(holds);
    }
}

/// The attributes of one object, as a rule sees them.
struct RuledObject<'a> {
    kind: &'a Kind,
    attributes: &'a Attributes,
    /// What is not its own: [`READY`], and what its attributes lead to.
    beyond: &'a Attributes,
}

impl RuledObject<'_> {
    fn names(&self, name: &str) -> bool {
        self.kind.attribute(name).is_some_and(|it| it.kind == Type::Reference)
    }

    fn value(&self, name: &str) -> &Value {
        static OPEN: Value = Value::Open;
        static NULL: Value = Value::Null;
        static NAMED: LazyLock<Value> = LazyLock::new(|| Value::text("named"));
        match self.attributes.get(name) {
            // Which object a reference names may be open; that it names one is not.
            Some(Value::Open) if self.names(name) => return &NAMED,
            // What a plan keeps of a secret says no more than that there is one.
            Some(Value::Fingerprint(_)) => return &OPEN,
            Some(value) => return value,
            None => {}
        }
        if let Some(value) = self.beyond.get(name) {
            return value;
        }
        let attribute = self.kind.attribute(name);
        let is_open =
            attribute.is_some_and(|it| it.computed || it.optional_computed) || name.contains('.');
        if is_open { &OPEN } else { &NULL }
    }
}

/// Notes which attributes are read.
struct RuleReader<'a> {
    object: &'a RuledObject<'a>,
    read: RefCell<Vec<String>>,
    /// All of them were read at once.
    is_whole: Cell<bool>,
}

impl RuleReader<'_> {
    fn value(&self, name: &str) -> &Value {
        let mut read = self.read.borrow_mut();
        if !read.iter().any(|it| it == name) {
            read.push(name.to_owned());
        }
        self.object.value(name)
    }
}

impl NameLookup for RuleReader<'_> {
    fn look(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        match (root, steps.split_first()) {
            ("self", Some((PathStep::Name(name), rest))) => {
                follow(self.value(name), rest).map(|it| cut(it, slice))
            }
            ("self", _) => {
                self.is_whole.set(true);
                Ok(cut(Value::Map(self.object.attributes.clone()), slice))
            }
            _ => follow(self.value(root), steps).map(|it| cut(it, slice)),
        }
    }

    /// Rules are ours and run over what the kind bounds.
    fn is_bounded(&self) -> bool {
        false
    }

    fn file(&self, _: &str) -> Result<Arc<str>, LookupError> {
        Err(LookupError::new(DiagnosticCode::BadRule, "a rule reads no files"))
    }

    fn template(&self, _: &str, _: &Attributes) -> Result<String, LookupError> {
        Err(LookupError::new(DiagnosticCode::BadRule, "a rule reads no files"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Compiled, KindRules, REMEMBERED_MAX, RuledObject};
    use crate::engine::schema::Kind;
    use crate::engine::value::{Attributes, Value};
    use crate::kinds::builtin;

    fn holds(compiled: &mut [Compiled<'_>], kind: &Kind, attributes: &Attributes) -> Vec<bool> {
        let beyond = Attributes::new();
        let object = RuledObject { kind, attributes, beyond: &beyond };
        compiled.iter_mut().map(|it| it.holds(&object)).collect()
    }

    fn attributes(given: &[(&str, Value)]) -> Attributes {
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn kind_rules_find_the_one_bad_name_after_many_remembered() {
        let catalog = builtin();
        let kind = &catalog.kinds["linode.domain_record"];
        let mut compiled = KindRules::compiled(kind);
        let mut all = |name: &str| {
            let mut given = attributes(&[("type", "CNAME".into()), ("name", name.into())]);
            for number in ["port", "weight", "priority"] {
                given.insert(number.into(), Value::Int(0));
            }
            holds(&mut compiled, kind, &given).into_iter().all(|it| it)
        };
        for at in 0..2 * REMEMBERED_MAX {
            assert!(all(&format!("n{at}")));
        }
        assert!(!all(""));
        assert!(all("n1"));
    }

    proptest! {
        /// Whatever was asked before, in whatever order.
        #[test]
        fn kind_rules_from_memory_agree_with_fresh_ones(
            objects in vec((0..4_usize, 0..3_usize, 0..3_usize, 0..3_i64), 1..40),
        ) {
            let catalog = builtin();
            let kind = &catalog.kinds["linode.domain_record"];
            let mut compiled = KindRules::compiled(kind);
            for (sort, name, service, port) in objects {
                let mut given = attributes(&[
                    ("type", ["SRV", "CNAME", "CAA", "A"][sort].into()),
                    ("name", [Value::text(""), Value::text("a"), Value::Open][name].clone()),
                ]);
                if service > 0 {
                    let service = [Value::Null, Value::text("s"), Value::Open][service].clone();
                    given.insert("service".into(), service.clone());
                    given.insert("protocol".into(), Value::text("tcp"));
                    given.insert("tag".into(), service);
                }
                given.insert("port".into(), Value::Int(port));
                let fresh = holds(&mut KindRules::compiled(kind), kind, &given);
                prop_assert_eq!(holds(&mut compiled, kind, &given), fresh, "{:?}", given);
            }
        }
    }
}
