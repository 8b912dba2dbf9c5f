//! Phases, verdicts and the JSON of reports: data in, text out, and the laws they keep.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use crate::engine::address::Address;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::codec::{NotAReport, decode, encode};
use crate::engine::recovery::report::phases::{Gap, RunSpan, ShiftRecord, measure};
use crate::engine::recovery::report::sample::{BEGAN, planned, report, step};
use crate::engine::recovery::report::step_timing::{Arrival, StepResult, StepTiming, with_cleanup};
use crate::engine::recovery::report::summary::{
    ObjectiveVerdict, RecoveryObjectives, SeenHeartbeat, SwitchKind, SwitchReport, Unchecked,
    unchecked,
};
use crate::engine::state::record::Phase;

/// Everything that is worked out, in one line.
fn told(report: &SwitchReport) -> String {
    let measured = report.measured();
    let phases = measured.phases.named();
    let phases: Vec<String> = phases
        .iter()
        .filter(|(_, it)| *it > 0)
        .map(|(name, it)| format!("{name} {}", it / 1_000))
        .collect();
    let directed = measured.directed.map_or("not directed".into(), |it| {
        format!("directed {} + {}", (it.at - report.span.began) / 1_000, it.dns_bound)
    });
    let verdicts = [report.rto(), report.rpo()].map(|it| match it.verdict {
        ObjectiveVerdict::NotMeasured(why) => format!("not measured, {why}"),
        other => other.word().into(),
    });
    format!(
        "{}; {directed}; path {:?}; rto {}; rpo {}; passed {}",
        phases.join(" "),
        measured.path,
        verdicts[0],
        verdicts[1],
        report.passed()
    )
}

/// Users were directed in time; whether they are served there nobody looked.
#[test]
fn rto_is_unknown_where_nothing_checked_the_target() {
    let of = |name: &str| Address::one(name);
    let led = |target: &str| Unchecked { address: of("shop"), target: target.into() };
    let mut steps = planned();
    steps.retain(|it| it.role != StepPhase::Gate);
    let traffic = steps.iter_mut().find(|it| it.role == StepPhase::Traffic).unwrap();
    traffic.unchecked = Some("203.0.113.9".into());
    assert_eq!(unchecked(&steps), [led("203.0.113.9")]);
    traffic_undone(&mut steps);
    assert_eq!(unchecked(&steps), [], "users were not directed");
    let late = SwitchReport { unchecked: vec![led("")], ..report(planned(), 681) };
    let why = "nothing verified that users are served";
    assert_eq!(late.rto().verdict, ObjectiveVerdict::Unknown(why));
    assert!(late.passed(), "no objective is known to be missed");
    let read = decode(&encode(&late)).unwrap();
    assert_eq!((read.unchecked.clone(), read.rto()), (vec![led("")], late.rto()));
    let missed = SwitchReport { goals: RecoveryObjectives { rto: Some(60), rpo: None }, ..late };
    assert_eq!(missed.rto().verdict, ObjectiveVerdict::Missed);
}

fn traffic_undone(steps: &mut [StepTiming]) {
    for it in steps.iter_mut().filter(|it| it.role == StepPhase::Traffic) {
        it.became = StepResult::Failed;
    }
}

#[test]
fn measure_divides_a_planned_switch_into_phases() {
    let report = report(planned(), 681);
    insta::assert_snapshot!(told(&report), @"prepare 40 gate 30 traffic 3 drain 600 cleanup 8; directed 73 + 300; path [0, 3, 4]; rto met; rpo met; passed true");
}

#[test]
fn measure_counts_only_what_users_waited_for() {
    let mut steps = planned();
    steps[2].ended = Some(BEGAN + 72_000);
    steps[4].started = Some(BEGAN + 72_000);
    insta::assert_snapshot!(told(&report(steps, 681)), @"prepare 5 replication 67 traffic 1 drain 600 cleanup 8; directed 73 + 300; path [1, 2, 4]; rto met; rpo missed; passed false");
}

#[test]
fn measure_under_loss_has_no_drain_but_a_dns_bound() {
    let mut steps = planned();
    steps.truncate(5);
    steps.remove(2);
    for (at, it) in steps.iter_mut().enumerate() {
        it.id = at;
    }
    steps[3].waits = vec![2];
    steps[2].waits = vec![0];
    let report = SwitchReport { lost: vec!["linode:us-east".into()], ..report(steps, 73) };
    insta::assert_snapshot!(told(&report), @"prepare 40 gate 30 traffic 3; directed 73 + 300; path [0, 2, 3]; rto met; rpo not measured, writes of the last moments before the loss may be missing; passed true");
}

#[test]
fn rto_is_not_measured_when_the_gate_stays_closed() {
    let mut steps = planned();
    steps[3].became = StepResult::Failed;
    steps[3].ended = Some(BEGAN + 340_000);
    for it in &mut steps[4..] {
        (it.started, it.ended, it.became) = (None, None, StepResult::NotDone);
    }
    let failed = SwitchReport { phase: Phase::Switching, ..report(steps, 341) };
    insta::assert_snapshot!(told(&failed), @"prepare 41 gate 300; not directed; path [0, 3]; rto not measured, traffic was not shifted; rpo met; passed false");
    // What is not over and longer than it may take is missed already.
    let slow = SwitchReport {
        goals: RecoveryObjectives { rto: Some(341), rpo: Some(7) },
        ..failed.clone()
    };
    assert_eq!(
        (slow.rto().verdict, slow.rpo().verdict),
        (ObjectiveVerdict::NotMeasured("traffic was not shifted"), ObjectiveVerdict::Met)
    );
    let slow =
        SwitchReport { goals: RecoveryObjectives { rto: Some(340), rpo: Some(6) }, ..failed };
    let lost = SwitchReport { lost: vec!["linode:us-east".into()], ..slow.clone() };
    assert_eq!(
        (lost.rto().verdict, lost.rpo().verdict),
        (ObjectiveVerdict::Missed, ObjectiveVerdict::Missed)
    );
    // Where no fault domain is lost users are served meanwhile.
    let planned = SwitchReport { lost: Vec::new(), ..slow };
    assert_eq!(planned.rto().verdict, ObjectiveVerdict::NotMeasured("traffic was not shifted"));
}

#[test]
fn measure_of_a_resumed_switch_counts_from_its_begin() {
    let mut all = planned();
    let rest: Vec<StepTiming> = all.split_off(5);
    let rest =
        rest.into_iter().enumerate().map(|(id, it)| StepTiming { id, waits: Vec::new(), ..it });
    let report = report(rest.collect(), 681);
    let span = RunSpan { run_began: BEGAN + 100_000, ..report.span };
    let unknown = SwitchReport { span, ..report.clone() };
    insta::assert_snapshot!(told(&unknown), @"earlier 100 drain 573 cleanup 8; not directed; path [1]; rto not measured, no step of this run shifted traffic; rpo not measured, the run had no replication gate; passed true");
    let earlier = Some(ShiftRecord { at: BEGAN + 73_000, dns_bound: 300 });
    insta::assert_snapshot!(told(&SwitchReport { earlier, ..unknown }), @"earlier 100 drain 573 cleanup 8; directed 73 + 300; path [1]; rto met; rpo not measured, the run had no replication gate; passed true");
}

#[test]
fn measured_takes_the_latest_dns_bound() {
    let mut steps = planned();
    let mut other = step(7, "update", StepPhase::Traffic, 20, 30, &[1]);
    other.ttl = Some(3_600);
    steps.push(other);
    let measured = report(steps, 681).measured();
    assert_eq!(measured.directed, Some(ShiftRecord { at: BEGAN + 73_000, dns_bound: 3_557 }));
}

#[test]
fn rpo_is_the_time_of_a_written_item() {
    let mut steps = planned();
    steps[2].arrived = Some(850);
    assert_eq!(report(steps, 681).rpo().measured, Some(850));
}

/// Users moved after 73 s: what answered before may be the site that they left.
#[test]
fn take_answers_keeps_the_first_after_users_had_moved() {
    let at = |seconds: i64| BEGAN + seconds * 1_000;
    let mut it = report(planned(), 681);
    assert!(!it.take_answers(&[at(10), at(72)]));
    assert!(!encode(&it).contains("answered"), "nobody has seen it");
    assert!(it.take_answers(&[at(72), at(95), at(80)]));
    assert!(!it.take_answers(&[at(74)]), "what is told stays");
    assert_eq!((it.answered, it.answered_after()), (Some(at(80)), Some(80_000)));
    // The bound of caches judges, and not what one observer saw.
    assert_eq!(it.rto().measured, Some(373_000));
    assert_eq!(decode(&encode(&it)), Ok(it));
    let mut undone = report(planned(), 681);
    traffic_undone(&mut undone.steps);
    assert!(!undone.take_answers(&[at(600)]), "users have not moved");
}

/// Under a loss the heartbeats of watch bound what may be missing; where one is missing nothing is known.
#[test]
fn rpo_under_loss_is_bounded_by_the_group_that_is_furthest_behind() {
    let seen = |at: Option<i64>| SeenHeartbeat {
        address: Address::one("orders_eu"),
        at: at.map(|it| BEGAN + it * 1_000),
        every: 30,
    };
    let rpo = |good: i64, heartbeats: &[Option<i64>], objective: u64| {
        let mut it = report(Vec::new(), 900);
        it.lost = vec!["aws:us-east-1".into()];
        (it.span.recorded, it.span.run_began) = (BEGAN + 200_000, BEGAN + 200_000);
        it.span.began = BEGAN + good * 1_000;
        it.goals.rpo = Some(objective);
        it.heartbeats = heartbeats.iter().copied().map(seen).collect();
        assert_eq!(decode(&encode(&it)).as_ref(), Ok(&it));
        let rpo = it.rpo();
        (rpo.measured.map(|it| it / 1_000), rpo.verdict.word())
    };
    // Last seen good at 100 s: it was lost before the next heartbeat.
    assert_eq!(rpo(100, &[Some(95), Some(80)], 60), (Some(50), "met"));
    assert_eq!(rpo(100, &[Some(110)], 60), (Some(30), "met"), "it wrote after it was seen");
    assert_eq!(rpo(100, &[Some(95), Some(20)], 60), (Some(110), "unknown"), "it is a bound");
    assert_eq!(rpo(100, &[Some(95), None], 60), (None, "not measured"));
    assert_eq!(rpo(100, &[], 60), (None, "not measured"));
    // Nobody watched: until the switch at the latest.
    assert_eq!(rpo(200, &[Some(150)], 60), (Some(50), "met"));
    assert_eq!(rpo(200, &[Some(999)], 60), (Some(30), "met"), "by a clock that goes before");
    assert_eq!(rpo(195, &[Some(190)], 60), (Some(10), "met"), "both bounds hold");
}

/// A planned switch whose site dies after its gate had opened: what was written since is not known to have come.
#[test]
fn rpo_of_a_resumed_switch_counts_from_its_last_gate() {
    let mut it = report(planned(), 681);
    assert_eq!(it.rpo().verdict, ObjectiveVerdict::Met);
    it.lost = vec!["aws:us-east-1".into()];
    let shop = Address::one("shop");
    it.heartbeats = vec![SeenHeartbeat { address: shop.clone(), at: None, every: 0 }];
    assert_eq!(it.rpo().verdict, ObjectiveVerdict::NotMeasured(super::summary::NOT_ASKED));
    it.replicated = vec![(shop, BEGAN + 5_000)];
    it.declared = Some(BEGAN + 50_000);
    assert_eq!(decode(&encode(&it)).as_ref(), Ok(&it));
    assert_eq!((it.rpo().measured, it.rpo().verdict), (Some(45_000), ObjectiveVerdict::Met));
    // A heartbeat that came later bounds it closer.
    (it.heartbeats[0].at, it.heartbeats[0].every) = (Some(BEGAN + 30_000), 30);
    assert_eq!(it.rpo().measured, Some(20_000));
}

#[test]
fn with_cleanup_of_a_drill_is_told_with_its_arrivals() {
    let cleanup = vec![
        step(0, "delete", StepPhase::Work, 700, 720, &[]),
        step(1, "delete", StepPhase::Work, 720, 725, &[0]),
    ];
    let arrival = |took| Arrival { address: Address::one("items"), took };
    let mut steps = planned();
    steps.remove(2);
    for (at, it) in steps.iter_mut().enumerate() {
        it.id = at;
        it.waits = at.checked_sub(1).into_iter().collect();
    }
    let drill = SwitchReport {
        kind: SwitchKind::Drill,
        arrivals: vec![arrival(Some(900)), arrival(Some(61_000))],
        ..report(with_cleanup(steps.clone(), cleanup.clone()), 726)
    };
    insta::assert_snapshot!(told(&drill), @"prepare 40 gate 30 traffic 3 drain 600 rest 7 cleanup 46; directed 73 + 300; path [0, 1, 2, 3]; rto met; rpo missed; passed false");
    let late = SwitchReport { arrivals: vec![arrival(Some(900)), arrival(None)], ..drill };
    assert_eq!(late.rpo().verdict, ObjectiveVerdict::NotMeasured("replication was not verified"));
    steps[2].became = StepResult::Failed;
    for it in &mut steps[3..] {
        (it.started, it.ended, it.became) = (None, None, StepResult::NotDone);
    }
    let failed =
        SwitchReport { phase: Phase::Switching, ..report(with_cleanup(steps, cleanup), 726) };
    insta::assert_snapshot!(told(&failed), @"prepare 670 gate 30 cleanup 26; not directed; path [0, 1, 2]; rto not measured, traffic was not shifted; rpo not measured, the run had no replication gate; passed false");
}

#[test]
fn encode_keeps_the_format_of_reports() {
    let mut report = report(planned(), 681);
    report.steps.truncate(5);
    report.steps[4].ended = Some(BEGAN + 73_149);
    report.steps[2].arrived = Some(850);
    insta::assert_snapshot!(encode(&report));
}

#[test]
fn decode_reads_the_words_of_version_1() {
    let mut report = report(planned(), 681);
    report.instance = Some("drill".into());
    report.steps[0].became = StepResult::InDoubt;
    report.earlier = Some(ShiftRecord { at: BEGAN, dns_bound: 30 });
    let renamed = [
        ("\"version\": 2", "\"version\": 1"),
        ("\"workspace\":", "\"instance\":"),
        ("\"shifted\":", "\"directed\":"),
        ("\"shifted_at\":", "\"directed_at\":"),
        ("\"outcome\": \"indeterminate\"", "\"outcome\": \"in doubt\""),
    ];
    let mut text = encode(&report);
    for (today, before) in renamed {
        assert!(text.contains(today), "{today}");
        text = text.replace(today, before);
    }
    assert_eq!(decode(&text), Ok(report));
}

#[test]
fn decode_refuses_texts_that_are_no_reports() {
    let text = encode(&report(planned(), 681));
    let newer = text.replacen("\"version\": 2", "\"version\": 3", 1);
    assert_eq!(decode(&newer), Err(NotAReport::Newer(3)));
    let wrong = |from: &str, to: &str| {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from}");
        decode(&edited).unwrap_err().to_string()
    };
    assert_eq!(wrong("failover", "failure"), "it is not a report: it does not know `failure`");
    assert_eq!(
        wrong("\"id\": 3", "\"id\": 4"),
        "it is not a report: step 4 is not in its place, or waits for none"
    );
    assert_eq!(
        wrong("\"run_began_at\": 1", "\"run_began_at\": 2"),
        "it is not a report: its end is before its beginning"
    );
    assert!(decode("{}").is_err() && decode("").is_err() && decode(&text[..400]).is_err());
}

fn any_timed() -> impl Strategy<Value = StepTiming> {
    let times = (option::of(-50_000..90_000_i64), option::of(0..60_000_i64));
    let what = (select(&StepPhase::ALL[..]), select(&StepResult::ALL[..]));
    let more = (option::of(0..90_000_u64), option::of(any::<u64>()), vec(any::<usize>(), 0..3));
    (times, what, more).prop_map(|((started, length), (role, became), (ttl, arrived, waits))| {
        StepTiming {
            role,
            became,
            ttl,
            arrived,
            waits,
            started: started.map(|it| BEGAN + it),
            ended: started.zip(length).map(|(it, length)| BEGAN + it + length),
            ..step(0, "create", role, 0, 0, &[])
        }
    })
}

fn any_report() -> impl Strategy<Value = SwitchReport> {
    let span =
        (0..5_i64, 0..9_000_i64, 0..90_000_i64).prop_map(|(unseen, earlier, length)| RunSpan {
            began: BEGAN - unseen,
            recorded: BEGAN,
            run_began: BEGAN + earlier,
            ended: BEGAN + earlier + length,
        });
    let goals = (option::of(0..900_u64), option::of(0..900_u64));
    let directed = (-9_000..90_000_i64, 0..90_000_u64);
    let earlier =
        option::of(directed.prop_map(|(at, dns_bound)| ShiftRecord { at: BEGAN + at, dns_bound }));
    let steps = vec(any_timed(), 0..9);
    let idle = (-9_000..90_000_i64, 0..90_000_i64)
        .prop_map(|(at, length)| Gap { from: BEGAN + at, to: BEGAN + at + length });
    let phase = select(vec![Phase::Settled, Phase::Degraded, Phase::Switching]);
    (span, goals, (earlier, option::of(idle)), steps, phase).prop_map(
        |(span, (rto, rpo), (earlier, idle), mut steps, phase)| {
            let count = steps.len();
            for (at, it) in steps.iter_mut().enumerate() {
                it.id = at;
                it.waits.iter_mut().for_each(|it| *it %= count);
            }
            SwitchReport {
                span,
                goals: RecoveryObjectives { rto, rpo },
                earlier,
                idle,
                phase,
                ..report(steps, 0)
            }
        },
    )
}

proptest! {
    #[test]
    fn measure_gives_phases_that_add_up_to_the_whole(report in any_report()) {
        let measured = measure(report.span, &report.steps, report.earlier, report.idle);
        let sum: u64 = measured.phases.named().iter().map(|(_, it)| it).sum();
        prop_assert_eq!(i64::try_from(sum).unwrap(), report.span.ended - report.span.began);
    }

    #[test]
    fn decode_reads_back_what_encode_wrote(report in any_report()) {
        prop_assert_eq!(decode(&encode(&report)).unwrap(), report);
    }

    #[test]
    fn measured_path_ends_at_the_traffic_shift_without_repetition(report in any_report()) {
        let measured = report.measured();
        let mut seen = measured.path.clone();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), measured.path.len());
        for pair in measured.path.windows(2) {
            prop_assert!(report.steps[pair[1]].waits.contains(&pair[0]));
        }
        if let (Some(directed), None, Some(last)) = (measured.directed, report.earlier, measured.path.last()) {
            prop_assert_eq!(report.steps[*last].ended, Some(directed.at));
        }
    }

    #[test]
    fn with_cleanup_keeps_waits_and_leaves_the_switch_unchanged(
        one in any_report(),
        two in any_report(),
    ) {
        let first = one.steps.len();
        let all = with_cleanup(one.steps.clone(), two.steps.clone());
        for (at, it) in all.iter().enumerate() {
            prop_assert_eq!(it.id, at);
            if at >= first {
                let waits: Vec<usize> = it.waits.iter().map(|it| it - first).collect();
                prop_assert_eq!(&waits, &two.steps[at - first].waits);
            }
        }
        let without = measure(one.span, &one.steps, one.earlier, one.idle);
        let with = measure(one.span, &all, one.earlier, one.idle);
        prop_assert_eq!(with.directed, without.directed);
        prop_assert_eq!(with.path, without.path);
    }
}
