//! Where a stack stands, for people.

use crate::engine::plan::model::change::{Action, Change, Plan};
use crate::engine::recovery::old_targets::{OldTarget, OldTargetFate, old_targets};
use crate::engine::recovery::user_routes::UserRoute;
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::state::task_record::{TaskAttempt, TaskRecord};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::plain::listed;
pub use crate::render::status_facts::{Health, OnlineAnswer, StatusFacts};
use crate::render::status_facts::{age, named};
use crate::render::status_phase::{clock, phase, reached};
use crate::render::words::{count, duration, escape_control, failed, inline, moment, person, wrap};

/// One fact a line, what matters most first; what is longer than `width` columns goes on indented; 0: never. Outputs stay as they are.
pub fn text(facts: &StatusFacts<'_>, width: usize) -> String {
    let state = facts.state;
    let since = state.last_run.as_ref().map(|it| it.finished.unwrap_or(it.at));
    let since = since.map_or_else(String::new, |it| format!(" {}", age(facts, it)));
    let asked = match facts.online {
        Some(_) => "which fault domains answer was asked now",
        None => "the clouds were not called (`--online` asks them)",
    };
    let mut lines = vec![format!(
        "{} on {}, as recorded{since}; {asked}",
        escape_control(&facts.name),
        escape_control(&state.target)
    )];
    lines.extend(facts.online.into_iter().flatten().map(|it| online(facts, it)));
    lines.extend(facts.ways.iter().map(|it| users(facts, it)));
    lines.extend([
        format!("active: {}{}", named(&state.active), reached(facts)),
        format!("home: {} (where a failback leads)", named(&state.home)),
        format!("phase: {}", phase(facts)),
    ]);
    lines.extend(clock(facts));
    lines.extend(running(facts));
    lines.extend(failures(facts));
    for it in &state.lost {
        let domain = escape_control(&it.fault_domain);
        lines.push(format!(
            "lost: {domain}, declared {} by {}",
            age(facts, it.since),
            person(&it.by)
        ));
    }
    lines.extend(old(facts).into_iter().map(|it| old_target(facts, it)));
    lines.extend(tasks(facts));
    lines.extend(changes(facts));
    lines.push(match &state.last_run {
        Some(run) => format!(
            "last run: began {} by {}: `{}`{}",
            age(facts, run.at),
            person(&run.who),
            escape_control(&run.command),
            match (run.finished, run.incomplete) {
                (None, _) => ", unfinished".to_owned(),
                (Some(it), true) => format!(", incomplete after {}", lasted(run.at, it)),
                (Some(it), false) => format!(", took {}", lasted(run.at, it)),
            }
        ),
        None => "last run: none".into(),
    });
    lines.extend(variables(state));
    lines.push(format!("lease: {}", facts.lease.as_deref().map_or("free".into(), escape_control)));
    let kept =
        facts.store.as_deref().map_or_else(String::new, |it| format!(" in {}", escape_control(it)));
    lines.push(format!("state: serial {}{kept}", state.serial));
    lines.push(format!("resources: {}", state.records.len()));
    let mut lines: Vec<String> = lines.iter().flat_map(|it| wrap(it, "  ", width)).collect();
    for (name, value) in &state.outputs {
        let stale = stale_since(facts, name);
        lines.push(format!("output {}: {}{stale}", escape_control(name), inline(value)));
    }
    lines.join("\n")
}

fn lasted(from: i64, to: i64) -> String {
    duration(u64::try_from(to.saturating_sub(from) / 1_000).unwrap_or(0))
}

/// What later runs use although they are not told it again; a secret is not remembered.
fn variables(state: &State) -> Option<String> {
    let known = state.variables.iter().filter(|(_, it)| !it.has_secret());
    let known = known.map(|(name, it)| format!("{}={}", escape_control(name), inline(it)));
    let known: Vec<String> = known.collect();
    (!known.is_empty()).then(|| {
        format!(
            "variables: {} (given before, and remembered until `--var` says otherwise)",
            known.join(", ")
        )
    })
}

/// What DNS caches may still answer.
pub(super) fn old<'a>(facts: &StatusFacts<'a>) -> Vec<OldTarget<'a>> {
    old_targets(facts.state, &facts.ways, facts.plan, facts.now)
}

fn old_target(facts: &StatusFacts<'_>, it: OldTarget<'_>) -> String {
    let OldTarget { route, becomes } = it;
    let left = duration(u64::try_from((route.until - facts.now) / 1_000).unwrap_or(0));
    let name = escape_control(&route.address.to_string());
    let was: Vec<String> = route.was.iter().map(|it| escape_control(&it.to_string())).collect();
    let was = if was.is_empty() { "what was there".to_owned() } else { was.join(", ") };
    let until = moment(route.until);
    match becomes {
        OldTargetFate::Kept => format!(
            "draining: {name}: {was}, its old target, is kept for another {left}, until {until} (twice the TTL), since DNS caches may still send users there"
        ),
        OldTargetFate::Stands => format!(
            "DNS caches: {name}: some users may still be sent to {was}, its old target, for another {left}, until {until} (twice the TTL)"
        ),
        OldTargetFate::Lost => format!(
            "DNS caches: {name}: some users may still be sent to {was}, its old target, which served nobody when it was left, for another {left}, until {until} (the TTL)"
        ),
    }
}

/// `now: linode:us-east is unreachable: …`. Only that can mean a loss.
fn online(facts: &StatusFacts<'_>, (domain, it): &(String, OnlineAnswer)) -> String {
    let domain = escape_control(domain);
    let why = it.why.as_deref().map_or_else(String::new, |it| format!(": {}", escape_control(it)));
    let what = match it.health {
        Health::Answers => "answers".to_owned(),
        Health::Denied => format!("denied the request{why}"),
        Health::Silent => format!("is unreachable{why}"),
        Health::NotAsked => format!("was not asked{why}"),
    };
    let stack = &facts.name;
    if it.is_lost {
        return match it.health {
            Health::Answers => {
                format!(
                    "now: {domain} answers again, though it is declared lost; {}",
                    back(facts, &domain)
                )
            }
            _ => format!("now: {domain}, which is declared lost, {what}"),
        };
    }
    let way = match it.health {
        Health::Silent => {
            format!("; {} says what to do", AdvisedCommand::FailoverWhere { stack })
        }
        _ => String::new(),
    };
    format!("now: {domain} {what}{way}")
}

/// What a person does with a fault domain that is back: away from home the way home ends the loss, too, and checks it, once all
/// that is lost answers.
fn back(facts: &StatusFacts<'_>, domain: &str) -> String {
    let stack = &facts.name;
    if facts.state.active == facts.state.home {
        let recovered = AdvisedCommand::Recovered { stack, fault_domain: domain };
        return format!("{recovered} ends the loss, and changes nothing else");
    }
    let asked = facts.online.into_iter().flatten();
    let silent = asked.filter(|(_, it)| it.is_lost && it.health != Health::Answers);
    let silent: Vec<String> = silent.map(|(it, _)| escape_control(it)).collect();
    let home = AdvisedCommand::Failback { stack, lost: Vec::new() };
    match silent.as_slice() {
        [] => format!("{home} checks it and moves users home"),
        [one] => format!("once {one} answers, too: {home}"),
        several => {
            format!("once {} answer, too: {home}", listed(several.iter().map(String::as_str)))
        }
    }
}

fn users(facts: &StatusFacts<'_>, it: &UserRoute) -> String {
    let to: Vec<String> = it.to.iter().map(|it| escape_control(&it.to_string())).collect();
    let to = if to.is_empty() { "a target outside this stack".to_owned() } else { to.join(", ") };
    let place = it.fault_domain.as_deref().map(escape_control);
    let place = place.map_or_else(String::new, |it| format!(" in {it}"));
    let lost = if it.is_lost { ", which is lost" } else { "" };
    let wanted: Vec<String> = it.wanted.iter().map(|it| escape_control(&it.to_string())).collect();
    let moves = match (it.is_to_move, wanted.is_empty()) {
        (false, _) => String::new(),
        (true, true) => "; the configuration points it elsewhere".into(),
        (true, false) => format!("; the configuration points it to {}", wanted.join(", ")),
    };
    let shut =
        it.shut.as_deref().map_or_else(String::new, |it| format!("; {}", escape_control(it)));
    // What stands in a lost place serves nobody.
    let backends = it.backends.filter(|_| !it.is_lost).map_or_else(String::new, |it| {
        let all = count(it.wanted.max(it.recorded), "backend");
        format!("; {} of {all} recorded, their health was not asked", it.recorded)
    });
    let silent = it.fault_domain.as_ref().and_then(|at| {
        facts
            .online
            .into_iter()
            .flatten()
            .find(|(it, told)| it == at && told.health == Health::Silent)
    });
    let silent = silent.filter(|_| !it.is_lost).map_or("", |_| ", which is unreachable now");
    format!(
        "users: {} points to {to} ({}){place}{lost}{silent}{shut}{moves}{backends}",
        escape_control(&it.address.to_string()),
        escape_control(&it.target)
    )
}

/// What the run that goes on is at.
fn running(facts: &StatusFacts<'_>) -> Vec<String> {
    let Some(run) = facts.run else { return Vec::new() };
    let of = if run.planned > 0 { format!(" of {}", run.planned) } else { String::new() };
    let mut lines = vec![format!("progress: {}{of} steps ended", run.ended())];
    // The word is explained where a page has it first.
    let mut is_told = false;
    lines.extend(run.open().map(|it| {
        let is_first = it.call.ends_with("gate") && !std::mem::replace(&mut is_told, true);
        let gloss = if is_first { " (waits for a condition)" } else { "" };
        format!(
            "in progress: {} {}{gloss}, for {}",
            escape_control(&it.address.to_string()),
            escape_control(&it.call),
            duration(seconds_since(facts, it.started.unwrap_or(run.began)))
        )
    }));
    lines
}

/// The tasks of the switch that goes on of which it is not known that they are done; what runs now is told by its run, and a
/// question that nobody answered is asked again.
pub(super) fn open_tasks<'a>(facts: &StatusFacts<'a>) -> Vec<(&'a String, String)> {
    let here = facts.state.unfinished_switch().map(SwitchRecord::identity);
    let is_over = |it: &&TaskAttempt| it.end.is_some() || facts.run.is_none();
    let open = facts.state.tasks.iter().filter_map(|(name, it)| {
        let last = it.last();
        let last = Some(last).filter(|it| here == Some(it.switch)).filter(is_over)?;
        Some((name, last.doubt().filter(|_| last.open_question().is_none())?))
    });
    open.collect()
}

/// The questions that the run which goes on has put to a person.
pub(super) fn questions<'a>(facts: &StatusFacts<'a>) -> Vec<(&'a String, &'a str)> {
    let Some(run) = facts.run else { return Vec::new() };
    let asked = facts.state.tasks.iter().map(|(name, it)| (name, it.last()));
    let asked = asked.filter(|(_, it)| it.began >= run.began);
    asked.filter_map(|(name, it)| Some((name, it.open_question()?))).collect()
}

/// What a task that ran has left, and how that is taken back.
pub(super) struct TaskInForce<'a> {
    pub task: &'a String,
    pub since: i64,
    pub way: WayBack,
}

pub(super) enum WayBack {
    /// The run that goes on, or this command.
    Command(String),
    /// Nothing of lifeboat does.
    ByHand,
    /// It declares nothing that would.
    NoUndo,
}

/// The tasks that ran, or may have, and were not taken back; of those that nothing takes back the ones of this switch.
pub(super) fn tasks_in_force<'a>(facts: &StatusFacts<'a>) -> Vec<TaskInForce<'a>> {
    let (state, stack) = (facts.state, &facts.name);
    let here = state.unfinished_switch().map(SwitchRecord::identity);
    let way = |it: &TaskRecord| match &it.takes_back {
        None => WayBack::NoUndo,
        Some(undo) if state.instance.is_some() && undo.is_whole() => {
            WayBack::Command(AdvisedCommand::Destroy { stack }.to_string())
        }
        Some(_) if state.active != state.home => {
            WayBack::Command(AdvisedCommand::Failback { stack, lost: Vec::new() }.to_string())
        }
        Some(_) if here.is_some() => WayBack::Command(AdvisedCommand::Apply { stack }.to_string()),
        Some(_) => WayBack::ByHand,
    };
    let in_force = state.tasks.iter().filter(|(_, it)| it.is_in_force());
    // Where nothing takes it back there is nothing to do, and after its switch nobody asks.
    let is_news = |it: &TaskRecord| {
        it.run.done_at().is_some() && it.run.asks.is_none() && here == Some(it.run.switch)
    };
    let told = in_force.filter(|(_, it)| it.takes_back.is_some() || is_news(it));
    told.map(|(task, it)| TaskInForce { task, since: it.run.began, way: way(it) }).collect()
}

fn tasks(facts: &StatusFacts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (task, question) in questions(facts) {
        let approve = AdvisedCommand::Approve { stack: &facts.name, task };
        let question = escape_control(question);
        lines.push(format!("waiting for a person: {task}: {question} To approve it: {approve}"));
    }
    for (task, why) in open_tasks(facts) {
        let resolve = AdvisedCommand::StateResolveTask { stack: &facts.name, task, is_done: true };
        let why = escape_control(&why);
        lines.push(format!(
            "task {task}: not known to be done: {why}; if it took effect: {resolve}"
        ));
    }
    for TaskInForce { task, since, way } in tasks_in_force(facts) {
        let way = match way {
            WayBack::Command(command) => format!("{command} undoes it"),
            WayBack::ByHand => "nothing undoes it any more: take it back by hand".into(),
            WayBack::NoUndo => "it has no `undo`".into(),
        };
        lines.push(format!("task {task}: in force, began {}; {way}", age(facts, since)));
    }
    lines
}

fn seconds_since(facts: &StatusFacts<'_>, at: i64) -> u64 {
    u64::try_from(facts.now.saturating_sub(at) / 1_000).unwrap_or(0)
}

fn changes(facts: &StatusFacts<'_>) -> Vec<String> {
    let Some(plan) = facts.plan else {
        let why = escape_control(facts.trouble.unwrap_or_default());
        return vec![format!("pending: unknown, because the configuration has errors: {why}")];
    };
    if nothing_is_applied(facts) {
        return vec!["applied: nothing".into()];
    }
    let mut lines = Vec::new();
    for it in &plan.changes {
        if let Some(held) = &it.deferred {
            let word = if it.is_orphaned() { "orphaned" } else { "deferred" };
            lines.push(format!(
                "{word}: {} {}: {}",
                held.action.word(),
                escape_control(&it.address.to_string()),
                escape_control(&held.why)
            ));
        }
    }
    let pending = plan.changes.iter().filter(|it| is_pending(it));
    let (own, pending): (Vec<&Change>, Vec<&Change>) =
        pending.partition(|it| is_of_switch(plan, it));
    if !own.is_empty() {
        lines.push(format!("still to do for the switch: {}", few(&own, "change")));
    }
    if !pending.is_empty() {
        let word = if plan.rest.is_some() { "other change" } else { "change" };
        lines.push(format!("pending: {}", few(&pending, word)));
    }
    lines
}

/// How many changes there are, and the first of them.
fn few(changes: &[&Change], word: &str) -> String {
    let first: Vec<String> = changes
        .iter()
        .take(5)
        .map(|it| format!("{} {}", it.action.word(), escape_control(&it.address.to_string())))
        .collect();
    let more = if changes.len() > 5 { ", …" } else { "" };
    let number = count(changes.len(), word);
    format!("{number} if nothing has drifted: {}{more}", first.join(", "))
}

/// What a switch whose users have moved has still to do itself.
pub(super) fn is_of_switch(plan: &Plan, change: &Change) -> bool {
    plan.rest.as_ref().is_some_and(|it| it.changes.contains(&change.address))
}

/// Why steps of the switch, or of the last run, failed that nothing has made good since.
fn failures(facts: &StatusFacts<'_>) -> Vec<String> {
    let of_switch = facts.state.unfinished_switch().map(|it| &it.failures);
    let of_run = facts.state.last_run.as_ref().map(|it| &it.failures);
    let failures = of_switch.or(of_run).into_iter().flatten();
    let told = failures.map(|(address, it)| {
        let call = it.call.map_or_else(|| "waiting for ".into(), |it| format!("{} ", it.word()));
        let address = escape_control(&address.to_string());
        format!("failed: {call}{address}, {}: {}", age(facts, it.at), failed(it))
    });
    told.collect()
}

/// A part of it may be held all the same.
pub(super) fn is_pending(change: &Change) -> bool {
    change.action != Action::NoOp
}

/// What the layers want is no news of a stack of which nothing was made, or nothing is left.
pub(super) fn nothing_is_applied(facts: &StatusFacts<'_>) -> bool {
    facts.state.records.is_empty() && facts.state.pending.is_empty()
}

fn stale_since(facts: &StatusFacts<'_>, output: &str) -> String {
    let what = format!("output {output}");
    let stale = facts.plan.into_iter().flat_map(|it| &it.stale).find(|it| it.what == what);
    stale.map_or_else(String::new, |it| {
        let since = it.since.map_or_else(String::new, |it| format!(" since {}", moment(it)));
        format!("  (stale: {} is lost{since})", escape_control(&it.fault_domain))
    })
}
