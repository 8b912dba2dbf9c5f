//! What a run says at its end: done, not done, failed, in doubt, and the outputs.

use crate::cli::out::{data, talk};
use crate::engine::plan::change::{Change, Plan};
use crate::engine::plan::propose::Intent;
use crate::engine::value::Value;
use crate::ops::closing::Report;
use crate::render::words::count;

/// `recorded`: what a run writes down beside its steps.
pub fn tell(report: &Report, intent: Intent, recorded: &[String]) {
    troubles(report);
    let verb = if intent == Intent::Destroy { "destroyed" } else { "applied" };
    let steps = count(report.done.len(), "step");
    if report.is_complete() && report.done.is_empty() && !recorded.is_empty() {
        talk(&format!("recorded: {}", recorded.join(", ")));
    } else if report.is_complete() {
        talk(&format!("{verb}: {steps} done"));
    } else {
        let left = report.failed.len() + report.in_doubt.len() + report.not_done.len();
        talk(&format!(
            "not complete: {steps} done, {left} not; the same command goes on from here"
        ));
    }
    for (name, value) in &report.outputs {
        let shown = match value {
            Value::Text(text) => text.clone(),
            Value::Fingerprint(_) => "(sensitive)".into(),
            other => other.json().to_string(),
        };
        data(&format!("{name} = {shown}"));
    }
}

/// What a plan writes into the state whether or not a call is made.
pub fn recorded(plan: &Plan) -> Vec<String> {
    let mut recorded = Vec::new();
    let new = plan.lost.iter().filter(|it| it.recorded.is_none());
    recorded.extend(new.map(|it| format!("{} is lost", it.fault_domain)));
    recorded.extend(plan.thaws.iter().map(|it| format!("{it} is found again")));
    if let Some((_, to)) = &plan.switch {
        let to = if to.is_empty() { "base".to_owned() } else { to.join(" + ") };
        recorded.push(format!("active is {to}"));
    }
    recorded.extend((!plan.drift.is_empty()).then(|| "what was seen".to_owned()));
    let outputs = plan.outputs.len();
    recorded.extend((outputs > 0).then(|| count(outputs, "output")));
    recorded
}

/// What a destroy leaves: what is in what is lost or was not seen, and what that needs.
pub fn staying(plan: &Plan) -> Vec<&Change> {
    let stays = |it: &&Change| it.held.is_some() || it.unseen.is_some();
    let changes = plan.changes.iter().filter(|_| plan.bindings.intent == "destroy");
    changes.filter(stays).collect()
}

/// What a destroy leaves, in words, and how it is finished.
pub fn left(plan: &Plan, name: &str) -> Option<String> {
    let staying = staying(plan);
    if staying.is_empty() {
        return None;
    }
    let first: Vec<String> = staying.iter().take(5).map(|it| it.address.to_string()).collect();
    let more = if staying.len() > first.len() { ", …" } else { "" };
    let lost: Vec<&str> = plan.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let how = if lost.is_empty() {
        format!("`lifeboat destroy {name}` again when all of it answers")
    } else {
        format!(
            "`lifeboat found {name} FAULT_DOMAIN` for {} when it answers again, then `lifeboat destroy {name}`",
            lost.join(", and for ")
        )
    };
    Some(format!(
        "left: {} ({}{more}): lost, not seen, or needed there; {how}",
        count(staying.len(), "object"),
        first.join(", ")
    ))
}

/// How one part of a drill went.
pub fn part(name: &str, report: &Report) {
    troubles(report);
    let steps = count(report.done.len(), "step");
    let how = if report.is_complete() { "done" } else { "done, the rest not" };
    talk(&format!("{name}: {steps} {how}"));
}

fn troubles(report: &Report) {
    for (address, what, why) in &report.failed {
        talk(&format!("failed: {address}: {what}: {why}"));
    }
    for (address, what, why) in &report.in_doubt {
        talk(&format!("in doubt: {address}: {what}: {why}"));
    }
    for (address, what) in &report.not_done {
        talk(&format!("not done: {address}: {what}"));
    }
    if let Some(why) = &report.stopped {
        talk(&format!("stopped: {why}"));
    }
}
