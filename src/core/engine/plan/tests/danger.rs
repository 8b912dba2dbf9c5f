//! What a plan says must not be overlooked: layers before and after, and the dangers of the way between them.

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Danger, Plan};
use crate::engine::plan::planner::{PlanInputs, PlanOptions, plan_changes};
use crate::engine::plan::ranking::{Rank, Ranking};
use crate::engine::plan::tests::{applied_with, order, stack};
use crate::engine::schema::Sort;
use crate::engine::value::Value;
use crate::kinds::builtin;

fn plan(before: &str, after: &str) -> Plan {
    let catalog = builtin();
    let (mut state, observed) =
        applied_with(&stack(before, &catalog), &catalog, |name, id| match name {
            "ipv4" => Value::text(format!("192.0.2.{id}")),
            "private_ipv4" => Value::text(format!("192.168.133.{id}")),
            name => Value::text(format!("{name}-{id}")),
        });
    let desired = stack(after, &catalog);
    let order: Vec<Address> = order(&desired);
    state.sequence = 1;
    let worlds = PlanInputs {
        catalog: &catalog,
        stack: &desired,
        order: &order,
        state: Some(&state),
        observed: &observed,
    };
    plan_changes(&worlds, &PlanOptions { now: 3_600_000, ..PlanOptions::default() }).0
}

fn dangers(before: &str, after: &str) -> String {
    let plan = plan(before, after);
    let lines =
        plan.dangers.iter().map(|it| format!("{} {}: {}", it.sort.word(), it.address, it.says));
    lines.collect::<Vec<_>>().join("\n")
}

const SAFE: &str = "  fw:
    kind: linode.firewall
    inbound:
      - { action: ACCEPT, protocol: TCP, ports: '80', addresses: { ipv4: [0.0.0.0/0] } }
  lb: { kind: linode.nodebalancer, region: us-east, firewall: '${fw}' }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}' }
  note: { kind: linode.domain_record, domain: '${zone}', type: TXT, name: note, target: hello }
  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id, deletion_protection: true, point_in_time_recovery: true }";

#[test]
fn dangers_lists_what_opens_moves_or_switches_off_worst_first() {
    let after = SAFE
        .replace("'80', addresses: { ipv4: [0.0.0.0/0] } }", "'80', addresses: { ipv4: [0.0.0.0/0] } }\n      - { action: ACCEPT, protocol: TCP, ports: '20-30', addresses: { ipv6: ['::/0'] } }")
        .replace(", firewall: '${fw}'", "")
        .replace("check: http, check_path: /ok", "check: none")
        .replace("target: '${lb.ipv4}'", "target: 203.0.113.9")
        .replace("target: hello", "target: world")
        .replace("deletion_protection: true, point_in_time_recovery: true", "ttl_attribute: gone");
    insta::assert_snapshot!(dangers(SAFE, &after), @r#"
    data orders: `ttl_attribute`: DynamoDB will delete every item whose time in it has passed
    traffic shop: users will be sent to 203.0.113.9, which is not part of this stack
    exposure fw: TCP 20-30 (SSH) will be open to everyone
    exposure lb: `firewall`: it will no longer be protected by a firewall
    protection http: the health check is disabled: a dead backend will keep receiving users
    protection orders: `deletion_protection`: the cloud will no longer refuse to delete it
    protection orders: `point_in_time_recovery` is switched off: overwritten or deleted items can no longer be restored
    "#);
    assert_eq!(dangers(SAFE, SAFE), "");
    // The way back closes and switches on: only users move.
    insta::assert_snapshot!(dangers(&after, SAFE), @"traffic shop: `target` decides where users are sent");
}

#[test]
fn dangers_lists_health_checks_made_slow_or_shallow() {
    let late = SAFE.replace("check_interval: 15", "check_interval: 3600");
    insta::assert_snapshot!(dangers(SAFE, &late), @"protection http: a dead backend will keep receiving users for 181 minutes");
    let shallow = SAFE.replace("check: http, check_path: /ok", "check: connection");
    insta::assert_snapshot!(dangers(SAFE, &shallow), @"protection http: the health check no longer tests the application (`http` → `connection`)");
}

#[test]
fn dangers_lists_deleted_data_and_removed_names() {
    let after: String = SAFE
        .lines()
        .filter(|it| !it.contains("orders:") && !it.contains("shop:"))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(dangers(SAFE, &after), @r"
    data orders: its data will be permanently deleted
    traffic shop: the name will no longer resolve
    ");
}

#[test]
fn dangers_of_new_resources_are_exposure_and_traffic() {
    let open = "  fw: { kind: linode.firewall, inbound_policy: ACCEPT, inbound: [{ action: ACCEPT, protocol: TCP, ports: '22', addresses: { ipv4: [0.0.0.0/1] } }] }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  away: { kind: linode.domain_record, domain: '${zone}', type: CNAME, name: away, target: shop.example.net }
  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id }";
    let before = "  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }";
    insta::assert_snapshot!(dangers(before, open), @r#"
    traffic away: users will be sent to shop.example.net, which is not part of this stack
    exposure fw: `inbound_policy`: traffic that no rule matches will be accepted from everyone
    exposure fw: TCP 22 (SSH) will be open to everyone
    "#);
}

#[test]
fn dangers_lists_replaced_zones_and_ports() {
    let zone = SAFE.replace("domain: example.com", "domain: example.net");
    insta::assert_snapshot!(dangers(SAFE, &zone), @"traffic zone: `domain`: no name in the old zone will resolve any more");
    let port = SAFE.replace("check: http,", "port: 8080, check: http,");
    // And the firewall in front of it knows only the old one.
    insta::assert_snapshot!(dangers(SAFE, &port), @r#"
    traffic http: `port`: the old port will no longer be served
    traffic fw: `fw` blocks all traffic to port 8080 of `lb`: no user can reach `http`, even if its backends are healthy
    "#);
}

const SET: &str = "  web: { kind: linode.instance, count: 3, region: us-east, type: g6-nanode-1, image: linode/debian12, label: 'web-${each.index}', authorized_users: [ops], private_ip: true }
  lb: { kind: linode.nodebalancer, region: us-east }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: none }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: 'node-${each.key}', address: '${each.value.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  one: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}' }
  two: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${web[0].ipv4}' }";

#[test]
fn dangers_lists_serving_sets_that_shrink() {
    insta::assert_snapshot!(dangers(SET, &SET.replace("count: 3", "count: 2")), @"traffic node[2]: its users will be served by 2 instead of 3");
    let off = SET.replace("config: '${http}'", "config: '${http}', mode: drain");
    insta::assert_snapshot!(dangers(SET, &off), @r#"
    traffic node[0]: `mode` decides where users are sent
    traffic node[1]: `mode` decides where users are sent
    traffic node[2]: `mode` decides where users are sent
    traffic node[0]: nothing will serve its users in its place
    traffic node[1]: nothing will serve its users in its place
    traffic node[2]: nothing will serve its users in its place
    "#);
    let without =
        |name: &str| SET.lines().filter(|it| !it.starts_with(name)).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(dangers(SET, &without("  two:")), @"traffic two: its users will be served by 1 instead of 2");
    let alone = without("  two:");
    insta::assert_snapshot!(dangers(&alone, &alone.replace("name: shop", "name: www")), @"traffic one: its old name will no longer resolve");
    assert_eq!(dangers(&SET.replace("count: 3", "count: 2"), SET), "");
}

#[test]
fn replacements_say_what_changes_and_for_how_long_nothing_is_there() {
    let after = SET.replace("image: linode/debian12", "image: linode/debian13");
    let told = |after: &str| {
        let plan = plan(SET, after);
        let told =
            plan.replacements.iter().map(|it| format!("{} {:?} {}", it.address, it.loses, it.away));
        told.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&after), @r#"
    web[0] {"ipv4": "192.0.2.1", "private_ipv4": "192.168.133.1"} 97
    web[1] {"ipv4": "192.0.2.2", "private_ipv4": "192.168.133.2"} 97
    web[2] {"ipv4": "192.0.2.3", "private_ipv4": "192.168.133.3"} 97
    "#);
    let first = after.replace("count: 3", "count: 3, lifecycle: { create_before_destroy: true }");
    insta::assert_snapshot!(told(&first), @r#"
    web[0] {"ipv4": "192.0.2.1", "private_ipv4": "192.168.133.1"} 0
    web[1] {"ipv4": "192.0.2.2", "private_ipv4": "192.168.133.2"} 0
    web[2] {"ipv4": "192.0.2.3", "private_ipv4": "192.168.133.3"} 0
    "#);
    assert_eq!(told(SET), "");
}

/// The order of the issue: data, users, exposure, protection, what was allowed, what is replaced.
#[test]
fn ranking_puts_the_worst_first_and_equals_together() {
    let mut plan = plan(SET, &SET.replace("image: linode/debian12", "image: linode/debian13"));
    plan.dangers = dangers_of(&[
        ("zone", Sort::Protection, "a"),
        ("lb", Sort::Data, "b"),
        ("http", Sort::Exposure, "c"),
        ("one", Sort::Traffic, "d"),
        ("two", Sort::Traffic, "d"),
    ]);
    plan.dangers[1].stays = vec!["eu".into()];
    plan.allowed.delete = vec![Address::one("zone")];
    plan.allowed.outage = true;
    let ranking = Ranking::new(&plan);
    let groups = ranking.groups().iter();
    let told =
        groups.map(|it| format!("{:?} {:?} {:?}", it.concern.rank, it.subjects, it.concern.says));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
    Copy [Resource(Address { name: "lb", key: One })] Text("b")
    Traffic [Resource(Address { name: "one", key: One }), Resource(Address { name: "two", key: One })] Text("d")
    Exposure [Resource(Address { name: "http", key: One })] Text("c")
    Protection [Resource(Address { name: "zone", key: One })] Text("a")
    Allowance [Option("--allow-delete 'zone'")] Allowed { is_used: false }
    Allowance [Option("--allow-outage")] Allowed { is_used: true }
    Replacement [Resource(Address { name: "web", key: Index(0) })] Replaced { loses: [("ipv4", "192.0.2.1"), ("private_ipv4", "192.168.133.1")], away: 97 }
    Replacement [Resource(Address { name: "web", key: Index(1) })] Replaced { loses: [("ipv4", "192.0.2.2"), ("private_ipv4", "192.168.133.2")], away: 97 }
    Replacement [Resource(Address { name: "web", key: Index(2) })] Replaced { loses: [("ipv4", "192.0.2.3"), ("private_ipv4", "192.168.133.3")], away: 97 }
    "#);
    assert_eq!(ranking.worst(&Address::one("two")), Some(Rank::Traffic));
}

fn dangers_of(all: &[(&str, Sort, &str)]) -> Vec<Danger> {
    let danger = |(address, sort, says): &(&str, Sort, &str)| Danger {
        address: Address::one(*address),
        sort: *sort,
        says: (*says).into(),
        stays: Vec::new(),
    };
    all.iter().map(danger).collect()
}
