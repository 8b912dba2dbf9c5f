//! A switch for tests: its steps with their times, and its report.

use crate::engine::address::Address;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::phases::RunSpan;
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchKind, SwitchReport};
use crate::engine::state::record::Phase;

/// `2026-11-24T12:00:00Z`
pub const BEGAN: i64 = 1_795_521_600_000;

/// A step that was done, with its times in seconds after the begin.
pub fn step(
    id: usize,
    call: &str,
    role: StepPhase,
    from: i64,
    to: i64,
    waits: &[usize],
) -> StepTiming {
    StepTiming {
        id,
        address: Address::one("shop"),
        kind: "some.kind".into(),
        call: call.into(),
        role,
        waits: waits.to_vec(),
        started: Some(BEGAN + from * 1_000),
        ended: Some(BEGAN + to * 1_000),
        became: StepResult::Done,
        ttl: (role == StepPhase::Traffic).then_some(300),
        arrived: None,
        unchecked: None,
        output: String::new(),
    }
}

/// Prepare, replicate, open, direct, drain, delete.
pub fn planned() -> Vec<StepTiming> {
    vec![
        step(0, "create", StepPhase::Work, 0, 40, &[]),
        step(1, "update", StepPhase::Work, 0, 5, &[]),
        step(2, "replication gate", StepPhase::Replication, 5, 12, &[1]),
        step(3, "serving gate", StepPhase::Gate, 40, 70, &[0]),
        step(4, "update", StepPhase::Traffic, 71, 73, &[2, 3]),
        step(5, "drain gate", StepPhase::Drain, 73, 673, &[4]),
        step(6, "delete", StepPhase::Work, 673, 680, &[5]),
    ]
}

pub fn report(steps: Vec<StepTiming>, ended: i64) -> SwitchReport {
    SwitchReport {
        kind: SwitchKind::Failover,
        stack: "shop".into(),
        instance: None,
        target: "sandbox".into(),
        from: Vec::new(),
        to: vec!["eu".into()],
        lost: Vec::new(),
        who: "ann@laptop".into(),
        command: "failover shop --to eu --planned".into(),
        span: RunSpan {
            began: BEGAN,
            recorded: BEGAN,
            run_began: BEGAN,
            ended: BEGAN + ended * 1_000,
        },
        phase: Phase::Settled,
        goals: RecoveryObjectives { rto: Some(900), rpo: Some(60) },
        earlier: None,
        answered: None,
        idle: None,
        arrivals: Vec::new(),
        heartbeats: Vec::new(),
        declared: None,
        replicated: Vec::new(),
        answering: Vec::new(),
        unchecked: Vec::new(),
        skipped_gates: Vec::new(),
        open: Vec::new(),
        steps,
    }
}
