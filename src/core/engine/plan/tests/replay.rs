//! Random stacks and changes: every accepted plan is carried out step by step on a model of the clouds, each step failing once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::observed::Observation;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Action, Plan, Step, StepCall};
use crate::engine::plan::model::planned_change::{excludes, set_name};
use crate::engine::plan::planner::{PlanInputs, PlanOptions, plan_changes};
use crate::engine::plan::tests::{applied_with, order, stack};
use crate::engine::plan::traffic::serving::lets_serve;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::Severity;
use crate::engine::value::{Attributes, Value};
use crate::kinds::builtin;

/// One world that a stack may describe.
#[derive(Debug, Clone)]
struct Drawn {
    webs: usize,
    names: usize,
    flags: [bool; 7],
    mode: usize,
    ports: (usize, usize),
    record: usize,
}

const NAMES: [[&str; 3]; 4] =
    [["ant", "bee", "cat"], ["bee", "ant", "cat"], ["bee", "cat", "dog"], ["cat", "ant", "bee"]];
const MODES: [&str; 4] = ["accept", "backup", "reject", "drain"];
const PORTS: [u16; 3] = [80, 81, 82];

fn drawn() -> impl Strategy<Value = Drawn> {
    let mode = prop_oneof![6 => Just(0_usize), 1 => 1..4_usize];
    let record = prop_oneof![3 => Just(0_usize), 2 => 1..5_usize];
    let rest = (mode, (0..3_usize, 1..3_usize), record);
    (1..4_usize, 0..4_usize, any::<[bool; 7]>(), rest).prop_map(
        |(webs, names, flags, (mode, (one, step), record))| Drawn {
            webs,
            names,
            flags,
            mode,
            ports: (one, (one + step) % 3),
            record,
        },
    )
}

impl Drawn {
    fn yaml(&self) -> String {
        let [far, image, large, beside, lb_beside, unchecked, off] = self.flags;
        let pick = |it: bool, one: &'static str, other: &'static str| if it { one } else { other };
        let region = pick(far, "eu-central", "us-east");
        let check =
            pick(unchecked, "check: none", "check: http, check_path: /ok, check_timeout: 5");
        let names = NAMES[self.names].map(|it| format!("\"{it}\"")).join(",");
        let record = match self.record {
            0 => {
                "shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }"
            }
            1 => {
                "other: { kind: linode.domain_record, domain: '${zone}', type: CNAME, name: shop, target: shop.example.net, ttl_sec: 300 }"
            }
            2 => {
                "other: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }"
            }
            3 => {
                "shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${spare.ipv4}', ttl_sec: 300 }"
            }
            _ => {
                "shop: { kind: linode.domain_record, domain: '${zone}', type: CNAME, name: shop, target: shop.example.net, ttl_sec: 300 }"
            }
        };
        format!(
            "  lb: {{ kind: linode.nodebalancer, region: {region}, label: lb-main, lifecycle: {{ create_before_destroy: {lb_beside} }} }}
  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: {}, {check} }}
  more: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: {} }}
  web: {{ kind: linode.instance, count: {}, region: {region}, type: {}, image: {}, authorized_users: [a], label: '${{[{names}][each.index]}}', private_ip: true, booted: {}, lifecycle: {{ create_before_destroy: {beside} }} }}
  node: {{ kind: linode.nodebalancer_node, for_each: '${{web}}', config: '${{http}}', label: 'node-${{each.key}}', address: '${{each.value.private_ipv4}}:80', mode: {} }}
  spare: {{ kind: linode.instance, region: us-west, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: spare }}
  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}
  {record}",
            PORTS[self.ports.0],
            PORTS[self.ports.1],
            self.webs,
            pick(large, "g6-standard-2", "g6-standard-1"),
            pick(image, "linode/debian12", "linode/ubuntu24.04"),
            !off,
            MODES[self.mode],
        )
    }
}

/// What the cloud makes up, of the form that it has.
fn output(name: &str, id: &str) -> Value {
    Value::Text(match name {
        "ipv4" => format!("198.18.0.{id}"),
        "private_ipv4" => format!("192.168.0.{id}"),
        _ => format!("{name}-{id}"),
    })
}

/// One object in the model.
#[derive(Debug, Clone)]
struct ReplayObject {
    kind: String,
    attributes: Attributes,
    holder: Option<usize>,
    targets: Vec<usize>,
    up: bool,
    /// Seen to be healthy since it was made or changed.
    seen: bool,
}

/// By address: what it is made inside of, and what it leads to.
struct Layout(BTreeMap<Address, (Vec<Address>, Vec<Address>)>);

impl Layout {
    fn new(catalog: &Catalog, stack: &Stack) -> Self {
        let wanted = DesiredTopology::new(catalog, stack);
        let around = |(address, instance): (&Address, &Instance)| {
            let kind = &catalog.kinds[&instance.resource.kind];
            let container = kind.contains_in.iter();
            let holders = container.flat_map(|it| named_by(stack, instance, it)).collect();
            (address.clone(), (holders, wanted.targets(kind, instance)))
        };
        Self(stack.instances.iter().map(around).collect())
    }
}

/// The clouds, and where users are.
#[derive(Clone)]
struct Clouds<'a> {
    catalog: &'a Catalog,
    stack: &'a Stack,
    layout: &'a Layout,
    plan: &'a Plan,
    objects: BTreeMap<usize, ReplayObject>,
    current: BTreeMap<Address, usize>,
    deposed: BTreeMap<Address, usize>,
    /// By the address that led them: where users may still come.
    remembered: BTreeMap<Address, Vec<usize>>,
    /// Where users came so far.
    met: BTreeSet<usize>,
    /// Where they were served when they first came.
    served: BTreeSet<usize>,
    next: usize,
}

impl<'a> Clouds<'a> {
    /// The world as state has it, with what is gone left out.
    fn new(
        catalog: &'a Catalog,
        before: (&'a Stack, &'a Layout),
        after: (&'a Stack, &'a Layout),
        state: &State,
        plan: &'a Plan,
        gone: &BTreeSet<Address>,
    ) -> Self {
        let mut it = Self {
            catalog,
            stack: before.0,
            layout: before.1,
            plan,
            objects: BTreeMap::new(),
            current: BTreeMap::new(),
            deposed: BTreeMap::new(),
            remembered: BTreeMap::new(),
            met: BTreeSet::new(),
            served: BTreeSet::new(),
            next: 1,
        };
        for address in order(before.0) {
            let record = &state.records[&address];
            if gone.contains(&address) {
                continue;
            }
            let (holder, targets) = it.around(&address);
            let inside = it.kind(&record.kind).contains_in.is_some();
            if inside && holder.is_none() {
                continue;
            }
            it.put(&address, &record.kind, record.attributes.clone(), holder, targets, true);
        }
        (it.stack, it.layout) = after;
        it.note_served();
        it
    }

    fn kind(&self, name: &str) -> &'a Kind {
        &self.catalog.kinds[name]
    }

    /// What an object of an address is made inside of, and what it leads to.
    fn around(&self, address: &Address) -> (Option<usize>, Vec<usize>) {
        let Some((holders, targets)) = self.layout.0.get(address) else {
            return (None, Vec::new());
        };
        let holder = holders.iter().find_map(|it| self.current.get(it).copied());
        (holder, targets.iter().filter_map(|it| self.current.get(it).copied()).collect())
    }

    fn put(
        &mut self,
        address: &Address,
        kind: &str,
        attributes: Attributes,
        holder: Option<usize>,
        targets: Vec<usize>,
        ready: bool,
    ) {
        let object =
            ReplayObject { kind: kind.into(), attributes, holder, targets, up: ready, seen: ready };
        self.objects.insert(self.next, object);
        self.current.insert(address.clone(), self.next);
        self.next += 1;
    }

    /// What a cloud would refuse.
    fn conflict(&self, own: usize) -> Option<String> {
        let one = &self.objects[&own];
        let kind = self.kind(&one.kind);
        let identity = |it: &ReplayObject| -> Vec<String> {
            let part = |name: &String| match &kind.contains_in {
                Some(container) if container == name => format!("{:?}", it.holder),
                _ => it.attributes.get(name).map_or_else(String::new, |it| it.json().to_string()),
            };
            kind.identity.by.iter().map(part).collect()
        };
        let others = self.objects.iter().filter(|(at, it)| **at != own && it.kind == one.kind);
        for (_, other) in others {
            if kind.identity.unique && identity(one) == identity(other) {
                return Some(format!("{} {:?} twice", one.kind, identity(one)));
            }
            if one.holder == other.holder && excludes(kind, &one.attributes, &other.attributes) {
                return Some(format!("{} stands beside what it excludes", one.kind));
            }
        }
        None
    }

    fn remove(&mut self, at: usize) {
        self.objects.remove(&at);
        let inside: Vec<usize> = self
            .objects
            .iter()
            .filter(|(_, it)| it.holder == Some(at))
            .map(|(at, _)| *at)
            .collect();
        for it in inside {
            self.remove(it);
        }
    }

    /// Carries out one step; why a cloud would say no, or a gate would never open.
    fn perform(&mut self, step: &Step) -> Result<(), String> {
        let address = &step.address;
        let beside = self.plan.changes.iter().any(|it| {
            it.address == *address && it.action == Action::Replace { create_first: true }
        });
        match &step.call {
            StepCall::Create { attributes, .. } => {
                let (holder, targets) = self.around(address);
                let kind = self.kind(&step.kind);
                if kind.contains_in.is_some() && holder.is_none() {
                    return Err(format!("`{address}` has nothing to be made in"));
                }
                let old = self.current.get(address).copied();
                if let Some(old) = old.filter(|it| beside && self.objects.contains_key(it)) {
                    self.deposed.insert(address.clone(), old);
                }
                let waits = kind.rest.as_ref().is_some_and(|it| it.ready.is_some());
                self.put(address, &step.kind, attributes.clone(), holder, targets, !waits);
                let own = self.current[address];
                self.settle_seen(own);
                self.conflict(own).map_or(Ok(()), Err)
            }
            StepCall::Update { .. } => self.update(step),
            StepCall::Rename { attribute, to } => self.rename(address, attribute, to.as_ref()),
            StepCall::Delete { deposed } => {
                let chosen = if *deposed { &self.deposed } else { &self.current };
                if let Some(at) = chosen.get(address).copied() {
                    self.remember(step, at);
                    self.remove(at);
                }
                Ok(())
            }
            StepCall::Ready => {
                let own = self.current[address];
                self.objects.get_mut(&own).unwrap().up = true;
                Ok(())
            }
            StepCall::Serving { of, .. } => self.pass(of),
            StepCall::Drain { .. } => {
                self.remembered.remove(address);
                Ok(())
            }
            StepCall::Move { .. }
            | StepCall::Forget
            | StepCall::Gone { .. }
            | StepCall::Gate
            | StepCall::Task { .. }
            | StepCall::Replication { .. } => Ok(()),
        }
    }

    fn update(&mut self, step: &Step) -> Result<(), String> {
        let address = &step.address;
        let StepCall::Update { changed, attributes, group, or_create } = &step.call else {
            unreachable!("an update")
        };
        let (_, targets) = self.around(address);
        let own = self.current.get(address).copied();
        let own = own.filter(|it| self.objects.contains_key(it));
        let Some(own) = own else {
            return if *or_create {
                let (holder, targets) = self.around(address);
                self.put(address, &step.kind, attributes.clone(), holder, targets, true);
                Ok(())
            } else {
                Err(format!("`{address}` is not there"))
            };
        };
        let kind = self.kind(&step.kind);
        let directs = changed.iter().any(|it| kind.directs(it));
        self.remember(step, own);
        let object = self.objects.get_mut(&own).unwrap();
        for name in changed {
            let value = attributes.get(name).cloned().unwrap_or_default();
            object.attributes.insert(name.clone(), value);
        }
        if directs {
            object.targets = targets;
            object.seen = false;
        }
        let groups = kind.rest.as_ref().map(|it| &it.groups);
        if groups.and_then(|it| it.get(group)).is_some_and(|it| it.settles) {
            object.up = false;
        }
        self.settle_seen(own);
        self.conflict(own).map_or(Ok(()), Err)
    }

    fn rename(
        &mut self,
        address: &Address,
        attribute: &String,
        to: Option<&String>,
    ) -> Result<(), String> {
        let own = self.current[address];
        let instance = &self.stack.instances[address];
        let known = crate::engine::plan::draft::refresh::KnownValues::default();
        let resolved =
            crate::engine::lang::resolve::resolve(self.stack, self.catalog, instance, &known);
        let desired = resolved.ok().and_then(|it| it.attributes.get(attribute).cloned());
        let value = to.map(Value::text).or(desired).unwrap();
        self.objects.get_mut(&own).unwrap().attributes.insert(attribute.clone(), value);
        self.conflict(own).map_or(Ok(()), Err)
    }

    /// Where nobody checks, or where it is alone, nothing has to be seen.
    fn settle_seen(&mut self, own: usize) {
        let object = &self.objects[&own];
        let Some(holder) = object.holder else { return };
        let alone = self.objects.values().filter(|it| it.holder == Some(holder)).count() == 1;
        let checked = self.objects[&holder].attributes.get("check");
        let unchecked = checked.is_none_or(|it| *it == Value::text("none"));
        if alone || unchecked {
            self.objects.get_mut(&own).unwrap().seen = true;
        }
    }

    fn pass(&mut self, of: &[Address]) -> Result<(), String> {
        for address in of {
            let own = self.current[address];
            let inside: Vec<usize> = self
                .objects
                .iter()
                .filter(|(_, it)| it.holder == Some(own))
                .map(|(at, _)| *at)
                .collect();
            for at in inside.iter().chain([&own]) {
                self.objects.get_mut(at).unwrap().seen = true;
            }
            let serves =
                inside.iter().any(|it| self.serves(*it)) || (inside.is_empty() && self.serves(own));
            if !serves {
                return Err(format!("the gate at `{address}` never opens"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, step: &Step, own: usize) {
        if let Some(directs) = step.shift.as_ref().filter(|it| it.seconds > 0) {
            let _ = directs;
            let old = self.objects[&own].targets.clone();
            self.remembered.entry(step.address.clone()).or_default().extend(old);
        }
    }

    /// Whether who comes to an object is served.
    fn serves(&self, at: usize) -> bool {
        let Some(object) = self.objects.get(&at) else { return false };
        let kind = self.kind(&object.kind);
        if !object.up || !lets_serve(kind, &object.attributes) {
            return false;
        }
        let is_leaf = !kind.traffic.is_empty();
        if is_leaf {
            return object.seen && object.targets.iter().any(|it| self.serves(*it));
        }
        let inside: Vec<usize> = self
            .objects
            .iter()
            .filter(|(_, it)| it.holder == Some(at))
            .map(|(at, _)| *at)
            .collect();
        let contains = object.kind.contains("nodebalancer");
        !contains || inside.iter().any(|it| self.serves(*it))
    }

    /// Where users come now: by every name, and by what is remembered.
    fn visited(&self) -> BTreeSet<usize> {
        let names = self.objects.values().filter(|it| self.kind(&it.kind).drain.is_some());
        let now = names.flat_map(|it| it.targets.iter().copied());
        now.chain(self.remembered.values().flatten().copied()).collect()
    }

    fn note_served(&mut self) {
        // What serves for a moment where nobody was served before is nothing that could be taken away.
        for at in self.visited() {
            if self.met.insert(at) && self.serves(at) {
                self.served.insert(at);
            }
        }
    }

    /// Law 7: who was served is served, and a name that answered answers.
    fn check(&mut self, names: &BTreeSet<String>) -> Result<(), String> {
        for at in self.visited() {
            if self.served.contains(&at) && !self.serves(at) {
                return Err(format!(
                    "users come to {at} ({:?}) and are not served",
                    self.objects.get(&at)
                ));
            }
        }
        let answered = self.names();
        if let Some(name) = names.iter().find(|it| !answered.contains(*it)) {
            return Err(format!("{name} answers no more"));
        }
        self.note_served();
        Ok(())
    }

    fn names(&self) -> BTreeSet<String> {
        let names = self.objects.values().filter(|it| self.kind(&it.kind).drain.is_some());
        names.map(|it| set_name(self.kind(&it.kind), &it.attributes)).collect()
    }
}

/// Whether a name goes for a moment because its successor may not stand beside it.
fn is_exclusive(catalog: &Catalog, state: &State, plan: &Plan) -> bool {
    let creates = plan.steps.iter().filter_map(|it| match &it.call {
        StepCall::Create { attributes, .. } => Some((&it.kind, attributes)),
        _ => None,
    });
    creates.into_iter().any(|(kind, attributes)| {
        state.records.values().any(|it| {
            it.kind == *kind && excludes(&catalog.kinds[kind], &it.attributes, attributes)
        })
    })
}

/// Carries out a plan in some order, one step failing; what went wrong that planning could have known.
fn replay(
    mut clouds: Clouds<'_>,
    fails: Option<usize>,
    picks: &[usize],
    exclusive: bool,
) -> Result<(), String> {
    let steps = &clouds.plan.steps;
    let names = if exclusive { BTreeSet::new() } else { clouds.names() };
    let mut done = BTreeSet::new();
    let mut left: BTreeSet<usize> = (0..steps.len()).collect();
    for turn in 0.. {
        let free: Vec<usize> = left
            .iter()
            .filter(|it| steps[**it].is_free(|wait| done.contains(&wait)))
            .copied()
            .collect();
        let Some(step) = free.get(picks[turn % picks.len()] % free.len().max(1)).copied() else {
            break;
        };
        left.remove(&step);
        if fails == Some(step) {
            continue;
        }
        let told = |why: String| {
            format!("at #{step} {} {}: {why}", steps[step].call.word(), steps[step].address)
        };
        clouds.perform(&steps[step]).map_err(told)?;
        clouds.check(&names).map_err(told)?;
        done.insert(step);
    }
    match (fails, left.is_empty()) {
        (None, false) => Err(format!("never begun: {left:?}")),
        _ => Ok(()),
    }
}

fn told(plan: &Plan) -> String {
    crate::engine::plan::tests::told(plan)
}

/// The same cases every time, so that nobody's run fails by chance; `REPLAY_SEED=N REPLAY_CASES=N` looks at others.
#[expect(clippy::disallowed_methods, reason = "whoever runs the test chooses its cases")]
fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let cases = number("REPLAY_CASES").and_then(|it| u32::try_from(it).ok()).unwrap_or(160);
    let rng_seed = RngSeed::Fixed(number("REPLAY_SEED").unwrap_or(7));
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn plan_serves_at_every_step_whichever_fails(
        before in drawn(),
        after in drawn(),
        gone in proptest::collection::vec(any::<proptest::sample::Index>(), 0..2),
        strike in 0..4_u8,
        unseen in any::<proptest::sample::Index>(),
        picks in proptest::collection::vec(any::<usize>(), 7),
    ) {
        let catalog = builtin();
        let (old, new) = (stack(&before.yaml(), &catalog), stack(&after.yaml(), &catalog));
        let (state, mut observed) = applied_with(&old, &catalog, output);
        let addresses: Vec<Address> = state.records.keys().cloned().collect();
        let mut absent = BTreeSet::new();
        for it in gone.iter().filter(|_| strike == 1) {
            absent.insert(it.get(&addresses).clone());
        }
        for address in &absent {
            observed.insert(address.clone(), Observation::Absent);
        }
        if strike == 2 {
            observed.insert(unseen.get(&addresses).clone(), Observation::Unknown("no answer".into()));
        }
        let order = order(&new);
        let worlds = PlanInputs { catalog: &catalog, stack: &new, order: &order, state: Some(&state), observed: &observed };
        let allowed = Allowances { destroys: Some(99), absent: Some(99), ..Allowances::default() };
        let options = PlanOptions { now: 3_600_000, allowed, ..PlanOptions::default() };
        let (plan, _) = plan_changes(&worlds, &options);
        if plan.notes.iter().any(|it| it.severity != Severity::Warning) {
            return Ok(());
        }
        let (laid_old, laid_new) = (Layout::new(&catalog, &old), Layout::new(&catalog, &new));
        let clouds = Clouds::new(&catalog, (&old, &laid_old), (&new, &laid_new), &state, &plan, &absent);
        let exclusive = is_exclusive(&catalog, &state, &plan);
        for fails in [None].into_iter().chain((0..plan.steps.len()).map(Some)) {
            let ended = replay(clouds.clone(), fails, &picks, exclusive);
            prop_assert!(ended.is_ok(), "failing {:?}: {}\n{}\n{}\n→\n{}", fails, ended.unwrap_err(), told(&plan), before.yaml(), after.yaml());
        }
    }
}

/// Two sites, of which the second changes while users are directed to it.
#[derive(Debug, Clone)]
struct DrawnMove {
    webs: (usize, usize),
    flags: [bool; 4],
    asks: usize,
}

fn drawn_move() -> impl Strategy<Value = DrawnMove> {
    ((1..4_usize, 1..4_usize), any::<[bool; 4]>(), 0..3_usize)
        .prop_map(|(webs, flags, asks)| DrawnMove { webs, flags, asks })
}

impl DrawnMove {
    fn yaml(&self, is_after: bool) -> String {
        let [large, image, beside, unchecked] = self.flags;
        let pick = |it: bool, one: &'static str, other: &'static str| if it { one } else { other };
        let check =
            pick(unchecked, "check: none", "check: http, check_path: /ok, check_timeout: 5");
        let asks = if unchecked { 0 } else { self.asks };
        let gate =
            [String::new(), ", gate: { serves: 1 }".into(), ", gate: { serves: '50%' }".into()];
        format!(
            "  home: {{ kind: linode.instance, region: us-west, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: home }}
  lb: {{ kind: linode.nodebalancer, region: eu-central, label: lb-eu }}
  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: 80, {check} }}
  web: {{ kind: linode.instance, count: {}, region: eu-central, type: {}, image: {}, authorized_users: [a], label: 'web-${{each.index}}', private_ip: true, lifecycle: {{ create_before_destroy: {beside} }} }}
  node: {{ kind: linode.nodebalancer_node, for_each: '${{web}}', config: '${{http}}', label: 'node-${{each.key}}', address: '${{each.value.private_ipv4}}:80' }}
  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}
  shop: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: shop, target: '${{{}.ipv4}}', ttl_sec: 300{} }}",
            if is_after { self.webs.1 } else { self.webs.0 },
            pick(is_after && large, "g6-standard-2", "g6-standard-1"),
            pick(is_after && image, "linode/debian12", "linode/ubuntu24.04"),
            if is_after { "lb" } else { "home" },
            gate[asks],
        )
    }
}

proptest! {
    #![proptest_config(config())]

    /// What takes backends away where users come to is done before them or after them, and serves them in every order.
    #[test]
    fn plan_serves_users_while_their_new_site_changes(
        drawn in drawn_move(),
        picks in proptest::collection::vec(any::<usize>(), 7),
    ) {
        let catalog = builtin();
        let (old, new) = (stack(&drawn.yaml(false), &catalog), stack(&drawn.yaml(true), &catalog));
        let (state, observed) = applied_with(&old, &catalog, output);
        let order = order(&new);
        let worlds = PlanInputs { catalog: &catalog, stack: &new, order: &order, state: Some(&state), observed: &observed };
        let allowed = Allowances { destroys: Some(99), ..Allowances::default() };
        let options = PlanOptions { now: 3_600_000, allowed, ..PlanOptions::default() };
        let (plan, _) = plan_changes(&worlds, &options);
        let refused: Vec<&str> = plan.refusals().map(|it| it.text.as_str()).collect();
        prop_assert!(refused.is_empty(), "{:?}: {:?}", drawn, refused);
        let (laid_old, laid_new) = (Layout::new(&catalog, &old), Layout::new(&catalog, &new));
        let clouds = Clouds::new(&catalog, (&old, &laid_old), (&new, &laid_new), &state, &plan, &BTreeSet::new());
        for fails in [None].into_iter().chain((0..plan.steps.len()).map(Some)) {
            let ended = replay(clouds.clone(), fails, &picks, false);
            prop_assert!(ended.is_ok(), "failing {:?}: {}\n{}\n{:?}", fails, ended.unwrap_err(), told(&plan), drawn);
        }
    }
}
