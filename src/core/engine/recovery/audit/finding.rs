//! What an audit finds: rules with stable names, findings with place, reason and remedy, and facts worth knowing.

use crate::engine::state::record::Phase;
use crate::engine::text::diagnostic::{Sources, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// The recovery is slower or less sure than it could be.
    Warning,
    /// The recovery would fail, or lose data.
    Error,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct AuditRule {
    /// Stable and documented: `target-lost`.
    pub id: &'static str,
    /// How bad it is, unless a finding says otherwise.
    pub level: Level,
    pub title: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// A place in a file, written out: findings outlive their sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingPlace {
    /// Relative to the root.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl FindingPlace {
    pub fn of(sources: &Sources, span: Span) -> Self {
        let file = sources.get(span).map_or_else(String::new, |it| it.name.to_string());
        Self { file, line: span.line.max(1), column: span.column.max(1) }
    }
}

/// One defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static AuditRule,
    pub level: Level,
    pub place: Option<FindingPlace>,
    /// The address it is about.
    pub subject: Option<String>,
    pub why: String,
    pub remedy: String,
}

impl Finding {
    pub fn new(
        rule: &'static AuditRule,
        place: Option<FindingPlace>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            level: rule.level,
            place,
            subject: None,
            why: why.into(),
            remedy: rule.remedy.to_owned(),
        }
    }

    #[must_use]
    pub fn about(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Something that was worked out and is no defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `detection`, `ttl`, `capacity`, …
    pub name: &'static str,
    pub text: String,
}

/// What was found about the stack itself, or about one switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSection {
    /// `None`: the stack as it is at home.
    pub overlay: Option<String>,
    pub lost: Vec<String>,
    pub findings: Vec<Finding>,
    pub facts: Vec<Fact>,
    /// How far the switch to the overlay is; `None`: it is not active.
    pub active: Option<Phase>,
}

impl AuditSection {
    pub fn fact(&mut self, name: &'static str, text: impl Into<String>) {
        self.facts.push(Fact { name, text: text.into() });
    }
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    pub stack: String,
    pub home: Vec<String>,
    pub sections: Vec<AuditSection>,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
}

impl Audit {
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|it| &it.findings)
    }

    pub fn worst(&self) -> Option<Level> {
        self.findings().map(|it| it.level).max()
    }

    pub fn count(&self, level: Level) -> usize {
        self.findings().filter(|it| it.level == level).count()
    }
}
