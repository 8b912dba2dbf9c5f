//! Variables: their types, and which of the places that may set one wins.

use std::collections::BTreeMap;

use crate::engine::address::is_name;
use crate::engine::lang::cel::lookup::word;
use crate::engine::lang::model::Variable;
use crate::engine::lang::yaml::node::{Map, Node};
use crate::engine::lang::yaml::reader::parse;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span, nearest};
use crate::engine::value::{Secret, Value};

/// A value from outside the layers.
#[derive(Debug, Clone)]
pub struct GivenVariable {
    pub name: String,
    /// `LIFEBOAT_VAR_domain`, `--var`, the name of a file.
    pub from: String,
    pub value: GivenValue,
}

impl GivenVariable {
    /// Said on the command line of this very run, rather than by its surroundings.
    pub fn is_said(&self) -> bool {
        self.from == SAID
    }
}

/// How environment variables begin that set a variable of a stack.
pub const SURROUNDINGS: &str = "LIFEBOAT_VAR_";

/// Where a variable comes from that was said on the command line.
pub const SAID: &str = "--var";

/// Where a variable comes from that an earlier apply was given.
const REMEMBERED: &str = "the last apply";

/// Who gave a secret that has no value.
const NOBODY: &str = "nobody";

/// Whether its value is what an earlier run was given.
pub fn is_remembered(variable: &Variable) -> bool {
    variable.from == REMEMBERED
}

/// What is remembered for the next run: each value that somebody gave, and of a secret only that there was one. Defaults
/// and overlays speak for themselves.
pub fn remembered(variables: &BTreeMap<String, Variable>) -> BTreeMap<String, Value> {
    let given = variables.iter().filter(|(_, it)| it.is_given() && it.from != NOBODY);
    given
        .map(|(name, it)| {
            if it.sensitive || it.value.has_secret() {
                (name.clone(), Value::Fingerprint(String::new()))
            } else {
                (name.clone(), it.value.clone())
            }
        })
        .collect()
}

#[derive(Debug, Clone)]
pub enum GivenValue {
    /// Becomes the declared type.
    Text(String),
    Value(Value),
}

impl GivenValue {
    /// As a person types it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(it) => it.clone(),
            Self::Value(it) => it.json().to_string(),
        }
    }
}

const KEYS: [&str; 4] = ["type", "default", "sensitive", "description"];
const TYPES: [&str; 7] = ["string", "int", "number", "bool", "list", "map", "any"];

/// What earlier runs were given.
#[derive(Debug, Clone, Copy)]
pub struct RememberedVariables<'a> {
    pub values: &'a BTreeMap<String, Value>,
    /// The overlays that were active then: what one of them sets was known to who gave another value, and is overruled. What an
    /// overlay sets that was chosen since is newer than what is remembered.
    pub overlays: &'a [String],
}

impl RememberedVariables<'_> {
    /// Of a stack that was never applied.
    pub fn none() -> Self {
        static NONE: BTreeMap<String, Value> = BTreeMap::new();
        Self { values: &NONE, overlays: &[] }
    }
}

/// What may set a variable beside its default, weakest first.
pub struct VariableSources<'a> {
    pub remembered: RememberedVariables<'a>,
    pub given: &'a [GivenVariable],
    /// The source of each overlay, and its name: any other default is the stack file's.
    pub overlays: &'a [(u32, &'a str)],
}

impl VariableSources<'_> {
    /// The overlay that this stands in.
    fn overlay_of(&self, place: Span) -> Option<&str> {
        let found = self.overlays.iter().find(|(source, _)| *source == place.source);
        found.map(|(_, name)| *name)
    }
}

/// Every declared variable with its winner.
pub fn variables(
    declared: Option<&Node>,
    outside: &VariableSources<'_>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Variable> {
    let mut found = BTreeMap::new();
    if let Some(declared) = declared {
        match declared.as_map() {
            Some(map) => {
                for (name, it) in map {
                    if let Some(variable) = variable(name, it.key, &it.node, outside, sources, out)
                    {
                        found.insert(String::from(&**name), variable);
                    }
                }
                unknown(map, outside, out);
            }
            None if declared.is_null() => {}
            None => out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "`variables` must be a map")
                    .at(declared.span, format!("this is {}", declared.word())),
            ),
        }
    }
    if declared.and_then(Node::as_map).is_none() {
        unknown(&Map::default(), outside, out);
    }
    found
}

fn unknown(declared: &Map, outside: &VariableSources<'_>, out: &mut Vec<Diagnostic>) {
    for given in outside.given {
        if declared.contains_key(given.name.as_str()) {
            continue;
        }
        if given.from.starts_with(SURROUNDINGS) {
            out.extend(other_case(given, declared, outside));
            continue;
        }
        let summary =
            format!("`{}` sets `{}`, which the stack does not declare", given.from, given.name);
        let wrong = Diagnostic::error(DiagnosticCode::UnknownVariable, summary);
        out.push(match nearest(&given.name, declared.keys().map(AsRef::as_ref)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None if !is_name(&given.name) => {
                wrong.help("a variable name consists of lowercase letters, digits, and `_`")
            }
            None => wrong
                .help(format!("declare it: variables: {{ {}: {{ type: string }} }}", given.name)),
        });
    }
}

/// The environment is there for every stack: what one of them does not declare may be meant for another. Only what
/// differs from a declared name by case alone is most likely a slip.
fn other_case(
    given: &GivenVariable,
    declared: &Map,
    outside: &VariableSources<'_>,
) -> Option<Diagnostic> {
    let mut names = declared.keys().map(AsRef::as_ref);
    let near: &str = names.find(|it: &&str| it.eq_ignore_ascii_case(&given.name))?;
    let is_set = outside.given.iter().any(|it| it.name == near);
    let summary = format!("`{}` has no effect: no variable is called `{}`", given.from, given.name);
    (!is_set).then(|| {
        Diagnostic::warning(DiagnosticCode::VariableCase, summary)
            .help(format!("did you mean `{SURROUNDINGS}{near}`?"))
    })
}

fn variable(
    name: &str,
    key: Span,
    node: &Node,
    outside: &VariableSources<'_>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Option<Variable> {
    if !is_name(name) {
        out.push(
            Diagnostic::error(DiagnosticCode::BadName, "Invalid variable name")
                .at(key, format!("`{name}` is not a name of lowercase letters, digits, and `_`")),
        );
    }
    let Some(map) = node.as_map() else {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "A variable must be a map")
                .at(node.span, format!("this is {}", node.word()))
                .help(format!("write `{name}: {{ type: string, default: … }}`")),
        );
        return None;
    };
    for (name, it) in map {
        if !KEYS.contains(&name.as_ref()) {
            let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
                .at(it.key, "a variable has no such key");
            out.push(wrong.help(format!("a variable has {}", KEYS.join(", "))).nearest(name, KEYS));
        }
    }
    let kind = declared_type(name, key, map, out)?;
    let sensitive = match map.get("sensitive").map(|it| it.node.value()) {
        None => false,
        Some(Value::Bool(it)) => it,
        Some(_) => {
            let span = map.get("sensitive").map_or(key, |it| it.node.span);
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "`sensitive` is true or false")
                    .at(span, "this is neither"),
            );
            // Whoever wrote something there meant it: it is not quoted.
            true
        }
    };
    let declaration = VariableDeclaration { name, key, map, kind, sensitive };
    let (value, from) = declaration.winner(outside, sources, out)?;
    let value = if sensitive { Value::Secret(Secret::new(value)) } else { value };
    let set_by =
        map.get("default").and_then(|it| outside.overlay_of(it.node.span)).map(str::to_owned);
    let declared_by = outside.overlay_of(key).map(str::to_owned);
    Some(Variable { value, sensitive, from, set_by, declared_by, span: key })
}

fn declared_type<'a>(
    name: &str,
    key: Span,
    map: &'a Map,
    out: &mut Vec<Diagnostic>,
) -> Option<&'a str> {
    let Some(kind) = map.get("type") else {
        out.push(
            Diagnostic::error(DiagnosticCode::MissingKey, "A variable requires a type")
                .at(key, format!("`{name}` has none"))
                .help(format!("add `type:` with one of {}", TYPES.join(", "))),
        );
        return None;
    };
    let text = kind.node.as_text().unwrap_or_default();
    if TYPES.contains(&text) {
        return Some(text);
    }
    let wrong = Diagnostic::error(DiagnosticCode::UnknownType, "Unknown type")
        .at(kind.node.span, format!("`{text}` is not a type"))
        .help(format!("one of {}", TYPES.join(", ")));
    out.push(wrong.nearest(text, TYPES));
    None
}

/// What exists keeps its secret; a create that needs it is refused when it is planned.
fn missing_secret(name: &str, key: Span) -> Diagnostic {
    Diagnostic::warning(DiagnosticCode::MissingSecret, "A sensitive variable is not set")
        .at(key, format!("`{name}` is treated as unchanged where it was applied before"))
        .help(format!("set it with --var {name}=…, LIFEBOAT_VAR_{name}=…, or a default"))
}

/// What the layers say of one variable.
struct VariableDeclaration<'a> {
    name: &'a str,
    key: Span,
    map: &'a Map,
    kind: &'a str,
    sensitive: bool,
}

impl VariableDeclaration<'_> {
    /// The value that wins, and who gave it: what this run was given; else what an earlier apply was given, so that a failover
    /// from a laptop does not roll production back, unless an overlay that was chosen since sets it; else the default of the
    /// topmost layer.
    fn winner(
        &self,
        outside: &VariableSources<'_>,
        sources: &Sources,
        out: &mut Vec<Diagnostic>,
    ) -> Option<(Value, String)> {
        if let Some(given) = outside.given.iter().rfind(|it| it.name == self.name) {
            return self.given(given, out);
        }
        let default = self.map.get("default");
        let set_by = default.and_then(|it| outside.overlay_of(it.node.span));
        let is_newer =
            set_by.is_some_and(|by| outside.remembered.overlays.iter().all(|it| it != by));
        if let Some(remembered) = outside.remembered.values.get(self.name).filter(|_| !is_newer)
            && let Some(value) = self.remembered(remembered, out)
        {
            return Some((value, REMEMBERED.to_owned()));
        }
        match default {
            Some(default) => self.default(&default.node, set_by.is_none(), sources, out),
            None => self.unset(out),
        }
    }

    fn given(&self, given: &GivenVariable, out: &mut Vec<Diagnostic>) -> Option<(Value, String)> {
        let Self { name, kind, .. } = self;
        let value = match &given.value {
            GivenValue::Text(text) => from_text(text, kind),
            GivenValue::Value(value) => typed(value.clone(), kind),
        };
        if value.is_none() {
            let shown = match &given.value {
                GivenValue::Text(text) if !self.sensitive => format!(", not `{text}`"),
                _ => String::new(),
            };
            let summary = format!("`{}` has the wrong type for `{name}`", given.from);
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, summary)
                    .at(self.key, format!("declared as {kind}{shown}")),
            );
        }
        value.map(|it| (it, given.from.clone()))
    }

    /// Of a secret only that it was given is remembered: its default would be taken for another one, so it stays unknown. A
    /// value that is not of the declared type any more is forgotten.
    fn remembered(&self, value: &Value, out: &mut Vec<Diagnostic>) -> Option<Value> {
        if self.sensitive && matches!(value, Value::Fingerprint(_)) {
            out.push(missing_secret(self.name, self.key));
            return Some(Value::withheld());
        }
        typed(value.clone(), self.kind)
    }

    fn default(
        &self,
        default: &Node,
        is_of_stack: bool,
        sources: &Sources,
        out: &mut Vec<Diagnostic>,
    ) -> Option<(Value, String)> {
        let Self { name, kind, .. } = self;
        let value = default.value();
        let Some(value) = typed(value.clone(), kind) else {
            let label = format!("`{name}` is declared as {kind}, but this is {}", word(&value));
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "The default has the wrong type")
                    .at(default.span, label),
            );
            return None;
        };
        if value.as_text().is_some_and(|it| it.contains("${")) {
            out.push(
                Diagnostic::error(
                    DiagnosticCode::ExpressionInDefault,
                    "A default cannot be computed",
                )
                .at(default.span, "this text is used literally")
                .help("compute where the variable is used"),
            );
        }
        let from = if is_of_stack { "default".to_owned() } else { sources.line(default.span) };
        Some((value, from))
    }

    /// Nobody sets it. What exists keeps its secret, so that only a create needs it; anything else has to be known.
    fn unset(&self, out: &mut Vec<Diagnostic>) -> Option<(Value, String)> {
        let Self { name, key, .. } = self;
        if self.sensitive {
            out.push(missing_secret(name, *key));
            return Some((Value::withheld(), NOBODY.to_owned()));
        }
        out.push(
            Diagnostic::error(DiagnosticCode::MissingVariable, "A variable is not set")
                .at(*key, format!("`{name}` has no default"))
                .help(format!("set it with --var {name}=…, LIFEBOAT_VAR_{name}=… or a default")),
        );
        None
    }
}

/// A value as the declared type, if it is one.
fn typed(value: Value, kind: &str) -> Option<Value> {
    let fits = match (&value, kind) {
        #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are written as int")]
        (Value::Int(it), "number") => return Some(Value::Float(*it as f64)),
        (Value::Text(_), "string")
        | (Value::Int(_), "int")
        | (Value::Float(_), "number")
        | (Value::Bool(_), "bool")
        | (Value::List(_), "list")
        | (Value::Map(_), "map") => true,
        (Value::Null | Value::Fingerprint(_), _) => false,
        (_, kind) => kind == "any",
    };
    fits.then_some(value)
}

/// Text from the command line or the environment as the declared type.
fn from_text(text: &str, kind: &str) -> Option<Value> {
    if kind == "string" {
        return Some(Value::text(text));
    }
    let (node, mistakes) = parse("", text.as_bytes(), &mut Sources::default());
    let value = node.filter(|_| mistakes.is_empty()).map(|it| it.value());
    match (value, kind) {
        (None, "any") => Some(Value::text(text)),
        (value, _) => value.and_then(|it| typed(it, kind)),
    }
}
