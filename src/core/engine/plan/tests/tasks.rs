//! Tasks of switches as data in, text out: which of them run, what they wait for, and what waits for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::plan::format::codec::{PlanEnvelope, decode, encode};
use crate::engine::plan::format::same_as_planned::differences;
use crate::engine::plan::model::change::{Plan, StepCall};
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_task::TaskFate;
use crate::engine::plan::steps::verify::{Checked, verify};
use crate::engine::plan::tests::switch::{FAILOVER, SITES, SwitchCase, plan};
use crate::engine::recovery::predict::{ConcurrencyLanes, Samples, predict};
use crate::engine::state::record::{Keep, Phase, State, SwitchRecord};
use crate::engine::state::task_record::{RecordedUndo, TaskAttempt, TaskEnd, TaskRecord};
use crate::engine::task::{OnFailure, TaskAction, TaskWork};
use crate::engine::value::Value;
use crate::kinds::builtin;

const US: &[&str] = &["linode:us-east"];
const OTHERS: &str = "exec: [./it], in_drill: run";

fn with(tasks: &str) -> String {
    format!("{SITES}\ntasks:\n{tasks}")
}

/// The tasks of a switch with their steps, and what is refused.
fn told(plan: &Plan) -> String {
    let mut text = String::new();
    let name = |at: &usize| format!("{} {}", plan.steps[*at].call.word(), plan.steps[*at].address);
    for task in &plan.tasks {
        let fate = match &task.fate {
            TaskFate::Run => "run".to_owned(),
            TaskFate::Undo => "undo".into(),
            TaskFate::Resume { why } => format!("resume ({why})"),
            TaskFate::Done { at } => format!("done at {at}"),
            TaskFate::Skip { why } => format!("skip ({why})"),
            TaskFate::Wait { why } => format!("wait ({why})"),
        };
        writeln!(text, "{} on {}: {fate}", task.name, task.occasion.word()).unwrap();
        let own = plan.steps.iter().find(|it| it.address == task.name);
        let Some(own) = own else { continue };
        let after: Vec<String> = own.waits.iter().map(name).collect();
        let before = plan.steps.iter().filter(|it| it.waits.contains(&own.id));
        let before: Vec<String> = before.map(|it| name(&it.id)).collect();
        writeln!(text, "  after [{}], before [{}]", after.join(", "), before.join(", ")).unwrap();
    }
    for it in &plan.notes {
        writeln!(text, "{} {} {:?}", it.code, it.text, it.places).unwrap();
    }
    text
}

fn of(tasks: &str, case: &SwitchCase<'_>) -> Plan {
    let base = with(tasks);
    plan(&SwitchCase { applied: SITES, base: &base, ..*case_of(case) })
}

fn case_of<'a>(case: &'a SwitchCase<'a>) -> Box<SwitchCase<'a>> {
    let SwitchCase {
        applied,
        base,
        active,
        turned,
        to,
        intent,
        lost,
        is_recorded,
        recovered,
        keep,
        ways,
        change,
        ..
    } = *case;
    let allowed = case.allowed.clone();
    Box::new(SwitchCase {
        applied,
        base,
        active,
        turned,
        to,
        intent,
        lost,
        is_recorded,
        recovered,
        keep,
        allowed,
        ways,
        change,
    })
}

#[test]
fn tasks_wait_for_what_they_come_after_and_hold_what_they_come_before() {
    let tasks = format!(
        "  ask: {{ on: [planned], after: [eu, node_eu], before: [shop], confirm: Go?, in_drill: skip }}
  stop: {{ on: [planned], after: [ask], before: [shop], {OTHERS} }}
  purge: {{ on: [planned], after: [shop], {OTHERS} }}
  tell: {{ on: [planned], exec: [./tell, '${{eu[0].ipv4}}', '${{lb_eu.ipv4}}'], in_drill: run }}
  never: {{ on: [failover, failback], {OTHERS} }}
"
    );
    insta::assert_snapshot!(told(&of(&tasks, &SwitchCase::default())));
}

#[test]
fn tasks_count_frozen_and_unchanged_neighbors_as_done() {
    let tasks = format!(
        "  near: {{ on: [failover], after: [web, lb, zone], before: [node], {OTHERS} }}
  careful: {{ on: [failover], after: [web], if_lost: skip, {OTHERS} }}
  reading: {{ on: [failover], exec: [./it, '${{lb.ipv4}}'], if_lost: skip, in_drill: run }}
  eager: {{ on: [failover], before: [shop], if_lost: skip, {OTHERS} }}
"
    );
    insta::assert_snapshot!(told(&of(&tasks, &SwitchCase { lost: US, ..SwitchCase::default() })));
}

#[test]
fn tasks_that_close_a_circle_with_traffic_are_refused_with_their_place() {
    let tasks =
        format!("  late: {{ on: [planned], after: [shop], before: [node_eu], {OTHERS} }}\n");
    let plan = of(&tasks, &SwitchCase::default());
    insta::assert_snapshot!(told(&plan));
    assert!(plan.refusals().next().is_some());
}

/// A state in the middle of the switch to `x`, with what tasks have done in it.
fn midway(state: &mut State, tasks: &[(&str, i64, Option<TaskEnd>)]) {
    state.phase = Phase::Switching;
    state.switch = Some(SwitchRecord {
        under_loss: false,
        moved: None,
        from: Vec::new(),
        since: 700,
        began: Some(500),
        by: "me".into(),
        variables: BTreeMap::new(),
        recovered: Vec::new(),
        keep: Keep::Nothing,
        allowed: crate::engine::state::record::Allowances::default(),
        last_good: None,
        directed: Vec::new(),
        turned: Vec::new(),
        failures: BTreeMap::new(),
    });
    for (name, switch, end) in tasks {
        let run = TaskAttempt {
            switch: *switch,
            plan: "sha256:0".into(),
            began: 600,
            asks: None,
            end: end.clone(),
        };
        state.tasks.insert((*name).into(), TaskRecord { run, undo: None, takes_back: None });
    }
}

#[test]
fn tasks_of_a_resumed_switch_run_once() {
    let tasks = format!(
        "  done: {{ on: [planned], {OTHERS} }}
  other_switch: {{ on: [planned], {OTHERS} }}
  cut: {{ on: [planned], {OTHERS} }}
  cut_safe: {{ on: [planned], rerun: safe, {OTHERS} }}
  cut_seen: {{ on: [planned], verify: {{ exec: [./seen] }}, {OTHERS} }}
  failed: {{ on: [planned], rerun: safe, verify: {{ exec: [./seen] }}, {OTHERS} }}
  new: {{ on: [planned], {OTHERS} }}
"
    );
    let change = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        let why = "exit status 3".to_owned();
        midway(
            state,
            &[
                ("done", 500, Some(TaskEnd::Done { at: 650 })),
                ("other_switch", 100, Some(TaskEnd::Done { at: 150 })),
                ("cut", 500, None),
                ("cut_safe", 500, None),
                ("cut_seen", 500, None),
                ("failed", 500, Some(TaskEnd::Failed { at: 650, why })),
            ],
        );
    };
    let case = SwitchCase { active: Some(FAILOVER), change: &change, ..SwitchCase::default() };
    insta::assert_snapshot!(told(&of(&tasks, &case)));
}

#[test]
fn tasks_with_undo_are_undone_on_the_way_home_and_only_if_they_ran() {
    let tasks = format!(
        "  stop: {{ on: [planned], before: [shop], undo: {{ exec: [./start] }}, {OTHERS} }}
  failed: {{ on: [planned], undo: {{ exec: [./start] }}, {OTHERS} }}
  idle: {{ on: [planned], undo: {{ exec: [./start] }}, {OTHERS} }}
  undone: {{ on: [planned], undo: {{ exec: [./start] }}, {OTHERS} }}
  plain: {{ on: [planned], {OTHERS} }}
  home: {{ on: [failback], after: [stop], {OTHERS} }}
"
    );
    let change = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        let done = || Some(TaskEnd::Done { at: 650 });
        let failed = Some(TaskEnd::Failed { at: 650, why: "exit status 3".into() });
        midway(
            state,
            &[
                ("stop", 500, done()),
                ("failed", 500, failed),
                ("undone", 500, done()),
                ("plain", 500, done()),
            ],
        );
        let undone = state.tasks.get_mut("undone").unwrap();
        undone.undo = Some(TaskAttempt { end: done(), ..undone.run.clone() });
        (state.phase, state.switch) = (Phase::Settled, None);
    };
    let active = Some(FAILOVER);
    let case = SwitchCase { active, to: None, change: &change, ..SwitchCase::default() };
    let plan = of(&tasks, &case);
    insta::assert_snapshot!(told(&plan));
    assert!(plan.steps.iter().any(|it| it.call == StepCall::Task { undo: true }));
}

/// What takes `name` back, recorded when it ran.
fn recorded(state: &mut State, name: &str, argument: Value) {
    let command = vec![Value::text("./start"), argument];
    let work = TaskWork { action: TaskAction::Exec { command, env: Vec::new() }, within: 60 };
    let undo = RecordedUndo {
        work,
        written: Vec::new(),
        after: Vec::new(),
        before: vec![Address::one("shop")],
        on_failure: OnFailure::Stop,
        place: "eu.yaml:7".into(),
    };
    state.tasks.get_mut(name).unwrap().takes_back = Some(undo);
}

/// What takes each task back.
fn undos(plan: &Plan) -> Vec<String> {
    let undone = plan.tasks.iter().filter(|it| it.is_undo());
    undone
        .map(|it| format!("{} ({}): {:?}", it.name, it.place, it.work().unwrap().action.parts()))
        .collect()
}

/// Home may declare a task otherwise by now, or not at all. What is not recorded whole is run as it is declared, or told.
#[test]
fn tasks_are_undone_as_it_was_recorded_when_they_ran() {
    let tasks = format!(
        "  both: {{ on: [planned], undo: {{ exec: [./start, declared] }}, {OTHERS} }}
  secret: {{ on: [planned], undo: {{ exec: [./start, declared] }}, {OTHERS} }}
"
    );
    let change = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        let done = || Some(TaskEnd::Done { at: 650 });
        let all = ["both", "secret", "only_there", "unknown_there", "undone"];
        midway(state, &all.map(|it| (it, 500, done())));
        recorded(state, "both", Value::text("recorded"));
        recorded(state, "secret", Value::Open);
        recorded(state, "only_there", Value::text("recorded"));
        recorded(state, "unknown_there", Value::Open);
        recorded(state, "undone", Value::text("recorded"));
        let undone = state.tasks.get_mut("undone").unwrap();
        undone.undo = Some(TaskAttempt { end: done(), ..undone.run.clone() });
        (state.phase, state.switch) = (Phase::Settled, None);
    };
    let active = Some(FAILOVER);
    let case = SwitchCase { active, to: None, change: &change, ..SwitchCase::default() };
    let plan = of(&tasks, &case);
    assert_eq!(
        undos(&plan),
        [
            "both (eu.yaml:7): [\"./start\", \"recorded\"]",
            "secret (stack.yaml:19): [\"./start\", \"declared\"]",
            "only_there (eu.yaml:7): [\"./start\", \"recorded\"]",
        ]
    );
    let told = told(&plan);
    assert!(told.contains("task_stays_in_force the task `unknown_there` stays in force"), "{told}");
    let shift = plan.steps.iter().find(|it| it.shift.is_some()).unwrap();
    let undo = plan.steps.iter().find(|it| it.address == Address::one("only_there")).unwrap();
    assert!(shift.waits.contains(&undo.id), "in the place that was recorded");
}

/// Before anything of a workspace is deleted what ran there is undone, the last one first; the plain stack is no rehearsal.
#[test]
fn tasks_of_a_workspace_are_undone_before_it_is_destroyed() {
    for workspace in [Some("drill".to_owned()), None] {
        let change = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
            let done = || Some(TaskEnd::Done { at: 650 });
            midway(
                state,
                &[("first", 500, done()), ("second", 500, done()), ("plain", 500, done())],
            );
            recorded(state, "first", Value::text("1"));
            recorded(state, "second", Value::text("2"));
            state.tasks.get_mut("second").unwrap().run.began = 700;
            state.instance.clone_from(&workspace);
        };
        let intent = Intent::Destroy;
        let plan =
            of("", &SwitchCase { to: None, intent, change: &change, ..SwitchCase::default() });
        let undone: Vec<String> = plan.tasks.iter().map(|it| it.name.to_string()).collect();
        let Some(_) = &workspace else {
            assert!(undone.is_empty(), "{undone:?}");
            continue;
        };
        assert_eq!(undone, ["second", "first"]);
        let (undos, deletes): (Vec<_>, Vec<_>) =
            plan.steps.iter().partition(|it| matches!(it.call, StepCall::Task { undo: true }));
        let ids: Vec<usize> = undos.iter().map(|it| it.id).collect();
        assert!(undos[1].waits == [ids[0]] && undos[0].waits.is_empty(), "{undos:?}");
        assert!(!deletes.is_empty());
        for delete in deletes {
            assert!(ids.iter().all(|it| delete.waits.contains(it)), "{delete:?}");
        }
        assert!(plan.tasks.iter().all(|it| it.spec.on_failure == OnFailure::Continue));
    }
}

/// What could not be read is neither done nor unchanged, and who comes after somebody that waits, waits.
#[test]
fn tasks_wait_with_what_could_not_be_read() {
    let tasks = format!(
        "  first: {{ on: [planned], before: [shop], {OTHERS} }}
  second: {{ on: [planned], after: [shop], {OTHERS} }}
  third: {{ on: [planned], after: [second], {OTHERS} }}
  apart: {{ on: [planned], after: [zone], {OTHERS} }}
"
    );
    let change = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let silent = Unreadable::new(UnknownReason::Unreachable, "no answer");
        observed.insert(Address::one("shop"), Observation::Unknown(silent));
    };
    let plan = of(&tasks, &SwitchCase { change: &change, ..SwitchCase::default() });
    let told = told(&plan);
    assert_eq!(
        told.lines().filter(|it| it.contains(" on planned")).collect::<Vec<_>>(),
        [
            "first on planned: wait (`shop` could not be read)",
            "second on planned: wait (`shop` could not be read)",
            "third on planned: wait (`second` waits)",
            "apart on planned: run",
        ],
        "{told}"
    );
}

#[test]
fn decode_refuses_a_plan_whose_tasks_are_not_those_of_its_steps() {
    let tasks = format!("  purge: {{ on: [planned], after: [shop], {OTHERS} }}\n");
    let whole = of(&tasks, &SwitchCase::default());
    let read = |plan: &Plan| decode(&encode(plan, &PlanEnvelope::default()));
    assert_eq!(read(&whole).unwrap().0, whole);
    let mut hidden = whole.clone();
    hidden.tasks.clear();
    let mut skipped = whole.clone();
    skipped.tasks[0].fate = TaskFate::Skip { why: String::new() };
    let mut left_out = whole.clone();
    left_out.steps.retain(|it| !matches!(it.call, StepCall::Task { .. }));
    for other in [hidden, skipped, left_out] {
        assert!(read(&other).unwrap_err().to_string().contains("purge"));
    }
    let mut other = whole.clone();
    other.tasks[0].spec.work.within = 7;
    assert_eq!(differences(&whole, &other), ["its tasks would be different now"]);
}

/// The check does not trust who ordered: a wait that was taken out of a saved plan is missed.
#[test]
fn verify_refuses_tasks_out_of_order() {
    let tasks = format!(
        "  stop: {{ on: [planned], before: [shop], {OTHERS} }}
  purge: {{ on: [planned], after: [shop], {OTHERS} }}
"
    );
    let whole = of(&tasks, &SwitchCase::default());
    let (catalog, stack) = (builtin(), Stack::default());
    let codes = |plan: &Plan| -> Vec<String> {
        let checked = Checked {
            catalog: &catalog,
            stack: &stack,
            state: None,
            changes: &[],
            steps: &plan.steps,
            tasks: &plan.tasks,
            outage: false,
        };
        verify(&checked).into_iter().map(|it| format!("{}: {}", it.code, it.summary)).collect()
    };
    assert_eq!(codes(&whole), [""; 0]);
    let id =
        |name: &str| whole.steps.iter().position(|it| it.address == Address::one(name)).unwrap();
    let mut early = whole.clone();
    early.steps[id("purge")].waits.clear();
    let mut late = whole.clone();
    let stop = id("stop");
    late.steps.iter_mut().for_each(|it| it.waits.retain(|wait| *wait != stop));
    assert_eq!(
        codes(&early),
        ["task_out_of_order: the task `purge` runs after `shop`, but its step does not wait so"]
    );
    assert_eq!(
        codes(&late),
        ["task_out_of_order: the task `stop` runs before `shop`, but its step does not wait so"]
    );
}

/// Users wait for what stands before them: it counts in the estimate.
#[test]
fn predict_counts_tasks_before_traffic() {
    let expected = |tasks: &str| {
        let plan = of(tasks, &SwitchCase::default());
        let lanes = ConcurrencyLanes { provider_of: &|_| String::new(), limits: BTreeMap::new() };
        predict(&plan.steps, &Samples::default(), &lanes, 0).unwrap().directed.unwrap().usual
    };
    let with =
        |tasks: &str| expected(&format!("  t: {{ on: [planned], {tasks}, in_drill: run }}\n"));
    let after = with("after: [shop], exec: [./it]");
    assert_eq!(with("after: [node_eu], before: [shop], exec: [./it], within: 50s"), after);
    let longer = with("after: [node_eu], before: [shop], exec: [./it], within: 1h");
    let asked = with("after: [node_eu], before: [shop], confirm: Go?, within: 1h");
    assert!(after < longer && longer < asked, "{after} {longer} {asked}");
}
