//! Guards: what no plan does without being told to.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::{named_by, variables_of};
use crate::engine::lang::model::{Instance, Stack, Variable};
use crate::engine::lang::resolve::Resolved;
use crate::engine::plan::availability::replica_group::RemainingCopies;
use crate::engine::plan::diff::drift::drifted;
use crate::engine::plan::guard::brakes::{many_absent, many_destroys};
use crate::engine::plan::model::change::{
    Action, AttributeChange, Change, DeferReason, LossDeclaration,
};
pub use crate::engine::plan::model::options::Allowances;
use crate::engine::plan::model::options::{Intent, PlanOptions};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::{FaultDomain, Kind};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::Value;

/// Every refusal that follows from the changes.
pub fn guard(
    planned: &[PlannedChange<'_>],
    state: Option<&State>,
    options: &PlanOptions,
    whose: Whose<'_>,
) -> Vec<Diagnostic> {
    let mut refusals = Vec::new();
    for it in planned {
        refusals.extend(protected(it, options.intent, whose));
        refusals.extend(drifted(it, options, whose.name));
        refusals.extend(slow(it));
        if options.intent == Intent::Apply {
            refusals.extend(data(it, &options.allowed, whose.copies));
        }
    }
    if options.intent == Intent::Apply {
        refusals.extend(many_destroys(planned, state, &options.allowed));
        refusals.extend(many_absent(planned, &options.allowed));
    }
    refusals
}

/// The stack that a plan is of, for advice about it.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// As commands name it: `shop@drill`.
    pub name: &'a str,
    /// Of a workspace: the overlay that it is made of.
    pub overlay: Option<&'a str>,
    pub variables: &'a BTreeMap<String, Variable>,
    pub copies: &'a RemainingCopies,
}

/// How a protection is lifted, by who it was put up. The protection of the plain stack is none of a workspace's business.
fn lifted(address: &Address, declared: bool, whose: Whose<'_>) -> String {
    let off = "lifecycle: { prevent_destroy: false }";
    if let Some(overlay) = whose.overlay {
        let name = &address.name;
        return format!(
            "set `{off}` for `{name}` in the overlay `{overlay}`: that removes the protection in {} only",
            whose.name
        );
    }
    if declared {
        return format!("set `{off}` there, and apply that before destroying it");
    }
    let address = address.to_string();
    let unprotect = AdvisedCommand::StateUnprotect { stack: whose.name, address: &address };
    format!(
        "the protection is no longer declared, but still recorded in the state; to clear it: {unprotect}"
    )
}

/// `prevent_destroy`, remembered or declared, and the cloud's own protection.
fn protected(it: &PlannedChange<'_>, intent: Intent, whose: Whose<'_>) -> Vec<Diagnostic> {
    if !it.change.action.destroys() {
        return Vec::new();
    }
    let address = &it.change.address;
    let verb = it.change.action.word();
    let mut refusals = Vec::new();
    let declared = it.instance.and_then(|it| it.resource.lifecycle.prevent_destroy);
    let remembered = it.record.is_some_and(|it| it.protected);
    if declared.unwrap_or(remembered) {
        let refusal = Diagnostic::refusal(
            DiagnosticCode::PreventDestroy,
            format!("`{address}` has `prevent_destroy`, but this plan would {verb} it"),
        )
        .help(lifted(address, declared.is_some(), whose));
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
            // A destroy declares nothing, whatever the layers say.
            let is_dropped = it.instance.is_none() && intent == Intent::Apply;
            let help = if is_dropped {
                format!(
                    "it is no longer declared: declare it again with `{name}: false`, apply that, and then remove it"
                )
            } else {
                switched_off(it.instance, name, whose)
            };
            let refusal = Diagnostic::refusal(DiagnosticCode::CloudProtection, text).help(help);
            let given = it.instance.and_then(|it| it.resource.attributes.get(name));
            refusals.push(match given {
                Some(given) => refusal.at(given.key, "protected here"),
                None => refusal,
            });
        }
    }
    refusals
}

/// How the cloud's own protection is taken off: by the variable that puts it up, if it is one that was given from outside.
fn switched_off(instance: Option<&Instance>, attribute: &str, whose: Whose<'_>) -> String {
    let stack = whose.name;
    let used = instance.map(|it| variables_of(it, attribute)).unwrap_or_default();
    let variables = used.iter().filter_map(|name| Some((name, whose.variables.get(name)?)));
    let mut on = variables.filter(|(_, it)| it.value == Value::Bool(true) && !it.is_secret());
    if let Some((name, variable)) = on.find(|(_, it)| it.is_given()) {
        let off =
            AdvisedCommand::ApplyVariables { stack, variables: vec![format!("{name}=false")] };
        let from = &variable.from;
        return format!(
            "it is so because the variable `{name}` is true, from {from}; to take that back: {off}, then run the same command again"
        );
    }
    format!("set `{attribute}: false` for it and apply that first")
}

/// A change that takes the cloud so long that who asks for it should know.
fn slow(it: &PlannedChange<'_>) -> Vec<Diagnostic> {
    if it.change.action != Action::Update {
        return Vec::new();
    }
    let changes =
        it.change.attributes.iter().filter(|it| !it.before.is_null() && !it.after.is_null());
    let slow = changes
        .filter_map(|change| Some((&change.name, it.kind.attribute(&change.name)?.slow.as_ref()?)));
    slow.map(|(name, slow)| {
        let text =
            format!("changing `{name}` of `{}` takes a long time: {}", it.change.address, slow.says);
        let told = Diagnostic::warning(DiagnosticCode::SlowChange, text).help(format!(
            "lifeboat waits up to {} min for it; if the run is stopped meanwhile, the next run resumes",
            slow.within_seconds / 60
        ));
        match it.instance.and_then(|it| it.resource.attributes.get(name)) {
            Some(given) => told.at(given.key, "requested here"),
            None => told,
        }
    })
    .collect()
}

/// How what holds data is kept: it is still declared where it is to be made anew.
fn keeping(it: &PlannedChange<'_>) -> &'static str {
    match it.change.action {
        Action::Replace { .. } => "take back what forces the replacement",
        _ if it.instance.is_some() => "declare it as it was",
        _ => "declare it again in the stack or its overlay",
    }
}

fn data(
    it: &PlannedChange<'_>,
    allowed: &Allowances,
    copies: &RemainingCopies,
) -> Option<Diagnostic> {
    if !it.change.loses_data || allowed.delete.contains(&it.change.address) {
        return None;
    }
    let address = &it.change.address;
    let word = it.change.action.word();
    let what = copies.get(address).map_or_else(
        || " and permanently delete its data".to_owned(),
        |copy| format!(": {}", copy.sentence()),
    );
    let refusal = Diagnostic::refusal(
        DiagnosticCode::DataLoss,
        format!("this plan would {word} `{address}` ({}){what}", it.kind.kind),
    )
    .help(format!("{}, or allow this: --allow-delete '{address}'", keeping(it)));
    Some(match it.instance {
        Some(instance) => refusal.at(instance.resource.span, it.change.reason.clone()),
        None => refusal,
    })
}

/// Something of the same identity is there and not in state.
pub fn exists_already(
    instance: &Instance,
    kind: &Kind,
    resolved: &Resolved,
    recorded: Option<&Address>,
) -> Diagnostic {
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
    let (what, address) =
        (format!("a {} with {}", kind.kind, identity.join(", ")), &instance.address);
    let place = format!("`{address}` would be created a second time");
    let (text, help) = if let Some(recorded) = recorded {
        let help = format!(
            "if you renamed `{recorded}` to `{address}`, add `moved_from: {recorded}` to `{address}`: the existing resource is kept"
        );
        (format!("{what} already exists: it is recorded in the state as `{recorded}`"), help)
    } else {
        let help = "it was created outside this state, or the state is outdated: choose another name; what carries no tag of this stack is never adopted automatically";
        (format!("{what} already exists and is not in state"), help.to_owned())
    };
    Diagnostic::refusal(DiagnosticCode::ExistsAlready, text)
        .at(instance.resource.span, place)
        .help(help)
}

/// It is there, and being deleted: nothing can be made of it, and nothing in its place yet.
pub fn still_leaving(instance: &Instance, kind: &Kind, is_ours: bool) -> Diagnostic {
    let address = &instance.address;
    let whose = if is_ours { "lifeboat is deleting it" } else { "it is being deleted" };
    Diagnostic::refusal(
        DiagnosticCode::StillLeaving,
        format!("`{address}` ({}) is still being deleted: {whose}", kind.kind),
    )
    .at(instance.resource.span, format!("`{address}` cannot be created before that"))
    .help(
        "wait a few minutes until it has been deleted, then run this command again to create it anew",
    )
}

/// The refusal of a change that the kind can carry out neither in place nor by replacing.
pub fn unchangeable(
    instance: &Instance,
    kind: &Kind,
    change: &AttributeChange,
    resolved: &Resolved,
) -> Diagnostic {
    let (name, address) = (&change.name, &instance.address);
    let span = resolved.span(name).unwrap_or(instance.resource.span);
    let attribute = kind.attribute(name);
    let why = attribute.and_then(|it| it.meaning(&change.before, &change.after).1);
    let label = why.map_or_else(
        || format!("{} does not support changing this attribute", kind.kind),
        str::to_owned,
    );
    if change.before.has_secret() || change.after.has_secret() {
        let text = format!("`{name}` of `{address}` cannot be changed");
        return Diagnostic::error(DiagnosticCode::Unchangeable, text).at(span, label);
    }
    let (before, after) = (change.before.json(), change.after.json());
    let text = format!("`{name}` of `{address}` cannot be changed from {before} to {after}");
    let help = format!("to keep it as it is, set `{name}: {before}`");
    Diagnostic::error(DiagnosticCode::Unchangeable, text).at(span, label).help(help)
}

/// The same name stands for something else now.
pub fn kind_changed(instance: &Instance, recorded: &str) -> Diagnostic {
    let address = &instance.address;
    let now = &instance.resource.kind;
    Diagnostic::error(
        DiagnosticCode::KindChanged,
        format!("`{address}` is recorded as {recorded} but declared as {now}"),
    )
    .at(instance.resource.span, "the existing resource would no longer be tracked")
    .help("give the new resource another name: then the old one is deleted and the new one created")
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
        Diagnostic::refusal(DiagnosticCode::TouchesBorrowed, text)
            .at(
                instance.resource.span,
                format!("the {} of another workspace would change", kind.kind),
            )
            .help(format!(
                "borrow `{}`, too, or give this workspace its own `{lent}`",
                instance.resource.name
            )),
    )
}

/// Another instance has an object of this identity.
pub fn collides(instance: &Instance, kind: &Kind, resolved: &Resolved, whose: &str) -> Diagnostic {
    let named = kind.identity.by.iter().rev().find_map(|it| resolved.span(it));
    let span = named.unwrap_or(instance.resource.span);
    let text = format!("`{}` has the identity of {whose}", instance.address);
    Diagnostic::refusal(DiagnosticCode::InstanceCollision, text)
        .at(span, format!("the same {} in two workspaces of one stack", kind.kind))
        .help("give it another name in the overlay of this workspace, or borrow it")
}

/// A switch that needs what is not there, and cannot be made.
pub fn never_recorded(
    instance: &Instance,
    need: &Address,
    span: Span,
    theirs: Option<Span>,
) -> Diagnostic {
    let text = format!(
        "`{}` depends on a value of `{need}`, which was never created, and its fault domain is lost",
        instance.address
    );
    let told = Diagnostic::error(DiagnosticCode::NeverRecorded, text)
        .at(span, "this reference cannot be resolved");
    match theirs {
        Some(span) => told.at(span, "this resource would be created in a lost fault domain"),
        None => told,
    }
    .help("remove it from the overlay, or declare it in a healthy fault domain")
}

/// Nothing of a cloud can be reached, and something of it would have to change.
pub fn cloud_lost(
    planned: &[PlannedChange<'_>],
    clouds: &BTreeMap<String, String>,
    stack: &str,
) -> Vec<Diagnostic> {
    let mut refusals = Vec::new();
    for (cloud, domain) in clouds {
        let waits =
            |it: &&PlannedChange<'_>| it.kind.cloud == *cloud && it.change.deferred.is_some();
        let count = planned.iter().filter(waits).count();
        if let Some(first) = planned.iter().find(waits) {
            let text = format!(
                "{domain} is lost, so nothing in {cloud} can be changed, but this plan has to change {count} of its resources, first `{}`",
                first.change.address
            );
            let found = AdvisedCommand::Recovered { stack, fault_domain: domain };
            let help = format!("wait until its API is reachable; then: {found}");
            refusals.push(Diagnostic::refusal(DiagnosticCode::CloudLost, text).help(help));
        }
    }
    refusals
}

/// A destroy took things away and did not come to its end: a switch that leaves them out would say that it is over, though
/// nobody may be served.
pub fn half_destroyed(
    planned: &[PlannedChange<'_>],
    state: Option<&State>,
    (to, lost): (&[String], &[LossDeclaration]),
) -> Option<Diagnostic> {
    let state = state?;
    let was_destroying = state.last_run.as_ref().is_some_and(|it| it.destroys);
    let is_missing = |it: &&PlannedChange<'_>| {
        let address = &it.change.address;
        let held = it.change.deferred.as_ref();
        held.is_some_and(|it| it.wait == DeferReason::Pending && it.action == Action::Create)
            && (state.destroyed.contains(address) || (was_destroying && it.record.is_some()))
    };
    let first = planned.iter().find(is_missing)?;
    let count = planned.iter().filter(is_missing).count();
    let text = format!(
        "a destroy of this stack was interrupted: {count} of its resources no longer exist, among them `{}`, and the switch alone does not create them again",
        first.change.address
    );
    let switch =
        state.whole_switch(to, lost.is_empty()).unwrap_or_else(|| "`--include-pending`".to_owned());
    let switch = format!("{switch} creates them again and switches");
    Some(Diagnostic::refusal(DiagnosticCode::HalfDestroyed, text).help(switch))
}

/// Somebody changed what only its secret could compare.
pub fn secret_drift(instance: &Instance, name: &str, resolved: &Resolved) -> Diagnostic {
    let span = resolved.span(name).unwrap_or(instance.resource.span);
    let text = format!(
        "`{name}` of `{}` was changed outside of lifeboat and cannot be compared with the configuration, because its secret is not set",
        instance.address
    );
    Diagnostic::warning(DiagnosticCode::SecretDrift, text)
        .at(span, "changed outside of lifeboat")
        .help("set the secret to see whether this plan would revert the change")
}

/// A create without its secret.
pub fn missing_secret(
    instance: &Instance,
    name: &str,
    span: Span,
    (missing, action): (&[String], Action),
) -> Diagnostic {
    let done = if action == Action::Update { "changed" } else { "created" };
    let text = format!("`{}` cannot be {done} without its secret `{name}`", instance.address);
    let wrong = Diagnostic::error(DiagnosticCode::MissingSecret, text);
    if missing.is_empty() {
        return wrong.at(span, "this reads a secret of which only a fingerprint is recorded").help(
            "use the variable that the secret comes from, instead of the attribute that holds it",
        );
    }
    wrong.at(span, "a sensitive variable used here is not set").help(ways_to_give(missing))
}

/// How secrets are given to a run.
pub fn ways_to_give(missing: &[String]) -> String {
    let way =
        |it: &String| format!("set `{it}` with LIFEBOAT_VAR_{it}=…, --var-file or --var {it}=…");
    missing.iter().map(way).collect::<Vec<_>>().join("; ")
}

/// The refusal of a recorded kind that this version does not know.
pub fn unknown_kind(address: &Address, kind: &str) -> Diagnostic {
    Diagnostic::error(
        DiagnosticCode::UnknownKindInState,
        format!("the state records `{address}` of kind `{kind}`, which this version of lifeboat does not know"),
    )
    .help("use the version of lifeboat that created it, or a newer one")
}

/// The serving order contradicts the dependencies.
pub fn no_serving_order(allowed: &Allowances, told: &str) -> Option<Diagnostic> {
    (!allowed.outage).then(|| {
        let text = format!("no order of these changes avoids an outage: {told}");
        Diagnostic::refusal(DiagnosticCode::NoServingOrder, text)
            .help("use `lifecycle: { create_before_destroy: true }`, make the change in two applies, or pass --allow-outage")
    })
}

/// How users may come to what is lost, once it is not.
#[derive(Debug, Clone, Copy)]
pub enum LostReturn {
    /// Only this command calls it lost.
    Undeclared,
    /// It is home, which a failback asks, repairs and returns to.
    Home,
    Elsewhere,
}

/// Users would be sent from what lives to what is lost.
pub fn into_lost(
    it: &PlannedChange<'_>,
    target: &Address,
    domain: &str,
    (stack, way_back): (&str, LostReturn),
) -> Diagnostic {
    let address = &it.change.address;
    let does = if it.change.action.destroys() { "leave" } else { "send" };
    let text = format!("`{address}` would {does} users to `{target}`, but {domain} is lost");
    let back = match way_back {
        LostReturn::Undeclared => format!("if {domain} is up, omit `--lost {domain}`"),
        LostReturn::Home => {
            let home = AdvisedCommand::Failback { stack, lost: Vec::new() };
            format!(
                "if {domain} answers again, {home} checks it, repairs it, and moves users there"
            )
        }
        LostReturn::Elsewhere => {
            let found = AdvisedCommand::Recovered { stack, fault_domain: domain };
            format!("if {domain} answers again: {found}")
        }
    };
    let help = format!(
        "switch to a healthy site; {back}. --allow-outage sends users there all the same, where nobody is served"
    );
    let refusal = Diagnostic::refusal(DiagnosticCode::LostTarget, text).help(help);
    match it.instance {
        Some(instance) => refusal.at(instance.resource.span, "users would not be served there"),
        None => refusal,
    }
}
