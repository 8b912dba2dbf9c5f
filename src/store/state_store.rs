//! The state of one stack: a snapshot that is replaced whole, a journal that is only appended to, and the claims of who may write.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::state::codec::decode_journal;
use crate::engine::state::copies::WritePermission;
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::backend::{Backend, both};
use crate::store::error::{HeldBy, StoreError, broken};
use crate::store::file_log::FileLog;
use crate::store::folder::FolderBackend;
use crate::store::keep_alive::{KeepAlive, LeaseTimes, RenewalState};
use crate::store::key::{KeyPrefix, STORES};
use crate::store::known_serials::{KnownSerials, OutdatedState};
use crate::store::lease::{Lease, Preempted, Start};
use crate::store::lease_clock::{BootClock, LeaseClock};
use crate::store::lock_record::{
    HeartbeatWatch, HolderStanding, LockRecord, LockRecords, SwitchIntent, wall,
};
use crate::store::log::{FenceOutcome, HeadSight, KeptKind, LoadedState, NewHolder, StateLog};
use crate::store::moved::check_here;
use crate::store::new_epoch::{Confirmation, fenced, sweep};
use crate::store::object_log::ObjectLog;
use crate::store::reports::Reports;

/// How often somebody who wants the lease starts over because a competitor was a moment quicker. Each failed attempt means
/// that a competitor has got it, so more than 20 in a row would need as many processes at once.
pub(super) const CLAIMS_MAX: u32 = 20;

/// How often two stores are looked at before a state is outdated in the one that is believed: somebody may begin to go on in the other
/// one in any moment, and hardly in three in a row.
const LOOKS_MAX: u32 = 3;

/// The pause between two looks at heartbeats that are watched: they come every 5 s, and each look is a request or two.
const WATCH_POLL: Duration = Duration::from_millis(500);

/// Where the state of one workspace is kept: a folder with a snapshot, a journal and the lease.
#[derive(Debug, Clone)]
pub struct StateStore {
    backend: Arc<dyn Backend>,
    log: Arc<dyn StateLog>,
    times: LeaseTimes,
    clock: Arc<dyn LeaseClock>,
    /// Whose state it has to be.
    stack: Option<String>,
}

/// Who has the lease, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseStatus {
    pub owner: String,
    pub command: String,
    pub epoch: u64,
    /// On the wall, in milliseconds since the Unix epoch.
    pub since: i64,
    /// The last heartbeat, likewise.
    pub beat: i64,
    /// False: its process is gone, and the next command takes over at once.
    pub is_alive: bool,
    /// Where a switch goes.
    pub to: Option<Vec<String>>,
    /// A switch, which only another switch may preempt.
    pub is_firm: bool,
    /// Who has asked it to stop.
    pub asked_by: Option<String>,
}

/// The last epoch, under which nobody acts any more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastEpoch {
    /// 0 before the first lease.
    pub epoch: u64,
    /// Its holder has been silent for a whole lease; otherwise it gave the lease back, or its process is gone.
    pub is_silent: bool,
}

/// Who wants a lease.
#[derive(Clone, Copy)]
pub(super) struct Claimant<'a> {
    pub owner: &'a str,
    pub command: &'a str,
    /// On the clock of the world.
    pub at: i64,
    /// Where it goes, if it is a switch.
    pub aim: Option<&'a SwitchIntent>,
}

impl StateStore {
    /// The store in this folder, which need not exist yet, with the default lease of 30 s.
    pub fn new(folder: &Path) -> Self {
        Self::over(Arc::new(FolderBackend::new(folder)))
    }

    pub fn over(backend: Arc<dyn Backend>) -> Self {
        let log: Arc<dyn StateLog> = match Arc::clone(&backend).files() {
            Some(files) => Arc::new(FileLog::new(files)),
            None => Arc::new(ObjectLog::new(Arc::clone(&backend))),
        };
        Self { backend, log, times: LeaseTimes::default(), clock: Arc::new(BootClock), stack: None }
    }

    /// Refuses the state of another stack, which has come here by a copy or a wrong prefix.
    #[must_use]
    pub fn of_stack(mut self, stack: &str) -> Self {
        self.stack = Some(stack.to_owned());
        self
    }

    /// With other times: for tests, which do not wait.
    #[must_use]
    pub fn with_times(mut self, times: LeaseTimes) -> Self {
        self.times = times;
        self
    }

    /// With another clock: for tests, which do not wait.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn LeaseClock>) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn clock(&self) -> &Arc<dyn LeaseClock> {
        &self.clock
    }

    /// How long its leases hold, and how often they are renewed.
    pub fn times(&self) -> LeaseTimes {
        self.times
    }

    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    pub(super) fn log(&self) -> &Arc<dyn StateLog> {
        &self.log
    }

    /// Where it is, as messages name it.
    pub fn folder(&self) -> &Path {
        self.backend.root()
    }

    /// The names of all states that are kept beside this one, itself among them if it is there.
    pub fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.backend.neighbors()
    }

    pub fn claims(&self) -> LockRecords {
        LockRecords::of(Arc::clone(&self.backend))
    }

    pub fn reports(&self) -> Reports {
        Reports::of(Arc::clone(&self.backend))
    }

    /// The state as of now; `None` before the first apply. Takes no lease.
    ///
    /// Refused are a state that something beside it knows to be outdated, one that git tracks, and one that is damaged.
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        Ok(self.believed()?.state)
    }

    /// What is read and may be believed.
    pub(super) fn believed(&self) -> Result<LoadedState, StoreError> {
        let mut left = LOOKS_MAX;
        loop {
            left -= 1;
            match self.believed_now() {
                // The state went on in the other store since it was looked at, and what is told there is not in this one.
                Err(StoreError::Outdated { .. })
                    if left > 0 && self.backend.standing().is_some() => {}
                // Each copy is distrusted once.
                Ok(None) => {}
                Ok(Some(loaded)) => return Ok(loaded),
                Err(why) => return Err(why),
            }
        }
    }

    /// The same, from the copy that is believed now; `None`: it is damaged, and another one is believed from now on.
    pub(super) fn believed_now(&self) -> Result<Option<LoadedState>, StoreError> {
        let trusted = || {
            self.backend.check_trusted()?;
            check_here(&*self.backend)
        };
        let known = || KnownSerials::of(&self.backend, &self.log);
        let (trusted, known) = if self.backend.has_mirror() {
            // Which of two is asked is decided first.
            (trusted(), known())
        } else {
            both(&*self.backend, trusted, known)
        };
        trusted?;
        self.judged(&known?, self.log.read(), || self.backend.check_absent())
    }

    /// The same for who has fenced: all at once, since nobody else goes on. What seems to be outdated is read again in order: somebody
    /// may have been late.
    pub(super) fn believed_fenced(&self) -> Result<Option<LoadedState>, StoreError> {
        if self.backend.has_mirror() || !self.backend.is_concurrent() {
            return self.believed_now();
        }
        let trusted = || {
            self.backend.check_trusted()?;
            check_here(&*self.backend)
        };
        let ((absent, trusted), (known, read)) = both(
            &*self.backend,
            || both(&*self.backend, || self.backend.check_absent(), trusted),
            || {
                let known = || KnownSerials::of(&self.backend, &self.log);
                both(&*self.backend, known, || self.log.read_fenced())
            },
        );
        trusted?;
        match self.judged(&known?, read, || absent) {
            Err(StoreError::Outdated { .. }) => self.believed_now(),
            judged => judged,
        }
    }

    /// What was read, if it may be believed beside what is known; `None`: as of [`StateStore::believed_now`].
    fn judged(
        &self,
        known: &KnownSerials,
        read: Result<LoadedState, StoreError>,
        absent: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<Option<LoadedState>, StoreError> {
        let read = match read {
            Err(why) if self.is_distrusted(&why) => return Ok(None),
            read => read?,
        };
        let state = read.state.as_ref();
        if state.is_none() {
            absent()?;
        }
        let least = self.backend.least_sequence();
        let known = known.lacking(state).or_else(|| {
            let is_short = state.map_or(0, |it| it.sequence) < least;
            let told_by = || self.backend.place(&STORES);
            is_short.then(|| OutdatedState { what: format!("entry {least}"), told_by: told_by() })
        });
        if let Some(OutdatedState { what, told_by }) = known {
            let (folder, has) = (self.folder().to_owned(), state.map(|it| it.serial));
            return Err(StoreError::Outdated { folder, has, what, told_by });
        }
        if let (Some(state), Some(stack)) = (state, &self.stack)
            && state.stack != *stack
        {
            let (folder, found) = (self.folder().to_owned(), state.stack.clone());
            return Err(StoreError::OtherStack { folder, found, stack: stack.clone() });
        }
        match state.map(State::integrity).filter(|it| !it.is_empty()) {
            Some(wrong) => Err(StoreError::Integrity { folder: self.folder().to_owned(), wrong }),
            None => Ok(Some(read)),
        }
    }

    /// Whether what the log says is damage, or a part of it is missing, and another copy may have it.
    fn is_distrusted(&self, why: &StoreError) -> bool {
        why.is_incomplete() && self.backend.distrust(why)
    }

    /// The entries since the last snapshot, and those of so many journals before it, in the order in which they were written.
    pub fn entries(&self, before: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let mut old = self.log.kept()?;
        old.retain(|it| it.kind == KeptKind::Entries);
        let mut entries = BTreeMap::new();
        for part in &old[old.len().saturating_sub(before)..] {
            let bytes = self.log.part(part)?.unwrap_or_default();
            let place = self.backend.place(&part.key);
            entries.extend(decode_journal(&bytes).map_err(broken(self.folder(), place))?.0);
        }
        let (place, bytes) = self.log.entries()?;
        entries.extend(decode_journal(&bytes).map_err(broken(self.folder(), place))?.0);
        Ok(entries.into_values().collect())
    }

    /// Who has the lease, or died with it. `None`: nobody, or it was given back. Takes no lease.
    pub fn lease_status(&self) -> Result<Option<LeaseStatus>, StoreError> {
        let claims = self.claims();
        let Some((claim, beat)) = claims.newest_holder()? else { return Ok(None) };
        if beat.is_released {
            return Ok(None);
        }
        Ok(Some(LeaseStatus {
            is_alive: claims.seems_alive(&claim, beat, self.times.lease)?,
            is_firm: claim.is_firm,
            to: claim.aim.map(|it| it.to),
            asked_by: claims.asked(claim.epoch)?.map(|it| it.by()),
            owner: claim.owner,
            command: claim.command,
            epoch: claim.epoch,
            since: claim.since,
            beat: beat.at,
        }))
    }

    /// Takes the right to write, and the state as of that moment. `at` is in milliseconds since the Unix epoch.
    ///
    /// Returns `Held` while somebody else has it. Where locks tell whether the holder lives, it says so at once; where only
    /// heartbeats do (another machine, a store without locks), it waits until they change, or have not for one lease.
    pub fn lease(
        &self,
        owner: &str,
        command: &str,
        at: i64,
    ) -> Result<(Lease, Option<State>), StoreError> {
        self.lease_telling(owner, command, at, &mut |_| {})
    }

    /// The same of a state of which word was left that it has moved: for who moves it.
    pub fn lease_moved(
        &self,
        owner: &str,
        command: &str,
        at: i64,
    ) -> Result<(Lease, Option<State>), StoreError> {
        let who = Claimant { owner, command, at, aim: None };
        for _ in 0..CLAIMS_MAX {
            let after = self.free_after(&mut |_| {})?;
            if let Some(leased) = self.claim(who, after, None, |it| it.log.read().map(Some))? {
                return Ok(leased);
            }
        }
        Err(self.held("one process after another".into(), HeldBy::Loose))
    }

    /// The same, and tells whose heartbeats are waited for.
    pub fn lease_telling(
        &self,
        owner: &str,
        command: &str,
        at: i64,
        tell: &mut dyn FnMut(&LockRecord),
    ) -> Result<(Lease, Option<State>), StoreError> {
        self.lease_with(
            Claimant { owner, command, at, aim: None },
            &WritePermission::Ordinary,
            tell,
        )
    }

    /// The same, where something else than usual may be written to.
    pub(super) fn lease_with(
        &self,
        who: Claimant<'_>,
        permission: &WritePermission,
        tell: &mut dyn FnMut(&LockRecord),
    ) -> Result<(Lease, Option<State>), StoreError> {
        for _ in 0..CLAIMS_MAX {
            self.backend.check_fit(permission)?;
            let after = self.free_after(tell)?;
            if let Some(leased) = self.claim(who, after, None, Self::believed_fenced)? {
                return Ok(leased);
            }
        }
        Err(self.held("one process after another".into(), HeldBy::Loose))
    }

    /// The last epoch, once nobody acts under it; `Held` if somebody does.
    pub(super) fn free_after(
        &self,
        tell: &mut dyn FnMut(&LockRecord),
    ) -> Result<LastEpoch, StoreError> {
        let claims = self.claims();
        let mut watch = HeartbeatWatch::default();
        let mut told = None;
        loop {
            let Some((newest, beat)) = claims.newest_holder()? else {
                return Ok(LastEpoch::default());
            };
            let epoch = newest.epoch;
            let free = |is_silent| Ok(LastEpoch { epoch, is_silent });
            let held = || self.held(newest.holder(), grip(&newest));
            let beat = match claims.standing(&newest, beat)? {
                HolderStanding::Gone => return free(false),
                HolderStanding::Alive => return Err(held()),
                HolderStanding::Untold(beat) => beat,
            };
            match watch.unchanged_for(epoch, beat, self.clock.now()) {
                None => return Err(held()),
                Some(silent) if silent >= self.times.lease => return free(true),
                Some(_) => {
                    if told.replace(epoch) != Some(epoch) {
                        tell(&newest);
                    }
                    self.clock.sleep(WATCH_POLL.min(self.times.lease / 10));
                }
            }
        }
    }

    pub(super) fn held(&self, by: String, grip: HeldBy) -> StoreError {
        StoreError::Held { folder: self.folder().to_owned(), by, grip }
    }

    /// Claims the epoch after this one and begins to write on what is read so; `None` if another was quicker, or nothing could be
    /// believed.
    pub(super) fn claim(
        &self,
        who: Claimant<'_>,
        after: LastEpoch,
        preempted: Option<Preempted>,
        mut read: impl FnMut(&Self) -> Result<Option<LoadedState>, StoreError>,
    ) -> Result<Option<(Lease, Option<State>)>, StoreError> {
        self.backend.ensure_prefix(&KeyPrefix::ROOT)?;
        let claims = self.claims();
        let last = || StoreError::EpochsExhausted { file: claims.claim_place(after.epoch) };
        let mut epoch = after.epoch.checked_add(1).ok_or_else(last)?;
        loop {
            let Claimant { owner, command, aim, at } = who;
            let claim = LockRecord {
                epoch,
                owner: owner.into(),
                command: command.into(),
                machine: self.backend.machine(),
                is_locked: true,
                is_firm: aim.is_some(),
                aim: aim.cloned(),
                since: wall(),
            };
            let (seen, lock) = both(&*self.backend, || self.sight(), || claims.take(&claim));
            let Some(lock) = lock? else { return Ok(None) };
            let heart =
                KeepAlive::start(claims.clone(), epoch, self.times, Arc::clone(&self.clock), lock);
            // In this order: what earlier holders could still put in place goes before anything is read.
            let fenced = match fenced((&*self.backend, &*self.log, &claims), (epoch, seen), owner)?
            {
                Confirmation::Outrun => {
                    heart.abandon();
                    return Ok(None);
                }
                Confirmation::Elsewhere => return Ok(None),
                Confirmation::Newest(fenced) => fenced,
            };
            if let FenceOutcome::Behind(known) = fenced {
                if claims.look(epoch)?.newest != Some(epoch) {
                    return Ok(None);
                }
                epoch = self.behind(known)?;
                continue;
            }
            let Some(loaded) = read(self)? else { return Ok(None) };
            let state = loaded.state.as_ref();
            if let Some(known) = state.map(|it| it.epoch).filter(|it| *it >= epoch) {
                epoch = self.behind(known)?;
                continue;
            }
            if after.is_silent {
                self.let_calls_end(state);
            }
            let (sequence, serial) = state.map_or((0, 0), |it| (it.sequence, it.serial));
            let preempts = preempted.as_ref().map(ToString::to_string);
            let opening = JournalEntry::Leased {
                epoch,
                owner: owner.into(),
                command: Some(command.into()),
                at,
                preempted: preempts,
            };
            let guard = Arc::clone(&heart.pulse);
            let holder = NewHolder { epoch, guard, opening, read: &loaded };
            let reached = RenewalState { sequence, serial };
            let (swept, open) = both(
                &*self.backend,
                || sweep((&*self.backend, &claims), &heart.pulse, (epoch, reached)),
                || self.log.open(holder),
            );
            swept?;
            let Some(open) = open? else { return Ok(None) };
            let backend = Arc::clone(&self.backend);
            let start = Start { backend, epoch, heart, owner, preempted, serial };
            return Ok(Some((Lease::begin(start, open), loaded.state)));
        }
    }
}

impl StateStore {
    /// What a silent holder had begun is found out by reading, and not before its last call can have ended.
    fn let_calls_end(&self, state: Option<&State>) {
        if state.is_some_and(|it| !it.pending.is_empty()) {
            let within = self.times.call_deadline();
            tracing::warn!(?within, "waits for calls of the silent holder that may be in flight");
            self.clock.sleep(within);
        }
    }

    /// What fencing looks at, before the epoch is claimed: where the store answers late, a request less has to be waited for.
    fn sight(&self) -> Option<HeadSight> {
        let is_alone = self.backend.is_concurrent() && !self.backend.has_mirror();
        is_alone.then(|| self.log.sight()).flatten()
    }

    /// The epoch after one that came with a state from elsewhere, which has more leases behind it than this store has seen.
    fn behind(&self, known: u64) -> Result<u64, StoreError> {
        known.checked_add(1).ok_or_else(|| StoreError::Integrity {
            folder: self.folder().to_owned(),
            wrong: vec![format!("epoch {known} is the highest possible")],
        })
    }
}

/// What it keeps the lease against.
pub(super) fn grip(holder: &LockRecord) -> HeldBy {
    if !holder.is_firm {
        return HeldBy::Loose;
    }
    HeldBy::Switch { to: holder.aim.as_ref().map(|it| it.to.clone()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::StateStore;
    use crate::engine::state::journal::{JournalEntry, fold, replay};
    use crate::engine::value::LineageKey;
    use crate::store::error::StoreError;

    fn founded() -> JournalEntry {
        JournalEntry::Founded {
            stack: "shop".into(),
            instance: None,
            target: "sandbox".into(),
            lineage: "l".into(),
            key: LineageKey(vec![1, 2]),
            overlays: vec!["eu".into()],
        }
    }

    #[test]
    fn lease_names_the_holder_to_a_second_writer() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path());
        let (_lease, _) = store.lease("ann on laptop", "apply shop", 0).unwrap();
        match store.lease("bob", "apply shop", 0) {
            Err(StoreError::Held { by, .. }) => {
                assert_eq!(by, "ann on laptop (lifeboat apply shop)");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lease_cuts_a_torn_tail_and_keeps_the_last_acknowledged_entry() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path());
        let (mut lease, _) = store.lease("a", "apply shop", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        lease
            .append(&[JournalEntry::Bound { cloud: "linode".into(), account: "x".into() }])
            .unwrap();
        drop(lease);
        let journal = folder.path().join("journal");
        let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
        file.write_all(b"12345678 {\"version\":1,\"seq").unwrap();
        assert_eq!(store.load().unwrap().unwrap().bound["linode"], "x");
        let (mut lease, state) = store.lease("b", "apply shop", 0).unwrap();
        assert_eq!(state.unwrap().bound["linode"], "x");
        lease.append(&[JournalEntry::Bound { cloud: "aws".into(), account: "y".into() }]).unwrap();
        assert_eq!(store.load().unwrap().unwrap().bound["aws"], "y");
    }

    #[test]
    fn load_reads_the_same_from_snapshot_and_journal() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path());
        let (mut lease, _) = store.lease("a", "apply shop", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        let mut state = replay(None, 1, &founded()).unwrap();
        lease.save(&state).unwrap();
        let bound = JournalEntry::Bound { cloud: "aws".into(), account: "y".into() };
        lease.append(std::slice::from_ref(&bound)).unwrap();
        fold(&mut state, &bound);
        let read = store.load().unwrap().unwrap();
        assert_eq!((read.bound, read.home), (state.bound, vec!["eu".to_owned()]));
    }

    #[test]
    fn load_refuses_damage_in_the_middle_and_leaves_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path());
        let (mut lease, _) = store.lease("a", "apply shop", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        lease.append(&[JournalEntry::Bound { cloud: "aws".into(), account: "y".into() }]).unwrap();
        drop(lease);
        let journal = folder.path().join("journal");
        let text = std::fs::read_to_string(&journal).unwrap();
        let damaged = text.replacen("shop", "shoq", 1);
        std::fs::write(&journal, &damaged).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Damaged { .. })));
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), damaged);
    }
}
