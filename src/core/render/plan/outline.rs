//! The order and the words of a plan, once for every rendering.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{
    Action, AttributeChange, Change, DeferReason, Drift, Intent, Note, Plan, StepCall,
};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::recovery::completion::open;
use crate::engine::state::record::Phase;
use crate::engine::text::diagnostic::Severity;
use crate::engine::text::names::StackName;
use crate::render::lines::{LineLimits, RenderedLine, Sign, attribute, difference, is_short};
use crate::render::plan::dangers::{dangers, dangers_of, rank, risky};
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold;
use crate::render::plan::steps::{gates, step, steps};
use crate::render::plan::tasks::{count_running, tasks};
use crate::render::plan::variables::given;
use crate::render::words::{
    count, duration, escape_control, failed, inline, key, measured, moment, symbol,
};

/// A plan, and how long it is expected to take, if that was asked.
#[derive(Debug, Clone, Copy)]
pub struct ShownPlan<'a> {
    pub plan: &'a Plan,
    pub forecast: Option<&'a Forecast>,
}

impl<'a> From<&'a Plan> for ShownPlan<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self { plan, forecast: None }
    }
}

/// A plan in reading order; every text in it is clean.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// `woocommerce@drill on sandbox, switch base → scale_up`.
    pub header: String,
    /// `Plan: 2 to create, …`.
    pub summary: String,
    /// How much of it must not be overlooked: `Danger: DATA LOSS of orders; EXPOSURE of 2`.
    pub dangers: Option<String>,
    /// How long a switch is expected to take, and how sure that is.
    pub forecast: Option<String>,
    /// Why nothing of it will be applied.
    pub verdict: Option<String>,
    pub notices: Vec<Notice>,
    pub sections: Vec<RenderedSection>,
    /// How many steps, and how many of them one after another.
    pub steps: String,
}

/// A refusal, a mistake or a warning.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// `Refused`, `Error` or `Warning`.
    pub word: &'static str,
    pub code: String,
    pub text: String,
    pub places: Vec<String>,
    pub help: Option<String>,
}

/// How much of a plan is told.
#[derive(Debug, Clone, Copy)]
pub struct Detail {
    pub limits: LineLimits,
    /// Also what stays as it is, and every step.
    pub all: bool,
}

type Belongs = fn(&Change) -> bool;

/// Titles say once on a page what the word means.
const GATES: &str = "Gates (each waits for a condition and changes nothing)";
const REST: &str = "Still to do for the switch (no traffic is left to shift)";
const FROZEN: &str = "Frozen (in a lost fault domain, left untouched)";

/// How many frozen addresses of one fault domain are named: about two lines of a terminal.
const FROZEN_MAX: usize = 12;

const SECTIONS: [(&str, Belongs); 5] = [
    ("Deletions and replacements", |it| it.action.destroys()),
    ("Updates", |it| it.action == Action::Update),
    ("Creations", |it| it.action == Action::Create),
    ("Other changes", |it| {
        matches!(it.action, Action::Move | Action::Adopt | Action::Await | Action::Forget)
    }),
    ("Unknown", |it| it.action == Action::NoOp && it.unknown.is_some()),
];

const HELD: [(&str, Belongs); 3] = [
    ("Orphaned", Change::is_orphaned),
    ("Deferred: not part of this switch", |it| waits(it, DeferReason::Pending)),
    ("Deferred", |it| {
        !it.is_orphaned() && it.deferred.is_some() && !waits(it, DeferReason::Pending)
    }),
];

fn waits(change: &Change, wait: DeferReason) -> bool {
    !change.is_orphaned() && change.deferred.as_ref().is_some_and(|it| it.wait == wait)
}

pub fn outline(shown: ShownPlan<'_>, detail: Detail) -> Outline {
    let plan = shown.plan;
    let mut sections: Vec<RenderedSection> =
        SECTIONS.iter().map(|(title, belongs)| changes(plan, title, *belongs, detail)).collect();
    // What waits until nobody comes the old way any more is read after that gate.
    let destroyed = has_drain(plan).then(|| sections.remove(0));
    sections.insert(0, RenderedSection { lines: rest(plan), ..section(REST) });
    for (title, belongs) in HELD {
        let held = plan.changes.iter().filter(|it| belongs(it));
        let entries: Vec<RenderedEntry> = held.filter_map(|it| held_back(it, detail)).collect();
        sections.push(RenderedSection { entries: fold::equal(entries), ..section(title) });
    }
    sections.push(RenderedSection { entries: tasks(plan, detail.limits), ..section("Tasks") });
    sections.push(RenderedSection { lines: gates(plan), ..section(GATES) });
    sections.extend(destroyed);
    sections.push(RenderedSection { lines: frozen(plan, detail), ..section(FROZEN) });
    sections.push(outputs(plan, detail.limits));
    sections.push(RenderedSection { lines: stale(plan), ..section("Stale") });
    sections.push(RenderedSection {
        entries: fold::equal(plan.drift.iter().map(|it| drifted(it, detail.limits)).collect()),
        ..section("Changed outside of lifeboat")
    });
    if detail.all {
        let is_same: Belongs =
            |it| it.action == Action::NoOp && it.unknown.is_none() && it.frozen.is_none();
        sections.push(changes(plan, "Unchanged", is_same, detail));
        sections.push(RenderedSection {
            lines: plan.steps.iter().map(step).collect(),
            ..section("Steps")
        });
    }
    fold::repeated(&mut sections);
    sections.retain(|it| !it.entries.is_empty() || !it.lines.is_empty());
    Outline {
        header: header(plan),
        summary: summary(plan),
        dangers: dangers(plan),
        forecast: shown.forecast.map(forecast),
        verdict: verdict(plan),
        notices: notices(plan),
        sections,
        steps: steps(&plan.steps),
    }
}

/// Whether something of the plan waits until DNS caches have expired.
fn has_drain(plan: &Plan) -> bool {
    plan.steps.iter().any(|it| matches!(it.call, StepCall::Drain { .. }))
}

/// What the switch itself has still to do, and why it has not; then how much else this plan carries.
fn rest(plan: &Plan) -> Vec<RenderedLine> {
    let Some(rest) = &plan.rest else { return Vec::new() };
    let (own, others): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .filter(|it| it.action != Action::NoOp)
        .partition(|it| rest.changes.contains(&it.address));
    let aside = |text: String| RenderedLine { sign: Sign::Aside, depth: 0, text, comment: None };
    let own = own.into_iter().map(|it| {
        let what = format!("{} {}", it.action.word(), escape_control(&it.address.to_string()));
        aside(match rest.failures.get(&it.address) {
            Some(why) => format!("{what}: failed before: {}", failed(why)),
            None => what,
        })
    });
    let mut lines: Vec<RenderedLine> = own.collect();
    if !others.is_empty() {
        let are = if others.len() == 1 { "is" } else { "are" };
        let others = count(others.len(), "other change");
        lines.push(aside(format!("{others} of this plan {are} not part of the switch")));
    }
    lines
}

/// What is in a lost fault domain and stays as it is, by fault domain.
fn frozen(plan: &Plan, detail: Detail) -> Vec<RenderedLine> {
    let mut by_domain: BTreeMap<&str, BTreeSet<&Address>> = BTreeMap::new();
    for it in &plan.changes {
        if let Some(domain) = &it.frozen {
            by_domain.entry(domain).or_default().insert(&it.address);
        }
    }
    let told = by_domain.into_iter().map(|(domain, addresses)| {
        let shown = if detail.all { addresses.len() } else { FROZEN_MAX.min(addresses.len()) };
        let more = match addresses.len() - shown {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named = addresses.iter().take(shown).map(|it| escape_control(&it.to_string()));
        let text = format!(
            "{} in {}: {}{more}",
            count(addresses.len(), "resource"),
            escape_control(domain),
            named.collect::<Vec<_>>().join(", ")
        );
        RenderedLine { sign: Sign::Aside, depth: 0, text, comment: None }
    });
    told.collect()
}

fn section(title: &'static str) -> RenderedSection {
    RenderedSection { title, destroys: false, entries: Vec::new(), lines: Vec::new() }
}

fn changes(plan: &Plan, title: &'static str, belongs: Belongs, detail: Detail) -> RenderedSection {
    let changes: Vec<&Change> = plan.changes.iter().filter(|it| belongs(it)).collect();
    let destroys = changes.iter().any(|it| it.action.destroys());
    let risky = risky(plan);
    let mut entries: Vec<RenderedEntry> =
        changes.iter().map(|it| entry(it, dangers_of(&risky, it), detail)).collect();
    // The worst first; what is not dangerous stays in the order of the plan.
    entries.sort_by_key(|it| it.dangers.first().map_or(usize::MAX, |it| rank(it.0)));
    // What is destroyed stands alone: each address is read by itself.
    let entries = if destroys { entries } else { fold::equal(entries) };
    RenderedSection { destroys, entries, ..section(title) }
}

/// The stack, where it is, and what is switched or laid over it.
fn header(plan: &Plan) -> String {
    let mut header = name(plan);
    if !plan.bindings.target.is_empty() {
        header.push_str(&format!(" on {}", escape_control(&plan.bindings.target)));
    }
    let overlays = |names: &[String]| match names {
        [] => "base".to_owned(),
        names => names.iter().map(|it| escape_control(it)).collect::<Vec<_>>().join(" + "),
    };
    if let Some((from, to)) = &plan.switch {
        header.push_str(&format!(", switch {} → {}", overlays(from), overlays(to)));
    } else if !plan.overlays.is_empty() {
        header.push_str(&format!(", overlay {}", overlays(&plan.overlays)));
    }
    header.push_str(match plan.phase {
        _ if plan.switch.is_some() => "",
        Phase::Settled => "",
        Phase::Switching => ", switching",
        Phase::Degraded => ", degraded (no traffic is left to shift)",
    });
    if plan.bindings.intent == Intent::Destroy {
        header.push_str(", destroy");
    }
    let losses = |assumed: bool| -> Vec<String> {
        let chosen = plan.lost.iter().filter(|it| it.recorded.is_none() == assumed);
        chosen.map(|it| escape_control(&it.fault_domain)).collect()
    };
    for (words, lost) in [("lost", losses(false)), ("declared lost", losses(true))] {
        if !lost.is_empty() {
            header.push_str(&format!(", {words}: {}", lost.join(", ")));
        }
    }
    header.extend(given(plan));
    if !plan.recovered.is_empty() {
        let found: Vec<String> = plan.recovered.iter().map(|it| escape_control(it)).collect();
        header.push_str(&format!(", recovered: {}", found.join(", ")));
    }
    header
}

/// `woocommerce@drill`.
pub fn name(plan: &Plan) -> String {
    let name = StackName { stack: &plan.stack, workspace: plan.instance.as_deref() };
    escape_control(&name.to_string())
}

fn summary(plan: &Plan) -> String {
    let it = plan.summary();
    let mut rest = vec![format!("{} unchanged", it.unchanged)];
    rest.extend((it.unknown > 0).then(|| format!("{} unknown", it.unknown)));
    rest.extend((it.frozen > 0).then(|| format!("{} frozen", it.frozen)));
    rest.extend((it.deferred > 0).then(|| format!("{} deferred", it.deferred)));
    rest.extend((it.orphaned > 0).then(|| format!("{} orphaned", it.orphaned)));
    rest.extend((it.drift > 0).then(|| format!("{} changed outside of lifeboat", it.drift)));
    let rest = rest.join(", ");
    if plan.changes_nothing() && it.forget + it.moved + it.await_ == 0 {
        let why = match (verdict(plan), it.unknown, it.frozen) {
            (Some(_), ..) => "No changes. Planning failed".to_owned(),
            (None, 0, _) if !plan.is_empty() && open(plan).is_empty() => {
                "No changes to resources. Applying this plan ends the switch".to_owned()
            }
            (None, 0, 0) => "No changes. Your infrastructure matches the configuration".into(),
            (None, 0, _) => {
                "No changes. Everything outside the lost fault domains matches the configuration"
                    .into()
            }
            (None, unread, _) => format!(
                "Incomplete: {} could not be read; no changes are planned, and the rest matches the configuration",
                count(unread, "resource")
            ),
        };
        return format!("{why} ({rest})");
    }
    let lost = |replaces: bool| {
        let is_copy = |it: &Change| {
            plan.dangers.iter().any(|one| one.address == it.address && !one.stays.is_empty())
        };
        let lost = plan.changes.iter().filter(|it| {
            let is_lost = it.loses_data && it.action.destroys() && !is_copy(it);
            is_lost && (it.action != Action::Delete) == replaces
        });
        match lost.count() {
            0 => String::new(),
            1 => " (1 with its data)".into(),
            more => format!(" ({more} with their data)"),
        }
    };
    let mut todo = vec![
        format!("{} to create", it.create),
        format!("{} to update", it.update),
        format!("{} to replace{}", it.replace, lost(true)),
        format!("{} to delete{}", it.delete, lost(false)),
    ];
    let adopted = plan.changes.iter().filter(|it| it.action == Action::Adopt).count();
    let others = [
        (it.moved - adopted, "to move"),
        (adopted, "to adopt"),
        (it.await_, "to await"),
        (it.forget, "to forget"),
    ];
    for (number, words) in others.into_iter().filter(|(number, _)| *number > 0) {
        todo.push(format!("{number} {words}"));
    }
    let running = count_running(plan);
    todo.extend((running > 0).then(|| format!("{} to run", count(running, "task"))));
    if it.outputs > 0 {
        todo.push(format!("{} to set", count(it.outputs, "output")));
    }
    format!("Plan: {}; {rest}", todo.join(", "))
}

/// `Estimated: traffic shifted after 2 min 10 s, all users moved after 7 min 10 s (the TTL is 5 min); …`.
fn forecast(it: &Forecast) -> String {
    let whole = duration(it.whole);
    let mut text = match it.directed {
        Some(directed) => format!(
            "Estimated: traffic shifted after {}, all users moved after {} (the TTL is {}); this command ends after {whole}",
            duration(directed.usual),
            duration(directed.usual.saturating_add(directed.dns_bound)),
            duration(directed.dns_bound)
        ),
        None => format!("Estimated: this command ends after {whole}"),
    };
    if it.samples == 0 && it.steps > 0 {
        text.push_str("; these are built-in defaults: nothing was measured yet");
    } else if it.steps > 0 {
        text.push_str(&format!(
            "; this time depends on {}: {}; if each takes as long as its slowest so far, {} {}",
            count(it.steps, "step"),
            measured(it),
            // The bound is of what was estimated first, and of nothing after it.
            if it.directed.is_some() { "traffic is shifted after" } else { "it ends after" },
            duration(it.longest)
        ));
    }
    text
}

fn verdict(plan: &Plan) -> Option<String> {
    let number = |severity| plan.notes.iter().filter(|it| it.severity == severity).count();
    let mut stops = Vec::new();
    for severity in [Severity::Refusal, Severity::Error] {
        let (number, noun) = (number(severity), severity.word());
        stops.extend((number > 0).then(|| count(number, noun)));
    }
    (!stops.is_empty()).then(|| format!("{}: this plan cannot be applied", stops.join(" and ")))
}

/// Refusals, then errors, then warnings.
fn notices(plan: &Plan) -> Vec<Notice> {
    let of = |severity, word| {
        let notes = plan.notes.iter().filter(move |it| it.severity == severity);
        notes.map(move |it| notice(it, word))
    };
    let notes = of(Severity::Refusal, "Refused")
        .chain(of(Severity::Error, "Error"))
        .chain(of(Severity::Warning, "Warning"));
    notes.chain(allowed(plan)).collect()
}

/// What guards let through: a saved plan carries it, so who reviews one sees it.
fn allowed(plan: &Plan) -> Option<Notice> {
    let it = &plan.allowed;
    let named = |flag: &'static str, all: &[Address]| -> Vec<String> {
        let quoted = |it: &Address| format!("{flag} '{}'", escape_control(&it.to_string()));
        all.iter().map(quoted).collect()
    };
    let mut flags = named("--allow-delete", &it.delete);
    flags.extend(named("--allow-replace", &it.replace));
    flags.extend(named("--revert-drift", &it.revert));
    flags.extend(it.destroys.map(|it| format!("--allow-destroys {it}")));
    flags.extend(it.absent.map(|it| format!("--allow-absent {it}")));
    flags.extend(it.outage.then(|| "--allow-outage".to_owned()));
    flags.extend(it.group_changes.then(|| "--allow-group-changes".to_owned()));
    flags.extend(plan.include_pending.then(|| "--include-pending".to_owned()));
    if flags.is_empty() {
        return None;
    }
    Some(Notice {
        word: "Warning",
        code: "allowed".into(),
        text: format!("planned with {}", flags.join(" ")),
        places: Vec::new(),
        help: None,
    })
}

fn notice(note: &Note, word: &'static str) -> Notice {
    Notice {
        word,
        code: escape_control(&note.code),
        text: escape_control(&note.text),
        places: note.places.iter().map(|it| escape_control(it)).collect(),
        help: note.help.as_deref().map(escape_control),
    }
}

fn entry(change: &Change, dangers: Vec<(&'static str, String)>, detail: Detail) -> RenderedEntry {
    let unseen = change.unknown.as_ref().filter(|_| change.action == Action::NoOp);
    let mut reason = Vec::new();
    reason.extend(Some(escape_control(&change.reason)).filter(|it| !it.is_empty()));
    reason.extend(change.unknown.as_ref().map(|it| escape_control(&it.why)));
    reason.extend(
        change
            .moved_from
            .as_ref()
            .map(|it| format!("moved from {}", escape_control(&it.to_string()))),
    );
    if change.action.destroys() {
        reason.extend(change.id.as_deref().map(|it| format!("id {}", escape_control(it))));
    }
    RenderedEntry {
        symbol: if unseen.is_some() { "?" } else { symbol(change.action) },
        address: escape_control(&change.address.to_string()),
        kind: escape_control(&change.kind),
        reason: reason.join("; "),
        dangers,
        also: Vec::new(),
        attributes: change.attributes.iter().map(|it| key(&it.name)).collect(),
        place: change.place.as_deref().map(escape_control),
        lines: attributes(change, detail),
    }
}

/// What would be done as well, and has to wait.
fn held_back(change: &Change, detail: Detail) -> Option<RenderedEntry> {
    let held = change.deferred.as_ref()?;
    let would = Change {
        action: held.action,
        reason: held.why.clone(),
        attributes: held.attributes.clone(),
        unknown: None,
        loses_data: false,
        ..change.clone()
    };
    let mut entry = entry(&would, Vec::new(), detail);
    if held.action == Action::Create {
        entry.lines.clear();
    }
    entry.reason = format!("{} {}: {}", "would", held.action.word(), escape_control(&held.why));
    Some(entry)
}

/// Values that may be of yesterday.
fn stale(plan: &Plan) -> Vec<RenderedLine> {
    let told = plan.stale.iter().map(|it| {
        let since = it.since.map_or_else(String::new, |it| format!(" at {}", moment(it)));
        let text = format!(
            "{} uses a value of `{}` that was recorded before {} was lost{since}",
            escape_control(&it.what),
            escape_control(&it.from.to_string()),
            escape_control(&it.fault_domain)
        );
        RenderedLine { sign: Sign::Aside, depth: 0, text, comment: None }
    });
    told.collect()
}

/// Attributes that no layer gives are told in one line, unless everything is told.
fn attributes(change: &Change, detail: Detail) -> Vec<RenderedLine> {
    let is_default = |it: &&AttributeChange| {
        !detail.all && change.action == Action::Create && it.place.is_none() && is_short(&it.after)
    };
    let given = change.attributes.iter().filter(|it| !is_default(it));
    let mut lines: Vec<RenderedLine> = given.flat_map(|it| attribute(it, detail.limits)).collect();
    let defaults: Vec<String> = change
        .attributes
        .iter()
        .filter(is_default)
        .map(|it| format!("{}: {}", key(&it.name), inline(&it.after)))
        .collect();
    if !defaults.is_empty() {
        let text = format!("defaults: {}", defaults.join(", "));
        lines.push(RenderedLine { sign: Sign::Add, depth: 0, text, comment: None });
    }
    lines
}

fn outputs(plan: &Plan, limits: LineLimits) -> RenderedSection {
    let lines = plan.outputs.iter();
    let lines =
        lines.flat_map(|it| difference(&escape_control(&it.name), &it.before, &it.after, limits));
    RenderedSection { lines: lines.collect(), ..section("Outputs") }
}

fn drifted(drift: &Drift, limits: LineLimits) -> RenderedEntry {
    let lines = drift.attributes.iter();
    RenderedEntry {
        symbol: if drift.absent { "-" } else { "~" },
        address: escape_control(&drift.address.to_string()),
        kind: escape_control(&drift.kind),
        reason: if drift.absent {
            "deleted outside of lifeboat".into()
        } else {
            "recorded → observed".into()
        },
        dangers: Vec::new(),
        also: Vec::new(),
        attributes: drift.attributes.iter().map(|it| key(&it.name)).collect(),
        place: None,
        lines: lines
            .flat_map(|it| {
                difference(&escape_control(&it.name), &it.recorded, &it.observed, limits)
            })
            .collect(),
    }
}
