//! The report of a drill whose process ended before its end: what the journal knows of it, and the cleanup by another one.

use crate::engine::recovery::report::journaled::{JournaledSwitch, runs};
use crate::engine::recovery::report::phases::{Gap, RunSpan};
use crate::engine::recovery::report::step_timing::{of_home, with_cleanup};
use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchReport, unchecked};
use crate::ops::apply::finish::RunResult;
use crate::ops::drill::spec::DrillSpec;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::recovery_reports;

/// How many journals may belong to one drill: home, the switch, and up to three rounds of cleanup, with one to spare.
const JOURNALS_MAX: usize = 6;

/// A drill that nobody has reported.
pub struct CutOff {
    /// The switch, or what made home where it did not get so far.
    main: JournaledSwitch,
    /// When the last thing of it was written.
    last: i64,
}

/// Looks for it before its instance is cleaned up. `None`: nothing is left of any, or it was reported.
pub fn cut_off(session: &Session, script: &DrillSpec) -> Result<Option<CutOff>, OpsError> {
    let store = session.store(&script.ask.place);
    let Some(state) = store.load()? else { return Ok(None) };
    let mut runs = runs(&store.entries(JOURNALS_MAX)?);
    let is_over = runs.last().is_none_or(|it| it.is_ended);
    if is_over && state.records.is_empty() && state.pending.is_empty() {
        return Ok(None);
    }
    let Some(last) = runs.iter().map(|it| it.last).max() else { return Ok(None) };
    while runs.last().is_some_and(JournaledSwitch::is_cleanup) {
        runs.pop();
    }
    let Some(mut main) = runs.pop() else { return Ok(None) };
    // Without them it may be told twice, and is cleaned up all the same.
    let (kept, _) =
        recovery_reports::reports(session, &script.ask.place).list().unwrap_or_default();
    if kept.iter().any(|it| it.report.span.began == main.began) {
        return Ok(None);
    }
    // A gate is journalled without the kind of what it is for.
    for step in main.steps.iter_mut().filter(|it| it.kind.is_empty()) {
        let record = state.records.get(&step.address);
        step.kind = record.map(|it| it.kind.clone()).unwrap_or_default();
    }
    Ok(Some(CutOff { main, last }))
}

impl CutOff {
    /// With the cleanup that another process made.
    pub fn report(
        self,
        session: &Session,
        script: &DrillSpec,
        goals: RecoveryObjectives,
        cleanup: &RunResult,
    ) -> SwitchReport {
        let Self { main, last } = self;
        let ended = cleanup.ended.max(last);
        let is_switched = main.switched.is_some();
        let steps = if is_switched { main.steps } else { of_home(main.steps) };
        let began = main.began;
        let span = RunSpan { began, recorded: began, run_began: began, ended };
        SwitchReport {
            lost: main.switched.map(|(_, lost)| lost).unwrap_or_default(),
            who: main.who,
            command: main.command,
            idle: Some(Gap { from: last, to: cleanup.began.max(last) }),
            unchecked: unchecked(&steps),
            steps: with_cleanup(steps, cleanup.steps.clone()),
            ..script.report(session, goals, span)
        }
    }
}
