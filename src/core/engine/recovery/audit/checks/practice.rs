//! Whether the recovery is practised, and whether what serves can be replaced without a gap.

use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::checks::copies::REHEARSAL_MISSING;
use crate::engine::recovery::audit::facts::Drill;
use crate::engine::recovery::audit::finding::{
    AuditRule, AuditSection, Finding, FindingPlace, Level,
};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::schema::{OnChange, Rename};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::plain::counted;

const DAY_MILLISECONDS: i64 = 86_400_000;
/// How long a drill says something about the stack. A guess: a quarter of a year, a usual rhythm of drills.
const DRILL_DAYS: i64 = 90;

pub static NO_RECOVERY: AuditRule = AuditRule {
    id: "no-recovery",
    level: Level::Warning,
    title: "No overlay describes a recovery",
    remedy: "write an overlay with `assumes_lost: [FAULT_DOMAIN]` that sends users elsewhere",
};
pub static ASSUMES_NOTHING: AuditRule = AuditRule {
    id: "assumes-nothing",
    level: Level::Warning,
    title: "The overlay has no `assumes_lost`",
    remedy: "write `assumes_lost: [FAULT_DOMAIN]`: without it, only a planned switch can be audited",
};
pub static DRILL_OLD: AuditRule = AuditRule {
    id: "drill-old",
    level: Level::Warning,
    title: "The last drill was long ago",
    remedy: "run `drill`",
};
pub static DRILL_FAILED: AuditRule = AuditRule {
    id: "drill-failed",
    level: Level::Warning,
    title: "The last drill failed",
    remedy: "read its report, fix what failed, and run `drill` again",
};
pub static DRILL_NEVER: AuditRule = AuditRule {
    id: "drill-never",
    level: Level::Note,
    title: "The switch has never been rehearsed",
    remedy: "write an overlay with `workspace: drill` and `rehearses`, and run `drill`",
};
pub static REPLACE_GAP: AuditRule = AuditRule {
    id: "replace-gap",
    level: Level::Warning,
    title: "A new revision takes down a serving resource before its replacement exists",
    remedy: "write `lifecycle: { create_before_destroy: true }`",
};

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    let place = || overlay_top(case.recovery);
    if case.lost.is_empty() {
        let why = format!("`{}` has no `assumes_lost`", case.overlay);
        out.findings.push(Finding::new(&ASSUMES_NOTHING, Some(place()), why));
    }
    if !is_rehearsed(case) {
        let why = format!("no overlay has `rehearses: {}`", case.overlay);
        out.findings.push(Finding::new(&REHEARSAL_MISSING, Some(place()), why));
    }
    drilled(case, place(), out);
    for item in case.home_closure.iter().filter_map(|it| case.home.item(it)) {
        gap(case.home, item, out);
    }
    for item in case.living() {
        gap(case.recovery, item, out);
    }
}

/// The beginning of the topmost layer.
fn overlay_top(side: &Side<'_>) -> FindingPlace {
    let layers = side.stack.overlays.len();
    let source = u32::try_from(layers).unwrap_or(0);
    let span =
        crate::engine::text::diagnostic::Span { source, line: 1, column: 1, start: 0, end: 0 };
    side.place(span)
}

fn is_rehearsed(case: &AuditCase<'_>) -> bool {
    case.facts.rehearsals.values().flatten().any(|it| it == case.overlay)
}

fn drilled(case: &AuditCase<'_>, place: FindingPlace, out: &mut AuditSection) {
    let of_this = |it: &&Drill| it.overlays.iter().any(|it| it == case.overlay);
    let Some(last) = case.facts.drills.iter().filter(of_this).max_by_key(|it| it.at) else {
        if !is_rehearsed(case) {
            return;
        }
        let why = format!("there is no report of a drill of `{}`", case.overlay);
        let finding = Finding::new(&DRILL_NEVER, Some(place), why);
        let mut rehearsals = case.facts.rehearsals.iter();
        let own = rehearsals.find(|(_, of)| of.iter().any(|it| it == case.overlay));
        out.findings.push(match own {
            Some((drill, _)) => finding.remedy(format!(
                "run {}",
                AdvisedCommand::Drill { stack: &case.home.stack.name, to: drill, cleanup: false }
            )),
            None => finding,
        });
        return;
    };
    let days = (case.facts.now - last.at).max(0) / DAY_MILLISECONDS;
    let outcome = if last.passed { "passed" } else { "failed" };
    let when = if days == 0 {
        "less than a day ago".to_owned()
    } else {
        format!("{} ago", counted(days, "day"))
    };
    let text = format!("the last drill of `{}` was {when} and {outcome}", case.overlay);
    if !last.passed {
        out.findings.push(Finding::new(&DRILL_FAILED, Some(place), text.clone()));
    } else if days > DRILL_DAYS {
        out.findings.push(Finding::new(&DRILL_OLD, Some(place), text.clone()));
    }
    out.fact("drill", text);
}

/// Kinds that a new revision replaces can do so without a gap, and should.
fn gap(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let revisions =
        item.kind.settable().filter(|(_, it)| it.alike && it.on_change == OnChange::Replace);
    let names: Vec<String> = revisions.map(|(name, _)| format!("`{name}`")).collect();
    let resource = &item.instance.resource;
    if names.is_empty() || resource.lifecycle.create_before_destroy {
        return;
    }
    let place = side.place(resource.lifecycle.span.unwrap_or(resource.span));
    let why = format!("a change of {} deletes `{}` first", names.join(" or "), resource.name);
    let identity = &item.kind.identity;
    let finding = Finding::new(&REPLACE_GAP, Some(place), why).about(&resource.name);
    let is_possible = identity.rename == Rename::InPlace || !identity.unique;
    let finding = if is_possible {
        finding
    } else {
        finding.at_level(Level::Note).remedy(
            "the cloud cannot rename this kind: add a second one, and remove the first afterwards",
        )
    };
    if !out.findings.contains(&finding) {
        out.findings.push(finding);
    }
}
