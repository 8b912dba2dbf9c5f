//! Where a stack stands, for programs.

use serde_json::{Value as Json, json};

use crate::engine::address::Address;
use crate::engine::plan::model::change::Change;
use crate::engine::recovery::old_targets::OldTargetFate;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::{MutatingCall, RecordedFailure, State};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::value::Value;
use crate::render::status::{
    OnlineAnswer, StatusFacts, TaskInForce, WayBack, is_of_switch, is_pending, nothing_is_applied,
    old, open_tasks, questions, tasks_in_force,
};
use crate::render::status_phase::used;

/// Everything that a status tells; additions do not change the version.
pub fn json(facts: &StatusFacts<'_>) -> String {
    serde_json::to_string_pretty(&value(facts)).expect("plain data serialises")
}

/// The same on one line, for `--follow`.
pub fn json_line(facts: &StatusFacts<'_>) -> String {
    value(facts).to_string()
}

fn value(facts: &StatusFacts<'_>) -> Json {
    let state = facts.state;
    let change = |it: &Change| {
        json!({
            "address": it.address.to_string(),
            "action": it.deferred.as_ref().map_or(it.action, |it| it.action).word(),
            "why": it.deferred.as_ref().map(|it| it.why.clone()),
        })
    };
    let chosen = |wanted: &dyn Fn(&Change) -> bool| -> Vec<Json> {
        let changes = facts.plan.into_iter().flat_map(|it| &it.changes);
        changes.filter(|it| wanted(it)).map(change).collect()
    };
    json!({
        "version": 2,
        "stack": facts.name,
        "target": state.target,
        "active": state.active,
        "home": state.home,
        "phase": state.phase.word(),
        "switch": switch(state),
        "users": facts.ways.iter().map(|it| json!({
            "address": it.address.to_string(),
            "target": it.target,
            "to": it.to.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "fault_domain": it.fault_domain,
            "lost": it.is_lost,
            "to_move": it.is_to_move,
            "wanted": it.wanted.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "shut": it.shut,
            "backends": it.backends.map(|it| json!({ "recorded": it.recorded, "wanted": it.wanted })),
        })).collect::<Vec<_>>(),
        "online": facts.online.map(answers),
        "lost": state.lost.iter().map(|it| json!({ "fault_domain": it.fault_domain, "since": it.since, "by": it.by })).collect::<Vec<_>>(),
        "draining": olds(facts, false),
        "cached": olds(facts, true),
        "questions": asked(facts),
        "tasks_in_force": in_force(facts),
        "tasks": unknown_tasks(facts),
        "deferred": chosen(&|it| it.deferred.is_some() && !it.is_orphaned()),
        "orphaned": chosen(&Change::is_orphaned),
        "pending": pending(facts),
        "trouble": facts.trouble,
        "last_run": state.last_run.as_ref().map(|it| json!({ "who": it.who, "command": it.command, "at": it.at, "finished": it.finished, "incomplete": it.incomplete, "failures": it.failures.iter().map(failure).collect::<Vec<_>>() })),
        "store": facts.store,
        "lease": facts.lease,
        "recovery": used(facts).map(|it| json!({
            "planned": facts.state.unfinished_switch().is_some_and(|it| !it.under_loss),
            "seconds": it.used,
            "shifted": it.has_moved,
            "dns_bound": it.dns_bound,
            "objective": facts.objective,
            "estimate": facts.estimate,
        })),
        "run": facts.run.map(|it| json!({
            "ended": it.ended(),
            "steps": Some(it.planned).filter(|it| *it > 0),
            "in_progress": it.open().map(|it| json!({
                "address": it.address.to_string(),
                "call": it.call,
                "since": it.started,
            })).collect::<Vec<_>>(),
        })),
        "serial": state.serial,
        "resources": state.records.len(),
        "outputs": outputs(facts),
    })
}

/// What DNS caches may still answer; `lost`: of what served nobody when it was left, else of what stands.
fn olds(facts: &StatusFacts<'_>, lost: bool) -> Vec<Json> {
    let olds = old(facts).into_iter();
    let told = olds.filter(|it| (it.becomes == OldTargetFate::Lost) == lost).map(|it| {
        let was = it.route.was.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({ "address": it.route.address.to_string(), "was": was, "until": it.route.until })
    });
    told.collect()
}

/// The switch that goes on, and why steps of it failed; null: there is none.
fn switch(state: &State) -> Json {
    let Some(it) = &state.switch else { return Json::Null };
    let failures = it.failures.iter().map(failure);
    json!({
        "from": it.from,
        "since": it.since,
        "by": it.by,
        "users": UsersAre::of(state).map(UsersAre::word),
        "failures": failures.collect::<Vec<_>>(),
    })
}

fn failure((address, it): (&Address, &RecordedFailure)) -> Json {
    json!({
        "address": address.to_string(),
        "call": it.call.map(MutatingCall::word),
        "class": it.class,
        "why": it.why,
        "at": it.at,
    })
}

fn answers(all: &[(String, OnlineAnswer)]) -> Vec<Json> {
    let told = all.iter().map(
        |(domain, it)| json!({ "fault_domain": domain, "health": it.health.word(), "why": it.why, "lost": it.is_lost }),
    );
    told.collect()
}

fn asked(facts: &StatusFacts<'_>) -> Vec<Json> {
    let told = questions(facts).into_iter().map(|(task, question)| {
        let approve = AdvisedCommand::Approve { stack: &facts.name, task }.to_string();
        json!({ "task": task, "question": question, "approve": bare(facts, &approve) })
    });
    told.collect()
}

fn in_force(facts: &StatusFacts<'_>) -> Vec<Json> {
    let undo = |it: &TaskInForce<'_>| match &it.way {
        WayBack::Command(command) => Some(bare(facts, command)),
        WayBack::ByHand | WayBack::NoUndo => None,
    };
    let told = tasks_in_force(facts).into_iter();
    told.map(|it| json!({ "task": it.task, "since": it.since, "undo": undo(&it) })).collect()
}

fn unknown_tasks(facts: &StatusFacts<'_>) -> Vec<Json> {
    let open = open_tasks(facts).into_iter();
    open.map(|(task, why)| json!({ "task": task, "why": why })).collect()
}

/// A command for programs: as it is typed here, without the backticks that set it apart in a sentence.
fn bare(facts: &StatusFacts<'_>, command: &str) -> String {
    (facts.typed)(command).trim_matches('`').to_owned()
}

fn pending(facts: &StatusFacts<'_>) -> Vec<Json> {
    let changes = facts.plan.into_iter().flat_map(|it| &it.changes);
    let changes = changes.filter(|it| is_pending(it) && !nothing_is_applied(facts));
    let told = |it: &Change| {
        let of_switch = facts.plan.is_some_and(|plan| is_of_switch(plan, it));
        json!({ "address": it.address.to_string(), "action": it.action.word(), "why": null, "of_switch": of_switch })
    };
    changes.map(told).collect()
}

fn outputs(facts: &StatusFacts<'_>) -> serde_json::Map<String, Json> {
    let all = facts.state.outputs.iter();
    all.map(|(name, value)| (name.clone(), output(facts, name, value))).collect()
}

fn output(facts: &StatusFacts<'_>, name: &str, value: &Value) -> Json {
    let what = format!("output {name}");
    let stale = facts.plan.into_iter().flat_map(|it| &it.stale).find(|it| it.what == what);
    json!({
        "value": value.json(),
        "stale": stale.map(|it| json!({ "fault_domain": it.fault_domain, "since": it.since })),
    })
}
