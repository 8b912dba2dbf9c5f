//! What a change does beside its plan, for whoever reviews it: findings of the audit, policies, and where the state is kept.

use crate::engine::lang::model::{Policy, Stack};
use crate::engine::recovery::audit::compared::{AuditDifference, PlacedFinding};
use crate::engine::recovery::audit::finding::Level;
use crate::engine::text::plain::listed;
use crate::render::words::count;

/// How many findings are told one by one, added before removed and the worst first.
const FINDINGS_MAX: usize = 8;

/// Which findings come and go, with a line for each; nothing where none does.
pub fn audit_sentence(difference: &AuditDifference<'_>) -> Option<String> {
    let AuditDifference { added, removed } = difference;
    let parts = [("adds", added), ("removes", removed)];
    let told: Vec<String> = parts
        .iter()
        .filter(|(_, all)| !all.is_empty())
        .map(|(verb, all)| format!("{verb} {}", levels(all)))
        .collect();
    if told.is_empty() {
        return None;
    }
    let mut lines = vec![format!("audit: this change {}", listed(told.iter().map(String::as_str)))];
    let each = parts.iter().flat_map(|(verb, all)| all.iter().map(move |it| (*verb, it)));
    lines.extend(each.take(FINDINGS_MAX).map(|(verb, it)| line(verb, it)));
    let more = (added.len() + removed.len()).saturating_sub(FINDINGS_MAX);
    if more > 0 {
        lines.push(format!("- and {more} more, which an audit of the stack lists"));
    }
    Some(lines.join("\n"))
}

/// `1 error and 2 warnings`
fn levels(all: &[PlacedFinding<'_>]) -> String {
    let of = |level: Level| all.iter().filter(|it| it.finding.level == level).count();
    let counted = [Level::Error, Level::Warning, Level::Note].map(|it| (of(it), it.word()));
    let counted = counted.into_iter().filter(|(number, _)| *number > 0);
    let counted: Vec<String> = counted.map(|(number, word)| count(number, word)).collect();
    listed(counted.iter().map(String::as_str))
}

fn line(verb: &str, it: &PlacedFinding<'_>) -> String {
    let finding = it.finding;
    let subject = finding.subject.as_ref().map(|it| format!(" of `{it}`")).unwrap_or_default();
    let overlay = it.overlay.map(|it| format!(" in `{it}`")).unwrap_or_default();
    let place = finding.place.as_ref().map(|it| format!(" ({}:{})", it.file, it.line));
    // Where something was is in another commit.
    let place = place.filter(|_| verb == "adds").unwrap_or_default();
    format!(
        "- {verb} {} `{}`{subject}{overlay}{place}: {}",
        finding.level.word(),
        finding.rule.id,
        finding.why.replace('\n', " ")
    )
}

/// Which policies are not what they were; nothing where all are.
pub fn policies_sentence(before: &Stack, after: &Stack) -> Option<String> {
    let is_same = |one: &Policy, other: &Policy| {
        (one.level, one.in_switch) == (other.level, other.in_switch)
            && one.rule.text == other.rule.text
    };
    let named = |all: Vec<&String>, verb: &str| {
        let names: Vec<String> = all.into_iter().map(|it| format!("`{it}`")).collect();
        (!names.is_empty()).then(|| format!("{verb} {}", listed(names.iter().map(String::as_str))))
    };
    let (old, new) = (&before.policies, &after.policies);
    let told = [
        named(old.keys().filter(|it| !new.contains_key(*it)).collect(), "removes"),
        named(
            new.iter()
                .filter(|(name, it)| old.get(*name).is_some_and(|old| !is_same(old, it)))
                .map(|it| it.0)
                .collect(),
            "changes",
        ),
        named(new.keys().filter(|it| !old.contains_key(*it)).collect(), "adds"),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty())
        .then(|| format!("policies: this change {}", listed(told.iter().map(String::as_str))))
}

/// Where the state is kept, where that changes: what is recorded stays where it was until somebody migrates it.
pub fn state_sentence(before: &str, after: &str) -> Option<String> {
    (before != after).then(|| {
        format!("state: this change keeps the state in `{after}`, no longer in `{before}`; this plan is made from what is in `{after}` now")
    })
}

#[cfg(test)]
mod tests {
    use super::{audit_sentence, state_sentence};
    use crate::engine::recovery::audit::compared::{AuditDifference, PlacedFinding};
    use crate::engine::recovery::audit::finding::{Finding, FindingPlace, Level};
    use crate::engine::recovery::audit::rules::INVALID;

    #[test]
    fn audit_sentence_counts_and_names_the_worst() {
        let at = |line| Some(FindingPlace { file: "stack.yaml".into(), line, column: 1 });
        let finding = |subject: &str, level, line| {
            Finding::new(&INVALID, at(line), format!("why of {subject}"))
                .about(subject)
                .at_level(level)
        };
        let error = finding("web", Level::Error, 3);
        let warning = finding("lb", Level::Warning, 4);
        let placed = |overlay, finding| PlacedFinding { overlay, finding };
        let difference = AuditDifference {
            added: vec![placed(Some("eu"), &error), placed(None, &warning), placed(None, &warning)],
            removed: vec![placed(None, &error)],
        };
        insta::assert_snapshot!(audit_sentence(&difference).unwrap(), @r"
        audit: this change adds 1 error and 2 warnings and removes 1 error
        - adds error `invalid` of `web` in `eu` (stack.yaml:3): why of web
        - adds warning `invalid` of `lb` (stack.yaml:4): why of lb
        - adds warning `invalid` of `lb` (stack.yaml:4): why of lb
        - removes error `invalid` of `web`: why of web
        ");
        let many = AuditDifference { added: vec![placed(None, &error); 30], removed: Vec::new() };
        let told = audit_sentence(&many).unwrap();
        assert_eq!((told.lines().count(), told.contains("and 22 more")), (10, true), "{told}");
        assert_eq!(audit_sentence(&AuditDifference::default()), None);
    }

    #[test]
    fn state_sentence_tells_only_a_move() {
        assert_eq!(state_sentence("s3://a/b", "s3://a/b"), None);
        assert!(
            state_sentence("s3://a/b", "state/shop").unwrap().contains("no longer in `s3://a/b`")
        );
    }
}
