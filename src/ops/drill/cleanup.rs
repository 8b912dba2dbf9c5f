//! The end of every drill: all of its instance is deleted, and what is left is looked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cloud::provider::Look;
use crate::engine::address::Address;
use crate::engine::mark::mark;
use crate::engine::observed::Alike;
use crate::engine::plan::change::Call;
use crate::engine::schema::Kind;
use crate::engine::state::record::State;
use crate::ops::closing::Report;
use crate::ops::drill::script::{Audience, Part, Script, Stage};
use crate::ops::error::OpsError;
use crate::ops::plan::plan_on;
use crate::ops::session::Session;

/// How often a cleanup is tried before it says what is left.
const CLEANUPS_MAX: usize = 3;

/// What still goes may keep something else: time for it to be gone.
const CLEANUP_PAUSE: Duration = Duration::from_secs(60);

/// What a cleanup left.
#[derive(Default)]
pub struct Cleaned {
    pub report: Report,
    pub leftovers: Vec<String>,
    /// In all of its rounds.
    pub deleted: BTreeSet<Address>,
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
        let ask = script.cleanup();
        let proposed = plan_on(session, &ask, state).await?;
        audience.begins(Part::Cleanup, &proposed.plan);
        let (_never, nothing) = watch::channel(None);
        cleaned.report = stage.run(lease, proposed, &ask, nothing).await?;
        let deletes = Call::Delete { deposed: false }.word();
        let deleted = cleaned.report.done.iter().filter(|(_, call)| *call == deletes);
        cleaned.deleted.extend(deleted.map(|(address, _)| address.clone()));
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
