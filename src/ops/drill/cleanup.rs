//! The end of every drill: all of its instance is deleted, and what is left is looked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cloud::provider::ReadResult;
use crate::engine::address::Address;
use crate::engine::observed::Candidate;
use crate::engine::ownership_tag::ownership_tag;
use crate::engine::plan::model::change::StepCall;
use crate::engine::recovery::completion::Completion;
use crate::engine::recovery::report::journaled::gone_on;
use crate::engine::schema::Kind;
use crate::engine::state::record::State;
use crate::engine::state::task_record::TaskRecord;
use crate::ops::apply::finish::RunResult;
use crate::ops::drill::spec::{DrillContext, DrillObserver, DrillPhase, DrillSpec};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::plan::make::{plan_on, state_is_missing};

/// How often a cleanup is tried before it reports what remains. With the pause below the rounds span two minutes, longer than
/// lists were seen to lag.
const ROUNDS_MAX: usize = 3;

/// The pause between two rounds. For about as long an object may exist although no list shows it, and a replica that a killed
/// process took out of its group may still be leaving, which keeps the others from being deleted. Both were measured on the
/// sandbox, with drills that were killed at every request.
const PAUSE: Duration = Duration::from_secs(60);

/// What a cleanup left.
#[derive(Default)]
pub struct Cleaned {
    pub report: RunResult,
    pub leftovers: Vec<String>,
    /// Tasks of the drill that could not be taken back.
    pub in_force: Vec<String>,
    /// In all of its rounds.
    pub deleted: BTreeSet<Address>,
}

/// Deletes everything of the instance, and looks for what is left by name, id and owner mark.
pub async fn clean_up(
    session: &Arc<Session>,
    script: &DrillSpec,
    audience: &dyn DrillObserver,
) -> Result<Cleaned, OpsError> {
    let stage = DrillContext { session, script, audience };
    let store = session.store(&script.ask.place);
    let Some(before) = store.load()? else {
        state_is_missing(session, &script.ask).await?;
        return Ok(Cleaned::default());
    };
    let mut cleaned = Cleaned::default();
    for round in 1..=ROUNDS_MAX {
        let is_over = cleaned.round(&stage).await?;
        if is_over || round == ROUNDS_MAX {
            break;
        }
        session.clock.sleep(PAUSE).await;
    }
    cleaned.leftovers = leftovers(session, &before).await;
    if let Some(state) = store.load()? {
        let recorded = state.records.iter();
        cleaned
            .leftovers
            .extend(recorded.map(|(at, it)| format!("`{at}` ({}, {})", it.kind, it.id)));
        let owed = |it: &TaskRecord| it.is_in_force() && it.takes_back.is_some();
        let tasks = state.tasks.iter().filter(|(_, it)| owed(it));
        cleaned.in_force = tasks.map(|(name, _)| name.clone()).collect();
    }
    cleaned.leftovers.sort();
    cleaned.leftovers.dedup();
    Ok(cleaned)
}

impl Cleaned {
    /// Nothing may be left, whatever its last round said.
    pub fn ending(&self) -> Completion {
        let left = if self.leftovers.is_empty() { Completion::Over } else { Completion::Unread };
        let undone = if self.in_force.is_empty() { Completion::Over } else { Completion::Undone };
        self.report.ending().max(left).max(undone)
    }

    /// Deletes what there is; whether all of it could be looked at and is deleted.
    async fn round(&mut self, stage: &DrillContext<'_>) -> Result<bool, OpsError> {
        let (session, script) = (stage.session, stage.script);
        let store = session.store(&script.ask.place);
        let at = session.clock.now();
        let (lease, state) = store.lease(&session.who, &script.command, at)?;
        let ask = script.cleanup();
        let proposed = plan_on(session, &ask, state).await?;
        // Of the first round: the others see the same.
        if self.report.began == 0 {
            stage.audience.warns(&proposed);
        }
        stage.audience.begins(DrillPhase::Cleanup, &proposed.plan);
        let (_never, nothing) = watch::channel(None);
        let report = stage.run(lease, proposed, &ask, nothing).await?;
        // A step in doubt is settled by looking again.
        let is_settled = store.load()?.is_none_or(|it| it.pending.is_empty());
        let is_over = is_settled && report.is_over();
        let deletes = StepCall::Delete { deposed: false }.word();
        let deleted = report.done.iter().filter(|(_, call)| *call == deletes);
        self.deleted.extend(deleted.map(|(address, _)| address.clone()));
        self.goes_on(report);
        Ok(is_over)
    }

    /// The last round says how it ended, all of them together what it took.
    fn goes_on(&mut self, report: RunResult) {
        let first = std::mem::replace(&mut self.report, report);
        if first.began > 0 {
            let rest = std::mem::take(&mut self.report.steps);
            self.report.steps = gone_on(first.steps, rest);
            self.report.began = first.began;
        }
    }
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
            Ok(ReadResult::Absent) => {}
            Ok(ReadResult::Exists { .. }) => {
                found.push(format!("`{address}` ({}, {})", record.kind, record.id));
            }
            Err(why) => found.push(format!("`{address}` may exist: {why}")),
        }
        if kind.mark.is_none() {
            continue;
        }
        let own = ownership_tag(&before.stack, &before.lineage, address);
        match session.provider.alike(kind, &attributes).await {
            Ok(alike) => {
                let ours = |it: &Candidate| it.mark.as_deref() == Some(own.as_str());
                let marked = alike.into_iter().filter(ours);
                found.extend(marked.map(|it| format!("`{address}` ({}, {})", record.kind, it.id)));
            }
            Err(why) => found.push(format!("`{address}` may exist: {why}")),
        }
    }
    found
}

/// Whether what contains it may outlive the instance: a record in a borrowed zone.
fn is_shared(kind: &Kind) -> bool {
    kind.drain.is_some()
}
