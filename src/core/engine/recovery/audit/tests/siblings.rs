//! Defects that were once planted and not found, each in every place and spelling that it can have: one line per defect.

use std::collections::BTreeSet;

use serde_json::json;

use crate::engine::address::Address;
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::tests::{
    OVERLAY, SERVED, STACK, STANDBY, World, address, list,
};
use crate::engine::state::record::State;
use crate::engine::value::Value;

const NODE: &str = "    address: '${each.value.private_ipv4}:80'";
const WALL: &str = "  wall:";

/// The rules that find something, each once.
fn rules(world: &World) -> BTreeSet<&'static str> {
    world.audit().findings().map(|it| it.rule.id).collect()
}

/// What is planted, and the rules that must say so; no other may.
type SiblingCase = (&'static str, World, &'static [&'static str]);

fn check(lines: Vec<SiblingCase>) {
    let wrong: Vec<String> = lines
        .into_iter()
        .filter_map(|(what, world, wanted)| {
            let (found, wanted) = (rules(&world), wanted.iter().copied().collect());
            (found != wanted).then(|| format!("{what}: {found:?} instead of {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn node(after: &'static str, line: &str) -> World {
    World::new().edit(after, NODE, &format!("    {line}\n{NODE}"))
}

fn overlaid(resource: &str) -> World {
    World::new().overlay(SERVED, &format!("{SERVED}\n  {resource}"))
}

fn variable(world: World, declared: &str) -> World {
    world.edit("", "variables:\n", &format!("variables:\n  {declared}\n"))
}

#[test]
fn audit_finds_backends_that_accept_nobody() {
    let by_variable = |after| {
        let world = node(after, "mode: '${vars.mode}'");
        variable(world, "mode: { type: string, default: drain }")
    };
    check(vec![
        ("home rejects", node("  lb_node:", "mode: reject"), &["backend-shut"]),
        ("the standby drains", node("  standby_node:", "mode: drain"), &["backend-shut"]),
        ("home, by a variable", by_variable("  lb_node:"), &["backend-shut"]),
        ("the standby, by a variable", by_variable("  standby_node:"), &["backend-shut"]),
        (
            "one node of a loop",
            node("  standby_node:", "mode: '${each.key == 0 ? \"reject\" : \"accept\"}'"),
            &["backend-shut"],
        ),
        ("by the overlay", overlaid("standby_node: { mode: reject }"), &["backend-shut"]),
        (
            "the address alone by the overlay",
            overlaid("standby_node: { address: '${each.value.private_ipv4}:8080' }"),
            &["ports-differ", "firewall-shuts"],
        ),
        (
            "the port by a variable",
            variable(
                World::new().edit("  standby_node:", ":80'", ":${vars.port}'"),
                "port: { type: int, default: 81 }",
            ),
            &["ports-differ", "firewall-shuts"],
        ),
        (
            "backups are there for when nothing else is",
            node("  standby_node:", "mode: backup"),
            &[],
        ),
    ]);
}

#[test]
fn audit_finds_firewalls_that_are_missing_closed_or_open() {
    let ssh = |to: &str| World::new().edit(WALL, "{ ipv4: ['${vars.ops_network}'] }", to);
    let http = |from: &str, to: &str| World::new().edit(WALL, from, to);
    let of_home = || World::new().edit("  web:", "    firewall: '${wall}'\n", "");
    let at_all = of_home().edit(STANDBY, "    firewall: '${wall}'\n", "");
    check(vec![
        ("none at all", at_all, &["firewall-missing"]),
        ("none at home", of_home(), &["firewall-missing"]),
        ("none by the overlay", overlaid("standby: { firewall: null }"), &["firewall-missing"]),
        (
            "one that is off",
            http("inbound_policy: DROP", "inbound_policy: ACCEPT\n    status: disabled"),
            &["administration-open"],
        ),
        (
            "UDP instead of TCP",
            http("protocol: TCP, ports: '80'", "protocol: UDP, ports: '80'"),
            &["firewall-shuts"],
        ),
        ("a part of the range", http("192.168.255.0/24", "192.168.255.0/25"), &["firewall-shuts"]),
        ("another port", http("ports: '80'", "ports: '81-90'"), &["firewall-shuts"]),
        (
            "dropped before it is let in",
            http("action: ACCEPT, label: nodebalancers", "action: DROP, label: nodebalancers"),
            &["firewall-shuts"],
        ),
        (
            "by the overlay",
            overlaid(
                "wall: { inbound: [{ action: ACCEPT, protocol: TCP, ports: '22', addresses: { ipv4: [203.0.113.0/24] } }] }",
            ),
            &["firewall-shuts"],
        ),
        // That of the machines lets only balancers in.
        (
            "before the balancer by the overlay",
            overlaid("standby_lb: { firewall: '${wall}' }"),
            &["firewall-shuts"],
        ),
        (
            "before the balancer at home",
            World::new().edit("  lb:", "label:", "firewall: '${wall}', label:"),
            &["firewall-shuts"],
        ),
        ("SSH to all of IPv4", ssh("{ ipv4: [0.0.0.0/0] }"), &["administration-open"]),
        (
            "SSH to all of IPv6",
            ssh("{ ipv4: ['${vars.ops_network}'], ipv6: ['::/0'] }"),
            &["administration-open"],
        ),
        ("SSH to two halves", ssh("{ ipv4: [0.0.0.0/1, 128.0.0.0/1] }"), &["administration-open"]),
        (
            "SSH within a range of ports",
            http(
                "ports: '22', addresses: { ipv4: ['${vars.ops_network}'] }",
                "ports: '20-25', addresses: { ipv4: [0.0.0.0/0] }",
            ),
            &["administration-open"],
        ),
        (
            "SSH by a variable",
            World::new().edit("", "default: 203.0.113.0/24", "default: 0.0.0.0/0"),
            &["administration-open"],
        ),
        (
            "SSH by the overlay's variable",
            World::new().overlay("standby_size: 2", "standby_size: 2\n  ops_network: 0.0.0.0/0"),
            &["administration-open"],
        ),
    ]);
}

#[test]
fn audit_finds_health_checks_that_are_useless_or_slow() {
    let slow = |after: &str| {
        let world =
            World::new().edit(after, "check_interval: 15", "check_interval: '${vars.every}'");
        variable(world, "every: { type: int, default: 3600 }")
    };
    let page = |after: &str, to: &str| World::new().edit(after, "/healthcheck.php", to);
    check(vec![
        ("slow at home", slow("  lb_http:"), &["check-slow"]),
        ("slow at the standby", slow("  standby_http:"), &["check-slow"]),
        (
            "slow by the overlay",
            overlaid("standby_http: { check_interval: 3600 }"),
            &["check-slow"],
        ),
        (
            "so many attempts",
            overlaid("standby_http: { check_interval: 200, check_attempts: 30 }"),
            &["check-slow"],
        ),
        ("a file at home", page("  lb_http:", "/status.json?x=1"), &["check-static"]),
        ("a file at the standby", page("  standby_http:", "/ok.txt"), &["check-static"]),
        (
            "by the overlay",
            overlaid("standby_http: { check_path: /index.html }"),
            &["check-static"],
        ),
    ]);
}

/// What the cloud gave to what is lost.
fn given(state: &mut State) {
    let give = |it: &mut State, of: &str, name: &str, value: &str| {
        let record = it.records.get_mut(&address(of)).unwrap();
        record.outputs.insert(name.into(), Value::text(value));
    };
    give(state, "lb", "ipv4", "198.18.0.1");
    give(state, "lb", "ipv6", "2001:db8:1:1::c612:1");
    give(state, "lb", "hostname", "198-18-0-1.ip.linodeusercontent.com");
    give(state, "web[0]", "ipv4", "198.18.0.20");
    give(state, "web[0]", "private_ipv4", "192.168.128.20");
    give(state, "web[0]", "ipv6", "2001:db8:1::f03c:1/128");
}

#[test]
fn audit_finds_addresses_of_home_that_are_written_out() {
    const FOUND: &[&str] = &["names-lost-address"];
    let record = |kind: &str, target: &str| {
        let line = format!(
            "  db: {{ kind: linode.domain_record, domain: '${{zone}}', type: {kind}, name: db, target: '{target}', ttl_sec: 300 }}\n"
        );
        World::new().edit("", "\noutputs:\n", &format!("{line}\noutputs:\n")).state(given)
    };
    let host = |value: &str| {
        World::new()
            .edit("", "default: mysql.example.net", &format!("default: '{value}'"))
            .state(given)
    };
    let open = |world: World| {
        world.edit(STANDBY, "\"products\": products.name", "\"products\": standby_lb.hostname")
    };
    let in_text = |value: &str| {
        World::new()
            .edit(STANDBY, "vars.database_host", &format!("\"{value}\""))
            .edit("  web:", "vars.database_host", &format!("\"{value}\""))
            .state(given)
    };
    check(vec![
        ("A", record("A", "198.18.0.20"), FOUND),
        ("AAAA of the balancer", record("AAAA", "2001:db8:1:1::c612:1"), FOUND),
        ("AAAA in another spelling", record("AAAA", "2001:DB8:1:1:0:0:C612:1"), FOUND),
        ("AAAA of a machine, told with its prefix", record("AAAA", "2001:db8:1::f03c:1"), FOUND),
        ("CNAME", record("CNAME", "198-18-0-1.ip.linodeusercontent.com"), FOUND),
        ("a host for user data", host("192.168.128.20"), FOUND),
        ("with its port", host("198.18.0.20:3306"), FOUND),
        ("of IPv6, with its port", host("[2001:db8:1::f03c:1]:3306"), FOUND),
        ("in the arguments of a template", in_text("192.168.128.20"), FOUND),
        (
            "by the overlay's variable",
            World::new()
                .overlay("standby_size: 2", "standby_size: 2\n  database_host: 198.18.0.20")
                .state(given),
            &["names-lost-address", "standby-differs"],
        ),
        (
            "the record that moves",
            World::new().overlay(SERVED, "shop: { target: 198.18.0.20 }").state(given),
            &["names-lost-address", "target-unfollowed"],
        ),
        (
            "in a text that is not whole before something is made",
            open(host("192.168.128.20")),
            FOUND,
        ),
        ("in an argument of such a text", open(in_text("192.168.128.20")), FOUND),
        ("somebody else's", record("A", "198.18.0.201"), &[]),
    ]);
}

#[test]
fn audit_finds_what_the_overlay_does_not_assume_lost() {
    let lost = |text: &str| World::new().overlay("['linode:us-east', 'aws:us-east-1']", text);
    let written = |world: World| {
        let world = world.edit("  web:", "products.region", "\"us-east-1\"");
        world.edit(STANDBY, "products_eu.region", "\"eu-west-1\"")
    };
    let ungated =
        |name: &str| World::new().edit(name, "    gate: { replication: true, within: 60s }\n", "");
    check(vec![
        ("without the tables' region", lost("['linode:us-east']"), &["assumes-part"]),
        ("with another region", lost("['linode:us-east', 'aws:us-west-2']"), &["assumes-part"]),
        ("the regions written out", written(lost("['linode:us-east']")), &["assumes-part"]),
        ("the regions written out, and all assumed", written(World::new()), &[]),
        ("one group without a gate", ungated("  products_eu:"), &["replication-unproved"]),
        ("the other group", ungated("  sessions_eu:"), &["replication-unproved"]),
        (
            "a gate that the overlay takes away",
            overlaid("products_eu: { gate: null }"),
            &["replication-unproved"],
        ),
        (
            "nobody rehearses it",
            World::new().facts(|it| it.rehearsals.clear()),
            &["rehearsal-missing"],
        ),
        (
            "another is rehearsed",
            World::new().facts(|it| {
                it.rehearsals = [("drill".to_owned(), vec!["other".to_owned()])].into();
            }),
            &["rehearsal-missing"],
        ),
    ]);
}

#[test]
fn audit_finds_data_whose_copies_are_lost_or_used_where_lost() {
    let lost = |text: &str| World::new().overlay("['linode:us-east', 'aws:us-east-1']", text);
    let moved = |name: &'static str, from: &'static str, to: &'static str| {
        move |world: World| world.edit(name, from, to)
    };
    let exchanged = || {
        let world = moved("  products:", "region: us-east-1", "region: eu-west-1")(World::new());
        moved("  products_eu:", "region: eu-west-1", "region: us-east-1")(world)
    };
    check(vec![
        (
            "both regions",
            lost("['linode:us-east', 'aws:us-east-1', 'aws:eu-west-1']"),
            &["data-lost", "needs-lost"],
        ),
        ("the standby uses the replica that is lost", exchanged(), &["needs-lost"]),
        (
            "the standby uses the table that is not",
            exchanged().edit(STANDBY, "products_eu.region", "products.region").edit(
                "  web:",
                "products.region",
                "products_eu.region",
            ),
            &[],
        ),
    ]);
}

#[test]
fn audit_finds_a_home_of_one() {
    let size = |text: &str| World::new().edit("", "web_size: { type: int, default: 2", text);
    let single = World::new()
        .edit("  web:", "    count: '${vars.web_size}'\n", "")
        .edit("  web:", "'shop-us-${each.index}'", "shop-us")
        .edit("  lb_node:", "    for_each: '${web}'\n", "")
        .edit("  lb_node:", "${each.value.label}", "${web.label}")
        .edit("  lb_node:", "${each.value.private_ipv4}", "${web.private_ipv4}");
    let direct = World::new().edit("  shop:\n", "target: '${lb.ipv4}'", "target: '${web[0].ipv4}'");
    check(vec![
        ("by the variable", size("web_size: { type: int, default: 1"), &["home-single"]),
        ("without a count", single, &["home-single"]),
        (
            "two, of which one accepts",
            node("  lb_node:", "mode: '${each.key == 0 ? \"reject\" : \"accept\"}'"),
            &["backend-shut", "home-single"],
        ),
        ("without a balancer", direct, &["home-single"]),
    ]);
}

#[test]
fn audit_finds_protection_off_however_it_is_written() {
    const FOUND: &[&str] = &["data-unprotected"];
    let real = |world: World| world.facts(|it| it.in_sandbox = false);
    let line = "deletion_protection: '${vars.protect}'";
    let on = |world: World| {
        world.edit(
            "",
            "protect: { type: bool, default: false",
            "protect: { type: bool, default: true",
        )
    };
    let says = |after: &str, text: &str| on(World::new()).edit(after, line, text);
    let by_overlay =
        || on(World::new()).overlay("standby_size: 2", "standby_size: 2\n  protect: false");
    let unequal = || {
        variable(
            says("  products:", "deletion_protection: '${vars.stage == \"production\"}'"),
            "stage: { type: string, default: test }",
        )
    };
    check(vec![
        ("the variable's default, where nobody's data is", World::new(), &[]),
        ("the variable's default", real(World::new()), FOUND),
        ("written out", says("  products:", "deletion_protection: false"), FOUND),
        (
            "written out for a copy",
            real(says("  sessions_eu:", "deletion_protection: false")),
            FOUND,
        ),
        ("left out", says("  sessions:", "ttl_attribute: expires_at"), &["invalid"]),
        (
            "an expression without a variable",
            says("  products:", "deletion_protection: '${1 > 2}'"),
            FOUND,
        ),
        ("an expression of a variable", real(unequal()), FOUND),
        ("an expression of a variable, where nobody's data is", unequal(), &[]),
        ("the overlay's variable, wherever", by_overlay(), FOUND),
        ("the overlay itself", on(overlaid("products_eu: { deletion_protection: false }")), FOUND),
        (
            "as another has it",
            says("  products_eu:", "deletion_protection: '${products.deletion_protection}'"),
            &[],
        ),
        ("on", real(on(World::new())), &[]),
        (
            "restoring, by a variable",
            real(variable(
                on(World::new()).edit(
                    "  products:",
                    "point_in_time_recovery: true",
                    "point_in_time_recovery: '${vars.restore}'",
                ),
                "restore: { type: bool, default: false }",
            )),
            &["data-not-restorable"],
        ),
    ]);
}

#[test]
fn audit_finds_what_the_cloud_does_not_offer() {
    const FOUND: &[&str] = &["not-offered"];
    let offers = |region: &'static str| {
        move |it: &mut AuditFacts| {
            let row = |region: &str, plan: &str, available: bool| json!({ "region": region, "plan": plan, "available": available });
            let rows = [
                ("/regions", json!([{ "id": "us-east" }, { "id": "eu-central" }])),
                ("/linode/types", json!([{ "id": "g6-standard-2" }, { "id": "g7-premium-2" }])),
                ("/images", json!([{ "id": "linode/debian12" }])),
                (
                    "/regions/availability",
                    json!([
                        row(region, "g6-standard-2", false),
                        row("eu-central", "g7-premium-2", false)
                    ]),
                ),
            ];
            let rows = rows.map(|(path, rows)| (list(path), Ok(rows.as_array().unwrap().clone())));
            it.offers = Some(rows.into());
        }
    };
    let gone = |names: &'static [&'static str]| {
        move |it: &mut State| {
            let names: Vec<Address> = names.iter().map(|it| address(it)).collect();
            it.records.retain(|address, _| !names.contains(address));
        }
    };
    let resized = || overlaid("standby: { type: g7-premium-2 }");
    check(vec![
        ("all can be had", World::new().facts(offers("us-west")), &[]),
        ("the second machine of the standby", World::new().facts(offers("eu-central")), FOUND),
        ("what already exists is not asked for", World::new().facts(offers("us-east")), &[]),
        (
            "a machine of home that is not made yet",
            World::new().facts(offers("us-east")).state(gone(&["web[1]"])),
            FOUND,
        ),
        ("a size that the overlay changes", resized().facts(offers("us-west")), FOUND),
        ("nobody asked", resized(), &[]),
        (
            "a list that could not be read",
            World::new().facts(|it| {
                it.offers = Some([(list("/regions"), Err("403".to_owned()))].into());
            }),
            &["offers-unread"],
        ),
    ]);
}

/// The overlay of the example is what these lines change.
#[test]
fn audit_finds_nothing_in_the_overlay_that_the_tests_edit() {
    assert!(OVERLAY.contains(SERVED) && STACK.contains(STANDBY));
    check(vec![("nothing", World::new(), &[])]);
}
