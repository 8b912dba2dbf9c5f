//! Other content for a state: an older one of its history, or one that was carried here as a document.

use crate::engine::state::document::decode_document;
use crate::engine::state::record::State;
use crate::engine::state::replaced::{PushRefusal, PushTarget, PushVerdict};
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::store::moved::check_here;
use crate::store::replace::{ReplacedState, ReplacementOrder};
use crate::store::state_store::StateStore;

/// What a push did.
#[derive(Debug)]
pub enum PushOutcome {
    /// The same is there already.
    Unchanged {
        serial: u64,
    },
    /// Nothing was there.
    First {
        serial: u64,
    },
    Replaced {
        serial: u64,
        kept: u64,
    },
}

/// An older state that is kept, for whoever asks before it is restored.
pub fn kept_state(store: &StateStore, state: &State, serial: u64) -> Result<State, OpsError> {
    if serial == state.serial {
        return Err(OpsError::input(
            format!("serial {serial} is the state in place"),
            "nothing was changed; name the serial of an earlier state",
        ));
    }
    if let Some(older) = store.kept_state(state, serial)? {
        return Ok(older);
    }
    let kept = store.kept_serials(state)?;
    let help = if kept.is_empty() {
        "nothing was changed; the history is empty, and it begins with the second run".to_owned()
    } else {
        let stack = &state.name();
        format!(
            "nothing was changed; kept are {}, and {} shows what each of them was",
            ranges(&kept),
            AdvisedCommand::StateLog { stack }
        )
    };
    Err(OpsError::input(format!("no snapshot with serial {serial} is kept"), help))
}

/// `1, 3–7, 9`
fn ranges(serials: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for serial in serials {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *serial => *last = *serial,
            _ => runs.push((*serial, *serial)),
        }
    }
    let shown = runs.iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}–{last}") }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Makes the next serial with the content of an older one, unless the state has changed since somebody was asked.
pub fn restore_serial(
    store: &StateStore,
    order: ReplacementOrder<'_>,
    seen: &State,
    serial: u64,
) -> Result<ReplacedState, OpsError> {
    let replaced = store.replace_content(order, |there| {
        if there.lineage != seen.lineage || there.touched != seen.touched {
            return Err(changed_meanwhile());
        }
        let older = kept_state(store, there, serial)?;
        let state = there.with_content_of(&older);
        if let Some(wrong) = state.integrity().into_iter().next() {
            return Err(OpsError::input(wrong, "nothing was changed"));
        }
        Ok(Some(state))
    })?;
    replaced.ok_or_else(changed_meanwhile)
}

fn changed_meanwhile() -> OpsError {
    OpsError::refused(
        "the state has changed since it was shown",
        "nothing was changed; run the command again to see what it is now",
    )
}

/// The state in a document.
pub fn document(file: &str, text: &str) -> Result<State, OpsError> {
    decode_document(text).map_err(|why| {
        OpsError::input(
            format!("{file} cannot be pushed: {why}"),
            "nothing was changed; use a document as `state pull` writes it, and the lifeboat that wrote it or a newer one",
        )
    })
}

/// Whether a state may be put into this store, and what that would do.
pub fn judge(
    store: &StateStore,
    target: PushTarget<'_>,
    file: &str,
    pushed: &State,
) -> Result<PushVerdict, OpsError> {
    check_here(&**store.backend())?;
    let verdict = target.judge(pushed).map_err(|why| refusal(target.name, file, &why))?;
    if let (PushVerdict::Forked, Some(there)) = (verdict, target.there) {
        never_twice(store, there, file, pushed)?;
    }
    Ok(verdict)
}

/// A state that went on without the store and was pushed is not pushed again over what was done since.
fn never_twice(
    store: &StateStore,
    there: &State,
    file: &str,
    pushed: &State,
) -> Result<(), OpsError> {
    let taken = PushTarget::forked(there, pushed);
    for serial in store.kept_serials(there)? {
        let kept = store.kept_state(there, serial)?;
        if kept.is_some_and(|it| it.records == taken.records && it.active == taken.active) {
            return Err(OpsError::refused(
                format!("{file} was pushed already: serial {serial} has its content"),
                format!(
                    "nothing was changed; the store went on from it, as {} shows",
                    AdvisedCommand::StateLog { stack: &there.name() }
                ),
            ));
        }
    }
    Ok(())
}

/// Puts a state that was carried here in place; what was there stays in the history.
pub fn push(
    store: &StateStore,
    order: ReplacementOrder<'_>,
    target: PushTarget<'_>,
    (file, pushed): (&str, &State),
) -> Result<PushOutcome, OpsError> {
    let serial = pushed.serial;
    let ReplacementOrder { who, command, at } = order;
    match judge(store, target, file, pushed)? {
        PushVerdict::Unchanged => return Ok(PushOutcome::Unchanged { serial }),
        PushVerdict::First => {
            drop(store.receive(who, command, at, pushed)?);
            return Ok(PushOutcome::First { serial });
        }
        PushVerdict::Newer | PushVerdict::Forked => {}
    }
    let replaced = store.replace_content(order, |there| {
        // What was there a moment ago may have gone on.
        match judge(store, PushTarget { there: Some(there), ..target }, file, pushed)? {
            PushVerdict::Newer => Ok::<_, OpsError>(Some(there.continued_by(pushed.clone()))),
            PushVerdict::Forked => Ok(Some(PushTarget::forked(there, pushed))),
            PushVerdict::Unchanged | PushVerdict::First => Ok(None),
        }
    })?;
    Ok(match replaced {
        Some(ReplacedState { state, kept }) => PushOutcome::Replaced { serial: state.serial, kept },
        None => PushOutcome::Unchanged { serial },
    })
}

fn refusal(stack: &str, file: &str, why: &PushRefusal) -> OpsError {
    let help = match why {
        PushRefusal::Name { .. } => "push it to the stack and workspace that it is of".into(),
        PushRefusal::World { .. } => {
            "a state of the sandbox is pushed with --sandbox, and one of real clouds without".into()
        }
        PushRefusal::Inconsistent(_) => "pull a state that is intact".into(),
        PushRefusal::Lineage { .. } => {
            "two lineages are two different lives of a stack: neither goes on from the other. Choose a store, or a prefix in it, that holds no state".into()
        }
        PushRefusal::Older { .. } => {
            format!("to go back to an earlier state, see {}, then restore one of its serials", AdvisedCommand::StateLog { stack })
        }
        PushRefusal::Diverged { .. } => {
            "both went on from the same state, and only one can be right: compare what both recorded, and apply from the store".into()
        }
        PushRefusal::Pending { .. } => {
            format!("finish what was interrupted first: {}", AdvisedCommand::Apply { stack })
        }
    };
    OpsError::refused(
        format!("{file} cannot be pushed: {why}"),
        format!("nothing was changed; {help}"),
    )
}
