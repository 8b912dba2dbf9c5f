//! A drill: a disaster rehearsed in an instance of its own, measured, and taken away again whatever happens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cloud::provider::{Look, Member};
use crate::engine::address::Address;
use crate::engine::ledger::phases::Span;
use crate::engine::ledger::report::{Goals, SwitchKind, SwitchReport};
use crate::engine::ledger::timed::{Arrival, with_cleanup};
use crate::engine::mark::mark;
use crate::engine::observed::Alike;
use crate::engine::plan::change::Plan;
use crate::engine::plan::group::{Members, group_name};
use crate::engine::plan::propose::{Intent, Keep};
use crate::engine::plan::wire::plan_digest;
use crate::engine::schema::Kind;
use crate::engine::stack::model::{GateProbe, Stack};
use crate::engine::state::record::{Record, State};
use crate::ops::apply::apply;
use crate::ops::closing::{Order, Report};
use crate::ops::course::Losses;
use crate::ops::error::OpsError;
use crate::ops::job::Progress;
use crate::ops::ledger::goals;
use crate::ops::plan::{Ask, Proposed, plan_on};
use crate::ops::session::Session;
use crate::store::lease::Lease;

/// How often a cleanup is tried before it says what is left.
const CLEANUPS_MAX: usize = 3;

/// What still goes may keep something else: time for it to be gone.
const CLEANUP_PAUSE: Duration = Duration::from_secs(60);

/// Who follows a drill.
pub trait Audience {
    /// A part of the drill begins, with its plan.
    fn begins(&self, part: Part, plan: &Plan);
    fn listener(&self, plan: &Plan) -> Arc<dyn Fn(Progress) + Send + Sync>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Home is made as it is before the disaster.
    Apply,
    /// The switch that is rehearsed.
    Switch,
    /// Everything is deleted again.
    Cleanup,
}

/// How a drill went.
pub struct Rehearsal {
    pub applied: Report,
    /// `None`: it was not reached, or the overlay rehearses no other.
    pub switched: Option<Report>,
    /// Why the switch could not be planned.
    pub refused: Option<String>,
    /// How long a written item took to each member with a replication gate, or why it did not arrive.
    pub replicated: Vec<(Address, Result<Duration, String>)>,
    pub cleaned: Cleaned,
    /// What the switch took for lost.
    pub lost: Vec<String>,
    pub goals: Goals,
}

/// What a cleanup left.
#[derive(Default)]
pub struct Cleaned {
    pub report: Report,
    pub leftovers: Vec<String>,
}

impl Rehearsal {
    pub fn succeeded(&self) -> bool {
        self.applied.ends_switch()
            && self.switched.as_ref().is_none_or(Report::ends_switch)
            && self.refused.is_none()
            && self.replicated.iter().all(|(_, it)| it.is_ok())
    }

    /// What it took: the switch, or what was made where it came to none, and the cleanup.
    pub fn report(&self, session: &Session, script: &Script) -> SwitchReport {
        let main = self.switched.as_ref().unwrap_or(&self.applied);
        let cleanup = &self.cleaned.report;
        let home = script.ask.overlays.clone().unwrap_or_default();
        let took = |it: &Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let arrival = |(address, it): &(Address, Result<Duration, String>)| Arrival {
            address: address.clone(),
            took: it.as_ref().ok().map(took),
        };
        SwitchReport {
            kind: SwitchKind::Drill,
            stack: script.ask.place.stack.clone(),
            instance: script.ask.place.instance.clone(),
            target: session.target.word().into(),
            to: if script.rehearses.is_empty() { home.clone() } else { script.rehearses.clone() },
            from: home,
            lost: self.lost.clone(),
            who: session.who.clone(),
            command: script.command.clone(),
            span: Span {
                began: main.began,
                run_began: main.began,
                ended: main.ended.max(cleanup.ended).max(main.began),
            },
            complete: self.succeeded() && self.cleaned.leftovers.is_empty(),
            goals: self.goals,
            earlier: None,
            arrivals: self.replicated.iter().map(arrival).collect(),
            steps: with_cleanup(main.steps.clone(), cleanup.steps.clone()),
        }
    }
}

/// What is rehearsed.
pub struct Script {
    /// Of the instance, under the drill's overlay.
    pub ask: Ask,
    /// The overlays that the drill switches to on top of that.
    pub rehearses: Vec<String>,
    /// What is taken for lost in the switch.
    pub losses: Losses,
    pub command: String,
}

/// Applies, switches, and deletes again; the cleanup also follows a failure and a signal.
pub async fn rehearse(
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    script: &Script,
    audience: &dyn Audience,
    stop: &watch::Receiver<Option<String>>,
) -> Result<Rehearsal, OpsError> {
    let stage = Stage { session, script, audience };
    audience.begins(Part::Apply, &proposed.plan);
    let stack = proposed.desired.stack.clone();
    let applied = stage.run(lease, proposed, &script.ask, stop.clone()).await;
    let mut replicated = Vec::new();
    let mut switched = None;
    let mut lost = Vec::new();
    let mut refused = None;
    let is_applied = applied.as_ref().is_ok_and(Report::is_complete);
    if is_applied {
        replicated = stage.replication(&stack).await;
        match stage.switch(stop).await {
            Ok(Some((report, assumed))) => (switched, lost) = (Some(report), assumed),
            Ok(None) => {}
            Err(why) => refused = Some(why.to_string()),
        }
    }
    // Nothing stops the cleanup but a second signal, which ends the process.
    let cleaned = clean_up(session, script, audience).await;
    let (applied, cleaned, goals) = (applied?, cleaned?, goals(&stack));
    Ok(Rehearsal { applied, switched, refused, replicated, cleaned, lost, goals })
}

/// Deletes everything of the instance, and looks for what is left by name, id and owner mark.
pub async fn clean_up(
    session: &Arc<Session>,
    script: &Script,
    audience: &dyn Audience,
) -> Result<Cleaned, OpsError> {
    let stage = Stage { session, script, audience };
    let store = session.store(&script.ask.place);
    let Some(before) = store.load()? else { return Ok(Cleaned::default()) };
    let mut cleaned = Cleaned::default();
    for round in 0..CLEANUPS_MAX {
        if round > 0 {
            session.clock.sleep(CLEANUP_PAUSE).await;
        }
        let at = session.clock.now();
        let (lease, state) = store.lease(&session.who, &script.command, at)?;
        let ask = Ask {
            overlays: None,
            intent: Intent::Destroy,
            losses: Losses::Only(Vec::new()),
            keep: Keep::Nothing,
            ..script.ask.clone()
        };
        let proposed = plan_on(session, &ask, state).await?;
        audience.begins(Part::Cleanup, &proposed.plan);
        let (_never, nothing) = watch::channel(None);
        cleaned.report = stage.run(lease, proposed, &ask, nothing).await?;
        let left = store.load()?.is_some_and(|it| !it.records.is_empty() || !it.begun.is_empty());
        if !left {
            break;
        }
    }
    cleaned.leftovers = leftovers(session, &before).await;
    if let Some(state) = store.load()? {
        let recorded = state.records.iter();
        cleaned
            .leftovers
            .extend(recorded.map(|(at, it)| format!("`{at}` ({}, {})", it.kind, it.id)));
    }
    cleaned.leftovers.sort();
    cleaned.leftovers.dedup();
    Ok(cleaned)
}

struct Stage<'a> {
    session: &'a Arc<Session>,
    script: &'a Script,
    audience: &'a dyn Audience,
}

impl Stage<'_> {
    async fn run(
        &self,
        lease: Lease,
        proposed: Proposed,
        ask: &Ask,
        stop: watch::Receiver<Option<String>>,
    ) -> Result<Report, OpsError> {
        let order = Order {
            command: self.script.command.clone(),
            intent: ask.intent,
            instance: ask.place.instance.clone(),
            plan_digest: plan_digest(&proposed.plan),
        };
        let tell = self.audience.listener(&proposed.plan);
        apply(self.session, lease, proposed, &order, tell, stop).await
    }

    /// The switch itself, and what it takes for lost; `None` where the overlay rehearses no other.
    async fn switch(
        &self,
        stop: &watch::Receiver<Option<String>>,
    ) -> Result<Option<(Report, Vec<String>)>, OpsError> {
        if self.script.rehearses.is_empty() || stop.borrow().is_some() {
            return Ok(None);
        }
        let home = self.script.ask.overlays.clone().unwrap_or_default();
        let ask = Ask {
            overlays: Some([home, self.script.rehearses.clone()].concat()),
            losses: self.script.losses.clone(),
            ..self.script.ask.clone()
        };
        let store = self.session.store(&ask.place);
        let at = self.session.clock.now();
        let (lease, state) = store.lease(&self.session.who, &self.script.command, at)?;
        let proposed = plan_on(self.session, &ask, state).await?;
        if let Some(refusal) = proposed.plan.refusals().next() {
            return Err(OpsError::refused(refusal.text.clone(), "see the plan above"));
        }
        self.audience.begins(Part::Switch, &proposed.plan);
        let lost = proposed.plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
        let report = self.run(lease, proposed, &ask, stop.clone()).await?;
        Ok(Some((report, lost)))
    }

    /// How far behind the other members are, measured while all of them live. Borrowed ones are left alone.
    async fn replication(&self, stack: &Stack) -> Vec<(Address, Result<Duration, String>)> {
        let mut measured = Vec::new();
        // Items are written: only under the lease, which goes with this function.
        let at = self.session.clock.now();
        let store = self.session.store(&self.script.ask.place);
        let leased = store.lease(&self.session.who, &self.script.command, at);
        for (address, instance) in &stack.instances {
            let gate = instance.resource.gate.as_ref();
            let Some(gate) = gate.filter(|it| matches!(it.probe, GateProbe::Replication)) else {
                continue;
            };
            let state = match &leased {
                Ok((_, Some(state))) => state,
                Ok((_, None)) => continue,
                Err(why) => {
                    measured.push((address.clone(), Err(why.to_string())));
                    continue;
                }
            };
            let Some((own, theirs)) = pair(self.session, state, address) else { continue };
            let within = Duration::from_secs(gate.within_seconds);
            let member = |it: &(Kind, Record)| (it.0.clone(), object(it));
            let ((own_kind, own), (their_kind, theirs)) = (member(&own), member(&theirs));
            let writer = Member { kind: &their_kind, attributes: &theirs };
            let reader = Member { kind: &own_kind, attributes: &own };
            let took = self.session.provider.replicates(writer, reader, within).await;
            measured.push((address.clone(), took.map_err(|why| why.to_string())));
        }
        measured
    }
}

fn object((_, record): &(Kind, Record)) -> crate::engine::value::Attributes {
    record.object()
}

type Known = (Kind, Record);

/// A recorded member of a group and another one.
fn pair(session: &Session, state: &State, address: &Address) -> Option<(Known, Known)> {
    let known = |it: &Record| Some((session.catalog.get(&it.kind)?.clone(), it.clone()));
    let own = known(state.records.get(address)?)?;
    let group = |(kind, record): &Known| group_name(kind, &record.object());
    let members = state.records.iter();
    let members: Members<'_> =
        members.filter_map(|(at, it)| Some((at, group(&known(it)?)?))).collect();
    let theirs = members.other(address, &group(&own)?)?;
    let theirs = known(&state.records[theirs])?;
    Some((own, theirs))
}

/// What is still there of what was recorded, and what carries one of its owner marks.
async fn leftovers(session: &Session, before: &State) -> Vec<String> {
    let mut found = Vec::new();
    for (address, record) in &before.records {
        let Some(kind) = session.catalog.get(&record.kind) else { continue };
        let attributes = record.object();
        // What is inside something else goes with it, and cannot be asked for without it.
        if kind.contains_in.is_some() && kind.mark.is_none() && !is_shared(kind) {
            continue;
        }
        match session.provider.look(kind, &record.id, &attributes).await {
            Ok(Look::Absent) => {}
            Ok(Look::Exists { .. }) => {
                found.push(format!("`{address}` ({}, {})", record.kind, record.id));
            }
            Err(why) => found.push(format!("`{address}` may be there: {why}")),
        }
        if kind.mark.is_none() {
            continue;
        }
        let own = mark(&before.stack, &before.lineage, address);
        match session.provider.alike(kind, &attributes).await {
            Ok(alike) => {
                let ours = |it: &Alike| it.mark.as_deref() == Some(own.as_str());
                let marked = alike.into_iter().filter(ours);
                found.extend(marked.map(|it| format!("`{address}` ({}, {})", record.kind, it.id)));
            }
            Err(why) => found.push(format!("`{address}` may be there: {why}")),
        }
    }
    found
}

/// Whether what contains it may outlive the instance: a record in a borrowed zone.
fn is_shared(kind: &Kind) -> bool {
    kind.drain.is_some()
}
