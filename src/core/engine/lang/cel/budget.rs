//! What an expression may cost: bounded from its tree and from the sizes of what it reads, before it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cel::IdedExpr;
use cel::common::ast::operators::{ADD, CONDITIONAL, INDEX, OPT_INDEX, OPT_SELECT};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};

use crate::engine::lang::cel::functions::ITEMS;
use crate::engine::lang::cel::syntax::leaf_of;
use crate::engine::value::Value;

/// How many elements one expression may visit in all: this takes some seconds in an unoptimized build and less than half a
/// second in a release build (measured), and no expression that was written for a stack comes near it.
const STEPS_MAX: u64 = 3_000_000;
/// The largest intermediate value, in bytes. The largest attribute of any kind takes 64 KiB and a file has 1 MiB at most, so
/// this is ample.
const BYTES_MAX: u64 = 16 << 20;
/// What all expressions of a stack may visit together: three times what one of them may, so that a stack of many costly
/// expressions still ends within seconds.
const ALL_STEPS_MAX: u64 = 3 * STEPS_MAX;
/// How much text all of them may make together, in bytes: as much as the longest stack file may have.
const ALL_BYTES_MAX: u64 = 64 << 20;
/// What an element costs in memory besides its text, in bytes. A guess of the right order: the bound need not be exact.
const SLOT: u64 = 32;
/// How many bytes are copied or compared in the time of one step. A guess of the right order as well.
const BYTES_PER_STEP: u64 = 256;
/// Compiling a pattern takes as long as this many steps. A guess of the right order: in a loop a pattern must not be free.
const PATTERN_STEPS: u64 = 500;
/// The most digits of the precision in `%.…f`: four of them would ask for a thousand decimals and more, which is no number
/// for people.
const PRECISION_DIGITS_MAX: usize = 3;

/// Why an expression is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverBudget {
    Steps,
    Bytes,
    /// All expressions of the stack together.
    AllSteps,
    AllBytes,
}

impl OverBudget {
    pub fn words(self) -> String {
        match self {
            Self::Steps => format!("this could take more than {STEPS_MAX} steps"),
            Self::Bytes => format!("this could make more than {} MiB", BYTES_MAX >> 20),
            Self::AllSteps => format!(
                "all expressions of this stack together could take more than {ALL_STEPS_MAX} steps"
            ),
            Self::AllBytes => format!(
                "all expressions of this stack together make more than {} MiB",
                ALL_BYTES_MAX >> 20
            ),
        }
    }
}

/// An upper bound of a value: its bytes, its elements, and the largest of these.
#[derive(Debug, Clone, Default)]
pub struct ValueShape {
    bytes: u64,
    count: u64,
    part: Option<Arc<ValueShape>>,
}

impl ValueShape {
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::text(text.len() as u64),
            Value::List(items) => Self::all(items.iter().map(Self::of)),
            Value::Map(map) => Self::all(map.iter().map(|(key, it)| {
                let shape = Self::of(it);
                Self { bytes: shape.bytes + key.len() as u64, ..shape }
            })),
            Value::Secret(secret) => Self::of(secret.expose()),
            _ => Self::text(8),
        }
    }

    fn text(bytes: u64) -> Self {
        // A text has no elements: nothing runs over its letters.
        Self { bytes, count: 0, part: None }
    }

    fn all(parts: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::default();
        let mut part = Self::default();
        for it in parts {
            all.bytes = all.bytes.saturating_add(it.bytes + SLOT);
            all.count += 1;
            part = part.or(&it);
        }
        Self { part: (all.count > 0).then(|| Arc::new(part)), ..all }
    }

    /// Either of two.
    fn or(&self, other: &Self) -> Self {
        let part = match (&self.part, &other.part) {
            (Some(one), Some(two)) => Some(Arc::new(one.or(two))),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        Self { bytes: self.bytes.max(other.bytes), count: self.count.max(other.count), part }
    }

    /// So many of these after the other.
    fn and(&self, other: &Self, times: u64) -> Self {
        let more = |one: u64, two: u64| one.saturating_add(two.saturating_mul(times));
        let part = self.or(other).part;
        Self { bytes: more(self.bytes, other.bytes), count: more(self.count, other.count), part }
    }

    /// One of its elements; of what is no list, itself.
    fn element(&self) -> Self {
        self.part.as_ref().map_or_else(|| Self::text(self.bytes), |it| (**it).clone())
    }
}

/// What a value takes, without the shape of its parts.
pub fn bytes(value: &Value) -> u64 {
    match value {
        Value::Text(text) => text.len() as u64,
        Value::List(items) => items.iter().map(|it| bytes(it) + SLOT).sum(),
        Value::Map(map) => map.iter().map(|(key, it)| key.len() as u64 + bytes(it) + SLOT).sum(),
        Value::Secret(secret) => bytes(secret.expose()),
        _ => 8,
    }
}

/// At most so many steps, and a result of at most so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub steps: u64,
    pub bytes: u64,
}

/// What evaluating costs at most, where that is within bounds; `leaves` are those that were looked up.
pub fn afford(expr: &IdedExpr, leaves: &[OnceLock<ValueShape>]) -> Result<Cost, OverBudget> {
    let mut budget = Budget { leaves, names: Vec::new(), times: 1, steps: 0 };
    let bytes = budget.shape(expr)?.bytes;
    Ok(Cost { steps: budget.steps, bytes })
}

/// What the expressions of a stack have cost so far, while its layers are read: each may be cheap, and all of them not.
#[derive(Debug, Default)]
pub struct Spending {
    steps: AtomicU64,
    bytes: AtomicU64,
    /// They were all evaluated once: what comes later is as much again, and no more.
    is_closed: AtomicBool,
}

impl Clone for Spending {
    fn clone(&self) -> Self {
        Self {
            steps: self.steps.load(Relaxed).into(),
            bytes: self.bytes.load(Relaxed).into(),
            is_closed: self.is_closed.load(Relaxed).into(),
        }
    }
}

impl Spending {
    pub fn spend(&self, cost: Cost) -> Result<(), OverBudget> {
        if self.is_closed.load(Relaxed) {
            return Ok(());
        }
        let steps = self.steps.fetch_add(cost.steps, Relaxed).saturating_add(cost.steps);
        let bytes = self.bytes.fetch_add(cost.bytes, Relaxed).saturating_add(cost.bytes);
        match (steps > ALL_STEPS_MAX, bytes > ALL_BYTES_MAX) {
            (true, _) => Err(OverBudget::AllSteps),
            (_, true) => Err(OverBudget::AllBytes),
            _ => Ok(()),
        }
    }

    pub fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }
}

struct Budget<'a> {
    leaves: &'a [OnceLock<ValueShape>],
    /// What comprehensions bind, the innermost last.
    names: Vec<(&'a str, ValueShape)>,
    /// How often what is looked at now runs.
    times: u64,
    steps: u64,
}

impl<'a> Budget<'a> {
    fn spend(&mut self, steps: u64) -> Result<(), OverBudget> {
        self.steps = self.steps.saturating_add(steps.saturating_mul(self.times));
        if self.steps > STEPS_MAX { Err(OverBudget::Steps) } else { Ok(()) }
    }

    fn made(&mut self, shape: ValueShape) -> Result<ValueShape, OverBudget> {
        if shape.bytes > BYTES_MAX {
            return Err(OverBudget::Bytes);
        }
        self.spend(1 + shape.bytes / BYTES_PER_STEP)?;
        Ok(shape)
    }

    fn shape(&mut self, expr: &'a IdedExpr) -> Result<ValueShape, OverBudget> {
        if let Some(leaf) = leaf_of(expr) {
            return Ok(self.leaves.get(leaf).and_then(OnceLock::get).cloned().unwrap_or_default());
        }
        match &expr.expr {
            Expr::Ident(name) => {
                let bound = self.names.iter().rfind(|(it, _)| it == name);
                Ok(bound.map(|(_, it)| it.clone()).unwrap_or_default())
            }
            Expr::Literal(LiteralValue::String(it)) => {
                Ok(ValueShape::text(it.inner().len() as u64))
            }
            Expr::Literal(_) | Expr::Unspecified => Ok(ValueShape::text(8)),
            Expr::Select(select) => Ok(self.shape(&select.operand)?.element()),
            Expr::List(list) => {
                let parts: Result<Vec<_>, _> =
                    list.elements.iter().map(|it| self.shape(it)).collect();
                self.made(ValueShape::all(parts?.into_iter()))
            }
            Expr::Map(map) => {
                let mut parts = Vec::new();
                for it in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &it.expr {
                        let (key, value) = (self.shape(&entry.key)?, self.shape(&entry.value)?);
                        parts.push(ValueShape { bytes: key.bytes + value.bytes, ..value });
                    }
                }
                self.made(ValueShape::all(parts.into_iter()))
            }
            Expr::Comprehension(it) => self.comprehension(it),
            Expr::Call(call) => self.call(call),
            Expr::Struct(_) => Ok(ValueShape::default()),
        }
    }

    /// Every round adds what its step makes of nothing.
    fn comprehension(&mut self, it: &'a ComprehensionExpr) -> Result<ValueShape, OverBudget> {
        let range = self.shape(&it.iter_range)?;
        let begin = self.shape(&it.accu_init)?;
        self.spend(range.count)?;
        let times = self.times;
        self.times = times.saturating_mul(range.count);
        self.names.push((&it.accu_var, ValueShape::default()));
        self.names.push((&it.iter_var, range.element()));
        let step = self.shape(&it.loop_cond).and_then(|_| self.shape(&it.loop_step));
        self.times = times;
        self.names.truncate(self.names.len() - 2);
        let whole = begin.and(&step?, range.count);
        let whole = self.made(whole)?;
        self.names.push((&it.accu_var, whole));
        let result = self.shape(&it.result);
        self.names.pop();
        result
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<ValueShape, OverBudget> {
        let target = call.target.as_deref().map(|it| self.shape(it)).transpose()?;
        let given: Result<Vec<_>, _> = call.args.iter().map(|it| self.shape(it)).collect();
        let all: Vec<ValueShape> = target.into_iter().chain(given?).collect();
        let nothing = ValueShape::default();
        let (first, second) = (all.first().unwrap_or(&nothing), all.get(1).unwrap_or(&nothing));
        let sum = || all.iter().fold(ValueShape::default(), |sum, it| sum.and(it, 1));
        let text = |bytes: u64| ValueShape::text(bytes);
        let made = match call.func_name.as_str() {
            ADD => sum(),
            CONDITIONAL => all.iter().skip(1).fold(ValueShape::default(), |one, it| one.or(it)),
            INDEX | OPT_INDEX | OPT_SELECT => first.element(),
            ITEMS => first.clone(),
            "replace" => {
                let longest = all.get(2).map_or(0, |it| it.bytes);
                // Nothing is found in every gap.
                let found = first.bytes / least(call.args.first()).max(1) + 1;
                text(first.bytes.saturating_add(found.saturating_mul(longest)))
            }
            "join" => text(first.bytes.saturating_add(first.count.saturating_mul(second.bytes))),
            "split" => {
                let count = first.bytes / least(call.args.first()).max(1) + 1;
                let part = Some(Arc::new(text(first.bytes)));
                ValueShape {
                    bytes: first.bytes.saturating_add(count.saturating_mul(SLOT)),
                    count,
                    part,
                }
            }
            "flatten" => {
                let inner = first.element();
                let count = first.count.saturating_mul(inner.count.max(1));
                ValueShape { bytes: first.bytes, count, part: Some(Arc::new(inner.element())) }
            }
            // Each is compared with each.
            "distinct" => {
                self.spend(first.count.saturating_mul(first.count) / 8)?;
                first.clone()
            }
            "sort" | "sortBy" => {
                self.spend(first.count.saturating_mul(20))?;
                first.clone()
            }
            "matches" => {
                self.spend(PATTERN_STEPS)?;
                sum()
            }
            "format" => {
                if long_numbers(call) {
                    return Err(OverBudget::Bytes);
                }
                let made = sum();
                text(made.bytes.saturating_mul(2).saturating_add(SLOT * 16 * made.count.min(64)))
            }
            "size" | "contains" | "startsWith" | "endsWith" | "indexOf" | "lastIndexOf" => {
                self.spend(first.bytes / BYTES_PER_STEP)?;
                text(8)
            }
            "base64" | "quote" | "string" | "bytes" | "encode" | "decode" => {
                text(sum().bytes.saturating_mul(2))
            }
            _ => sum(),
        };
        self.made(made)
    }
}

/// How short a text is at least: only a literal says so.
fn least(expr: Option<&IdedExpr>) -> u64 {
    match expr.map(|it| &it.expr) {
        Some(Expr::Literal(LiteralValue::String(it))) => it.inner().len() as u64,
        _ => 1,
    }
}

/// Whether a format asks for more digits than anybody reads, or cannot be looked at.
fn long_numbers(call: &CallExpr) -> bool {
    let Some(Expr::Literal(LiteralValue::String(format))) = call.target.as_ref().map(|it| &it.expr)
    else {
        return true;
    };
    format.inner().split('%').any(|it| {
        let digits = it.strip_prefix('.').unwrap_or_default();
        digits.bytes().take_while(u8::is_ascii_digit).count() > PRECISION_DIGITS_MAX
    })
}

#[cfg(test)]
mod tests {
    use crate::engine::lang::cel::code::Code;
    use crate::engine::lang::cel::compile::compile_cel;
    use crate::engine::lang::cel::template::FileText;
    use crate::engine::value::Value;

    /// What a template says that computes this from a text of 100 KB, a list of 1,000 texts, and a small one.
    fn say(text: &str) -> String {
        let map = Value::from_json(&serde_json::json!({
            "big": "a".repeat(100_000),
            "many": (0..1_000).map(|it| it.to_string()).collect::<Vec<_>>(),
            "web": (0..200).map(|it| serde_json::json!({ "label": format!("web-{it}"), "tags": ["a", "b"], "text": "x".repeat(2_000) })).collect::<Vec<_>>(),
        }));
        let filled = FileText::new("t", &format!("{{{{ {text} }}}}")).fill(map.as_map().unwrap());
        filled.map_or_else(|it| it.message, |it| it.chars().take(40).collect())
    }

    #[test]
    fn afford_refuses_expressions_that_could_cost_too_much() {
        let (steps, bytes) = ("could take more than", "could make more than");
        let grow = "'aaaaaaaaaa'".to_owned() + &".replace('a', 'aaaaaaaaaa')".repeat(9);
        for (text, why) in [
            ("size(many.map(a, many.map(b, many.map(c, a + b + c))))", steps),
            ("size(many.map(a, many.filter(b, many.exists(c, a == b + c))))", steps),
            ("size(many.map(a, big))", bytes),
            ("size(many.map(a, big.split('')))", bytes),
            ("size(many.map(a, many.join(big)))", bytes),
            ("size(big.replace('', big))", bytes),
            ("size(big.replace('a', big))", bytes),
            (&grow, bytes),
            ("size(big.split('').map(a, big.split('')))", bytes),
            ("big.split('').distinct().size()", steps),
            ("size(many.map(a, many.map(b, a.matches('x{100}'))))", steps),
            (
                "many.all(a, big.contains(a + big)) || many.all(a, big.replace('a', big) == a)",
                bytes,
            ),
            ("many.map(a, many.map(b, many.map(c, 1))).size() > 0 ? 1 : 2", steps),
            ("'%.1000000000f'.format([1.0])", bytes),
            (
                "size([big, big].map(a, [a, a]).map(b, b.map(c, c.replace('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'))))",
                bytes,
            ),
        ] {
            let said = say(text);
            assert!(said.contains(steps) || said.contains(bytes), "{text}: {said}, not {why}");
        }
    }

    #[test]
    fn afford_allows_ordinary_expressions() {
        for (text, expected) in [
            ("web.map(w, w.label).join(',')", "web-0,web-1,web-2"),
            ("web.filter(w, w.tags.exists(t, t == 'b')).size()", "200"),
            ("web.map(w, w.tags.map(t, w.label + t).join(' ')).join('')", "web-0a web-0b"),
            ("big.replace('a', 'b').size()", "100000"),
            ("web.filter(a, web.exists(b, b.label == a.label)).size() > 1 ? 'yes' : 'no'", "yes"),
            ("many.map(a, int(a)).sort().distinct().size()", "1000"),
            ("'%s has %d'.format([many[0], 3])", "0 has 3"),
            ("big.split('a').size()", "100001"),
        ] {
            let said = say(text);
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }

    #[test]
    fn afford_bounds_a_wide_tree_quickly() {
        let wide = format!("[{}]", vec!["[1]"; 150].join(","));
        let Code::Cel(cel) = compile_cel(&wide).unwrap() else { unreachable!() };
        assert!(super::afford(&cel.tree, &[]).is_ok());
    }
}
