//! Two stores as one: what is believed is read, and what is written is written to the primary store first and then to the mirror.
//!
//! The primary store decides between those who write at once; what the mirror then refuses was written there by somebody who went on
//! without the primary store, and is not ours to overwrite. A put is over when both stores have it. Where the mirror does not
//! answer, the same put goes on there when it is made again, so that nothing is put twice into the primary store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::state::copies::{
    CopySight, CopyStanding, OtherCopy, WitnessSight, WritePermission, WriteTarget,
};
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::stores_record::{ActiveStores, StoreRole};
use crate::store::backend::{
    Backend, ClaimOutcome, ObjectVersion, PutCondition, PutOutcome, StoredObject,
};
use crate::store::error::StoreError;
use crate::store::key::{KeyPrefix, LEASE, StoreKey};
use crate::store::mirror::look::{MirrorLook, MirrorStores};
use crate::store::mirror::transition::Transition;

/// A state in two stores.
#[derive(Debug)]
pub struct MirroredBackend {
    sides: MirrorStores,
    view: Mutex<Option<View>>,
    /// Of whoever claims next.
    permission: Mutex<WritePermission>,
    half_done: Mutex<HalfDonePuts>,
}

/// What was seen of the stores of a stack, and which copy is believed.
type StackStanding = (MirrorLook, Result<CopyStanding, CopiesError>);

/// What the primary store has, or may have, and the mirror has not: the bytes, and the version there; `None`: it did not answer.
type HalfDonePuts = BTreeMap<StoreKey, (Vec<u8>, Option<ObjectVersion>)>;

/// Which of them are used now.
#[derive(Debug, Clone)]
struct View {
    standing: CopyStanding,
    reads: StoreRole,
    /// The primary store first.
    writes: Vec<StoreRole>,
    /// How far the copy that is read had come at least, as its own stores record.
    least: u64,
    /// Under a lease: nothing changes until it ends.
    is_held: bool,
}

/// The entry that a copy had when the state went on in it alone.
fn least_of(standing: &CopyStanding, reads: StoreRole) -> u64 {
    match standing.record.as_ref().map(|it| &it.active) {
        Some(ActiveStores::Alone { role, after, .. }) if *role == reads => *after,
        _ => 0,
    }
}

impl MirroredBackend {
    /// Nothing is asked before the first request.
    pub fn new(sides: MirrorStores) -> Self {
        let (view, permission, half_done) = Default::default();
        Self { sides, view, permission, half_done }
    }

    fn side(&self, role: StoreRole) -> &dyn Backend {
        &**self.sides.store(role)
    }

    fn refused(&self, why: CopiesError) -> StoreError {
        StoreError::Copies { folder: self.root().to_owned(), why }
    }

    fn kept_view(&self) -> MutexGuard<'_, Option<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn half_done(&self) -> MutexGuard<'_, HalfDonePuts> {
        self.half_done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permission(&self) -> WritePermission {
        self.permission.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It was of one lease, which is over, or was refused.
    fn forget_permission(&self) {
        *self.permission.lock().unwrap_or_else(PoisonError::into_inner) = WritePermission::Ordinary;
    }

    fn view(&self) -> Result<View, StoreError> {
        let kept = self.kept_view().clone();
        match kept {
            Some(view) => Ok(view),
            None => self.read_view(),
        }
    }

    /// For readers, who write what needs no lease wherever it can be read.
    fn read_view(&self) -> Result<View, StoreError> {
        let look = self.sides.look(self.permission().lost())?;
        let mut standing =
            look.sight.standing(&self.sides.named).map_err(|why| self.refused(why))?;
        let least = least_of(&standing, standing.believed);
        if standing.is_unseen()
            && let Some((_, stack)) = self.stack_standing()?
            && let Ok(CopyStanding { record: Some(record), .. }) = stack
            && record.is_alone()
        {
            // The next run that takes the lease of this workspace follows it.
            standing.record = Some(record);
        }
        let is_used = |role: &StoreRole| {
            let is_alone = standing.record.as_ref().is_some_and(
                |it| matches!(it.active, ActiveStores::Alone { role: alone, .. } if alone != *role),
            );
            !is_alone && look.sight.of(*role).end().is_some()
        };
        let writes = StoreRole::BOTH.into_iter().filter(is_used).collect();
        let view = View { reads: standing.believed, standing, writes, least, is_held: false };
        *self.kept_view() = Some(view.clone());
        Ok(view)
    }

    /// Of a workspace, how the copies of its stack stand, and what was seen of them.
    fn stack_standing(&self) -> Result<Option<StackStanding>, StoreError> {
        let Some(stack) = &self.sides.stack else { return Ok(None) };
        let look = stack.look(&[])?;
        let standing = look.sight.standing(&stack.named);
        Ok(Some((look, standing)))
    }

    /// What whoever wants the lease sees, and on what it may write.
    fn look_to_write(&self) -> Result<(MirrorLook, WritePermission), StoreError> {
        let permission = self.permission();
        let stack = match permission {
            WritePermission::Ordinary => self.stack_standing()?,
            _ => None,
        };
        match stack {
            Some((seen, Ok(standing))) => {
                let lost = match &seen.sight.primary {
                    CopySight::Lost(domain) => vec![domain.clone()],
                    _ => Vec::new(),
                };
                let active = standing.record.map_or(ActiveStores::All, |it| it.active);
                Ok((self.sides.look(&lost)?, WritePermission::Following(active)))
            }
            // It went on where nobody can look, and its workspaces may have as well.
            Some((_, Err(why @ CopiesError::Superseded { .. }))) => Err(self.refused(why)),
            Some((_, Err(_))) | None => Ok((self.sides.look(permission.lost())?, permission)),
        }
    }

    /// For whoever wants the lease.
    fn write_view(
        &self,
        look: &MirrorLook,
        permission: &WritePermission,
    ) -> Result<(View, WriteTarget), StoreError> {
        let domains = [&*self.sides.domains[0], &*self.sides.domains[1]];
        let wrong = |why| self.refused(why);
        let sight = &look.sight;
        let target = sight.target(&self.sides.named, domains, permission).map_err(wrong)?;
        let standing = sight.standing(&self.sides.named);
        let (standing, reads, writes) = match &target {
            WriteTarget::Both { .. } => {
                let standing = standing.map_err(wrong)?;
                let believed = standing.believed;
                (standing, believed, StoreRole::BOTH.to_vec())
            }
            WriteTarget::Alone { role, .. } => {
                // Somebody says which of two that contradict each other is believed.
                let standing = standing.unwrap_or_else(|_| CopyStanding {
                    believed: *role,
                    other: OtherCopy::Forked,
                    record: sight.record().cloned(),
                    is_witness_silent: sight.witness == WitnessSight::Unreachable,
                });
                (standing, *role, vec![*role])
            }
        };
        let least = least_of(&standing, reads);
        Ok((View { standing, reads, writes, least, is_held: false }, target))
    }

    /// Puts into the primary store what it may have from an attempt before, which ended there or at the mirror.
    fn put_first(
        &self,
        store: &dyn Backend,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let before = self.half_done().get(key).filter(|it| it.0 == bytes).cloned();
        if condition != PutCondition::Always
            && let Some((_, Some(version))) = before
        {
            return Ok(PutOutcome::Written(version));
        }
        match store.put(key, bytes, at_side(condition, 0).as_condition()) {
            Err(why) => {
                self.half_done().insert(key.clone(), (bytes.to_vec(), None));
                Err(why)
            }
            // What was put before its reply was lost stands in its own way.
            Ok(PutOutcome::Refused) if before.is_some() => {
                let ours = store.read(key)?.filter(|it| it.bytes == bytes);
                self.half_done().remove(key);
                Ok(ours.map_or(PutOutcome::Refused, |it| PutOutcome::Written(it.version)))
            }
            put => put,
        }
    }

    /// What both have, if both are asked: the second answer of both is waited for.
    fn of_all<T: Send>(
        &self,
        roles: &[StoreRole],
        ask: impl Fn(&dyn Backend) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        if self.sides.is_one_by_one() {
            return roles.iter().map(|role| ask(self.side(*role))).collect();
        }
        let ask = &ask;
        let answers: Vec<Result<T, StoreError>> = std::thread::scope(|scope| {
            let asked: Vec<_> =
                roles.iter().map(|role| scope.spawn(move || ask(self.side(*role)))).collect();
            asked.into_iter().map(|it| it.join().expect("asking does not panic")).collect()
        });
        answers.into_iter().collect()
    }
}

/// A condition as one of two stores takes it.
enum SideCondition {
    Always,
    Absent,
    Version(ObjectVersion),
}

impl SideCondition {
    fn as_condition(&self) -> PutCondition<'_> {
        match self {
            Self::Always => PutCondition::Always,
            Self::Absent => PutCondition::Absent,
            Self::Version(version) => PutCondition::Version(version),
        }
    }
}

fn at_side(condition: PutCondition<'_>, at: usize) -> SideCondition {
    match condition {
        PutCondition::Always => SideCondition::Always,
        PutCondition::Absent => SideCondition::Absent,
        PutCondition::Version(version) => {
            part(version, at).map_or(SideCondition::Absent, SideCondition::Version)
        }
    }
}

/// Two versions as one.
fn joined(versions: &[Option<ObjectVersion>]) -> ObjectVersion {
    let parts = versions.iter().map(|it| it.as_ref().map_or("", |it| it.0.as_str()));
    ObjectVersion(serde_json::json!(parts.collect::<Vec<_>>()).to_string())
}

/// The version at one of them; `None`: nothing was there.
fn part(version: &ObjectVersion, at: usize) -> Option<ObjectVersion> {
    let parts: Vec<String> = serde_json::from_str(&version.0).unwrap_or_default();
    parts.into_iter().nth(at).filter(|it| !it.is_empty()).map(ObjectVersion)
}

impl Backend for MirroredBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let view = self.view()?;
        let all = self.of_all(&view.writes, |it| it.read(key))?;
        let versions: Vec<_> =
            all.iter().map(|it| it.as_ref().map(|it| it.version.clone())).collect();
        let first = view.writes.iter().position(|it| *it == view.reads);
        let found = match first {
            Some(at) => all[at].clone(),
            None => self.side(view.reads).read(key)?,
        };
        let found = match found {
            None if key.prefix() == LEASE => all.into_iter().flatten().next(),
            found => found,
        };
        Ok(found.map(|it| StoredObject { version: joined(&versions), ..it }))
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let view = self.view()?;
        let [first, rest @ ..] = &view.writes[..] else { return Ok(PutOutcome::Refused) };
        let [second] = rest else {
            let put = self.side(*first).put(key, bytes, at_side(condition, 0).as_condition())?;
            return Ok(put.map_version(|it| joined(&[Some(it)])));
        };
        let (first, second) = (self.side(*first), self.side(*second));
        let PutOutcome::Written(version) = self.put_first(first, key, bytes, condition)? else {
            return Ok(PutOutcome::Refused);
        };
        let put = second.put(key, bytes, at_side(condition, 1).as_condition()).inspect_err(|_| {
            let half = (bytes.to_vec(), Some(version.clone()));
            self.half_done().insert(key.clone(), half);
        });
        let mirrored = match put? {
            PutOutcome::Written(version) => Some(version),
            // A copy that was caught up has it already; what differs is of somebody who went on without the other.
            PutOutcome::Refused => {
                second.read(key)?.filter(|it| it.bytes == bytes).map(|it| it.version)
            }
        };
        self.half_done().remove(key);
        let written = |it| PutOutcome::Written(joined(&[Some(version), Some(it)]));
        Ok(mirrored.map_or(PutOutcome::Refused, written))
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let view = self.view()?;
        if *prefix != LEASE {
            return self.side(view.reads).list(prefix);
        }
        // Whoever went on in one of them has claimed only there.
        let mut keys = self.of_all(&view.writes, |it| it.list(prefix))?.concat();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let view = self.view()?;
        self.of_all(&view.writes, |it| it.delete(key)).map(drop)
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.side(self.view()?.reads).neighbors()
    }

    fn root(&self) -> &Path {
        self.sides.stores[0].root()
    }

    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError> {
        if key.prefix() == LEASE {
            return Ok(self.read(key)?.map(|it| it.bytes));
        }
        self.side(self.view()?.reads).get(key)
    }

    fn version(&self, key: &StoreKey) -> Result<Option<ObjectVersion>, StoreError> {
        let view = self.view()?;
        let versions = self.of_all(&view.writes, |it| it.version(key))?;
        Ok(versions.iter().any(Option::is_some).then(|| joined(&versions)))
    }

    fn check_absent(&self) -> Result<(), StoreError> {
        self.side(self.view()?.reads).check_absent()
    }

    fn get_all(&self, keys: &[StoreKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.side(self.view()?.reads).get_all(keys)
    }

    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        let view = self.view()?;
        self.of_all(&view.writes, |it| it.delete_all(keys)).map(drop)
    }

    fn ensure_prefix(&self, prefix: &KeyPrefix) -> Result<(), StoreError> {
        let view = self.view()?;
        self.of_all(&view.writes, |it| it.ensure_prefix(prefix)).map(drop)
    }

    fn place(&self, key: &StoreKey) -> PathBuf {
        let reads = self.kept_view().as_ref().map_or(StoreRole::Primary, |it| it.reads);
        self.side(reads).place(key)
    }

    fn place_below(&self, prefix: &KeyPrefix) -> PathBuf {
        let reads = self.kept_view().as_ref().map_or(StoreRole::Primary, |it| it.reads);
        self.side(reads).place_below(prefix)
    }

    fn tell(&self, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
        let view = self.view()?;
        self.of_all(&view.writes, |it| it.tell(key, bytes)).map(drop)
    }

    fn claim(
        &self,
        key: &StoreKey,
        bytes: &dyn Fn(bool) -> Vec<u8>,
    ) -> Result<ClaimOutcome, StoreError> {
        let view = self.view()?;
        let put = self.put(key, &bytes(false), PutCondition::Absent)?;
        if put.is_written() {
            return Ok(ClaimOutcome::Claimed(None));
        }
        // The mirror may have refused what the primary store took: then it is nobody's claim there.
        if let [primary, _] = view.writes[..]
            && self.side(primary).get(key)?.is_some_and(|it| it == bytes(false))
        {
            self.side(primary).delete(key)?;
        }
        Ok(ClaimOutcome::Refused)
    }

    fn check_trusted(&self) -> Result<(), StoreError> {
        if !self.kept_view().as_ref().is_some_and(|it| it.is_held) {
            self.read_view()?;
        }
        Ok(())
    }

    fn check_fit(&self, permission: &WritePermission) -> Result<(), StoreError> {
        *self.permission.lock().unwrap_or_else(PoisonError::into_inner) = permission.clone();
        let view =
            self.look_to_write().and_then(|(look, allowed)| self.write_view(&look, &allowed));
        let (view, _) = view.inspect_err(|_| self.forget_permission())?;
        for role in &view.writes {
            self.side(*role).check_fit(permission)?;
        }
        *self.kept_view() = Some(view);
        Ok(())
    }

    fn begin_epoch(&self, epoch: u64, by: &str) -> Result<bool, StoreError> {
        let (look, allowed) = self.look_to_write()?;
        let (mut view, target) = self.write_view(&look, &allowed)?;
        let claimed_in = self.view()?.writes;
        if view.writes != claimed_in {
            // It was claimed in other stores than are written to now.
            *self.kept_view() = Some(view);
            return Ok(false);
        }
        let transition = Transition { stores: &self.sides, look: &look, epoch, by };
        let record = match target {
            WriteTarget::Alone { role, new } => transition.alone(role, new)?,
            WriteTarget::Both { returns } => transition.both(view.reads, returns)?,
        };
        let Some(record) = record else { return Ok(false) };
        view.is_held = true;
        if view.writes.len() > 1 {
            view.reads = StoreRole::Primary;
            view.standing.other = OtherCopy::Same;
        } else if record.is_suspended() {
            view.standing.other = OtherCopy::Suspended;
        }
        view.standing.record = Some(record);
        *self.kept_view() = Some(view);
        Ok(true)
    }

    fn distrust(&self, why: &StoreError) -> bool {
        let mut kept = self.kept_view();
        let Some((reads, is_held)) = kept.as_ref().map(|it| (it.reads, it.is_held)) else {
            return false;
        };
        if !is_held {
            *kept = None;
        }
        drop(kept);
        tracing::warn!(%why, "the copy in {reads} is damaged");
        self.sides.mark_damaged(reads, why)
    }

    fn least_sequence(&self) -> u64 {
        self.kept_view().as_ref().map_or(0, |it| it.least)
    }

    fn end_epoch(&self) {
        self.half_done().clear();
        if let Some(view) = &mut *self.kept_view() {
            view.is_held = false;
        }
        self.forget_permission();
    }

    fn is_concurrent(&self) -> bool {
        !self.sides.is_one_by_one()
    }

    fn has_mirror(&self) -> bool {
        true
    }

    fn standing(&self) -> Option<CopyStanding> {
        self.kept_view().as_ref().map(|it| it.standing.clone())
    }
}
