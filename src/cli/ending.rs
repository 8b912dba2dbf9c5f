//! What a run says at its end: done, not done, failed, in doubt, and the outputs.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::out::{data, talk};
use crate::engine::lang::merge::variables::remembered;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::{self, Completion, Unfinished};
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::state::record::Phase;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::names::OverlayNames;
use crate::engine::value::Value;
use crate::ops::apply::finish::RunResult;
use crate::ops::plan::make::Proposed;
use crate::render::words::{count, escape_control, users_are};
use crate::store::error::LeaseEnd;

/// `recorded`: what a run writes down beside its steps.
pub fn tell(report: &RunResult, stack: &str, intent: Intent, recorded: &[String]) {
    troubles(report);
    let verb = if intent == Intent::Destroy { "destroyed" } else { "applied" };
    let steps = count(report.done.len(), "step");
    if report.ending() == Completion::Undone {
        let left = report.failed.len() + report.in_doubt.len() + report.not_done.len();
        let remedy = report.remedy().map(|it| format!("{it} and ")).unwrap_or_default();
        for it in users(report) {
            talk(&it);
        }
        let how = match (report.phase, report.users) {
            (Phase::Degraded, Some(users)) => {
                format!("degraded: {}; the rest is incomplete", users_are(users))
            }
            _ => "incomplete".to_owned(),
        };
        // What it was doing may be wanted no more where somebody else decides now.
        let next = if let Some(LeaseEnd::Preempted { .. }) = report.lease_over {
            format!(
                "the run that preempted this one goes on: {} tells how far it is",
                AdvisedCommand::Status { stack }
            )
        } else {
            let again = report.resume.as_deref().unwrap_or("the same command again");
            format!("{remedy}run {again} to resume")
        };
        talk(&format!("{how}: {steps} succeeded, {left} remaining; {next}"));
    } else if report.done.is_empty() && !recorded.is_empty() {
        talk(&format!("recorded: {}", recorded.join(", ")));
    } else {
        talk(&format!("{verb}: {steps} done"));
    }
    if report.ending() == Completion::Undone && !report.outputs.is_empty() {
        talk("outputs, as far as the run came:");
    }
    for (name, value) in &report.outputs {
        let shown = match value {
            Value::Text(text) => escape_control(text),
            Value::Fingerprint(_) => "(sensitive)".into(),
            other => other.json().to_string(),
        };
        data(&format!("{} = {shown}", escape_control(name)));
    }
}

/// How a step that makes something is called.
const CREATE: &str = "create";

/// Where users are after a run that was to move them and did not finish: what matters most then.
fn users(report: &RunResult) -> Vec<String> {
    // Nobody comes yet by a name that is only being made, unless a switch makes it.
    let has_users = |it: &&StepTiming| report.users.is_some() || it.call != CREATE;
    let traffic = report
        .steps
        .iter()
        .filter(|it| it.role == StepPhase::Traffic && it.ttl.is_some())
        .filter(has_users);
    let traffic: Vec<&StepTiming> = traffic.collect();
    let names = |became: &[StepResult]| {
        let chosen = traffic.iter().filter(|it| became.contains(&it.became));
        let names: Vec<String> = chosen.map(|it| format!("`{}`", it.address)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let told = [
        names(&[StepResult::Done])
            .map(|it| format!("users of {it} will all have moved when DNS caches have expired; some backends may be missing")),
        names(&[StepResult::InDoubt]).map(|it| {
            format!("users of {it} may have moved: the outcome of the change is unknown, and the next run looks")
        }),
        names(&[StepResult::Failed, StepResult::NotDone]).map(|it| {
            format!("users of {it} have NOT moved: they are sent where they were before")
        }),
    ];
    told.into_iter().flatten().collect()
}

/// Tasks that a switch has carried out before it stopped, and how they are taken back.
pub fn in_force(report: &RunResult, stack: &str) -> Option<String> {
    let names: Vec<String> = report.in_force.iter().map(|it| format!("`{it}`")).collect();
    let back = AdvisedCommand::Failback { stack, lost: Vec::new() };
    (!names.is_empty()).then(|| {
        format!("still in force although users have not moved: {}; to give the switch up, {back} undoes them", names.join(", "))
    })
}

/// What a plan writes into the state whether or not a call is made.
pub fn recorded(proposed: &Proposed) -> Vec<String> {
    let plan = &proposed.plan;
    let mut recorded = Vec::new();
    let last = proposed.state.as_ref().and_then(|it| it.last_run.as_ref());
    let last = last.filter(|it| it.is_unfinished() && completion::open(plan).is_empty());
    recorded.extend(last.map(|_| "nothing is left to do of the last run".to_owned()));
    let new = plan.lost.iter().filter(|it| it.recorded.is_none());
    recorded.extend(new.map(|it| format!("{} is lost", it.fault_domain)));
    recorded.extend(plan.recovered.iter().map(|it| format!("{it} has recovered")));
    if let Some((_, to)) = &plan.switch {
        recorded.push(format!("active overlays: {}", OverlayNames(to)));
    }
    recorded.extend((!plan.drift.is_empty()).then(|| "observed changes".to_owned()));
    let outputs = plan.outputs.len();
    recorded.extend((outputs > 0).then(|| count(outputs, "output")));
    let stack = &proposed.desired.stack;
    let before = proposed.state.as_ref().map(|it| it.remembered(&stack.overlays).values.clone());
    let before = before.unwrap_or_default();
    let given = remembered(&stack.variables);
    let news = given.iter().filter(|(name, it)| before.get(*name) != Some(*it));
    recorded.extend(news.map(|(name, _)| format!("variable {name}")));
    recorded
}

/// What to do if what could not be read is lost, as the warning of the plan says: it is far above by then.
pub fn under_loss(plan: &Plan) -> Option<String> {
    let code = DiagnosticCode::UnseenFaultDomain.as_str();
    let note = plan.notes.iter().find(|it| it.code == code)?;
    note.help.clone().filter(|_| plan.switch.is_some())
}

/// What a destroy leaves, in words, and how it is finished.
pub fn left(plan: &Plan, name: &str) -> Option<String> {
    let staying = completion::open(plan);
    if staying.is_empty() || plan.bindings.intent != Intent::Destroy {
        return None;
    }
    let first: Vec<String> = staying.iter().take(5).map(|it| it.address.to_string()).collect();
    let more = if staying.len() > first.len() { ", …" } else { "" };
    let lost: Vec<&str> = plan.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let destroy = AdvisedCommand::Destroy { stack: name };
    let how = if lost.is_empty() {
        format!("run {destroy} again once everything is reachable")
    } else {
        let found: Vec<String> = lost
            .iter()
            .map(|it| AdvisedCommand::Recovered { stack: name, fault_domain: it }.to_string())
            .collect();
        format!("once it has recovered: {}, then {destroy}", found.join(", "))
    };
    Some(format!(
        "remaining: {} ({}{more}), because they are lost, could not be read, or are still needed; {how}",
        count(staying.len(), "resource"),
        first.join(", ")
    ))
}

/// How one part of a drill went.
pub fn part(name: &str, report: &RunResult) {
    troubles(report);
    let steps = count(report.done.len(), "step");
    let how =
        if report.ending() == Completion::Undone { "done, the rest incomplete" } else { "done" };
    talk(&format!("{name}: {steps} {how}"));
    if let Some(open) = open(&report.open) {
        talk(&format!("{name}: {open}"));
    }
    if let Some(shared) = shared(&report.open) {
        talk(&format!("{name}: {shared}"));
    }
}

/// Names of which a part of the users is led elsewhere, in words, and what mends that.
pub fn shared(open: &[Unfinished]) -> Option<String> {
    let shared: Vec<(&Unfinished, &String)> =
        open.iter().filter_map(|it| Some((it, it.remedy.as_ref()?))).collect();
    let told = |(it, remedy): &(&Unfinished, &String)| {
        format!("`{}`: {}; {}", it.address, escape_control(&it.why), escape_control(remedy))
    };
    let shown: Vec<String> = shared.iter().take(3).map(told).collect();
    let more = if shared.len() > shown.len() { "; …" } else { "" };
    (!shown.is_empty()).then(|| {
        format!("some users are still sent to the wrong target: {}{more}", shown.join("; "))
    })
}

/// What was not read, in words; the first few of it with their reasons.
pub fn open(open: &[Unfinished]) -> Option<String> {
    let mut open: Vec<&Unfinished> = open.iter().filter(|it| !it.is_shared()).collect();
    if open.is_empty() {
        return None;
    }
    // A change that waits says more than one of many that were not read: users may wait for it.
    open.sort_by_key(|it| it.reason.is_some());
    let shown: Vec<String> = open
        .iter()
        .take(3)
        .map(|it| format!("`{}`: {}", it.address, escape_control(&it.why)))
        .collect();
    let more = if open.len() > shown.len() { "; …" } else { "" };
    let verb = if open.len() == 1 { "depends" } else { "depend" };
    let what = count(open.len(), "resource");
    Some(format!(
        "{what} could not be read, or {verb} on one that could not be read: {}{more}",
        shown.join("; ")
    ))
}

/// What failed, and why; a cause that several steps share is told once, where the first of them is.
fn troubles(report: &RunResult) {
    let troubles = [
        ("failed", &report.failed),
        ("indeterminate", &report.in_doubt),
        ("failed, and the run went on without it", &report.passed_over),
    ];
    for (word, troubles) in troubles {
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut told: Vec<(&str, &str, Vec<String>)> = Vec::new();
        for (address, what, why) in troubles {
            let at = *places.entry((what, &why.why)).or_insert(told.len());
            if at == told.len() {
                told.push((what, &why.why, Vec::new()));
            }
            told[at].2.push(escape_control(&address.to_string()));
        }
        for (what, why, addresses) in told {
            talk(&format!("{word}: {}: {what}: {}", addresses.join(", "), escape_control(why)));
        }
    }
    if !report.lifted.is_empty() {
        let names: Vec<String> = report.lifted.iter().map(|it| format!("`{it}`")).collect();
        talk(&format!("undone, since the switch failed before users moved: {}", names.join(", ")));
    }
    // Several gates of one name are one thing that was not done.
    let mut told = BTreeSet::new();
    let undone = report.not_done.iter().filter(|it| told.insert(*it));
    let undone: Vec<String> = undone.map(|(address, what)| format!("{address}: {what}")).collect();
    for line in not_done(&undone) {
        talk(&line);
    }
    if let Some(why) = &report.stopped {
        talk(&format!("stopped: {}", escape_control(why)));
    }
}

/// How many steps that were not done get a line each: with more of them what failed is off the screen. A guess.
const UNDONE_MAX: usize = 5;

/// A line for each, or one for all of many.
fn not_done(steps: &[String]) -> Vec<String> {
    if steps.len() <= UNDONE_MAX {
        return steps.iter().map(|it| format!("not done: {it}")).collect();
    }
    let first = steps[..UNDONE_MAX - 2].join(", ");
    let (all, more) = (count(steps.len(), "step"), steps.len() - (UNDONE_MAX - 2));
    vec![format!("not done: {all}: {first}, and {more} more")]
}

#[cfg(test)]
mod tests {
    use super::{not_done, users};
    use crate::engine::address::Address;
    use crate::engine::plan::model::step_phase::StepPhase;
    use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
    use crate::ops::apply::finish::RunResult;

    /// A step that sends users of a name elsewhere.
    fn shift(name: &str, became: StepResult) -> StepTiming {
        StepTiming {
            id: 0,
            address: Address::one(name),
            kind: "linode.domain_record".into(),
            call: "update".into(),
            role: StepPhase::Traffic,
            waits: Vec::new(),
            started: Some(1),
            ended: Some(2),
            became,
            ttl: Some(300),
            arrived: None,
            unchecked: None,
            output: String::new(),
        }
    }

    #[test]
    fn not_done_is_one_line_for_many() {
        let steps =
            |number: usize| (0..number).map(|it| format!("w[{it}]: create")).collect::<Vec<_>>();
        assert_eq!(not_done(&steps(2)), ["not done: w[0]: create", "not done: w[1]: create"]);
        assert_eq!(
            not_done(&steps(18)),
            ["not done: 18 steps: w[0]: create, w[1]: create, w[2]: create, and 15 more"]
        );
    }

    #[test]
    fn users_says_of_each_name_whether_its_users_have_moved() {
        let told = |steps: Vec<StepTiming>| users(&RunResult { steps, ..RunResult::default() });
        let doubt = told(vec![shift("shop", StepResult::InDoubt)]);
        assert_eq!(
            doubt,
            [
                "users of `shop` may have moved: the outcome of the change is unknown, and the next run looks"
            ]
        );
        let all = [
            shift("a", StepResult::Done),
            shift("b", StepResult::InDoubt),
            shift("c", StepResult::Failed),
            shift("d", StepResult::NotDone),
        ];
        let told = told(all.to_vec());
        let begin = [
            "users of `a` will all have moved when DNS caches have expired",
            "users of `b` may have moved",
            "users of `c`, `d` have NOT moved",
        ];
        assert_eq!(told.len(), begin.len());
        for (line, begin) in told.iter().zip(begin) {
            assert!(line.starts_with(begin), "{line}");
        }
    }
}
