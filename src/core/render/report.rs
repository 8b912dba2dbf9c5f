//! The report of a switch: a paragraph after a run, the whole for people and pull requests, and a list of many.

use serde_json::{Value as Json, json};

use crate::engine::recovery::report::codec::value;
use crate::engine::recovery::report::phases::ShiftRecord;
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::recovery::report::summary::{
    BoundBy, ObjectiveResult, ObjectiveVerdict, SwitchKind, SwitchReport,
};
use crate::engine::state::record::Phase;
use crate::engine::text::names::{OverlayNames, StackName};
use crate::render::escape::{code, prose};
use crate::render::words::{count, duration, escape_control, moment, users_are};

/// `failover of woocommerce to failover_eu`.
pub fn title(report: &SwitchReport) -> String {
    let kind = report.kind.word();
    format!("{kind} of {} to {}", name(report), overlays(&report.to))
}

/// `woocommerce@drill`.
fn name(report: &SwitchReport) -> String {
    let name = StackName { stack: &report.stack, workspace: report.instance.as_deref() };
    escape_control(&name.to_string())
}

fn overlays(names: &[String]) -> String {
    escape_control(&OverlayNames(names).to_string())
}

/// `0.4 s`, `59.9 s`, `2 min 5 s`.
pub fn took(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        duration(milliseconds.saturating_add(500) / 1_000)
    }
}

/// One line of the phases: what, how long, and what that means.
struct Row {
    phase: String,
    took: String,
    note: String,
}

/// The phases that took any time, and between them how long DNS caches may still send users the old way.
fn rows(report: &SwitchReport) -> Vec<Row> {
    let measured = report.measured();
    let (from, to) = (overlays(&report.from), overlays(&report.to));
    let mut rows: Vec<Row> = Vec::new();
    for (phase, milliseconds) in measured.phases.named() {
        let note = match phase {
            "detection" => "from when the site was last seen good, or an earlier switch began, until this one did"
                .to_owned(),
            "earlier" => "an earlier run of this switch, or a pause between runs".to_owned(),
            "idle" => "the process had died and no other run had taken over".to_owned(),
            "prepare" => format!("making {to} ready"),
            "replication" => "verifying replication".to_owned(),
            "gate" => format!("waiting for the health checks of {to}"),
            "traffic" => format!("shifting traffic to {to}"),
            "drain" => {
                format!(
                    "keeping {from} for twice the TTL, DNS caches included, until no DNS cache sends users there"
                )
            }
            "rest" => "making the remaining changes of the switch".to_owned(),
            "cleanup" if report.kind == SwitchKind::Drill => {
                "deleting what the drill had created".to_owned()
            }
            _ => "making the remaining changes".to_owned(),
        };
        // What comes after the users is as often a second server as something that is deleted; a drill deletes all of it.
        let is_rest = phase == "cleanup" && report.kind != SwitchKind::Drill;
        let shown = if is_rest { "rest" } else { phase };
        // Of a run that went on after users had moved nothing was prepared for them.
        let is_first = phase == "prepare" && (measured.has_traffic || measured.directed.is_none());
        if milliseconds > 0 || is_first {
            rows.push(Row { phase: shown.into(), took: took(milliseconds), note });
        }
        if let (Some(directed), "traffic") = (measured.directed, phase) {
            rows.push(Row {
                phase: "DNS caches".into(),
                took: took(directed.dns_bound.saturating_mul(1_000)),
                note: caches(report, directed, measured.phases.drain > 0),
            });
        }
    }
    // What a drill created is deleted whatever became of its switch.
    let is_cleaned = report.kind == SwitchKind::Drill && report.phase == Phase::Switching;
    let ends = rows.iter_mut().rfind(|it| !(is_cleaned && it.phase == "cleanup"));
    if let Some(last) = ends.filter(|_| !report.phase.is_settled()) {
        last.note.push_str("; not finished");
    }
    rows.extend(total(report, rows.len()));
    rows
}

/// From the begin to the end, where there is more than one line. What DNS caches take is no part of it: the drain waits for them.
fn total(report: &SwitchReport, lines: usize) -> Option<Row> {
    let whole = u64::try_from(report.span.ended - report.span.began).ok()?;
    let note = "in all; the time of DNS caches runs beside it".to_owned();
    let note = if report.measured().directed.is_some() { note } else { "in all".to_owned() };
    (lines > 1).then(|| Row { phase: "total".into(), took: took(whole), note })
}

/// How long DNS caches may still answer the old value, and what that means for the old target.
fn caches(report: &SwitchReport, directed: ShiftRecord, has_drained: bool) -> String {
    let until = directed.until();
    if report.kind == SwitchKind::Drill {
        return "in a real switch DNS caches would send some users to the old target for this long (the TTL)"
            .into();
    }
    let is_over = until <= report.span.ended;
    let reach = if is_over { "may have been sent" } else { "may be sent" };
    let waited = match (has_drained, report.lost.is_empty()) {
        (true, _) if is_over => "the drain below waited for them",
        (true, _) => "the drain below waits for them",
        (false, true) => "this switch deletes nothing of it, so it waited for nobody",
        (false, false) => "it is lost and serves nobody, so there is no drain",
    };
    let from = overlays(&report.from);
    format!("some users {reach} to {from} until {} (the TTL); {waited}", moment(until))
}

/// What is said of the data: under loss some of it may be gone, else what is measured is how late it arrives.
fn data(report: &SwitchReport) -> &'static str {
    let is_lost = !report.lost.is_empty() && report.kind != SwitchKind::Drill;
    match (is_lost, report.rpo().measured) {
        (false, _) => "replication delay",
        (true, Some(_)) => "possible data loss",
        // What is unknown is not called possible, nor excluded.
        (true, None) => "data loss",
    }
}

/// What the time until the last user has moved is called: nobody waits for a recovery where both sites serve.
fn recovery(report: &SwitchReport) -> &'static str {
    let is_planned = report.lost.is_empty() && report.kind != SwitchKind::Drill;
    if is_planned { "time to move all users" } else { "recovery time" }
}

/// A recovery counts from the outage, which only whoever saw it can say (`--last-good`).
fn counted_from(report: &SwitchReport) -> &'static str {
    let phases = report.measured().phases;
    if phases.detection > 0 || report.kind == SwitchKind::Drill {
        return "";
    }
    // A switch that was resumed counts from the command that began it.
    let is_resumed = phases.earlier > 0 || phases.idle > 0;
    if is_resumed { " from its first command on" } else { " from the command on" }
}

/// ` at most (heartbeat of 2026-11-24T12:00:00Z)`: what is behind by what came last is a bound.
fn bounded(report: &SwitchReport) -> String {
    let by = report.behind().filter(|it| report.rpo().measured == Some(it.bound));
    let told = by.map(|it| match it.by {
        BoundBy::Heartbeat => format!(" at most (heartbeat of {})", moment(it.at)),
        BoundBy::Gate => format!(" at most (replication was verified at {})", moment(it.at)),
    });
    told.unwrap_or_default()
}

/// `first good answer from outside: after 1 min 5 s`, where somebody saw one.
fn answered(report: &SwitchReport) -> Option<String> {
    let after = took(report.answered_after()?);
    Some(format!("first good answer from outside: after {after}{}", counted_from(report)))
}

/// `recovery time: 6 min 13 s, objective 15 min: met`.
fn compared(what: &str, it: &ObjectiveResult, from: &str) -> String {
    // Told once: what was not measured is neither met nor missed.
    if let (None, ObjectiveVerdict::NotMeasured(why)) = (it.measured, &it.verdict) {
        let objective = match it.objective {
            Some(objective) => format!("the objective is {}", duration(objective)),
            None => "the stack sets no objective".into(),
        };
        return format!("{what}: not measured, {why}; {objective}");
    }
    let measured = match (it.measured, &it.verdict) {
        (Some(measured), _) => format!("{}{from}", took(measured)),
        (None, _) => "not finished yet".into(),
    };
    let verdict = match &it.verdict {
        ObjectiveVerdict::Missed => "MISSED".to_owned(),
        ObjectiveVerdict::Unknown(why) => format!("unknown, {why}"),
        other => other.word().to_owned(),
    };
    match it.objective {
        Some(objective) => {
            format!("{what}: {measured}; objective {}: {verdict}", duration(objective))
        }
        None if matches!(it.verdict, ObjectiveVerdict::Unknown(_)) => {
            format!("{what}: {measured}: {verdict}; the stack sets no objective")
        }
        None => format!("{what}: {measured}; the stack sets no objective"),
    }
}

fn outcome(report: &SwitchReport) -> String {
    if report.kind == SwitchKind::Drill && report.phase == Phase::Degraded {
        return "incomplete: the switch was rehearsed, and something of the drill is left".into();
    }
    let users = users_are(report.users());
    let told = match (report.phase, report.passed()) {
        (Phase::Degraded, _) if report.idle.is_some() => {
            return format!("degraded: {users}; the process died before it finished the rest");
        }
        (Phase::Degraded, _) => return format!("degraded: {users}; the rest is incomplete"),
        (Phase::Switching, _) if report.idle.is_some() => {
            "incomplete, the process died before it finished"
        }
        (Phase::Switching, _) => "incomplete",
        (Phase::Settled, false) => "complete, but an objective was missed",
        (Phase::Settled, true) if !report.unchecked.is_empty() => {
            "complete, but nothing verified that users are served"
        }
        (Phase::Settled, true) => "complete",
    };
    told.to_owned()
}

/// Where users were directed without a look, one a line, in a text that is laid out by `shown`.
fn unchecked(report: &SwitchReport, shown: impl Fn(&str) -> String) -> Vec<String> {
    let told = report.unchecked.iter().map(|it| {
        let address = shown(&it.address.to_string());
        if it.target.is_empty() {
            format!("nothing verified that users of {address} are served")
        } else {
            format!("nothing verified that {}, the target of {address}, serves", shown(&it.target))
        }
    });
    told.collect()
}

/// A name in a line of text.
fn quoted(it: &str) -> String {
    format!("`{}`", escape_control(it))
}

/// Gates that it did not wait for, one a line, likewise.
fn skipped(
    report: &SwitchReport,
    shown: impl Fn(&str) -> String,
    said: impl Fn(&str) -> String,
) -> Vec<String> {
    let told = report.skipped_gates.iter().map(|it| {
        let address = shown(&it.address.to_string());
        format!("the gate of {address} was skipped: {}", said(&it.because))
    });
    told.collect()
}

/// What a run says at its end: the phases, one a line, and the objectives.
pub fn paragraph(report: &SwitchReport) -> String {
    let mut lines = vec![format!("{}: {}", title(report), outcome(report))];
    for row in rows(report) {
        lines.push(format!("  {:<12}{:>12}  {}", row.phase, row.took, prose(&row.note)));
    }
    lines.push(format!("  {}", compared(recovery(report), &report.rto(), counted_from(report))));
    lines.extend(answered(report).map(|it| format!("  {it}")));
    lines.push(format!("  {}", compared(data(report), &report.rpo(), &bounded(report))));
    lines.extend(declared_though_up(report).map(|it| format!("  {it}")));
    lines.extend(unchecked(report, quoted).into_iter().map(|it| format!("  {it}")));
    lines.join("\n")
}

/// Who declares lost what answers leaves its last writes, and a site that serves.
fn declared_though_up(report: &SwitchReport) -> Option<String> {
    let names = escape_control(&report.answering.join(", "));
    (!names.is_empty()).then(|| format!("declared lost although it answered: {names}"))
}

/// Everything, for people.
pub fn text(report: &SwitchReport) -> String {
    let mut lines = vec![paragraph(report)];
    lines.extend(skipped(report, quoted, escape_control).into_iter().map(|it| format!("  {it}")));
    lines.extend(report.open.iter().map(|it| format!("  incomplete: {}", escape_control(it))));
    lines.push(format!("  {}", circumstances(report)));
    lines.push(format!(
        "  by {}: `{}`",
        escape_control(&report.who),
        escape_control(&report.command)
    ));
    let path = path(report);
    if !path.is_empty() {
        lines.push(format!("  critical path ({}):", waited_for(report)));
        lines.extend(path.into_iter().map(|it| format!("    {}", step(report, it))));
    }
    lines.extend(printed(report));
    let others: Vec<&StepTiming> =
        report.steps.iter().filter(|it| it.became != StepResult::Done).collect();
    if !others.is_empty() {
        lines.push("  not done:".into());
        let told = others.into_iter().map(|it| {
            format!("    {} {} ({})", escape_control(&it.call), it.address, ended_as(it.became))
        });
        lines.extend(told);
    }
    lines.join("\n")
}

/// How many lines of what a task printed are shown: what went wrong is mostly said in the last few. All of it is in the JSON.
const PRINTED_MAX: usize = 20;

/// What tasks printed, the end of it.
fn printed(report: &SwitchReport) -> Vec<String> {
    let mut lines = Vec::new();
    for step in report.steps.iter().filter(|it| !it.output.is_empty()) {
        lines.push(format!("  output of {} {}:", escape_control(&step.call), step.address));
        let all: Vec<&str> = step.output.lines().collect();
        let shown = all.len().saturating_sub(PRINTED_MAX);
        lines.extend((shown > 0).then(|| format!("    ({} before)", count(shown, "line"))));
        lines.extend(all[shown..].iter().map(|it| format!("    {}", escape_control(it))));
    }
    lines
}

fn ended_as(it: StepResult) -> &'static str {
    if it == StepResult::InDoubt { "indeterminate" } else { it.word() }
}

/// What its critical path is: users wait for nothing that a run does after they have moved.
fn waited_for(report: &SwitchReport) -> &'static str {
    if report.measured().has_traffic {
        "the steps that users waited for, one after another"
    } else {
        "the steps that took the time, one after another"
    }
}

fn path(report: &SwitchReport) -> Vec<&StepTiming> {
    report.measured().path.iter().filter_map(|id| report.steps.get(*id)).collect()
}

/// `base → failover_eu on sandbox, planned, 2026-11-24T12:00:00Z to 2026-11-24T12:11:21Z`.
fn circumstances(report: &SwitchReport) -> String {
    let lost = match report.lost.as_slice() {
        [] => "planned".to_owned(),
        lost => format!("lost: {}", escape_control(&lost.join(", "))),
    };
    format!(
        "{} → {} on {}, {lost}, {} to {}",
        overlays(&report.from),
        overlays(&report.to),
        escape_control(&report.target),
        moment(report.span.began),
        moment(report.span.ended)
    )
}

/// `after 40.0 s: serving gate shop, 30.0 s`.
fn step(report: &SwitchReport, it: &StepTiming) -> String {
    let after = it.started.map(|at| took(u64::try_from(at - report.span.began).unwrap_or(0)));
    let length = it.duration().map_or_else(|| "not finished".into(), took);
    format!(
        "after {}: {} {}, {length}",
        after.unwrap_or_default(),
        escape_control(&it.call),
        escape_control(&it.address.to_string())
    )
}

/// Everything, for a pull request or a wiki.
pub fn markdown(report: &SwitchReport) -> String {
    let mut text = format!(
        "## {}: {}\n\n{}\n\n| phase | time | |\n|---|---:|---|\n",
        prose(&title(report)),
        outcome(report),
        prose(&circumstances(report))
    );
    for row in rows(report) {
        text.push_str(&format!("| {} | {} | {} |\n", row.phase, row.took, prose(&row.note)));
    }
    text.push_str("\n| | objective | measured | verdict |\n|---|---:|---:|---|\n");
    let rows = [
        (recovery(report), report.rto(), String::new()),
        (data(report), report.rpo(), bounded(report)),
    ];
    for (what, it, bound) in rows {
        let objective = it.objective.map_or_else(|| "–".into(), duration);
        let measured = it.measured.map_or_else(|| "–".into(), |it| took(it) + &bound);
        let verdict = match (&it.verdict, it.objective) {
            (ObjectiveVerdict::NotMeasured(why) | ObjectiveVerdict::Unknown(why), _) => {
                format!("{}: {why}", it.verdict.word())
            }
            (_, None) => "no objective".into(),
            (ObjectiveVerdict::Missed, _) => "**missed**".into(),
            (ObjectiveVerdict::Met, _) => "met".into(),
        };
        text.push_str(&format!("| {what} | {objective} | {measured} | {verdict} |\n"));
    }
    if let Some(after) = report.answered_after() {
        text.push_str(&format!("| first good answer from outside | – | {} | – |\n", took(after)));
    }
    let open = report.open.iter().map(|it| format!("incomplete: {}", prose(it)));
    let skipped = skipped(report, code, prose);
    let aside: Vec<String> = declared_though_up(report)
        .into_iter()
        .map(|it| prose(&it))
        .chain(unchecked(report, code))
        .chain(skipped)
        .chain(open)
        .collect();
    if !aside.is_empty() {
        text.push('\n');
    }
    for it in aside {
        text.push_str(&format!("- {it}\n"));
    }
    let path = path(report);
    if !path.is_empty() {
        text.push_str(&format!(
            "\nCritical path ({}):\n\n| after | step | | time |\n|---:|---|---|---:|\n",
            waited_for(report)
        ));
    }
    for it in path {
        let after = it.started.map_or(0, |at| u64::try_from(at - report.span.began).unwrap_or(0));
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            took(after),
            prose(&it.call),
            code(&it.address.to_string()),
            it.duration().map_or_else(|| "not finished".into(), took)
        ));
    }
    text
}

/// The name of each, and under it what it was, the oldest first.
pub fn list(reports: &[(&str, &SwitchReport)]) -> String {
    let line = |(name, report): &(&str, &SwitchReport)| {
        let (what, recovery) = (recovery(report), report.rto());
        let recovery = match (recovery.measured, recovery.objective) {
            (Some(it), Some(_)) => format!(", {what} {} ({})", took(it), recovery.verdict.word()),
            (Some(it), None) => format!(", {what} {}", took(it)),
            (None, _) => String::new(),
        };
        let (name, title) = (escape_control(name), title(report));
        format!("{name}\n  {title}: {}{recovery}", outcome(report))
    };
    reports.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for programs: each as it is kept, with its name.
pub fn json(reports: &[(&str, &SwitchReport)]) -> String {
    let named = |(name, report): &(&str, &SwitchReport)| {
        let mut json = value(report);
        if let Json::Object(map) = &mut json {
            map.shift_insert(0, "name".into(), (*name).into());
        }
        json
    };
    let all: Vec<Json> = reports.iter().map(named).collect();
    serde_json::to_string_pretty(&json!({ "version": 2, "reports": all }))
        .expect("plain data serialises")
}

/// A list as a table.
pub fn markdown_list(reports: &[(&str, &SwitchReport)]) -> String {
    let mut text = String::from(
        "| report | | until all users had moved | objective | verdict |\n|---|---|---:|---:|---|\n",
    );
    for (name, report) in reports {
        let it = report.rto();
        text.push_str(&format!(
            "| {} | {}: {} | {} | {} | {} |\n",
            code(name),
            prose(&title(report)),
            outcome(report),
            it.measured.map_or_else(|| "–".into(), took),
            it.objective.map_or_else(|| "–".into(), duration),
            if it.objective.is_some() { it.verdict.word() } else { "–" },
        ));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{list, markdown, paragraph, text, took};
    use crate::engine::plan::model::step_phase::StepPhase;
    use crate::engine::recovery::report::phases::ShiftRecord;
    use crate::engine::recovery::report::sample::{planned, report};
    use crate::engine::recovery::report::step_timing::StepResult;
    use crate::engine::recovery::report::summary::{SwitchKind, SwitchReport};
    use crate::engine::state::record::Phase;

    #[test]
    fn took_has_a_decimal_up_to_a_minute() {
        let said = [0, 49, 59_940, 59_950, 60_400, 125_000, 8_000_000].map(took);
        assert_eq!(said, ["0.0 s", "0.0 s", "59.9 s", "1 min", "1 min", "2 min 5 s", "2 h 13 min"]);
    }

    /// What was not measured is neither met nor missed, and is told once.
    #[test]
    fn paragraph_says_once_what_was_not_measured() {
        let mut stayed = report(planned(), 681);
        stayed.steps.retain(|it| it.role == StepPhase::Work);
        let told = paragraph(&stayed);
        let measured: Vec<&str> = told.lines().filter(|it| it.contains("measured")).collect();
        assert_eq!(
            measured,
            [
                "  time to move all users: not measured, no traffic was to be shifted; the objective is 15 min",
                "  replication delay: not measured, the run had no replication gate; the objective is 1 min",
            ]
        );
    }

    #[test]
    fn paragraph_says_where_the_time_of_a_switch_went() {
        insta::assert_snapshot!(paragraph(&report(planned(), 681)), @r#"
    failover of shop to eu: complete
      prepare           40.0 s  making eu ready
      gate              30.0 s  waiting for the health checks of eu
      traffic            3.0 s  shifting traffic to eu
      DNS caches         5 min  some users may have been sent to base until 2026-11-24T12:06:13Z (the TTL); the drain below waited for them
      drain             10 min  keeping base for twice the TTL, DNS caches included, until no DNS cache sends users there
      rest               8.0 s  making the remaining changes
      total        11 min 21 s  in all; the time of DNS caches runs beside it
      time to move all users: 6 min 13 s from the command on; objective 15 min: met
      replication delay: 7.0 s; objective 1 min: met
    "#);
        let report = report(planned(), 681);
        let whole = text(&report);
        let rest = whole.strip_prefix(&paragraph(&report)).unwrap();
        insta::assert_snapshot!(rest.trim_start_matches('\n'), @r#"
      base → eu on sandbox, planned, 2026-11-24T12:00:00Z to 2026-11-24T12:11:21Z
      by ann@laptop: `failover shop --to eu --planned`
      critical path (the steps that users waited for, one after another):
        after 0.0 s: create shop, 40.0 s
        after 40.0 s: serving gate shop, 30.0 s
        after 1 min 11 s: update shop, 2.0 s
    "#);
    }

    #[test]
    fn paragraph_of_a_failed_switch_says_what_is_not_done() {
        let mut steps = planned();
        steps[3].became = StepResult::Failed;
        for it in &mut steps[4..] {
            (it.started, it.ended, it.became) = (None, None, StepResult::NotDone);
        }
        let failed = SwitchReport {
            phase: Phase::Switching,
            lost: vec!["linode:us-east".into()],
            who: "a\u{1b}[2Jb".into(),
            to: vec!["e|u".into()],
            ..report(steps, 1_000)
        };
        insta::assert_snapshot!(text(&failed), @r#"
    failover of shop to e|u: incomplete
      prepare      16 min 10 s  making e&#124;u ready
      gate              30.0 s  waiting for the health checks of e&#124;u; not finished
      total        16 min 40 s  in all
      recovery time: not finished yet; objective 15 min: MISSED
      possible data loss: 7.0 s; objective 1 min: met
      base → e|u on sandbox, lost: linode:us-east, 2026-11-24T12:00:00Z to 2026-11-24T12:16:40Z
      by a\u{1b}[2Jb: `failover shop --to eu --planned`
      critical path (the steps that users waited for, one after another):
        after 0.0 s: create shop, 40.0 s
        after 40.0 s: serving gate shop, 30.0 s
      not done:
        serving gate shop (failed)
        update shop (not done)
        drain gate shop (not done)
        delete shop (not done)
    "#);
        insta::assert_snapshot!(markdown(&failed));
        insta::assert_snapshot!(list(&[("one", &failed), ("two", &report(planned(), 681))]), @r#"
    one
      failover of shop to e|u: incomplete
    two
      failover of shop to eu: complete, time to move all users 6 min 13 s (met)
    "#);
    }

    /// A drill deletes what it created whatever became of its switch: what did not finish is before that.
    #[test]
    fn paragraph_of_a_failed_drill_does_not_call_its_cleanup_unfinished() {
        let mut steps = planned();
        steps[3].became = StepResult::Failed;
        for it in &mut steps[4..] {
            (it.started, it.ended, it.became) = (None, None, StepResult::NotDone);
        }
        let began = steps[0].started.unwrap();
        let last = steps.last_mut().unwrap();
        last.role = StepPhase::Cleanup;
        (last.started, last.ended) = (Some(began + 800_000), Some(began + 1_000_000));
        last.became = StepResult::Done;
        let failed = SwitchReport {
            phase: Phase::Switching,
            kind: SwitchKind::Drill,
            ..report(steps, 1_000)
        };
        let told = paragraph(&failed);
        let of = |name: &str| told.lines().find(|it| it.trim_start().starts_with(name)).unwrap();
        assert!(!of("cleanup").contains("not finished"), "{told}");
        assert_eq!(told.matches("; not finished").count(), 1, "{told}");
    }

    /// What was counted from the command that began the switch is not told as if from the one that went on with it, and where nothing
    /// waits for caches none is named that does.
    #[test]
    fn paragraph_of_a_resumed_switch_counts_from_its_first_command() {
        let mut steps = planned();
        steps.truncate(5);
        let mut resumed = report(steps, 90);
        resumed.kind = SwitchKind::Failback;
        resumed.span.began -= 60_000;
        resumed.span.recorded = resumed.span.began;
        insta::assert_snapshot!(paragraph(&resumed), @r#"
    failback of shop to eu: complete
      earlier            1 min  an earlier run of this switch, or a pause between runs
      prepare           40.0 s  making eu ready
      gate              30.0 s  waiting for the health checks of eu
      traffic            3.0 s  shifting traffic to eu
      DNS caches         5 min  some users may be sent to base until 2026-11-24T12:06:13Z (the TTL); this switch deletes nothing of it, so it waited for nobody
      rest              17.0 s  making the remaining changes
      total         2 min 30 s  in all; the time of DNS caches runs beside it
      time to move all users: 7 min 13 s from its first command on; objective 15 min: met
      replication delay: 7.0 s; objective 1 min: met
    "#);
        assert!(list(&[("one", &resumed)]).contains(": complete, time to move all users "));
        // Users had moved before this run began: nothing of it was theirs to wait for.
        resumed.earlier = Some(ShiftRecord { at: resumed.span.began + 5_000, dns_bound: 300 });
        resumed.steps.truncate(2);
        let told = text(&resumed);
        assert!(!told.contains("\n  prepare"), "{told}");
        assert!(
            told.contains("critical path (the steps that took the time, one after another)"),
            "{told}"
        );
    }

    #[test]
    fn paragraph_and_markdown_say_when_it_first_answered() {
        let mut seen = report(planned(), 681);
        seen.answered = Some(seen.span.began + 80_000);
        let line = "\n  first good answer from outside: after 1 min 20 s from the command on\n";
        assert!(paragraph(&seen).contains(line), "{}", paragraph(&seen));
        let row = "\n| first good answer from outside | – | 1 min 20 s | – |\n";
        assert!(markdown(&seen).contains(row), "{}", markdown(&seen));
    }

    #[test]
    fn markdown_is_two_tables_and_the_path() {
        insta::assert_snapshot!(markdown(&report(planned(), 681)));
    }
}
