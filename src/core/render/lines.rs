//! What becomes of attributes, line by line: scalars, lists, maps, and texts as unified diffs.

use std::collections::BTreeSet;

use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

use crate::engine::plan::model::change::AttributeChange;
use crate::engine::value::{Attributes, Value};
use crate::render::words::{SENSITIVE, count, cut, escape_control, fingerprint, inline, key};

/// What a line says of what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Same,
    Add,
    Remove,
    Change,
    /// A line about the lines: a hunk's header, or how many are left out.
    Aside,
}

impl Sign {
    pub fn symbol(self) -> char {
        match self {
            Self::Same | Self::Aside => ' ',
            Self::Add => '+',
            Self::Remove => '-',
            Self::Change => '~',
        }
    }
}

/// One line, clean and without the white space before its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedLine {
    pub sign: Sign,
    pub depth: usize,
    pub text: String,
    /// `file:line` and why it forces a replacement.
    pub comment: Option<String>,
}

/// How much is shown of what is long.
#[derive(Debug, Clone, Copy)]
pub struct LineLimits {
    /// Characters of one value.
    pub value: usize,
    /// Lines of one attribute.
    pub lines: usize,
}

impl LineLimits {
    pub const BRIEF: Self = Self { value: 120, lines: 60 };
    pub const WIDE: Self = Self { value: 2000, lines: 2000 };
}

/// A longer text is compared by its digest: a diff of it takes too long, and nobody reads it. A guess: 5,000 lines of 50
/// bytes.
const DIFF_BYTES_MAX: usize = 256 * 1024;
/// The same for texts with more lines and lists with more items: a diff takes quadratic time at worst.
const DIFF_ITEMS_MAX: usize = 5000;
/// A list or a map stands on one line if each of its two forms is no longer than this, in characters: both and an arrow fit
/// in 100 columns.
const INLINE_MAX: usize = 48;

/// Every line of one attribute.
pub fn attribute(change: &AttributeChange, limits: LineLimits) -> Vec<RenderedLine> {
    let mut comment = Vec::new();
    comment.extend(change.place.as_deref().map(escape_control));
    comment.extend(
        change.replaces.as_deref().map(|it| format!("forces replacement: {}", escape_control(it))),
    );
    let mut lines = difference(&key(&change.name), &change.before, &change.after, limits);
    if let (Some(first), false) = (lines.first_mut(), comment.is_empty()) {
        first.comment = Some(comment.join(", "));
    }
    lines
}

/// Every line of one named value that was and will be.
pub fn difference(
    name: &str,
    before: &Value,
    after: &Value,
    limits: LineLimits,
) -> Vec<RenderedLine> {
    let mut lines = Vec::new();
    LineWriter { lines: &mut lines, limits }.value(0, name, before, after);
    if lines.len() > limits.lines {
        let over = lines.split_off(limits.lines);
        let text: String = over.iter().map(|it| it.text.as_str()).collect();
        let more = format!("… {}, {}", count(over.len(), "more line"), fingerprint(&text));
        lines.push(RenderedLine { sign: Sign::Aside, depth: 1, text: more, comment: None });
    }
    lines
}

struct LineWriter<'a> {
    lines: &'a mut Vec<RenderedLine>,
    limits: LineLimits,
}

impl LineWriter<'_> {
    fn push(&mut self, sign: Sign, depth: usize, text: String) {
        self.lines.push(RenderedLine { sign, depth, text, comment: None });
    }

    fn value(&mut self, depth: usize, name: &str, before: &Value, after: &Value) {
        let sign = match (before, after) {
            (Value::Null, _) => Sign::Add,
            (_, Value::Null) => Sign::Remove,
            _ => Sign::Change,
        };
        if is_long_text(before) || is_long_text(after) {
            return self.text(depth, name, sign, before, after);
        }
        if !is_short(before) || !is_short(after) {
            if let (Some(before), Some(after)) = (map_of(before), map_of(after)) {
                self.push(sign, depth, format!("{name}:"));
                return self.map(depth + 1, &before, &after);
            }
            if let (Some(before), Some(after)) = (list_of(before), list_of(after)) {
                self.push(sign, depth, format!("{name}:"));
                return self.list(depth + 1, &before, &after);
            }
        }
        self.one(depth, name, sign, before, after);
    }

    /// On one line; a value beside null stands alone.
    fn one(&mut self, depth: usize, name: &str, sign: Sign, before: &Value, after: &Value) {
        let show = |it: &Value| cut(&inline(it), self.limits.value);
        let text = match sign {
            Sign::Add => format!("{name}: {}", show(after)),
            Sign::Remove => format!("{name}: {}", show(before)),
            _ if is_secret(before) && is_secret(after) => {
                format!("{name}: {SENSITIVE} → {SENSITIVE}, the values differ")
            }
            _ => format!("{name}: {} → {}", show(before), show(after)),
        };
        self.push(sign, depth, text);
    }

    fn map(&mut self, depth: usize, before: &Attributes, after: &Attributes) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let mut same = 0;
        for name in names {
            let of = |map: &Attributes| map.get(name).cloned().unwrap_or_default();
            let (old, new) = (of(before), of(after));
            if old == new {
                same += 1;
            } else {
                self.value(depth, &key(name), &old, &new);
            }
        }
        self.unchanged(depth, same);
    }

    fn list(&mut self, depth: usize, before: &[Value], after: &[Value]) {
        let shown = |items: &[Value]| items.iter().map(inline).collect::<Vec<_>>();
        let (before, after) = (shown(before), shown(after));
        let mut same = 0;
        for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
            if let DiffOp::Equal { len, .. } = op {
                same += len;
                continue;
            }
            for it in &before[op.old_range()] {
                self.push(Sign::Remove, depth, cut(it, self.limits.value));
            }
            for it in &after[op.new_range()] {
                self.push(Sign::Add, depth, cut(it, self.limits.value));
            }
        }
        self.unchanged(depth, same);
    }

    fn unchanged(&mut self, depth: usize, same: usize) {
        if same > 0 {
            self.push(Sign::Aside, depth, format!("({same} unchanged)"));
        }
    }

    /// A text of several lines by its size, and by its differences when both sides are known.
    fn text(&mut self, depth: usize, name: &str, sign: Sign, before: &Value, after: &Value) {
        let size = |it: &Value| match it {
            Value::Text(text) => format!("{}, {}", count(text.len(), "byte"), fingerprint(text)),
            other => inline(other),
        };
        let head = match sign {
            Sign::Add => format!("{name}: {}", size(after)),
            Sign::Remove => format!("{name}: {}", size(before)),
            _ => format!("{name}: {} → {}", size(before), size(after)),
        };
        self.push(sign, depth, head);
        let text = |it: &Value| match it {
            Value::Null => Some(String::new()),
            other => other.as_text().filter(|it| is_comparable(it)).map(ToOwned::to_owned),
        };
        if let (Some(old), Some(new)) = (text(before), text(after)) {
            self.hunks(depth + 1, sign, &old, &new);
        }
    }

    /// A unified diff with three lines of context.
    fn hunks(&mut self, depth: usize, whole: Sign, old: &str, new: &str) {
        let diff = TextDiff::from_lines(old, new);
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            if whole == Sign::Change {
                self.push(Sign::Aside, depth, hunk.header().to_string().trim_end().to_owned());
            }
            for change in hunk.iter_changes() {
                let sign = match change.tag() {
                    ChangeTag::Equal => Sign::Same,
                    ChangeTag::Delete => Sign::Remove,
                    ChangeTag::Insert => Sign::Add,
                };
                let line = change.value().strip_suffix('\n').unwrap_or(change.value());
                self.push(sign, depth, cut(&escape_control(line), self.limits.value));
                if change.missing_newline() {
                    self.push(Sign::Aside, depth, "(no newline at the end)".into());
                }
            }
        }
    }
}

/// Null is an empty map beside a map.
fn map_of(value: &Value) -> Option<Attributes> {
    match value {
        Value::Null => Some(Attributes::new()),
        Value::Map(map) => Some(map.clone()),
        _ => None,
    }
}

/// Null is an empty list beside a list.
fn list_of(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::List(items) if items.len() <= DIFF_ITEMS_MAX => Some(items.clone()),
        _ => None,
    }
}

/// Whether it takes little room on a line that it shares.
pub fn is_short(value: &Value) -> bool {
    inline(value).chars().count() <= INLINE_MAX
}

fn is_comparable(text: &str) -> bool {
    text.len() <= DIFF_BYTES_MAX && text.lines().count() <= DIFF_ITEMS_MAX
}

fn is_long_text(value: &Value) -> bool {
    value.as_text().is_some_and(|it| it.trim_end_matches('\n').contains('\n'))
}

fn is_secret(value: &Value) -> bool {
    matches!(value, Value::Secret(_) | Value::Fingerprint(_))
}
