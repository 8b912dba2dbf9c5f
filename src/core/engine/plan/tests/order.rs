//! The order of steps as data in, text out: what goes beside, one after another, by name, and what is refused.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Plan, Step, StepCall};
use crate::engine::plan::planner::{PlanInputs, PlanOptions, plan_changes};
use crate::engine::plan::steps::verify::{Checked, verify};
use crate::engine::plan::tests::{PlanCase, applied, check, order, plan, stack};
use crate::engine::plan::users_wait::{TrafficFirst, UsersWaiting, told, waiting};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::Severity;
use crate::kinds::builtin;

/// A checked balancer with two machines, and a name that leads to it.
const SHOP: &str = "
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80, check: http, check_path: /ok, check_timeout: 5 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-standard-1, image: linode/debian12, authorized_users: [a], label: 'web-${each.index}', private_ip: true }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '[${each.value.ipv6}]:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 300 }";

/// Node addresses that the made-up ones of the tests are not.
fn shop() -> String {
    SHOP.replace("'[${each.value.ipv6}]:80'", "'192.168.1.${each.key}:80'")
}

fn beside(text: &str) -> String {
    text.replace(
        "label: 'web-${each.index}'",
        "label: 'web-${each.index}', lifecycle: { create_before_destroy: true }",
    )
}

fn allowed() -> Allowances {
    Allowances { destroys: Some(99), ..Allowances::default() }
}

fn outage() -> Allowances {
    Allowances { outage: true, ..allowed() }
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.notes
        .iter()
        .filter(|it| it.severity != Severity::Warning)
        .map(|it| it.code.as_str())
        .collect()
}

/// Whether one step is certain to come after another.
fn comes_after(plan: &Plan, step: usize, before: usize) -> bool {
    let mut todo = vec![step];
    let mut met = std::collections::BTreeSet::new();
    while let Some(at) = todo.pop() {
        if at == before {
            return true;
        }
        if met.insert(at) {
            todo.extend(&plan.steps[at].waits);
        }
    }
    false
}

fn step(plan: &Plan, word: &str, address: &str) -> usize {
    let found =
        plan.steps.iter().find(|it| it.call.word() == word && it.address.to_string() == address);
    found.unwrap_or_else(|| panic!("{word} {address} in {:?}", plan.steps)).id
}

#[test]
fn plan_create_before_destroy_includes_what_is_needed() {
    let before =
        shop().replace("label: lb-1", "label: lb-1, lifecycle: { create_before_destroy: true }");
    let after = before.replace("region: us-east", "region: eu-central");
    for allowed in [allowed(), outage()] {
        let plan =
            plan(&PlanCase { before: &before, after: &after, allowed, ..PlanCase::default() });
        assert!(codes(&plan).is_empty(), "{:?}", plan.notes);
        let moved = step(&plan, "update", "shop");
        for web in ["web[0]", "web[1]"] {
            assert!(comes_after(&plan, moved, step(&plan, "ready", web)));
            assert!(comes_after(&plan, step(&plan, "delete", web), moved));
        }
    }
}

#[test]
fn plan_refuses_waits_in_a_circle_whatever_the_flag() {
    let before = "
  t: { kind: dynamodb.table, region: us-east-1, name: tab, attributes: { id: S }, hash_key: id }
  web: { kind: linode.instance, region: us-east, type: g6-standard-1, image: linode/debian12, authorized_users: [a], label: web, lifecycle: { create_before_destroy: true }, depends_on: ['${t}'] }";
    let after = before.replace("id: S", "id: N").replace("region: us-east,", "region: eu-central,");
    let delete = vec![Address::one("t")];
    let allowed = Allowances { delete, ..outage() };
    let plan = plan(&PlanCase { before, after: &after, allowed, ..PlanCase::default() });
    assert_eq!(codes(&plan), ["waits_in_circle"], "{:?}", plan.notes);
}

#[test]
fn plan_replaces_the_second_of_a_pair_once_the_first_serves() {
    let after = shop().replace("linode/debian12", "linode/ubuntu24.04");
    let case =
        PlanCase { before: &shop(), after: &after, allowed: allowed(), ..PlanCase::default() };
    insta::assert_snapshot!(check(&case));
}

#[test]
fn plan_deletes_each_old_one_once_its_new_node_serves() {
    let before = beside(&shop());
    let after =
        before.replace("linode/debian12", "linode/ubuntu24.04").replace("192.168.1.", "192.168.2.");
    let case =
        PlanCase { before: &before, after: &after, allowed: allowed(), ..PlanCase::default() };
    insta::assert_snapshot!(check(&case));
}

#[test]
fn plan_resizes_one_machine_after_another() {
    let after = shop().replace("g6-standard-1", "g6-standard-2");
    let case = PlanCase { before: &shop(), after: &after, ..PlanCase::default() };
    insta::assert_snapshot!(check(&case));
}

#[test]
fn plan_refuses_to_disrupt_the_only_one_that_serves() {
    let one = shop().replace("count: 2", "count: 1");
    for (from, to) in
        [("linode/debian12", "linode/ubuntu24.04"), ("g6-standard-1", "g6-standard-2")]
    {
        let after = one.replace(from, to);
        let case = PlanCase { before: &one, after: &after, ..PlanCase::default() };
        assert_eq!(codes(&plan(&case)), ["empties_serving_set"], "{to}");
        assert!(codes(&plan(&PlanCase { allowed: outage(), ..case })).is_empty(), "{to}");
    }
}

#[test]
fn plan_takes_other_names_in_one_serving_set_for_siblings() {
    let pair = |image: &str| {
        let one = |name: &str, at: u8| {
            format!(
                "\n  {name}: {{ kind: linode.instance, region: us-east, type: g6-standard-1, image: {image}, authorized_users: [a], label: m-{name}, private_ip: true }}
  node_{name}: {{ kind: linode.nodebalancer_node, config: '${{http}}', label: n-{name}, address: '192.168.1.{at}:80', depends_on: ['${{{name}}}'] }}"
            )
        };
        let head = shop().lines().take(3).collect::<Vec<_>>().join("\n");
        format!("{}{}{}", head.trim_end(), one("blue", 1), one("green", 2))
    };
    let (before, after) = (pair("linode/debian12"), pair("linode/ubuntu24.04"));
    let plan = plan(&PlanCase { before: &before, after: &after, ..PlanCase::default() });
    assert!(codes(&plan).is_empty(), "{:?}", plan.notes);
    let gate = step(&plan, "serving gate", "node_blue");
    assert!(comes_after(&plan, gate, step(&plan, "ready", "blue")));
    assert!(comes_after(&plan, step(&plan, "delete", "green"), gate));
}

#[test]
fn plan_refuses_a_serving_set_that_accepts_nobody() {
    let with = |from: &str, to: &str| shop().replace(from, to);
    let off = [
        with("label: '${each.value.label}'", "mode: reject, label: '${each.value.label}'"),
        with("label: '${each.value.label}'", "mode: drain, label: '${each.value.label}'"),
        with("private_ip: true", "private_ip: true, booted: false"),
        with("soa_email: a@example.com", "soa_email: a@example.com, status: disabled"),
    ];
    for after in &off {
        let case = PlanCase { before: &shop(), after, ..PlanCase::default() };
        assert_eq!(codes(&plan(&case)), ["empties_serving_set"], "{after}");
        assert!(codes(&plan(&PlanCase { allowed: outage(), ..case })).is_empty(), "{after}");
    }
    let backup = with("label: '${each.value.label}'", "mode: backup, label: '${each.value.label}'");
    let plan = plan(&PlanCase { before: &shop(), after: &backup, ..PlanCase::default() });
    assert!(codes(&plan).is_empty(), "a backup serves where nothing accepts: {:?}", plan.notes);
}

const RECORD: &str = "
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  a: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.1 }";

#[test]
fn plan_deletes_an_exclusive_name_right_before_the_other_comes() {
    let alias = "
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  b: { kind: linode.domain_record, domain: '${zone}', type: CNAME, name: shop, target: x.example.net }";
    let same = RECORD.replace(
        "type: A, name: shop, target: 192.0.2.1",
        "type: CNAME, name: shop, target: x.example.net",
    );
    let beside = same.replace(
        "target: x.example.net",
        "target: x.example.net, lifecycle: { create_before_destroy: true }",
    );
    let mut told = String::new();
    for (before, after) in [(RECORD, alias), (alias, RECORD), (RECORD, &same), (RECORD, &beside)] {
        for allowed in [Allowances::default(), outage()] {
            told += &check(&PlanCase { before, after, allowed, ..PlanCase::default() });
            told += "\n";
        }
    }
    insta::assert_snapshot!(told);
    let change = unseen(&["a"]);
    let case = PlanCase {
        before: RECORD,
        after: alias,
        allowed: outage(),
        change: &change,
        ..PlanCase::default()
    };
    assert_eq!(codes(&plan(&case)), ["name_taken"], "it could not be read, so it stays");
}

#[test]
fn plan_deletes_the_last_record_of_a_name_that_serves_nobody() {
    let zone = RECORD.lines().nth(1).unwrap();
    for (kind, is_refused) in [("A", true), ("TXT", false), ("CAA", false)] {
        let target = if kind == "A" { "192.0.2.1" } else { "letsencrypt.org" };
        let tag = if kind == "CAA" { ", tag: issue" } else { "" };
        let record = format!(
            "{zone}\n  a: {{ kind: linode.domain_record, domain: '${{zone}}', type: {kind}, name: shop, target: {target}{tag} }}"
        );
        let plan = plan(&PlanCase { before: &record, after: zone, ..PlanCase::default() });
        let refused: &[&str] = if is_refused { &["empties_serving_set"] } else { &[] };
        assert_eq!(codes(&plan), refused, "{kind}");
    }
    // What served becomes what is only read: nobody is served under its name any more.
    let text = RECORD.replace("type: A", "type: TXT");
    let case = PlanCase { before: RECORD, after: &text, ..PlanCase::default() };
    assert_eq!(codes(&plan(&case)), ["empties_serving_set"]);
}

#[test]
fn plan_refuses_to_rename_the_last_record_of_a_name() {
    let after = RECORD.replace("name: shop", "name: www");
    let case = PlanCase { before: RECORD, after: &after, ..PlanCase::default() };
    assert_eq!(codes(&plan(&case)), ["empties_serving_set"]);
    let six = format!(
        "{RECORD}\n  six: {{ kind: linode.domain_record, domain: '${{zone}}', type: AAAA, name: shop, target: '2001:db8::1' }}"
    );
    let without = six
        .replace("  a:", "  b:")
        .replace("type: A,", "type: TXT,")
        .replace("name: shop, target: 192", "name: txt, target: 192");
    let plan = plan(&PlanCase { before: &six, after: &without, ..PlanCase::default() });
    assert!(codes(&plan).is_empty(), "the name still answers: {:?}", plan.notes);
}

#[test]
fn plan_gives_up_names_before_they_are_taken() {
    let machines = |names: &str, count: u8| {
        format!(
            "  web: {{ kind: linode.instance, count: {count}, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: '${{[{names}][each.index]}}' }}"
        )
    };
    let ports = |one: u16, two: u16| {
        format!(
            "
  lb: {{ kind: linode.nodebalancer, region: us-east, label: lb-1 }}
  one: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: {one} }}
  two: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: {two} }}"
        )
    };
    let cases = [
        (machines(r#""ant", "bee", "cat""#, 3), machines(r#""bee", "cat""#, 2)),
        (machines(r#""ant", "bee""#, 2), machines(r#""bee", "ant""#, 2)),
        (machines(r#""ant", "bee", "cat""#, 3), machines(r#""bee", "cat", "ant""#, 3)),
        (ports(80, 81), ports(81, 82)),
        (ports(80, 81), ports(81, 80)),
    ];
    let mut told = String::new();
    for (before, after) in &cases {
        let case = PlanCase { before, after, allowed: outage(), ..PlanCase::default() };
        told += &check(&case);
        told += "\n";
    }
    insta::assert_snapshot!(told);
}

fn unseen(names: &[&str]) -> impl Fn(&mut State, &mut BTreeMap<Address, Observation>) {
    let names: Vec<Address> = names.iter().map(|it| it.parse().unwrap()).collect();
    move |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        for it in &names {
            observed.insert(it.clone(), Observation::Unknown("503".into()));
        }
    }
}

#[test]
fn plan_keeps_what_an_unread_name_may_lead_to() {
    let spare = format!(
        "{}\n  spare: {{ kind: linode.instance, region: us-west, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: spare }}",
        shop()
    );
    let fewer = spare.replace("count: 2", "count: 1");
    let moved: Vec<String> = shop()
        .lines()
        .filter(|it| ["  zone", "  shop"].iter().any(|start| it.starts_with(start)))
        .map(|it| it.replace("${lb.ipv4}", "192.0.2.9"))
        .collect();
    let moved = moved.join("\n");
    for after in [&fewer, &moved] {
        let change = unseen(&["shop"]);
        let case = PlanCase {
            before: &spare,
            after,
            allowed: outage(),
            change: &change,
            ..PlanCase::default()
        };
        let plan = plan(&case);
        let touched: Vec<String> = plan
            .steps
            .iter()
            .filter(|it| matches!(it.call, StepCall::Delete { .. } | StepCall::Update { .. }))
            .map(|it| it.address.to_string())
            .filter(|it| it != "spare")
            .collect();
        assert!(touched.is_empty(), "{touched:?}");
        assert!(plan.waiting().count() > 0);
    }
}

/// What is said of the steps of a good plan after somebody has tampered with them.
fn tampered(before: &str, after: &str, tamper: impl Fn(&mut Vec<Step>)) -> Vec<&'static str> {
    let catalog = builtin();
    let (old, new) = (stack(before, &catalog), stack(after, &catalog));
    let (state, observed) = applied(&old, &catalog);
    let order = order(&new);
    let worlds = PlanInputs {
        catalog: &catalog,
        stack: &new,
        order: &order,
        state: Some(&state),
        observed: &observed,
    };
    let options = PlanOptions { now: 3_600_000, allowed: allowed(), ..PlanOptions::default() };
    let (mut plan, _) = plan_changes(&worlds, &options);
    assert!(codes(&plan).is_empty(), "{:?}", plan.notes);
    tamper(&mut plan.steps);
    let checked = Checked {
        catalog: &catalog,
        stack: &new,
        state: Some(&state),
        changes: &plan.changes,
        steps: &plan.steps,
        tasks: &plan.tasks,
        outage: false,
    };
    verify(&checked).into_iter().map(|it| it.code.as_str()).collect()
}

fn of(steps: &mut [Step], word: &str, address: &str) -> usize {
    steps.iter().position(|it| it.call.word() == word && it.address.to_string() == address).unwrap()
}

/// The check does not trust who ordered: the same plans with one wait taken out, or one too many, are refused.
#[test]
fn verify_finds_steps_that_break_a_law() {
    let image = shop().replace("linode/debian12", "linode/ubuntu24.04");
    let early = |steps: &mut Vec<Step>| {
        let at = of(steps, "delete", "web[1]");
        steps[at].waits.clear();
    };
    assert_eq!(tampered(&shop(), &image, early)[0], "empties_serving_set");
    let unseen = |steps: &mut Vec<Step>| {
        let (at, gate) = (of(steps, "delete", "web[1]"), of(steps, "serving gate", "node[0]"));
        steps[at].waits.retain(|it| *it != gate);
    };
    assert_eq!(tampered(&shop(), &image, unseen)[0], "empties_serving_set");
    let circle = |steps: &mut Vec<Step>| {
        let (first, last) = (of(steps, "delete", "web[0]"), of(steps, "ready", "web[1]"));
        steps[first].waits.push(last);
    };
    assert_eq!(tampered(&shop(), &image, circle), ["waits_in_circle"]);
    let labels = |first: &str, second: &str| {
        format!(
            "  a: {{ kind: linode.firewall, label: {first} }}\n  b: {{ kind: linode.firewall, label: {second} }}"
        )
    };
    let taken = |steps: &mut Vec<Step>| {
        let at = of(steps, "update", "a");
        steps[at].waits.clear();
    };
    assert_eq!(tampered(&labels("ant", "bee"), &labels("bee", "cat"), taken), ["name_not_free"]);
    let moved = format!(
        "{}\n  spare: {{ kind: linode.nodebalancer, region: us-west, label: spare }}",
        shop()
    );
    let away = moved
        .replace("target: '${lb.ipv4}'", "target: '${spare.ipv4}'")
        .replace("  lb:", "  other:")
        .replace("'${lb}'", "'${other}'")
        .replace("label: lb-1", "label: lb-2");
    let undrained = |steps: &mut Vec<Step>| {
        let drain = of(steps, "drain gate", "shop");
        for step in steps.iter_mut() {
            step.waits.retain(|it| *it != drain);
        }
    };
    assert_eq!(tampered(&moved, &away, undrained)[0], "empties_serving_set");
}

/// What serves where users are about to come is taken away before they come, or not at all.
#[test]
fn verify_finds_a_disruption_of_the_only_backend_that_users_come_to() {
    let sites = |target: &str, size: &str| {
        format!(
            "{}\n  lb_eu: {{ kind: linode.nodebalancer, region: eu-central, label: lb-eu }}
  http_eu: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb_eu}}', check: http, check_path: /ok, check_timeout: 5 }}
  eu: {{ kind: linode.instance, region: eu-central, type: {size}, image: linode/debian12, authorized_users: [a], label: eu-1, private_ip: true }}
  node_eu: {{ kind: linode.nodebalancer_node, config: '${{http_eu}}', label: '${{eu.label}}', address: '192.168.2.1:80' }}",
            shop().replace("target: '${lb.ipv4}'", &format!("target: '${{{target}.ipv4}}'"))
        )
    };
    let (before, after) = (sites("lb", "g6-nanode-1"), sites("lb_eu", "g6-standard-1"));
    assert!(tampered(&before, &after, |_| {}).is_empty());
    let late = |steps: &mut Vec<Step>| {
        let resized = of(steps, "ready", "eu");
        for word in ["serving gate", "update"] {
            let at = of(steps, word, "shop");
            steps[at].waits.retain(|it| *it != resized);
        }
    };
    assert_eq!(tampered(&before, &after, late), ["empties_serving_set"]);
}

#[test]
fn plan_refuses_a_gate_that_never_opens() {
    let sites = format!(
        "{}\n  lb_eu: {{ kind: linode.nodebalancer, region: eu-central, label: lb-eu }}
  http_eu: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb_eu}}', check: http, check_path: /ok, check_timeout: 5 }}
  eu: {{ kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: eu-1, private_ip: true }}
  node_eu: {{ kind: linode.nodebalancer_node, config: '${{http_eu}}', label: '${{eu.label}}', address: '192.168.2.1:80', mode: drain }}",
        shop()
    );
    let after = sites.replace("target: '${lb.ipv4}'", "target: '${lb_eu.ipv4}'");
    let case = PlanCase { before: &sites, after: &after, allowed: outage(), ..PlanCase::default() };
    assert_eq!(codes(&plan(&case)), ["gate_never_opens"]);
    let accepts = |it: &str| it.replace(", mode: drain", "");
    let (before, after) = (accepts(&sites), accepts(&after));
    let case = PlanCase { before: &before, after: &after, ..case };
    assert!(codes(&plan(&case)).is_empty());
}

/// A second machine is made where one serves: users need not wait for it, and are told so.
#[test]
fn waiting_names_users_who_wait_for_more_than_they_need() {
    let catalog = builtin();
    let sites = |count: u8, target: &str| {
        format!(
            "{}\n  lb_eu: {{ kind: linode.nodebalancer, region: eu-central, label: lb-eu }}
  http_eu: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb_eu}}', check: http, check_path: /ok, check_timeout: 5 }}
  eu: {{ kind: linode.instance, count: {count}, region: eu-central, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: 'eu-${{each.index}}', private_ip: true }}
  node_eu: {{ kind: linode.nodebalancer_node, for_each: '${{eu}}', config: '${{http_eu}}', label: '${{each.value.label}}', address: '192.168.2.${{each.key}}:80' }}",
            shop().replace("target: '${lb.ipv4}'", &format!("target: '${{{target}.ipv4}}'"))
        )
    };
    let before = sites(1, "lb");
    let (state, _) = applied(&stack(&before, &catalog), &catalog);
    let waits = |count: u8| {
        let after = sites(count, "lb_eu");
        let plan = plan(&PlanCase { before: &before, after: &after, ..PlanCase::default() });
        waiting(&catalog, &stack(&after, &catalog), &state, &plan)
    };
    let found = waits(2).unwrap();
    assert_eq!(
        found,
        UsersWaiting {
            name: Address::one("shop"),
            serves: Address::index("node_eu", 0),
            made: vec![Address::index("eu", 1), Address::index("node_eu", 1)],
        }
    );
    assert_eq!(waits(1), None);
    let says = |waits: &UsersWaiting| told(waits, &TrafficFirst::Drill).summary;
    assert!(says(&found).contains("wait until `eu[1]`, `node_eu[1]` are created, although"));
    let one = UsersWaiting { made: vec![Address::index("eu", 1)], ..found };
    assert!(says(&one).contains("wait until `eu[1]` is created, although"));
    let none = told(&one, &TrafficFirst::Nothing);
    assert_eq!(none.code.as_str(), "users_wait");
    assert!(none.help.unwrap().starts_with("no command can move them earlier"));
}
