//! The RTO ledger of a stack: which switch a run carries out, its report, and the reports that are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Plan, SkippedGate, Step};
use crate::engine::plan::model::forecast::{Forecast, SummedSteps};
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::plan::model::step_phase::role;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::Unfinished;
use crate::engine::recovery::predict::{ConcurrencyLanes, Samples, predict};
use crate::engine::recovery::report::journaled::{JournaledSwitch, gone_on, runs};
use crate::engine::recovery::report::phases::{Gap, RunSpan, ShiftRecord, later};
use crate::engine::recovery::report::step_timing::{Arrival, StepResult, StepTiming};
use crate::engine::recovery::report::summary::{
    RecoveryObjectives, SwitchKind, SwitchReport, unchecked,
};
use crate::engine::recovery::user_routes::leads_users;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::retry::Pacing;
use crate::engine::state::record::SwitchRecord;
use crate::ops::apply::call_slots::{limits, provider_of};
use crate::ops::apply::finish::RunResult;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::Proposed;
use crate::store::error::StoreError;
use crate::store::reports::{DamagedReport, Reports, StoredReport};

/// A switch that is about to be carried out, or gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switching {
    pub kind: SwitchKind,
    pub stack: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub lost: Vec<String>,
    /// When it was recorded last, if an earlier run did that.
    pub since: Option<i64>,
    /// When it was recorded first: its time counts from then, also where a further loss was declared on the way.
    pub began: Option<i64>,
    /// When the site was last seen good, where somebody watched it.
    pub last_good: Option<i64>,
    /// When the last of what is lost was declared so, if an earlier run did that.
    pub lost_since: Option<i64>,
    /// What it declares lost, and answered all the same.
    pub answering: Vec<String>,
    /// When earlier runs of it directed users.
    pub directed: Vec<ShiftRecord>,
    pub goals: RecoveryObjectives,
}

/// The switch in a plan; `None`: it changes no overlays, and no switch stands still.
pub fn switching(proposed: &Proposed) -> Option<Switching> {
    let plan = &proposed.plan;
    let state = proposed.state.as_ref()?;
    let (from, to, before) = match (&plan.switch, state.unfinished_switch()) {
        (Some((from, to)), _) => (from.clone(), to.clone(), None),
        (None, Some(it))
            if state.active == plan.overlays
                // A loss that was only declared has switched nobody.
                && it.from != state.active
                && plan.bindings.intent == Intent::Apply =>
        {
            (it.from.clone(), state.active.clone(), Some(it))
        }
        _ => return None,
    };
    let directed = before.map(|it| it.directed.clone()).unwrap_or_default();
    let directs = plan.steps.iter().any(|it| role(it, &plan.steps) == StepPhase::Traffic);
    let directs = directs || !directed.is_empty();
    let kind = match (to == state.home, directs || !plan.lost.is_empty()) {
        (true, _) => SwitchKind::Failback,
        (false, true) => SwitchKind::Failover,
        (false, false) => SwitchKind::Switch,
    };
    let lost = plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let since = plan.lost.iter().map(|it| it.recorded.as_ref().map(|(since, _)| *since));
    let lost_since = since.collect::<Option<Vec<_>>>().and_then(|it| it.into_iter().max());
    Some(Switching {
        kind,
        stack: plan.stack.clone(),
        from,
        to,
        lost,
        since: before.map(|it| it.since),
        began: before.map(SwitchRecord::identity),
        last_good: before.and_then(|it| it.last_good).or(proposed.last_good),
        lost_since,
        answering: proposed.answering.clone(),
        directed,
        goals: goals(&proposed.desired.stack),
    })
}

/// What the layers say that a recovery may cost.
pub fn goals(stack: &Stack) -> RecoveryObjectives {
    RecoveryObjectives {
        rto: stack.objectives.rto_seconds.map(|(seconds, _)| seconds),
        rpo: stack.objectives.rpo_seconds.map(|(seconds, _)| seconds),
    }
}

/// What became of a switch. A run that went on with one takes over what state knows of its earlier runs; the steps of one
/// that was cut off stand in the journal.
pub fn report(
    session: &Session,
    place: &StackRef,
    switching: &Switching,
    command: &str,
    run: &RunResult,
) -> SwitchReport {
    let recorded = switching.began.unwrap_or(run.began).min(run.began);
    // Time that is not over, or that nobody believes, counts for nothing.
    let began = switching.last_good.map_or(recorded, |it| it.clamp(0, recorded));
    let before = switching.since.map(|_| runs_before(session, place, began, &switching.to));
    let before = before.unwrap_or_default();
    let cut_off = switching.since.and_then(|since| cut_off(session, place, since, run.began));
    let (run_began, idle, steps) = match cut_off {
        Some(it) => {
            let idle = Gap { from: it.last, to: run.began };
            (switching.since.unwrap_or(recorded), Some(idle), gone_on(it.steps, run.steps.clone()))
        }
        None => (run.began, None, run.steps.clone()),
    };
    let mut led = unchecked(&steps);
    // The journal does not say where a name leads.
    let is_open = led.iter().any(|it| it.target.is_empty());
    if let Some(state) = is_open.then(|| session.store(place).load().ok()).flatten().flatten() {
        led.retain_mut(|it| {
            let leads = leads_users(&session.catalog, &state, &it.address);
            leads.map(|leads| it.target = leads).is_some()
        });
    }
    let is_lost = !switching.lost.is_empty();
    let declared = is_lost.then(|| switching.lost_since.unwrap_or(run.began));
    let earlier = before.iter().flat_map(|it| it.unchecked.iter().cloned());
    let earlier: Vec<_> =
        earlier.filter(|it| led.iter().all(|one| one.address != it.address)).collect();
    led.extend(earlier);
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
        span: RunSpan { began, recorded, run_began, ended: run.ended.max(run.began) },
        phase: run.phase,
        goals: switching.goals,
        earlier: switching.directed.iter().copied().reduce(later),
        answered: before.iter().filter_map(|it| it.answered).min(),
        idle,
        arrivals: arrivals(&before),
        heartbeats: Vec::new(),
        declared: declared.filter(|it| *it > recorded),
        replicated: if is_lost { replicated(&before, &steps) } else { Vec::new() },
        answering: answering(&before, &switching.answering),
        unchecked: led,
        skipped_gates: skipped_gates(&before, run),
        open: run.open.iter().map(Unfinished::sentence).collect(),
        steps,
    }
}

/// What this run and earlier ones of the same switch declared lost though it answered, each once.
fn answering(before: &[SwitchReport], now: &[String]) -> Vec<String> {
    let all = before.iter().flat_map(|it| &it.answering).chain(now);
    all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The replication gates that opened.
fn opened<'a>(steps: impl Iterator<Item = &'a StepTiming>) -> impl Iterator<Item = &'a StepTiming> {
    steps.filter(|it| it.role == StepPhase::Replication && it.became == StepResult::Done)
}

/// What the replication gates of earlier runs of a switch saw: this one does not wait for them again.
fn arrivals(before: &[SwitchReport]) -> Vec<Arrival> {
    let gates = opened(before.iter().flat_map(|it| &it.steps));
    gates
        .map(|it| Arrival { address: it.address.clone(), took: it.arrived.or(it.duration()) })
        .collect()
}

/// When the gates of all runs of a switch wrote what came to the other member, the latest of each group.
fn replicated(before: &[SwitchReport], steps: &[StepTiming]) -> Vec<(Address, i64)> {
    let gates = opened(before.iter().flat_map(|it| &it.steps).chain(steps));
    let mut last: BTreeMap<Address, i64> = BTreeMap::new();
    for (address, at) in gates.filter_map(|it| Some((it.address.clone(), it.started?))) {
        let known = last.entry(address).or_insert(at);
        *known = at.max(*known);
    }
    last.into_iter().collect()
}

/// What this run and earlier ones of the same switch did not wait for, each once.
fn skipped_gates(before: &[SwitchReport], run: &RunResult) -> Vec<SkippedGate> {
    let mut all: Vec<SkippedGate> = Vec::new();
    for it in before.iter().flat_map(|it| &it.skipped_gates).chain(&run.skipped_gates) {
        if all.iter().all(|one| one.address != it.address) {
            all.push(it.clone());
        }
    }
    all
}

/// The run that began a switch, where it was cut off and this one is the first after it. Any other history is told as one time.
fn cut_off(
    session: &Session,
    place: &StackRef,
    since: i64,
    run_began: i64,
) -> Option<JournaledSwitch> {
    // Without its journal less is known, and nothing else is wrong.
    let entries = session.store(place).entries(1).unwrap_or_default();
    let runs = runs(&entries);
    let at = runs.iter().position(|it| it.began == run_began)?;
    let before = at.checked_sub(1).and_then(|it| runs.into_iter().nth(it))?;
    let begins = before.switched.as_ref().is_some_and(|(at, _)| *at == since);
    (begins && !before.is_ended).then_some(before)
}

/// The reports of earlier runs of the switch that began then; one that it turned may count from the same time.
fn runs_before(
    session: &Session,
    place: &StackRef,
    began: i64,
    to: &[String],
) -> Vec<SwitchReport> {
    // Without them less is known, and nothing else is wrong.
    let (kept, _) = reports(session, place).list().unwrap_or_default();
    let is_of_it = |it: &SwitchReport| it.span.began == began && it.to == to;
    kept.into_iter().map(|it| it.report).filter(is_of_it).collect()
}

pub fn reports(session: &Session, place: &StackRef) -> Reports {
    session.store(place).reports()
}

/// Where the users of a switch to an overlay are that began then or later: what state says while it goes on, else its last report.
pub fn users(
    session: &Session,
    place: &StackRef,
    overlay: &str,
    began: i64,
) -> Result<Option<UsersAre>, StoreError> {
    if let Some(users) = session.store(place).load()?.as_ref().and_then(UsersAre::of) {
        return Ok(Some(users));
    }
    let is_it = |it: &SwitchReport| it.span.ended >= began && it.to.iter().any(|it| it == overlay);
    let (kept, _) = reports(session, place).list()?;
    Ok(kept.iter().rfind(|it| is_it(&it.report)).map(|it| it.report.users()))
}

/// Keeps a report beside the state.
pub fn keep(
    session: &Session,
    place: &StackRef,
    report: &SwitchReport,
) -> Result<PathBuf, StoreError> {
    reports(session, place).write(report)
}

/// Completes the kept reports of the failover to an overlay that ended at `since` or later with the first of these good answers that
/// came after users had moved. When that was; `None`: no such report lacks one.
pub fn complete(
    session: &Session,
    place: &StackRef,
    overlay: &str,
    since: i64,
    seen: &[i64],
) -> Result<Option<i64>, StoreError> {
    let reports = reports(session, place);
    let (kept, _) = reports.list()?;
    let mut answered = None;
    for StoredReport { name, mut report } in kept {
        let is_it = report.kind == SwitchKind::Failover
            && report.span.ended >= since
            && report.to.iter().any(|it| it == overlay);
        if is_it && report.take_answers(seen) {
            reports.replace(&name, &report)?;
            answered = answered.or(report.answered);
        }
    }
    Ok(answered)
}

/// The reports of one stack.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The oldest first.
    pub kept: Vec<StoredReport>,
    pub damaged: Vec<DamagedReport>,
}

/// Reports of this instance; for the plain stack, those of every instance of it.
pub fn past(session: &Session, place: &StackRef) -> Result<Past, OpsError> {
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
fn places(session: &Session, place: &StackRef) -> Result<Vec<StackRef>, OpsError> {
    let mut places = vec![place.clone()];
    if place.instance.is_none() {
        let recorded = place.recorded(&session.store(place))?;
        places.extend(recorded.into_iter().filter(|it| it.instance.is_some()));
    }
    Ok(places)
}

/// How long the switch in a plan will take, from what the reports of the stack and its instances measured, and what of these
/// cannot be read. Nothing where it is no switch.
pub fn forecast(
    session: &Session,
    place: &StackRef,
    proposed: &Proposed,
) -> (Option<Forecast>, Vec<DamagedReport>) {
    if switching(proposed).is_none() {
        return (None, Vec::new());
    }
    let (samples, damaged) = samples(session, place);
    (expect(session, &proposed.plan, &samples), damaged)
}

/// What these plans will take one after another, where the reports know anything of it, and what of these cannot be read.
pub fn expected<'a>(
    session: &Session,
    place: &StackRef,
    plans: impl Iterator<Item = &'a Plan>,
) -> (Option<SummedSteps>, Vec<DamagedReport>) {
    let (samples, damaged) = samples(session, place);
    (SummedSteps::of(plans.filter_map(|it| expect(session, it, &samples))), damaged)
}

/// Estimates of the rest of a switch that somebody follows: its reports are read once for each switch, not at each look.
#[derive(Default)]
pub struct RestEstimates {
    /// Of the switch with this identity.
    read: Option<(i64, Samples)>,
}

impl RestEstimates {
    /// How long a plan will take, in seconds, as part of the switch with this identity; `None`: nothing like it was ever measured.
    pub fn whole(
        &mut self,
        session: &Session,
        place: &StackRef,
        switch: i64,
        plan: &Plan,
    ) -> Option<u64> {
        if self.read.as_ref().is_none_or(|(of, _)| *of != switch) {
            self.read = Some((switch, samples(session, place).0));
        }
        let (_, samples) = self.read.as_ref()?;
        SummedSteps::of(expect(session, plan, samples)).map(|it| it.whole)
    }
}

/// What the steps in the reports of the stack and its instances took. It serves predictions only: what cannot be read stops
/// nobody.
fn samples(session: &Session, place: &StackRef) -> (Samples, Vec<DamagedReport>) {
    let plain = StackRef { instance: None, ..place.clone() };
    let places = places(session, &plain).unwrap_or_else(|_| vec![plain]);
    let (mut all, mut damaged) = (Vec::new(), Vec::new());
    for place in places {
        let reports = reports(session, &place);
        match reports.list() {
            Ok((kept, torn)) => {
                all.extend(kept);
                damaged.extend(torn);
            }
            Err(why) => damaged.push(unlisted(&reports, &why)),
        }
    }
    (Samples::of(all.iter().flat_map(|it| &it.report.steps)), damaged)
}

fn unlisted(reports: &Reports, why: &StoreError) -> DamagedReport {
    DamagedReport { file: reports.folder(), why: why.cause() }
}

fn expect(session: &Session, plan: &Plan, samples: &Samples) -> Option<Forecast> {
    let provider_of = |step: &Step| provider_of(&session.catalog, step);
    let limits = limits(session, Pacing::default());
    let lanes = ConcurrencyLanes { provider_of: &provider_of, limits };
    predict(&plan.steps, samples, &lanes, session.clock.now())
}
