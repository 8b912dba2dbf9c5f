//! Moves the states of a stack into another store: copied under both leases, then word is left in the old one, then the stack file names the new one.
//!
//! Whoever is cut off before word is left leaves the old store in force, and a copy that the next attempt replaces; whoever is cut
//! off behind it leaves a stack file that is refused by the old store, until the next attempt writes it. At no time do two stores
//! take themselves for the one in force.

use std::collections::BTreeMap;

use crate::engine::state::copies::WritePermission;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::change_mirror::{MigrationOrder, MovedState, StoresChange};
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::{FOLDER, StateSite, at, open_side, site};
use crate::store::error::StoreError;
use crate::store::key::STORES;
use crate::store::lease::Lease;
use crate::store::moved::{Moved, check_here, leave};
use crate::store::remote::location::{DeclaredStores, LocationError, StoreLocation};
use crate::store::sealed::declared::StateEncryption;
use crate::store::state_store::StateStore;

/// Where the stack file says that its state is.
pub fn declared_site(place: &StackRef) -> Result<StateSite, OpsError> {
    site(place, false).map_err(|(line, why)| {
        OpsError::input(format!("{}:{line}: {}", place.shown(&place.file()), why.what), why.remedy)
    })
}

/// The store that states leave for another one. Somebody may have written `encrypt` into the stack file and moved nothing: then it is
/// the one in plain text.
fn left(place: &StackRef, to: &StateSite) -> Result<StateSite, OpsError> {
    let from = declared_site(place)?;
    // Of which keys `encrypt` speaks is no other place.
    if from.clone().in_form(None) != to.clone().in_form(None)
        || from.encryption().is_some() != to.encryption().is_some()
    {
        return Ok(from);
    }
    if from.encryption().is_some() {
        let is_plain = |why: &StoreError| matches!(why, StoreError::Seal(it) if it.is_refusal());
        let store = StateStore::over(at(&in_site(&from, place), place));
        if store.load().is_err_and(|why| is_plain(&why)) {
            return Ok(from.in_form(None));
        }
    }
    let help = match (from.encryption(), to.encryption()) {
        (Some(old), Some(new)) if old.key_env != new.key_env => {
            let both = StateEncryption { old_key_env: vec![old.key_env.clone()], ..new.clone() };
            format!(
                "nothing was changed; to replace the key, write `{}` into the stack file, then run {}",
                both.written(),
                AdvisedCommand::StateRekey { stack: &place.stack }
            )
        }
        _ => "nothing was changed".into(),
    };
    let what = format!("the state of {} is in {} already", place.stack, to.described());
    Err(OpsError::input(what, help))
}

/// Where states go: `folder`, or the address of a store.
pub fn destination(
    place: &StackRef,
    to: &str,
    mirror: Option<&str>,
    witness: Option<&str>,
) -> Result<StateSite, OpsError> {
    let parse = |flag: &str, text: &str| -> Result<StoreLocation, OpsError> {
        text.parse().map_err(|why: LocationError| {
            OpsError::usage(format!("`{flag}`: {}", why.what), why.remedy)
        })
    };
    if to == FOLDER {
        return match mirror {
            None => Ok(StateSite::Folder(place.state(false))),
            Some(_) => Err(OpsError::usage(
                "a state in its folder has no mirror",
                "name a store that other machines reach as well with `--to`",
            )),
        };
    }
    let stores = DeclaredStores {
        primary: parse("--to", to)?,
        mirror: mirror.map(|it| parse("--mirror", it)).transpose()?,
        witness: witness.map(|it| parse("--witness", it)).transpose()?,
    };
    stores.check().map_err(|why| OpsError::usage(why.what, why.remedy))?;
    Ok(StateSite::Remote(Box::new(stores)))
}

/// Moves every state of the stack, and returns those that there were. `write` puts the new place into the stack file.
pub fn migrate(
    place: &StackRef,
    to: &StateSite,
    order: MigrationOrder<'_>,
    write: impl FnOnce() -> Result<(), OpsError>,
) -> Result<Vec<MovedState>, OpsError> {
    let from = left(place, to)?;
    if let Some(change) = stores_change(&from, to)? {
        return change.make(place, order, write);
    }
    if !has_copy(&from, to) {
        forget_former(to, place)?;
    }
    let source = |place: &StackRef| {
        StateStore::over(at(&in_site(&from, place), place)).of_stack(&place.stack)
    };
    let target =
        |place: &StackRef| StateStore::over(at(&in_site(to, place), place)).of_stack(&place.stack);
    // Also where there is no state yet: a store that cannot keep one is not written into the stack file.
    target(place).backend().check_fit(&WritePermission::Ordinary)?;
    let MigrationOrder { who, command, at, .. } = order;
    let word = Moved::new(&to.described(), who, at);
    let mut hands = Vec::new();
    let mut moved = Vec::new();
    let plain = StackRef { instance: None, ..place.clone() };
    let mut instances = place.recorded(&source(place))?;
    if !instances.contains(&plain) {
        // Also where nothing is to be moved, nobody begins anew in the old place.
        instances.push(plain);
    }
    for instance in instances {
        let (old, new) = (source(&instance), target(&instance));
        if is_left_under_another_key(&new) {
            new.clear_left()?;
        }
        let (held, state, gone) = match old.lease(who, command, at) {
            // A move that was cut off had left word here.
            Err(StoreError::Moved { to, touched, .. }) if to == word.to => {
                let (held, state) = old.lease_moved(who, command, at)?;
                (held, state, touched)
            }
            leased => {
                let (held, state) = leased?;
                (held, state, None)
            }
        };
        let touched = state.as_ref().map(|it| it.touched);
        // What was done under a lease that was taken meanwhile is not in the copy.
        let went_along = gone.is_some_and(|gone| touched.is_none_or(|it| it <= gone));
        let taken = match &state {
            _ if went_along => None,
            Some(state) => {
                let taken = new.receive(who, command, at, state)?;
                new.receive_beside(&old)?;
                Some(taken)
            }
            None if new.is_occupied()? => {
                return Err(hidden(&instance, &from, &new));
            }
            None => None,
        };
        moved.extend(state.map(|it| MovedState { name: instance.name(), serial: it.serial }));
        hands.push(MovingState { old, held, taken, touched });
    }
    hand_over(&hands, &word)?;
    // Plain text is not to be left behind, and what is encrypted would be in the way of another key.
    if to.encryption().is_some() != from.encryption().is_some() {
        for it in &hands {
            it.old.clear_left()?;
        }
    }
    write()?;
    Ok(moved)
}

/// Whether the new primary store has a copy already: as the primary one, or as the mirror, which takes its place then.
fn has_copy(from: &StateSite, to: &StateSite) -> bool {
    match (from.stores(), to.stores()) {
        (Some(from), Some(to)) => [Some(&from.primary), from.mirror.as_ref()]
            .into_iter()
            .flatten()
            .any(|it| it.identity() == to.primary.identity()),
        _ => false,
    }
}

/// Another mirror or witness, or the mirror in the place of the primary store, if that is what is wanted.
fn stores_change<'a>(
    from: &'a StateSite,
    to: &'a StateSite,
) -> Result<Option<StoresChange<'a>>, OpsError> {
    let (Some(old), Some(new)) = (from.stores(), to.stores()) else { return Ok(None) };
    if old == new || !has_copy(from, to) {
        return Ok(None);
    }
    if from.encryption() != to.encryption() {
        return Err(OpsError::usage(
            "the stores of a state and its encryption are changed one after the other",
            "leave out either `--mirror` and `--witness`, or `--encrypt` and `--no-encrypt`",
        ));
    }
    Ok(Some(StoresChange { from: old, to: new, encryption: to.encryption() }))
}

/// A store that was left once records the stores of that time, beside word of where the state went.
fn forget_former(to: &StateSite, place: &StackRef) -> Result<(), OpsError> {
    let Some(stores) = to.stores() else { return Ok(()) };
    for location in stores.all() {
        let store = open_side(location, place, to.encryption());
        if matches!(check_here(&*store), Err(StoreError::Moved { .. })) {
            store.delete(&STORES)?;
        }
    }
    Ok(())
}

/// What is there was left when the state went elsewhere, and cannot be compared with what comes: its key was another one.
fn is_left_under_another_key(new: &StateStore) -> bool {
    matches!(new.load(), Err(StoreError::Moved { .. }))
        && matches!(new.is_occupied(), Err(StoreError::Seal(_)))
}

/// A state between two stores.
struct MovingState {
    old: StateStore,
    held: Lease,
    /// The lease of the new store; `None`: nothing is copied.
    taken: Option<Lease>,
    touched: Option<u64>,
}

/// A store that holds a state already, where none comes from the old place.
fn hidden(instance: &StackRef, from: &StateSite, new: &StateStore) -> OpsError {
    OpsError::refused(
        format!(
            "{} has no state in {}, but {} contains one",
            instance.name(),
            from.described(),
            new.folder().display()
        ),
        "nothing was changed. If it is the state of this stack, write the `state:` block into the stack file instead of moving; if it is of another one, choose another prefix",
    )
}

/// Leaves word in every old store, as long as all leases are ours: who took one meanwhile has written what was not copied. Word that
/// was left stays, also where a lease is lost then: the old store is refused, and the next attempt sees what is missing.
fn hand_over(hands: &[MovingState], word: &Moved) -> Result<(), StoreError> {
    let are_ours = || -> Result<(), StoreError> {
        for MovingState { old, held, taken, .. } in hands {
            for lease in std::iter::once(held).chain(taken) {
                let over = |over| StoreError::Over { folder: old.folder().to_owned(), over };
                lease.pulse().ensure_fenced().map_err(over)?;
            }
        }
        Ok(())
    };
    are_ours()?;
    for MovingState { old, touched, .. } in hands {
        leave(&**old.backend(), &word.of_copy(*touched))?;
    }
    are_ours()
}

/// The place of one of its workspaces: a folder holds one state, and a store behind a network is told which.
fn in_site(site: &StateSite, place: &StackRef) -> StateSite {
    match site {
        StateSite::Folder(_) => StateSite::Folder(place.state(false)),
        StateSite::Remote(_) => site.clone(),
        StateSite::Sealed(inner, encryption) => {
            in_site(inner, place).in_form(Some(encryption.clone()))
        }
    }
}

/// The block of a stack file that names a store; `None` for the folder, which needs none.
pub fn block(site: &StateSite) -> Option<String> {
    let stores = match site {
        StateSite::Folder(_) => return None,
        StateSite::Remote(stores) => stores,
        StateSite::Sealed(inner, encryption) => {
            let stores = block(inner).unwrap_or_else(|| "state:\n".into());
            return Some(format!("{stores}  {}\n", encryption.written()));
        }
    };
    let DeclaredStores { primary, mirror, witness } = &**stores;
    let mut text = format!("state:\n  {}\n", store_block(primary));
    for (key, store) in [("mirror", mirror), ("witness", witness)] {
        if let Some(store) = store {
            text.push_str(&format!("  {key}: {{ {} }}\n", store_block(store)));
        }
    }
    Some(text)
}

/// `s3: { bucket: shop-state, region: eu-west-1 }`
fn store_block(location: &StoreLocation) -> String {
    let settings: BTreeMap<String, String> = location.settings();
    let container = location.protocol.container_word();
    let first = settings.get_key_value(container).into_iter();
    let rest = settings.iter().filter(|(key, _)| *key != container);
    let pairs: Vec<String> =
        first.chain(rest).map(|(key, value)| format!("{key}: {}", scalar(value))).collect();
    format!("{}: {{ {} }}", location.protocol.as_str(), pairs.join(", "))
}

/// A text as YAML reads it back as a text.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "-_./".contains(it))
        // In any case: readers of YAML 1.1 take these for something else.
        && !WORDS.iter().any(|it| it.eq_ignore_ascii_case(text));
    if is_plain { text.into() } else { serde_json::Value::from(text).to_string() }
}

/// Words that some readers of YAML take for no text.
const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn scalar_quotes_what_yaml_does_not_read_back_as_text() {
        let written = |text: &str| scalar(text);
        for plain in ["S3_KEY", "shop-state", "eu-west-1", "a/b.c_d", "None"] {
            assert_eq!(written(plain), plain);
        }
        for quoted in
            ["", "7", "-x", ".x", "/a", "a b", "a: b", "http://x:1", "True", "NO", "y", "null"]
        {
            assert_eq!(written(quoted), serde_json::json!(quoted).to_string());
        }
        for text in ["S3_KEY", "True", "NO", "7", "1e3", "a#b"] {
            let read: serde_json::Value = serde_yaml::from_str(&scalar(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}
