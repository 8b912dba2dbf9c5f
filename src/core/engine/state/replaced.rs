//! Other content in the place of a state: whether it may take that place, what it keeps, and what the next plan may show of it.

use crate::engine::address::Address;
use crate::engine::state::record::{Phase, RunRecord, State};
use crate::engine::text::names::OverlayNames;

/// What differs between the content in place and the content that is to take its place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContentDifference {
    /// Recorded now, and not then: what it is about keeps running.
    pub unrecorded: Vec<Address>,
    /// Recorded then, and not now: what it is about may be gone.
    pub recorded: Vec<Address>,
    /// Recorded in both, with another ID or other values.
    pub changed: Vec<Address>,
    /// The active overlays, where they differ: from these to those.
    pub active: Option<(Vec<String>, Vec<String>)>,
    /// The phase of the switch, likewise.
    pub phase: Option<(Phase, Phase)>,
    /// The fault domains that are declared lost, likewise.
    pub lost: Option<(Vec<String>, Vec<String>)>,
}

impl ContentDifference {
    pub fn between(now: &State, then: &State) -> Self {
        let only = |one: &State, other: &State| {
            let addresses = one.records.keys();
            addresses.filter(|it| !other.records.contains_key(it)).cloned().collect()
        };
        let changed = then.records.iter().filter(|(address, record)| {
            now.records.get(address).is_some_and(|it| {
                (&it.kind, &it.id, &it.attributes) != (&record.kind, &record.id, &record.attributes)
            })
        });
        let lost = |it: &State| -> Vec<String> {
            it.lost.iter().map(|it| it.fault_domain.clone()).collect()
        };
        Self {
            unrecorded: only(now, then),
            recorded: only(then, now),
            changed: changed.map(|(address, _)| address.clone()).collect(),
            active: differing(now.active.clone(), then.active.clone()),
            phase: differing(now.phase, then.phase),
            lost: differing(lost(now), lost(then)),
        }
    }

    /// One sentence for each difference, with what the next plan may show because of it.
    pub fn sentences(&self) -> Vec<String> {
        let names =
            |it: &[Address]| it.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        let domains = |it: &[String]| if it.is_empty() { "none".into() } else { it.join(", ") };
        let mut all = Vec::new();
        let mut tell = |list: &[Address], text: &str| {
            if !list.is_empty() {
                all.push(format!("{}: {text}", names(list)));
            }
        };
        tell(
            &self.unrecorded,
            "no longer recorded, and still running; the next plan may show adopt, or refuse to create again what carries no ownership tag, until its record is restored",
        );
        tell(
            &self.recorded,
            "recorded again; the next plan may show create for what is gone, and delete for what no layer declares",
        );
        tell(&self.changed, "recorded with other values; the next plan may show drift or a change");
        if let Some((now, then)) = &self.active {
            all.push(format!(
                "active overlays: from {} to {}; the next apply acts on that side, which may move users",
                OverlayNames(now),
                OverlayNames(then)
            ));
        }
        if let Some((now, then)) = &self.phase {
            all.push(format!("phase: from {} to {}", now.word(), then.word()));
        }
        if let Some((now, then)) = &self.lost {
            all.push(format!("declared lost: from {} to {}", domains(now), domains(then)));
        }
        all
    }
}

fn differing<T: PartialEq>(now: T, then: T) -> Option<(T, T)> {
    (now != then).then_some((now, then))
}

impl State {
    /// This state with the content of an older one. What no cloud can be asked about stays as it is known now: operations that
    /// were interrupted, tasks that ran, and where users may still come from.
    #[must_use]
    pub fn with_content_of(&self, older: &Self) -> Self {
        let mut state = older.clone();
        state.pending.extend(self.pending.clone());
        state.tasks.extend(self.tasks.clone());
        for it in &self.draining {
            if !state.draining.contains(it) {
                state.draining.push(it.clone());
            }
        }
        let news = self.cached.iter().filter(|it| !older.cached.contains(it));
        state.cached.extend(news.cloned());
        // What was used up is not to be had again, and what a switch has voided stays void.
        for it in &self.used_allowances {
            state.used_allowances.retain(|known| known.allowance != it.allowance);
            state.used_allowances.push(it.clone());
        }
        state.switched = self.switched.max(older.switched);
        // What was made since is known by its tags, and by standing where it was to stand.
        state.is_restored = true;
        state.serial = self.serial;
        self.continued_by(state)
    }

    /// Other content with the numbers of this one.
    #[must_use]
    pub fn continued_by(&self, content: Self) -> Self {
        Self { sequence: self.sequence, touched: self.touched, epoch: self.epoch, ..content }
    }

    /// Signs for what a change by hand did.
    pub fn sign(&mut self, who: &str, command: &str, at: i64) {
        let began = RunRecord::began(who, command, at);
        self.last_run = Some(RunRecord { finished: Some(at), ..began });
    }

    /// Whether both say the same of the world, whoever wrote them, and when.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let same = Self { serial: self.serial, last_run: self.last_run.clone(), ..other.clone() };
        *self == self.continued_by(same)
    }
}

/// Where a state is to be put that was carried there.
#[derive(Debug, Clone, Copy)]
pub struct PushTarget<'a> {
    /// `shop@drill`
    pub name: &'a str,
    /// The world that it is of: `clouds` or `sandbox`.
    pub world: &'a str,
    /// What is there.
    pub there: Option<&'a State>,
    /// The serial from which the pushed one went on without the store, as a switch from a bundle does: what the store has saved
    /// since then is given up.
    pub forked_at: Option<u64>,
}

/// What a push would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushVerdict {
    /// The same is there already.
    Unchanged,
    /// Nothing is there.
    First,
    /// It goes on from what is there.
    Newer,
    /// It went on without the store, which may have gone on as well.
    Forked,
}

/// Why a state that was carried to a store may not take the place of what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    #[error("it is the state of `{found}`, and not of `{expected}`")]
    Name { found: String, expected: String },
    #[error("it is a state of the {found}, and not of the {expected}")]
    World { found: String, expected: String },
    #[error("it is inconsistent: {0}")]
    Inconsistent(String),
    #[error("it has another lineage: {found}; the state in the store has {there}")]
    Lineage { found: String, there: String },
    #[error("it is older: serial {found}; the state in the store has serial {there}")]
    Older { found: u64, there: u64 },
    #[error("it has serial {serial}, as the state in the store has, and other content")]
    Diverged { serial: u64 },
    #[error("the store has interrupted operations that it does not know: {}", addresses.join(", "))]
    Pending { addresses: Vec<String> },
}

/// The highest serial, number of an entry or epoch that is believed: what a double holds exactly, since other programs read the
/// document as JSON.
const COUNT_MAX: u64 = 1 << 53;

impl PushTarget<'_> {
    /// What a state that went on without the store becomes in it: what the store has made meanwhile is known by its tags.
    pub fn forked(there: &State, pushed: &State) -> State {
        there.with_content_of(pushed)
    }

    /// Whether this state may be put there.
    pub fn judge(&self, pushed: &State) -> Result<PushVerdict, PushRefusal> {
        let differs = |found: &str, expected: &str| {
            (found != expected).then(|| (found.to_owned(), expected.to_owned()))
        };
        if let Some((found, expected)) = differs(&pushed.name(), self.name) {
            return Err(PushRefusal::Name { found, expected });
        }
        if let Some((found, expected)) = differs(&pushed.target, self.world) {
            return Err(PushRefusal::World { found, expected });
        }
        // What counts on from it must not overflow, and no program counts so far.
        if [pushed.serial, pushed.sequence, pushed.touched, pushed.epoch]
            .iter()
            .any(|it| *it > COUNT_MAX)
        {
            let wrong =
                "one of its serial, sequence, touched and epoch is no number that lifeboat gives"
                    .into();
            return Err(PushRefusal::Inconsistent(wrong));
        }
        if let Some(wrong) = pushed.integrity().into_iter().next() {
            return Err(PushRefusal::Inconsistent(wrong));
        }
        let Some(there) = self.there else { return Ok(PushVerdict::First) };
        if pushed.lineage != there.lineage {
            let (found, there) = (pushed.lineage.clone(), there.lineage.clone());
            return Err(PushRefusal::Lineage { found, there });
        }
        let is_fork = self.forked_at.is_some_and(|at| at <= there.serial && at < pushed.serial);
        if pushed.serial < there.serial && !is_fork {
            return Err(PushRefusal::Older { found: pushed.serial, there: there.serial });
        }
        if pushed.says_the_same_as(there) && pushed.serial == there.serial {
            return Ok(PushVerdict::Unchanged);
        }
        // What it became when it was pushed before.
        let taken = Self::forked(there, pushed);
        if is_fork && taken.says_the_same_as(there) {
            return Ok(PushVerdict::Unchanged);
        }
        if pushed.serial == there.serial && !is_fork {
            return Err(PushRefusal::Diverged { serial: there.serial });
        }
        let unknown = there.pending.iter().filter(|(at, it)| pushed.pending.get(at) != Some(it));
        let addresses: Vec<String> = unknown.map(|(at, _)| format!("`{at}`")).collect();
        match addresses.is_empty() {
            true if is_fork => Ok(PushVerdict::Forked),
            true => Ok(PushVerdict::Newer),
            false => Err(PushRefusal::Pending { addresses }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ContentDifference, PushRefusal, PushTarget, PushVerdict};
    use crate::engine::state::record::{
        Draining, LostDomain, MutatingCall, PendingOperation, Phase, Record, State,
    };
    use crate::engine::state::task_record::{TaskAttempt, TaskRecord};
    use crate::engine::value::{Attributes, LineageKey, Value};

    fn record(id: &str, label: &str) -> Record {
        Record {
            kind: "linode.nodebalancer".into(),
            id: id.into(),
            attributes: Attributes::from([("label".to_owned(), Value::text(label))]),
            outputs: Attributes::new(),
            needs: Vec::new(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 1,
            deposed: None,
            tried: Attributes::new(),
        }
    }

    fn shop(serial: u64, records: &[(&str, &str)]) -> State {
        let mut state = State::new("shop", None, "clouds", "l", LineageKey(vec![1]));
        state.serial = serial;
        for (address, label) in records {
            state.records.insert(address.parse().unwrap(), record(address, label));
        }
        state
    }

    fn pending(address: &str) -> PendingOperation {
        PendingOperation {
            step: 1,
            address: address.parse().unwrap(),
            kind: "linode.nodebalancer".into(),
            call: MutatingCall::Create,
            attributes: Attributes::new(),
            needs: Vec::new(),
            alike: Vec::new(),
            mark: None,
            at: 1,
        }
    }

    #[test]
    fn content_difference_says_what_the_next_plan_may_show() {
        let now = shop(9, &[("a", "1"), ("b", "1"), ("c", "2")]);
        let mut then = shop(3, &[("b", "1"), ("c", "1"), ("d", "1")]);
        assert_eq!(ContentDifference::between(&now, &now), ContentDifference::default());
        then.active = vec!["eu".into()];
        then.phase = Phase::Switching;
        then.lost.push(LostDomain { fault_domain: "aws:x".into(), since: 1, by: "ann".into() });
        insta::assert_snapshot!(ContentDifference::between(&now, &then).sentences().join("\n"), @"
        `a`: no longer recorded, and still running; the next plan may show adopt, or refuse to create again what carries no ownership tag, until its record is restored
        `d`: recorded again; the next plan may show create for what is gone, and delete for what no layer declares
        `c`: recorded with other values; the next plan may show drift or a change
        active overlays: from base to eu; the next apply acts on that side, which may move users
        phase: from settled to switching
        declared lost: from none to aws:x
        ");
    }

    #[test]
    fn with_content_of_keeps_what_no_cloud_can_tell() {
        let mut now = shop(9, &[("a", "1")]);
        now.pending.insert("b".parse().unwrap(), pending("b"));
        let run = TaskAttempt { switch: 1, plan: "p".into(), began: 1, asks: None, end: None };
        now.tasks.insert("promote".into(), TaskRecord { run, undo: None, takes_back: None });
        now.draining.push(Draining { address: "a".parse().unwrap(), was: Vec::new(), until: 7 });
        (now.sequence, now.touched, now.epoch) = (50, 49, 8);
        let older = shop(3, &[("z", "1")]);
        let state = now.with_content_of(&older);
        assert_eq!(
            (state.serial, state.sequence, state.epoch, state.is_restored),
            (9, 50, 8, true)
        );
        assert_eq!(state.records, older.records);
        assert_eq!((state.pending, state.tasks), (now.pending, now.tasks));
        assert_eq!(state.draining, now.draining);
    }

    #[test]
    fn judge_takes_what_goes_on_and_refuses_the_rest() {
        let there = shop(4, &[("a", "1")]);
        let target =
            PushTarget { name: "shop", world: "clouds", there: Some(&there), forked_at: None };
        let mut same = there.clone();
        same.sign("bob", "state pull shop", 99);
        same.sequence = 77;
        assert_eq!(target.judge(&same), Ok(PushVerdict::Unchanged));
        assert_eq!(target.judge(&shop(5, &[])), Ok(PushVerdict::Newer));
        assert_eq!(PushTarget { there: None, ..target }.judge(&there), Ok(PushVerdict::First));
        // Gone on without the store from serial 2, as the store did.
        let fork = PushTarget { forked_at: Some(2), ..target };
        for serial in [3, 4] {
            assert_eq!(fork.judge(&shop(serial, &[("a", "2")])), Ok(PushVerdict::Forked));
        }
        assert!(fork.judge(&shop(2, &[])).is_err(), "it did not go on");
        let ahead = PushTarget { forked_at: Some(5), ..target };
        assert!(ahead.judge(&shop(4, &[])).is_err(), "the store never had that serial");
        let pushed = shop(3, &[("a", "2")]);
        let taken = PushTarget::forked(&there, &pushed);
        let after = PushTarget { there: Some(&taken), ..fork };
        assert_eq!(after.judge(&pushed), Ok(PushVerdict::Unchanged), "pushed twice");
        let mut busy = there.clone();
        busy.pending.insert("b".parse().unwrap(), pending("b"));
        let during = PushTarget { there: Some(&busy), ..target };
        let mut knows = shop(5, &[]);
        knows.pending.clone_from(&busy.pending);
        assert_eq!(during.judge(&knows), Ok(PushVerdict::Newer));
        let mut twice = shop(5, &[("a", "1"), ("b", "1")]);
        twice.records.get_mut(&"b".parse().unwrap()).unwrap().id = "a".into();
        let refused =
            |target: &PushTarget<'_>, it: &State| -> PushRefusal { target.judge(it).unwrap_err() };
        let said = [
            refused(&PushTarget { name: "shop@drill", ..target }, &there),
            refused(&PushTarget { world: "sandbox", ..target }, &there),
            refused(&target, &twice),
            refused(&target, &State { lineage: "m".into(), ..there.clone() }),
            refused(&target, &shop(3, &[])),
            refused(&target, &shop(4, &[])),
            refused(&during, &shop(5, &[])),
        ];
        insta::assert_snapshot!(said.map(|it| it.to_string()).join("\n"), @"
        it is the state of `shop`, and not of `shop@drill`
        it is a state of the clouds, and not of the sandbox
        it is inconsistent: `b` has the same ID a as another record
        it has another lineage: m; the state in the store has l
        it is older: serial 3; the state in the store has serial 4
        it has serial 4, as the state in the store has, and other content
        the store has interrupted operations that it does not know: `b`
        ");
    }
}
