//! Goes on from the newest state that snapshots and journals hold together, with what is there kept aside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::engine::address::Address;
use crate::engine::state::codec::{decode_state, last_number, read_journal};
use crate::engine::state::copies::WritePermission;
use crate::engine::state::journal::{JournalEntry, replay};
use crate::engine::state::record::{Record, RunRecord, State};
use crate::store::error::{HeldBy, StoreError};
use crate::store::known_serials::KnownSerials;
use crate::store::lease::Lease;
use crate::store::log::{KeptKind, KeptPart, LoadedState};
use crate::store::moved::check_here;
use crate::store::state_store::{CLAIMS_MAX, Claimant, LastEpoch, StateStore};

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
        let log = self.log();
        let known = KnownSerials::of(self.backend(), log)?;
        let parts = log.restorable_parts()?;
        let mut kept_snapshot = None;
        for part in parts.iter().rev() {
            kept_snapshot = self.whole(part)?;
            if kept_snapshot.is_some() {
                break;
            }
        }
        // What cannot be read is not there, unless it may be in a moment.
        let in_place = match log.snapshot() {
            Err(why) if !why.is_about_asker() => None,
            read => read?.1,
        };
        let snapshots = [in_place.as_deref().and_then(sound), kept_snapshot];
        let base = snapshots.into_iter().flatten().max_by_key(|it| it.sequence);
        let mut entries: BTreeMap<u64, JournalEntry> = BTreeMap::new();
        let (highest, mut last) = known.highest();
        let mut journals = Vec::new();
        for part in parts.iter().filter(|it| it.kind == KeptKind::Entries) {
            journals.push(match log.part(part) {
                Err(why) if !why.is_about_asker() => Vec::new(),
                read => read?.unwrap_or_default(),
            });
        }
        journals.push(log.entries()?.1);
        for bytes in &journals {
            last = last.max(last_number(bytes));
            for (number, entry) in read_journal(bytes).entries {
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
        let parts = self.log().kept()?;
        for part in parts.iter().rev() {
            let ours = self.whole(part)?.filter(|it| it.lineage == state.lineage);
            if let Some(record) = ours.and_then(|mut it| it.records.remove(address)) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Puts it in place under a lease, one serial further than anything that is known.
    pub fn restore(&self, owner: &str, command: &str, at: i64) -> Result<Restored, StoreError> {
        self.backend().check_trusted()?;
        check_here(&**self.backend())?;
        if self.backend().has_mirror() {
            // Of two copies, one that is damaged is caught up, and not restored from: it is known once it was read.
            drop(self.believed());
        }
        let who = Claimant { owner, command, at, aim: None };
        let mut aside = Vec::new();
        let mut leased = None;
        for _ in 0..CLAIMS_MAX {
            self.backend().check_fit(&WritePermission::Ordinary)?;
            let after = self.free_after(&mut |_| {})?;
            leased = self.claim_restored(who, after, &mut aside)?;
            if leased.is_some() {
                break;
            }
        }
        let Some((mut lease, Some(state))) = leased else {
            return Err(self.held("another process".into(), HeldBy::Loose));
        };
        lease.replace(&state)?;
        Ok(Restored { state, aside })
    }

    /// `None`: somebody was quicker, or a copy turned out to be damaged.
    fn claim_restored(
        &self,
        who: Claimant<'_>,
        after: LastEpoch,
        aside: &mut Vec<PathBuf>,
    ) -> Result<Option<(Lease, Option<State>)>, StoreError> {
        // Read once it is certain that nobody writes.
        self.claim(who, after, None, |store| {
            let nothing = || StoreError::NothingWhole { folder: store.folder().to_owned() };
            let newest = store.restorable()?.ok_or_else(nothing)?;
            *aside = store.log().set_aside(after.epoch + 1)?;
            let end = store.log().restart(newest.last)?;
            Ok(Some(LoadedState { state: Some(newest.continued(who)), end }))
        })
    }

    /// The state of a snapshot of the history that is whole and sound. What may be whole in a moment, or with the right key, is not
    /// passed over: an older one would be taken for the newest.
    fn whole(&self, part: &KeptPart) -> Result<Option<State>, StoreError> {
        if part.kind != KeptKind::Snapshot {
            return Ok(None);
        }
        match self.log().part(part) {
            Err(why) if !why.is_about_asker() => Ok(None),
            read => Ok(read?.as_deref().and_then(sound)),
        }
    }
}

/// The state of a snapshot that is whole and sound.
fn sound(bytes: &[u8]) -> Option<State> {
    decode_state(bytes).ok().filter(|it| it.integrity().is_empty())
}

impl Restorable {
    /// The state that goes on from here: nothing that is known has a higher number than what follows.
    fn continued(&self, who: Claimant<'_>) -> State {
        let is_restored = self.lost > 0 || self.state.is_restored;
        let at = who.at.max(self.reported);
        let began = RunRecord::began(who.owner, who.command, at);
        State {
            last_run: Some(RunRecord { finished: Some(at), ..began }),
            serial: self.serial + 1,
            sequence: self.last,
            touched: self.last,
            is_restored,
            ..self.state.clone()
        }
    }
}
