//! Two audits compared: which findings a change adds, and which it removes.

use std::collections::BTreeMap;

use crate::engine::recovery::audit::finding::{Audit, Finding};
use crate::engine::recovery::audit::rules::INVALID;

/// A finding, and the overlay that it is of; `None`: the stack as it is at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFinding<'a> {
    pub overlay: Option<&'a str>,
    pub finding: &'a Finding,
}

/// What is in one of two audits alone, the worst first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDifference<'a> {
    pub added: Vec<PlacedFinding<'a>>,
    pub removed: Vec<PlacedFinding<'a>>,
}

/// A finding is the same where the same rule speaks of the same address in the same overlay as gravely as before: lines move, and
/// sentences tell ages.
pub fn compared<'a>(before: &'a Audit, after: &'a Audit) -> AuditDifference<'a> {
    let mut removed = beyond(before, after);
    // Of layers with mistakes nothing else is known, and of nothing where home has some.
    let is_unknown = |overlay: Option<&str>| {
        let invalid = placed(after).filter(|it| *it.finding.rule == INVALID);
        let mut of = invalid.map(|it| it.overlay);
        of.any(|it| it.is_none() || it == overlay)
    };
    removed.retain(|it| *it.finding.rule == INVALID || !is_unknown(it.overlay));
    AuditDifference { added: beyond(after, before), removed }
}

/// What the first has and the second does not; of several that are the same, as many as are more.
fn beyond<'a>(all: &'a Audit, known: &Audit) -> Vec<PlacedFinding<'a>> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for it in placed(known) {
        *counts.entry(key(&it)).or_default() += 1;
    }
    let mut found: Vec<PlacedFinding<'_>> = Vec::new();
    for it in placed(all) {
        match counts.get_mut(&key(&it)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => found.push(it),
        }
    }
    found.sort_by_key(|it| std::cmp::Reverse(it.finding.level));
    found
}

fn placed(audit: &Audit) -> impl Iterator<Item = PlacedFinding<'_>> {
    audit.sections.iter().flat_map(|section| {
        let overlay = section.overlay.as_deref();
        section.findings.iter().map(move |finding| PlacedFinding { overlay, finding })
    })
}

fn key<'a>(it: &PlacedFinding<'a>) -> (Option<&'a str>, &'static str, Option<&'a str>, u8) {
    let finding = it.finding;
    (it.overlay, finding.rule.id, finding.subject.as_deref(), finding.level as u8)
}

#[cfg(test)]
mod tests {
    use super::compared;
    use crate::engine::recovery::audit::checks::practice::NO_RECOVERY;
    use crate::engine::recovery::audit::finding::{Audit, AuditSection, Finding, Level};
    use crate::engine::recovery::audit::rules::INVALID;

    fn audit(findings: &[(Option<&str>, &str, Level)]) -> Audit {
        let mut audit = Audit::default();
        for (overlay, subject, level) in findings {
            let finding = Finding::new(&NO_RECOVERY, None, format!("{} of them", findings.len()));
            let findings = vec![finding.about(subject).at_level(*level)];
            let overlay = overlay.map(str::to_owned);
            audit.sections.push(AuditSection { overlay, findings, ..AuditSection::default() });
        }
        audit
    }

    fn said(before: &Audit, after: &Audit) -> String {
        let told = compared(before, after);
        let one = |sign: &str, it: &super::PlacedFinding<'_>| {
            let overlay = it.overlay.unwrap_or("home");
            format!(
                "{sign}{} {overlay} {}",
                it.finding.level.word(),
                it.finding.subject.as_deref().unwrap()
            )
        };
        let added = told.added.iter().map(|it| one("+", it));
        let removed = told.removed.iter().map(|it| one("-", it));
        added.chain(removed).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn compared_counts_the_same_finding_in_both_once() {
        let (warning, error) = (Level::Warning, Level::Error);
        let one = audit(&[(None, "web", warning), (Some("eu"), "web", warning)]);
        assert_eq!(said(&one, &one), "");
        assert_eq!(said(&one, &Audit::default()), "-warning home web, -warning eu web");
        let graver = audit(&[(None, "web", error), (Some("eu"), "web", warning)]);
        assert_eq!(said(&one, &graver), "+error home web, -warning home web");
        let twice = audit(&[(None, "web", warning), (None, "web", warning), (None, "lb", error)]);
        assert_eq!(said(&one, &twice), "+error home lb, +warning home web, -warning eu web");
    }

    #[test]
    fn compared_knows_nothing_of_layers_with_mistakes() {
        let before = audit(&[(None, "web", Level::Warning), (Some("eu"), "web", Level::Warning)]);
        let invalid = |overlay: Option<&str>| AuditSection {
            overlay: overlay.map(str::to_owned),
            findings: vec![Finding::new(&INVALID, None, "a mistake").about("it")],
            ..AuditSection::default()
        };
        let mut after = audit(&[(None, "web", Level::Warning)]);
        after.sections.push(invalid(Some("eu")));
        assert_eq!(said(&before, &after), "+error eu it");
        assert_eq!(said(&after, &before), "+warning eu web, -error eu it");
        let home = Audit { sections: vec![invalid(None)], ..Audit::default() };
        assert_eq!(said(&before, &home), "+error home it");
    }
}
