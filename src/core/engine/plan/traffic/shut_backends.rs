//! Filters that shut balancers out from backends that they reach now: nobody is deleted, and nobody is served.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::Stack;
use crate::engine::packets::{Filter, Network};
use crate::engine::plan::model::change::Danger;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::traffic::filters::{SHUT_BY_OTHERS, Walls};
use crate::engine::schema::Sort;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// A machine that its balancer does not reach.
pub struct ShutBackend {
    machine: Address,
    wall: String,
    /// `None`: somebody else attached it.
    own: Option<Address>,
    port: u16,
    from: String,
}

/// Every machine that is reached now and would not be when the plan is made; and those that what others attached shuts off.
pub fn shut(
    planned: &[PlannedChange<'_>],
    stack: &Stack,
    walls: &Walls<'_, '_>,
) -> Vec<ShutBackend> {
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for node in planned.iter().filter(|it| !it.change.action.destroys()) {
        let Some(instance) = node.instance else { continue };
        let Some((name, port)) = port(node) else { continue };
        let holders = std::iter::successors(Some(node), |it| walls.holder(it));
        let Some(from) = holders.skip(1).find_map(|it| it.kind.reaches_from.as_ref()) else {
            continue;
        };
        let Some(network) = Network::parse(from) else { continue };
        let machines = named_by(stack, instance, &name);
        for machine in machines.iter().filter_map(|it| walls.get(it)) {
            let Some(wall) = walls.after(machine) else { continue };
            let lets_in = |it: &Filter| it.is_partly_unknown || it.lets_in("TCP", port, &network);
            let was_shut = walls.before(machine).is_some_and(|it| !lets_in(&it.filter));
            // What is new, and what this plan leaves as it is, it does not take from anybody.
            let is_harmless = machine.record.is_none() || (was_shut && wall.own.is_some());
            if !lets_in(&wall.filter) && !is_harmless && told.insert((wall.name.clone(), port)) {
                found.push(ShutBackend {
                    machine: machine.change.address.clone(),
                    own: wall.own.cloned(),
                    wall: wall.name,
                    port,
                    from: from.clone(),
                });
            }
        }
    }
    found
}

/// The attribute that says where a backend is, and its port.
fn port(node: &PlannedChange<'_>) -> Option<(String, u16)> {
    node.kind.contains_in.as_ref()?;
    let known = |name: &String| {
        let desired = node.desired.as_ref().and_then(|it| it.get(name)).and_then(Value::as_text);
        let text = desired.or(node.record.and_then(|it| it.attributes.get(name)?.as_text()))?;
        Some((name.clone(), text.rsplit_once(':')?.1.parse().ok()?))
    };
    node.kind.traffic.iter().find_map(known)
}

impl ShutBackend {
    fn says(&self) -> String {
        let Self { wall, from, port, machine, .. } = self;
        let (would, any_more) = match &self.own {
            Some(_) => ("would not admit", " any more"),
            None => ("does not admit", ""),
        };
        format!(
            "{wall} {would} {from} to port {port}: no balancer can reach `{machine}`{any_more}, not even for health checks"
        )
    }

    pub fn danger(&self) -> Option<Danger> {
        let address = self.own.clone()?;
        Some(Danger { address, sort: Sort::Traffic, says: self.says(), stays: Vec::new() })
    }

    /// A refusal, unless it may be; what others did is only told.
    pub fn told(&self, stack: &Stack, is_allowed: bool) -> Option<Diagnostic> {
        const LET_IN: &str = "add a rule that accepts TCP on that port from them";
        let Some(own) = &self.own else {
            let instance = stack.instances.get(&self.machine);
            let warning = Diagnostic::warning(SHUT_BY_OTHERS, self.says()).help(LET_IN);
            return Some(match instance {
                Some(it) => warning.at(it.resource.span, "it protects this resource"),
                None => warning,
            });
        };
        let refusal = Diagnostic::refusal(DiagnosticCode::ShutsBackends, self.says())
            .help(format!("{LET_IN}; or, to accept the outage, --allow-outage"));
        let refusal = match stack.instances.get(own) {
            Some(instance) => refusal.at(instance.resource.span, "the firewall"),
            None => refusal,
        };
        (!is_allowed).then_some(refusal)
    }
}
