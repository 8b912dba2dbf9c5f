//! What somebody did outside lifeboat: it is not taken back with a machine or with users, and what is not ours does not go along, without a word.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Home, Output};
use crate::two_sites;

const SITE: &str = "stack: tiny
resources:
  web: { kind: linode.instance, region: us-east, type: g6-standard-1, image: linode/debian12, authorized_users: [ops], label: tiny-web }
  wall: { kind: linode.firewall, label: tiny-wall }
  zone: { kind: linode.domain, domain: tiny.example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.1, ttl_sec: 300 }
";

fn applied() -> Home {
    let home = Home::holding("tiny", SITE);
    apply(&home, &[]).code(0).done();
    home
}

fn apply(home: &Home, more: &[&str]) -> Output {
    home.sandbox(&[&["apply", "tiny", "--yes"], more].concat())
}

fn id(home: &Home, address: &str) -> String {
    home.state("tiny").unwrap().records[&address.parse().unwrap()].id.clone()
}

#[test]
fn apply_does_not_replace_a_machine_that_was_resized_by_hand() {
    let home = applied();
    let web = id(&home, "web");
    // Its first boot is over.
    home.world.advance(Duration::from_secs(600)).unwrap();
    home.linode(
        "POST",
        &format!("/linode/instances/{web}/resize"),
        &json!({ "type": "g6-standard-4" }),
    );
    home.world.advance(Duration::from_secs(3_600)).unwrap();
    let refused = apply(&home, &[]).code(3);
    refused
        .shows(&[
            "drift_replaces",
            "(recorded: \"g6-standard-1\", observed: \"g6-standard-4\")",
            "`type: \"g6-standard-4\"`",
        ])
        .done();
    assert_eq!(id(&home, "web"), web);
    // Both ways on: write what is there, or let it go.
    home.stack("tiny", SITE.replace("g6-standard-1", "g6-standard-4"));
    home.sandbox(&["plan", "tiny"]).code(0).done();
    home.stack("tiny", SITE);
    apply(&home, &["--allow-replace", "web"]).code(0).done();
    assert_ne!(id(&home, "web"), web);
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

#[test]
fn apply_does_not_move_users_back_who_were_moved_by_hand() {
    let home = applied();
    let route = format!("/domains/{}/records/{}", id(&home, "zone"), id(&home, "shop"));
    home.linode("PUT", &route, &json!({ "target": "192.0.2.99" }));
    apply(&home, &[]).code(3).shows(&["drift_directs", "--revert-drift shop"]).done();
    assert_eq!(home.linode("GET", &route, &json!(null))["target"], "192.0.2.99");
    apply(&home, &["--revert-drift", "shop"]).code(0).done();
    assert_eq!(home.linode("GET", &route, &json!(null))["target"], "192.0.2.1");
}

#[test]
fn apply_replace_makes_a_new_one_for_who_asks() {
    let home = applied();
    let web = id(&home, "web");
    home.sandbox(&["plan", "tiny", "--replace", "web"])
        .code(0)
        .shows(&["replacement was requested with --replace"])
        .done();
    apply(&home, &["--replace", "web"]).code(0).done();
    assert_ne!(id(&home, "web"), web);
    apply(&home, &["--replace", "wbe"]).code(1).says(&["did you mean `web`?"]).done();
}

/// A zone takes every record along, and a firewall opens what stands behind it.
#[test]
fn destroy_names_what_others_put_there_before_it_goes() {
    let home = applied();
    let (zone, wall) = (id(&home, "zone"), id(&home, "wall"));
    let mail = json!({ "type": "MX", "target": "mail.example.net", "priority": 10 });
    home.linode("POST", &format!("/domains/{zone}/records"), &mail);
    let other = json!({ "region": "us-east", "type": "g6-nanode-1", "label": "theirs" });
    let other = home.linode("POST", "/linode/instances", &other)["id"].clone();
    home.linode(
        "POST",
        &format!("/networking/firewalls/{wall}/devices"),
        &json!({ "type": "linode", "id": other }),
    );
    let destroy = |more: &[&str]| home.sandbox(&[&["destroy", "tiny", "--yes"], more].concat());
    destroy(&[]).code(3).shows(&["uninvited", "linode.domain_record MX", "linode theirs"]).done();
    assert_eq!(home.state("tiny").unwrap().records.len(), 4, "nothing went");
    destroy(&["--allow-delete", "zone", "--allow-delete", "wall"]).code(0).done();
    home.linode("GET", &format!("/linode/instances/{other}"), &json!(null));
}

/// A member that others added to a table's group is named before any member goes.
#[test]
fn destroy_names_a_member_that_others_joined() {
    let home = Home::holding(
        "tiny",
        "stack: tiny\nresources:\n  t: { kind: dynamodb.table, region: us-east-1, name: tiny_table, attributes: { id: S }, hash_key: id }\n",
    );
    apply(&home, &[]).code(0).done();
    let join = json!({ "TableName": "tiny_table", "ReplicaUpdates": [{ "Create": { "RegionName": "eu-west-1" } }] });
    home.dynamodb("us-east-1", "UpdateTable", &join);
    home.world.advance(Duration::from_secs(3_600)).unwrap();
    home.sandbox(&["destroy", "tiny", "--yes"]).code(3).shows(&["uninvited", "eu-west-1"]).done();
}

/// DynamoDB takes another TTL attribute an hour after the last change; that is said, and waited for.
#[test]
fn apply_waits_for_another_ttl_attribute() {
    let stack = |it: &str| {
        format!(
            "stack: tiny\nresources:\n  t: {{ kind: dynamodb.table, region: us-east-1, name: tiny_table, attributes: {{ id: S }}, hash_key: id, ttl_attribute: {it} }}\n"
        )
    };
    let home = Home::with(&lifeboat::sandbox::SandboxOptions {
        speed: 2_000.0,
        ..lifeboat::sandbox::SandboxOptions::default()
    });
    home.stack("tiny", stack("old"));
    apply(&home, &[]).code(0).done();
    home.world.advance(Duration::from_secs(7_200)).unwrap();
    home.stack("tiny", stack("new"));
    apply(&home, &[]).code(0).shows(&["slow_change"]).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// A member that is being deleted is told for minutes: it is ours, and on its way out.
#[test]
fn destroy_goes_on_while_a_replica_of_ours_is_being_deleted() {
    let home = two_sites::home();
    home.world.advance(Duration::from_secs(61)).unwrap();
    let destroy = ["destroy", "duo", "--yes"];
    let copy = "copy".parse().unwrap();
    let mut running = home.start(&[&destroy[..], &["--sandbox"]].concat());
    let is_going = || {
        let world = home.world.show().unwrap();
        // And its end is journalled: from then on only the wait is left.
        let is_told = home.state("duo").is_some_and(|it| !it.pending.contains_key(&copy));
        is_told && world["dynamodb"]["us-east-1"]["duo"]["replicas"]["eu-west-1"] == "DELETING"
    };
    assert!(running.until(is_going), "the replica is being deleted");
    running.kill();
    // It can be neither kept nor made again before it is gone, and nobody else has anything to do with it.
    home.world.set_speed(2.0).unwrap();
    let kept = home.sandbox(&["apply", "duo", "--yes"]).code(3);
    kept.shows(&["`copy` (dynamodb.replica) is still being deleted", "run this command again"])
        .done();
    home.world.set_speed(100.0).unwrap();
    let again = home.sandbox(&destroy).code(0);
    assert!(!again.to_string().contains("uninvited"), "{again}");
    // Its region tells of it for a while when its group does not any more: the end of the destroy is the end of that.
    assert!(home.world.is_empty().unwrap(), "{again}{}", home.shown());
}

/// Who goes on with what was killed while a member left waits for the end of that, and loses no data a second time.
#[test]
fn apply_waits_for_a_deletion_that_a_killed_run_began() {
    let table = "stack: tiny\nresources:\n  t: { kind: dynamodb.table, region: us-east-1, name: tiny_table, attributes: { id: S }, hash_key: id }\n";
    let replica = "  r: { kind: dynamodb.replica, table: '${t}', region: eu-west-1 }\n";
    let home = Home::holding("tiny", format!("{table}{replica}"));
    apply(&home, &[]).code(0).done();
    home.world.advance(Duration::from_secs(61)).unwrap();
    home.stack("tiny", table);
    let mut running = home.start(&["apply", "tiny", "--yes", "--allow-delete", "r", "--sandbox"]);
    let address = "r".parse().unwrap();
    // The end of the call is journalled: from then on only the wait is left.
    let is_going = || {
        let world = home.world.show().unwrap();
        home.state("tiny").is_some_and(|it| !it.pending.contains_key(&address))
            && world["dynamodb"]["us-east-1"]["tiny_table"]["replicas"]["eu-west-1"] == "DELETING"
    };
    assert!(running.until(is_going), "the replica is being deleted");
    running.kill();
    let again = apply(&home, &[]).code(0);
    let world = home.world.show().unwrap();
    assert!(world["dynamodb"]["eu-west-1"]["tiny_table"].is_null(), "{again}{world}");
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}
