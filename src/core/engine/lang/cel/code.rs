//! Compiled code: a path, or a CEL syntax tree whose paths to other values were taken out beforehand.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::SourceInfo;

use crate::engine::lang::cel::path::{self, Segment};
use crate::engine::text::codes::DiagnosticCode;

/// A path whose computed steps are expressions.
pub type CodePath = path::Path<Box<Code>>;

/// What evaluation runs.
#[derive(Debug)]
pub enum Code {
    /// Nothing but a path: looked up without CEL.
    Path(CodePath),
    Cel(Box<Cel>),
}

/// A CEL syntax tree in which `@0`, `@1` … stand for its leaves.
#[derive(Debug)]
pub struct Cel {
    pub tree: cel::IdedExpr,
    pub leaves: Vec<Leaf>,
    pub info: Arc<SourceInfo>,
}

/// A part of an expression that is looked up before CEL runs.
#[derive(Debug)]
pub enum Leaf {
    Path {
        path: CodePath,
        slice: Slice,
    },
    /// `file(path)`
    File {
        path: Code,
        start: u32,
        end: u32,
    },
    /// `template(path, map)`
    Template {
        path: Code,
        map: Code,
        start: u32,
        end: u32,
    },
}

/// How much of the value at a path an expression can see; what it cannot see may be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slice {
    Whole,
    /// Only how many there are.
    Shape,
    /// Only these members.
    Members(BTreeSet<String>),
    /// Only these members of its elements.
    Elements(BTreeSet<String>),
}

/// A mistake inside an expression's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    pub code: DiagnosticCode,
    pub start: u32,
    pub end: u32,
    pub message: String,
    pub help: Option<String>,
}

impl ExpressionError {
    pub fn new(code: DiagnosticCode, range: (u32, u32), message: impl Into<String>) -> Self {
        Self { code, start: range.0, end: range.1, message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Code {
    /// Every path to another value, in the order of the text.
    pub fn paths<'a>(&'a self, found: &mut Vec<&'a CodePath>) {
        match self {
            Self::Path(path) => steps(path, found),
            Self::Cel(cel) => {
                for leaf in &cel.leaves {
                    match leaf {
                        Leaf::Path { path, .. } => steps(path, found),
                        Leaf::File { path, .. } => path.paths(found),
                        Leaf::Template { path, map, .. } => {
                            path.paths(found);
                            map.paths(found);
                        }
                    }
                }
            }
        }
    }

    /// Every code that says which file is read.
    pub fn files<'a>(&'a self, found: &mut Vec<&'a Code>) {
        let Self::Cel(cel) = self else { return };
        for leaf in &cel.leaves {
            match leaf {
                Leaf::Path { path, .. } => {
                    for step in &path.steps {
                        if let Segment::Computed(code) = step {
                            code.files(found);
                        }
                    }
                }
                Leaf::File { path, .. } => {
                    path.files(found);
                    found.push(path);
                }
                Leaf::Template { path, map, .. } => {
                    path.files(found);
                    map.files(found);
                    found.push(path);
                }
            }
        }
    }
}

fn steps<'a>(path: &'a CodePath, found: &mut Vec<&'a CodePath>) {
    found.push(path);
    for step in &path.steps {
        if let Segment::Computed(code) = step {
            code.paths(found);
        }
    }
}
