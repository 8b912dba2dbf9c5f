//! Plans as data in, text out: layers before and after, what the clouds say, and the changes and steps that follow.

pub mod sample;
mod allow;
mod attached;
mod cost;
mod danger;
pub mod switch;
pub mod unknown;
pub mod order;
pub mod replay;
pub mod tasks;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::engine::address::Address;
use crate::engine::graph::Graph;
use crate::engine::lang::load::{FileProblem, Files, Layer, load};
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Stack;
use crate::engine::lang::resolve::resolve;
use crate::engine::observed::Observation;
use crate::engine::plan::draft::refresh::KnownValues;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Plan, StepCall};
use crate::engine::plan::planner::{Intent, PlanInputs, PlanOptions, plan_changes};
use crate::engine::schema::{Catalog, Sort};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};
use crate::kinds::builtin;

pub(super) struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, FileProblem> {
        Err(FileProblem::Missing)
    }
}

pub(super) fn stack(resources: &str, catalog: &Catalog) -> Stack {
    let text = format!(
        "stack: t\nvariables:\n  secret: {{ type: string, sensitive: true }}\nresources:\n{resources}\n"
    );
    let layer = Layer { name: String::new(), file: "stack.yaml".into(), bytes: text.into_bytes() };
    let loaded = load("t", &[layer], &[], RememberedVariables::none(), &NoFiles, catalog);
    let wrong: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|it| it.severity > crate::engine::text::diagnostic::Severity::Warning)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    loaded.stack.unwrap()
}

pub(super) fn order(stack: &Stack) -> Vec<Address> {
    Graph::new(stack).unwrap().order().cloned().collect()
}

/// The state after a faultless apply, and what the clouds would tell.
pub(super) fn applied(stack: &Stack, catalog: &Catalog) -> (State, BTreeMap<Address, Observation>) {
    applied_with(stack, catalog, |name, id| Value::Text(format!("{name}-{id}")))
}

/// The same, with what the cloud makes up.
pub(super) fn applied_with(
    stack: &Stack,
    catalog: &Catalog,
    output: impl Fn(&str, &str) -> Value,
) -> (State, BTreeMap<Address, Observation>) {
    let mut state = State::new("t", None, "sandbox", "l", LineageKey(vec![1]));
    let mut observed = BTreeMap::new();
    for (at, address) in order(stack).iter().enumerate() {
        let instance = &stack.instances[address];
        let kind = catalog.get(&instance.resource.kind).unwrap();
        let known = KnownValues::recorded(&state);
        let attributes = resolve(stack, catalog, instance, &known).unwrap().attributes;
        let attributes: Attributes = attributes
            .into_iter()
            .filter(|(_, it)| !it.is_null())
            .map(|(name, it)| (name, it.sealed(&state.key)))
            .collect();
        let id = (at + 1).to_string();
        let mut outputs = Attributes::new();
        for (name, _) in kind.attributes.iter().filter(|(_, it)| it.computed && !it.live) {
            outputs.insert(name.clone(), output(name, &id));
        }
        outputs.insert("id".into(), Value::Text(id.clone()));
        let mut told = attributes.clone();
        told.extend(outputs.clone());
        told.retain(|name, _| kind.attribute(name).is_some_and(|it| !it.write_only));
        observed.insert(address.clone(), Observation::Exists { attributes: told, ready: true });
        let record = Record {
            kind: kind.kind.clone(),
            id,
            attributes,
            outputs,
            needs: instance.needs.iter().map(|(need, _)| need.clone()).collect(),
            ready: true,
            protected: instance.resource.lifecycle.prevent_destroy.unwrap_or(false),
            retained: false,
            leaving: false,
            since: 0,
            deposed: None,
            tried: Attributes::new(),
        };
        state.records.insert(address.clone(), record);
    }
    (state, observed)
}

/// One case: the layers that were applied, those that are desired now, and what differs in the world.
pub(super) struct PlanCase<'a> {
    pub before: &'a str,
    pub after: &'a str,
    pub now: i64,
    pub intent: Intent,
    pub allowed: Allowances,
    pub change: &'a dyn Fn(&mut State, &mut BTreeMap<Address, Observation>),
}

impl Default for PlanCase<'_> {
    fn default() -> Self {
        Self {
            before: "",
            after: "",
            now: 3_600_000,
            intent: Intent::Apply,
            allowed: Allowances::default(),
            change: &|_, _| {},
        }
    }
}

pub(super) fn plan(case: &PlanCase<'_>) -> Plan {
    let catalog = builtin();
    let applied_state =
        (!case.before.is_empty()).then(|| applied(&stack(case.before, &catalog), &catalog));
    let (mut state, mut observed) = match applied_state {
        Some((state, observed)) => (Some(state), observed),
        None => (None, BTreeMap::new()),
    };
    if let Some(state) = &mut state {
        (case.change)(state, &mut observed);
    }
    let after = if case.after.is_empty() { "  {}" } else { case.after };
    let desired = stack(after, &catalog);
    let order = order(&desired);
    let worlds = PlanInputs {
        catalog: &catalog,
        stack: &desired,
        order: &order,
        state: state.as_ref(),
        observed: &observed,
    };
    let options = PlanOptions {
        intent: case.intent,
        now: case.now,
        allowed: case.allowed.clone(),
        ..PlanOptions::default()
    };
    plan_changes(&worlds, &options).0
}

pub(super) fn check(case: &PlanCase<'_>) -> String {
    told(&plan(case))
}

/// Changes with their reasons, then steps with what they wait for, then notes.
pub(super) fn told(plan: &Plan) -> String {
    let mut text = String::new();
    for it in plan.changes.iter().filter(|it| {
        it.action != crate::engine::plan::model::change::Action::NoOp || it.unknown.is_some()
    }) {
        writeln!(text, "{} {}: {}", it.action.word(), it.address, it.reason).unwrap();
        if it.action != crate::engine::plan::model::change::Action::Create {
            for change in &it.attributes {
                writeln!(text, "  {}: {:?} → {:?}", change.name, change.before, change.after)
                    .unwrap();
            }
        }
    }
    for it in plan.changes.iter().filter(|it| it.deferred.is_some()) {
        let held = it.deferred.as_ref().unwrap();
        let names: Vec<&str> = held.attributes.iter().map(|it| it.name.as_str()).collect();
        let names = if held.action == crate::engine::plan::model::change::Action::Create {
            String::new()
        } else {
            names.join(" ")
        };
        writeln!(text, "held {} {} {names}: {}", held.action.word(), it.address, held.why).unwrap();
    }
    for it in &plan.stale {
        writeln!(text, "stale {} from {}", it.what, it.from).unwrap();
    }
    for it in &plan.drift {
        let names: Vec<&str> = it.attributes.iter().map(|it| it.name.as_str()).collect();
        writeln!(
            text,
            "drift {}{} {}",
            it.address,
            if it.absent { " absent" } else { "" },
            names.join(" ")
        )
        .unwrap();
    }
    for step in &plan.steps {
        let group = match &step.call {
            StepCall::Update { group, .. } if !group.is_empty() => format!(" {group}"),
            _ => String::new(),
        };
        write!(text, "{}: {}{group} {}", step.id, step.call.word(), step.address).unwrap();
        let mut waits: Vec<String> = Vec::new();
        waits.extend((!step.waits.is_empty()).then(|| format!("{:?}", step.waits)));
        waits.extend(step.quorums.iter().map(|it| format!("{} of {:?}", it.count, it.of)));
        let after = if waits.is_empty() { "" } else { " after " };
        writeln!(text, "{after}{}", waits.join(" and ")).unwrap();
    }
    for note in &plan.notes {
        writeln!(text, "{} {}", note.severity.word(), note.code).unwrap();
    }
    text
}

const SITE: &str = "
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'web-${each.index}', private_ip: true }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '192.168.1.${each.key}:80' }";

#[test]
fn plan_creates_first_what_is_needed() {
    insta::assert_snapshot!(check(&PlanCase { after: SITE, ..PlanCase::default() }), @r"
    create lb: not in state
    create http: not in state
    create web[0]: not in state
    create web[1]: not in state
    create node[0]: not in state
    create node[1]: not in state
    0: create lb
    1: create http after [0]
    2: create web[0]
    3: ready web[0] after [2]
    4: create web[1]
    5: ready web[1] after [4]
    6: create node[0] after [1, 3]
    7: create node[1] after [1, 5]
    ");
}

#[test]
fn plan_after_an_apply_is_empty() {
    assert_eq!(check(&PlanCase { before: SITE, after: SITE, ..PlanCase::default() }), "");
}

#[test]
fn plan_destroy_reverses_the_order() {
    let case =
        PlanCase { before: SITE, after: SITE, intent: Intent::Destroy, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r"
    delete http: the stack is being destroyed
    delete lb: the stack is being destroyed
    delete node[0]: the stack is being destroyed
    delete node[1]: the stack is being destroyed
    delete web[0]: the stack is being destroyed
    delete web[1]: the stack is being destroyed
    0: delete http after [2, 3]
    1: delete lb after [0]
    2: delete node[0]
    3: delete node[1]
    4: delete web[0] after [2]
    5: delete web[1] after [3]
    ");
}

#[test]
fn plan_replaces_dependents_along_with_their_parent() {
    let after = SITE.replace("region: us-east, label: lb-1", "region: eu-central, label: lb-1");
    let case = PlanCase { before: SITE, after: &after, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r#"
    replace lb: region: a NodeBalancer does not move between regions
      region: "us-east" → "eu-central"
    replace http: nodebalancer: a config belongs to one NodeBalancer
      nodebalancer: "1" → {"$open":true}
    replace node[0]: config: a node belongs to one config
      config: "2" → {"$open":true}
    replace node[1]: config: a node belongs to one config
      config: "2" → {"$open":true}
    0: delete lb after [2]
    1: create lb after [0]
    2: delete http after [4, 6]
    3: create http after [1, 2]
    4: delete node[0]
    5: create node[0] after [3, 4]
    6: delete node[1]
    7: create node[1] after [3, 6]
    refusal many_destroys
    "#);
}

#[test]
fn plan_create_before_destroy_makes_the_new_one_first() {
    let before = SITE.replace(
        "private_ip: true }",
        "private_ip: true, lifecycle: { create_before_destroy: true } }",
    );
    let after = before.replace("linode/debian12", "linode/ubuntu24.04");
    let case = PlanCase { before: &before, after: &after, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r#"
    replace web[0]: image: a new image needs a new disk
      image: "linode/debian12" → "linode/ubuntu24.04"
    replace web[1]: image: a new image needs a new disk
      image: "linode/debian12" → "linode/ubuntu24.04"
    0: create web[0]
    1: ready web[0] after [0]
    2: delete web[0] after [1]
    3: rename web[0] after [2]
    4: create web[1]
    5: ready web[1] after [4]
    6: delete web[1] after [5]
    7: rename web[1] after [6]
    "#);
}

#[test]
fn plan_never_deletes_or_recreates_what_is_unknown() {
    let unseen = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for seen in observed.values_mut() {
            *seen = Observation::Unknown("no answer".into());
        }
    };
    let gone = PlanCase { before: SITE, change: &unseen, ..PlanCase::default() };
    let other = SITE.replace("us-east", "eu-central");
    let changed = PlanCase { before: SITE, after: &other, change: &unseen, ..PlanCase::default() };
    for case in [gone, changed] {
        let plan = plan(&case);
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        assert!(plan.changes.iter().all(|it| it.unknown.is_some()));
    }
}

#[test]
fn plan_recreates_what_is_absent_unless_too_young_to_be_listed() {
    let absent = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        observed.insert(Address::index("web", 1), Observation::Absent);
    };
    let old = PlanCase { before: SITE, after: SITE, change: &absent, ..PlanCase::default() };
    insta::assert_snapshot!(check(&old), @r"
    create web[1]: deleted outside of lifeboat
    drift web[1] absent 
    0: create web[1]
    1: ready web[1] after [0]
    ");
    let young = PlanCase { now: 30_000, ..old };
    insta::assert_snapshot!(check(&young), @"no-op web[1]: it could not be read, so no change is planned for it");
}

/// Its balancer was deleted outside lifeboat, and everything in it with it: lists that lag have no part in that.
#[test]
fn plan_recreates_young_children_of_a_deleted_parent() {
    let absent = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for name in ["lb", "http", "node[0]", "node[1]"] {
            let address: Address = name.parse().unwrap();
            if name != "lb" {
                state.records.get_mut(&address).unwrap().since = 3_599_000;
            }
            observed.insert(address, Observation::Absent);
        }
    };
    let allowed = Allowances { absent: Some(9), outage: true, ..Allowances::default() };
    let case =
        PlanCase { before: SITE, after: SITE, change: &absent, allowed, ..PlanCase::default() };
    let told = check(&case);
    for made in ["create lb: ", "create http: ", "create node[0]: ", "create node[1]: "] {
        assert!(told.contains(made), "{made}: {told}");
    }
}

#[test]
fn plan_shows_and_repairs_drift() {
    let by_hand = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        if let Some(Observation::Exists { attributes, .. }) =
            observed.get_mut(&Address::one("http"))
        {
            attributes.insert("check_attempts".into(), Value::Int(7));
        }
    };
    let case = PlanCase { before: SITE, after: SITE, change: &by_hand, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r"
    update http: check_attempts differs
      check_attempts: 7 → 3
    drift http check_attempts
    0: update http
    ");
    let ignored =
        SITE.replace("port: 80 }", "port: 80, lifecycle: { ignore_changes: [check_attempts] } }");
    let case = PlanCase { after: &ignored, ..case };
    insta::assert_snapshot!(check(&case), @"drift http check_attempts");
}

#[test]
fn plan_moves_a_record_when_its_count_or_name_changes() {
    let one = "  web: { kind: linode.nodebalancer, region: us-east, label: a-lb }";
    let many = "  web: { kind: linode.nodebalancer, count: 1, region: us-east, label: a-lb }";
    insta::assert_snapshot!(check(&PlanCase { before: one, after: many, ..PlanCase::default() }), @r"
    move web[0]: the record moves to another address; the resource is not changed
    0: move web[0]
    ");
    let moved =
        "  site: { kind: linode.nodebalancer, region: us-east, label: a-lb, moved_from: web }";
    insta::assert_snapshot!(check(&PlanCase { before: one, after: moved, ..PlanCase::default() }), @r"
    move site: the record moves to another address; the resource is not changed
    0: move site
    ");
}

#[test]
fn plan_awaits_what_is_not_ready_and_never_replaces_it() {
    let not_ready = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        state.records.get_mut(&Address::index("web", 0)).unwrap().ready = false;
    };
    let case = PlanCase { before: SITE, after: SITE, change: &not_ready, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r"
    await web[0]: it is not ready yet
    0: ready web[0]
    ");
    // Cut off between the call and its end; there is nothing that anybody could wait for.
    let cut_off = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        state.records.get_mut(&Address::one("lb")).unwrap().ready = false;
    };
    let case = PlanCase { before: SITE, after: SITE, change: &cut_off, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @"");
}

const TABLE: &str = "  t: { kind: dynamodb.table, region: us-east-1, name: tab, attributes: { id: S }, hash_key: id }";

#[test]
fn plan_refuses_data_loss_without_an_allowance() {
    let other = TABLE.replace("id: S", "id: N");
    let case = PlanCase { before: TABLE, after: &other, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r#"
    replace t: attributes: the type of a key attribute is fixed
      attributes: {"id":"S"} → {"id":"N"}
    0: delete t
    1: gone t after [0]
    2: create t after [1]
    3: ready t after [2]
    refusal data_loss
    "#);
    let delete = vec![Address::one("t")];
    let case = PlanCase { allowed: Allowances { delete, ..Allowances::default() }, ..case };
    assert!(plan(&case).notes.is_empty());
}

/// A member that goes takes a copy along: which one, and where the data stays, is said; the last one takes the data.
#[test]
fn plan_tells_the_loss_of_a_copy_from_the_loss_of_data() {
    let group = format!(
        "{TABLE}\n  copy: {{ kind: dynamodb.replica, table: '${{t}}', region: eu-west-1 }}"
    );
    let case = PlanCase { before: &group, after: TABLE, ..PlanCase::default() };
    let copy = plan(&case);
    let refusal = copy.refusals().find(|it| it.code == "data_loss").unwrap();
    insta::assert_snapshot!(refusal.text, @"this plan would delete `copy` (dynamodb.replica): the copy in eu-west-1 will be deleted; the data stays in us-east-1 alone");
    assert!(refusal.help.as_deref().unwrap().ends_with("or allow this: --allow-delete 'copy'"));
    let told = |plan: &Plan| {
        let data = plan.dangers.iter().filter(|it| it.sort == Sort::Data);
        let told = data.map(|it| format!("{}: {} {:?}", it.address, it.says, it.stays));
        told.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&copy), @r#"copy: the copy in eu-west-1 will be deleted; the data stays in us-east-1 alone ["us-east-1"]"#);
    let none = "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }";
    let all = plan(&PlanCase { before: &group, after: none, ..PlanCase::default() });
    insta::assert_snapshot!(told(&all), @r"
    copy: its data will be permanently deleted []
    t: its data will be permanently deleted []
    ");
}

#[test]
fn plan_remembers_protection_whose_block_is_gone() {
    let protected =
        TABLE.replace("hash_key: id }", "hash_key: id, lifecycle: { prevent_destroy: true } }");
    let case = PlanCase {
        before: &protected,
        intent: Intent::Destroy,
        after: TABLE,
        ..PlanCase::default()
    };
    insta::assert_snapshot!(check(&case), @r"
    delete t: the stack is being destroyed
    0: delete t
    1: gone t after [0]
    refusal prevent_destroy
    ");
    let lifted =
        TABLE.replace("hash_key: id }", "hash_key: id, lifecycle: { prevent_destroy: false } }");
    let case = PlanCase { after: &lifted, ..case };
    assert!(plan(&case).notes.is_empty());
    let by_cloud = TABLE.replace("hash_key: id }", "hash_key: id, deletion_protection: true }");
    let case = PlanCase { before: &by_cloud, after: &by_cloud, ..case };
    insta::assert_snapshot!(check(&case), @r"
    delete t: the stack is being destroyed
    0: delete t
    1: gone t after [0]
    refusal cloud_protection
    ");
    let help = |case: &PlanCase<'_>| {
        let plan = plan(case);
        let refusal = plan.refusals().find(|it| it.code == "cloud_protection").unwrap();
        refusal.help.clone().unwrap()
    };
    assert_eq!(help(&case), "set `deletion_protection: false` for it and apply that first");
    // What no layer declares has no place for that.
    let none = "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }";
    let case = PlanCase { intent: Intent::Apply, after: none, ..case };
    assert_eq!(
        help(&case),
        "it is no longer declared: declare it again with `deletion_protection: false`, apply that, and then remove it"
    );
}

#[test]
fn plan_requires_an_allowance_for_many_destroys_or_many_absent() {
    let keys: String = (0..8).fold(String::new(), |mut text, at| {
        writeln!(
            text,
            "  k{at}: {{ kind: linode.ssh_key, label: k{at}, ssh_key: 'ssh-ed25519 AAAA{at} x' }}"
        )
        .unwrap();
        text
    });
    let few: String = keys.lines().take(4).fold(String::new(), |text, line| text + line + "\n");
    let notes =
        |case: &PlanCase<'_>| plan(case).notes.iter().map(|it| it.code.clone()).collect::<Vec<_>>();
    let case = PlanCase { before: &keys, after: &few, ..PlanCase::default() };
    assert_eq!(notes(&case), ["many_destroys"]);
    let allowed = Allowances { destroys: Some(4), ..Allowances::default() };
    assert!(notes(&PlanCase { allowed, ..case }).is_empty());
    let absent = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for seen in observed.values_mut().take(5) {
            *seen = Observation::Absent;
        }
    };
    let case = PlanCase { before: &keys, after: &keys, change: &absent, ..PlanCase::default() };
    assert_eq!(notes(&case), ["many_absent"]);
    let allowed = Allowances { absent: Some(5), ..Allowances::default() };
    assert!(notes(&PlanCase { allowed, ..case }).is_empty());
}

const RECORDS: &str = "
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  a: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.1 }
  b: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.2 }";

#[test]
fn plan_fills_a_serving_set_before_it_empties_it() {
    let after = RECORDS.replace("  b:", "  c:").replace("192.0.2.2", "192.0.2.3");
    let case = PlanCase { before: RECORDS, after: &after, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r"
    create c: not in state
    delete b: it is no longer declared
    0: create c
    1: delete b after [0]
    ");
    let zone_only = RECORDS.lines().take(2).collect::<Vec<_>>().join("\n");
    let case = PlanCase { after: &zone_only, ..case };
    insta::assert_snapshot!(check(&case), @r"
    delete a: it is no longer declared
    delete b: it is no longer declared
    0: delete a
    1: delete b
    refusal empties_serving_set
    ");
    let outage = Allowances { outage: true, ..Allowances::default() };
    assert!(plan(&PlanCase { allowed: outage, ..case }).notes.is_empty());
}

#[test]
fn plan_changes_members_of_a_group_one_at_a_time() {
    let group = format!(
        "{TABLE}\n  r: {{ kind: dynamodb.replica, table: '${{t}}', region: eu-west-1 }}\n  s: {{ kind: dynamodb.replica, table: '${{t}}', region: ap-south-1 }}"
    );
    let plan = plan(&PlanCase { after: &group, ..PlanCase::default() });
    let lanes: std::collections::BTreeSet<_> =
        plan.steps.iter().map(|it| it.lane.clone()).collect();
    assert_eq!(lanes.len(), 1, "{lanes:?}");
}

#[test]
fn plan_without_a_secret_stops_a_create_and_changes_nothing_else() {
    let with = "  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: web, root_pass: '${vars.secret}' }";
    let create = plan(&PlanCase { after: with, ..PlanCase::default() });
    assert_eq!(create.notes[0].code, "missing_secret");
    assert_eq!(check(&PlanCase { before: with, after: with, ..PlanCase::default() }), "");
}

#[test]
fn plan_is_the_same_for_the_same_inputs() {
    let after = SITE.replace("linode/debian12", "linode/ubuntu24.04");
    let case = PlanCase { before: SITE, after: &after, ..PlanCase::default() };
    assert_eq!(plan(&case), plan(&case));
}

/// Both members of a group, as the cloud tells them.
fn grouped(observed: &mut BTreeMap<Address, Observation>, replica_sees: &str) {
    for (name, other) in [("t", "eu-west-1"), ("r", replica_sees)] {
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&Address::one(name))
        {
            attributes.insert("replicas".into(), Value::List(vec![Value::text(other)]));
        }
    }
}

#[test]
fn plan_rejoins_an_absent_member_through_the_healthy_one() {
    let group =
        format!("{TABLE}\n  r: {{ kind: dynamodb.replica, table: '${{t}}', region: eu-west-1 }}");
    let gone = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        grouped(observed, "us-east-1");
        observed.insert(Address::one("t"), Observation::Absent);
    };
    let case = PlanCase { before: &group, after: &group, change: &gone, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r"
    create t: deleted outside of lifeboat; it joins the group through its healthy member in eu-west-1
    drift t absent 
    0: create t
    1: ready t after [0]
    ");
    let StepCall::Create { attributes, .. } = &plan(&case).steps[0].call else {
        panic!("a create")
    };
    assert_eq!(attributes["join.region"], Value::text("eu-west-1"));
}

#[test]
fn plan_refuses_a_split_group() {
    let group =
        format!("{TABLE}\n  r: {{ kind: dynamodb.replica, table: '${{t}}', region: eu-west-1 }}");
    let split = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        grouped(observed, "ap-south-1");
    };
    let case = PlanCase { before: &group, after: &group, change: &split, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @"refusal split_group");
    let whole = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        grouped(observed, "us-east-1");
    };
    assert_eq!(check(&PlanCase { change: &whole, ..case }), "");
}

/// What was told to go is neither kept nor made again before it is gone, and then nobody else has deleted it.
#[test]
fn plan_waits_for_a_deletion_in_progress() {
    let left = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        state.records.get_mut(&Address::one("t")).unwrap().leaving = true;
    };
    let said = |after: &str, change: &dyn Fn(&mut State, &mut BTreeMap<Address, Observation>)| {
        check(&PlanCase { before: TABLE, after, change, ..PlanCase::default() })
    };
    assert_eq!(said(TABLE, &left).trim(), "refusal still_leaving");
    let told = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let Some(Observation::Exists { attributes, ready }) = observed.get_mut(&Address::one("t"))
        else {
            panic!("it is there")
        };
        attributes.insert("status".into(), Value::text("DELETING"));
        *ready = false;
    };
    assert_eq!(said(TABLE, &told).trim(), "refusal still_leaving");
    let gone = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        left(state, observed);
        observed.insert(Address::one("t"), Observation::Absent);
    };
    let again = said(TABLE, &gone);
    assert!(again.contains("create t: not in state"), "{again}");
    assert!(!again.contains("drift"), "{again}");
    // Its data was lost when its deletion began, by whoever allowed that.
    let none = "  k: { kind: linode.ssh_key, label: k, ssh_key: ssh-ed25519 AAAA }";
    let went = said(none, &left);
    assert!(
        went.contains("delete t: its deletion is in progress") && !went.contains("refusal"),
        "{went}"
    );
}

#[test]
fn plan_disrupts_siblings_one_at_a_time() {
    let after = SITE.replace("g6-nanode-1", "g6-standard-1");
    let case = PlanCase { before: SITE, after: &after, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r#"
    update web[0]: type differs
      type: "g6-nanode-1" → "g6-standard-1"
    update web[1]: type differs
      type: "g6-nanode-1" → "g6-standard-1"
    0: update resize web[0]
    1: ready web[0] after [0]
    2: update resize web[1] after [1]
    3: ready web[1] after [2]
    "#);
}

/// The disk decides, not the vCPUs: a highmem plan of more has less of it. Of a plan that is not known nothing is said.
#[test]
fn plan_replaces_for_a_smaller_type_and_resizes_for_a_larger_one() {
    let sized = |plan: &str| {
        format!(
            "  web: {{ kind: linode.instance, region: us-east, type: {plan}, label: web, lifecycle: {{ create_before_destroy: true }} }}"
        )
    };
    let mut told = String::new();
    for (before, after) in [
        ("g6-standard-4", "g6-standard-2"),
        ("g6-standard-2", "g6-standard-4"),
        ("g6-standard-1", "g7-highmem-2"),
        ("g6-standard-4", "g6-dedicated-4"),
        ("g6-standard-4", "g9-unheard-of-1"),
        ("g9-unheard-of-1", "g6-nanode-1"),
    ] {
        let (before, after) = (sized(before), sized(after));
        told += &check(&PlanCase { before: &before, after: &after, ..PlanCase::default() });
    }
    insta::assert_snapshot!(told, @r#"
    replace web: type: Linode does not shrink a disk in place
      type: "g6-standard-4" → "g6-standard-2"
    0: create web
    1: ready web after [0]
    2: delete web after [1]
    3: rename web after [2]
    update web: type differs
      type: "g6-standard-2" → "g6-standard-4"
    0: update resize web
    1: ready web after [0]
    replace web: type: Linode does not shrink a disk in place
      type: "g6-standard-1" → "g7-highmem-2"
    0: create web
    1: ready web after [0]
    2: delete web after [1]
    3: rename web after [2]
    update web: type differs
      type: "g6-standard-4" → "g6-dedicated-4"
    0: update resize web
    1: ready web after [0]
    update web: type differs
      type: "g6-standard-4" → "g9-unheard-of-1"
    0: update resize web
    1: ready web after [0]
    update web: type differs
      type: "g9-unheard-of-1" → "g6-nanode-1"
    0: update resize web
    1: ready web after [0]
    "#);
}

#[test]
fn plan_refuses_another_kind_under_the_same_name() {
    let before = "  a: { kind: linode.firewall, label: wall }";
    let after = "  a: { kind: linode.nodebalancer, region: us-east, label: wall }";
    insta::assert_snapshot!(check(&PlanCase { before, after, ..PlanCase::default() }), @"error kind_changed");
}

#[test]
fn plan_moves_one_record_to_one_address() {
    let before = "  b: { kind: linode.nodebalancer, region: us-east, label: one }";
    let after = "
  c: { kind: linode.nodebalancer, region: us-east, label: one, moved_from: b }
  d: { kind: linode.nodebalancer, region: us-east, label: two, moved_from: b }";
    insta::assert_snapshot!(check(&PlanCase { before, after, ..PlanCase::default() }), @r"
    move c: the record moves to another address; the resource is not changed
    create d: not in state
    0: move c
    1: create d
    ");
}

#[test]
fn plan_finishes_an_interrupted_replace_after_its_users_moved() {
    let before = SITE.replace(
        "private_ip: true }",
        "private_ip: true, lifecycle: { create_before_destroy: true } }",
    );
    let after = before.replace("linode/debian12", "linode/ubuntu24.04");
    let interrupted = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let address = Address::index("web", 0);
        let record = state.records.get_mut(&address).unwrap();
        let (id, attributes) = ("99".to_owned(), record.attributes.clone());
        record.deposed = Some(crate::engine::state::record::Deposed { id, attributes });
        record.attributes.insert("label".into(), Value::text("web-0-abcde"));
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&address) {
            attributes.insert("label".into(), Value::text("web-0-abcde"));
        }
        if let Some(Observation::Exists { attributes, .. }) =
            observed.get_mut(&Address::index("node", 0))
        {
            attributes.insert("address".into(), Value::text("192.168.1.9:80"));
        }
        let node = state.records.get_mut(&Address::index("node", 0)).unwrap();
        node.attributes.insert("address".into(), Value::text("192.168.1.9:80"));
    };
    let case =
        PlanCase { before: &before, after: &after, change: &interrupted, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case), @r#"
    update web[0]: an interrupted replacement is finished first by deleting the old resource; other changes follow with the next apply
      label: "web-0-abcde" → "web-0"
    replace web[1]: image: a new image needs a new disk
      image: "linode/debian12" → "linode/ubuntu24.04"
    update node[0]: address differs
      address: "192.168.1.9:80" → "192.168.1.0:80"
    0: delete web[0] after [6]
    1: rename web[0] after [0]
    2: create web[1]
    3: ready web[1] after [2]
    4: delete web[1] after [3]
    5: rename web[1] after [4]
    6: update node[0]
    "#);
}

#[test]
fn plan_hides_a_secret_that_the_cloud_returns() {
    let catalog = builtin();
    let text = "stack: t\nvariables:\n  pw: { type: string, sensitive: true, default: Hunter2 }\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: 'lb-${vars.pw}', tags: ['t-${vars.pw}', plain] }\n";
    let layer = Layer { name: String::new(), file: "stack.yaml".into(), bytes: text.into() };
    let stack =
        load("t", &[layer], &[], RememberedVariables::none(), &NoFiles, &catalog).stack.unwrap();
    let (state, mut observed) = applied(&stack, &catalog);
    let mut propose_with = |label: &str| {
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&Address::one("lb"))
        {
            let tags = vec![Value::text("plain"), Value::text("t-hunter2")];
            attributes.insert("label".into(), Value::text(label));
            attributes.insert("tags".into(), Value::List(tags));
        }
        let order = order(&stack);
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &stack,
            order: &order,
            state: Some(&state),
            observed: &observed,
        };
        plan_changes(&worlds, &PlanOptions { now: 3_600_000, ..PlanOptions::default() }).0
    };
    let same = propose_with("lb-Hunter2");
    assert!(same.steps.is_empty() && same.drift.is_empty(), "{:?} {:?}", same.changes, same.drift);
    let shown = format!("{:?}", propose_with("lb-Hunter3"));
    assert!(shown.contains("sensitive") && !shown.to_lowercase().contains("hunter"), "{shown}");
}

/// Without its secret nothing is changed; what somebody else changed is said all the same.
#[test]
fn plan_reports_drift_of_a_secret_that_is_not_given() {
    let catalog = builtin();
    let told = |label: &str, tag: &str| {
        let text = |default: &str| {
            format!(
                "stack: t\nvariables:\n  pw: {{ type: string, sensitive: true{default} }}\nresources:\n  lb: {{ kind: linode.nodebalancer, region: us-east, label: 'lb-${{vars.pw}}', tags: ['t-${{vars.pw}}', plain] }}\n"
            )
        };
        let stack = |text: String| {
            let layer =
                Layer { name: String::new(), file: "stack.yaml".into(), bytes: text.into() };
            load("t", &[layer], &[], RememberedVariables::none(), &NoFiles, &catalog).stack.unwrap()
        };
        let (state, mut observed) = applied(&stack(text(", default: Hunter2")), &catalog);
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&Address::one("lb"))
        {
            let tags = vec![Value::text("plain"), Value::text(tag)];
            attributes.insert("label".into(), Value::text(label));
            attributes.insert("tags".into(), Value::List(tags));
        }
        let stack = stack(text(""));
        let order = order(&stack);
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &stack,
            order: &order,
            state: Some(&state),
            observed: &observed,
        };
        let plan =
            plan_changes(&worlds, &PlanOptions { now: 3_600_000, ..PlanOptions::default() }).0;
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        let notes: Vec<String> =
            plan.notes.iter().map(|it| format!("{}: {}", it.code, it.text)).collect();
        notes.join("\n")
    };
    assert_eq!(told("lb-Hunter2", "t-hunter2"), "");
    insta::assert_snapshot!(told("lb-mine", "t-hunter2"), @"secret_drift: `label` of `lb` was changed outside of lifeboat and cannot be compared with the configuration, because its secret is not set");
    // Tags are stored in small letters: by its fingerprint nobody can tell which they were.
    assert_eq!(told("lb-Hunter2", "t-mine"), "");
}
