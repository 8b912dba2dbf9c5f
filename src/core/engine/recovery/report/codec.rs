//! The JSON of a report, as it is kept under `state/<stack>[@workspace]/reports/` and printed by `reports --format json`.
//!
//! `version` is 2; additions do not change it. Version 1 had `instance` for `workspace`, `directed` and `directed_at` for `shifted` and
//! `shifted_at`, and the outcome `in doubt` for `indeterminate`: it is still read. Times that end with `_at` are milliseconds since the Unix epoch on the clock of the
//! world that was acted on, `began` and `ended` are the same for people; all other times are seconds, with one decimal.
//!
//! - `kind`: `failover`, `failback`, `drill`, or `switch` for other overlays that direct nobody anew; `planned`: nothing was lost; `from` and `to` are lists of overlays, empty for the base.
//! - `began_at`: the site was last seen good, where somebody watched it, else `recorded_at`: the switch was recorded (absent where
//!   these are the same). `run_began_at`: this run began, later where it went on with a switch that stood still.
//! - `phases.rest` is, of a drill, the rest of its switch after users had moved, and `phases.cleanup` what deleted it again; of a real
//!   switch all of the rest is `phases.cleanup`.
//! - `phases` add up to `ended_at - began_at`. `dns_bound` is no phase, since nobody waits for it: it is how long after `shifted`
//!   resolvers may still answer the old value. `recovery` = `shifted` + `dns_bound`, counted from `began_at`, or null.
//! - `objectives.rto` and `.rpo`: `objective` and `measured` in seconds or null, `verdict`: `met`, `missed`, or, with a `why`, `not
//!   measured` or `unknown` (users were directed in time, and nothing checked whether they were served); null where the stack says no
//!   objective.
//! - `passed`: complete, and no objective is missed.
//! - `answered_at`: the first good answer that was seen from outside after users had moved, by `watch` or `failover --url`; `answered`
//!   is the same in seconds after `began_at`. Both are absent where nobody has seen one. The verdict of `objectives.rto` does not
//!   depend on it.
//! - `idle`: a process ended before its end; `from_at`: the last thing that it has written, `to_at`: another went on. The phase of
//!   that name is how long that was.
//! - `arrivals`: what a rehearsal measured beside its steps: how long a written item took to another member of its group.
//! - `heartbeats`: of each group with a replication gate that lost a member, the newest heartbeat of `watch` that had come to another:
//!   `written_at` (null: none was found) and after how many seconds the next one was to come, `every`. Then `objectives.rpo.measured` is
//!   a bound: data of the last so many seconds before the loss may be missing at most. `declared_at`: the loss was declared in the
//!   middle of the switch; `replicated`: what an earlier replication gate of it had written, which is a bound as well.
//! - `answering`: fault domains that were declared lost though they answered a moment before.
//! - `unchecked`: each name that users were directed by without a look at whether they are served, and the `target` that it leads to.
//! - `open`: what keeps it from being over though each of its steps was done.
//! - `steps`: every step of the plan; `waits` and `critical_path` name their ids.
//!
//! What can be worked out from the steps is written for others and worked out anew when a report is read.

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::plan::model::change::SkippedGate;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::phases::{Gap, RunSpan, ShiftRecord};
use crate::engine::recovery::report::step_timing::{Arrival, StepResult, StepTiming};
use crate::engine::recovery::report::summary::{
    ObjectiveResult, ObjectiveVerdict, RecoveryObjectives, SeenHeartbeat, SwitchKind, SwitchReport,
    Unchecked,
};
use crate::engine::state::record::Phase;

/// What this program writes, and the newest that it reads.
pub const VERSION: u32 = 2;

/// The outcome of a step that could not be found out, in version 1.
const IN_DOUBT: &str = "in doubt";

/// Why a text is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAReport {
    #[error("its format is version {0}, but this version of lifeboat reads up to {VERSION}")]
    Newer(u32),
    #[error("it is not a report: {0}")]
    Damaged(String),
}

#[derive(Deserialize)]
struct ReportVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct ReportJson {
    version: u32,
    kind: String,
    stack: String,
    #[serde(rename = "workspace", alias = "instance")]
    instance: Option<String>,
    target: String,
    #[serde(default)]
    planned: bool,
    from: Vec<String>,
    to: Vec<String>,
    lost: Vec<String>,
    who: String,
    command: String,
    #[serde(default)]
    began: String,
    #[serde(default)]
    ended: String,
    began_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded_at: Option<i64>,
    run_began_at: i64,
    ended_at: i64,
    complete: bool,
    /// Older reports say `complete` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    #[serde(default)]
    passed: bool,
    #[serde(rename = "shifted", alias = "directed", default)]
    directed: Option<f64>,
    #[serde(default)]
    dns_bound: Option<f64>,
    #[serde(default)]
    recovery: Option<f64>,
    #[serde(default)]
    phases: serde_json::Map<String, serde_json::Value>,
    objectives: ObjectivesJson,
    earlier: Option<DirectedJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle: Option<IdleJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arrivals: Vec<ArrivalJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heartbeats: Vec<HeartbeatJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declared_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replicated: Vec<ReplicatedJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answering: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unchecked: Vec<UncheckedJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped_gates: Vec<SkippedGate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<String>,
    #[serde(default)]
    critical_path: Vec<usize>,
    steps: Vec<TimedJson>,
}

#[derive(Serialize, Deserialize)]
struct ObjectivesJson {
    rto: ComparedJson,
    rpo: ComparedJson,
}

#[derive(Serialize, Deserialize)]
struct ComparedJson {
    objective: Option<u64>,
    #[serde(default)]
    measured: Option<f64>,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What an earlier run of the same switch did.
#[derive(Serialize, Deserialize)]
struct DirectedJson {
    #[serde(rename = "shifted_at", alias = "directed_at")]
    directed_at: i64,
    dns_bound: u64,
}

/// Nobody was at it.
#[derive(Serialize, Deserialize)]
struct IdleJson {
    from_at: i64,
    to_at: i64,
}

/// `took_ms` is null where the item did not arrive.
#[derive(Serialize, Deserialize)]
struct ArrivalJson {
    address: String,
    took_ms: Option<u64>,
}

/// `written_at` is null where there is none.
#[derive(Serialize, Deserialize)]
struct HeartbeatJson {
    address: String,
    written_at: Option<i64>,
    every: u64,
}

/// What a replication gate wrote, and saw arrive.
#[derive(Serialize, Deserialize)]
struct ReplicatedJson {
    address: String,
    written_at: i64,
}

/// `target` is null where it is not known.
#[derive(Serialize, Deserialize)]
struct UncheckedJson {
    address: String,
    target: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct TimedJson {
    id: usize,
    address: String,
    kind: String,
    call: String,
    role: String,
    outcome: String,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arrived_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    output: String,
    waits: Vec<usize>,
}

/// Pretty JSON in a stable order.
pub fn encode(report: &SwitchReport) -> String {
    let json = ReportJson::from(report);
    serde_json::to_string_pretty(&json).expect("plain data serialises") + "\n"
}

/// The same as a value, for lists of reports.
pub fn value(report: &SwitchReport) -> serde_json::Value {
    serde_json::to_value(ReportJson::from(report)).expect("plain data serialises")
}

pub fn decode(text: &str) -> Result<SwitchReport, NotAReport> {
    let damaged = |why: serde_json::Error| NotAReport::Damaged(why.to_string());
    let version: ReportVersion = serde_json::from_str(text).map_err(damaged)?;
    if version.version > VERSION {
        return Err(NotAReport::Newer(version.version));
    }
    let json: ReportJson = serde_json::from_str(text).map_err(damaged)?;
    json.into_report()
}

/// Seconds with one decimal.
pub fn seconds(milliseconds: u64) -> f64 {
    let tenths = milliseconds.saturating_add(50) / 100;
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |it| it.to_string())
}

impl From<&SwitchReport> for ReportJson {
    fn from(it: &SwitchReport) -> Self {
        let measured = it.measured();
        let since = |at: i64| u64::try_from(at.saturating_sub(it.span.began)).unwrap_or(0);
        let phases = measured.phases.named();
        Self {
            version: VERSION,
            kind: it.kind.word().into(),
            stack: it.stack.clone(),
            instance: it.instance.clone(),
            target: it.target.clone(),
            planned: it.lost.is_empty(),
            from: it.from.clone(),
            to: it.to.clone(),
            lost: it.lost.clone(),
            who: it.who.clone(),
            command: it.command.clone(),
            began: moment(it.span.began),
            ended: moment(it.span.ended),
            began_at: it.span.began,
            recorded_at: Some(it.span.recorded).filter(|at| *at != it.span.began),
            run_began_at: it.span.run_began,
            ended_at: it.span.ended,
            complete: it.phase.is_settled(),
            phase: Some(it.phase),
            passed: it.passed(),
            directed: measured.directed.map(|it| seconds(since(it.at))),
            dns_bound: measured.directed.map(|it| seconds(it.dns_bound.saturating_mul(1_000))),
            recovery: it.recovery().map(seconds),
            phases: phases.iter().map(|(name, it)| ((*name).into(), seconds(*it).into())).collect(),
            objectives: ObjectivesJson { rto: (&it.rto()).into(), rpo: (&it.rpo()).into() },
            earlier: it
                .earlier
                .map(|it| DirectedJson { directed_at: it.at, dns_bound: it.dns_bound }),
            answered_at: it.answered,
            answered: it.answered_after().map(seconds),
            idle: it.idle.map(|it| IdleJson { from_at: it.from, to_at: it.to }),
            arrivals: it.arrivals.iter().map(Into::into).collect(),
            heartbeats: it.heartbeats.iter().map(Into::into).collect(),
            declared_at: it.declared,
            replicated: it.replicated.iter().map(Into::into).collect(),
            answering: it.answering.clone(),
            unchecked: it.unchecked.iter().map(Into::into).collect(),
            skipped_gates: it.skipped_gates.clone(),
            open: it.open.clone(),
            critical_path: measured.path,
            steps: it.steps.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ObjectiveResult> for ComparedJson {
    fn from(it: &ObjectiveResult) -> Self {
        let why = match &it.verdict {
            ObjectiveVerdict::NotMeasured(why) | ObjectiveVerdict::Unknown(why) => {
                Some((*why).to_owned())
            }
            _ => None,
        };
        Self {
            objective: it.objective,
            measured: it.measured.map(seconds),
            verdict: it.objective.map(|_| it.verdict.word().to_owned()),
            why,
        }
    }
}

impl From<&Arrival> for ArrivalJson {
    fn from(it: &Arrival) -> Self {
        Self { address: it.address.to_string(), took_ms: it.took }
    }
}

impl From<&SeenHeartbeat> for HeartbeatJson {
    fn from(it: &SeenHeartbeat) -> Self {
        Self { address: it.address.to_string(), written_at: it.at, every: it.every }
    }
}

impl From<&(Address, i64)> for ReplicatedJson {
    fn from((address, at): &(Address, i64)) -> Self {
        Self { address: address.to_string(), written_at: *at }
    }
}

impl From<&Unchecked> for UncheckedJson {
    fn from(it: &Unchecked) -> Self {
        let target = Some(it.target.clone()).filter(|it| !it.is_empty());
        Self { address: it.address.to_string(), target }
    }
}

impl From<&StepTiming> for TimedJson {
    fn from(it: &StepTiming) -> Self {
        Self {
            id: it.id,
            address: it.address.to_string(),
            kind: it.kind.clone(),
            call: it.call.clone(),
            role: it.role.word().into(),
            outcome: it.became.word().into(),
            started_at: it.started,
            ended_at: it.ended,
            ttl: it.ttl,
            arrived_ms: it.arrived,
            output: it.output.clone(),
            waits: it.waits.clone(),
        }
    }
}

fn address(text: &str) -> Result<Address, NotAReport> {
    text.parse().map_err(|_| NotAReport::Damaged(format!("`{text}` is not an address")))
}

/// The one of a few words that was written.
fn one_of<T: Copy>(
    all: &[T],
    word: impl Fn(T) -> &'static str,
    written: &str,
) -> Result<T, NotAReport> {
    let found = all.iter().copied().find(|it| word(*it) == written);
    found.ok_or_else(|| NotAReport::Damaged(format!("it does not know `{written}`")))
}

impl ReportJson {
    fn into_report(self) -> Result<SwitchReport, NotAReport> {
        let (began, recorded) = (self.began_at, self.recorded_at.unwrap_or(self.began_at));
        let span = RunSpan { began, recorded, run_began: self.run_began_at, ended: self.ended_at };
        if began > recorded || recorded > span.run_began || span.run_began > span.ended {
            return Err(NotAReport::Damaged("its end is before its beginning".into()));
        }
        let count = self.steps.len();
        let arrivals = self.arrivals.into_iter();
        let arrival =
            |it: ArrivalJson| Ok(Arrival { address: address(&it.address)?, took: it.took_ms });
        let heartbeats = self.heartbeats.into_iter();
        let heartbeat = |it: HeartbeatJson| {
            let (at, every) = (it.written_at, it.every);
            Ok(SeenHeartbeat { address: address(&it.address)?, at, every })
        };
        let replicated = self.replicated.into_iter();
        let replicated = replicated.map(|it| Ok((address(&it.address)?, it.written_at)));
        let unchecked = self.unchecked.into_iter();
        let led = |it: UncheckedJson| {
            let target = it.target.unwrap_or_default();
            Ok(Unchecked { address: address(&it.address)?, target })
        };
        let steps = self.steps.into_iter().enumerate();
        Ok(SwitchReport {
            kind: one_of(&SwitchKind::ALL, SwitchKind::word, &self.kind)?,
            stack: self.stack,
            instance: self.instance,
            target: self.target,
            from: self.from,
            to: self.to,
            lost: self.lost,
            who: self.who,
            command: self.command,
            span,
            phase: self.phase.unwrap_or(if self.complete {
                Phase::Settled
            } else {
                Phase::Switching
            }),
            goals: RecoveryObjectives {
                rto: self.objectives.rto.objective,
                rpo: self.objectives.rpo.objective,
            },
            earlier: self
                .earlier
                .map(|it| ShiftRecord { at: it.directed_at, dns_bound: it.dns_bound }),
            answered: self.answered_at,
            idle: self.idle.map(|it| Gap { from: it.from_at, to: it.to_at }),
            arrivals: arrivals.map(arrival).collect::<Result<_, _>>()?,
            heartbeats: heartbeats.map(heartbeat).collect::<Result<_, _>>()?,
            declared: self.declared_at,
            replicated: replicated.collect::<Result<_, _>>()?,
            answering: self.answering,
            unchecked: unchecked.map(led).collect::<Result<_, _>>()?,
            skipped_gates: self.skipped_gates,
            open: self.open,
            steps: steps.map(|(at, it)| it.into_timed(at, count)).collect::<Result<_, _>>()?,
        })
    }
}

impl TimedJson {
    /// Steps are found by their ids, so these are checked here.
    fn into_timed(self, at: usize, count: usize) -> Result<StepTiming, NotAReport> {
        if self.id != at || self.waits.iter().any(|it| *it >= count) {
            let why = format!("step {} is not in its place, or waits for none", self.id);
            return Err(NotAReport::Damaged(why));
        }
        Ok(StepTiming {
            id: self.id,
            address: address(&self.address)?,
            kind: self.kind,
            call: self.call,
            role: one_of(&StepPhase::ALL, StepPhase::word, &self.role)?,
            waits: self.waits,
            started: self.started_at,
            ended: self.ended_at,
            became: one_of(
                &StepResult::ALL,
                StepResult::word,
                match &*self.outcome {
                    IN_DOUBT => StepResult::InDoubt.word(),
                    word => word,
                },
            )?,
            ttl: self.ttl,
            arrived: self.arrived_ms,
            unchecked: None,
            output: self.output,
        })
    }
}
