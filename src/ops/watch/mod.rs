//! Watches from outside: look, count, decide, switch at most once, remember.

pub mod rehearse;
pub mod switch;
pub mod target;
pub mod first_answer;
pub mod heartbeat;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::watch::{
    Active, Decision, Round, WatchCase, WatchEvent, WatchMemory, WatchOutcome, WatchRules, decide,
    ended, interrupted, observe,
};
use crate::engine::state::record::Phase;
use crate::ops::error::OpsError;
use crate::ops::load::layers::overlay_file;
use crate::ops::load::session::{CloudTarget, Session};
use crate::ops::load::sides;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovery_reports;
use crate::ops::watch::heartbeat::{HeartbeatRequest, HeartbeatWriter};
use crate::ops::watch::rehearse::rehearse;
use crate::ops::watch::switch::{Act, End, SwitchFacts};
use crate::ops::watch::target::Targets;
use crate::render::watch::time;
use crate::render::words::{count, digest};
use crate::store::error::StoreError;
use crate::store::watch::{WatchFile, WatchLock};

/// How often to try for the lock of the watch file, which other watchers hold for a moment whenever they save: with the pause
/// below, 0.4 s in all, many times what a save takes.
const CLAIMS_MAX: u32 = 40;
/// The pause between two such attempts.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// How often the URL is looked at while a failover runs, at least: the first good answer ends its report. A guess.
const LOOK_PAUSE: Duration = Duration::from_secs(30);
/// So many good answers are remembered while a failover runs: at one each 30 s, those of more than three days.
const ANSWERS_MAX: usize = 10_000;

/// What is to be watched, and how.
pub struct WatchRequest {
    pub place: StackRef,
    pub overlay: String,
    pub targets: Targets,
    pub rules: WatchRules,
    pub interval: Duration,
    /// So many rounds and no more.
    pub rounds: Option<u64>,
    pub act: Act,
    /// The failover that is planned once at the start.
    pub rehearsal: Option<sides::PlanRequest>,
    /// What is written at every round, if anything.
    pub heartbeat: Option<HeartbeatRequest>,
    /// How long a switch may take, on the wall's clock.
    pub within: Duration,
    /// Where commands run.
    pub directory: PathBuf,
}

/// Is told of each event and its time.
pub type Tell<'a> = &'a (dyn Fn(i64, &WatchEvent) + Send + Sync);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The last switch that was tried failed.
    pub failed: bool,
}

/// Watches until it is stopped, or for as many rounds as were asked for. A switch that began is seen to its end.
pub async fn watch(
    session: &Session,
    ask: &WatchRequest,
    tell: Tell<'_>,
    mut stop: watch::Receiver<Option<String>>,
) -> Result<Ended, OpsError> {
    let mut watcher = Watcher::start(session, ask, tell)?;
    let mut rounds = 0;
    tokio::select! {
        biased;
        why = stopped(&mut stop) => {
            tell(session.clock.now(), &WatchEvent::Stopped { why });
            return Ok(Ended { failed: false });
        }
        ready = watcher.rehearse() => ready?,
    }
    let mut heartbeat = ask.heartbeat.as_ref().map(|it| HeartbeatWriter::new(session, it));
    let why = loop {
        let begun = session.clock.now();
        // Who watches for the first time may be refused, and has written nothing then.
        let is_new = watcher.is_new();
        let beat = beat(&mut heartbeat, !is_new);
        let (round, beat) = tokio::select! {
            biased;
            why = stopped(&mut stop) => break why,
            both = async { tokio::join!(ask.targets.look(&session.prober, begun), beat) } => both,
        };
        watcher.take(round).await?;
        let first = self::beat(&mut heartbeat, is_new).await;
        watcher.tell(first.or(beat).as_slice());
        rounds += 1;
        if ask.rounds.is_some_and(|it| rounds >= it) {
            break rounds_done(rounds);
        }
        let next = begun + milliseconds(ask.interval);
        // A clock that was set back must not stretch the wait.
        let left = (next - session.clock.now()).min(milliseconds(ask.interval));
        let left = u64::try_from(left).unwrap_or(0);
        tokio::select! {
            biased;
            why = stopped(&mut stop) => break why,
            () = session.clock.sleep(Duration::from_millis(left)) => {}
        }
    };
    tell(session.clock.now(), &WatchEvent::Stopped { why });
    Ok(Ended { failed: watcher.failed })
}

/// Writes heartbeats and does nothing else, until it is stopped or for as many rounds as were asked for.
pub async fn beat_only(
    session: &Session,
    request: &HeartbeatRequest,
    rounds: Option<u64>,
    tell: Tell<'_>,
    mut stop: watch::Receiver<Option<String>>,
) -> Result<(), OpsError> {
    let mut writer = HeartbeatWriter::new(session, request);
    writer.check()?;
    let state = session.store(&request.ask.place).load()?;
    let active = state.map(|it| it.active).unwrap_or_default();
    tell(session.clock.now(), &WatchEvent::Started { active, remembers: false });
    let mut done = 0;
    let why = loop {
        let event = tokio::select! {
            biased;
            why = stopped(&mut stop) => break why,
            event = writer.beat() => event,
        };
        if let Some(event) = event {
            tell(session.clock.now(), &event);
        }
        done += 1;
        if rounds.is_some_and(|it| done >= it) {
            break rounds_done(done);
        }
        tokio::select! {
            biased;
            why = stopped(&mut stop) => break why,
            () = session.clock.sleep(request.every) => {}
        }
    };
    tell(session.clock.now(), &WatchEvent::Stopped { why });
    Ok(())
}

fn rounds_done(rounds: u64) -> String {
    format!("{} done", count(usize::try_from(rounds).unwrap_or(usize::MAX), "round"))
}

/// The heartbeats of one round, where they are asked for and due.
async fn beat(heartbeat: &mut Option<HeartbeatWriter<'_>>, is_due: bool) -> Option<WatchEvent> {
    match heartbeat {
        Some(it) if is_due => it.beat().await,
        _ => None,
    }
}

/// Until there is a reason to stop.
async fn stopped(stop: &mut watch::Receiver<Option<String>>) -> String {
    let why = stop.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
    match why {
        Some(why) => why,
        // Nobody is left who could stop it.
        None => std::future::pending().await,
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

struct Watcher<'a> {
    session: &'a Session,
    ask: &'a WatchRequest,
    tell: Tell<'a>,
    file: WatchFile,
    memory: WatchMemory,
    /// What is said at the first round, and whether it was.
    opening: Option<Vec<WatchEvent>>,
    /// The memory could not be written the last time, which was said.
    is_unsaved: bool,
    failed: bool,
}

impl<'a> Watcher<'a> {
    /// Everything that can be known to be wrong is said now, not in the disaster.
    fn start(
        session: &'a Session,
        ask: &'a WatchRequest,
        tell: Tell<'a>,
    ) -> Result<Self, OpsError> {
        overlay_file(&ask.place, &ask.overlay)?;
        let store = session.store(&ask.place);
        let state = store.load()?;
        let file = WatchFile::new(Arc::clone(store.backend()), &ask.overlay);
        let watched = digest(&ask.targets.identity());
        let memory = file.read()?.of(&watched);
        let active = state.map(|it| it.active).unwrap_or_default();
        let remembers = memory.answered.is_some();
        let opening = Some(vec![WatchEvent::Started { active, remembers }]);
        let mut watcher =
            Self { session, ask, tell, file, memory, opening, is_unsaved: false, failed: false };
        watcher.after_interruption()?;
        Ok(watcher)
    }

    /// What would stop the failover stops a new watch; one that comes back, perhaps in the disaster, says it and watches on.
    async fn rehearse(&mut self) -> Result<(), OpsError> {
        let Some(ask) = &self.ask.rehearsal else { return Ok(()) };
        let Err(why) = rehearse(self.session, ask, &self.ask.overlay).await else { return Ok(()) };
        if self.memory.answered.is_none() {
            return Err(why);
        }
        let unready = WatchEvent::Unready { why: format!("a failover would not work: {why}") };
        self.opening.get_or_insert_default().push(unready);
        Ok(())
    }

    /// A switch that an earlier run began and did not end. Another watcher may be in the middle of it: that one's is not ours.
    fn after_interruption(&mut self) -> Result<(), OpsError> {
        if self.memory.begun.is_none() {
            return Ok(());
        }
        let Some(claim) = self.file.claim()? else {
            self.memory.begun = None;
            return Ok(());
        };
        let active = self.active()?;
        let moved = active != Active::Elsewhere || !matches!(self.ask.act, Act::Failover { .. });
        let users = self.users(self.memory.begun);
        let now = self.session.clock.now();
        let event = interrupted(&mut self.memory, now, (active, users), moved);
        self.opening.get_or_insert_default().extend(event);
        // What cannot be written is said after the first round.
        claim.settle(&self.memory).ok();
        Ok(())
    }

    fn tell(&self, events: &[WatchEvent]) {
        self.tell_of(self.session.clock.now(), events);
    }

    /// What a round saw has the time of the round.
    fn tell_of(&self, at: i64, events: &[WatchEvent]) {
        for event in events {
            (self.tell)(at, event);
        }
    }

    /// One round: what it saw becomes events, memory and perhaps a switch.
    async fn take(&mut self, round: Round) -> Result<(), OpsError> {
        let is_new = self.is_new();
        if is_new {
            self.has_answered(&round)?;
        }
        let opening = self.opening.take().unwrap_or_default();
        self.tell_of(round.at, &opening);
        let (events, case) = observe(&mut self.memory, &self.ask.rules, &round);
        self.tell_of(round.at, &events);
        match self.save() {
            // Who has never watched finds out now; who comes back in the disaster watches on.
            Err(why) if is_new => return Err(why.into()),
            saved => self.say_saved(saved),
        }
        if let Some(after) = events.iter().find_map(|it| match it {
            WatchEvent::Answered { after } => Some(after),
            _ => None,
        }) {
            let completed = self.complete(round.at - after, &[round.at]);
            self.say_saved(completed.map(drop));
        }
        if let (Some(case), Err(why)) = (case, round.target)
            && !matches!(self.ask.act, Act::Report)
        {
            self.consider(case, why).await;
        }
        Ok(())
    }

    /// Nobody has watched this target before, and no round of this watch is over.
    fn is_new(&self) -> bool {
        self.opening.is_some() && self.memory.answered.is_none()
    }

    fn has_answered(&self, round: &Round) -> Result<(), OpsError> {
        let Err(why) = &round.target else { return Ok(()) };
        Err(OpsError::input(
            format!(
                "{} is failing ({why}) and has never been seen healthy: a URL that never worked is more likely a typo than an outage",
                self.ask.targets.shown()
            ),
            "check --url, --expect, and --body, and start watch while the URL is healthy; nothing was changed",
        ))
    }

    /// Saves what was seen; while another watcher switches, the next round does.
    fn save(&mut self) -> Result<(), StoreError> {
        let Some(claim) = self.file.claim()? else { return Ok(()) };
        claim.save(&mut self.memory)
    }

    /// A disk that is full is no reason not to watch; it is said once.
    fn say_saved(&mut self, saved: Result<(), StoreError>) {
        let was_unsaved = std::mem::replace(&mut self.is_unsaved, saved.is_err());
        if let Err(why) = saved
            && !was_unsaved
        {
            self.tell(&[WatchEvent::NotSaved { why: words(&why) }]);
        }
    }

    /// Decides under the claim that all watchers of this overlay share, and switches.
    async fn consider(&mut self, case: WatchCase, detail: String) {
        let claim = match self.claim().await {
            Ok(Some(claim)) => claim,
            Ok(None) => {
                let why = "another watcher of this overlay is switching".into();
                return self.tell(&[WatchEvent::SwitchHeld { why }]);
            }
            Err(why) => return self.tell(&[WatchEvent::Undecided { why: words(&why) }]),
        };
        // A person's switch, most likely, who knows more than an observer does.
        match self.switches_elsewhere() {
            Ok(None) => {}
            Ok(Some(by)) => {
                let why = format!("{by} is switching elsewhere and is not preempted");
                return self.tell(&[WatchEvent::SwitchHeld { why }]);
            }
            Err(why) => return self.tell(&[WatchEvent::Undecided { why: words(&why) }]),
        }
        let active = match claim.save(&mut self.memory).and_then(|()| self.active()) {
            Ok(active) => active,
            Err(why) => return self.tell(&[WatchEvent::Undecided { why: words(&why) }]),
        };
        let (event, decision) = decide(&mut self.memory, &self.ask.rules, case, active);
        let saved = claim.settle(&self.memory);
        match (decision, saved) {
            (Decision::Wait, saved) => {
                self.tell(event.as_slice());
                self.say_saved(saved);
            }
            // What is not durable is not begun: a restart would switch again.
            (Decision::Switch { .. }, Err(why)) => {
                let why = words(&why);
                self.end(&claim, WatchOutcome::Failed { why, exit: None, moved: false }, &[]);
            }
            (Decision::Switch { attempt }, Ok(())) => {
                self.tell(event.as_slice());
                let facts = self.facts(attempt, detail);
                let before = self.session.store(&self.ask.place).last_epoch().unwrap_or(u64::MAX);
                let (end, answers) = self.switch(&facts).await;
                // What cannot be read may be anything: users may have been moved.
                let active = self.active().unwrap_or(Active::Underway);
                let users = self.users(self.memory.begun);
                let outcome = self.ask.act.meaning(&end, (active, users));
                self.end(&claim, self.unless_turned(outcome, before), &answers);
            }
        }
    }

    /// Runs the switch. The URL is looked at beside a failover, and once after it: when it answered well.
    async fn switch(&self, facts: &SwitchFacts) -> (End, Vec<i64>) {
        let (act, mut answers) = (&self.ask.act, Vec::new());
        let mut run = std::pin::pin!(act.run(facts, self.ask.within));
        if !matches!(act, Act::Failover { .. }) {
            return (run.await, answers);
        }
        let pause = self.ask.interval.min(LOOK_PAUSE);
        let end = loop {
            tokio::select! {
                biased;
                end = &mut run => break end,
                at = async {
                    self.session.clock.sleep(pause).await;
                    self.look().await
                } => answers.extend(at.filter(|_| answers.len() < ANSWERS_MAX)),
            }
        };
        answers.extend(self.look().await);
        (end, answers)
    }

    /// When the URL was asked, if it answered well.
    async fn look(&self) -> Option<i64> {
        let at = self.session.clock.now();
        let round = self.ask.targets.look(&self.session.prober, at).await;
        round.target.is_ok().then_some(at)
    }

    /// Completes the reports of the switch that began then; the first of these answers that counts.
    fn complete(&self, began: i64, seen: &[i64]) -> Result<Option<i64>, StoreError> {
        let (place, overlay) = (&self.ask.place, &self.ask.overlay);
        recovery_reports::complete(self.session, place, overlay, began, seen)
    }

    fn end(&mut self, claim: &WatchLock, outcome: WatchOutcome, answers: &[i64]) {
        self.failed = matches!(outcome, WatchOutcome::Failed { .. });
        let event = ended(&mut self.memory, self.session.clock.now(), outcome);
        self.tell(event.as_slice());
        if let Some(began) = self.memory.unanswered {
            let completed = self.complete(began, answers);
            if let Ok(Some(at)) = completed {
                self.memory.unanswered = None;
                self.tell(&[WatchEvent::Answered { after: at - began }]);
            }
        }
        let saved = claim.settle(&self.memory);
        self.say_saved(saved);
    }

    async fn claim(&self) -> Result<Option<WatchLock>, StoreError> {
        for _ in 0..CLAIMS_MAX {
            if let Some(claim) = self.file.claim()? {
                return Ok(Some(claim));
            }
            tokio::time::sleep(CLAIM_PAUSE).await;
        }
        Ok(None)
    }

    /// A living switch that goes to something else than this watch would.
    fn switches_elsewhere(&self) -> Result<Option<String>, StoreError> {
        let held = self.session.store(&self.ask.place).lease_status()?.filter(|it| it.is_alive);
        let elsewhere = held.filter(|it| it.to.as_ref().is_some_and(|to| self.is_elsewhere(to)));
        Ok(elsewhere.map(|it| format!("{} (lifeboat {})", it.owner, it.command)))
    }

    fn is_elsewhere(&self, to: &[String]) -> bool {
        !to.contains(&self.ask.overlay)
    }

    /// Who has had the lease since a switch that could not go on, or that could not begin, says why.
    fn unless_turned(&self, outcome: WatchOutcome, before: u64) -> WatchOutcome {
        let WatchOutcome::Held { .. } = outcome else { return outcome };
        let last = self.session.store(&self.ask.place).last_switch(before).ok().flatten();
        match last {
            Some((by, to)) if self.is_elsewhere(&to) => WatchOutcome::Turned { by },
            _ => outcome,
        }
    }

    /// What state says now.
    fn active(&self) -> Result<Active, StoreError> {
        let state = self.session.store(&self.ask.place).load()?;
        let Some(state) = state.filter(|it| it.active.contains(&self.ask.overlay)) else {
            return Ok(Active::Elsewhere);
        };
        // Only a failover can go on with a switch that another began.
        let goes_on = matches!(self.ask.act, Act::Failover { .. });
        Ok(match state.phase {
            Phase::Switching if goes_on => Active::Underway,
            Phase::Degraded if goes_on => Active::Degraded,
            _ => Active::There,
        })
    }

    /// Where the users of the switch that began then are: state knows while it goes on, and then its report. Of what anybody else
    /// runs nobody tells.
    fn users(&self, began: Option<i64>) -> UsersAre {
        let (place, overlay) = (&self.ask.place, &self.ask.overlay);
        let found = began.map(|it| recovery_reports::users(self.session, place, overlay, it));
        found.and_then(Result::ok).flatten().unwrap_or(UsersAre::Unconfirmed)
    }

    fn facts(&self, attempt: u32, detail: String) -> SwitchFacts {
        SwitchFacts {
            root: self.ask.place.root.clone(),
            directory: self.ask.directory.clone(),
            stack: self.ask.place.name(),
            overlay: self.ask.overlay.clone(),
            url: self.ask.targets.url().into(),
            sandbox: self.session.target == CloudTarget::Sandbox,
            since: self.memory.outage.as_ref().map(|it| time(it.since)).unwrap_or_default(),
            last_good: self.memory.last_good(&self.ask.rules).map(time).unwrap_or_default(),
            detail,
            attempt,
        }
    }
}

/// An error with its cause and the way out, on one line.
fn words(why: &StoreError) -> String {
    let cause = std::error::Error::source(why).map(|it| format!(": {it}")).unwrap_or_default();
    format!("{why}{cause}; {}", why.advice())
}
