//! An audit for a terminal or a log, as JSON, and the list of rules.

use serde_json::{Value, json as object};

use crate::engine::recovery::audit::finding::{Audit, AuditSection, Finding, Level};
use crate::engine::recovery::audit::rules::RULES;
use crate::engine::state::record::Phase;
use crate::engine::text::names::OverlayNames;
use crate::render::words::{count, escape_control};

/// The version of the JSON: a field that goes or changes its meaning makes a new one.
const VERSION: u32 = 1;

const BOLD: &str = "1";
const DIM: &str = "2";

pub fn text(audit: &Audit, color: bool) -> String {
    let mut page = AuditPage { text: String::new(), color };
    for section in &audit.sections {
        page.section(audit, section);
    }
    let total = [Level::Error, Level::Warning, Level::Note]
        .map(|level| count(audit.count(level), level.word()))
        .join(", ");
    page.text.push_str(&format!("{}\n", page.paint(BOLD, &format!("{}: {total}", audit.stack))));
    page.text
}

struct AuditPage {
    text: String,
    color: bool,
}

impl AuditPage {
    fn section(&mut self, audit: &Audit, section: &AuditSection) {
        let lost = if section.lost.is_empty() {
            "no fault domain is lost".to_owned()
        } else {
            format!("{} lost", section.lost.join(" and "))
        };
        let home = OverlayNames(&audit.home);
        let title = match &section.overlay {
            None => format!("{} at home ({home})", audit.stack),
            Some(overlay) => {
                let active = section.active.map_or_else(String::new, |phase| {
                    format!(", which is active now ({})", phase.word())
                });
                format!("{} after a switch to {overlay}{active}: {lost}", audit.stack)
            }
        };
        self.text.push_str(&format!("{}\n", self.paint(BOLD, &escape_control(&title))));
        for finding in &section.findings {
            self.finding(finding);
        }
        if section.findings.is_empty() {
            self.text.push_str("  no findings\n");
        }
        if !section.facts.is_empty() {
            self.text.push_str("  for information:\n");
        }
        for fact in &section.facts {
            let line = format!("    {}: {}", label(fact.name), escape_control(&fact.text));
            self.text.push_str(&format!("{}\n", self.paint(DIM, &line)));
        }
        self.text.push('\n');
    }

    fn finding(&mut self, finding: &Finding) {
        let color = match finding.level {
            Level::Error => "31",
            Level::Warning => "33",
            Level::Note => "36",
        };
        let head = format!("{} [{}]", finding.level.word(), finding.rule.id);
        let place = finding.place.as_ref().map_or_else(String::new, |it| {
            self.paint(DIM, &format!("  # {}:{}", escape_control(&it.file), it.line))
        });
        let title = finding.rule.title;
        self.text.push_str(&format!("  {}: {title}{place}\n", self.paint(color, &head)));
        self.text.push_str(&format!("      {}\n", escape_control(&finding.why)));
        self.text.push_str(&format!("      help: {}\n", escape_control(&finding.remedy)));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What a fact is called for people; programs match its name.
fn label(name: &str) -> &str {
    match name {
        "switch" => "setting",
        "way" => "scale-up",
        "clouds" => "not checked",
        other => other,
    }
}

/// `format`, `version`, `stack`, `home`, `at` (milliseconds since the Unix epoch), `summary`, `sections`.
pub fn json(audit: &Audit) -> String {
    let whole = object!({
        "format": "lifeboat audit",
        "version": VERSION,
        "stack": audit.stack,
        "home": audit.home,
        "at": audit.at,
        "summary": {
            "errors": audit.count(Level::Error),
            "warnings": audit.count(Level::Warning),
            "notes": audit.count(Level::Note),
        },
        "sections": audit.sections.iter().map(section).collect::<Vec<_>>(),
    });
    format!("{whole:#}\n")
}

fn section(section: &AuditSection) -> Value {
    object!({
        "overlay": section.overlay,
        "lost": section.lost,
        "active": section.active.map(Phase::word),
        "findings": section.findings.iter().map(finding).collect::<Vec<_>>(),
        "facts": section.facts.iter()
            .map(|it| object!({ "name": it.name, "text": it.text }))
            .collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    object!({
        "rule": finding.rule.id,
        "severity": finding.level.word(),
        "file": finding.place.as_ref().map(|it| &it.file),
        "line": finding.place.as_ref().map(|it| it.line),
        "column": finding.place.as_ref().map(|it| it.column),
        "subject": finding.subject,
        "title": finding.rule.title,
        "why": finding.why,
        "remedy": finding.remedy,
    })
}

/// Every rule with its severity and what to do.
pub fn rules() -> String {
    let mut text = String::new();
    for rule in RULES {
        text.push_str(&format!(
            "{} ({})\n    {}\n    help: {}\n",
            rule.id,
            rule.level.word(),
            rule.title,
            rule.remedy
        ));
    }
    text
}
