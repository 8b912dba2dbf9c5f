//! Foresees: the state that a plan would leave, and what the clouds would tell then, before anything of it is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::containment::container;
use crate::engine::lang::model::Instance;
use crate::engine::lang::resolve::{resolve, resolve_output, resolve_with};
use crate::engine::observed::Observation;
use crate::engine::plan::availability::replica_group::{GroupName, group_name};
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::draft::refresh::{KnownValues, promised};
use crate::engine::plan::model::change::{Action, Change, Plan, StepCall};
use crate::engine::plan::model::planned_change::kept;
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::planner::PlanInputs;
use crate::engine::schema::{Attribute, Kind, Pick, Type};
use crate::engine::state::record::{LostDomain, Record, State};
use crate::engine::state::task_record::{TaskAttempt, TaskEnd, TaskRecord};
use crate::engine::value::{Attributes, LineageKey, Value};

/// Stands where only carrying out gives a lineage, a key or a name.
const FORESEEN: &str = "foreseen";

/// The world as a plan would leave it. What only the clouds give out is made up: another value for each object.
#[derive(Debug, Clone)]
pub struct SimulatedState {
    pub state: State,
    pub observed: BTreeMap<Address, Observation>,
}

/// What a plan would leave if every step of it went well.
pub fn simulate(worlds: &PlanInputs<'_>, plan: &Plan, now: i64) -> SimulatedState {
    let state = worlds.state.cloned().unwrap_or_else(|| founded(plan));
    let mut known = KnownValues::recorded(&state);
    for (address, object) in &worlds.stack.lent {
        known.objects.insert(address.clone(), Arc::clone(object));
    }
    let mut paper = Simulation { worlds, known, state, observed: worlds.observed.clone(), now };
    for change in &plan.changes {
        paper.carry_out(change);
    }
    paper.run_tasks(&plan.tasks);
    paper.close(plan)
}

fn founded(plan: &Plan) -> State {
    let key = LineageKey(FORESEEN.into());
    let instance = plan.instance.as_deref();
    let mut state = State::new(&plan.stack, instance, &plan.bindings.target, FORESEEN, key);
    state.home.clone_from(&plan.overlays);
    state
}

/// What these layers read in a way that made-up values do not bear: how they are changed is known only when all is there.
pub fn unforeseeable(worlds: &PlanInputs<'_>) -> Vec<Address> {
    let mut known = worlds.state.map(KnownValues::recorded).unwrap_or_default();
    let mut found = Vec::new();
    for address in worlds.order {
        let Some(instance) = worlds.stack.instances.get(address) else { continue };
        let Some(kind) = worlds.catalog.get(&instance.resource.kind) else { continue };
        if let Some(object) = worlds.stack.lent.get(address) {
            known.objects.insert(address.clone(), Arc::clone(object));
            continue;
        }
        match resolve(worlds.stack, worlds.catalog, instance, &known) {
            Err(_) => found.push(address.clone()),
            Ok(resolved) if known.objects.get(address).is_none() => {
                known.put(address.clone(), promised(kind, &resolved.attributes));
            }
            Ok(_) => {}
        }
    }
    found
}

/// A plan that is carried out on paper.
struct Simulation<'a, 'b> {
    worlds: &'a PlanInputs<'b>,
    known: KnownValues,
    state: State,
    observed: BTreeMap<Address, Observation>,
    now: i64,
}

impl Simulation<'_, '_> {
    fn carry_out(&mut self, change: &Change) {
        if let Some(from) = &change.moved_from
            && let Some(record) = self.state.records.remove(from)
        {
            self.observed.remove(from);
            self.put(&change.address, record);
        }
        let before = self.state.records.get(&change.address).cloned();
        let instance = self.worlds.stack.instances.get(&change.address);
        let kind = self.worlds.catalog.get(&change.kind);
        match (change.action, instance, kind) {
            (Action::Delete | Action::Forget, ..) => {
                self.state.records.remove(&change.address);
                self.observed.remove(&change.address);
            }
            (Action::Create | Action::Replace { .. }, Some(instance), Some(kind)) => {
                let made = self.made(instance, kind, before.as_ref());
                self.put(&change.address, made);
            }
            (Action::Update | Action::Await | Action::NoOp, Some(instance), Some(kind)) => {
                let Some(record) = before else { return };
                let changed = self.changed(instance, kind, record, change);
                self.put(&change.address, changed);
            }
            _ => {}
        }
    }

    /// Those that are taken back later.
    fn run_tasks(&mut self, tasks: &[PlannedTask]) {
        for (at, task) in (self.now..).zip(tasks.iter().filter(|it| it.fate.has_step())) {
            let Some(takes_back) = task.recorded_undo(task.spec.undo.clone(), Vec::new()) else {
                continue;
            };
            let (plan, end) = (FORESEEN.to_owned(), Some(TaskEnd::Done { at }));
            let run = TaskAttempt { switch: 0, plan, began: at, asks: None, end };
            let record = TaskRecord { run, undo: None, takes_back: Some(takes_back) };
            self.state.tasks.insert(task.name.name.clone(), record);
        }
    }

    fn put(&mut self, address: &Address, record: Record) {
        self.known.put(address.clone(), record.object());
        if let Some(kind) = self.worlds.catalog.get(&record.kind) {
            let mut attributes = record.attributes.clone();
            attributes.extend(record.outputs.clone());
            attributes.retain(|name, _| kind.attribute(name).is_some_and(|it| !it.write_only));
            let seen = Observation::Exists { attributes, ready: true };
            self.observed.insert(address.clone(), seen);
        }
        self.state.records.insert(address.clone(), record);
    }

    /// What fails with made-up values is left open.
    fn attributes(&self, instance: &Instance) -> Attributes {
        let PlanInputs { stack, catalog, .. } = *self.worlds;
        let resolved = resolve_with(stack, catalog, instance, &self.known, stack, &mut Vec::new());
        let sealed = |it: &Value| seal(it, Some(&self.state.key));
        resolved.attributes.iter().map(|(name, it)| (name.clone(), sealed(it))).collect()
    }

    fn made(&self, instance: &Instance, kind: &Kind, before: Option<&Record>) -> Record {
        let address = &instance.address;
        let attributes = kept(kind, &self.attributes(instance));
        // A successor is another object than what it replaces.
        let which = before.map_or_else(|| address.to_string(), |it| format!("the new {}", it.id));
        let number = self.state.records.len();
        let made_by_cloud = kind.attributes.iter().filter(|(name, it)| {
            let left = it.optional_computed && !attributes.contains_key(*name);
            (it.computed || left) && !it.live && *name != "id"
        });
        let outputs = made_by_cloud
            .map(|(name, it)| (name.clone(), made_up(it, name, &which, number)))
            .collect();
        Record {
            kind: kind.kind.clone(),
            id: format!("(id of {which})"),
            attributes,
            outputs,
            needs: needs(instance),
            ready: true,
            protected: is_protected(instance, before),
            retained: false,
            leaving: false,
            since: self.now,
            deposed: None,
            tried: Attributes::new(),
        }
    }

    fn changed(&self, instance: &Instance, kind: &Kind, record: Record, change: &Change) -> Record {
        let mut changed = record;
        changed.ready |= change.action == Action::Await;
        // What is held stays as its own steps left it.
        if change.deferred.is_none() && change.frozen.is_none() {
            changed.needs = needs(instance);
            changed.protected = is_protected(instance, Some(&changed));
        }
        if change.action == Action::Update {
            let attributes = kept(kind, &self.attributes(instance));
            for it in &change.attributes {
                match attributes.get(&it.name) {
                    Some(value) => changed.attributes.insert(it.name.clone(), value.clone()),
                    None => changed.attributes.remove(&it.name),
                };
            }
        }
        changed
    }

    fn close(mut self, plan: &Plan) -> SimulatedState {
        let lost = plan.lost.iter().map(|it| {
            let (since, by) = it.recorded.clone().unwrap_or((self.now, FORESEEN.into()));
            LostDomain { fault_domain: it.fault_domain.clone(), since, by }
        });
        self.state.lost = lost.collect();
        self.state.active.clone_from(&plan.overlays);
        let PlanInputs { stack, catalog, .. } = *self.worlds;
        for (name, output) in &stack.outputs {
            if let Ok(value) = resolve_output(stack, catalog, output, &self.known) {
                let sealed = seal(&value, Some(&self.state.key));
                self.state.outputs.insert(name.clone(), sealed);
            }
        }
        self.introduce();
        SimulatedState { state: self.state, observed: self.observed }
    }

    /// Members of a group know each other.
    fn introduce(&mut self) {
        let mut members: BTreeMap<GroupName, Vec<(Address, String)>> = BTreeMap::new();
        for (address, record) in &self.state.records {
            let Some(kind) = self.worlds.catalog.get(&record.kind) else { continue };
            let Some(group) = &kind.group else { continue };
            let region = record.attributes.get(&group.region).and_then(Value::as_text);
            if let (Some(name), Some(region)) = (group_name(kind, &record.attributes), region) {
                members.entry(name).or_default().push((address.clone(), region.to_owned()));
            }
        }
        for group in members.values() {
            for (address, own) in group {
                let record = &self.state.records[address];
                let kind = self.worlds.catalog.get(&record.kind);
                let Some(others) = kind.and_then(|it| it.group.as_ref()) else { continue };
                let regions = group.iter().filter(|(_, it)| it != own);
                let regions = regions.map(|(_, it)| Value::text(it)).collect();
                if let Some(Observation::Exists { attributes, .. }) = self.observed.get_mut(address)
                {
                    attributes.insert(others.others.clone(), Value::List(regions));
                }
            }
        }
    }
}

fn needs(instance: &Instance) -> Vec<Address> {
    instance.needs.iter().map(|(need, _)| need.clone()).collect()
}

fn is_protected(instance: &Instance, before: Option<&Record>) -> bool {
    let remembered = before.is_some_and(|it| it.protected);
    instance.resource.lifecycle.prevent_destroy.unwrap_or(remembered)
}

/// Something of the right form that no other object has; open where nothing is.
fn made_up(attribute: &Attribute, name: &str, which: &str, number: usize) -> Value {
    let (high, low) = (number / 256 % 256, number % 256);
    let pick = attribute.read.as_ref().and_then(|it| it.pick.as_ref());
    match (attribute.kind, pick) {
        (Type::Text, Some(Pick::Private)) => Value::Text(format!("192.168.{high}.{low}")),
        (Type::Text, Some(Pick::Public)) => Value::Text(format!("100.64.{high}.{low}")),
        (Type::Text, Some(Pick::WithoutPrefix)) => Value::Text(format!("2001:db8::{number:x}")),
        (Type::Text, _) => Value::Text(format!("({name} of {which})")),
        _ => Value::Open,
    }
}

/// What a plan deletes; what is gone already only loses its record.
pub fn deleted(plan: &Plan) -> BTreeSet<Address> {
    let deletes = plan.steps.iter().filter(|it| it.call == StepCall::Delete { deposed: false });
    deletes.map(|it| it.address.clone()).collect()
}

/// Whether an object that is to be looked for lies inside one of these ids, which are only foreseen.
pub fn is_inside(ids: &BTreeSet<&str>, kind: &Kind, attributes: &Attributes) -> bool {
    container(kind, attributes).is_some_and(|it| ids.contains(it.id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{SimulatedState, deleted, simulate, unforeseeable};
    use crate::engine::lang::model::Stack;
    use crate::engine::observed::Observation;
    use crate::engine::plan::model::change::{Action, Plan};
    use crate::engine::plan::planner::{
        Intent, PlanInputs, PlanOptions, plan_changes, plan_switch,
    };
    use crate::engine::plan::tests::{order, stack, told};
    use crate::engine::schema::Catalog;
    use crate::kinds::builtin;

    /// Everything refers to something that only making it gives out.
    const SITES: &str = "
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-us }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_timeout: 5 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'web-${each.index}', private_ip: true }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80' }
  lb_eu: { kind: linode.nodebalancer, region: eu-central, label: lb-eu }
  http_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', check: http, check_path: /ok, check_timeout: 5 }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }
  carts: { kind: dynamodb.table, region: us-east-1, name: carts, attributes: { id: S }, hash_key: id }
  carts_eu: { kind: dynamodb.replica, table: '${carts}', region: eu-west-1 }
  key: { kind: linode.ssh_key, label: '${vars.secret}', ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDv0lq2nJ8yB4m1cT6wX9sE3kZr7uP5hG2fN8aQ1oLdR a@b' }";

    fn propose_on(
        catalog: &Catalog,
        stack: &Stack,
        on: Option<&SimulatedState>,
        intent: Intent,
    ) -> Plan {
        let (order, nothing) = (order(stack), BTreeMap::new());
        let observed = on.map_or(&nothing, |it| &it.observed);
        let worlds =
            PlanInputs { catalog, stack, order: &order, state: on.map(|it| &it.state), observed };
        plan_changes(&worlds, &PlanOptions { intent, now: 5, ..PlanOptions::default() }).0
    }

    fn foreseen(
        catalog: &Catalog,
        stack: &Stack,
        on: Option<&SimulatedState>,
        plan: &Plan,
    ) -> SimulatedState {
        let (order, nothing) = (order(stack), BTreeMap::new());
        let observed = on.map_or(&nothing, |it| &it.observed);
        let worlds =
            PlanInputs { catalog, stack, order: &order, state: on.map(|it| &it.state), observed };
        simulate(&worlds, plan, 5)
    }

    /// The state on paper, right after its plan: as after a faultless apply.
    fn made(catalog: &Catalog, stack: &Stack) -> SimulatedState {
        let plan = propose_on(catalog, stack, None, Intent::Apply);
        foreseen(catalog, stack, None, &plan)
    }

    #[test]
    fn simulate_leaves_nothing_to_do_and_everything_to_delete() {
        let catalog = builtin();
        let stack = stack(SITES.replace("${vars.secret}", "ours").as_str(), &catalog);
        let left = made(&catalog, &stack);
        assert_eq!(left.state.integrity(), Vec::<String>::new());
        assert_eq!(left.state.records.len(), stack.instances.len());
        let again = propose_on(&catalog, &stack, Some(&left), Intent::Apply);
        assert!(again.steps.is_empty() && again.notes.is_empty(), "{}", told(&again));
        let cleanup = propose_on(&catalog, &stack, Some(&left), Intent::Destroy);
        assert_eq!(deleted(&cleanup), left.state.records.keys().cloned().collect());
        let nothing = foreseen(&catalog, &stack, Some(&left), &cleanup);
        assert!(nothing.state.records.is_empty() && nothing.observed.is_empty());
    }

    #[test]
    fn simulate_gives_a_state_on_which_a_switch_is_planned() {
        let catalog = builtin();
        let home = stack(SITES.replace("${vars.secret}", "ours").as_str(), &catalog);
        let away = SITES
            .replace("${vars.secret}", "ours")
            .replace("target: '${lb.ipv4}'", "target: '${lb_eu.ipv4}'")
            .replace("count: 2", "count: 1")
            .replace("lb-eu }", "lb-eu, client_conn_throttle: 5 }");
        let mut away = stack(&away, &catalog);
        away.overlays = vec!["away".into()];
        let left = made(&catalog, &home);
        let (home_order, away_order) = (order(&home), order(&away));
        let after = PlanInputs {
            catalog: &catalog,
            stack: &away,
            order: &away_order,
            state: Some(&left.state),
            observed: &left.observed,
        };
        let before = PlanInputs { stack: &home, order: &home_order, ..after };
        let options = PlanOptions { now: 5, from: Some(Vec::new()), ..PlanOptions::default() };
        let (plan, wrong) = plan_switch(&[before], &after, &options);
        assert!(wrong.is_empty(), "{wrong:?}");
        let does: Vec<String> = plan
            .changes
            .iter()
            .filter(|it| it.action != Action::NoOp)
            .map(|it| format!("{} {}", it.action.word(), it.address))
            .collect();
        assert_eq!(does, ["update lb_eu", "update shop", "delete node[1]", "delete web[1]"]);
        let left = simulate(&after, &plan, 6);
        assert_eq!(left.state.active, ["away"]);
        let shop = &left.state.records[&"shop".parse().unwrap()];
        assert_eq!(shop.attributes["target"].as_text(), Some("(ipv4 of lb_eu)"));
        assert!(matches!(left.observed[&"shop".parse().unwrap()], Observation::Exists { .. }));
        let again = propose_on(&catalog, &away, Some(&left), Intent::Apply);
        assert!(again.steps.is_empty(), "{}", told(&again));
    }

    #[test]
    fn unforeseeable_names_what_made_up_values_cannot_compute() {
        let catalog = builtin();
        let home = "  lb: { kind: linode.nodebalancer, region: us-east }\n";
        let left = made(&catalog, &stack(home, &catalog));
        let picky = format!(
            "{home}  more: {{ kind: linode.nodebalancer, region: us-east, label: 'more-${{lb.ipv4.split(\".\")[3]}}' }}"
        );
        let stack = stack(&picky, &catalog);
        let order = order(&stack);
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &stack,
            order: &order,
            state: Some(&left.state),
            observed: &left.observed,
        };
        assert_eq!(unforeseeable(&worlds), ["more".parse().unwrap()]);
    }
}
