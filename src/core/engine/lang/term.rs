//! From nodes to terms: finds the `${…}` in texts and compiles them.

use std::sync::Arc;

use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::model::{GivenAttribute, InstanceShape, Term, TextPart};
use crate::engine::lang::yaml::node::{Data, Node, Style};
use crate::engine::lang::yaml::place::ScalarPlaces;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};
use crate::engine::value::Value;

/// The most expressions of one text, counted with the plain text between them. A guess, far above what people write.
const PIECES_MAX: usize = 2_000;

/// Makes terms, and notes what is wrong with them.
pub struct Terms<'a> {
    pub sources: &'a Sources,
    pub out: &'a mut Vec<Diagnostic>,
}

enum TermPiece {
    Text(String),
    /// The range of an expression, without its braces.
    Code(usize, usize),
}

impl Terms<'_> {
    pub fn term(&mut self, node: &Node) -> Term {
        let shape = match &node.data {
            Data::Text(text) if opening(text).is_some() => self.text(node, text),
            Data::List(items) => {
                InstanceShape::List(items.iter().map(|it| self.term(it)).collect())
            }
            Data::Map(map) => InstanceShape::Map(
                map.iter()
                    .map(|(name, it)| {
                        (
                            String::from(&**name),
                            GivenAttribute { key: it.key, term: self.term(&it.node) },
                        )
                    })
                    .collect(),
            ),
            _ => InstanceShape::Literal(node.value()),
        };
        Term { span: node.span, shape }
    }

    fn text(&mut self, node: &Node, text: &str) -> InstanceShape {
        let source = self.sources.get(node.span).map_or("", |it| &it.text);
        let places = ScalarPlaces::new(node, text, source);
        if let Some(code) = whole(text) {
            return match Expression::new(code, places.part(2, 2 + code.len())) {
                Ok(expression) => InstanceShape::Expression(Arc::new(expression)),
                Err(wrong) => {
                    self.out.push(*wrong);
                    InstanceShape::Literal(Value::Open)
                }
            };
        }
        let pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(at) => {
                let span = places.part(at, at + 2).span("${", 0, 2);
                self.out.push(unclosed(span, node));
                return InstanceShape::Literal(Value::Open);
            }
        };
        if pieces.len() > PIECES_MAX {
            self.out.push(
                Diagnostic::error(
                    DiagnosticCode::TooManyExpressions,
                    "Too many expressions in one text",
                )
                .at(node.span, format!("more than {}", PIECES_MAX / 2))
                .help("use `template(…)`, or join a list: list.join('')"),
            );
            return InstanceShape::Literal(Value::Open);
        }
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.push(match piece {
                TermPiece::Text(text) => TextPart::Text(text),
                TermPiece::Code(start, end) => {
                    match Expression::new(&text[start..end], places.part(start, end)) {
                        Ok(expression) => TextPart::Expression(Arc::new(expression)),
                        Err(wrong) => {
                            self.out.push(*wrong);
                            return InstanceShape::Literal(Value::Open);
                        }
                    }
                }
            });
        }
        match parts.as_slice() {
            [] => InstanceShape::Literal(Value::text("")),
            [TextPart::Text(text)] => InstanceShape::Literal(Value::text(text.clone())),
            [TextPart::Expression(expression)] => InstanceShape::Expression(Arc::clone(expression)),
            _ => InstanceShape::Text(parts),
        }
    }
}

fn unclosed(span: Span, node: &Node) -> Diagnostic {
    let wrong =
        Diagnostic::error(DiagnosticCode::UnclosedExpression, "An expression is not closed")
            .at(span, "no `}` follows");
    if node.style == Style::Plain {
        wrong.help(
            "quote the expression: '${…}'; outside quotes, ` #` starts a comment and `: ` a map",
        )
    } else {
        wrong.help("for a literal `${` write `$${`")
    }
}

/// The offset of the first `${`.
fn opening(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|it| it == b"${")
}

/// The code of a text that is nothing but one expression.
fn whole(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${")?;
    inside.strip_suffix('}').filter(|it| closing(inside) == Some(it.len()))
}

/// Cuts a text at its expressions. The error is the offset of a `${` that is not closed.
fn split(text: &str) -> Result<Vec<TermPiece>, usize> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = opening(&text[at..]) {
        let start = at + found;
        if text[at..start].ends_with('$') {
            plain.push_str(&text[at..start - 1]);
            plain.push_str("${");
            at = start + 2;
            continue;
        }
        plain.push_str(&text[at..start]);
        let end = start + 2 + closing(&text[start + 2..]).ok_or(start)?;
        if !plain.is_empty() {
            pieces.push(TermPiece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(TermPiece::Code(start + 2, end));
        at = end + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(TermPiece::Text(plain));
    }
    Ok(pieces)
}

/// The offset of the `}` that ends an expression; those in texts and maps do not.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, it) in text.char_indices() {
        match (quote, it) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), _) => quote = (it != open).then_some(open),
            (None, '\'' | '"') => quote = Some(it),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// Every expression in a term.
pub fn expressions<'a>(term: &'a Term, found: &mut Vec<&'a Arc<Expression>>) {
    match &term.shape {
        InstanceShape::Literal(_) => {}
        InstanceShape::Expression(it) => found.push(it),
        InstanceShape::Text(parts) => found.extend(parts.iter().filter_map(|it| match it {
            TextPart::Expression(it) => Some(it),
            TextPart::Text(_) => None,
        })),
        InstanceShape::List(items) => items.iter().for_each(|it| expressions(it, found)),
        InstanceShape::Map(map) => map.values().for_each(|it| expressions(&it.term, found)),
    }
}
