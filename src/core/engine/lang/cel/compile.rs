//! Compiles the text of an expression: paths natively, all else by CEL.

use std::sync::Arc;

use crate::engine::lang::cel::code::{Code, ExpressionError};
use crate::engine::lang::cel::functions::ENV;
use crate::engine::lang::cel::path;
use crate::engine::lang::cel::syntax::{reworded, small};
use crate::engine::lang::cel::walk::finish;
use crate::engine::text::codes::DiagnosticCode;

/// The longest expression, in bytes: every shape of this length was seen to survive a stack of 4 MiB, and a longer one could
/// exhaust it by its depth.
pub const BYTES_MAX: usize = 4096;
/// The most operators, dots and brackets: each may make the syntax tree one level deeper, and the parser, the evaluator and
/// the drop of the tree recurse over it. 400 levels fit the stack several times.
const OPERATORS_MAX: usize = 400;
/// How deep parentheses may be nested: half of the parser's own limit of 96, since it takes many frames for each level.
const DEPTH_MAX: u16 = 48;

/// Compiles an expression.
pub fn compile(text: &str) -> Result<Code, ExpressionError> {
    if text.len() > BYTES_MAX {
        let all = (0, small(text.len()));
        let wrong = ExpressionError::new(
            DiagnosticCode::BadExpression,
            all,
            format!("longer than {BYTES_MAX} bytes"),
        );
        return Err(
            wrong.help("move long text into a file and read it with `file(…)` or `template(…)`")
        );
    }
    match path::parse(text) {
        Some(path) => Ok(Code::Path(path)),
        None => compile_cel(text),
    }
}

/// Compiles with CEL even what would be a path.
pub fn compile_cel(text: &str) -> Result<Code, ExpressionError> {
    compile_with(text, false)
}

/// Compiles a kind's rule or a template's part, in which `type` and the like are names.
pub fn compile_rule(text: &str) -> Result<Code, ExpressionError> {
    compile_with(text, true)
}

fn compile_with(text: &str, types_are_names: bool) -> Result<Code, ExpressionError> {
    if text.trim().is_empty() {
        return Err(ExpressionError::new(
            DiagnosticCode::BadExpression,
            (0, small(text.len())),
            "the expression is empty",
        ));
    }
    if operators(text) > OPERATORS_MAX {
        let wrong = format!("more than {OPERATORS_MAX} operators, dots and brackets");
        return Err(ExpressionError::new(
            DiagnosticCode::BadExpression,
            (0, small(text.len())),
            wrong,
        )
        .help(
            "make it shorter, or move the text that it builds into a file that `template(…)` reads",
        ));
    }
    let parser = ENV.parser().max_recursion_depth(DEPTH_MAX);
    let (tree, info) = parser.parse_with_source_info(text).map_err(|it| reworded(&it, text))?;
    finish(tree, &Arc::new(info), text, types_are_names)
}

/// How many characters outside of texts can make a syntax tree deeper.
fn operators(text: &str) -> usize {
    // With escapes, raw or triple quotes in it, where a text ends is not told so simply: all of it counts.
    let is_simple = !["\\", "\'\'\'", "\"\"\""].iter().any(|it| text.contains(it));
    let mut quote = None;
    let mut count = 0;
    for it in text.chars() {
        match quote {
            Some(open) => quote = (it != open).then_some(open),
            None if is_simple && matches!(it, '\'' | '"') => quote = Some(it),
            None if "+-*/%.[({!?&|=<>".contains(it) => count += 1,
            None => {}
        }
    }
    // `in` is an operator too.
    count + text.matches(" in ").count()
}
