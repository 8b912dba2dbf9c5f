//! Users who would be directed to what nothing looks at: whether they are served there nobody would know.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::model::{Gate, Instance, InstanceShape, Stack, TextPart};
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::traffic::shifts::ShiftDirection;
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// A warning for each name that a switch directs without a gate.
pub fn blind(it: &PlanBuilder<'_>, directions: &[ShiftDirection]) -> Vec<Diagnostic> {
    // Whoever only applies says nothing of users that are served again.
    if !it.options.is_switch() {
        return Vec::new();
    }
    let at: BTreeMap<&Address, &PlannedChange<'_>> =
        it.planned.iter().map(|it| (&it.change.address, it)).collect();
    // A gate that somebody skipped is told as such.
    let moves = |it: &&ShiftDirection| {
        it.is_blind() && !it.skips && it.until.is_none() && it.drain_seconds.is_some()
    };
    let is_lost = |it: &ShiftDirection| leads_into_lost(it, &at);
    let told = directions.iter().filter(moves).filter(|it| !is_lost(it)).filter_map(|direction| {
        let planned = at.get(&direction.address).copied()?;
        let value = |name: &str| {
            let recorded = || planned.record.and_then(|it| it.attributes.get(name));
            planned.desired.as_ref().and_then(|it| it.get(name)).or_else(recorded)
        };
        let is_name = planned.kind.drain.is_some() && planned.kind.directs_users(value);
        is_name.then(|| warning(planned, direction, it.worlds.stack, it.worlds.catalog))
    });
    told.collect()
}

/// What is lost is not asked, whatever checks it has: that users would come to it is told as such.
fn leads_into_lost(
    direction: &ShiftDirection,
    at: &BTreeMap<&Address, &PlannedChange<'_>>,
) -> bool {
    let is_frozen = |it: &Address| at.get(it).is_some_and(|it| it.change.frozen.is_some());
    direction.serving.iter().any(is_frozen)
}

/// A refusal for each name that asks for backends where nothing counts any.
pub fn uncounted(it: &PlanBuilder<'_>, directions: &[ShiftDirection]) -> Vec<Diagnostic> {
    let asking = it.planned.iter().filter_map(|it| {
        let gate = it.instance?.resource.gates.health().filter(|it| it.serves.is_some())?;
        Some((&it.change.address, gate))
    });
    let asking: BTreeMap<&Address, &Gate> = asking.collect();
    let at: BTreeMap<&Address, &PlannedChange<'_>> =
        it.planned.iter().map(|it| (&it.change.address, it)).collect();
    let asks = |it: &&ShiftDirection| {
        let is_counted_nowhere = it.checked.is_empty() && !leads_into_lost(it, &at);
        is_counted_nowhere && !it.skips && !it.withdraws && it.until.is_none()
    };
    let told = directions.iter().filter(asks).filter_map(|direction| {
        let gate = asking.get(&direction.address)?;
        let text = format!(
            "the gate of `{}` would never open: `serves` counts backends, and what it points to has no health check that counts any",
            direction.address
        );
        let help = "point it to a balancer whose config has a `check`, or remove `serves`";
        let refusal = Diagnostic::refusal(DiagnosticCode::GateNeverOpens, text).help(help);
        Some(refusal.at(gate.span, "nothing is counted here"))
    });
    told.collect()
}

fn warning(
    planned: &PlannedChange<'_>,
    direction: &ShiftDirection,
    stack: &Stack,
    catalog: &Catalog,
) -> Diagnostic {
    let address = &direction.address;
    let checks = unchecked_ports(direction, stack, catalog);
    let or_check = checks
        .map_or_else(String::new, |it| format!(", or {it}: then lifeboat waits for its backends"));
    let Some(instance) = planned.instance.filter(|_| !direction.withdraws) else {
        let text = format!(
            "`{address}` will be removed, and nothing verifies that the remaining targets of its name serve"
        );
        return Diagnostic::warning(DiagnosticCode::UncheckedTarget, text)
            .help(format!("check that first{or_check}"));
    };
    let name = planned.kind.traffic.first().map_or("", String::as_str);
    let target = written(instance, name);
    let shown = target.clone().unwrap_or_else(|| "its target".to_owned());
    let text = format!("`{address}` sends users to {shown}, and nothing verifies that it serves");
    let host = target.unwrap_or_else(|| "192.0.2.1".to_owned());
    let host = if host.contains(':') && !host.contains("${") { format!("[{host}]") } else { host };
    let help = format!(
        "give `{address}` a gate, with a page that tests what users need: `gate: {{ http: 'http://{host}/', within: 5m }}`{or_check}"
    );
    let given = instance.resource.attributes.get(name);
    let span = given.map_or(instance.resource.span, |it| it.term.span);
    Diagnostic::warning(DiagnosticCode::UncheckedTarget, text)
        .at(span, "users are sent there without a check")
        .help(help)
}

/// What the layers write for an attribute, if that is one address or one expression.
fn written(instance: &Instance, name: &str) -> Option<String> {
    match &instance.resource.attributes.get(name)?.term.shape {
        InstanceShape::Literal(Value::Text(text)) => Some(text.clone()),
        InstanceShape::Expression(it) => Some(format!("${{{}}}", it.text)),
        InstanceShape::Text(parts) => {
            let part = |it: &TextPart| match it {
                TextPart::Text(text) => text.clone(),
                TextPart::Expression(it) => format!("${{{}}}", it.text),
            };
            Some(parts.iter().map(part).collect())
        }
        _ => None,
    }
}

/// The check that could be switched on of the first port that has none.
fn unchecked_ports(direction: &ShiftDirection, stack: &Stack, catalog: &Catalog) -> Option<String> {
    direction.serving.iter().find_map(|address| {
        let instance = stack.instances.get(address)?;
        let kind = catalog.get(&instance.resource.kind)?;
        let (attribute, _) = &kind.serves_when.as_ref()?.unless;
        Some(format!("`{address}` a `{attribute}`"))
    })
}
