//! Names that lead users to what is lost, and that nothing leads elsewhere: those users are not where they are wanted.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::{Instance, InstanceShape};
use crate::engine::observed::Observation;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::{Action, Stray};
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_change::{PlannedChange, set_name};
use crate::engine::plan::traffic::serving::after;
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// Where one of our names leads.
struct LedName<'a> {
    address: &'a Address,
    /// Others of it answer for the same name.
    set: String,
    target: String,
    to: Vec<Address>,
    /// This plan leads it there.
    is_moved: bool,
}

/// A name that leads to what is lost.
struct Found<'a> {
    led: &'a LedName<'a>,
    to: Address,
    fault_domain: String,
    /// Another record of the name leads elsewhere.
    is_served: bool,
}

/// A name none of whose ways is known to live leads nobody where he is served.
fn into_lost<'a>(
    names: &'a [LedName<'a>],
    lost: impl Fn(&Address) -> Option<String>,
) -> Vec<Found<'a>> {
    // A way that leads to several things is one into what is lost only where all of these are.
    let domain = |it: &LedName<'_>| {
        let domains: Option<Vec<String>> = it.to.iter().map(&lost).collect();
        Some((it.to.first()?.clone(), domains?.into_iter().next()?))
    };
    let living = names.iter().filter(|it| domain(it).is_none());
    let living: BTreeSet<&str> = living.map(|it| it.set.as_str()).collect();
    let found = names.iter().filter_map(|led| {
        let (to, fault_domain) = domain(led)?;
        Some(Found { led, to, fault_domain, is_served: living.contains(led.set.as_str()) })
    });
    found.collect()
}

fn texts<'a>(kind: &Kind, value: impl Fn(&str) -> Option<&'a Value>) -> Vec<&'a str> {
    kind.traffic.iter().filter_map(|it| value(it)?.as_text()).collect()
}

fn is_name<'a>(kind: &Kind, value: impl Fn(&str) -> Option<&'a Value>) -> bool {
    kind.drain.is_some() && kind.directs_users(value)
}

/// The same as far as state knows, without layers.
pub fn recorded(catalog: &Catalog, state: &State) -> Vec<Stray> {
    if state.lost.is_empty() {
        return Vec::new();
    }
    let (records, domains) =
        (RecordedTopology::new(catalog, state), FaultDomains::new(catalog, Some(state)));
    let names = state.records.iter().filter_map(|(address, record)| {
        let kind = catalog.get(&record.kind)?;
        let value = |name: &str| record.attributes.get(name);
        is_name(kind, value).then(|| LedName {
            address,
            set: set_name(kind, &record.attributes),
            target: texts(kind, value).join(", "),
            to: records.leads_to(kind, record),
            is_moved: false,
        })
    });
    let names: Vec<LedName<'_>> = names.collect();
    let lost = |it: &Address| {
        let kind = catalog.get(&state.records.get(it)?.kind)?;
        let domain = domains.of_record(it).filter(|_| !is_global(kind))?;
        state.lost.iter().any(|lost| lost.fault_domain == domain).then(|| domain.to_owned())
    };
    let found = into_lost(&names, lost).into_iter().filter(|it| !it.is_served);
    let stray = |it: Found<'_>| {
        let kind = state.records.get(it.led.address).and_then(|it| catalog.get(&it.kind));
        let attribute = kind.and_then(|it| it.traffic.first()).map_or("target", String::as_str);
        let (stack, overlays, home) = (&state.stack, &state.active, &state.home);
        let name = state.name();
        let remedy = Remedy { stack, overlays, home, shown: Some(&name) };
        it.stray(remedy.of(&it.led.address.name, attribute, None))
    };
    found.map(stray).collect()
}

/// A cloud whose API is lost may well serve on.
fn is_global(kind: &Kind) -> bool {
    matches!(kind.fault_domain, FaultDomain::Global(_))
}

/// In a sentence.
pub fn sentence(it: &Stray) -> String {
    let (to, domain) = (&it.to, &it.fault_domain);
    format!("it sends users to {} (`{to}`), but {domain} is lost", it.target)
}

impl Found<'_> {
    fn stray(&self, remedy: String) -> Stray {
        Stray {
            address: self.led.address.clone(),
            target: self.led.target.clone(),
            to: self.to.clone(),
            fault_domain: self.fault_domain.clone(),
            remedy,
        }
    }
}

/// The layers in which a name is led elsewhere.
struct Remedy<'a> {
    stack: &'a str,
    overlays: &'a [String],
    home: &'a [String],
    /// As commands name it; `None`: a drill, which deletes everything anyway.
    shown: Option<&'a str>,
}

impl Remedy<'_> {
    /// `like`: another name that is served, and what the layers write for it.
    fn of(&self, name: &str, attribute: &str, like: Option<(String, &Address)>) -> String {
        let Some(overlay) = self.overlays.last().filter(|_| self.overlays != self.home) else {
            return "a switch to an overlay that points it elsewhere moves them to a healthy site"
                .to_owned();
        };
        let file = format!("stacks/{}/overlays/{overlay}.yaml", self.stack);
        let then = self.shown.map(|stack| format!("; then {}", AdvisedCommand::Apply { stack }));
        let then = then.unwrap_or_default();
        match like {
            Some((value, other)) => format!(
                "write `{name}: {{ {attribute}: '{value}' }}`, like `{other}`, under `resources` in {file}{then}"
            ),
            None => format!(
                "set a healthy `{attribute}` for `{name}` under `resources` in {file}{then}"
            ),
        }
    }
}

impl PlanBuilder<'_> {
    /// Names that lead to what is lost when this plan is carried out, each told; those of which nobody is served.
    pub fn strays(&mut self) -> Vec<Stray> {
        if self.options.lost.is_empty() || self.options.intent == Intent::Destroy {
            return Vec::new();
        }
        let global: Vec<&String> = self.frozen.clouds().values().collect();
        let frozen = self.planned.iter().filter_map(|it| {
            let domain = it.change.frozen.clone().filter(|it| !global.contains(&it))?;
            Some((it.change.address.clone(), domain))
        });
        let lost: BTreeMap<Address, String> = frozen.collect();
        let wanted = DesiredTopology::new(self.worlds.catalog, self.worlds.stack);
        let recorded = self.worlds.state.map(|it| RecordedTopology::new(self.worlds.catalog, it));
        let names = self.planned.iter().filter_map(|it| {
            let seen = self.worlds.observed.get(&it.change.address);
            led(it, &wanted, recorded.as_ref(), seen)
        });
        let names: Vec<LedName<'_>> = names.collect();
        let found = into_lost(&names, |it| lost.get(it).cloned());
        let at: BTreeMap<&Address, &PlannedChange<'_>> =
            self.planned.iter().map(|it| (&it.change.address, it)).collect();
        let patterns = AddressPatterns::of(&names, &lost, &at);
        let (stack, name) = (self.worlds.stack, self.name());
        let home = self.worlds.state.map_or(&[][..], |it| &it.home);
        let shown = Some(name.as_str()).filter(|_| stack.rehearses.is_empty());
        let remedy = Remedy { stack: &stack.name, overlays: &stack.overlays, home, shown };
        let mut told = Vec::new();
        let mut strays = Vec::new();
        for it in found {
            let address = it.led.address;
            let Some(planned) = at.get(address).copied() else { continue };
            let attribute = planned.kind.traffic.first().map_or("target", String::as_str);
            let like = patterns.like(planned);
            let mended = remedy.of(&address.name, attribute, like);
            let stray = it.stray(mended);
            told.push(warning(&stray, planned.instance));
            // Who sends users there, and says that nobody is served meanwhile, wants them there.
            let is_meant = it.led.is_moved && self.options.allowed.outage;
            strays.extend((!it.is_served && !is_meant).then_some(stray));
        }
        self.diagnostics.extend(told);
        strays
    }
}

/// What the layers write for names that lead to what lives, the first of each kind and sort.
struct AddressPatterns<'a>(BTreeMap<(&'a str, Option<String>), (String, &'a Address)>);

impl<'a> AddressPatterns<'a> {
    fn of(
        names: &[LedName<'a>],
        lost: &BTreeMap<Address, String>,
        at: &BTreeMap<&'a Address, &'a PlannedChange<'_>>,
    ) -> Self {
        let mut found = BTreeMap::new();
        let lives =
            |it: &&LedName<'a>| !it.to.is_empty() && !it.to.iter().any(|it| lost.contains_key(it));
        for led in names.iter().filter(lives) {
            let Some(other) = at.get(led.address).copied() else { continue };
            let written = || {
                let instance = other.instance.filter(|it| it.each.is_none())?;
                let given = instance.resource.attributes.get(other.kind.traffic.first()?)?;
                let InstanceShape::Expression(it) = &given.term.shape else { return None };
                Some(format!("${{{}}}", it.text))
            };
            if let Some(written) = written() {
                let key = (other.kind.kind.as_str(), sort(other));
                found.entry(key).or_insert((written, led.address));
            }
        }
        Self(found)
    }

    fn like(&self, it: &PlannedChange<'_>) -> Option<(String, &'a Address)> {
        self.0.get(&(it.kind.kind.as_str(), sort(it))).cloned()
    }
}

/// Whether two names of a kind can lead to the same: as text, the attribute that decides it.
fn sort(it: &PlannedChange<'_>) -> Option<String> {
    let alike = it.kind.serving_alike.as_ref()?;
    Some(after(it)?.get(&alike.attribute)?.json().to_string())
}

/// Where a name leads when the plan is carried out. What is left alone leads where it was seen to lead: a run that was killed
/// behind its call has not recorded it.
fn led<'a>(
    it: &'a PlannedChange<'_>,
    wanted: &DesiredTopology<'_>,
    recorded: Option<&RecordedTopology<'_>>,
    seen: Option<&Observation>,
) -> Option<LedName<'a>> {
    let mut attributes = after(it)?;
    let mut is_elsewhere = false;
    if let (Action::NoOp, Some(Observation::Exists { attributes: seen, .. })) =
        (it.change.action, seen)
    {
        for (name, value) in seen.iter().filter(|(name, _)| it.kind.directs(name)) {
            is_elsewhere |= attributes.get(name) != Some(value);
            attributes.to_mut().insert(name.clone(), value.clone());
        }
    }
    let value = |name: &str| attributes.get(name);
    if !is_name(it.kind, value) {
        return None;
    }
    let is_changed = it.record.is_none()
        || it.change.action.destroys()
        || it.change.attributes.iter().any(|changed| it.kind.directs(&changed.name))
        || is_elsewhere;
    let named = || it.instance.map(|one| wanted.targets(it.kind, one)).unwrap_or_default();
    let texts = texts(it.kind, value);
    let to = match (it.record, recorded) {
        (Some(record), Some(all)) if !is_changed => all.leads_to(it.kind, record),
        (_, Some(all)) => {
            let standing = texts.iter().flat_map(|it| all.standing_at(it)).cloned();
            let standing: Vec<Address> = standing.collect();
            if standing.is_empty() { named() } else { standing }
        }
        (_, None) => named(),
    };
    let set = set_name(it.kind, &attributes);
    let (address, target) = (&it.change.address, texts.join(", "));
    Some(LedName { address, set, target, to, is_moved: is_changed })
}

fn warning(it: &Stray, instance: Option<&Instance>) -> Diagnostic {
    let (address, to, domain) = (&it.address, &it.to, &it.fault_domain);
    let text = format!("`{address}` sends users to `{to}`, but {domain} is lost");
    let warning = Diagnostic::warning(DiagnosticCode::LeadsIntoLost, text).help(it.remedy.clone());
    match instance {
        Some(instance) => warning.at(instance.resource.span, "users are not served there"),
        None => warning,
    }
}
