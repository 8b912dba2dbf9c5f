//! Which steps may start now; never waits, never acts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::plan::model::change::{Step, StepQuorum};
use crate::engine::topological::topological_order;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    Waiting,
    Running,
    Done,
    Failed,
    /// Something that it waits for failed.
    Skipped,
}

/// How far a group has come of which some steps have to end well.
#[derive(Debug, Clone, Copy)]
struct QuorumProgress {
    /// How many more are needed.
    wanted: usize,
    /// How many more may fail.
    spare: usize,
}

/// Progress of the steps of one plan.
#[derive(Debug)]
pub struct Schedule {
    standing: Vec<StepState>,
    waits_left: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// By step: the groups of which it needs some.
    quorums: Vec<Vec<QuorumProgress>>,
    /// By step: who counts it, and in which of its groups.
    counted_by: Vec<Vec<(usize, usize)>>,
    /// Seconds from the start of a step to the end of the longest path behind it.
    remaining: Vec<u64>,
    lanes: Vec<Option<(String, usize)>>,
    /// Lane → the segment that holds it.
    held: BTreeMap<String, usize>,
    /// Steps of a segment that have not ended.
    open_in_segment: BTreeMap<usize, usize>,
    providers: Vec<String>,
    running: BTreeMap<String, usize>,
    limits: BTreeMap<String, usize>,
    /// By provider: longest remaining path first, then the order of the plan.
    startable: BTreeMap<String, BTreeSet<(Reverse<u64>, usize)>>,
    stopped: bool,
}

impl Schedule {
    /// `limits`: how many steps of a provider run at once; others are not limited.
    pub fn new(
        steps: &[Step],
        provider_of: impl Fn(&Step) -> String,
        limits: BTreeMap<String, usize>,
    ) -> Self {
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
        for step in steps {
            for wait in &step.waits {
                dependents[*wait].push(step.id);
            }
        }
        let mut counted_by: Vec<Vec<(usize, usize)>> = vec![Vec::new(); steps.len()];
        for step in steps {
            for (at, quorum) in step.quorums.iter().enumerate() {
                quorum.of.iter().for_each(|it| counted_by[*it].push((step.id, at)));
            }
        }
        let progress = |it: &StepQuorum| QuorumProgress {
            wanted: it.count,
            spare: it.of.len().saturating_sub(it.count),
        };
        let mut open_in_segment: BTreeMap<usize, usize> = BTreeMap::new();
        for step in steps {
            *open_in_segment.entry(step.segment).or_default() += 1;
        }
        let mut schedule = Self {
            standing: vec![StepState::Waiting; steps.len()],
            waits_left: steps.iter().map(|it| it.waits.len()).collect(),
            remaining: remaining(steps),
            dependents,
            quorums: steps.iter().map(|it| it.quorums.iter().map(progress).collect()).collect(),
            counted_by,
            lanes: steps.iter().map(|it| it.lane.clone().map(|lane| (lane, it.segment))).collect(),
            held: BTreeMap::new(),
            open_in_segment,
            providers: steps.iter().map(provider_of).collect(),
            running: BTreeMap::new(),
            limits,
            startable: BTreeMap::new(),
            stopped: false,
        };
        (0..steps.len()).for_each(|it| schedule.offer(it));
        schedule
    }

    /// Lets a step start, if nothing that it waits for is open any more.
    fn offer(&mut self, step: usize) {
        let is_open =
            self.waits_left[step] > 0 || self.quorums[step].iter().any(|it| it.wanted > 0);
        if is_open || self.standing[step] != StepState::Waiting {
            return;
        }
        let ranked = self.rank(step);
        self.startable.entry(self.providers[step].clone()).or_default().insert(ranked);
    }

    /// Steps to start now; they count as running from here on. `ahead`: how many more of a provider than its limit are begun, which
    /// wait for their turn then.
    pub fn start(&mut self, ahead: impl Fn(&str) -> usize) -> Vec<usize> {
        let mut started = Vec::new();
        if self.stopped {
            return started;
        }
        for (provider, ranked) in &mut self.startable {
            let running = self.running.entry(provider.clone()).or_default();
            let limit = self.limits.get(provider).copied().unwrap_or(usize::MAX);
            let limit = limit.saturating_add(ahead(provider));
            let mut chosen = Vec::new();
            for (rank, step) in ranked.iter() {
                if *running >= limit {
                    break;
                }
                if let Some((lane, segment)) = &self.lanes[*step]
                    && *self.held.entry(lane.clone()).or_insert(*segment) != *segment
                {
                    continue;
                }
                *running += 1;
                chosen.push((*rank, *step));
            }
            for (rank, step) in chosen {
                ranked.remove(&(rank, step));
                self.standing[step] = StepState::Running;
                started.push(step);
            }
        }
        started
    }

    /// Takes in how a running step ended.
    pub fn finish(&mut self, step: usize, succeeded: bool) {
        assert_eq!(self.standing[step], StepState::Running, "only a running step ends");
        *self.running.get_mut(&self.providers[step]).expect("it was counted when it started") -= 1;
        self.standing[step] = if succeeded { StepState::Done } else { StepState::Failed };
        self.close(step);
        if !succeeded {
            self.skip_dependents(step);
            return;
        }
        for dependent in self.dependents[step].clone() {
            self.waits_left[dependent] -= 1;
            self.offer(dependent);
        }
        for (dependent, at) in self.counted_by[step].clone() {
            let quorum = &mut self.quorums[dependent][at];
            quorum.wanted = quorum.wanted.saturating_sub(1);
            self.offer(dependent);
        }
    }

    /// Counts a step out of its segment; the last one gives the lane free.
    fn close(&mut self, step: usize) {
        let Some((lane, segment)) = self.lanes[step].clone() else { return };
        let left = self.open_in_segment.get_mut(&segment).expect("every segment is counted");
        *left -= 1;
        if *left == 0 && self.held.get(&lane) == Some(&segment) {
            self.held.remove(&lane);
        }
    }

    /// What waits for a step that did not end well never starts; what counts it among others goes on as long as enough of those
    /// are left.
    fn skip_dependents(&mut self, step: usize) {
        let mut missing = vec![step];
        while let Some(step) = missing.pop() {
            let mut never = self.dependents[step].clone();
            for (dependent, at) in &self.counted_by[step] {
                let quorum = &mut self.quorums[*dependent][*at];
                match quorum.spare.checked_sub(1) {
                    Some(left) => quorum.spare = left,
                    None if quorum.wanted > 0 => never.push(*dependent),
                    None => {}
                }
            }
            for dependent in never {
                if self.standing[dependent] == StepState::Waiting {
                    self.standing[dependent] = StepState::Skipped;
                    self.close(dependent);
                    missing.push(dependent);
                }
            }
        }
    }

    /// Takes back a running step that did nothing. It does not start again: that happens where the run is to stop.
    pub fn withdraw(&mut self, step: usize) {
        assert_eq!(self.standing[step], StepState::Running, "only a running step is withdrawn");
        *self.running.get_mut(&self.providers[step]).expect("it was counted when it started") -= 1;
        self.standing[step] = StepState::Waiting;
    }

    /// Of two steps the one that goes first where there is one place: the longest path behind it, then the order of the plan.
    pub fn rank(&self, step: usize) -> (Reverse<u64>, usize) {
        (Reverse(self.remaining[step]), step)
    }

    /// Nothing new starts any more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The steps that may have to wait for this one, through however many others.
    pub fn behind(&self, step: usize) -> BTreeSet<usize> {
        let mut behind = BTreeSet::new();
        let mut next = vec![step];
        while let Some(step) = next.pop() {
            let counting = self.counted_by[step].iter().map(|it| it.0);
            let found = self.dependents[step].iter().copied().chain(counting);
            next.extend(found.filter(|it| behind.insert(*it)));
        }
        behind
    }

    pub fn standing(&self, step: usize) -> StepState {
        self.standing[step]
    }
}

#[cfg(test)]
impl Schedule {
    /// Whether [`Schedule::start`] would start something.
    fn has_startable(&self) -> bool {
        !self.stopped && self.startable.values().any(|it| !it.is_empty())
    }

    fn is_running(&self) -> bool {
        self.running.values().any(|it| *it > 0)
    }
}

/// The longest path behind each step, its own weight included; no recursion, since chains are long.
fn remaining(steps: &[Step]) -> Vec<u64> {
    let mut longest: Vec<u64> = steps.iter().map(|it| it.weight + 1).collect();
    for step in topological_order(steps.len(), |it| steps[it].before()) {
        for wait in steps[step].before() {
            longest[wait] = longest[wait].max(steps[wait].weight + 1 + longest[step]);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, proptest};

    use super::{Schedule, StepState};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{Step, StepCall, StepQuorum};

    const LIMIT: usize = 2;

    fn step(id: usize, waits: Vec<usize>, kind: &str, lane: Option<&str>, segment: usize) -> Step {
        Step {
            id,
            address: Address::one("x"),
            kind: kind.into(),
            call: StepCall::Ready,
            waits,
            lane: lane.map(Into::into),
            segment,
            weight: (id as u64 * 7) % 5,
            shift: None,
            quorums: Vec::new(),
        }
    }

    /// Steps that wait for earlier ones; a step may go on with the segment of the step before it.
    fn steps() -> impl Strategy<Value = Vec<Step>> {
        vec(any::<(u32, bool, u8, bool)>(), 1..24).prop_map(|drawn| {
            let mut steps: Vec<Step> = Vec::new();
            for (id, (mask, is_slow, lane, goes_on)) in drawn.into_iter().enumerate() {
                let before = steps.last().filter(|_| goes_on).cloned();
                let next = if let Some(before) = before {
                    step(id, vec![before.id], &before.kind, before.lane.as_deref(), before.segment)
                } else {
                    let waits = (0..id).filter(|it| mask >> (it % 32) & 5 == 5).collect();
                    let lane = [None, Some("a"), Some("b")][usize::from(lane % 3)];
                    step(id, waits, if is_slow { "slow" } else { "fast" }, lane, id)
                };
                steps.push(next);
            }
            steps
        })
    }

    /// Three free steps, one that needs some of them, and one behind it.
    fn with_quorum(count: usize) -> Vec<Step> {
        let free = (0..3).map(|it| step(it, Vec::new(), "fast", None, it));
        let mut steps: Vec<Step> = free.collect();
        let quorums = vec![StepQuorum { count, of: vec![0, 1, 2] }];
        steps.push(Step { quorums, ..step(3, Vec::new(), "fast", None, 3) });
        steps.push(step(4, vec![3], "fast", None, 4));
        steps
    }

    #[test]
    fn start_offers_a_step_as_soon_as_its_quorum_is_reached() {
        let mut schedule = schedule(&with_quorum(2));
        assert_eq!(schedule.start(|_| 0).len(), 3, "the others are free");
        schedule.finish(1, false);
        schedule.finish(0, true);
        assert_eq!(schedule.start(|_| 0), [0_usize; 0]);
        schedule.finish(2, true);
        assert_eq!(schedule.start(|_| 0), [3]);
        schedule.finish(3, true);
        assert_eq!(schedule.start(|_| 0), [4]);
    }

    #[test]
    fn finish_skips_a_step_whose_quorum_is_out_of_reach() {
        let mut schedule = schedule(&with_quorum(2));
        schedule.start(|_| 0);
        schedule.finish(0, true);
        schedule.finish(1, false);
        assert_eq!(schedule.standing(3), StepState::Waiting);
        schedule.finish(2, false);
        assert_eq!(
            (schedule.standing(3), schedule.standing(4)),
            (StepState::Skipped, StepState::Skipped)
        );
    }

    #[test]
    fn behind_finds_what_waits_for_a_step_directly_or_through_a_quorum() {
        let mut steps = with_quorum(1);
        steps.push(step(4, vec![3], "fast", None, 4));
        let schedule = schedule(&steps);
        assert_eq!(schedule.behind(0), BTreeSet::from([3, 4]));
        assert_eq!(schedule.behind(4), BTreeSet::new());
    }

    #[test]
    fn finish_takes_no_quorum_back() {
        let mut schedule = schedule(&with_quorum(1));
        schedule.start(|_| 0);
        schedule.finish(2, true);
        assert_eq!(schedule.start(|_| 0), [3]);
        schedule.finish(0, false);
        schedule.finish(1, false);
        assert_eq!(schedule.standing(3), StepState::Running);
    }

    fn schedule(steps: &[Step]) -> Schedule {
        let limits = BTreeMap::from([("slow".to_owned(), LIMIT)]);
        Schedule::new(steps, |it| it.kind.clone(), limits)
    }

    /// Every started step was free, and everyone together stays within limits and lanes.
    fn check_started(schedule: &Schedule, steps: &[Step], started: &[usize], running: &[usize]) {
        for id in started {
            let waits = steps[*id].waits.iter();
            assert!(
                waits.clone().all(|it| schedule.standing(*it) == StepState::Done),
                "{id} is early"
            );
        }
        let slow = running.iter().filter(|it| steps[**it].kind == "slow").count();
        assert!(slow <= LIMIT, "{slow} at once");
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for id in running {
            if let Some(lane) = &steps[*id].lane {
                let holder = *holders.entry(lane).or_insert(steps[*id].segment);
                assert_eq!(holder, steps[*id].segment, "two segments in lane {lane}");
            }
        }
    }

    proptest! {
        #[test]
        fn schedule_skips_exactly_the_dependents_of_a_failed_step(
            steps in steps(),
            picks in vec(any::<usize>(), 24),
            fails in vec(any::<bool>(), 24),
            may_fail in any::<bool>(),
        ) {
            let mut schedule = schedule(&steps);
            let mut running: Vec<usize> = Vec::new();
            for pick in picks.iter().cycle().take(steps.len() + 1) {
                let started = schedule.start(|_| 0);
                running.extend(&started);
                check_started(&schedule, &steps, &started, &running);
                if running.is_empty() {
                    break;
                }
                let ended = running.remove(pick % running.len());
                schedule.finish(ended, !(may_fail && fails[ended]));
            }
            assert!(!schedule.is_running() && !schedule.has_startable(), "it is over");
            for it in &steps {
                let blocked = it.waits.iter().any(|wait| schedule.standing(*wait) != StepState::Done);
                let expected = match (blocked, may_fail && fails[it.id]) {
                    (true, _) => StepState::Skipped,
                    (false, true) => StepState::Failed,
                    (false, false) => StepState::Done,
                };
                assert_eq!(schedule.standing(it.id), expected, "{}", it.id);
            }
        }

        #[test]
        fn start_gives_nothing_after_a_stop(steps in steps(), count in 0_usize..8) {
            let mut schedule = schedule(&steps);
            let mut running = schedule.start(|_| 0);
            for _ in 0..count.min(running.len()) {
                schedule.finish(running.remove(0), true);
            }
            schedule.stop();
            assert!(schedule.start(|_| 0).is_empty());
            for it in running {
                schedule.finish(it, true);
            }
            assert!(schedule.start(|_| 0).is_empty() && !schedule.has_startable());
        }
    }

    #[test]
    fn start_gives_the_longest_path_first() {
        let mut steps: Vec<Step> =
            (0..4).map(|id| step(id, Vec::new(), "slow", None, id)).collect();
        steps[3].waits = vec![2];
        for it in &mut steps {
            it.weight = 10;
        }
        assert_eq!(schedule(&steps).start(|_| 0), [2, 0]);
    }
}
