//! Events of a run: one JSON object per line in a file, for whoever watches a switch from another program, and to webhooks.
//!
//! Every line has `time` (of the world's clock, RFC 3339), `event` and `stack`; a drill adds `part` (`apply`, `switch`, `cleanup`).
//!
//! | event | fields |
//! |---|---|
//! | `run-began` | `command`, `steps`, `switch` (`from`, `to`; null: none), `lost`, `objective`, `estimate` (`shift`, `whole`; null: unknown) |
//! | `step-started` | `step`, `address`, `call`, `ended`, `of` |
//! | `step-waiting` | `step`, `address`, `call`, `why`; again whenever the reason changes |
//! | `step-ended` | `step`, `address`, `call`, `outcome` (`done`, `failed`, `indeterminate`, `withdrawn`), `why`, `ended`, `of` |
//! | `gate-open` | `step`, `address`, `call`, `serving` (backends that serve), `backends` (all that are there or to come) |
//! | `phase` | `phase` (`degraded`: users are where the switch wants them; `switching`: they turned out to be elsewhere again), `users` (`moved`, `stayed`: there was no traffic to shift, `away`), `detail` (a sentence) |
//! | `answered` | none; the URL of `failover --url` answered well after users had moved; it may come after `run-ended` |
//! | `run-ended` | `phase`, `complete`, `done`, `failed`, `remaining`, `stopped` |
//!
//! Of a switch each line has `used` as well: seconds since the site was last seen good, or since the switch began. Durations are
//! in seconds. A later version adds events and fields, and changes none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json, json};

use crate::cli::out;
use crate::engine::lang::model::NotifyTopic;
use crate::engine::plan::model::change::{Plan, Step};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::journal::StepOutcome;
use crate::engine::text::plain::json as escaped;
use crate::engine::text::redact::redactor;
use crate::ops::apply::finish::RunResult;
use crate::ops::apply::step_inputs::Progress;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::notify::Notifier;
use crate::ops::recovery_reports::Switching;
use crate::render::watch::time;

/// The file that events are appended to. What cannot be written is said once, and never holds a run up.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl EventLog {
    /// Appends to a regular file, which is made where it is missing. A pipe that nobody reads would hold the run up.
    pub fn open(path: &Path) -> Result<Self, OpsError> {
        let wrong = |why: String| {
            let help = "name a file that does not exist yet, or one with events of earlier runs; nothing was changed";
            OpsError::usage(format!("--events {}: {why}", path.display()), help)
        };
        match std::fs::symlink_metadata(path) {
            Ok(it) if !it.is_file() => return Err(wrong("it is not a regular file".into())),
            Ok(it) if it.len() > 0 && !holds_events(path) => {
                return Err(wrong("it already exists and does not hold events".into()));
            }
            _ => {}
        }
        let file = File::options().append(true).create(true).open(path);
        let file = file.map_err(|why| wrong(format!("it cannot be written: {why}")))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(Some(file)) })
    }

    fn write(&self, line: &Json) {
        let text = escaped(&redactor().redact(&line.to_string())) + "\n";
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(why)) = file.as_mut().map(|it| it.write_all(text.as_bytes())) {
            *file = None;
            drop(file);
            let path = self.path.display();
            out::talk(&format!(
                "events can no longer be written to {path}: {why}; the run goes on"
            ));
        }
    }
}

/// The longest first line that is read to see whether a file holds events: the longest event is far shorter.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Whether the first line of a file is an event.
fn holds_events(path: &Path) -> bool {
    let mut line = String::new();
    let read = File::open(path)
        .and_then(|it| BufReader::new(it.take(LINE_BYTES_MAX)).read_line(&mut line));
    let event = read.ok().and_then(|_| serde_json::from_str::<Json>(&line).ok());
    event.is_some_and(|it| it["event"].is_string() && it["stack"].is_string())
}

/// How the names of events of single steps begin.
const STEP: &str = "step-";

/// The events of one run; without a log and webhooks they go nowhere.
#[derive(Clone)]
pub struct RunEvents {
    log: Option<Arc<EventLog>>,
    /// Webhooks, and what the events of this run are about.
    hooks: Option<(Arc<Notifier>, NotifyTopic)>,
    session: Arc<Session>,
    /// What every line has.
    head: Map<String, Json>,
    /// In milliseconds since the Unix epoch.
    counted_from: Option<i64>,
}

impl RunEvents {
    /// `part`: of a drill. Of anything else webhooks are told only where it is a switch.
    pub fn new(
        log: Option<&Arc<EventLog>>,
        hooks: Option<&Arc<Notifier>>,
        session: &Arc<Session>,
        stack: &str,
        part: Option<&'static str>,
    ) -> Self {
        let mut head = Map::new();
        head.insert("stack".into(), stack.into());
        head.extend(part.map(|it| ("part".to_owned(), it.into())));
        let topic = if part.is_some() { NotifyTopic::Drill } else { NotifyTopic::Switch };
        let hooks = hooks.map(|it| (Arc::clone(it), topic));
        let (log, session) = (log.cloned(), Arc::clone(session));
        Self { log, hooks, session, head, counted_from: None }
    }

    /// Whether anybody listens.
    fn is_heard(&self) -> bool {
        self.log.is_some() || self.hooks.is_some()
    }

    fn say(&self, event: &str, fields: Json) {
        if !self.is_heard() {
            return;
        }
        let now = self.session.clock.now();
        let mut line = Map::new();
        line.insert("time".into(), time(now).into());
        line.insert("event".into(), event.into());
        line.extend(self.head.clone());
        let used = self.counted_from.map(|it| now.saturating_sub(it).max(0) / 1_000);
        line.extend(used.map(|it| ("used".to_owned(), it.into())));
        if let Json::Object(fields) = fields {
            line.extend(fields);
        }
        if let Some((hooks, topic)) = &self.hooks {
            let topic = if event.starts_with(STEP) { NotifyTopic::Steps } else { *topic };
            hooks.post(topic, &line);
        }
        if let Some(log) = &self.log {
            log.write(&Json::Object(line));
        }
    }

    pub fn began(
        &mut self,
        command: &str,
        plan: &Plan,
        switching: Option<&Switching>,
        forecast: Option<&Forecast>,
    ) {
        let now = self.session.clock.now();
        self.counted_from = switching.map(|it| it.last_good.or(it.began).unwrap_or(now).min(now));
        let lost: Vec<&str> = plan.lost.iter().map(|it| it.fault_domain.as_str()).collect();
        self.say(
            "run-began",
            json!({
                "command": command,
                "steps": plan.steps.len(),
                "switch": switching.map(|it| json!({ "from": it.from, "to": it.to })),
                "lost": lost,
                "objective": switching.and_then(|it| it.goals.rto),
                "estimate": forecast.map(|it| json!({
                    "shift": it.directed.map(|it| it.usual),
                    "whole": it.whole,
                })),
            }),
        );
    }

    pub fn ended(&self, report: &RunResult) {
        let failed = report.failed.len() + report.in_doubt.len();
        self.say(
            "run-ended",
            json!({
                "phase": report.phase.word(),
                "complete": report.is_over(),
                "done": report.done.len(),
                "failed": failed,
                "remaining": report.not_done.len(),
                "stopped": report.stopped,
            }),
        );
    }

    /// The first good answer was seen from outside after users had moved.
    pub fn answered(&self) {
        self.say("answered", json!({}));
    }

    /// Tells each progress of this plan, and passes it on.
    pub fn listener(
        &self,
        plan: &Plan,
        next: Arc<dyn Fn(Progress) + Send + Sync>,
    ) -> Arc<dyn Fn(Progress) + Send + Sync> {
        if !self.is_heard() {
            return next;
        }
        let told = ToldSteps { steps: plan.steps.clone(), ended: 0, reasons: BTreeMap::new() };
        let (told, events) = (Mutex::new(told), self.clone());
        Arc::new(move |progress| {
            told.lock().unwrap_or_else(PoisonError::into_inner).take(&events, &progress);
            next(progress);
        })
    }
}

/// What happened to users where a switch comes into a phase: the word for the phase alone reads like an alarm.
fn happened(users: UsersAre) -> (&'static str, &'static str) {
    match users {
        UsersAre::Moved => (
            "moved",
            "users have moved: they are sent where the switch wants them; its other steps go on",
        ),
        UsersAre::Stayed => (
            "stayed",
            "no traffic was to be shifted: users are sent where they were; the other steps go on",
        ),
        UsersAre::NotMoved | UsersAre::PartlyMoved | UsersAre::Unconfirmed => {
            ("away", "users are no longer sent where the switch wants them")
        }
    }
}

/// What was told of the steps of a plan.
struct ToldSteps {
    steps: Vec<Step>,
    ended: usize,
    /// Why each waits, as told last.
    reasons: BTreeMap<usize, String>,
}

impl ToldSteps {
    fn take(&mut self, events: &RunEvents, progress: &Progress) {
        match progress {
            Progress::Started { step } => {
                events.say("step-started", self.step(*step, self.count()));
            }
            Progress::Waiting { step, why } | Progress::Asking { step, what: why } => {
                if self.reasons.insert(*step, why.clone()).as_ref() != Some(why) {
                    events.say("step-waiting", self.step(*step, json!({ "why": why })));
                }
            }
            Progress::Ended { step, outcome } => {
                self.ended += usize::from(*outcome != StepOutcome::Withdrawn);
                let (outcome, why) = match outcome {
                    StepOutcome::Withdrawn => ("withdrawn", None),
                    StepOutcome::Failed(it) => ("failed", Some(&it.why)),
                    StepOutcome::InDoubt(it) => ("indeterminate", Some(&it.why)),
                    _ => ("done", None),
                };
                let mut fields = self.count();
                fields["outcome"] = outcome.into();
                fields["why"] = json!(why);
                events.say("step-ended", self.step(*step, fields));
            }
            Progress::Serving { step, backends } => {
                let fields = json!({ "serving": backends.serving, "backends": backends.of });
                events.say("gate-open", self.step(*step, fields));
            }
            Progress::Phase { phase, users } => {
                let (users, detail) = happened(*users);
                let fields = json!({ "phase": phase.word(), "users": users, "detail": detail });
                events.say("phase", fields);
            }
        }
    }

    fn count(&self) -> Json {
        json!({ "ended": self.ended, "of": self.steps.len() })
    }

    fn step(&self, id: usize, mut fields: Json) -> Json {
        if let Some(step) = self.steps.get(id) {
            fields["step"] = id.into();
            fields["address"] = step.address.to_string().into();
            fields["call"] = step.call.word().into();
        }
        fields
    }
}
