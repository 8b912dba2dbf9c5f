//! The order and the words of a plan, once for every rendering.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{
    Action, AttributeChange, Change, DeferReason, Drift, Intent, Note, Plan, StepCall,
};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::engine::plan::ranking::{Rank, Ranking};
use crate::engine::state::record::Phase;
use crate::engine::text::diagnostic::Severity;
use crate::engine::text::names::StackName;
use crate::render::lines::{LineLimits, RenderedLine, Sign, attribute, difference, is_short};
use crate::render::plan::concerns::{RenderedConcern, concerns, heading, listed};
use crate::render::plan::cost::cost;
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold;
use crate::render::plan::steps::{gates, step, steps};
use crate::render::plan::summary::{forecast, summary, verdict};
use crate::render::plan::tasks::tasks;
use crate::render::plan::variables::given;
use crate::render::words::{count, escape_control, failed, inline, key, moment, symbol};

/// A plan, how long it is expected to take, and what it costs, where that was asked.
#[derive(Debug, Clone, Copy)]
pub struct ShownPlan<'a> {
    pub plan: &'a Plan,
    pub forecast: Option<&'a Forecast>,
    pub cost: Option<&'a PlanCost>,
}

impl<'a> From<&'a Plan> for ShownPlan<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self { plan, forecast: None, cost: None }
    }
}

/// A plan in reading order; every text in it is clean.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// `woocommerce@drill on sandbox, switch base → scale_up`.
    pub header: String,
    /// `Plan: 2 to create, …`.
    pub summary: String,
    /// How many changes send users elsewhere.
    pub shifts: usize,
    /// How much of it must not be overlooked: `Danger: DATA LOSS ×1: orders; EXPOSURE ×1: fw`.
    pub heading: Option<Heading>,
    /// The same, each with what happens, the worst first.
    pub concerns: Vec<RenderedConcern>,
    /// How long a switch is expected to take, and how sure that is.
    pub forecast: Option<String>,
    /// What its changes cost.
    pub cost: Option<String>,
    /// Why nothing of it will be applied.
    pub verdict: Option<String>,
    pub notices: Vec<Notice>,
    pub sections: Vec<RenderedSection>,
    /// How many steps, and how many of them one after another.
    pub steps: String,
}

/// How much must not be overlooked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub text: String,
    pub is_danger: bool,
}

impl Heading {
    pub fn word(&self) -> &'static str {
        if self.is_danger { "Danger" } else { "Note" }
    }
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
    let ranking = Ranking::new(plan);
    let changes = |title, belongs| changes(plan, &ranking, (title, belongs), detail);
    let mut sections: Vec<RenderedSection> =
        SECTIONS.iter().map(|(title, belongs)| changes(title, *belongs)).collect();
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
        sections.push(changes("Unchanged", is_same));
        sections.push(RenderedSection {
            lines: plan.steps.iter().map(step).collect(),
            ..section("Steps")
        });
    }
    fold::repeated(&mut sections);
    sections.retain(|it| !it.entries.is_empty() || !it.lines.is_empty());
    Outline {
        header: header(plan),
        summary: summary(plan, &ranking),
        shifts: ranking.count_shifts(),
        heading: heading(&ranking).map(|(text, is_danger)| Heading { text, is_danger }),
        concerns: listed(&ranking),
        forecast: shown.forecast.map(forecast),
        cost: shown.cost.map(cost),
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

fn changes(
    plan: &Plan,
    ranking: &Ranking<'_>,
    (title, belongs): (&'static str, Belongs),
    detail: Detail,
) -> RenderedSection {
    let changes: Vec<&Change> = plan.changes.iter().filter(|it| belongs(it)).collect();
    let destroys = changes.iter().any(|it| it.action.destroys());
    let entry = |it: &&Change| RenderedEntry {
        shifts: ranking.shifts(&it.address),
        ..entry(it, concerns(ranking, &it.address), detail)
    };
    let mut entries: Vec<RenderedEntry> = changes.iter().map(entry).collect();
    // The worst first; what is only a change stays in the order of the plan.
    entries.sort_by_key(|it| it.concerns.first().map_or(usize::MAX, |it| it.0 as usize));
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

/// Refusals, then errors, then warnings.
fn notices(plan: &Plan) -> Vec<Notice> {
    let of = |severity, word| {
        let notes = plan.notes.iter().filter(move |it| it.severity == severity);
        notes.map(move |it| notice(it, word))
    };
    of(Severity::Refusal, "Refused")
        .chain(of(Severity::Error, "Error"))
        .chain(of(Severity::Warning, "Warning"))
        .collect()
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

fn entry(change: &Change, concerns: Vec<(Rank, String)>, detail: Detail) -> RenderedEntry {
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
        concerns,
        shifts: false,
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
        concerns: Vec::new(),
        shifts: false,
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
