//! Where an evaluation failed, and in which words that is told.

use cel::common::ast::operators::CONDITIONAL;
use cel::common::ast::{Expr, SourceInfo};
use cel::{Context, ExecutionError, IdedExpr};

use crate::engine::lang::cel::code::Leaf;
use crate::engine::lang::cel::functions::ITEMS;
use crate::engine::lang::cel::syntax::{children, leaf_of, named, token};
use crate::engine::text::plain::counted;

/// The innermost part that fails by itself. Parts of comprehensions need their variables and are left out.
pub fn culprit<'a>(expr: &'a IdedExpr, context: &Context<'_, '_>) -> &'a IdedExpr {
    let mut at = expr;
    loop {
        let parts = match &at.expr {
            Expr::Comprehension(it) => vec![&it.iter_range],
            Expr::Call(call) if call.func_name == CONDITIONAL => {
                let chosen = match cel::Value::resolve(&call.args[0], context) {
                    Ok(cel::Value::Bool(true)) => 1,
                    Ok(cel::Value::Bool(false)) => 2,
                    _ => 0,
                };
                vec![&call.args[chosen]]
            }
            Expr::Call(call) if call.target.as_ref().is_some_and(|it| is_namespace(it)) => {
                call.args.iter().collect()
            }
            _ => children(at),
        };
        match parts.into_iter().find(|it| cel::Value::resolve(it, context).is_err()) {
            Some(part) => at = part,
            None => return at,
        }
    }
}

fn is_namespace(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if !name.starts_with('@'))
}

/// The range of an expression: from its first to its last token.
pub fn extent(expr: &IdedExpr, info: &SourceInfo, text: &str, leaves: &[Leaf]) -> (u32, u32) {
    if let Some(leaf) = leaf_of(expr).and_then(|it| leaves.get(it)) {
        return match leaf {
            Leaf::Path { path, .. } => (path.start, path.end),
            Leaf::File { start, end, .. } | Leaf::Template { start, end, .. } => (*start, *end),
        };
    }
    let mut own = token(info, text, expr.id);
    if let Expr::Call(call) = &expr.expr {
        own.0 = named(text, own.0, &call.func_name);
    }
    if matches!(expr.expr, Expr::Comprehension(_)) {
        return own;
    }
    children(expr)
        .into_iter()
        .map(|it| extent(it, info, text, leaves))
        .fold(own, |all, it| (all.0.min(it.0), all.1.max(it.1)))
}

/// What went wrong, in words for people; never a value, since a message could carry a secret.
pub fn reworded(error: &ExecutionError, is_secret: bool) -> String {
    match error {
        ExecutionError::NoSuchKey(key) if !is_secret => format!("`{key}` does not exist"),
        ExecutionError::NoSuchKey(_) => "there is no such key".to_owned(),
        ExecutionError::NoSuchOverload(it) => overload(it.function(), it.argument_types()),
        ExecutionError::UnexpectedType { got, want } => {
            format!("found {} where {} is required", plain_type(got), plain_type(want))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            let types = [left.type_of().to_string(), right.type_of().to_string()];
            overload(operator, &types)
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number does not fit into 64 bits".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list is not that long".to_owned(),
        ExecutionError::DuplicateKey(_) => "a key is given twice".to_owned(),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("it takes {}, but got {actual}", counted(*expected, "argument"))
        }
        ExecutionError::UndeclaredReference(name) => {
            format!("there is no function `{name}` for this value")
        }
        ExecutionError::FunctionError { function, message }
            if !is_secret && function.starts_with("cidr") =>
        {
            message.clone()
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` cannot be computed from this value")
        }
        _ => "this cannot be computed from these values".to_owned(),
    }
}

fn overload(function: &str, types: &[String]) -> String {
    if function == ITEMS {
        return "only lists and maps have elements".to_owned();
    }
    let operator = function.trim_matches(['_', '@']);
    let operator = match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        "[_]" | "[?_]" | "[_" => "[…]",
        other => other,
    };
    let types: Vec<&str> = types.iter().map(|it| plain_type(it)).collect();
    format!("`{operator}` cannot be applied to {}", types.join(" and "))
}

fn plain_type(name: &str) -> &str {
    match name {
        "string" => "text",
        "int" => "an integer",
        "uint" => "an unsigned integer",
        "double" | "float" => "a fractional number",
        "bool" => "true or false",
        "null" | "null_type" => "nothing",
        "list" => "a list",
        "map" => "a map",
        other => other,
    }
}
