//! What holds for every sequence of rounds.

use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::tests::{MINUTE, reread, round, rules};
use super::{
    Active, Decision, WatchEvent, WatchMemory, WatchOutcome, WatchRules, decide, ended, observe,
};

/// One round: what it sees, what state says, and what becomes of a switch that it starts.
#[derive(Debug, Clone)]
struct ProbeRound {
    letter: char,
    /// Minutes since the round before.
    after: i64,
    active: Active,
    outcome: WatchOutcome,
}

fn step() -> impl Strategy<Value = ProbeRound> {
    let letter = prop_oneof![3 => Just('g'), 6 => Just('b'), 2 => Just('c')];
    let active = prop_oneof![8 => Just(Active::Elsewhere), 1 => Just(Active::Underway), 1 => Just(Active::Degraded), 1 => Just(Active::There)];
    let failed = |moved| WatchOutcome::Failed { why: "exit 1".into(), exit: Some(1), moved };
    let outcome = prop_oneof![
        4 => Just(WatchOutcome::Done),
        1 => Just(WatchOutcome::Degraded { why: "x".into() }),
        1 => Just(WatchOutcome::MovedNobody { why: None }),
        1 => Just(WatchOutcome::Ran),
        1 => Just(failed(true)),
        1 => Just(failed(false)),
        1 => Just(WatchOutcome::Held { active: Active::Elsewhere }),
        1 => Just(WatchOutcome::Turned { by: "ann".into() }),
    ];
    (letter, 1..5_i64, active, outcome).prop_map(|(letter, after, active, outcome)| ProbeRound {
        letter,
        after,
        active,
        outcome,
    })
}

/// Thresholds of every sort; the rest as in the other tests.
fn limits() -> impl Strategy<Value = WatchRules> {
    (1..4_usize, 0..4_usize, 1..4_u32).prop_map(|(failed, more, good)| WatchRules {
        failed,
        of: failed + more,
        good,
        ..rules()
    })
}

fn steps() -> impl Strategy<Value = Vec<ProbeRound>> {
    vec(step(), 0..120)
}

/// What one round led to.
struct RoundResult {
    at: i64,
    /// Which outage it belonged to, by its first failure.
    outage: Option<i64>,
    said: Vec<WatchEvent>,
    switched: bool,
}

fn run(
    rules: &WatchRules,
    steps: &[ProbeRound],
    restarts: impl Fn(usize) -> bool,
) -> (Vec<RoundResult>, WatchMemory) {
    let mut memory = WatchMemory::new("x");
    let mut at = 0;
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        at += step.after * MINUTE;
        if restarts(index) {
            memory = reread(&memory);
        }
        let (mut said, case) = observe(&mut memory, rules, &round(at, step.letter));
        let outage = memory.outage.as_ref().map(|it| it.since);
        let mut switched = false;
        if let Some(case) = case {
            let (event, decision) = decide(&mut memory, rules, case, step.active);
            said.extend(event);
            if decision != Decision::Wait {
                switched = true;
                if restarts(index) {
                    memory = reread(&memory);
                }
                said.extend(ended(&mut memory, at, step.outcome.clone()));
            }
        }
        all.push(RoundResult { at, outage, said, switched });
    }
    (all, memory)
}

fn all_said(led: &[RoundResult]) -> Vec<&WatchEvent> {
    led.iter().flat_map(|it| &it.said).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decide_never_switches_without_a_control_or_after_a_good_answer(rules in limits(), steps in steps()) {
        let (led, _) = run(&rules, &steps, |_| false);
        for (step, led) in steps.iter().zip(&led) {
            prop_assert!(!led.switched || step.letter == 'b', "{step:?}");
        }
    }

    #[test]
    fn decide_never_switches_twice_within_the_cooldown(rules in limits(), steps in steps()) {
        let (led, _) = run(&rules, &steps, |_| false);
        // The last switch that may have moved users, and whether the same outage may still repeat it.
        let mut last: Option<(i64, Option<i64>, bool)> = None;
        for (step, led) in steps.iter().zip(&led) {
            if !led.switched {
                continue;
            }
            if let Some((at, outage, failed)) = last {
                let again = failed && outage == led.outage;
                let underway = step.active == Active::Underway;
                prop_assert!(led.at >= at + rules.cooldown || again || underway, "{} after {at}", led.at);
            }
            match step.outcome {
                WatchOutcome::Done
                | WatchOutcome::Degraded { .. }
                | WatchOutcome::Ran
                | WatchOutcome::MovedNobody { .. }
                | WatchOutcome::Turned { .. } => {
                    last = Some((led.at, led.outage, false));
                }
                WatchOutcome::Failed { moved: true, .. } => last = Some((led.at, led.outage, true)),
                WatchOutcome::Failed { moved: false, .. } | WatchOutcome::Held { .. } => {}
            }
        }
    }

    #[test]
    fn decide_never_switches_to_what_is_active(rules in limits(), steps in steps()) {
        let (led, _) = run(&rules, &steps, |_| false);
        for (step, led) in steps.iter().zip(&led) {
            prop_assert!(!led.switched || !step.active.is_there());
        }
    }

    #[test]
    fn decide_never_switches_below_the_threshold(rules in limits(), mut steps in steps()) {
        let mut bad = Vec::new();
        for step in &mut steps {
            if step.letter == 'c' {
                continue;
            }
            let recent = bad.iter().rev().take(rules.of - 1).filter(|it| **it).count();
            if recent + 1 >= rules.failed {
                step.letter = 'g';
            }
            bad.push(step.letter == 'b');
        }
        let (led, memory) = run(&rules, &steps, |_| false);
        prop_assert!(led.iter().all(|it| !it.switched));
        prop_assert_eq!(memory.outage, None);
    }

    #[test]
    fn observe_changes_nothing_in_rounds_without_a_control(rules in limits(), steps in steps()) {
        let (led, memory) = run(&rules, &steps, |_| false);
        let mut skipped = 0;
        let mut rest: Vec<ProbeRound> = Vec::new();
        for step in &steps {
            skipped += step.after;
            if step.letter != 'c' {
                rest.push(ProbeRound { after: skipped, ..step.clone() });
                skipped = 0;
            }
        }
        let (without, memory_without) = run(&rules, &rest, |_| false);
        let counted: Vec<&WatchEvent> =
            all_said(&led).into_iter().filter(|it| it.name() != "undecided").collect();
        prop_assert_eq!(counted, all_said(&without));
        prop_assert_eq!(memory, memory_without);
    }

    #[test]
    fn observe_and_decide_do_the_same_after_a_restart(rules in limits(), steps in steps(), every in 1..5_usize) {
        let (whole, memory) = run(&rules, &steps, |_| false);
        let (cut, memory_cut) = run(&rules, &steps, |index| index % every == 0);
        prop_assert_eq!(all_said(&whole), all_said(&cut));
        prop_assert_eq!(memory, memory_cut);
    }

    #[test]
    fn observe_alternates_down_and_up_each_after_rounds_of_its_own(rules in limits(), steps in steps()) {
        let (led, _) = run(&rules, &steps, |_| false);
        let (mut down, mut row, mut failed) = (false, 0, 0);
        for (step, led) in steps.iter().zip(&led) {
            match step.letter {
                'g' => row += 1,
                'b' => (row, failed) = (0, failed + 1),
                _ => {}
            }
            for event in &led.said {
                match event {
                    WatchEvent::Down { .. } => {
                        prop_assert!(!down && failed >= rules.failed, "{failed} since it was up");
                        down = true;
                    }
                    WatchEvent::Up { .. } => {
                        prop_assert!(down && row >= rules.good);
                        (down, failed) = (false, 0);
                    }
                    _ => {}
                }
            }
            prop_assert!(!led.switched || down);
        }
    }
}
