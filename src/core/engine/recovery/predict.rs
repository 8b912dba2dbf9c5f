//! How long a switch will take: its steps carried out on paper, each as long as steps like it took before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::model::forecast::{ExpectedTime, Forecast};
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::plan::model::step_phase::{role, ttl};
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::schedule::Schedule;
use crate::engine::task::TASK;

/// What steps of one kind and call took, in milliseconds, the shortest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples(BTreeMap<(String, String), Vec<u64>>);

impl Samples {
    /// Of the steps that were done.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a StepTiming>) -> Self {
        let mut samples: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
        for step in steps.into_iter().filter(|it| it.became == StepResult::Done) {
            if let Some(took) = step.duration() {
                let key = alike(&step.kind, &step.call, &step.address);
                samples.entry(key).or_default().push(took);
            }
        }
        for took in samples.values_mut() {
            took.sort_unstable();
        }
        Self(samples)
    }

    fn like(&self, step: &Step) -> &[u64] {
        let key = alike(&step.kind, step.call.word(), &step.address);
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// By what steps are taken for alike: kind and call. A task is like nothing but itself.
fn alike(kind: &str, call: &str, address: &Address) -> (String, String) {
    let call = if kind == TASK { format!("{call} {address}") } else { call.to_owned() };
    (kind.to_owned(), call)
}

/// How many steps of a provider run at once, and whose steps those are.
pub struct ConcurrencyLanes<'a> {
    pub provider_of: &'a dyn Fn(&Step) -> String,
    pub limits: BTreeMap<String, usize>,
}

/// What the steps of a switch are expected to take; `None`: there are none, or they wait for each other in a circle.
pub fn predict(
    steps: &[Step],
    samples: &Samples,
    lanes: &ConcurrencyLanes<'_>,
    now: i64,
) -> Option<Forecast> {
    if steps.is_empty() {
        return None;
    }
    let usual: Vec<u64> = steps.iter().map(|it| expected(it, samples, now, middle)).collect();
    let worst: Vec<u64> = steps.iter().map(|it| expected(it, samples, now, longest)).collect();
    let usual = rehearse(steps, &usual, lanes)?;
    let worst = rehearse(steps, &worst, lanes)?;
    let (directed, bound) = directed(steps, &usual.ends);
    let (slowest, _) = directed_or_whole(steps, &worst);
    let last = match &directed {
        Some((step, _)) => Some(*step),
        None => (0..steps.len()).max_by_key(|it| (usual.ends[*it], *it)),
    };
    let path = usual.path(last);
    let estimated = path.iter().map(|it| &steps[*it]).filter(|it| is_estimated(it));
    let mut seen = BTreeSet::new();
    let (mut counted, mut measured, mut sampled) = (0, 0, 0);
    for step in estimated {
        let measurements = samples.like(step);
        counted += 1;
        measured += usize::from(!measurements.is_empty());
        if seen.insert(alike(&step.kind, step.call.word(), &step.address)) {
            sampled += measurements.len();
        }
    }
    Some(Forecast {
        directed: directed
            .map(|(_, at)| ExpectedTime { usual: whole_seconds(at), dns_bound: bound }),
        whole: whole_seconds(usual.whole()),
        longest: whole_seconds(slowest),
        steps: counted,
        measured,
        samples: sampled,
    })
}

/// A wait for nobody to come the old way takes as long as the plan says.
fn is_estimated(step: &Step) -> bool {
    !matches!(step.call, StepCall::Drain { .. })
}

fn expected(step: &Step, samples: &Samples, now: i64, choose: fn(&[u64]) -> Option<u64>) -> u64 {
    match &step.call {
        StepCall::Drain { until: Some(until), .. } => u64::try_from(until - now).unwrap_or(0),
        StepCall::Drain { seconds, until: None } => seconds.saturating_mul(1_000),
        _ => choose(samples.like(step)).unwrap_or(step.weight.saturating_mul(1_000)),
    }
}

/// The middle one, or the longer of the two in the middle.
fn middle(sorted: &[u64]) -> Option<u64> {
    sorted.get(sorted.len() / 2).copied()
}

fn longest(sorted: &[u64]) -> Option<u64> {
    sorted.last().copied()
}

fn whole_seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1_000)
}

/// The last step that directs users and when it ends, and for how long after that somebody may come the old way.
fn directed(steps: &[Step], ends: &[u64]) -> (Option<(usize, u64)>, u64) {
    let traffic = steps.iter().filter_map(|it| {
        let seconds = ttl(it, role(it, steps)).filter(|_| role(it, steps) == StepPhase::Traffic)?;
        Some((it.id, ends[it.id], seconds))
    });
    let traffic: Vec<(usize, u64, u64)> = traffic.collect();
    let Some(last) = traffic.iter().max_by_key(|it| (it.1, it.0)) else { return (None, 0) };
    let until = traffic.iter().map(|it| it.1.saturating_add(it.2.saturating_mul(1_000))).max();
    let bound = until.unwrap_or(0).saturating_sub(last.1).div_ceil(1_000);
    (Some((last.0, last.1)), bound)
}

fn directed_or_whole(steps: &[Step], rehearsal: &DrillMeasurement) -> (u64, u64) {
    let (directed, bound) = directed(steps, &rehearsal.ends);
    (directed.map_or_else(|| rehearsal.whole(), |it| it.1), bound)
}

/// When each step ends, in milliseconds after the begin, and which step it started after.
struct DrillMeasurement {
    ends: Vec<u64>,
    after: Vec<Option<usize>>,
}

impl DrillMeasurement {
    fn whole(&self) -> u64 {
        self.ends.iter().copied().max().unwrap_or(0)
    }

    /// From a step back to the begin.
    fn path(&self, last: Option<usize>) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = last;
        while let Some(step) = next {
            path.push(step);
            next = self.after[step];
        }
        path
    }
}

/// Carries the steps out on paper, by the same schedule that a run goes by.
fn rehearse(
    steps: &[Step],
    takes: &[u64],
    lanes: &ConcurrencyLanes<'_>,
) -> Option<DrillMeasurement> {
    let mut schedule = Schedule::new(steps, lanes.provider_of, lanes.limits.clone());
    let mut rehearsal =
        DrillMeasurement { ends: vec![0; steps.len()], after: vec![None; steps.len()] };
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now: (u64, Option<usize>) = (0, None);
    let mut done = 0;
    loop {
        for step in schedule.start(|_| 0) {
            rehearsal.after[step] = now.1;
            rehearsal.ends[step] = now.0.saturating_add(takes[step]);
            running.push(Reverse((rehearsal.ends[step], step)));
        }
        let Some(Reverse((at, step))) = running.pop() else { break };
        now = (at, Some(step));
        schedule.finish(step, true);
        done += 1;
    }
    (done == steps.len()).then_some(rehearsal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{Strategy, any, prop_assert, proptest};

    use super::{ConcurrencyLanes, Samples, predict};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{Step, StepCall, TrafficShift};
    use crate::engine::plan::model::forecast::{ExpectedTime, Forecast};
    use crate::engine::plan::model::step_phase::StepPhase;
    use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};

    fn step(id: usize, call: StepCall, waits: &[usize], weight: u64) -> Step {
        Step {
            id,
            address: Address::one("shop"),
            kind: "some.kind".into(),
            call,
            waits: waits.to_vec(),
            lane: None,
            segment: id,
            weight,
            shift: None,
            quorums: Vec::new(),
        }
    }

    /// Make, let it serve, direct users, drain, delete.
    fn switch() -> Vec<Step> {
        let serving = StepCall::Serving { of: Vec::new(), serves: BTreeMap::new(), probe: 0 };
        let mut steps = vec![
            step(0, StepCall::Ready, &[], 60),
            step(1, serving, &[0], 30),
            step(2, StepCall::Rename { attribute: "target".into(), to: None }, &[1], 2),
            step(3, StepCall::Drain { seconds: 600, until: None }, &[2], 600),
            step(4, StepCall::Delete { deposed: false }, &[3], 2),
        ];
        steps[2].shift = Some(TrafficShift { was: Vec::new(), seconds: 600, ttl: 300 });
        steps
    }

    fn measured(call: &str, milliseconds: i64) -> StepTiming {
        StepTiming {
            id: 0,
            address: Address::one("other"),
            kind: "some.kind".into(),
            call: call.into(),
            role: StepPhase::Work,
            waits: Vec::new(),
            started: Some(5),
            ended: Some(5 + milliseconds),
            became: StepResult::Done,
            ttl: None,
            arrived: None,
            unchecked: None,
            output: String::new(),
        }
    }

    fn expected(steps: &[Step], past: &[StepTiming]) -> Forecast {
        let lanes =
            ConcurrencyLanes { provider_of: &|it| it.kind.clone(), limits: BTreeMap::new() };
        predict(steps, &Samples::of(past), &lanes, 0).unwrap()
    }

    #[test]
    fn predict_uses_estimates_of_the_kinds_without_reports() {
        let forecast = expected(&switch(), &[]);
        let wanted = Forecast {
            directed: Some(ExpectedTime { usual: 92, dns_bound: 300 }),
            whole: 694,
            longest: 92,
            steps: 3,
            measured: 0,
            samples: 0,
        };
        assert_eq!(forecast, wanted);
    }

    #[test]
    fn predict_takes_the_median_of_measured_steps() {
        let mut failed = measured("ready", 1);
        failed.became = StepResult::Failed;
        let past = [
            measured("ready", 10_000),
            measured("ready", 90_000),
            measured("ready", 20_000),
            failed,
            measured("rename", 500),
            // It takes as long as the plan says, whatever it took.
            measured("drain gate", 1),
        ];
        let wanted = Forecast {
            directed: Some(ExpectedTime { usual: 51, dns_bound: 300 }),
            whole: 653,
            longest: 121,
            steps: 3,
            measured: 2,
            samples: 4,
        };
        assert_eq!(expected(&switch(), &past), wanted);
    }

    #[test]
    fn predict_adds_up_steps_that_share_a_lane() {
        let steps: Vec<Step> = (0..5).map(|id| step(id, StepCall::Ready, &[], 10)).collect();
        let whole = |limit: usize| {
            let limits = BTreeMap::from([("cloud".to_owned(), limit)]);
            let lanes = ConcurrencyLanes { provider_of: &|_| "cloud".into(), limits };
            let forecast = predict(&steps, &Samples::default(), &lanes, 0).unwrap();
            (forecast.whole, forecast.steps)
        };
        assert_eq!([whole(5), whole(2), whole(1)], [(10, 1), (30, 3), (50, 5)]);
    }

    #[test]
    fn predict_counts_what_remains_of_a_drain_already_begun() {
        let drain = StepCall::Drain { seconds: 0, until: Some(70_000) };
        let steps = vec![step(0, drain, &[], 1)];
        let lanes =
            ConcurrencyLanes { provider_of: &|it| it.kind.clone(), limits: BTreeMap::new() };
        let forecast = predict(&steps, &Samples::default(), &lanes, 10_000).unwrap();
        assert_eq!((forecast.whole, forecast.steps, forecast.directed), (60, 0, None));
    }

    #[test]
    fn predict_gives_nothing_for_no_steps_or_circles() {
        let lanes =
            ConcurrencyLanes { provider_of: &|it| it.kind.clone(), limits: BTreeMap::new() };
        let circle = [step(0, StepCall::Ready, &[1], 1), step(1, StepCall::Ready, &[0], 1)];
        assert_eq!(predict(&circle, &Samples::default(), &lanes, 0), None);
        assert_eq!(predict(&[], &Samples::default(), &lanes, 0), None);
    }

    const KINDS: [&str; 2] = ["fast", "slow"];

    fn any_steps() -> impl Strategy<Value = Vec<Step>> {
        vec((any::<u32>(), 0..90_u64, any::<bool>(), option::of(0..900_u64)), 1..16).prop_map(
            |drawn| {
                let numbered = drawn.into_iter().enumerate();
                let steps = numbered.map(|(id, (mask, weight, slow, ttl))| {
                    let waits: Vec<usize> = (0..id).filter(|it| mask >> it & 5 == 5).collect();
                    let mut step = step(id, StepCall::Ready, &waits, weight);
                    step.kind = KINDS[usize::from(slow)].into();
                    let directs = |ttl| TrafficShift { was: Vec::new(), seconds: 0, ttl };
                    step.shift = ttl.filter(|_| mask % 3 == 0).map(directs);
                    step
                });
                steps.collect()
            },
        )
    }

    proptest! {
        #[test]
        fn predict_is_never_below_the_longest_step(
            steps in any_steps(),
            past in vec((any::<bool>(), 0..200_000_i64), 0..6),
            limit in 1..4_usize,
        ) {
            let past: Vec<StepTiming> = past
                .into_iter()
                .map(|(slow, took)| {
                    StepTiming { kind: KINDS[usize::from(slow)].into(), ..measured("ready", took) }
                })
                .collect();
            let samples = Samples::of(&past);
            let limits = BTreeMap::from([("slow".to_owned(), limit)]);
            let lanes = ConcurrencyLanes { provider_of: &|it| it.kind.clone(), limits };
            let forecast = predict(&steps, &samples, &lanes, 0).unwrap();
            let takes = |it: &Step| {
                let known = samples.like(it);
                known.get(known.len() / 2).copied().unwrap_or(it.weight * 1_000)
            };
            let longest = steps.iter().map(takes).max().unwrap();
            prop_assert!(forecast.whole * 1_000 >= longest, "{forecast:?}");
            let sum: u64 = steps.iter().map(takes).sum();
            prop_assert!(forecast.whole <= sum.div_ceil(1_000), "{forecast:?}");
            prop_assert!(forecast.measured <= forecast.steps && forecast.steps <= steps.len());
            if let Some(directed) = forecast.directed {
                let traffic = steps.iter().filter(|it| it.shift.is_some());
                prop_assert!(directed.usual * 1_000 >= traffic.map(takes).max().unwrap());
                prop_assert!(directed.usual <= forecast.whole);
            }
        }
    }
}
