//! Replaces the key of the states of a stack, each under its lease.

use crate::ops::change_mirror::MigrationOrder;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::{backend, sealed_backends};
use crate::ops::migrate::declared_site;
use crate::store::error::StoreError;
use crate::store::seal_error::NamedKey;
use crate::store::state_store::StateStore;

/// The states that have the newest key by now.
#[derive(Debug)]
pub struct RekeyedStack {
    pub states: Vec<RekeyedState>,
    pub key: NamedKey,
    /// The variables whose keys are not needed any more.
    pub old: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeyedState {
    /// `shop@drill`
    pub name: String,
    pub objects: usize,
    pub changed: usize,
}

/// Encrypts every state of the stack with the newest key, all workspaces included.
pub fn rekey(place: &StackRef, order: MigrationOrder<'_>) -> Result<RekeyedStack, OpsError> {
    let place = StackRef { instance: None, ..place.clone() };
    let site = declared_site(&place)?;
    let Some(declared) = site.encryption() else {
        return Err(OpsError::input(
            format!("{} does not say `encrypt`", place.shown(&place.file())),
            "there is no key to replace; nothing was changed",
        ));
    };
    let MigrationOrder { who, command, at, .. } = order;
    let store = |it: &StackRef| StateStore::over(backend(it, false)).of_stack(&it.stack);
    let mut states = Vec::new();
    let mut key = None;
    for instance in place.recorded(&store(&place))? {
        let sealed = sealed_backends(&instance, false);
        let Some(first) = sealed.first() else { continue };
        // Nobody else writes meanwhile: who began with the old key would go on with it.
        let (lease, _) = store(&instance).lease(who, command, at)?;
        let (mut objects, mut changed) = (0, 0);
        // Each of two copies by itself: nobody else writes to either.
        for one in &sealed {
            let done = one.rekey()?;
            objects += done.objects;
            changed += done.changed;
        }
        let over = |over| StoreError::Over { folder: store(&instance).folder().to_owned(), over };
        lease.pulse().ensure_fenced().map_err(over)?;
        key = Some(first.keys().map_err(StoreError::from)?.current().name().clone());
        states.push(RekeyedState { name: instance.name(), objects, changed });
    }
    let Some(key) = key else {
        return Err(OpsError::input(
            format!("{} has no state yet", place.stack),
            "there is nothing to encrypt anew; nothing was changed",
        ));
    };
    Ok(RekeyedStack { states, key, old: declared.old_key_env.clone() })
}
