//! One look at all stores of a state at once, which no silent one holds up.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::state::copies::{
    CopiesSight, CopyRelation, CopySight, DamagedRecord, WitnessSight,
};
use crate::engine::state::stores_record::{ActiveStores, AloneReason, NamedStores, StoreRole};
use crate::store::backend::Backend;
use crate::store::error::{RemoteFault, StoreError};
use crate::store::log::StateLog;
use crate::store::mirror::contents::CopyContents;
use crate::store::mirror::record::{SeenRecord, see_record};
use crate::store::object_log::ObjectLog;

/// How long a store is waited for once the other one has answered: twice what a request to another continent takes with a new
/// connection and one repeated attempt, and little beside the 2 s in which a plan is to be there while a lost endpoint hangs.
const STRAGGLER_MAX: Duration = Duration::from_millis(1_500);

/// How long it is waited for once it was waited for in vain a moment ago: what is near answers within that.
const SILENT_MAX: Duration = Duration::from_millis(100);

/// How long that is remembered: about one command, so that a store which answers again is seen by the next one.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// The stores of a state, open.
#[derive(Debug)]
pub struct MirrorStores {
    /// The primary store, then the mirror.
    pub stores: [Arc<dyn Backend>; 2],
    pub witness: Option<Arc<dyn Backend>>,
    /// As the stack file names them.
    pub named: NamedStores,
    /// What each of the two is lost together with.
    pub domains: [String; 2],
    /// Of a workspace: the same stores of its stack's own state.
    pub stack: Option<Box<MirrorStores>>,
    pub memory: LookMemory,
}

/// What earlier looks have found out.
#[derive(Debug, Default)]
pub struct LookMemory {
    /// One was waited for in vain: the next look does not wait again.
    gave_up: Mutex<Option<Instant>>,
    /// What was seen when neither store answered, and when: the same command does not wait for both again.
    silent: Mutex<Option<(Instant, CopiesSight)>>,
    /// Why the copies are damaged, where that is not seen by a look at their ends.
    damage: Mutex<[Option<String>; 2]>,
}

/// What was seen.
#[derive(Debug)]
pub struct MirrorLook {
    pub sight: CopiesSight,
    /// The copies that were read.
    pub copies: [Option<CopyContents>; 2],
    /// What the witness records, if it was asked and has answered.
    pub witness: Option<SeenRecord>,
}

enum StoreAnswer {
    Copy(StoreRole, Box<Result<CopyContents, StoreError>>),
    Witness(Box<Result<SeenRecord, StoreError>>),
}

/// What has arrived so far.
#[derive(Default)]
struct StoreAnswers {
    copies: [Option<Result<CopyContents, StoreError>>; 2],
    witness: Option<Result<SeenRecord, StoreError>>,
}

/// Where the two stores stand in a pair.
pub fn index(role: StoreRole) -> usize {
    match role {
        StoreRole::Primary => 0,
        StoreRole::Mirror => 1,
    }
}

impl MirrorStores {
    /// Whether one store is asked after the other.
    pub fn is_one_by_one(&self) -> bool {
        !self.stores.iter().all(|it| it.is_concurrent())
    }

    pub fn store(&self, role: StoreRole) -> &Arc<dyn Backend> {
        &self.stores[index(role)]
    }

    /// Asks them all at once, except those in fault domains that are declared lost. A store that says no is an error: it is not
    /// silent.
    pub fn look(&self, lost: &[String]) -> Result<MirrorLook, StoreError> {
        let is_lost = |role| lost.contains(&self.domains[index(role)]);
        if let Some(look) = self.silent_look() {
            return Ok(look);
        }
        let (send, receive) = channel();
        let asked = StoreRole::BOTH.map(|role| !is_lost(role));
        for role in StoreRole::BOTH.into_iter().filter(|it| asked[index(*it)]) {
            let store = Arc::clone(self.store(role));
            self.ask(&send, move || StoreAnswer::Copy(role, Box::new(CopyContents::read(&*store))));
        }
        if let Some(witness) = self.witness.clone() {
            self.ask(&send, move || StoreAnswer::Witness(Box::new(see_record(&*witness))));
        }
        drop(send);
        let mut arrived = StoreAnswers::default();
        let declared = self.receive(&receive, &mut arrived)?;
        self.seen(arrived, |role| is_lost(role) || declared == Some(role))
    }

    fn silent(&self) -> MutexGuard<'_, Option<(Instant, CopiesSight)>> {
        self.memory.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen a moment ago, where that was nothing.
    fn silent_look(&self) -> Option<MirrorLook> {
        let (_, sight) = self.silent().clone().filter(|(at, _)| at.elapsed() <= REMEMBERED_FOR)?;
        Some(MirrorLook { sight, copies: [None, None], witness: None })
    }

    fn ask(&self, send: &Sender<StoreAnswer>, ask: impl FnOnce() -> StoreAnswer + Send + 'static) {
        let send = send.clone();
        // Nobody may wait for it any more.
        let answer = move || drop(send.send(ask()));
        if self.is_one_by_one() {
            answer();
        } else {
            std::thread::spawn(answer);
        }
    }

    /// Waits for all, and not long for those that are behind; which store is known to be declared lost, so that it is not waited for at
    /// all.
    fn receive(
        &self,
        receive: &Receiver<StoreAnswer>,
        arrived: &mut StoreAnswers,
    ) -> Result<Option<StoreRole>, StoreError> {
        let mut until: Option<Instant> = None;
        loop {
            let next = match until {
                None => receive.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => {
                    receive.recv_timeout(until.saturating_duration_since(Instant::now()))
                }
            };
            match next {
                Err(RecvTimeoutError::Disconnected) => {
                    *self.gave_up() = None;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.gave_up().get_or_insert_with(Instant::now);
                    return Ok(None);
                }
                Ok(StoreAnswer::Witness(read)) => arrived.witness = Some(*read),
                Ok(StoreAnswer::Copy(role, read)) => {
                    if let Ok(copy) = &*read {
                        until.get_or_insert_with(|| Instant::now() + self.patience());
                        if self.knows_of_loss(role, copy)? {
                            arrived.copies[index(role)] = Some(*read);
                            return Ok(Some(role.other()));
                        }
                    }
                    arrived.copies[index(role)] = Some(*read);
                }
            }
        }
    }

    /// What a deeper look than this one has found out; false: it was known already.
    pub fn mark_damaged(&self, role: StoreRole, why: &StoreError) -> bool {
        let mut damage = self.memory.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage[index(role)].replace(why.to_string()).is_none()
    }

    /// It was caught up.
    pub fn mark_whole(&self, role: StoreRole) {
        let mut damage = self.memory.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage[index(role)] = None;
    }

    fn sight_of(&self, role: StoreRole, copy: &CopyContents) -> CopySight {
        let SeenRecord { record, damage: garbled, .. } = &copy.record;
        let known = self.memory.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let short = copy.shortage(role);
        let damage = copy.damage.as_ref().or(short.as_ref()).or(known[index(role)].as_ref());
        match (garbled, damage) {
            (Some(why), damage) => {
                let end = damage.is_none().then_some(copy.end);
                CopySight::Damaged { why: why.clone(), record: DamagedRecord::Unreadable(end) }
            }
            (None, Some(why)) => {
                let record = DamagedRecord::Read(record.clone());
                CopySight::Damaged { why: why.clone(), record }
            }
            (None, None) => CopySight::Seen { record: record.clone(), end: copy.end },
        }
    }

    fn gave_up(&self) -> MutexGuard<'_, Option<Instant>> {
        self.memory.gave_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        let is_recent = self.gave_up().is_some_and(|it| it.elapsed() < REMEMBERED_FOR);
        if is_recent { SILENT_MAX } else { STRAGGLER_MAX }
    }

    /// Whether this copy went on alone under the loss of the other one, which its state still records.
    fn knows_of_loss(&self, role: StoreRole, copy: &CopyContents) -> Result<bool, StoreError> {
        let active = copy.record.record.as_ref().map(|it| &it.active);
        let Some(ActiveStores::Alone { role: alone, reason, .. }) = active else {
            return Ok(false);
        };
        let domain = &self.domains[index(role.other())];
        let is_lost = matches!(reason, AloneReason::Loss(lost) if lost.contains(domain));
        if *alone != role || !is_lost {
            return Ok(false);
        }
        let log = ObjectLog::new(Arc::clone(self.store(role)));
        let state = match log.read() {
            Err(why) if why.is_incomplete() => None,
            read => read?.state,
        };
        Ok(state.is_some_and(|it| it.lost.iter().any(|it| it.fault_domain == *domain)))
    }

    fn seen(
        &self,
        arrived: StoreAnswers,
        is_lost: impl Fn(StoreRole) -> bool,
    ) -> Result<MirrorLook, StoreError> {
        // Where the other one can be read, a bucket or a table that is gone is a copy that is gone.
        let has_other =
            StoreRole::BOTH.map(|role| matches!(&arrived.copies[index(role.other())], Some(Ok(_))));
        let StoreAnswers { copies: [primary, mirror], witness } = arrived;
        let told = |role, read: Option<Result<CopyContents, StoreError>>| {
            if is_lost(role) {
                return Ok((CopySight::Lost(self.domains[index(role)].clone()), None));
            }
            match read {
                None => {
                    let store = self.store(role).root().display();
                    let why = format!("{store} did not answer while the other one did");
                    Ok((CopySight::Unreachable(why), None))
                }
                Some(Err(why))
                    if is_silence(&why) || has_other[index(role)] && why.is_missing() =>
                {
                    Ok((CopySight::Unreachable(why.to_string()), None))
                }
                Some(Err(why)) => Err(why),
                Some(Ok(copy)) => Ok((self.sight_of(role, &copy), Some(copy))),
            }
        };
        let (primary, primary_copy) = told(StoreRole::Primary, primary)?;
        let (mirror, mirror_copy) = told(StoreRole::Mirror, mirror)?;
        let relation = match (&primary_copy, &mirror_copy) {
            (Some(one), Some(other)) if primary.end().is_some() && mirror.end().is_some() => {
                one.relation(other, [&*self.stores[0], &*self.stores[1]])?
            }
            _ => CopyRelation::Same,
        };
        let (witness, read) = match (&self.witness, witness) {
            (None, _) => (WitnessSight::None, None),
            // What cannot be understood tells nobody anything, and is written again when both stores are.
            (Some(_), Some(Ok(read))) if read.damage.is_some() => {
                (WitnessSight::Unreachable, Some(read))
            }
            (Some(_), Some(Ok(read))) => (WitnessSight::Seen(read.record.clone()), Some(read)),
            (Some(_), Some(Err(why))) if !is_silence(&why) && !why.is_missing() => return Err(why),
            (Some(_), _) => (WitnessSight::Unreachable, None),
        };
        let sight = CopiesSight { primary, mirror, relation, witness };
        let are_silent = StoreRole::BOTH
            .into_iter()
            .all(|role| matches!(sight.of(role), CopySight::Unreachable(_)));
        if are_silent && !self.is_one_by_one() {
            *self.silent() = Some((Instant::now(), sight.clone()));
        }
        Ok(MirrorLook { sight, copies: [primary_copy, mirror_copy], witness: read })
    }
}

/// Law 1: whether nobody answered. Who says that there are too many requests is there.
fn is_silence(why: &StoreError) -> bool {
    match why {
        StoreError::Remote(it) => it.fault == RemoteFault::Unreachable,
        other => other.is_transient(),
    }
}
