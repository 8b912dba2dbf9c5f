//! Guards: what no plan does without being told to.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::{Diagnostic, Span};
pub use crate::engine::plan::asked::Allowed;
use crate::engine::plan::asked::{Intent, Options};
use crate::engine::plan::change::{Action, Change};
use crate::engine::plan::planned::{Planned, set_name};
use crate::engine::schema::{FaultDomain, Kind};
use crate::engine::stack::model::{Instance, Stack};
use crate::engine::stack::resolve::Resolved;
use crate::engine::stack::uses::named_by;
use crate::engine::state::record::State;
use crate::engine::value::Value;

/// Every refusal that follows from the changes.
pub fn guard(planned: &[Planned<'_>], state: Option<&State>, options: &Options) -> Vec<Diagnostic> {
    let mut refusals = Vec::new();
    for it in planned {
        refusals.extend(protected(it));
        if options.intent == Intent::Apply {
            refusals.extend(data(it, &options.allowed));
        }
    }
    if options.intent == Intent::Apply {
        refusals.extend(brake(planned, state, &options.allowed));
        refusals.extend(absent_brake(planned, &options.allowed));
    }
    refusals
}

/// `prevent_destroy`, remembered or declared, and the cloud's own protection.
fn protected(it: &Planned<'_>) -> Vec<Diagnostic> {
    if !it.change.action.destroys() {
        return Vec::new();
    }
    let address = &it.change.address;
    let verb = it.change.action.word();
    let mut refusals = Vec::new();
    let declared = it.instance.and_then(|it| it.resource.lifecycle.prevent_destroy);
    let remembered = it.record.is_some_and(|it| it.protected);
    if declared.unwrap_or(remembered) {
        let refusal = Diagnostic::refusal("prevent_destroy", format!("`{address}` is protected, and this plan would {verb} it"))
            .help(format!("apply `prevent_destroy: false` for it first, or run `lifeboat state unprotect STACK {address}`"));
        refusals.push(match it.instance.and_then(|it| it.resource.lifecycle.span) {
            Some(span) => refusal.at(span, "protected here"),
            None => refusal,
        });
    }
    for (name, _) in it.kind.attributes.iter().filter(|(_, it)| it.protects) {
        let on = it.record.and_then(|it| it.attributes.get(name)) == Some(&Value::Bool(true));
        if on {
            let text =
                format!("`{address}` has `{name}: true`, so the cloud will refuse to {verb} it");
            let refusal = Diagnostic::refusal("cloud_protection", text)
                .help(format!("apply `{name}: false` for it first"));
            let given = it.instance.and_then(|it| it.resource.attributes.get(name));
            refusals.push(match given {
                Some(given) => refusal.at(given.key, "protected here"),
                None => refusal,
            });
        }
    }
    refusals
}

fn data(it: &Planned<'_>, allowed: &Allowed) -> Option<Diagnostic> {
    if !it.change.loses_data || allowed.delete.contains(&it.change.address) {
        return None;
    }
    let address = &it.change.address;
    let word = it.change.action.word();
    let refusal = Diagnostic::refusal(
        "data_loss",
        format!("to {word} `{address}` ({}) loses its data", it.kind.kind),
    )
    .help(format!("if that is meant: --allow-delete '{address}'"));
    Some(match it.instance {
        Some(instance) => refusal.at(instance.resource.span, it.change.reason.clone()),
        None => refusal,
    })
}

/// More than max(3, 30 %) deleted or replaced.
fn brake(planned: &[Planned<'_>], state: Option<&State>, allowed: &Allowed) -> Option<Diagnostic> {
    let count = planned.iter().filter(|it| it.change.action.destroys()).count();
    let records = state.map_or(0, |it| it.records.len());
    let limit = (records * 3 / 10).max(3);
    if count <= limit || allowed.destroys.is_some_and(|it| count <= it) {
        return None;
    }
    Some(
        Diagnostic::refusal("many_destroys", format!("{count} of {records} objects would be deleted or replaced; more than {limit} at once needs a word"))
            .help(format!("if that is meant: --allow-destroys {count}")),
    )
}

/// More than max(2, 50 %) of one provider's objects absent: rather a wrong account than a catastrophe.
fn absent_brake(planned: &[Planned<'_>], allowed: &Allowed) -> Vec<Diagnostic> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for it in planned.iter().filter(|it| it.record.is_some()) {
        let entry = counts.entry(&it.kind.provider).or_default();
        entry.0 += 1;
        let absent = matches!(it.change.action, Action::Create | Action::Forget);
        entry.1 += usize::from(absent);
    }
    let over = |(all, absent): (usize, usize)| absent > (all / 2).max(2);
    counts
        .into_iter()
        .filter(|(_, counts)| over(*counts) && allowed.absent.is_none_or(|it| counts.1 > it))
        .map(|(provider, (all, absent))| {
            Diagnostic::refusal(
                "many_absent",
                format!("{absent} of {all} recorded {provider} objects are absent"),
            )
            .help(format!(
                "check the account and the token; if they really are gone: --allow-absent {absent}"
            ))
        })
        .collect()
}

/// Something of the same identity is there and not in state.
pub fn exists_already(instance: &Instance, kind: &Kind, resolved: &Resolved) -> Diagnostic {
    let identity: Vec<String> = kind
        .identity
        .by
        .iter()
        .map(|name| {
            format!(
                "{name} {}",
                resolved.attributes.get(name).map_or_else(String::new, |it| it.json().to_string())
            )
        })
        .collect();
    let text =
        format!("a {} with {} exists already and is not in state", kind.kind, identity.join(", "));
    Diagnostic::refusal("exists_already", text)
        .at(instance.resource.span, format!("`{}` would be made a second time", instance.address))
        .help("give it another name, or delete the other one; nothing is taken over by itself")
}

pub fn unchangeable(
    instance: &Instance,
    kind: &Kind,
    name: &str,
    resolved: &Resolved,
) -> Diagnostic {
    let span = resolved.span(name).unwrap_or(instance.resource.span);
    Diagnostic::error(
        "unchangeable",
        format!("`{name}` of `{}` cannot be changed", instance.address),
    )
    .at(span, format!("{} neither changes nor replaces for it", kind.kind))
}

/// The same name stands for something else now.
pub fn kind_changed(instance: &Instance, recorded: &str) -> Diagnostic {
    let address = &instance.address;
    let now = &instance.resource.kind;
    Diagnostic::error("kind_changed", format!("`{address}` was a {recorded} and is a {now} now"))
        .at(instance.resource.span, "the object behind this name would be lost sight of")
        .help("give the new resource another name: the old one is then deleted, and the new one created")
}

/// What only belongs inside, or beside, what was borrowed would change it for its owner.
pub fn touches_borrowed(
    stack: &Stack,
    instance: &Instance,
    kind: &Kind,
    change: &Change,
) -> Option<Diagnostic> {
    if change.action == Action::NoOp || stack.lent.is_empty() {
        return None;
    }
    let is_global = matches!(kind.fault_domain, FaultDomain::Global(_));
    let attributes = kind.contains_in.iter().filter(|_| !is_global);
    let joins = kind.references().map(|(name, _)| name).filter(|_| kind.group.is_some());
    let lent = attributes.chain(joins).flat_map(|it| named_by(stack, instance, it));
    let lent = lent.into_iter().find(|it| stack.lent.contains_key(it))?;
    let text = format!("`{}` would change `{lent}`, which is only borrowed", instance.address);
    Some(
        Diagnostic::refusal("touches_borrowed", text)
            .at(
                instance.resource.span,
                format!("the {} of another instance would change", kind.kind),
            )
            .help(format!(
                "borrow `{}` as well, or give this instance a `{lent}` of its own",
                instance.resource.name
            )),
    )
}

/// Another instance has an object of this identity.
pub fn collides(instance: &Instance, kind: &Kind, resolved: &Resolved, whose: &str) -> Diagnostic {
    let named = kind.identity.by.iter().rev().find_map(|it| resolved.span(it));
    let span = named.unwrap_or(instance.resource.span);
    let text = format!("`{}` has the identity of {whose}", instance.address);
    Diagnostic::refusal("instance_collision", text)
        .at(span, format!("the same {} in two instances of one stack", kind.kind))
        .help("give it another name in the overlay of this instance, or borrow it")
}

/// A switch that needs what is not there, and cannot be made.
pub fn never_recorded(
    instance: &Instance,
    need: &Address,
    span: Span,
    theirs: Option<Span>,
) -> Diagnostic {
    let text = format!(
        "`{}` needs a value of `{need}`, which was never made, and its fault domain is lost",
        instance.address
    );
    let told = Diagnostic::error("never_recorded", text).at(span, "this use cannot be filled in");
    match theirs {
        Some(span) => told.at(span, "this is to be made in a fault domain that is lost"),
        None => told,
    }
    .help("take it out of the overlay, or declare it in a fault domain that lives")
}

/// Nothing of a cloud can be reached, and something of it would have to change.
pub fn cloud_lost(planned: &[Planned<'_>], clouds: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let mut refusals = Vec::new();
    for (cloud, domain) in clouds {
        let waits = |it: &&Planned<'_>| it.kind.cloud == *cloud && it.change.held.is_some();
        let count = planned.iter().filter(waits).count();
        if let Some(first) = planned.iter().find(waits) {
            let text = format!(
                "{domain} is lost, so nothing of {cloud} can be changed, and {count} of its objects would have to, `{}` first",
                first.change.address
            );
            refusals.push(Diagnostic::refusal("cloud_lost", text).help(
                "wait until its API answers; `lifeboat found STACK FAULT_DOMAIN` says that it does",
            ));
        }
    }
    refusals
}

/// What did not answer, in words that can be typed.
pub fn unseen_domains(
    domains: &BTreeMap<String, usize>,
    stack: &str,
    intent: Intent,
) -> Option<Diagnostic> {
    if domains.is_empty() {
        return None;
    }
    let named: Vec<String> =
        domains.iter().map(|(name, count)| format!("{name} ({count} not seen)")).collect();
    let flags: Vec<String> = domains.keys().map(|it| format!("--lost {it}")).collect();
    let text = format!(
        "no full answer about {}; nothing is planned against what was not seen",
        named.join(", ")
    );
    let help = match intent {
        Intent::Apply => {
            format!("if it is lost: `lifeboat failover {stack} --to OVERLAY {}`", flags.join(" "))
        }
        Intent::Destroy => {
            format!("`lifeboat destroy {stack}` again, when it answers, deletes what is left")
        }
    };
    Some(Diagnostic::warning("unseen_fault_domain", text).help(help))
}

/// A create without its secret.
pub fn missing_secret(instance: &Instance, name: &str, span: Span) -> Diagnostic {
    let text = format!("`{}` cannot be made without its secret `{name}`", instance.address);
    Diagnostic::error("missing_secret", text)
        .at(span, "a sensitive variable used here is not given")
        .help("give it with LIFEBOAT_VAR_NAME=…, --var-file or --var NAME=…")
}

pub fn unknown_kind(address: &Address, kind: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown_kind_in_state",
        format!("state holds `{address}` of kind `{kind}`, which this lifeboat does not know"),
    )
    .help("use the lifeboat that made it, or a newer one")
}

/// The serving order contradicts the dependencies.
pub fn no_serving_order(allowed: &Allowed, told: &str) -> Option<Diagnostic> {
    (!allowed.outage).then(|| {
        let text = format!("no order of these changes keeps something serving all the time: {told}");
        Diagnostic::refusal("no_serving_order", text)
            .help("use `lifecycle: { create_before_destroy: true }`, make the change in two applies, or pass --allow-outage")
    })
}

/// Users are sent to what is lost, and stay so.
pub fn leads_into_lost(it: &Planned<'_>, target: &Address, domain: &str) -> Diagnostic {
    let address = &it.change.address;
    let text = format!("`{address}` directs users to `{target}`, and {domain} is lost");
    let warning = Diagnostic::warning("leads_into_lost", text)
        .help("a switch to an overlay that directs it elsewhere brings them to a site that lives");
    match it.instance {
        Some(instance) => warning.at(instance.resource.span, "nobody is served there"),
        None => warning,
    }
}

/// Users would be sent from what lives to what is lost.
pub fn into_lost(it: &Planned<'_>, target: &Address, domain: &str, stack: &str) -> Diagnostic {
    let address = &it.change.address;
    let does = if it.change.action.destroys() { "leave" } else { "direct" };
    let text = format!("`{address}` would {does} users to `{target}`, and {domain} is lost");
    let help = format!(
        "switch to a site that lives; if it answers again, leave `--lost {domain}` out, or, where state says that it is \
         lost: `lifeboat found {stack} {domain}`; or pass --allow-outage"
    );
    let refusal = Diagnostic::refusal("lost_target", text).help(help);
    match it.instance {
        Some(instance) => refusal.at(instance.resource.span, "nobody would be served there"),
        None => refusal,
    }
}

/// Serving sets in which nothing would be left, or nothing for a while.
pub fn emptied_sets(
    planned: &[Planned<'_>],
    sets: &BTreeMap<String, Vec<usize>>,
    allowed: &Allowed,
    left: &BTreeSet<Address>,
) -> Vec<Diagnostic> {
    if allowed.outage {
        return Vec::new();
    }
    let going: BTreeSet<&Address> = planned
        .iter()
        .filter(|it| it.change.action.destroys())
        .map(|it| &it.change.address)
        .collect();
    let holders = holders(planned);
    let mut refusals = Vec::new();
    for (name, members) in sets {
        let members: Vec<&Planned<'_>> = members.iter().map(|at| &planned[*at]).collect();
        let was = |it: &&&Planned<'_>| {
            it.record.is_some_and(|record| set_name(it.kind, &record.attributes) == *name)
                && it.change.action != Action::Forget
        };
        let stays = |it: &&Planned<'_>| {
            !going.contains(&it.change.address)
                && it.desired.as_ref().is_some_and(|desired| set_name(it.kind, desired) == *name)
        };
        let leaving: Vec<&&Planned<'_>> =
            members.iter().filter(was).filter(|it| going.contains(&it.change.address)).collect();
        // With its container gone there is no set left to serve from.
        let orphaned =
            leaving.iter().all(|it| container(it, &holders).is_some_and(|it| going.contains(it)));
        let nobody_comes = leaving.iter().all(|it| left.contains(&it.change.address));
        if leaving.is_empty() || orphaned || nobody_comes || members.iter().any(stays) {
            continue;
        }
        refusals.push(emptied(leaving[0]));
    }
    refusals
}

/// Recorded objects by kind and id.
fn holders<'a>(planned: &'a [Planned<'_>]) -> BTreeMap<(&'a str, &'a str), &'a Address> {
    planned
        .iter()
        .filter_map(|it| it.record.map(|record| ((&*record.kind, &*record.id), &it.change.address)))
        .collect()
}

fn container<'a>(
    it: &Planned<'_>,
    holders: &BTreeMap<(&str, &str), &'a Address>,
) -> Option<&'a Address> {
    let attribute = it.kind.contains_in.as_ref()?;
    let kind = it.kind.attributes.get(attribute)?.to.as_ref()?;
    let id = it.record?.attributes.get(attribute)?.as_text()?;
    holders.get(&(kind.as_str(), id)).copied()
}

fn emptied(it: &Planned<'_>) -> Diagnostic {
    let address = &it.change.address;
    let refusal = Diagnostic::refusal("empties_serving_set", format!("to {} `{address}` leaves nothing that serves in its place", it.change.action.word()))
        .help("add its successor first, use `lifecycle: { create_before_destroy: true }`, or pass --allow-outage");
    match it.instance {
        Some(instance) => refusal.at(instance.resource.span, it.change.reason.clone()),
        None => refusal,
    }
}
