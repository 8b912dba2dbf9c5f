//! Gives a state other stores beside one that has a copy already: recorded in the stores first, then in the stack file.
//!
//! From the moment that the primary store records the new ones, layers that name the old ones are refused; whoever is cut off before
//! the stack file is written runs the same command again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::state::copies::WritePermission;
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::stores_record::{ActiveStores, AloneReason, StoreRole, StoresRecord};
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::{open_side, open_stores};
use crate::store::backend::Backend;
use crate::store::error::StoreError;
use crate::store::key::STORES;
use crate::store::lock_record::wall;
use crate::store::mirror::record::{new_id, read_record, write_record};
use crate::store::moved::{Moved, leave, take_away};
use crate::store::remote::location::{DeclaredStores, StoreLocation};
use crate::store::sealed::declared::StateEncryption;
use crate::store::state_store::StateStore;

/// Who moves states, and when.
#[derive(Debug, Clone, Copy)]
pub struct MigrationOrder<'a> {
    pub who: &'a str,
    pub command: &'a str,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
    /// What is left out is gone for good, so no word is left in it.
    pub abandons_former: bool,
}

/// One state that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedState {
    /// `shop@drill`
    pub name: String,
    pub serial: u64,
}

/// A copy that is left out.
struct FormerCopy {
    role: StoreRole,
    store: Arc<dyn Backend>,
}

/// From which stores to which; one that has a copy becomes the primary one, or stays it.
#[derive(Debug, Clone, Copy)]
pub struct StoresChange<'a> {
    pub from: &'a DeclaredStores,
    pub to: &'a DeclaredStores,
    /// With which keys each of them is encrypted.
    pub encryption: Option<&'a StateEncryption>,
}

impl StoresChange<'_> {
    /// Every state of the stack, and returns those that there are. `write` puts the new stores into the stack file.
    pub fn make(
        self,
        place: &StackRef,
        order: MigrationOrder<'_>,
        write: impl FnOnce() -> Result<(), OpsError>,
    ) -> Result<Vec<MovedState>, OpsError> {
        let added = [&self.to.mirror, &self.to.witness].into_iter().flatten();
        for location in added {
            self.side(location, place).check_fit(&WritePermission::Ordinary)?;
        }
        let instances = self.instances(place)?;
        // Workspaces first: they go on where the stack does, as long as that has the stores that it had.
        for instance in instances.iter().rev() {
            self.record(instance, order)?;
        }
        write()?;
        let mut all = Vec::new();
        for instance in &instances {
            // Whoever takes the lease makes the copies equal.
            let store = self.opened(self.to, instance);
            let (lease, state) = store.lease(order.who, order.command, order.at)?;
            drop(lease);
            all.extend(state.map(|it| MovedState { name: instance.name(), serial: it.serial }));
        }
        Ok(all)
    }

    /// Which of the copies becomes the primary one.
    fn stays(self) -> StoreRole {
        if self.from.primary.identity() == self.to.primary.identity() {
            StoreRole::Primary
        } else {
            StoreRole::Mirror
        }
    }

    /// Every state of the stack, in whichever copy it is: one may have begun in one alone.
    fn instances(self, place: &StackRef) -> Result<BTreeSet<StackRef>, OpsError> {
        let mut instances = BTreeSet::from([StackRef { instance: None, ..place.clone() }]);
        for location in [Some(&self.from.primary), self.from.mirror.as_ref()].into_iter().flatten()
        {
            let is_kept = self.to.primary.identity() == location.identity();
            match place.recorded(&StateStore::over(self.side(location, place))) {
                // Whether it goes on without this copy is decided below, for the states that the other one has.
                Err(why) if is_gone(&why) && !is_kept => {}
                recorded => instances.extend(recorded?),
            }
        }
        Ok(instances)
    }

    /// Whether there is a copy in it so far.
    fn is_copy(self, location: Option<&StoreLocation>) -> bool {
        let identity = location.map(StoreLocation::identity);
        let copies = [Some(&self.from.primary), self.from.mirror.as_ref()];
        identity.is_some()
            && copies.into_iter().any(|it| it.map(StoreLocation::identity) == identity)
    }

    /// The copy that is left out, if one is.
    fn former(self, instance: &StackRef) -> Option<FormerCopy> {
        let stays = self.stays();
        let location = match stays {
            StoreRole::Primary => self.from.mirror.as_ref()?,
            StoreRole::Mirror => &self.from.primary,
        };
        let is_kept = Some(location.identity()) == self.to.named().mirror;
        let former = || FormerCopy { role: stays.other(), store: self.side(location, instance) };
        (!is_kept).then(former)
    }

    /// Before anything is changed: what went on there alone stays, until somebody says which copy counts, and who does not answer
    /// cannot be told.
    fn check_former(former: &FormerCopy, order: MigrationOrder<'_>) -> Result<(), OpsError> {
        let FormerCopy { role, store } = former;
        match read_record(&**store).map(|it| it.map(|(it, _)| it.active)) {
            Ok(Some(ActiveStores::Alone { role: alone, .. })) if alone == *role => {
                let (role, why) = (*role, "it went on alone".into());
                let why = CopiesError::Superseded { role, why };
                Err(StoreError::Copies { folder: store.root().to_owned(), why }.into())
            }
            Err(why) if is_gone(&why) && !order.abandons_former => Err(untold(*role, &why)),
            Err(why) if is_gone(&why) => Ok(()),
            read => Ok(read.map(drop)?),
        }
    }

    /// Whoever sees only the store that is left out is told: a checkout that names it must not go on in it. Once the new stores are
    /// recorded, so that whoever is cut off in between runs the same command again.
    fn tell_former(self, former: &FormerCopy, order: MigrationOrder<'_>) -> Result<(), OpsError> {
        let word = Moved::new(&self.to.primary.to_string(), order.who, wall());
        match leave(&*former.store, &word) {
            // It is gone for good, as somebody says.
            Err(why) if is_gone(&why) && order.abandons_former => Ok(()),
            Err(why) if is_gone(&why) => Err(untold(former.role, &why)),
            left => Ok(left?),
        }
    }

    fn side(self, location: &StoreLocation, instance: &StackRef) -> Arc<dyn Backend> {
        open_side(location, instance, self.encryption)
    }

    fn opened(self, stores: &DeclaredStores, instance: &StackRef) -> StateStore {
        let backend = open_stores(stores, instance, self.encryption);
        StateStore::over(backend).of_stack(&instance.stack)
    }

    /// One state: under the lease of the stores that it has.
    fn record(self, instance: &StackRef, order: MigrationOrder<'_>) -> Result<(), OpsError> {
        let name = instance.name();
        let side = |it: &StoreLocation| self.side(it, instance);
        let primary = side(&self.to.primary);
        let named = self.to.named();
        let former = self.former(instance);
        if read_record(&*primary)?.is_some_and(|(it, _)| it.named == named) {
            // Whoever was cut off may have left no word yet.
            return former.map_or(Ok(()), |it| self.tell_former(&it, order));
        }
        let store = self.opened(self.from, instance);
        let (lease, state) = store.lease(order.who, order.command, order.at)?;
        let stays = self.stays();
        if let Some(record) = store.backend().standing().and_then(|it| it.record)
            && let ActiveStores::Alone { role, .. } = record.active
            && role != stays
        {
            let why = format!("it went on alone, and {stays} is not caught up yet");
            let why = CopiesError::Superseded { role, why };
            return Err(StoreError::Copies { folder: store.folder().to_owned(), why }.into());
        }
        let keeps = former.is_none();
        let mirror = self.to.mirror.as_ref().map(side);
        if let Some(former) = &former {
            Self::check_former(former, order)?;
        }
        if let Some(mirror) = mirror.as_ref().filter(|_| !self.is_copy(self.to.mirror.as_ref())) {
            makes_room(mirror, state.as_ref().map(|it| it.lineage.as_str()))?;
        }
        let (before, version) = read_record(&*primary)?.unzip();
        let after = state.as_ref().map_or(0, |it| it.sequence);
        let active = match &before {
            // What is the primary store now was so far called as it stays.
            Some(before) if keeps && self.is_copy(self.to.mirror.as_ref()) => {
                before.active.called_from(stays)
            }
            _ if named.mirror.is_none() => ActiveStores::All,
            _ => ActiveStores::Alone {
                role: StoreRole::Primary,
                reason: AloneReason::Migrated,
                after,
            },
        };
        let generation = before.as_ref().map_or(0, |it| it.generation) + 1;
        let by = order.who.to_owned();
        let (id, known) = (new_id(), StoresRecord::known(before.iter()));
        let record = StoresRecord { generation, id, before: known, named, active, by, at: wall() };
        lease
            .pulse()
            .ensure_fenced()
            .map_err(|over| StoreError::Over { folder: store.folder().to_owned(), over })?;
        if !write_record(&*primary, version.as_ref(), &record)? {
            return Err(OpsError::refused(
                format!("somebody else has changed the stores of {name} meanwhile"),
                "nothing more was changed; run the same command again",
            ));
        }
        if let Some(former) = former {
            self.tell_former(&former, order)?;
        }
        if let Some(mirror) = mirror.filter(|_| self.is_copy(self.to.mirror.as_ref())) {
            let told = mirror
                .version(&STORES)
                .and_then(|version| write_record(&*mirror, version.as_ref(), &record));
            match told {
                // It is caught up, and told, once it answers.
                Err(why) if why.is_transient() && record.is_alone() => {}
                told => drop(told?),
            }
        }
        Ok(())
    }
}

/// Whether nobody answers in a store, or it is there no more.
fn is_gone(why: &StoreError) -> bool {
    why.is_transient() || why.is_missing()
}

fn untold(role: StoreRole, why: &StoreError) -> OpsError {
    OpsError::Refused {
        what: format!("no word can be left in {role}, which is left out: {why}"),
        help: "nothing more was changed: a checkout that still names it could go on in it. Run the command again when it answers; if it is gone for good, add `--abandon`".into(),
    }
}

/// A mirror may hold nothing, or an older copy of the same state.
fn makes_room(mirror: &Arc<dyn Backend>, lineage: Option<&str>) -> Result<(), StoreError> {
    // Word of a move that was left there once says nothing any more.
    take_away(&**mirror)?;
    let there = StateStore::over(Arc::clone(mirror)).load()?;
    match there {
        Some(there) if Some(there.lineage.as_str()) != lineage => Err(StoreError::Occupied {
            folder: mirror.root().to_owned(),
            lineage: there.lineage,
            serial: there.serial,
        }),
        _ => mirror.delete(&STORES),
    }
}
