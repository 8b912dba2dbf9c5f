//! Switches as data in, text out: what is frozen, what is held, what waits for what, and what is refused.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::load::{Layer, load};
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Stack;
use crate::engine::observed::Observation;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Action, LossDeclaration, Plan, StepCall};
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::plan::planner::{
    Intent, Keep, PlanInputs, PlanOptions, plan_changes, plan_switch,
};
use crate::engine::plan::tests::{NoFiles, applied, order, told};
use crate::engine::schema::Catalog;
use crate::engine::state::record::{Deposed, Draining, Phase, State};
use crate::engine::value::Value;
use crate::kinds::builtin;

const NOW: i64 = 3_600_000;

/// Two sites, one record.
pub const SITES: &str = "
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-us }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_timeout: 5 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'web-${each.index}', private_ip: true }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '192.168.1.${each.key}:80' }
  lb_eu: { kind: linode.nodebalancer, region: eu-central, label: lb-eu }
  http_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', check: http, check_path: /ok, check_timeout: 5 }
  eu: { kind: linode.instance, count: '${vars.size}', region: eu-central, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'eu-${each.index}', private_ip: true }
  node_eu: { kind: linode.nodebalancer_node, for_each: '${eu}', config: '${http_eu}', label: '${each.value.label}', address: '192.168.2.${each.key}:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }
outputs:
  home: '${lb.ipv4}'";

pub const FAILOVER: &str =
    "variables: { size: 2 }\nresources:\n  shop: { target: '${lb_eu.ipv4}' }\n";

fn layered(catalog: &Catalog, base: &str, overlay: Option<&str>) -> Stack {
    let text =
        format!("stack: t\nvariables:\n  size: {{ type: int, default: 1 }}\nresources:{base}\n");
    let mut layers =
        vec![Layer { name: String::new(), file: "stack.yaml".into(), bytes: text.into_bytes() }];
    if let Some(overlay) = overlay {
        let (name, file) = ("x".to_owned(), "overlays/x.yaml".to_owned());
        layers.push(Layer { name, file, bytes: overlay.as_bytes().to_vec() });
    }
    let loaded = load("t", &layers, &[], RememberedVariables::none(), &NoFiles, catalog);
    let wrong: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|it| it.severity > crate::engine::text::diagnostic::Severity::Warning)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    loaded.stack.unwrap()
}

/// One switch: what was applied, what the layers say now, the overlay, and what is lost.
#[derive(Clone)]
pub struct SwitchCase<'a> {
    pub applied: &'a str,
    pub base: &'a str,
    /// The overlay that was active; `None`: the base.
    pub active: Option<&'a str>,
    /// Left by switches that were turned before they did anything; `None`: the base.
    pub turned: &'a [Option<&'a str>],
    pub to: Option<&'a str>,
    pub intent: Intent,
    pub lost: &'a [&'a str],
    /// The state says so already.
    pub is_recorded: bool,
    pub recovered: &'a [&'a str],
    pub keep: Keep,
    pub allowed: Allowances,
    /// What could be switched to.
    pub ways: &'a [RecoveryOverlay],
    pub change: &'a dyn Fn(&mut State, &mut BTreeMap<Address, Observation>),
}

impl Default for SwitchCase<'_> {
    fn default() -> Self {
        Self {
            applied: SITES,
            base: SITES,
            active: None,
            turned: &[],
            to: Some(FAILOVER),
            intent: Intent::Apply,
            lost: &[],
            is_recorded: false,
            recovered: &[],
            keep: Keep::Nothing,
            allowed: Allowances::default(),
            ways: &[],
            change: &|_, _| {},
        }
    }
}

pub fn plan(case: &SwitchCase<'_>) -> Plan {
    let catalog = builtin();
    let (mut state, mut observed) = applied(
        &layered(&catalog, case.applied, case.turned.first().copied().unwrap_or(case.active)),
        &catalog,
    );
    let names = |it: Option<&str>| it.map(|_| "x".to_owned()).into_iter().collect::<Vec<_>>();
    state.active = names(case.active);
    (case.change)(&mut state, &mut observed);
    let recorded = case.is_recorded.then(|| (1, "me".to_owned()));
    let loss =
        |it: &&str| LossDeclaration { fault_domain: (*it).into(), recorded: recorded.clone() };
    let options = PlanOptions {
        intent: case.intent,
        now: NOW,
        allowed: case.allowed.clone(),
        lost: case.lost.iter().map(loss).collect(),
        recovered: case.recovered.iter().map(ToString::to_string).collect(),
        recovered_so_far: case.recovered.iter().map(ToString::to_string).collect(),
        keep: case.keep,
        from: Some(names(case.active)),
        ways: case.ways.to_vec(),
        ..PlanOptions::default()
    };
    let (mut before, mut after) =
        (layered(&catalog, case.base, case.active), layered(&catalog, case.base, case.to));
    before.overlays = names(case.active);
    after.overlays = names(case.to);
    let (order_before, order_after) = (order(&before), order(&after));
    let worlds = |stack, order| PlanInputs {
        catalog: &catalog,
        stack,
        order,
        state: Some(&state),
        observed: &observed,
    };
    let left = worlds(&before, order_before.as_slice());
    let wanted = worlds(&after, order_after.as_slice());
    if case.active == case.to {
        plan_changes(&wanted, &options).0
    } else {
        let turned: Vec<(Stack, Vec<Address>)> = case
            .turned
            .iter()
            .map(|it| {
                let stack = layered(&catalog, case.base, *it);
                let order = order(&stack);
                (stack, order)
            })
            .collect();
        let turned = turned.iter().map(|(stack, order)| worlds(stack, order.as_slice()));
        let left: Vec<PlanInputs<'_>> = [left].into_iter().chain(turned).collect();
        plan_switch(&left, &wanted, &options).0
    }
}

pub fn check(case: &SwitchCase<'_>) -> String {
    told(&plan(case))
}

const US: &[&str] = &["linode:us-east"];

#[test]
fn plan_switch_moves_traffic_last_behind_its_target_and_gate() {
    insta::assert_snapshot!(check(&SwitchCase::default()));
}

/// Two overlays that want the same of the standby, and the first was stopped before it did anything: what both want is
/// what the second is asked for, and only a merge that nobody asked for waits.
#[test]
fn plan_switch_after_a_preempted_one_makes_what_both_want() {
    let merged = format!(
        "{}\n  late: {{ kind: linode.nodebalancer, region: eu-central, label: late }}",
        SITES.split("\noutputs:").next().unwrap()
    );
    let other = FAILOVER.replace(
        "resources:",
        "resources:\n  extra: { kind: linode.nodebalancer, region: eu-central, label: extra }",
    );
    let unfinished = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        state.phase = Phase::Switching;
    };
    let plan = plan(&SwitchCase {
        base: &merged,
        active: Some(FAILOVER),
        turned: &[None],
        to: Some(&other),
        change: &unfinished,
        ..SwitchCase::default()
    });
    let action = |name: &str| {
        let change = plan.changes.iter().find(|it| it.address.to_string() == name).unwrap();
        (change.action, change.deferred.is_some())
    };
    assert_eq!(action("shop"), (Action::Update, false), "{}", told(&plan));
    assert_eq!(action("eu[1]"), (Action::Create, false));
    assert_eq!(action("node_eu[1]"), (Action::Create, false));
    assert_eq!(action("extra"), (Action::Create, false));
    assert_eq!(action("late"), (Action::NoOp, true));
}

#[test]
fn plan_switch_under_loss_skips_what_is_frozen() {
    let text = check(&SwitchCase { lost: US, ..SwitchCase::default() });
    insta::assert_snapshot!(text);
}

/// What the step that directs the users of a record waits for, its serving gate first; then what is refused.
fn waits_of_shift(case: &SwitchCase<'_>, address: &str) -> String {
    let plan = plan(case);
    let name = |at: &usize| format!("{} {}", plan.steps[*at].call.word(), plan.steps[*at].address);
    let steps = plan.steps.iter().filter(|it| it.address.to_string() == address);
    let mut told = Vec::new();
    for step in steps.filter(|it| it.call.mutates() || matches!(it.call, StepCall::Serving { .. }))
    {
        let gated = match &step.call {
            StepCall::Serving { of, serves, .. } => {
                let of = of.iter().map(|it| format!("{} {it}", serves.get(it).unwrap_or(&1)));
                format!(" of {}", of.collect::<Vec<_>>().join(" and "))
            }
            _ => String::new(),
        };
        let waits = step.waits.iter().map(&name).collect::<Vec<_>>();
        let some = step.quorums.iter().map(|it| {
            format!("{} of ({})", it.count, it.of.iter().map(&name).collect::<Vec<_>>().join(", "))
        });
        let all: Vec<String> = waits.into_iter().chain(some).collect();
        let after = if all.is_empty() { "nothing".into() } else { all.join(", ") };
        told.push(format!("  {}{gated} after {after}\n", step.call.word()));
    }
    assert!(!told.is_empty(), "nothing is done with {address}");
    let refused = plan.refusals().map(|it| format!("  refused {}: {}\n", it.code, it.text));
    told.into_iter().chain(refused).collect()
}

/// Users wait for their quorum, not for the whole scale-up: under a loss for one backend, else for all, or as the record says.
#[test]
fn plan_switch_waits_for_the_quorum_of_its_target() {
    let overlay = |size: u32, gate: &str| {
        format!(
            "variables: {{ size: {size} }}\nresources:\n  shop: {{ target: '${{lb_eu.ipv4}}'{gate} }}\n"
        )
    };
    let mut told = String::new();
    for (name, size, gate, lost) in [
        ("one of three stands", 3, "", US),
        ("planned", 3, "", &[] as &[&str]),
        ("two of three", 3, ", gate: { serves: 2 }", US),
        ("two of three, planned", 3, ", gate: { serves: 2 }", &[]),
        ("half of four", 4, ", gate: { serves: '50%' }", US),
        ("all", 3, ", gate: { serves: '100%' }", US),
        ("more than there are", 2, ", gate: { serves: 5 }", US),
        ("its own page, too", 3, ", gate: { http: 'http://${lb_eu.ipv4}/ok', serves: 2 }", US),
        (
            "two of its own",
            3,
            ", gate: [{ tcp: '${lb_eu.ipv4}:80' }, { tcp: '${lb_eu.ipv4}:443' }]",
            US,
        ),
        ("its own alone", 3, ", gate: { tcp: '${lb_eu.ipv4}:80', health: false }", US),
        ("none", 3, ", gate: { health: false }", US),
    ] {
        let overlay = overlay(size, gate);
        let case = SwitchCase { to: Some(&overlay), lost, ..SwitchCase::default() };
        told.push_str(&format!("{name}\n{}", waits_of_shift(&case, "shop")));
    }
    insta::assert_snapshot!(told);
}

/// What takes a backend away comes after the users where the others reach the quorum, one after another; else before them.
#[test]
fn plan_switch_takes_backends_away_after_users_where_the_quorum_serves_without() {
    let sites = |count: u32| {
        SITES.replace("'${vars.size}', region: eu-central", &format!("{count}, region: eu-central"))
    };
    let mut told = String::new();
    for (name, count, eu, gate, lost) in [
        ("three become one", 3, "count: 1", "", US),
        ("three become one, planned", 3, "count: 1", "", &[] as &[&str]),
        ("the only one is resized", 1, "type: g6-standard-1", "", US),
        ("two are resized", 2, "type: g6-standard-1", "", US),
        ("two are resized, both asked for", 2, "type: g6-standard-1", ", gate: { serves: 2 }", US),
        ("two are resized, planned", 2, "type: g6-standard-1", "", &[]),
        ("two are rebuilt", 2, "image: linode/ubuntu24.04", "", US),
        ("one of three stays, and is rebuilt", 3, "count: 1, image: linode/ubuntu24.04", "", US),
    ] {
        let overlay = format!(
            "resources:\n  shop: {{ target: '${{lb_eu.ipv4}}'{gate} }}\n  eu: {{ {eu} }}\n"
        );
        let base = sites(count);
        let allowed = Allowances { destroys: Some(99), ..Allowances::default() };
        let case = SwitchCase {
            applied: &base,
            base: &base,
            to: Some(&overlay),
            lost,
            allowed,
            ..SwitchCase::default()
        };
        told.push_str(&format!("{name}\n{}", waits_of_shift(&case, "shop")));
        let plan = plan(&case);
        let begins = |it: &&crate::engine::plan::model::change::Step| {
            matches!(it.call, StepCall::Delete { .. } | StepCall::Update { .. })
                && it.address.name.ends_with("eu")
        };
        for step in plan.steps.iter().filter(begins) {
            let waits = step.waits.iter().map(|at| &plan.steps[*at]);
            let waits: Vec<String> =
                waits.map(|it| format!("{} {}", it.call.word(), it.address)).collect();
            let (word, after) = (step.call.word(), waits.join(", "));
            told.push_str(&format!("    {word} {} after [{after}]\n", step.address));
        }
    }
    insta::assert_snapshot!(told);
}

/// Nobody waits for it, and the plan says so; whoever is told to skip what has no gate made a slip.
#[test]
fn plan_switch_skips_gates_that_it_is_told_to_skip() {
    let overlay = "variables: { size: 3 }\nresources:\n  shop: { target: '${lb_eu.ipv4}', gate: { tcp: '${lb_eu.ipv4}:80' } }\n";
    let mut told = String::new();
    for address in ["shop", "node_eu[0]", "lb_eu", "nobody"] {
        let skip_gates = [(address.parse().unwrap(), "seen by hand".to_owned())].into();
        let allowed = Allowances { skip_gates, ..Allowances::default() };
        let case = SwitchCase { to: Some(overlay), lost: US, allowed, ..SwitchCase::default() };
        told.push_str(&format!("{address}\n{}", waits_of_shift(&case, "shop")));
        let plan = plan(&case);
        for it in plan.notes.iter().filter(|it| it.text.contains("skip")) {
            told.push_str(&format!("  {}: {}\n", it.severity.word(), it.text));
        }
        told.push_str(&format!("  {:?}\n", plan.skipped_gates));
    }
    insta::assert_snapshot!(told);
}

/// Who loses a record is served by the others of its set: those of a lost site at once, those of a living one by all.
#[test]
fn plan_switch_withdraws_a_lost_record_before_the_scale_up_is_over() {
    let two = SITES.replace("outputs:", "  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb_eu.ipv4}', ttl_sec: 300 }\noutputs:");
    let alone = "variables: { size: 3 }\nresources:\n  shop: null\n";
    let mut told = String::new();
    for (name, lost) in [("lost", US), ("planned", &[])] {
        let case = SwitchCase {
            applied: &two,
            base: &two,
            to: Some(alone),
            lost,
            ..SwitchCase::default()
        };
        told.push_str(&format!("{name}\n{}", waits_of_shift(&case, "shop")));
    }
    insta::assert_snapshot!(told);
}

/// A loss elsewhere hurries nobody who is served: users of a living site wait for all that they are to be served by.
#[test]
fn plan_switch_moves_users_of_a_living_site_to_all_of_the_new_one() {
    let overlay = "variables: { size: 3 }\nresources:\n  shop: { target: '${lb_eu.ipv4}' }\n";
    let lost: &[&str] = &["aws:us-east-1"];
    let case = SwitchCase { to: Some(overlay), lost, ..SwitchCase::default() };
    insta::assert_snapshot!(waits_of_shift(&case, "shop"));
}

/// Who goes home from a site that is lost is served by nobody: one backend is enough there as well.
#[test]
fn plan_switch_home_from_a_lost_site_waits_for_one_backend() {
    let home = SITES.replace("count: 2, region: us-east", "count: 3, region: us-east");
    let eu: &[&str] = &["linode:eu-central"];
    let mut told = String::new();
    for (name, lost) in [("lost", eu), ("planned", &[])] {
        let case = SwitchCase {
            base: &home,
            active: Some(FAILOVER),
            to: None,
            lost,
            ..SwitchCase::default()
        };
        told.push_str(&format!("{name}\n{}", waits_of_shift(&case, "shop")));
    }
    insta::assert_snapshot!(told);
}

/// Which config a member is inside is known where its expression is computed only when it is made: it counts behind none.
#[test]
fn plan_switch_counts_no_backend_behind_two_configs() {
    let two = SITES.replacen(
        "  zone:",
        "  other_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', port: 81, check: http, check_path: /ok, check_timeout: 5 }
  either: { kind: linode.nodebalancer_node, for_each: { a: 80, b: 81 }, config: '${each.value == 80 ? http_eu : other_eu}', label: 'either-${each.key}', address: '192.168.3.1:${each.value}' }
  zone:",
        1,
    );
    let case = SwitchCase { applied: &two, base: &two, ..SwitchCase::default() };
    insta::assert_snapshot!(waits_of_shift(&case, "shop"));
}

/// Half of three is two, and half of one is one: each config is asked for its own share.
#[test]
fn plan_switch_asks_each_config_for_its_own_share() {
    let admin = "  admin_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', port: 81, check: http, check_path: /ok, check_timeout: 5 }
  admin_node: { kind: linode.nodebalancer_node, config: '${admin_eu}', label: admin, address: '192.168.2.0:81' }
  zone:";
    let base = SITES.replacen("  zone:", admin, 1);
    let overlay = "variables: { size: 3 }\nresources:\n  shop: { target: '${lb_eu.ipv4}', gate: { serves: '50%' } }\n";
    let case = SwitchCase {
        applied: &base,
        base: &base,
        to: Some(overlay),
        lost: US,
        ..SwitchCase::default()
    };
    insta::assert_snapshot!(waits_of_shift(&case, "shop"));
}

/// A record that has to go before its successor can be made stays until that may be made: else the name would answer nothing.
#[test]
fn plan_switch_keeps_a_record_until_its_successor_may_be_made() {
    let unchecked = SITES.replace(", check: http, check_path: /ok, check_timeout: 5", "");
    let cold = unchecked.replace("default: 1", "default: 0");
    let overlay = "variables: { size: 2 }\nresources:\n  shop: { type: CNAME, target: '${lb_eu.hostname}' }\n";
    let none = "variables: { size: 0 }\n";
    let case = SwitchCase {
        applied: &cold,
        base: &cold,
        active: Some(none),
        to: Some(overlay),
        lost: US,
        ..SwitchCase::default()
    };
    insta::assert_snapshot!(waits_of_shift(&case, "shop"));
}

#[test]
fn plan_switch_refuses_to_send_users_to_what_is_lost() {
    let refusals = |case: &SwitchCase<'_>| {
        let plan = plan(case);
        plan.refusals().map(|it| format!("{}: {}", it.code, it.text)).collect::<Vec<_>>()
    };
    let eu: &[&str] = &["linode:eu-central"];
    let told = |target: &str, domain: &str| {
        vec![format!("lost_target: `shop` would send users to `{target}`, but {domain} is lost")]
    };
    let there = SwitchCase { lost: eu, ..SwitchCase::default() };
    assert_eq!(refusals(&there), told("lb_eu", "linode:eu-central"));
    let home =
        || SwitchCase { active: Some(FAILOVER), to: None, lost: US, ..SwitchCase::default() };
    assert_eq!(refusals(&home()), told("lb", "linode:us-east"));
    // What is lost is checked by nobody: that is told once, and not as a missing check.
    for case in [&there, &home()] {
        let plan = plan(case);
        assert!(plan.notes.iter().all(|it| it.code != "unchecked_target"), "{:?}", plan.notes);
    }
    let asking = "resources:\n  shop: { target: '${lb_eu.ipv4}', gate: { serves: 1 } }\n";
    let asking = SwitchCase { to: Some(asking), lost: eu, ..SwitchCase::default() };
    assert_eq!(refusals(&asking), told("lb_eu", "linode:eu-central"));
    // Asked for; and where nobody is served before, nobody is worse off.
    let allowed = Allowances { outage: true, ..Allowances::default() };
    assert!(refusals(&SwitchCase { allowed, ..home() }).is_empty());
    // Two answers under one name: the last that leads to what lives is not taken away.
    let two = SITES.replace("outputs:", "  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb_eu.ipv4}', ttl_sec: 300 }\noutputs:");
    let alone = "resources:\n  shop: null\n";
    let active = |lost| SwitchCase {
        applied: &two,
        base: &two,
        to: Some(alone),
        lost,
        ..SwitchCase::default()
    };
    assert!(refusals(&active(US)).is_empty());
    let told = "lost_target: `shop` would leave users to `lb_eu`, but linode:eu-central is lost";
    assert_eq!(refusals(&active(eu)), [told]);
    let both: &[&str] = &["linode:eu-central", "linode:us-east"];
    assert!(refusals(&SwitchCase { lost: both, ..home() }).is_empty());
}

/// Whoever declared the loss takes it back; home is asked and repaired by a failback.
#[test]
fn plan_switch_into_what_is_lost_names_the_way_there_once_it_answers() {
    let help = |case: &SwitchCase<'_>| {
        let plan = plan(case);
        let refusal = plan.refusals().find(|it| it.code == "lost_target").unwrap();
        refusal.help.clone().unwrap()
    };
    let home = SwitchCase { active: Some(FAILOVER), to: None, lost: US, ..SwitchCase::default() };
    insta::assert_snapshot!(help(&home), @"switch to a healthy site; if linode:us-east is up, omit `--lost linode:us-east`. --allow-outage sends users there all the same, where nobody is served");
    let home = SwitchCase { is_recorded: true, ..home };
    insta::assert_snapshot!(help(&home), @"switch to a healthy site; if linode:us-east answers again, `lifeboat failback t` checks it, repairs it, and moves users there. --allow-outage sends users there all the same, where nobody is served");
    let there =
        SwitchCase { lost: &["linode:eu-central"], is_recorded: true, ..SwitchCase::default() };
    insta::assert_snapshot!(help(&there), @"switch to a healthy site; if linode:eu-central answers again: `lifeboat recovered t linode:eu-central`. --allow-outage sends users there all the same, where nobody is served");
}

#[test]
fn plan_switch_home_drains_before_the_standby_shrinks() {
    let case = SwitchCase { active: Some(FAILOVER), to: None, ..SwitchCase::default() };
    insta::assert_snapshot!(check(&case));
}

/// Users have written where they were: that is what has to arrive where they come to.
#[test]
fn plan_switch_waits_for_what_was_written_where_users_leave() {
    let tables = "
  table: { kind: dynamodb.table, region: us-east-1, name: shop, attributes: { id: S }, hash_key: id }
  table_eu: { kind: dynamodb.replica, table: '${table}', region: eu-west-1, gate: { replication: true, within: 60s } }";
    let sites = SITES.replace("\n  zone:", &format!("{tables}\n  zone:"));
    let skipping = |active, to, skip_gates| {
        let allowed = Allowances { skip_gates, ..Allowances::default() };
        let default = SwitchCase::default();
        let case = SwitchCase { applied: &sites, base: &sites, active, to, allowed, ..default };
        let plan = plan(&case);
        let gates = plan.steps.iter().filter_map(|it| match &it.call {
            StepCall::Replication { from, back } => Some(format!("{} {from} {back}", it.address)),
            _ => None,
        });
        gates.collect::<Vec<_>>()
    };
    let gates = |active, to| skipping(active, to, BTreeMap::new());
    assert_eq!(gates(None, Some(FAILOVER)), ["table_eu table false"]);
    assert_eq!(gates(Some(FAILOVER), None), ["table_eu table true"]);
    let skipped = [(Address::one("table_eu"), "compared by hand".to_owned())].into();
    assert!(skipping(None, Some(FAILOVER), skipped).is_empty());
}

#[test]
fn plan_switch_leaves_pending_changes_out() {
    let merged = SITES.replace("image: linode/debian12", "image: linode/debian13").replace(
        "check_path: /ok, check_timeout: 5 }\n  eu",
        "check_path: /new, check_timeout: 5 }\n  eu",
    );
    let text = check(&SwitchCase { base: &merged, ..SwitchCase::default() });
    assert!(!text.lines().any(|it| it.starts_with("replace")), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn plan_switch_defers_or_orphans_changes_of_what_is_frozen() {
    let smaller =
        FAILOVER.replace("resources:", "resources:\n  web: { count: 1, type: g6-standard-2 }");
    let text = check(&SwitchCase { to: Some(&smaller), lost: US, ..SwitchCase::default() });
    insta::assert_snapshot!(text);
}

#[test]
fn plan_switch_creates_what_it_needs_even_if_it_was_missing() {
    let gone = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        observed.insert(Address::index("eu", 0), Observation::Absent);
        observed.insert(Address::index("web", 0), Observation::Absent);
    };
    insta::assert_snapshot!(check(&SwitchCase { change: &gone, ..SwitchCase::default() }));
}

#[test]
fn plan_switch_refuses_a_create_that_needs_what_was_never_made() {
    let needs = "variables: { size: 1 }\nresources:\n  late: { kind: linode.nodebalancer, region: us-east, label: late }\n  alias: { kind: linode.domain_record, domain: '${zone}', type: A, name: alias, target: '${late.ipv4}' }\n";
    let text = check(&SwitchCase { to: Some(needs), lost: US, ..SwitchCase::default() });
    insta::assert_snapshot!(text);
}

#[test]
fn plan_switch_leaves_a_cloud_alone_whose_global_domain_is_lost() {
    insta::assert_snapshot!(check(&SwitchCase {
        lost: &["linode:global"],
        ..SwitchCase::default()
    }));
}

#[test]
fn plan_freezes_nothing_undeclared_and_names_the_fault_domain() {
    let silent = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for name in ["lb", "http"] {
            observed.insert(Address::one(name), Observation::Unknown("no answer".into()));
        }
    };
    let case = SwitchCase { to: None, change: &silent, ..SwitchCase::default() };
    let plan = plan(&case);
    assert!(plan.steps.is_empty());
    insta::assert_snapshot!(told(&plan));
}

#[test]
fn plan_of_recovered_domain_repairs_and_defers_merges() {
    let merged = SITES.replace("label: lb-us", "label: lb-us-2");
    let gone = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        observed.insert(Address::index("web", 1), Observation::Absent);
        observed.insert(Address::index("node", 1), Observation::Absent);
    };
    let case = SwitchCase {
        base: &merged,
        active: Some(FAILOVER),
        to: None,
        recovered: US,
        change: &gone,
        ..SwitchCase::default()
    };
    insta::assert_snapshot!(check(&case));
}

#[test]
fn plan_failback_keeps_what_holds_data() {
    let with_data = "variables: { size: 1 }\nresources:\n  orders: { kind: dynamodb.table, region: eu-west-1, name: orders, attributes: { id: S }, hash_key: id }\n  spare: { kind: linode.nodebalancer, region: eu-central, label: spare }\n";
    let case =
        |keep| SwitchCase { active: Some(with_data), to: None, keep, ..SwitchCase::default() };
    insta::assert_snapshot!(check(&case(Keep::Data)));
    assert!(check(&case(Keep::All)).contains("held delete spare"));
}

#[test]
fn plan_switch_waits_for_the_drain_of_an_earlier_run() {
    let draining = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        let was = vec![Address::one("lb_eu")];
        state.draining = vec![Draining { address: Address::one("shop"), was, until: NOW + 9_000 }];
    };
    // The record is home already; only the standby has still to shrink.
    let moved =
        FAILOVER.replace("shop: { target: '${lb_eu.ipv4}' }", "{}").replace("resources:\n  {}", "");
    let case =
        SwitchCase { active: Some(&moved), to: None, change: &draining, ..SwitchCase::default() };
    insta::assert_snapshot!(check(&case));
}

/// What it contains is made beside, too; and none of the old goes before users have left, also when the switch goes on.
#[test]
fn plan_switch_keeps_the_old_balancer_until_users_have_moved() {
    let sites = SITES
        .replace("label: lb-us }", "label: lb-us, lifecycle: { create_before_destroy: true } }");
    let moved = "resources:\n  lb: { region: us-west }\n";
    let begun = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let address = Address::one("lb");
        let record = state.records.get_mut(&address).unwrap();
        let old = Deposed { id: "99".into(), attributes: record.attributes.clone() };
        record.deposed = Some(old);
        let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&address) else {
            panic!("it is there")
        };
        for it in [&mut record.attributes, attributes] {
            it.insert("region".into(), Value::text("us-west"));
            it.insert("label".into(), Value::text("lb-us-abcde"));
        }
        // The record still leads to the old one.
        for it in [&mut record.outputs, attributes] {
            it.insert("ipv4".into(), Value::text("192.0.2.7"));
        }
    };
    let case = |change| SwitchCase {
        applied: &sites,
        base: &sites,
        to: Some(moved),
        change,
        ..SwitchCase::default()
    };
    let text = check(&case(&|_, _| {}));
    let goes_on = check(&case(&begun));
    insta::assert_snapshot!(format!("{text}-- goes on --\n{goes_on}"));
}

/// The other node would open the gate, and be gone when users come.
#[test]
fn plan_switch_gate_ignores_what_is_about_to_be_deleted() {
    let plan = plan(&SwitchCase {
        applied: &SITES.replace("'${vars.size}', region: eu-central", "2, region: eu-central"),
        to: Some(
            "resources:\n  shop: { target: '${lb_eu.ipv4}' }\n  eu: { count: 1, image: linode/ubuntu24.04 }\n",
        ),
        base: &SITES.replace("'${vars.size}', region: eu-central", "2, region: eu-central"),
        ..SwitchCase::default()
    });
    let text = told(&plan);
    let id = |it: &dyn Fn(&StepCall) -> bool, at: &Address| {
        plan.steps.iter().find(|step| step.address == *at && it(&step.call)).unwrap().id
    };
    let gone = id(&|it| matches!(it, StepCall::Delete { .. }), &Address::index("node_eu", 1));
    let gate = id(&|it| matches!(it, StepCall::Serving { .. }), &Address::one("shop"));
    assert!(plan.steps[gate].waits.contains(&gone), "{text}");
}

/// It was cut before the new one got the name of the old one: that is no pending change, and nodes keep the name.
#[test]
fn plan_switch_finishes_an_interrupted_replace_under_its_own_name() {
    for old in [Some("99"), None] {
        finished_under_its_own_name(old);
    }
}

/// `old`: what it replaced, unless that is deleted already.
fn finished_under_its_own_name(old: Option<&str>) {
    let first = "authorized_users: [a], lifecycle: { create_before_destroy: true }, label: 'eu-";
    let sites = SITES.replace("authorized_users: [a], label: 'eu-", first);
    let begun = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let address = Address::index("eu", 0);
        let record = state.records.get_mut(&address).unwrap();
        let attributes = record.attributes.clone();
        record.deposed = old.map(|id| Deposed { id: id.into(), attributes });
        let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&address) else {
            panic!("it is there")
        };
        for it in [&mut record.attributes, attributes] {
            it.insert("label".into(), Value::text("eu-0-abcde"));
        }
    };
    let plan = plan(&SwitchCase {
        applied: &sites,
        base: &sites,
        active: Some(FAILOVER),
        to: None,
        change: &begun,
        ..SwitchCase::default()
    });
    let change = |name| {
        let address = Address::index(name, 0);
        plan.changes.iter().find(|it| it.address == address).unwrap()
    };
    assert_eq!(change("eu").deferred, None);
    let names: Vec<_> =
        change("eu").attributes.iter().map(|it| (it.name.as_str(), it.after.as_text())).collect();
    assert_eq!(names, [("label", Some("eu-0"))]);
    assert_eq!(change("node_eu").attributes, [], "{}", told(&plan));
}

const GROUP: &str = "
  table: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id }
  replica: { kind: dynamodb.replica, table: '${table}', region: eu-west-1 }
  own: { kind: dynamodb.replica, table: '${table}', region: eu-central-1 }";

#[test]
fn plan_switch_defers_group_changes_while_a_member_is_lost() {
    let changed = "
  table: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id, tags: { a: b }, ttl_attribute: until }
  replica: { kind: dynamodb.replica, table: '${table}', region: eu-west-1, deletion_protection: true }
  own: { kind: dynamodb.replica, table: '${table}', region: eu-central-1 }";
    let whole = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for (name, others) in
            [("table", ["eu-west-1", "eu-central-1"]), ("own", ["eu-west-1", "us-east-1"])]
        {
            let Some(Observation::Exists { attributes, .. }) =
                observed.get_mut(&Address::one(name))
            else {
                panic!("{name} is there")
            };
            let others = others.map(Value::from).to_vec();
            attributes.insert("replicas".into(), Value::List(others));
        }
    };
    let case = |group_changes| SwitchCase {
        applied: GROUP,
        base: changed,
        to: None,
        lost: &["aws:eu-west-1"],
        allowed: Allowances { group_changes, ..Allowances::default() },
        change: &whole,
        ..SwitchCase::default()
    };
    insta::assert_snapshot!(format!(
        "{}-- allowed --\n{}",
        check(&case(false)),
        check(&case(true))
    ));
}

#[test]
fn plan_switch_refuses_a_target_replaced_in_place() {
    let moved = FAILOVER.replace("resources:", "resources:\n  lb: { region: us-west }");
    let moved = moved.replace("shop: { target: '${lb_eu.ipv4}' }", "shop: { ttl_sec: 120 }");
    let plan = plan(&SwitchCase { to: Some(&moved), ..SwitchCase::default() });
    let note = plan.notes.iter().find(|it| it.code == "no_serving_order").expect("it is refused");
    insta::assert_snapshot!(note.text);
}

/// Addresses that nobody here makes: what is behind them is not ours to keep.
#[test]
fn plan_moves_dependent_literal_targets_in_the_order_of_the_stack() {
    let records = |last: u8| {
        format!(
            "
  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}
  a: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: a, target: 192.0.2.{last} }}
  b: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: b, target: 192.0.2.{last}, depends_on: [a] }}"
        )
    };
    let (before, after) = (records(1), records(2));
    let text =
        check(&SwitchCase { applied: &before, base: &after, to: None, ..SwitchCase::default() });
    assert!(text.contains("0: update a\n1: update b after [0]\n"), "{text}");
    // Nothing looks at what is spelled out.
    assert_eq!(text.matches("unchecked_target").count(), 2, "{text}");
}

/// A cold standby: nothing of it is left at home, and nobody is directed to it any more.
#[test]
fn plan_switch_empties_a_set_to_which_no_users_are_sent() {
    let cold = SITES.replace("count: '${vars.size}'", "count: '${vars.size - 1}'");
    let case = |base| SwitchCase {
        applied: base,
        base,
        active: Some(FAILOVER),
        to: None,
        ..SwitchCase::default()
    };
    let text = check(&case(&cold));
    assert!(!text.contains("empties_serving_set"), "{text}");
    assert!(text.contains("delete node_eu[0]"), "{text}");
    // Another name still leads there.
    let alias = cold.replace("outputs:", "  alias: { kind: linode.domain_record, domain: '${zone}', type: A, name: alias, target: '${lb_eu.ipv4}' }\noutputs:");
    let text = check(&case(&alias));
    assert!(text.contains("empties_serving_set"), "{text}");
}

const ACTIVE: &str = "
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-us }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_timeout: 5 }
  lb_eu: { kind: linode.nodebalancer, region: eu-central, label: lb-eu }
  http_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', check: http, check_path: /ok, check_timeout: 5 }
  eu: { kind: linode.instance, count: '${vars.size}', region: eu-central, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'eu-${each.index}', private_ip: true }
  node_eu: { kind: linode.nodebalancer_node, for_each: '${eu}', config: '${http_eu}', label: '${each.value.label}', address: '192.168.2.${each.key}:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }
  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb_eu.ipv4}', ttl_sec: 300 }";

const ONE_SITE: &str = "variables: { size: 2 }\nresources:\n  shop: null\n";

#[test]
fn plan_switch_of_one_of_two_sites_checks_the_other_both_ways() {
    let there =
        SwitchCase { applied: ACTIVE, base: ACTIVE, to: Some(ONE_SITE), ..SwitchCase::default() };
    let back = SwitchCase {
        applied: ACTIVE,
        base: ACTIVE,
        active: Some(ONE_SITE),
        to: None,
        ..SwitchCase::default()
    };
    insta::assert_snapshot!(format!("{}-- and back --\n{}", check(&there), check(&back)));
}
