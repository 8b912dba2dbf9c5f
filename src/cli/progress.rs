//! Progress of a run: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::out::{can_move, end_bars, show_bars, talk, told};
use crate::cloud::clock::Clock;
use crate::engine::address::Address;
use crate::engine::plan::model::change::{Plan, Step, StepCall};
use crate::engine::state::journal::StepOutcome;
use crate::engine::text::plain::escape_control;
use crate::engine::value::Attributes;
use crate::ops::apply::step_inputs::Progress;
use crate::ops::apply::watched_resources::ServingBackends;
use crate::render::plan::steps::condition;
use crate::render::words::{count, duration};

/// How often a wait reports that it goes on where there is no terminal. CI systems take a log that is silent for minutes as
/// hung; more often than this would bury the other lines. A guess.
const REMINDER: Duration = Duration::from_secs(10);

/// A shorter step gets no bar of its own: a bar that flashes by for a tenth of a second cannot be read.
const TICK: Duration = Duration::from_millis(120);

struct ShownProgress {
    steps: Vec<Step>,
    /// The clock of the world: in the sandbox a minute is shorter than elsewhere.
    clock: Arc<dyn Clock>,
    bars: Option<(MultiProgress, ProgressBar)>,
    running: BTreeMap<usize, (Instant, Option<ProgressBar>)>,
    /// When each began, in milliseconds since the Unix epoch.
    began: BTreeMap<usize, i64>,
    reminded: BTreeMap<usize, Instant>,
    /// How many backends serve behind the gates that are open.
    serving: BTreeMap<usize, ServingBackends>,
}

/// A listener for the progress of this plan.
pub fn listener(plan: &Plan, clock: &Arc<dyn Clock>) -> Arc<dyn Fn(Progress) + Send + Sync> {
    let bars = can_move().then(|| {
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(plan.steps.len() as u64));
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {elapsed} {spinner}");
        total.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        // A wait of minutes ends no step: the time goes on all the same.
        total.enable_steady_tick(TICK);
        show_bars(&bars);
        (bars, total)
    });
    let shown = Mutex::new(ShownProgress {
        steps: plan.steps.clone(),
        clock: Arc::clone(clock),
        bars,
        running: BTreeMap::new(),
        began: BTreeMap::new(),
        reminded: BTreeMap::new(),
        serving: BTreeMap::new(),
    });
    Arc::new(move |progress| shown.lock().unwrap_or_else(PoisonError::into_inner).take(progress))
}

impl ShownProgress {
    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Started { step } => self.started(step),
            Progress::Waiting { step, why } => self.waiting(step, &why),
            Progress::Serving { step, backends } => {
                self.serving.insert(step, backends);
            }
            Progress::Asking { step, what } => {
                talk(&format!("{}: {}", self.steps[step].address, escape_control(&what)));
                self.waiting(step, &what);
            }
            Progress::Ended { step, outcome } => self.ended(step, &outcome),
            // The end of the run says it, and what follows from it.
            Progress::Phase { .. } => {}
        }
    }

    fn started(&mut self, step: usize) {
        self.began.insert(step, self.clock.now());
        let bar = self.bars.as_ref().map(|(bars, total)| {
            let bar = bars.insert_before(total, ProgressBar::new_spinner());
            bar.set_message(doing(&self.steps[step]));
            bar.enable_steady_tick(TICK);
            bar
        });
        self.running.insert(step, (Instant::now(), bar));
    }

    fn waiting(&mut self, step: usize, why: &str) {
        let text = told(&format!("{}: {}", doing(&self.steps[step]), escape_control(why)));
        if let Some((since, bar)) = self.running.get(&step) {
            if let Some(bar) = bar {
                bar.set_message(text);
                return;
            }
            let last = self.reminded.get(&step).unwrap_or(since);
            if last.elapsed() >= REMINDER {
                self.reminded.insert(step, Instant::now());
                talk(&text);
            }
        }
    }

    fn ended(&mut self, step: usize, outcome: &StepOutcome) {
        let took = self.began.remove(&step).and_then(|it| lasted(it, self.clock.now()));
        let text = match outcome {
            // What it saw last and what to do stands at the end of the run, where users are told of as well.
            StepOutcome::Failed(_) if self.steps[step].holds_users_back() => {
                Some(format!("{}: the gate stays closed", doing(&self.steps[step])))
            }
            StepOutcome::Failed(it) => {
                Some(format!("{} failed: {}", doing(&self.steps[step]), escape_control(&it.why)))
            }
            StepOutcome::InDoubt(it) => Some(format!(
                "{} is indeterminate: {}",
                doing(&self.steps[step]),
                escape_control(&it.why)
            )),
            StepOutcome::Recorded(record) => done(&self.steps[step]).map(|it| {
                if matches!(self.steps[step].call, StepCall::Create { .. }) {
                    format!("{it} ({}){}", escape_control(&record.id), took.unwrap_or_default())
                } else {
                    it + &took.unwrap_or_default()
                }
            }),
            // It changed nothing: that the run was stopped is told once, not by each step.
            StepOutcome::Withdrawn => None,
            StepOutcome::Removed | StepOutcome::Moved { .. } | StepOutcome::Waited => {
                let serving = self.serving.get(&step).map(|it| {
                    let verb = if it.serving == 1 { "serves" } else { "serve" };
                    format!(" ({} of {} {verb})", it.serving, count(it.of, "wanted backend"))
                });
                let more = serving.unwrap_or_default() + &took.unwrap_or_default();
                done(&self.steps[step]).map(|it| it + &more)
            }
        };
        let running = self.running.remove(&step);
        if let Some((_, Some(bar))) = running {
            bar.finish_and_clear();
        }
        match &self.bars {
            Some((_, total)) => {
                total.inc(1);
                if let Some(text) = text {
                    talk(&text);
                }
                if total.length() == Some(total.position()) {
                    total.finish_and_clear();
                    end_bars();
                }
            }
            None => {
                if let Some(text) = text {
                    talk(&text);
                }
            }
        }
    }
}

/// `, 31 s`; `None` for less than a second.
fn lasted(began: i64, ended: i64) -> Option<String> {
    let seconds = u64::try_from(ended.saturating_sub(began) / 1_000).unwrap_or(0);
    (seconds > 0).then(|| format!(", {}", duration(seconds)))
}

/// Whether an update leaves anything of what it changes with a value.
fn sets(changed: &[String], attributes: &Attributes) -> bool {
    changed.iter().any(|it| attributes.get(it).is_some_and(|it| !it.is_null()))
}

/// What a gate looks at; `None`: at what the layers say.
fn behind(step: &Step, of: &[Address]) -> Option<String> {
    if of == [step.address.clone()] {
        return Some("it".into());
    }
    let named: Vec<String> = of.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = if of.len() > named.len() { ", …" } else { "" };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

/// How many targets one line names: more than these do not fit beside what it says of them.
const NAMED_MAX: usize = 3;

fn doing(step: &Step) -> String {
    let doing = match &step.call {
        StepCall::Move { from } => format!("moving from {from}"),
        StepCall::Forget => "forgetting".into(),
        StepCall::Create { .. } => "creating".into(),
        StepCall::Update { changed, attributes, .. } => {
            let verb = if sets(changed, attributes) { "updating" } else { "unsetting" };
            format!("{verb} {}", changed.join(", "))
        }
        StepCall::Delete { .. } => "deleting".into(),
        StepCall::Rename { .. } => "renaming".into(),
        StepCall::Ready => "waiting until it is ready".into(),
        StepCall::Gate => "waiting for its `ready` condition".into(),
        StepCall::Gone { .. } => "waiting for deletion".into(),
        StepCall::Serving { of, probe, .. } => match behind(step, of) {
            Some(these) => format!("waiting for {these} to become healthy"),
            None => format!("waiting for its own {}", condition(*probe)),
        },
        StepCall::Replication { .. } => "waiting for replication".into(),
        StepCall::Drain { .. } => "draining: waiting for DNS caches to expire".into(),
        StepCall::Task { undo: false } => "running the task".into(),
        StepCall::Task { undo: true } => "undoing the task".into(),
    };
    format!("{}: {doing}", step.address)
}

fn done(step: &Step) -> Option<String> {
    let done = match &step.call {
        StepCall::Move { from } => format!("moved from {from}"),
        StepCall::Forget => "forgotten".into(),
        StepCall::Create { .. } => "created".into(),
        StepCall::Update { changed, attributes, .. } => {
            let verb = if sets(changed, attributes) { "updated" } else { "unset" };
            format!("{verb} {}", changed.join(", "))
        }
        StepCall::Delete { .. } => "deleted".into(),
        StepCall::Rename { .. } => "renamed".into(),
        StepCall::Ready => "ready".into(),
        StepCall::Gate => "its `ready` condition holds".into(),
        StepCall::Gone { .. } => return None,
        StepCall::Serving { of, probe, .. } => match behind(step, of) {
            Some(these) if of.len() > 1 => format!("{these} are healthy"),
            Some(these) => format!("{these} is healthy"),
            None => format!("its own {} holds", condition(*probe)),
        },
        StepCall::Replication { .. } => "replication verified".into(),
        StepCall::Drain { .. } => "drained: DNS caches have expired".into(),
        StepCall::Task { undo: false } => "task done".into(),
        StepCall::Task { undo: true } => "task undone".into(),
    };
    Some(format!("{}: {done}", step.address))
}

#[cfg(test)]
mod tests {
    use super::{doing, done, lasted};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{Step, StepCall};
    use crate::engine::value::Value;

    #[test]
    fn lasted_tells_no_part_of_a_second() {
        assert_eq!(lasted(1_000, 1_999), None);
        assert_eq!(lasted(1_000, 126_000).as_deref(), Some(", 2 min 5 s"));
    }

    #[test]
    fn doing_and_done_tell_detach_and_attach_as_two_things() {
        let told = |group: &str, value: Value| {
            let (group, changed) = (group.to_owned(), vec!["linode".to_owned()]);
            let attributes = [("linode".to_owned(), value), ("size".to_owned(), 20.into())].into();
            let step = Step {
                id: 0,
                address: Address::one("data"),
                kind: "linode.volume".into(),
                call: StepCall::Update { group, changed, attributes, or_create: false },
                waits: Vec::new(),
                lane: None,
                segment: 0,
                weight: 1,
                shift: None,
                quorums: Vec::new(),
            };
            format!("{}, {}", doing(&step), done(&step).unwrap())
        };
        assert_eq!(told("detach", Value::Null), "data: unsetting linode, data: unset linode");
        assert_eq!(told("attach", "2".into()), "data: updating linode, data: updated linode");
    }
}
