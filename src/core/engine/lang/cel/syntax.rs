//! CEL's syntax tree: its parts, the chains of names and indexes in it, where they stand in the text, and its mistakes in our words.

use cel::common::ast::operators::INDEX;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::{IdedExpr, ParseErrors};

use crate::engine::lang::cel::code::ExpressionError;
use crate::engine::text::codes::DiagnosticCode;

/// A step of a chain, from its root outwards.
pub enum Link {
    Name(String),
    Index(u32),
    /// The index is not constant.
    Other,
}

/// The range of bytes of a node's token.
pub fn token(info: &SourceInfo, text: &str, id: u64) -> (u32, u32) {
    let length = small(text.len());
    let (start, stop) = info.offset_for(id).unwrap_or((0, length));
    let start = floor(text, start.min(length));
    (start, floor(text, stop.saturating_add(1).clamp(start, length)).max(start))
}

fn floor(text: &str, mut at: u32) -> u32 {
    while !text.is_char_boundary(at as usize) {
        at -= 1;
    }
    at
}

/// The token of a call is its parenthesis; a function's name stands before it.
pub fn named(text: &str, parenthesis: u32, name: &str) -> u32 {
    let before = text.get(..parenthesis as usize).unwrap_or_default().trim_end();
    if before.ends_with(name) { small(before.len() - name.len()) } else { parenthesis }
}

/// The leaf that an expression is, if it is one.
pub fn leaf_of(expr: &IdedExpr) -> Option<usize> {
    match &expr.expr {
        Expr::Ident(name) => name.strip_prefix('@')?.parse().ok(),
        _ => None,
    }
}

/// The direct parts of an expression.
pub fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|it| match &it.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        Expr::Comprehension(it) => {
            vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result]
        }
        Expr::Struct(it) => it
            .entries
            .iter()
            .filter_map(|it| match &it.expr {
                EntryExpr::StructField(field) => Some(&field.value),
                EntryExpr::MapEntry(_) => None,
            })
            .collect(),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

/// The root's name and the steps, if an expression is a name followed by fields and indexes.
pub fn chain(expr: &IdedExpr) -> Option<(String, Vec<Link>)> {
    let mut links = Vec::new();
    let mut at = expr;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                links.reverse();
                return Some((name.clone(), links));
            }
            Expr::Select(select) if !select.test => {
                links.push(Link::Name(select.field.clone()));
                at = &select.operand;
            }
            Expr::Call(call) if call.func_name == INDEX => {
                let [operand, index] = call.args.as_slice() else { return None };
                links.push(match &index.expr {
                    Expr::Literal(LiteralValue::String(key)) => Link::Name(key.inner().to_owned()),
                    Expr::Literal(LiteralValue::Int(index)) => {
                        u32::try_from(*index.inner()).map_or(Link::Other, Link::Index)
                    }
                    _ => Link::Other,
                });
                at = operand;
            }
            _ => return None,
        }
    }
}

/// The node `depth` levels towards the root of a chain.
pub fn nth(mut expr: &IdedExpr, depth: usize) -> &IdedExpr {
    for _ in 0..depth {
        expr = match &expr.expr {
            Expr::Select(select) => &select.operand,
            Expr::Call(call) => &call.args[0],
            _ => return expr,
        };
    }
    expr
}

pub fn nth_mut(mut expr: &mut IdedExpr, depth: usize) -> &mut IdedExpr {
    for _ in 0..depth {
        expr = match &mut expr.expr {
            Expr::Select(select) => &mut select.operand,
            Expr::Call(call) => &mut call.args[0],
            _ => unreachable!("`chain` counted the levels"),
        };
    }
    expr
}

pub fn root_of(expr: &IdedExpr) -> &IdedExpr {
    nth(expr, usize::MAX)
}

pub fn index_of(node: &IdedExpr) -> &IdedExpr {
    match &node.expr {
        Expr::Call(call) => call.args.get(1).unwrap_or(node),
        _ => node,
    }
}

/// CEL's first error in words for people. Its own Display panics for far columns and speaks of grammar.
pub fn reworded(errors: &ParseErrors, text: &str) -> ExpressionError {
    let Some(error) = errors.errors.first() else {
        return ExpressionError::new(
            DiagnosticCode::BadExpression,
            (0, small(text.len())),
            "this is not a valid expression",
        );
    };
    let at = offset(text, error.pos);
    let quoted = error.msg.split('\'').nth(1).unwrap_or_default();
    let next = text[at..].chars().next().map_or(at, |it| at + it.len_utf8());
    let range = (small(at), small(next));
    let trouble =
        |message: String| ExpressionError::new(DiagnosticCode::BadExpression, range, message);
    if error.msg.contains("'<EOF>'") && at >= text.trim_end().len() {
        return trouble("the expression is incomplete".to_owned());
    }
    if let Some(word) = error.msg.strip_prefix("reserved identifier: ") {
        let mut said = trouble(format!("`{word}` is a reserved word"));
        if word == "var" {
            said.help = Some("a variable is `vars.NAME`".to_owned());
        }
        return said;
    }
    if error.msg.contains("recursion") {
        return trouble("nested too deeply".to_owned());
    }
    if error.msg.contains("argument must be a simple name") {
        return trouble("the first argument must be a name".to_owned());
    }
    let found = if error.msg.contains("token recognition") && !quoted.is_empty() {
        quoted
    } else {
        &text[at..next]
    };
    match found {
        "" => trouble("the expression is incomplete".to_owned()),
        it if it.starts_with(['\'', '"']) => trouble("this text has no closing quote".to_owned()),
        it if it.starts_with('=') => {
            trouble("`=` compares nothing".to_owned()).help("to compare, write `==`")
        }
        it => trouble(format!("`{}` cannot stand here", it.chars().take(20).collect::<String>())),
    }
}

/// The byte offset of a line and a column in characters, both from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let mut start = 0;
    for it in text.split_inclusive('\n').take(line - 1) {
        start += it.len();
    }
    text[start..].char_indices().nth(column - 1).map_or(text.len(), |(at, _)| start + at)
}

pub fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
