//! The RTO ledger of a stack: which switch a run carries out, its report, and the reports that are kept.

use std::path::PathBuf;

use crate::engine::ledger::forecast::Forecast;
use crate::engine::ledger::phases::Span;
use crate::engine::ledger::report::{Goals, SwitchKind, SwitchReport};
use crate::engine::ledger::timed::Role;
use crate::engine::plan::change::Step;
use crate::engine::plan::role::role;
use crate::engine::predict::{Lanes, Samples, predict};
use crate::engine::stack::model::Stack;
use crate::engine::state::record::Phase;
use crate::ops::closing::Report;
use crate::ops::error::OpsError;
use crate::ops::place::Place;
use crate::ops::plan::Proposed;
use crate::ops::run::{limits, provider_of};
use crate::ops::session::{Session, Target};
use crate::store::error::StoreError;
use crate::store::reports::{Damaged, Kept, Reports};

/// A switch that is about to be carried out, or gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switching {
    pub kind: SwitchKind,
    pub stack: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub lost: Vec<String>,
    /// When it was recorded, if an earlier run did that.
    pub since: Option<i64>,
    pub goals: Goals,
}

/// The switch in a plan; `None`: it changes no overlays, and no switch stands still.
pub fn switching(proposed: &Proposed) -> Option<Switching> {
    let plan = &proposed.plan;
    let state = proposed.state.as_ref()?;
    let (from, to, since) = match (&plan.switch, &state.switch) {
        (Some((from, to)), _) => (from.clone(), to.clone(), None),
        (None, Some(it))
            if state.phase == Phase::Switching
                && state.active == plan.overlays
                && plan.bindings.intent == "apply" =>
        {
            (it.from.clone(), state.active.clone(), Some(it.since))
        }
        _ => return None,
    };
    let directs = plan.steps.iter().any(|it| role(it, &plan.steps) != Role::Work);
    let kind = match (to == state.home, directs || !plan.lost.is_empty()) {
        (true, _) => SwitchKind::Failback,
        (false, true) => SwitchKind::Failover,
        (false, false) => SwitchKind::Switch,
    };
    let lost = plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let goals = goals(&proposed.desired.stack);
    Some(Switching { kind, stack: plan.stack.clone(), from, to, lost, since, goals })
}

/// What the layers say that a recovery may cost.
pub fn goals(stack: &Stack) -> Goals {
    Goals {
        rto: stack.objectives.rto_seconds.map(|(seconds, _)| seconds),
        rpo: stack.objectives.rpo_seconds.map(|(seconds, _)| seconds),
    }
}

/// What became of a switch. A run that went on with one takes what an earlier run of it directed from that one's report.
pub fn report(
    session: &Session,
    place: &Place,
    switching: &Switching,
    command: &str,
    run: &Report,
) -> SwitchReport {
    let began = switching.since.unwrap_or(run.began).min(run.began);
    let before = switching.since.map(|_| runs_before(session, place, began)).unwrap_or_default();
    let directed = before.iter().filter_map(|it| it.measured().directed);
    SwitchReport {
        kind: before.first().map_or(switching.kind, |it| it.kind),
        stack: switching.stack.clone(),
        instance: place.instance.clone(),
        target: session.target.word().into(),
        from: switching.from.clone(),
        to: switching.to.clone(),
        lost: switching.lost.clone(),
        who: session.who.clone(),
        command: command.into(),
        span: Span { began, run_began: run.began, ended: run.ended.max(run.began) },
        complete: run.ends_switch(),
        goals: switching.goals,
        earlier: directed.max_by_key(|it| it.at),
        arrivals: Vec::new(),
        steps: run.steps.clone(),
    }
}

/// The reports of earlier runs of the switch that began then.
fn runs_before(session: &Session, place: &Place, began: i64) -> Vec<SwitchReport> {
    // Without them less is known, and nothing else is wrong.
    let (kept, _) = reports(session, place).list().unwrap_or_default();
    kept.into_iter().map(|it| it.report).filter(|it| it.span.began == began).collect()
}

pub fn reports(session: &Session, place: &Place) -> Reports {
    Reports::of(&place.state(session.target == Target::Sandbox))
}

/// Keeps a report beside the state.
pub fn keep(
    session: &Session,
    place: &Place,
    report: &SwitchReport,
) -> Result<PathBuf, StoreError> {
    reports(session, place).write(report)
}

/// The reports of one stack.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The oldest first.
    pub kept: Vec<Kept>,
    pub damaged: Vec<Damaged>,
}

/// Reports of this instance; for the plain stack, those of every instance of it.
pub fn past(session: &Session, place: &Place) -> Result<Past, OpsError> {
    let mut past = Past::default();
    for place in places(session, place)? {
        let (kept, damaged) = reports(session, &place).list()?;
        past.kept.extend(kept);
        past.damaged.extend(damaged);
    }
    past.kept.sort_by(|one, other| {
        (one.report.span.ended, &one.name).cmp(&(other.report.span.ended, &other.name))
    });
    Ok(past)
}

/// The stack itself, and its instances if it is none.
fn places(session: &Session, place: &Place) -> Result<Vec<Place>, OpsError> {
    let mut places = vec![place.clone()];
    let own = place.state(session.target == Target::Sandbox);
    let states = own.parent().unwrap_or(&own);
    if place.instance.is_some() || !states.is_dir() {
        return Ok(places);
    }
    let wrong = |source| OpsError::File { file: states.to_owned(), source };
    let mut instances = Vec::new();
    for entry in std::fs::read_dir(states).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
        let instance = name.strip_prefix(&place.stack).and_then(|it| it.strip_prefix('@'));
        instances.extend(instance.map(str::to_owned));
    }
    instances.sort();
    places.extend(instances.into_iter().map(|it| Place { instance: Some(it), ..place.clone() }));
    Ok(places)
}

/// How long the switch in a plan will take, from what the reports of the stack and its instances measured, and the files
/// among these that are damaged. Nothing where it is no switch.
pub fn forecast(
    session: &Session,
    place: &Place,
    proposed: &Proposed,
) -> Result<(Option<Forecast>, Vec<Damaged>), OpsError> {
    if switching(proposed).is_none() {
        return Ok((None, Vec::new()));
    }
    let whole = Place { instance: None, ..place.clone() };
    let past = past(session, &whole)?;
    let samples = Samples::of(past.kept.iter().flat_map(|it| &it.report.steps));
    let provider_of = |step: &Step| provider_of(&session.catalog, step);
    let lanes = Lanes { provider_of: &provider_of, limits: limits() };
    let forecast = predict(&proposed.plan.steps, &samples, &lanes, session.clock.now());
    Ok((forecast, past.damaged))
}
