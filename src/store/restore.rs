//! Goes on from the newest state that snapshots and journals hold together, with what is there kept aside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::engine::address::Address;
use crate::engine::state::codec::{decode_state, last_number, read_journal};
use crate::engine::state::journal::{JournalEntry, replay};
use crate::engine::state::record::{Record, RunRecord, State};
use crate::store::backend::{PutMode, ensure_prefix};
use crate::store::error::{HeldBy, StoreError};
use crate::store::key::{DISCARDED, JOURNAL, KEPT_JOURNAL, KEPT_SNAPSHOT, SNAPSHOT, StoreKey};
use crate::store::known_serials::{KnownSerials, is, kept};
use crate::store::state_store::{Claimant, LoadedState, StateStore, grip};

/// The newest whole state, and what is known to lie behind it.
#[derive(Debug)]
pub struct Restorable {
    pub state: State,
    /// Entries that were recorded after it, and that nothing holds any more.
    pub lost: u64,
    /// The number of the last entry that anything knows of.
    last: u64,
    /// The highest serial likewise.
    serial: u64,
    /// When the last run ended that a report tells of.
    reported: i64,
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    pub state: State,
    /// What was there before, under its new names.
    pub aside: Vec<PathBuf>,
}

impl StateStore {
    /// What a restore would go on from; `None` where nothing whole is left.
    pub fn restorable(&self) -> Result<Option<Restorable>, StoreError> {
        let backend = self.backend();
        let known = KnownSerials::of(backend)?;
        let keys = kept(&**backend)?;
        let mut newest_first = keys.iter().rev().filter(|(_, it)| is(it, KEPT_SNAPSHOT));
        let kept_snapshot = newest_first.find_map(|(_, it)| self.whole(it));
        let snapshots = [self.whole(&SNAPSHOT), kept_snapshot];
        let base = snapshots.into_iter().flatten().max_by_key(|it| it.sequence);
        let mut entries: BTreeMap<u64, JournalEntry> = BTreeMap::new();
        let (highest, mut last) = known.highest();
        let journals = keys.iter().map(|(_, it)| it).filter(|it| is(it, KEPT_JOURNAL));
        for key in journals.chain([&JOURNAL]) {
            let bytes = backend.get(key)?.unwrap_or_default();
            last = last.max(last_number(&bytes));
            for (number, entry) in read_journal(&bytes).entries {
                entries.entry(number).or_insert(entry);
            }
        }
        let from = base.as_ref().map_or(0, |it| it.sequence);
        let mut state = base;
        for (expected, (number, entry)) in (from + 1..).zip(entries.range(from + 1..)) {
            if *number != expected {
                break;
            }
            state = replay(state, *number, entry);
        }
        let Some(state) = state.filter(|it| it.integrity().is_empty()) else { return Ok(None) };
        last = last.max(state.sequence);
        let (lost, serial) = (last - state.sequence, highest.max(state.serial));
        let reported = known.last_report();
        Ok(Some(Restorable { state, lost, last, serial, reported }))
    }

    /// What the newest snapshot of the history that has a record of it says of an address.
    pub fn forgotten(
        &self,
        state: &State,
        address: &Address,
    ) -> Result<Option<Record>, StoreError> {
        let keys = kept(&**self.backend())?;
        let newest_first = keys.iter().rev().filter(|(_, it)| is(it, KEPT_SNAPSHOT));
        let states = newest_first.filter_map(|(_, it)| self.whole(it));
        let mut ours = states.filter(|it| it.lineage == state.lineage);
        Ok(ours.find_map(|mut it| it.records.remove(address)))
    }

    /// Puts it in place under a lease, one serial further than anything that is known.
    pub fn restore(&self, owner: &str, command: &str, at: i64) -> Result<Restored, StoreError> {
        self.backend().check_trusted()?;
        let claims = self.claims();
        let newest = claims.newest()?;
        if let Some(it) = &newest
            && claims.is_alive(it, self.times().lease)?
        {
            return Err(self.held(it.holder(), grip(it)));
        }
        let who = Claimant { owner, command, at, aim: None };
        let after = newest.map_or(0, |it| it.epoch);
        // Read once it is certain that nobody writes.
        let mut aside = Vec::new();
        let leased = self.claim(who, after, None, |store| {
            let nothing = || StoreError::NothingWhole { folder: store.folder().to_owned() };
            let newest = store.restorable()?.ok_or_else(nothing)?;
            aside = store.set_aside(after + 1)?;
            // Damage and all: until the snapshot is in place this is the only one that holds its entries, and who is cut off
            // before leaves a state that is refused as it was.
            let journal = store.backend().get(&JOURNAL)?.unwrap_or_default();
            Ok(LoadedState { state: Some(newest.continued(who)), journal })
        })?;
        let Some((mut lease, Some(state))) = leased else {
            return Err(self.held("another process".into(), HeldBy::Loose));
        };
        lease.replace(&state)?;
        Ok(Restored { state, aside })
    }

    /// Gives what is there names under which nothing reads it.
    fn set_aside(&self, epoch: u64) -> Result<Vec<PathBuf>, StoreError> {
        let backend = &**self.backend();
        ensure_prefix(backend, &DISCARDED)?;
        let mut names = Vec::new();
        for (key, ending) in [(&SNAPSHOT, KEPT_SNAPSHOT), (&JOURNAL, KEPT_JOURNAL)] {
            let Some(bytes) = backend.get(key)? else { continue };
            let aside = DISCARDED.key(&format!("{epoch:08}.{ending}"));
            backend.put(&aside, &bytes, PutMode::Replace)?;
            names.push(backend.place(&aside));
        }
        Ok(names)
    }

    /// The state of a snapshot that is whole and sound.
    fn whole(&self, key: &StoreKey) -> Option<State> {
        let state = decode_state(&self.backend().get(key).ok().flatten()?).ok()?;
        state.integrity().is_empty().then_some(state)
    }
}

impl Restorable {
    /// The state that goes on from here: nothing that is known has a higher number than what follows.
    fn continued(&self, who: Claimant<'_>) -> State {
        let is_restored = self.lost > 0 || self.state.is_restored;
        let at = who.at.max(self.reported);
        let (command, finished) = (who.command.into(), Some(at));
        State {
            last_run: Some(RunRecord {
                who: who.owner.into(),
                command,
                at,
                finished,
                destroys: false,
            }),
            serial: self.serial + 1,
            sequence: self.last,
            touched: self.last,
            is_restored,
            ..self.state.clone()
        }
    }
}
