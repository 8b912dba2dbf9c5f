//! Tells what could not be looked at: who said no and why before who is silent, and what only silence can mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::plan::availability::unreachable::{is_asked_there, is_global};
use crate::engine::plan::draft::destination::{leads_elsewhere, sends_into};
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::options::{Intent, fitting};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// How many different failures are told one by one; whoever has more reads these first.
const CAUSES_MAX: usize = 3;

/// One warning for each thing to mend, then one for those who say nothing.
pub fn unseen(it: &PlanBuilder<'_>) -> Vec<Diagnostic> {
    if it.planned.iter().all(|it| it.change.unknown.is_none()) {
        return Vec::new();
    }
    let mut told = refusals(it);
    told.extend(UnreachableEndpoint::of(it).told(it));
    told
}

/// What a cloud said no or nonsense to, by what it said.
fn refusals(it: &PlanBuilder<'_>) -> Vec<Diagnostic> {
    let mut causes: BTreeMap<(UnknownReason, &str), Vec<&Address>> = BTreeMap::new();
    for planned in &it.planned {
        if let Some(Unreadable { reason, why }) = planned.change.unknown.as_ref()
            && reason.is_no()
        {
            causes.entry((*reason, why)).or_default().push(&planned.change.address);
        }
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    // The one that hides the most comes first.
    causes.sort_by_key(|(_, hidden)| std::cmp::Reverse(hidden.len()));
    let more = causes.len().saturating_sub(CAUSES_MAX);
    let mut told: Vec<Diagnostic> = causes
        .into_iter()
        .take(CAUSES_MAX)
        .map(|((reason, why), hidden)| {
            let text = format!("{why}; so {} could not be read", named(&hidden));
            let (code, help) = match reason {
                UnknownReason::Malformed => (
                    DiagnosticCode::Malformed,
                    "the endpoint returned an unexpected response: check what is between this machine and the cloud (an endpoint variable, a proxy), then run the same command again",
                ),
                _ => (DiagnosticCode::Denied, "the cloud is reachable but denied the request: fix that, then run the same command again"),
            };
            Diagnostic::warning(code, text).help(help)
        })
        .collect();
    if let Some(last) = told.last_mut().filter(|_| more > 0) {
        last.summary
            .push_str(&format!("; {more} more causes are shown at the resources that they affect"));
    }
    told
}

/// "`a`, `b`, `c` and 4 more".
fn named(addresses: &[&Address]) -> String {
    /// How many resources are named for each cause.
    const SHOWN: usize = 3;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
    match addresses.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Who said nothing.
#[derive(Default)]
struct UnreachableEndpoint {
    /// How many objects were not seen, by the fault domain that they are in.
    counts: BTreeMap<String, usize>,
    /// Those of which nothing recorded answered, though it was asked where it is: only they can be lost.
    may_be_lost: BTreeSet<String>,
    /// Clouds of which a list of all regions said nothing: then it is their API, or the way there.
    apis: BTreeSet<String>,
    /// One of the reasons.
    why: Option<String>,
    /// Something, somewhere, answered.
    is_heard: bool,
}

impl UnreachableEndpoint {
    fn of(it: &PlanBuilder<'_>) -> Self {
        let (catalog, stack) = (it.worlds.catalog, it.worlds.stack);
        let mut domains = FaultDomains::new(catalog, it.worlds.state);
        // What is only to be made has a place as well; what contains it comes before it.
        for planned in &it.planned {
            if let (Some(instance), Some(desired)) = (planned.instance, &planned.desired) {
                domains.take_in(catalog, stack, instance, desired);
            }
        }
        let mut silence = Self::default();
        let mut answered = BTreeSet::new();
        for planned in &it.planned {
            let address = &planned.change.address;
            let recorded = planned.record.and_then(|_| domains.of_record(address));
            let domain = recorded.or_else(|| domains.of_desired(address));
            match it.worlds.observed.get(address) {
                Some(Observation::Unknown(unseen)) if unseen.reason.is_no() => {
                    silence.is_heard = true;
                    answered.extend(domain.map(str::to_owned));
                }
                Some(Observation::Unknown(unseen)) => {
                    silence.take(planned, unseen, domain, recorded);
                }
                Some(seen @ (Observation::Exists { .. } | Observation::Absent)) => {
                    silence.is_heard = true;
                    // A list of all regions showed it, and where it is nobody answered.
                    let is_listed = matches!(seen, Observation::Exists { .. });
                    let is_unseen = is_listed && planned.change.unknown.is_some();
                    if let Some(domain) = domain.filter(|_| is_unseen) {
                        *silence.counts.entry(domain.to_owned()).or_default() += 1;
                    }
                    if is_asked_there(planned.kind) {
                        answered.extend(domain.map(str::to_owned));
                    }
                }
                None => {}
            }
        }
        let of_silent_api = |it: &str| {
            silence
                .apis
                .iter()
                .any(|api| it.strip_prefix(api.as_str()).is_some_and(|it| it.starts_with(':')))
        };
        silence.may_be_lost.retain(|it| !answered.contains(it) && !of_silent_api(it));
        silence
    }

    fn take(
        &mut self,
        planned: &PlannedChange<'_>,
        unseen: &Unreadable,
        domain: Option<&str>,
        recorded: Option<&str>,
    ) {
        let Some(domain) = domain else { return };
        *self.counts.entry(domain.to_owned()).or_default() += 1;
        self.why.get_or_insert_with(|| unseen.why.clone());
        // A list of all regions that fails says nothing of one of them; what is everywhere is not lost by halves.
        let may_be_lost = unseen.reason == UnknownReason::Unreachable
            && is_asked_there(planned.kind)
            && !is_global(planned.kind);
        if unseen.reason == UnknownReason::Unreachable && !may_be_lost {
            self.apis.insert(planned.kind.cloud.clone());
        }
        self.may_be_lost.extend(recorded.filter(|_| may_be_lost).map(str::to_owned));
    }

    fn told(&self, it: &PlanBuilder<'_>) -> Option<Diagnostic> {
        if self.counts.is_empty() {
            return None;
        }
        let counts = self.counts.iter();
        let named: Vec<String> = counts.map(|(it, count)| format!("{it} ({count})")).collect();
        let why = self.why.as_deref().unwrap_or_default();
        let text = format!(
            "could not read everything in {}: {why}; no changes are planned for what could not be read",
            named.join(", ")
        );
        Some(Diagnostic::warning(DiagnosticCode::UnseenFaultDomain, text).help(self.help(it)))
    }

    /// What to do, in commands that are safe to type.
    fn help(&self, it: &PlanBuilder<'_>) -> String {
        let stack = it.worlds.stack;
        let name = it.name();
        if it.options.intent == Intent::Destroy {
            let again = AdvisedCommand::Destroy { stack: &name };
            return format!("once it is reachable, {again} deletes what remains");
        }
        if !self.is_heard {
            return "no cloud could be reached at all: check this machine's network first, then run the same command again".into();
        }
        if self.may_be_lost.is_empty() || !stack.rehearses.is_empty() {
            return "this does not mean that a site is lost; run the same command again once it is reachable".into();
        }
        let declared = it.options.lost.iter().map(|it| it.fault_domain.as_str());
        let lost: BTreeSet<&str> =
            declared.chain(self.may_be_lost.iter().map(String::as_str)).collect();
        switch(it, &name, lost)
    }
}

/// Whether the switch of this plan moves users, or has.
fn moves_users(it: &PlanBuilder<'_>) -> bool {
    let has_shifted = it.worlds.state.and_then(State::unfinished_switch);
    has_shifted.is_some_and(SwitchRecord::has_shifted)
        || it.planned.iter().any(|it| leads_elsewhere(it.kind, &it.change))
}

/// What to do if these are lost: the switch that would live without them, where there is one that is not refused.
fn switch<'a>(it: &'a PlanBuilder<'_>, name: &'a str, lost: BTreeSet<&'a str>) -> String {
    let overlays = &it.worlds.stack.overlays;
    let state = it.worlds.state;
    let home = state.map(|it| it.home.as_slice()).unwrap_or_default();
    let lost_list = || lost.iter().copied().collect::<Vec<_>>();
    let leaves = it.options.from.as_ref().is_some_and(|from| from != overlays);
    let into = state
        .filter(|_| leaves)
        .and_then(|state| sends_into(it.worlds.catalog, it.worlds.stack, state, &lost));
    let if_lost =
        |switch: &AdvisedCommand<'_>| format!("if it stays unreachable and is lost: {switch}");
    if leaves && overlays == home && into.is_none() {
        return if_lost(&AdvisedCommand::Failback { stack: name, lost: lost_list() });
    }
    let (going, active) = (overlays.last(), state.map(|it| &it.active));
    // Who would go to what is lost is told another way, and so is who would go where no users are moved.
    let going = going.filter(|_| leaves && into.is_none() && moves_users(it));
    let ways = it.options.ways.iter().filter(|way| match &into {
        Some(_) => overlays.last() != Some(&way.overlay),
        None => going.is_some() || active.is_none_or(|active| !active.contains(&way.overlay)),
    });
    let fits = || fitting(ways.clone(), &lost).map(|it| it.overlay.as_str());
    match (going.map(String::as_str).or_else(fits), &into) {
        (Some(to), _) => if_lost(&AdvisedCommand::Failover {
            stack: name,
            to,
            lost: lost_list(),
            planned: false,
        }),
        (None, Some((address, domain))) => format!(
            "`{address}` would send users to {domain}, so this switch needs it: run the same command again once it is reachable; {} lists the available overlays",
            AdvisedCommand::FailoverWhere { stack: name }
        ),
        (None, None) => format!(
            "{} lists the available overlays",
            if_lost(&AdvisedCommand::FailoverWhere { stack: name })
        ),
    }
}
