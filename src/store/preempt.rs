//! Who takes the lease from another: a switch stops what is no switch, waits for its like, and turns one that goes elsewhere.
//!
//! Two switches never pull to and fro. Who meets its like waits; of two that go to different places the one that was asked for
//! later goes on, and the other ends. Nobody starts again by itself.

use std::time::Duration;

use crate::engine::state::copies::WritePermission;
use crate::engine::state::record::State;
use crate::store::error::{HeldBy, StoreError};
use crate::store::lease::{Lease, Preempted};
use crate::store::lock_record::{
    Heartbeat, HeartbeatWatch, HolderStanding, LockRecord, LockRecords, StopRequest, SwitchIntent,
    wall,
};
use crate::store::state_store::{CLAIMS_MAX, Claimant, LastEpoch, StateStore, grip};

/// How many holders, one after another, a preempting command asks to stop. A guess: more than five in a row are not people
/// but a script that starts over each time, and that has to be stopped first.
const ASKED_MAX: u32 = 5;

/// The pause between two checks of whether a holder that was asked to stop has given its lease back: short, since users wait
/// for the switch, and cheap, since it reads one small file.
const POLL: Duration = Duration::from_millis(20);

/// The pause between two checks of whether the same switch has ended. It may take an hour, so it is asked less often.
const WAIT_POLL: Duration = Duration::from_millis(200);

/// How long to wait for the same switch to end. A day is longer than any switch takes: a replica with items, the slowest kind,
/// is given two hours.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Who wants the lease for a switch.
#[derive(Debug, Clone, Copy)]
pub struct SwitchCommand<'a> {
    pub owner: &'a str,
    pub command: &'a str,
    /// On the clock of the world.
    pub at: i64,
    /// The overlays that it makes active.
    pub to: &'a [String],
    /// The fault domains that it assumes lost.
    pub lost: &'a [String],
    /// Somebody is asked before it begins.
    pub asks: bool,
    /// A person declared the loss, so that a mirror may go on without a primary store that is lost.
    pub promotes: bool,
}

/// Whom a switch meets; told once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contention {
    /// It is asked to stop, and waited for at most one lease.
    Stops { holder: String, to: Option<Vec<String>> },
    /// It makes the same switch, and is waited for.
    Same { holder: String },
}

/// The ways to treat a living holder.
enum PreemptionDecision {
    /// It is asked to stop.
    Stop,
    /// It makes the same switch.
    Wait,
    /// It makes the same switch, and its heart has not beaten for a lease.
    Replace,
    Yield(HeldBy),
}

/// The course of one preemption.
struct Preemption<'a> {
    claims: LockRecords,
    lease: Duration,
    aim: SwitchIntent,
    tell: &'a mut dyn FnMut(Contention),
    /// The newest epoch when it began: who had it was there before, whatever clocks say.
    first: u64,
    asked: Option<(u64, Duration)>,
    watch: HeartbeatWatch,
    holders: u32,
    waited_for: Option<u64>,
    began: Duration,
}

impl StateStore {
    /// Takes the right to write from whoever has it: asks the holder to stop, waits at most one lease, and takes the next
    /// epoch whether it answered or not. The same switch is not stopped: it is waited for, up to a day, until it ends or its
    /// heartbeats stop, unless a person has still to confirm it, or it does not know of a loss.
    ///
    /// Blocks the thread. Returns `Held` if a newer switch has the lease, or after five holders in a row.
    pub fn preempt(
        &self,
        who: SwitchCommand<'_>,
        tell: &mut dyn FnMut(Contention),
    ) -> Result<(Lease, Option<State>), StoreError> {
        let permission = if who.promotes {
            WritePermission::UnderLoss(who.lost.to_vec())
        } else {
            WritePermission::Ordinary
        };
        self.backend().check_fit(&permission)?;
        let claims = self.claims();
        let mut turn = Preemption {
            aim: SwitchIntent {
                to: who.to.to_vec(),
                lost: who.lost.to_vec(),
                asks: who.asks,
                since: wall(),
            },
            lease: self.times().lease,
            tell,
            first: claims.newest()?.map_or(0, |it| it.epoch),
            asked: None,
            watch: HeartbeatWatch::default(),
            holders: 0,
            waited_for: None,
            began: self.clock().now(),
            claims,
        };
        let aim = turn.aim.clone();
        let SwitchCommand { owner, command, at, .. } = who;
        let claimant = Claimant { owner, command, at, aim: Some(&aim) };
        for round in 0..CLAIMS_MAX {
            if round > 0 {
                // Its stores may have changed: the state went on in another one.
                self.backend().check_fit(&permission)?;
            }
            let (after, preempted) = turn.wait_until_free(self, claimant)?;
            let is_silent = preempted.as_ref().is_some_and(|it| !it.has_answered);
            let after = LastEpoch { epoch: after, is_silent };
            let leased = self.claim(claimant, after, preempted, Self::believed_fenced)?;
            if let Some((mut lease, state)) = leased {
                if state.is_some() && lease.preempted.is_some() {
                    // Who was preempted stands in the journal even if nothing else follows.
                    lease.append(&[])?;
                }
                return Ok((lease, state));
            }
        }
        Err(self.held("one process after another".into(), HeldBy::Loose))
    }
}

impl StateStore {
    /// The newest epoch that anybody has claimed; 0 before the first lease.
    pub fn last_epoch(&self) -> Result<u64, StoreError> {
        Ok(self.claims().newest()?.map_or(0, |it| it.epoch))
    }

    /// The switch that had the lease last, and where it goes; `None` if that was not after this epoch, or another command
    /// had it since.
    pub fn last_switch(&self, after: u64) -> Result<Option<(String, Vec<String>)>, StoreError> {
        let last = self.claims().newest()?.filter(|it| it.epoch > after);
        Ok(last.and_then(|it| Some((it.holder(), it.aim?.to))))
    }
}

impl Preemption<'_> {
    /// Returns when nobody stands in the way of the next epoch: the last one, and from whom it is taken. Law 4, and its one
    /// exception, at each look at who has the lease:
    ///
    /// - nobody, or a process that is gone: the next epoch is free;
    /// - no switch, or one that has to give way: it is asked to stop, and taken from when it did or after one lease;
    /// - the same switch: it is waited for, or taken from when its heart has been silent for a lease;
    /// - a switch that goes on: it keeps the lease.
    fn wait_until_free(
        &mut self,
        store: &StateStore,
        who: Claimant<'_>,
    ) -> Result<(u64, Option<Preempted>), StoreError> {
        loop {
            let Some((holder, beat)) = self.claims.newest_holder()? else { return Ok((0, None)) };
            let epoch = holder.epoch;
            let asked = self.asked.filter(|(it, _)| *it == epoch).map(|(_, since)| since);
            let taken = |has_answered| Preempted { holder: holder.holder(), has_answered };
            let standing = self.claims.standing(&holder, beat)?;
            if standing == HolderStanding::Gone {
                return Ok((epoch, asked.map(|_| taken(true))));
            }
            let now = store.clock().now();
            // Watched from the first look on, whatever is asked of it meanwhile.
            if let HolderStanding::Untold(beat) = standing
                && self.watch.unchanged_for(epoch, beat, now).is_some_and(|it| it >= self.lease)
            {
                return Ok((epoch, Some(taken(false))));
            }
            match self.decide(store, (&holder, beat))? {
                PreemptionDecision::Yield(grip) => return Err(store.held(holder.holder(), grip)),
                PreemptionDecision::Wait => self.wait_for(store, &holder)?,
                PreemptionDecision::Replace => return Ok((epoch, Some(taken(false)))),
                PreemptionDecision::Stop => match asked {
                    None => self.stop(store, &holder, who)?,
                    Some(since) if now.saturating_sub(since) < self.lease => {
                        store.clock().sleep(POLL.min(self.lease / 10));
                    }
                    Some(_) => return Ok((epoch, Some(taken(false)))),
                },
            }
        }
    }

    /// A moment, and told once for each holder.
    fn wait_for(&mut self, store: &StateStore, holder: &LockRecord) -> Result<(), StoreError> {
        if store.clock().now().saturating_sub(self.began) > WAIT_MAX {
            return Err(store.held(holder.holder(), grip(holder)));
        }
        if self.waited_for.replace(holder.epoch) != Some(holder.epoch) {
            (self.tell)(Contention::Same { holder: holder.holder() });
        }
        store.clock().sleep(WAIT_POLL.min(self.lease / 10));
        Ok(())
    }

    /// What is done about a living holder.
    fn decide(
        &self,
        store: &StateStore,
        (holder, beat): (&LockRecord, Heartbeat),
    ) -> Result<PreemptionDecision, StoreError> {
        if !holder.is_firm {
            return Ok(PreemptionDecision::Stop);
        }
        let Some(theirs) = &holder.aim else { return Ok(PreemptionDecision::Yield(grip(holder))) };
        // Two that were asked for in the same moment: who has the lease keeps it.
        let is_later = holder.epoch > self.first && theirs.since >= self.aim.since;
        if theirs.to != self.aim.to {
            let later = || HeldBy::Later { to: theirs.to.clone() };
            return Ok(if is_later {
                PreemptionDecision::Yield(later())
            } else {
                PreemptionDecision::Stop
            });
        }
        // One clock tells both times. One that was set back makes nobody old.
        if self.claims.is_of_this_machine(holder) {
            let age = u128::from(u64::try_from(wall() - beat.at).unwrap_or_default());
            if age >= self.lease.as_millis() {
                return Ok(PreemptionDecision::Replace);
            }
        }
        // It does not know of a loss that this one knows of.
        let knows_less = self.aim.lost.iter().any(|it| !theirs.lost.contains(it));
        if !is_later && (knows_less || theirs.asks && !has_begun(store, holder)?) {
            return Ok(PreemptionDecision::Stop);
        }
        Ok(PreemptionDecision::Wait)
    }

    /// Asks it, unless so many were asked already: then somebody takes the lease again and again.
    fn stop(
        &mut self,
        store: &StateStore,
        holder: &LockRecord,
        who: Claimant<'_>,
    ) -> Result<(), StoreError> {
        if self.holders >= ASKED_MAX {
            return Err(store.held(holder.holder(), grip(holder)));
        }
        let to = holder.aim.as_ref().map(|it| it.to.clone());
        (self.tell)(Contention::Stops { holder: holder.holder(), to });
        let stop = StopRequest { owner: who.owner.into(), command: who.command.into(), at: wall() };
        self.claims.ask(holder.epoch, &stop)?;
        self.asked = Some((holder.epoch, store.clock().now()));
        self.holders += 1;
        Ok(())
    }
}

/// Whether it has written anything: until then a person is asked, who may have gone home.
fn has_begun(store: &StateStore, holder: &LockRecord) -> Result<bool, StoreError> {
    // A lease alone is no work, where it is written down at once.
    Ok(store.load()?.is_some_and(|it| it.epoch >= holder.epoch && it.touched == it.sequence))
}
