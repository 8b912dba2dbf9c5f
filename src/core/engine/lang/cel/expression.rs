//! Expressions inside `${…}`, with the place of every byte of them.

use crate::engine::lang::cel::code::{Code, CodePath, ExpressionError};
use crate::engine::lang::cel::compile;
use crate::engine::lang::yaml::place::Places;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

/// One compiled expression.
#[derive(Debug)]
pub struct Expression {
    pub text: String,
    pub code: Code,
    pub places: Places,
}

impl Expression {
    /// Compiles the text between `${` and `}`.
    pub fn new(text: &str, places: Places) -> Result<Self, Box<Diagnostic>> {
        match compile::compile(text) {
            Ok(code) => Ok(Self { text: text.to_owned(), code, places }),
            Err(trouble) => Err(Box::new(diagnostic(&trouble, text, &places))),
        }
    }

    pub fn span(&self) -> Span {
        self.places.span(&self.text, 0, self.text.len())
    }

    /// The span of a range of its text.
    pub fn place(&self, start: u32, end: u32) -> Span {
        self.places.span(&self.text, start as usize, end as usize)
    }

    pub fn diagnostic(&self, trouble: &ExpressionError) -> Diagnostic {
        diagnostic(trouble, &self.text, &self.places)
    }

    /// Every path to another value, in the order of the text; comprehension variables are not among them.
    pub fn paths(&self) -> Vec<&CodePath> {
        let mut found = Vec::new();
        self.code.paths(&mut found);
        found
    }

    /// Every code that says which file is read.
    pub fn files(&self) -> Vec<&Code> {
        let mut found = Vec::new();
        self.code.files(&mut found);
        found
    }

    /// The path, if the expression is nothing else.
    pub fn as_path(&self) -> Option<&CodePath> {
        match &self.code {
            Code::Path(path) => Some(path),
            Code::Cel(_) => None,
        }
    }
}

fn diagnostic(trouble: &ExpressionError, text: &str, places: &Places) -> Diagnostic {
    let span = places.span(text, trouble.start as usize, trouble.end as usize);
    let summary = match trouble.code {
        DiagnosticCode::BadExpression => "The expression cannot be read",
        DiagnosticCode::FailedExpression => "The expression cannot be computed",
        DiagnosticCode::UnknownReference => "Unknown reference",
        DiagnosticCode::UnknownVariable => "Unknown variable",
        DiagnosticCode::UnknownAttribute => "Unknown attribute",
        DiagnosticCode::UnknownFunction => "Unknown function",
        DiagnosticCode::TooCostly => "The expression costs too much",
        DiagnosticCode::FileProblem => "The file cannot be read",
        _ => "The expression is wrong",
    };
    let made = Diagnostic::error(trouble.code, summary).at(span, trouble.message.clone());
    match &trouble.help {
        Some(help) => made.help(help.clone()),
        None => made,
    }
}
