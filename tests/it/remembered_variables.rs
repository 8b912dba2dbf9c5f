//! What `--var` was given for is what it holds for: a switch and its side, or the whole stack; and nothing once all is destroyed.

use std::collections::BTreeMap;

use lifeboat::engine::value::Value;

use crate::harness::Home;
use crate::two_sites::{self, failback, settled};

/// Machines by region, with their type.
fn machines(home: &Home) -> BTreeMap<String, usize> {
    let world = home.world.show().unwrap();
    let mut counted = BTreeMap::new();
    for it in world["linode"]["instances"].as_array().unwrap() {
        let label = it["label"].as_str().unwrap();
        let site = if label.starts_with("duo-eu") { "eu" } else { "us" };
        *counted.entry(format!("{site} {}", it["type"].as_str().unwrap())).or_default() += 1;
    }
    counted
}

fn counted(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|(what, it)| ((*what).to_owned(), *it)).collect()
}

fn variables(home: &Home) -> BTreeMap<String, Value> {
    two_sites::state(home).variables
}

const CALM: [&str; 6] = ["failover", "duo", "--to", "calm", "--planned", "--yes"];

#[test]
fn failover_variable_holds_on_its_side_and_ends_with_failback() {
    let home = two_sites::home();
    home.sandbox(&[&CALM[..], &["--var", "standby=3"]].concat()).code(0).done();
    let away = counted(&[("eu g6-nanode-1", 3), ("us g6-nanode-1", 2)]);
    assert_eq!(machines(&home), away);
    // The pipeline runs the next day, and is given nothing.
    two_sites::apply(&home).code(0).done();
    settled(&home, &["calm"], "away");
    assert_eq!(machines(&home), away);
    // A release that is rolled out meanwhile is no part of the switch.
    home.sandbox(&["apply", "duo", "--yes", "--var", "size=g6-standard-1"]).code(0).done();
    failback(&home).code(0).done();
    settled(&home, &[], "home again");
    assert_eq!(machines(&home), counted(&[("eu g6-standard-1", 1), ("us g6-standard-1", 2)]));
    assert_eq!(variables(&home).into_keys().collect::<Vec<_>>(), ["size"]);
}

#[test]
fn failover_overlay_beats_what_home_remembers() {
    let home = two_sites::home();
    home.sandbox(&["apply", "duo", "--yes", "--var", "standby=1"]).code(0).done();
    home.sandbox(&["explain", "duo", "vars.standby", "-o", "calm"])
        .code(0)
        .shows(&["overlays/calm.yaml:2"])
        .done();
    home.sandbox(&CALM).code(0).done();
    settled(&home, &["calm"], "away");
    assert_eq!(machines(&home), counted(&[("eu g6-nanode-1", 2), ("us g6-nanode-1", 2)]));
    failback(&home).code(0).done();
    settled(&home, &[], "home again");
    assert_eq!(machines(&home), counted(&[("eu g6-nanode-1", 1), ("us g6-nanode-1", 2)]));
    assert_eq!(variables(&home), [("standby".to_owned(), Value::Int(1))].into());
}

#[test]
fn destroy_that_leaves_nothing_forgets_every_variable() {
    let home = two_sites::home();
    home.sandbox(&[&CALM[..], &["--var", "standby=3"]].concat()).code(0).done();
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    let state = two_sites::state(&home);
    assert_eq!((state.variables, state.home_variables), (BTreeMap::new(), None));
    two_sites::apply(&home).code(0).done();
    assert_eq!(machines(&home), counted(&[("eu g6-nanode-1", 1), ("us g6-nanode-1", 2)]));
}

/// A value that nobody types again is seen all the same, and a protection that it puts up is taken off by it.
#[test]
fn remembered_variable_is_shown_and_named_where_it_protects() {
    let home = Home::holding(
        "safe",
        "stack: safe
variables: { protect: { type: bool, default: false } }
resources:
  sessions: { kind: dynamodb.table, region: us-east-1, name: sessions, attributes: { id: S }, hash_key: id, deletion_protection: '${vars.protect}' }
",
    );
    home.sandbox(&["apply", "safe", "--var", "protect=true", "--yes"]).code(0).done();
    let plan = home.sandbox(&["plan", "safe"]).code(0);
    plan.shows(&["safe on sandbox, variables: protect=true (from the last apply)"]).done();
    home.sandbox(&["status", "safe"]).code(0).shows(&["variables: protect=true ("]).done();
    let off = "`lifeboat apply safe --var protect=false --sandbox`";
    let refused = home.sandbox(&["destroy", "safe", "--yes"]).code(3);
    refused.shows(&["Refused [cloud_protection]", "from the last apply", off]).done();
    home.sandbox(&["apply", "safe", "--var", "protect=false", "--yes"]).code(0).done();
    home.sandbox(&["destroy", "safe", "--yes"]).code(0).done();
}
