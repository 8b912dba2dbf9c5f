//! Evaluates code against a world: what is open or secret is decided from the syntax tree before CEL sees anything.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use cel::common::ast::Expr;
use cel::common::ast::operators::{CONDITIONAL, LOGICAL_AND, LOGICAL_OR};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError, IdedExpr};

use crate::engine::lang::cel::budget::{Cost, OverBudget, ValueShape, afford, bytes};
use crate::engine::lang::cel::code::{Cel, Code, CodePath, ExpressionError, Leaf, Slice};
use crate::engine::lang::cel::failure::{culprit, extent, reworded};
use crate::engine::lang::cel::functions::{ENV, from_cel, to_cel};
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep};
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::cel::syntax::{children, leaf_of};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::value::{Secret, Value};

/// Evaluates code; `text` is the text it was compiled from.
pub fn evaluate(code: &Code, text: &str, world: &dyn NameLookup) -> Result<Value, ExpressionError> {
    match code {
        Code::Path(path) => {
            let found = look(path, &Slice::Whole, text, world)?;
            if world.is_bounded() {
                let cost = Cost { steps: 1, bytes: bytes(&found) };
                world.spend(cost).map_err(|over| costly(over, whole(text)))?;
            }
            Ok(found)
        }
        Code::Cel(cel) => {
            let leaves = Leaves::of(cel);
            Frame { cel, text, world, leaves: &leaves }.run()
        }
    }
}

fn whole(text: &str) -> (u32, u32) {
    (0, u32::try_from(text.len()).unwrap_or(0))
}

fn costly(over: OverBudget, range: (u32, u32)) -> ExpressionError {
    ExpressionError::new(DiagnosticCode::TooCostly, range, over.words())
        .help("reduce the work: use fewer elements or shorter texts")
}

/// The steps of a path, computed, and whether one of them is secret; or the value of the whole, where one of them is not known.
type Steps<'a> = Result<(Vec<PathStep<'a>>, bool), Value>;

pub fn steps<'a>(
    path: &'a CodePath,
    text: &str,
    world: &dyn NameLookup,
) -> Result<Steps<'a>, ExpressionError> {
    // Whoever asks for a member of it adds a step.
    let mut found = Vec::with_capacity(path.steps.len() + 1);
    let mut is_secret = false;
    for step in &path.steps {
        found.push(match step {
            Segment::Name(name) => PathStep::Name(Cow::Borrowed(name)),
            Segment::Index(index) => PathStep::Index(*index),
            Segment::Computed(code) => {
                let mut value = evaluate(code, text, world)?;
                if let Value::Secret(secret) = &value {
                    is_secret = true;
                    value = secret.expose().clone();
                }
                match value {
                    Value::Text(name) => PathStep::Name(Cow::Owned(name)),
                    Value::Int(index) if u32::try_from(index).is_ok() => {
                        PathStep::Index(u32::try_from(index).unwrap_or_default())
                    }
                    Value::Open if is_secret => {
                        return Ok(Err(Value::Secret(Secret::new(Value::Open))));
                    }
                    Value::Open => return Ok(Err(Value::Open)),
                    Value::Fingerprint(_) => return Ok(Err(Value::withheld())),
                    _ => {
                        let range = (path.start, path.end);
                        return Err(ExpressionError::new(
                            DiagnosticCode::FailedExpression,
                            range,
                            "an index must be text or an integer from 0",
                        ));
                    }
                }
            }
        });
    }
    Ok(Ok((found, is_secret)))
}

/// What is said of a path that leads nowhere. A step that came from a secret is not quoted, and nothing near it is proposed.
pub fn lost(lost: LookupError, path: &CodePath, is_secret: bool) -> ExpressionError {
    let hidden = || LookupError::new(lost.code, "this sensitive index does not exist");
    if is_secret { hidden() } else { lost }.at((path.start, path.end))
}

fn look(
    path: &CodePath,
    slice: &Slice,
    text: &str,
    world: &dyn NameLookup,
) -> Result<Value, ExpressionError> {
    let (steps, is_secret) = match steps(path, text, world)? {
        Ok(known) => known,
        Err(unknown) => return Ok(unknown),
    };
    let value = world.look(&path.root, &steps, slice).map_err(|it| lost(it, path, is_secret))?;
    Ok(if is_secret { Value::Secret(Secret::new(value)) } else { value })
}

/// The values of the leaves that were reached, and how large they are.
struct Leaves {
    values: Vec<OnceLock<Box<dyn Val>>>,
    shapes: Vec<OnceLock<ValueShape>>,
}

impl Leaves {
    fn of(cel: &Cel) -> Self {
        let count = cel.leaves.len();
        Self {
            values: (0..count).map(|_| OnceLock::new()).collect(),
            shapes: (0..count).map(|_| OnceLock::new()).collect(),
        }
    }
}

impl VariableResolver for Leaves {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let index: usize = variable.strip_prefix('@')?.parse().ok()?;
        self.values.get(index)?.get().map(|it| CowVal::Borrowed(it.as_ref()))
    }
}

/// What reaching a part of an expression means for the whole.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    is_open: bool,
    is_secret: bool,
    /// A secret that this run does not know.
    is_withheld: bool,
}

impl Reach {
    fn and(self, other: Self) -> Self {
        Self {
            is_open: self.is_open || other.is_open,
            is_secret: self.is_secret || other.is_secret,
            is_withheld: self.is_withheld || other.is_withheld,
        }
    }

    fn is_unknown(self) -> bool {
        self.is_open || self.is_withheld
    }
}

struct Frame<'a> {
    cel: &'a Cel,
    text: &'a str,
    world: &'a dyn NameLookup,
    leaves: &'a Leaves,
}

impl Frame<'_> {
    fn run(&self) -> Result<Value, ExpressionError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(self.leaves);
        let reach = self.reach(&self.cel.tree, &context)?;
        // Applying tells what is open, but not a secret that nobody gave.
        if reach.is_withheld {
            return Ok(Value::withheld());
        }
        if reach.is_open {
            return Ok(if reach.is_secret {
                Value::Secret(Secret::new(Value::Open))
            } else {
                Value::Open
            });
        }
        let answer = self.resolve(&self.cel.tree, &context)?;
        let value = match answer {
            Ok(value) => from_cel(&value).map_err(|it| {
                ExpressionError::new(DiagnosticCode::FailedExpression, whole(self.text), it)
            })?,
            Err(error) => return Err(self.failure(&error, reach.is_secret, &context)),
        };
        Ok(if reach.is_secret { Value::Secret(Secret::new(value)) } else { value })
    }

    /// Runs a part of the expression, if that is affordable.
    fn resolve(
        &self,
        expr: &IdedExpr,
        context: &Context<'_, '_>,
    ) -> Result<Result<cel::Value, ExecutionError>, ExpressionError> {
        if self.world.is_bounded() {
            let cost = afford(expr, &self.leaves.shapes);
            cost.and_then(|it| self.world.spend(it)).map_err(|over| {
                costly(over, extent(expr, &self.cel.info, self.text, &self.cel.leaves))
            })?;
        }
        Ok(cel::Value::resolve(expr, context))
    }

    /// What would be read if the expression were evaluated now: what decides whether the whole is known only after apply, and
    /// whether it is sensitive. An operand that does not run is not counted, as CEL evaluates it: of a conditional one branch,
    /// of `&&` and `||` only the left side where that decides.
    fn reach(&self, expr: &IdedExpr, context: &Context<'_, '_>) -> Result<Reach, ExpressionError> {
        if let Some(leaf) = leaf_of(expr) {
            return self.leaf(leaf);
        }
        let Expr::Call(call) = &expr.expr else { return self.reach_all(children(expr), context) };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (CONDITIONAL, [condition, then, other]) => {
                self.reach_branch(condition, then, other, context)
            }
            (LOGICAL_AND, [left, right]) => self.reach_operands(left, right, false, context),
            (LOGICAL_OR, [left, right]) => self.reach_operands(left, right, true, context),
            _ => self.reach_all(children(expr), context),
        }
    }

    fn reach_all<'e>(
        &self,
        parts: impl IntoIterator<Item = &'e IdedExpr>,
        context: &Context<'_, '_>,
    ) -> Result<Reach, ExpressionError> {
        parts
            .into_iter()
            .try_fold(Reach::default(), |reach, part| Ok(reach.and(self.reach(part, context)?)))
    }

    /// The branch that a known condition chooses; both while it is unknown, since either may run. What is no boolean fails when
    /// the whole runs, and no branch of it is read.
    fn reach_branch(
        &self,
        condition: &IdedExpr,
        then: &IdedExpr,
        other: &IdedExpr,
        context: &Context<'_, '_>,
    ) -> Result<Reach, ExpressionError> {
        let decided_by = self.reach(condition, context)?;
        let chosen = if decided_by.is_unknown() {
            self.reach_all([then, other], context)?
        } else {
            match self.resolve(condition, context)? {
                Ok(cel::Value::Bool(true)) => self.reach(then, context)?,
                Ok(cel::Value::Bool(false)) => self.reach(other, context)?,
                _ => Reach::default(),
            }
        };
        Ok(decided_by.and(chosen))
    }

    /// Both sides, unless the left one has the value that decides the whole.
    fn reach_operands(
        &self,
        left: &IdedExpr,
        right: &IdedExpr,
        deciding: bool,
        context: &Context<'_, '_>,
    ) -> Result<Reach, ExpressionError> {
        let of_left = self.reach(left, context)?;
        let deciding = cel::Value::Bool(deciding);
        if !of_left.is_unknown() && self.resolve(left, context)?.is_ok_and(|it| it == deciding) {
            return Ok(of_left);
        }
        Ok(of_left.and(self.reach(right, context)?))
    }

    fn leaf(&self, index: usize) -> Result<Reach, ExpressionError> {
        let Some(leaf) = self.cel.leaves.get(index) else { return Ok(Reach::default()) };
        let value = match leaf {
            Leaf::Path { path, slice } => look(path, slice, self.text, self.world)?,
            Leaf::File { path, start, end } => {
                let range = (*start, *end);
                match self.known(path, range)? {
                    Value::Text(path) => {
                        Value::Text(self.world.file(&path).map_err(|it| it.at(range))?.to_string())
                    }
                    _ => {
                        return Err(ExpressionError::new(
                            DiagnosticCode::BadExpression,
                            range,
                            "the path of `file` must be text",
                        ));
                    }
                }
            }
            Leaf::Template { path, map, start, end } => self.template(path, map, (*start, *end))?,
        };
        let reach = Reach {
            is_open: value.has_open(),
            is_secret: value.has_secret(),
            is_withheld: value.has_withheld(),
        };
        if !reach.is_unknown() && self.leaves.values[index].get().is_none() {
            if self.world.is_bounded() {
                self.leaves.shapes[index].get_or_init(|| ValueShape::of(&value));
            }
            let value: Result<Box<dyn Val>, ExecutionError> = to_cel(&value).try_into();
            // Our values are all representable; what is not would be reported as undeclared.
            if let Ok(value) = value {
                self.leaves.values[index].get_or_init(|| value);
            }
        }
        Ok(reach)
    }

    /// Which file is read must be known and not a secret.
    fn known(&self, code: &Code, range: (u32, u32)) -> Result<Value, ExpressionError> {
        match evaluate(code, self.text, self.world)? {
            Value::Open => Err(ExpressionError::new(
                DiagnosticCode::FileProblem,
                range,
                "the file's path must be known before the clouds are read",
            )
            .help("build the path from variables and `each`")),
            Value::Secret(_) => Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "a path cannot be sensitive",
            )),
            value => Ok(value),
        }
    }

    /// Templates see what is secret as secret, and what they make of it is.
    fn template(
        &self,
        path: &Code,
        map: &Code,
        range: (u32, u32),
    ) -> Result<Value, ExpressionError> {
        let Value::Text(path) = self.known(path, range)? else {
            return Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "the path of `template` must be text",
            ));
        };
        let map = evaluate(map, self.text, self.world)?;
        let is_secret = map.has_secret();
        match (map.has_withheld(), map.has_open()) {
            (true, _) => return Ok(Value::withheld()),
            (false, true) if is_secret => return Ok(Value::Secret(Secret::new(Value::Open))),
            (false, true) => return Ok(Value::Open),
            (false, false) => {}
        }
        // What of it is secret stays so inside: a template's mistakes quote names, too.
        let map = match map {
            Value::Secret(secret) => match secret.expose().exposed() {
                Value::Map(map) => {
                    let hidden = |it| Value::Secret(Secret::new(it));
                    Value::Map(map.into_iter().map(|(name, it)| (name, hidden(it))).collect())
                }
                other => other,
            },
            other => other,
        };
        match map {
            Value::Map(map) => {
                let text = self.world.template(&path, &map).map_err(|it| it.at(range))?;
                let text = Value::Text(text);
                Ok(if is_secret { Value::Secret(Secret::new(text)) } else { text })
            }
            _ => Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "the second argument of `template` must be a map",
            )),
        }
    }

    fn failure(
        &self,
        error: &ExecutionError,
        is_secret: bool,
        context: &Context<'_, '_>,
    ) -> ExpressionError {
        let culprit = culprit(&self.cel.tree, context);
        let error = cel::Value::resolve(culprit, context).err().unwrap_or_else(|| error.clone());
        let (start, end) = extent(culprit, &self.cel.info, self.text, &self.cel.leaves);
        ExpressionError::new(
            DiagnosticCode::FailedExpression,
            (start, end),
            reworded(&error, is_secret),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::engine::lang::cel::code::{ExpressionError, Slice};
    use crate::engine::lang::cel::compile::{compile, compile_cel};
    use crate::engine::lang::cel::evaluate::evaluate;
    use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep, cut, follow};
    use crate::engine::value::{Attributes, Secret, Value};

    struct Names(Value);

    impl NameLookup for Names {
        fn look(
            &self,
            root: &str,
            steps: &[PathStep<'_>],
            slice: &Slice,
        ) -> Result<Value, LookupError> {
            let mut all = vec![PathStep::Name(root.into())];
            all.extend(steps.iter().cloned());
            follow(&self.0, &all).map(|it| cut(it, slice))
        }

        fn file(&self, path: &str) -> Result<Arc<str>, LookupError> {
            Ok(format!("<{path}>").into())
        }

        fn template(&self, path: &str, map: &Attributes) -> Result<String, LookupError> {
            Ok(format!("{path}{}", Value::Map(map.clone()).json()))
        }
    }

    fn world() -> Names {
        let object = |label: &str| {
            Value::from_json(
                &serde_json::json!({ "label": label, "id": { "$open": true }, "tags": ["x", "y"] }),
            )
        };
        let mut all = Value::from_json(&serde_json::json!({
            "vars": { "on": true, "off": false, "n": 3, "name": "shop", "list": [3, 1, 2], "map": { "b": 1, "a": 2 } },
            "lb": { "ipv4": { "$open": true }, "label": "lb" },
            "each": { "index": 1 },
        }));
        if let Value::Map(map) = &mut all {
            map.insert("web".into(), Value::List(vec![object("web-0"), object("web-1")]));
            let hidden = |it: Value| Value::Secret(Secret::new(it));
            map.insert("secret".into(), hidden("hunter2".into()));
            map.insert("number".into(), hidden(4711.into()));
            let whole = Value::from_json(&serde_json::json!({ "hunter2": 1, "list": [4711] }));
            map.insert("hidden".into(), hidden(whole.clone()));
            map.insert("near".into(), Value::from_json(&serde_json::json!({ "hunter3": 1 })));
        }
        Names(all)
    }

    fn say(text: &str) -> String {
        let answer = compile(text).and_then(|it| evaluate(&it, text, &world()));
        match answer {
            Ok(value) => format!("{value:?}"),
            Err(ExpressionError { start, end, message, help, .. }) => {
                let help = help.map(|it| format!(" ({it})")).unwrap_or_default();
                format!("{}: {message}{help}", &text[start as usize..end as usize])
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(say(text), expected, "{text}");
    }

    #[test]
    fn evaluate_computes_values() {
        check("vars.n + 1", "4");
        check("web[0].label + ':8080'", "\"web-0:8080\"");
        check("web[each.index].label", "\"web-1\"");
        check("web[each.index - 1].label", "\"web-0\"");
        check("web.map(w, w.label).join(',')", "\"web-0,web-1\"");
        check("web.map(w, w.tags.size() + vars.n)", "[5,5]");
        check("[0, 1].map(i, web[i].label)", "[\"web-0\",\"web-1\"]");
        check("vars.map.map(k, k)", "[\"a\",\"b\"]");
        check("vars.map.map(k, vars.map[k])", "[2,1]");
        check("size(web)", "2");
        check("web.size() > 1", "true");
        check("has(lb.label) && !has(lb.nothing)", "true");
        check("vars.list.sort()", "[1,2,3]");
        check("math.greatest(vars.list)", "3");
        check("vars.name.upperAscii()", "\"SHOP\"");
        check("base64('hi')", "\"aGk=\"");
        check("cidr_host('10.0.0.0/24', vars.n)", "\"10.0.0.3\"");
        check("file('a') + file(vars.name)", "\"<a><shop>\"");
        check("template('t', {'n': vars.n})", "\"t{\\\"n\\\":3}\"");
        check("vars.?nothing.orValue('d')", "\"d\"");
        check("vars[\"name\"]", "\"shop\"");
        check("vars.list.filter(it, it > 1)", "[3,2]");
        check("web.exists(w, 'y' in w.tags)", "true");
    }

    #[test]
    fn evaluate_keeps_unknown_values_open() {
        let open = "{\"$open\":true}";
        check("lb.ipv4", open);
        check("lb.ipv4 + ':80'", open);
        check("vars.on ? lb.label : lb.ipv4", "\"lb\"");
        check("vars.off ? lb.label : lb.ipv4", open);
        check("vars.off && lb.ipv4 == 'x'", "false");
        check("vars.on || lb.ipv4 == 'x'", "true");
        check("lb.ipv4 == 'x' || true", open);
        check("web.map(w, w.id)", open);
        check("web.exists(w, w.id == 'x')", open);
        check("['x'].exists(t, t == lb.ipv4)", open);
        check("template('t', {'ip': lb.ipv4})", open);
        check("web[lb.ipv4 == 'a' ? 0 : 1].label", open);
    }

    /// Whatever is wrong with an index that came from a secret, it is neither quoted nor a suggestion made near it.
    #[test]
    fn evaluate_never_quotes_a_secret_index() {
        let forms = [
            "near[secret]",
            "near[?secret].value()",
            "near[secret].x",
            "near[secret][0]",
            "near[secret + '']",
            "near[secret + secret]",
            "near[string(number)]",
            "vars[secret]",
            "vars.map[secret]",
            "vars.list[number]",
            "vars.list[number - 1]",
            "vars.list[secret]",
            "web[number].label",
            "web[0][secret]",
            "web[number][secret]",
            "vars.name[secret]",
            "vars.n[number]",
            "[1, 2][number]",
            "{'hunter3': 1}[secret]",
            "{'a': near}['a'][secret]",
            "near[vars.on ? secret : 'x']",
            "near[[secret][0]]",
            "near[{'a': secret}['a']]",
            "[secret].map(s, near[s])",
            "[number].map(i, vars.list[i])",
            "[secret].map(s, vars[s])",
            "near.map(k, {'x': 1}[k + secret])",
            "vars.on ? near[secret] : 1",
            "near[secret] == 1 && vars.on",
            "vars.off || near[secret] == 1",
            "hidden.hunter3",
            "hidden['hunter1']",
            "hidden.list[9]",
            "hidden[secret]['a']",
            "near[hidden.list[0]]",
            "cidr_host(secret, 1)",
            "cidr_host('10.0.0.0/30', number)",
            "cidr_subnet(secret, 1, number)",
            "int(secret)",
            "secret.charAt(number)",
            "secret.substring(number)",
            "'x'.matches(secret + '[')",
            "number / 0",
            "duration(secret)",
            "secret.format([1])",
            "'%d'.format([secret])",
            "file(secret)",
            "template(secret, {})",
            "template('t', secret)",
            "near[lists.range(number)[number]]",
            "each[secret]",
            "each.value[secret]",
            "lb[secret].a",
            "math.abs(secret)",
        ];
        for text in forms {
            let said = say(text);
            assert!(!said.contains("hunter") || text.contains("hunter"), "{text}: {said}");
            let quoted = said.split_once(": ").map_or("", |(_, message)| message);
            assert!(!quoted.contains("hunter") && !quoted.contains("4711"), "{text}: {said}");
        }
        check("near[secret]", "near[secret]: this sensitive index does not exist");
    }

    #[test]
    fn evaluate_keeps_secrets_secret() {
        let secret = "{\"$sensitive\":true}";
        check("secret", secret);
        check("secret + '!'", secret);
        check("size(secret) > 3 ? 'a' : 'b'", secret);
        check("vars.on ? 'a' : secret", "\"a\"");
        check("template('t', {'p': secret})", secret);
        check("int(secret)", "int(secret: `int` cannot be computed from this value");
    }

    #[test]
    fn evaluate_names_the_place_of_a_mistake() {
        check("vars.nmae", "vars.nmae: `nmae` does not exist (did you mean `name`?)");
        check("vars.n + 'x'", "vars.n + 'x': `+` cannot be applied to an integer and text");
        check("1 + (vars.n + 'x')", "vars.n + 'x': `+` cannot be applied to an integer and text");
        check("vars.n +", ": the expression is incomplete");
        check("vars.n = 3", "=: `=` compares nothing (to compare, write `==`)");
        check("vars.n ++ 3", "+: `+` cannot stand here");
        check("'abc", "': this text has no closing quote");
        check(
            "lists.range(3)",
            "range(: `lists.range` is not available (use `count`, or write the list)",
        );
        check(
            "tempalte('x', {})",
            "tempalte: there is no function `tempalte` (did you mean `template`?)",
        );
        check("", ": the expression is empty");
        check("vars.n / 0", "vars.n / 0: division by zero");
        check("web[7].label", "web[7].label: `[7]` does not exist; the list has 2 elements");
        check("bytes('a')", "bytes('a'): bytes, types and functions cannot be a value here");
        check("1.0 / 0.0", "1.0 / 0.0: the number is not finite");
    }

    /// The binary runs the engine on a stack of 16 MiB; release builds need far less than this debug one.
    #[test]
    fn evaluate_fits_the_deepest_expressions_on_the_stack() {
        let deep = || {
            for (start, part, end) in [
                ("1", "+1", ""),
                ("vars", "[0]", ""),
                ("vars.name", ".trim()", ""),
                ("", "!", "vars.on"),
                ("", "-", "1"),
                ("", "(", "1"),
                ("vars.on", "&&vars.on", ""),
                ("", "vars.on?1:", "2"),
                ("vars", ".a", ""),
                ("", "[", ""),
                ("", "size(", ""),
                ("", "has(", ""),
                ("1", "==1", ""),
                ("", "[1].map(x,", ""),
                ("lb.ipv4", "+'a'", ""),
                ("", "{1:", ""),
            ] {
                let room = 4096 - start.len() - end.len();
                let text = format!("{start}{}{end}", part.repeat(room / part.len()));
                let _ = say(&text);
                let _ = say(&format!("{start}{}{end}", part.repeat(380 / part.len())));
            }
        };
        std::thread::Builder::new().stack_size(16 << 20).spawn(deep).unwrap().join().unwrap();
    }

    proptest! {
        #[test]
        fn evaluate_fast_path_agrees_with_cel(
            root in "vars|web|lb|each|other",
            steps in proptest::collection::vec(
                prop_oneof!["\\.(name|map|label|tags|list|a|index|zz)", "\\[[0-3]\\]", "\\[(\"a\"|'label'|\"map\"|'')\\]", "\\[each\\.index\\]"], 0..4),
        ) {
            let text = format!("{root}{}", steps.concat());
            let fast = compile(&text).and_then(|it| evaluate(&it, &text, &world()));
            let slow = compile_cel(&text).and_then(|it| evaluate(&it, &text, &world()));
            match (&fast, &slow) {
                // CEL makes the whole expression open; a path alone keeps what is known beside it.
                (Ok(fast), Ok(slow)) if fast.has_open() => prop_assert!(slow.has_open()),
                (Ok(fast), Ok(slow)) => prop_assert_eq!(fast, slow),
                (fast, slow) => prop_assert_eq!(fast.is_err(), slow.is_err(), "{:?} {:?}", fast, slow),
            }
        }

        #[test]
        fn evaluate_panics_on_no_text(text in "[a-z0-9 .+'\"\\[\\](){}?:,&|=!<>*/%-]{0,40}") {
            let _ = compile(&text).and_then(|it| evaluate(&it, &text, &world()));
        }
    }
}
