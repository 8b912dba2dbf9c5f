//! What is refused before the first call, each refusal with the flag that lets it through; and changes that keep something serving.

use serde_json::json;
use std::time::Duration;

use crate::harness::{Home, Output};

fn apply(home: &Home, allow: &[&str]) -> Output {
    home.sandbox(&[&["apply", "tiny", "--yes"], allow].concat())
}

/// A plan and an apply refuse alike, nothing changes, and the flag lets it through.
#[track_caller]
fn refused_unless(home: &Home, code: &str, says: &str, allow: &[&str]) {
    let before = home.shown();
    let plan = home.sandbox(&["plan", "tiny"]).code(3);
    plan.shows(&[&format!("Refused [{code}]"), says]).done();
    apply(home, &[]).code(3).done();
    assert_eq!(home.shown(), before, "nothing changed");
    apply(home, allow).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// A day of this week, as `until` takes it.
fn in_days(days: u64) -> String {
    let then = std::time::SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60);
    let stamp = jiff::Timestamp::try_from(then).unwrap().to_string();
    stamp[..10].to_owned()
}

#[test]
fn apply_lets_go_once_what_a_layer_allows() {
    let table = "  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id }\n";
    let with = format!("stack: tiny\nresources:\n{table}");
    let allow =
        format!("allow: {{ delete: [orders], until: {}, because: it moved }}\n", in_days(7));
    let without = format!("stack: tiny\nresources: {{}}\n{allow}");
    let home = Home::holding("tiny", &with);
    apply(&home, &[]).code(0).done();
    home.stack("tiny", &without);
    let reviewed = home.sandbox(&["plan", "tiny", "--format", "markdown"]).code(0);
    reviewed
        .shows(&["allow: delete: orders", "stacks/tiny/stack.yaml:3 lets through", "it moved"])
        .done();
    // The cloud refuses at first: the allowance goes on with what it was for.
    home.fault("DeleteTable 500 times=100000");
    apply(&home, &[]).code(1).done();
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["plan", "tiny"]).code(0).shows(&["ALLOWED ×1: allow: delete: orders"]).done();
    apply(&home, &[]).code(0).done();
    assert!(home.world.is_empty().unwrap());
    let log = home.sandbox(&["state", "log", "tiny", "--entries"]).code(0);
    log.shows(&["the layers allow `delete: orders` (it moved)"]).done();
    home.sandbox(&["plan", "tiny"])
        .code(0)
        .shows(&["Warning [allowance_used]", "remove it"])
        .done();
    // Another table of that name is not what was reviewed.
    home.stack("tiny", format!("{with}{allow}"));
    apply(&home, &[]).code(0).done();
    home.stack("tiny", &without);
    apply(&home, &[]).code(3).shows(&["Refused [data_loss]", "Warning [allowance_used]"]).done();
    // An older state knows of no use, and the newer one does.
    home.sandbox(&["state", "restore", "tiny", "--serial", "1", "--yes"]).code(0).done();
    apply(&home, &[]).code(3).shows(&["Refused [data_loss]", "Warning [allowance_used]"]).done();
    apply(&home, &["--allow-delete", "orders"]).code(0).done();
}

#[test]
fn apply_never_goes_beyond_an_allowance_that_is_over_or_too_long() {
    let table = "  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id }\n";
    let home = Home::holding("tiny", format!("stack: tiny\nresources:\n{table}"));
    apply(&home, &[]).code(0).done();
    let without = |until: &str| {
        format!(
            "stack: tiny\nresources: {{}}\nallow: {{ delete: [orders], until: {until}, because: it moved }}\n"
        )
    };
    home.stack("tiny", without("2026-01-31"));
    apply(&home, &[]).code(3).shows(&["Warning [allowance_expired]", "stack.yaml:3"]).done();
    home.run(&["validate", "tiny"]).code(0).says(&["allowance_expired"]).done();
    home.stack("tiny", without(&in_days(45)));
    home.run(&["validate", "tiny"]).code(1).says(&["allowance_too_long"]).done();
    apply(&home, &[]).code(1).says(&["allowance_too_long", "choose an earlier day"]).done();
    home.stack("tiny", without("someday"));
    home.run(&["validate", "tiny"]).code(1).says(&["Not a day", "2026-12-24"]).done();
    home.stack("tiny", without("2026-12-24").replace("delete: [orders], ", ""));
    home.run(&["validate", "tiny"]).code(0).says(&["nothing_allowed", "allows nothing"]).done();
    assert!(!home.world.is_empty().unwrap());
}

fn balancers(count: usize) -> String {
    format!(
        "stack: tiny\nresources:\n  lb: {{ kind: linode.nodebalancer, count: {count}, region: us-east, label: 'tiny-${{each.index}}' }}\n"
    )
}

#[test]
fn apply_requires_a_number_for_many_destroys() {
    let home = Home::holding("tiny", balancers(6));
    apply(&home, &[]).code(0).done();
    home.stack("tiny", balancers(2));
    refused_unless(&home, "many_destroys", "--allow-destroys", &["--allow-destroys", "4"]);
}

#[test]
fn apply_requires_a_number_for_many_absent() {
    let home = Home::holding("tiny", balancers(4));
    apply(&home, &[]).code(0).done();
    let lost = home.world.show().unwrap()["linode"]["nodebalancers"].clone();
    for it in &lost.as_array().unwrap()[..3] {
        home.linode("DELETE", &format!("/nodebalancers/{}", it["id"]), &json!(null));
    }
    // What is younger than a minute may be missing from a list for a while.
    home.world.advance(Duration::from_secs(3_600)).unwrap();
    refused_unless(&home, "many_absent", "--allow-absent", &["--allow-absent", "3"]);
    assert_eq!(home.world.show().unwrap()["linode"]["nodebalancers"].as_array().unwrap().len(), 4);
}

#[test]
fn apply_deletes_no_data_because_of_an_edit() {
    let table = "  table: { kind: dynamodb.table, region: us-east-1, name: tiny, attributes: { id: S }, hash_key: id }\n";
    let home = Home::holding("tiny", format!("stack: tiny\nresources:\n{table}"));
    apply(&home, &[]).code(0).done();
    home.stack("tiny", "stack: tiny\nresources: {}\n");
    refused_unless(&home, "data_loss", "--allow-delete 'table'", &["--allow-delete", "table"]);
    assert!(home.world.is_empty().unwrap());
}

#[test]
fn destroy_respects_the_protection_of_the_cloud() {
    let table = |protected: bool| {
        format!(
            "stack: tiny\nresources:\n  table: {{ kind: dynamodb.table, region: us-east-1, name: tiny, attributes: {{ id: S }}, hash_key: id, deletion_protection: {protected} }}\n"
        )
    };
    let home = Home::holding("tiny", table(true));
    apply(&home, &[]).code(0).done();
    let destroy = home.sandbox(&["destroy", "tiny", "--yes"]).code(3);
    destroy.shows(&["Refused [cloud_protection]"]).done();
    assert!(!home.world.is_empty().unwrap());
    home.stack("tiny", table(false));
    apply(&home, &[]).code(0).done();
    home.sandbox(&["destroy", "tiny", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap());
}

#[test]
fn destroy_respects_a_protection_whose_block_is_gone() {
    let lb = |more: &str| {
        format!(
            "stack: tiny\nresources:\n  lb: {{ kind: linode.nodebalancer, region: us-east, label: tiny-lb{more} }}\n"
        )
    };
    let home = Home::holding("tiny", lb(", lifecycle: { prevent_destroy: true }"));
    apply(&home, &[]).code(0).done();
    let refusal = &["Refused [prevent_destroy]"];
    home.sandbox(&["destroy", "tiny", "--yes"]).code(3).shows(refusal).done();
    home.stack("tiny", "stack: tiny\nresources: {}\n");
    apply(&home, &[]).code(3).shows(refusal).done();
    home.sandbox(&["state", "unprotect", "tiny", "lb"]).code(0).done();
    apply(&home, &[]).code(0).done();
    assert!(home.world.is_empty().unwrap());
    home.stack("tiny", lb(", lifecycle: { prevent_destroy: true }"));
    apply(&home, &[]).code(0).done();
    home.stack("tiny", lb(", lifecycle: { prevent_destroy: false }"));
    apply(&home, &[]).code(0).done();
    home.sandbox(&["destroy", "tiny", "--yes"]).code(0).done();
}

/// One machine behind a NodeBalancer.
pub(crate) fn served(image: &str, lifecycle: &str) -> String {
    format!(
        "stack: tiny
resources:
  web: {{ kind: linode.instance, region: us-east, type: g6-nanode-1, image: {image}, label: tiny-web, authorized_users: [a], private_ip: true{lifecycle} }}
  lb: {{ kind: linode.nodebalancer, region: us-east, label: tiny-lb }}
  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', port: 80 }}
  node: {{ kind: linode.nodebalancer_node, config: '${{http}}', address: '${{web.private_ipv4}}:80' }}
"
    )
}

#[test]
fn apply_does_not_remove_the_last_that_serves() {
    let stack = served("linode/debian12", "");
    let home = Home::holding("tiny", &stack);
    apply(&home, &[]).code(0).done();
    let without = stack.lines().filter(|it| !it.contains("node:")).collect::<Vec<_>>().join("\n");
    home.stack("tiny", format!("{without}\n"));
    refused_unless(&home, "empties_serving_set", "--allow-outage", &["--allow-outage"]);
}

/// The new machine is there under a name of its own, takes over, and gets the name in the end.
#[test]
fn apply_replaces_a_machine_while_it_serves() {
    let first = ", lifecycle: { create_before_destroy: true }";
    let home = Home::holding("tiny", served("linode/debian12", first));
    apply(&home, &[]).code(0).done();
    let before = home.world.show().unwrap()["linode"]["instances"].clone();
    home.stack("tiny", served("linode/ubuntu24.04", first));
    apply(&home, &[]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    let after = home.world.show().unwrap()["linode"].clone();
    assert_eq!(after["instances"].as_array().unwrap().len(), 1, "{}", home.shown());
    assert_ne!(after["instances"][0]["id"], before[0]["id"]);
    assert_eq!(after["instances"][0]["label"], "tiny-web");
    let node = &after["nodebalancers"][0]["configs"][0]["nodes"][0]["address"];
    let addresses = after["instances"][0]["ipv4"].to_string();
    assert!(addresses.contains(node.as_str().unwrap().trim_end_matches(":80")), "{}", home.shown());
    home.sandbox(&["destroy", "tiny", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// What went away is made again; what is under another address moves; what state forgets stays.
#[test]
fn apply_keeps_records_true_after_moves_and_deletions() {
    let home = Home::holding("tiny", balancers(1));
    apply(&home, &[]).code(0).done();
    let id =
        |home: &Home| home.world.show().unwrap()["linode"]["nodebalancers"][0]["id"].to_string();
    let first = id(&home);
    home.stack("tiny", "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }\n");
    apply(&home, &[]).code(0).done();
    assert_eq!(id(&home), first, "`lb` and `lb[0]` are the same when count goes");
    home.stack("tiny", "stack: tiny\nresources:\n  front: { kind: linode.nodebalancer, region: us-east, label: tiny-0, moved_from: lb }\n");
    apply(&home, &[]).code(0).done();
    assert_eq!(id(&home), first, "a move is no replace");
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.linode("DELETE", &format!("/nodebalancers/{first}"), &json!(null));
    // A minute of the world is soon over here; younger ones count as unseen.
    home.world.advance(Duration::from_secs(3_600)).unwrap();
    apply(&home, &[]).code(0).done();
    assert_ne!(id(&home), first, "it was made again");
    home.sandbox(&["state", "rm", "tiny", "front", "--yes"]).code(0).done();
    assert!(!home.world.is_empty().unwrap());
    home.sandbox(&["plan", "tiny"]).code(3).shows(&["exists_already"]).done();
}

const WALLED: &str = "stack: tiny
resources:
  wall: { kind: linode.firewall, label: tiny-wall, inbound_policy: DROP, inbound: [{ action: ACCEPT, protocol: TCP, ports: '80', addresses: { ipv4: [192.168.255.0/24] } }] }
  shut: { kind: linode.firewall, label: tiny-shut, inbound_policy: DROP }
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-lb }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_timeout: 5 }
  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [ops], label: tiny-web, private_ip: true, firewall: '${wall}' }
  node: { kind: linode.nodebalancer_node, config: '${http}', label: tiny-web, address: '${web.private_ipv4}:80' }
";

/// Nobody is deleted, and nobody is served: whom a filter of the stack would shut out is told, and it is refused.
#[test]
fn apply_refuses_a_firewall_that_blocks_balancers() {
    let home = Home::holding("tiny", WALLED);
    apply(&home, &[]).code(0).done();
    for (from, to) in [
        ("ports: '80'", "ports: '8080'"),
        ("192.168.255.0/24", "203.0.113.0/24"),
        ("firewall: '${wall}'", "firewall: '${shut}'"),
    ] {
        home.stack("tiny", WALLED.replace(from, to));
        let plan = home.sandbox(&["plan", "tiny"]).code(3);
        plan.shows(&["Danger: TRAFFIC", "Refused [shuts_backends]", "--allow-outage"]).done();
        apply(&home, &[]).code(3).done();
    }
    // The backend moves along.
    let moved = WALLED.replace("ports: '80'", "ports: '8080'").replace("}:80'", "}:8080'");
    home.stack("tiny", moved);
    let plan = home.sandbox(&["plan", "tiny"]).to_string();
    assert!(!plan.contains("shuts_backends"), "{plan}");
    home.stack("tiny", WALLED.replace("ports: '80'", "ports: '8080'"));
    apply(&home, &["--allow-outage"]).code(0).done();
}
