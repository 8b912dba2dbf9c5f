//! `allow:` blocks: what they let through, once, until a day, and what they never let through.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::tests::{PlanCase, plan};
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::State;
use crate::engine::value::Value;

/// 2026-12-01T12:00:00Z
const NOW: i64 = 1_796_126_400_000;
const DAY: i64 = 24 * 60 * 60 * 1_000;

const TABLE: &str = "  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id }";
const UNTIL: &str = "until: 2026-12-24, because: it moved";

fn allow(text: &str) -> String {
    format!("\nallow: {{ {text} }}")
}

/// What is said of a plan, and what it uses of what is allowed.
fn said(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for it in &plan.notes {
        let place = it.places.first().map_or("", String::as_str);
        lines.push(format!("{} {} at {place}: {}", it.severity.word(), it.code, it.text));
    }
    for it in &plan.allowances {
        let gone: Vec<String> = it.lets_go.iter().map(|(at, id)| format!("{at} ({id})")).collect();
        let gone = if gone.is_empty() { "nothing".to_owned() } else { gone.join(", ") };
        lines.push(format!("`{}` at {} lets go {gone}", it.allowance.exempts, it.place));
    }
    lines.join("\n")
}

/// One more plan, after a run has begun with this one.
fn begun(state: &mut State, plan: &Plan) {
    let allowances = plan.used_allowances(NOW);
    assert!(!allowances.is_empty(), "it uses none");
    fold(state, &JournalEntry::AllowancesUsed { allowances, at: NOW });
}

fn case(after: &str, now: i64) -> PlanCase<'_> {
    PlanCase { before: TABLE, after, now, ..PlanCase::default() }
}

#[test]
fn plan_changes_lets_go_what_a_layer_allows_and_refuses_the_rest() {
    let without = "  {}";
    insta::assert_snapshot!(said(&plan(&case(without, NOW))), @"refusal data_loss at : this plan would delete `orders` (dynamodb.table) and permanently delete its data");
    let allowed = without.to_owned() + &allow(&format!("delete: [orders], {UNTIL}"));
    insta::assert_snapshot!(said(&plan(&case(&allowed, NOW))), @"`delete: orders` at stack.yaml:6 lets go orders (1, made 1970-01-01T00:00:00Z)");
    let other = without.to_owned() + &allow(&format!("delete: [order], {UNTIL}"));
    insta::assert_snapshot!(said(&plan(&case(&other, NOW))), @r"
    refusal data_loss at : this plan would delete `orders` (dynamodb.table) and permanently delete its data
    warning unknown_address at stack.yaml:6: `order` does not exist
    ");
    let protected = "  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id, lifecycle: { prevent_destroy: true } }";
    let case = PlanCase { before: protected, ..case(&allowed, NOW) };
    insta::assert_snapshot!(said(&plan(&case)), @r"
    refusal prevent_destroy at : `orders` has `prevent_destroy`, but this plan would delete it
    `delete: orders` at stack.yaml:6 lets go orders (1, made 1970-01-01T00:00:00Z)
    ");
}

#[test]
fn plan_changes_refuses_by_an_allowance_that_ended_or_ends_too_late() {
    let allowed = "  {}".to_owned() + &allow(&format!("delete: [orders], {UNTIL}"));
    let at = |now: i64| said(&plan(&case(&allowed, now)));
    // The day counts until its end, and thirty days ahead is the most.
    let end = NOW + 22 * DAY + DAY / 2;
    let is_allowed = |text: &str| {
        text == "`delete: orders` at stack.yaml:6 lets go orders (1, made 1970-01-01T00:00:00Z)"
    };
    assert!(is_allowed(&at(end + DAY - 1)), "{}", at(end + DAY - 1));
    insta::assert_snapshot!(at(end + DAY), @r"
    refusal data_loss at : this plan would delete `orders` (dynamodb.table) and permanently delete its data
    warning allowance_expired at stack.yaml:6: the allowance `delete: orders` ended on 2026-12-24
    ");
    assert!(is_allowed(&at(end - 30 * DAY)), "{}", at(end - 30 * DAY));
    insta::assert_snapshot!(at(end - 30 * DAY - 1), @r"
    refusal data_loss at : this plan would delete `orders` (dynamodb.table) and permanently delete its data
    error allowance_too_long at stack.yaml:6: the allowance `delete: orders` ends more than 30 days from now
    ");
    let time =
        "  {}".to_owned() + &allow("delete: [orders], until: '2026-12-01T12:00:00Z', because: now");
    assert!(is_allowed(&said(&plan(&case(&time, NOW - 1)))));
    assert!(!is_allowed(&said(&plan(&case(&time, NOW)))));
}

#[test]
fn plan_changes_lets_go_by_an_allowance_only_what_was_there_when_it_was_used() {
    let allowed = "  {}".to_owned() + &allow(&format!("delete: [orders], {UNTIL}"));
    let first = plan(&case(&allowed, NOW));
    let with = |change: &dyn Fn(&mut State, &mut BTreeMap<_, Observation>)| {
        let both = |state: &mut State, seen: &mut BTreeMap<_, Observation>| {
            begun(state, &first);
            change(state, seen);
        };
        said(&plan(&PlanCase { change: &both, ..case(&allowed, NOW) }))
    };
    // The run was cut off: what it was to let go is there.
    assert_eq!(with(&|_, _| {}), said(&first));
    let gone = |state: &mut State, _: &mut BTreeMap<_, Observation>| state.records.clear();
    insta::assert_snapshot!(with(&gone), @"warning allowance_used at stack.yaml:6: the allowance `delete: orders` has been used");
    // Another table of the name, made since.
    let anew = |state: &mut State, _: &mut BTreeMap<_, Observation>| {
        for it in state.records.values_mut() {
            // A table of the same name has the same ID.
            it.since = NOW - 1;
        }
    };
    // One that somebody else has made meanwhile.
    let other = |_: &mut State, seen: &mut BTreeMap<_, Observation>| {
        let Some(Observation::Exists { attributes, .. }) = seen.values_mut().next() else {
            panic!("it is there")
        };
        attributes.insert("table_id".into(), Value::text("another"));
    };
    assert_eq!(with(&other), with(&anew));
    insta::assert_snapshot!(with(&anew), @r"
    refusal data_loss at : this plan would delete `orders` (dynamodb.table) and permanently delete its data
    warning allowance_used at stack.yaml:6: the allowance `delete: orders` has been used
    ");
    // Reviewed anew, it is another allowance.
    let again =
        "  {}".to_owned() + &allow("delete: [orders], until: 2026-12-25, because: it moved");
    let both = |state: &mut State, _: &mut BTreeMap<_, Observation>| {
        begun(state, &first);
        anew(state, &mut BTreeMap::new());
    };
    let renewed = plan(&PlanCase { change: &both, ..case(&again, NOW) });
    insta::assert_snapshot!(said(&renewed), @"`delete: orders` at stack.yaml:6 lets go orders (1, made 2026-12-01T11:59:59.999Z)");
}

const SITE: &str = "
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.1, ttl_sec: 300 }";

#[test]
fn plan_changes_takes_back_only_the_drift_that_a_layer_allows() {
    let allowed = SITE.to_owned() + &allow(&format!("revert_drift: [shop], {UNTIL}"));
    let moved = |to: &'static str| {
        move |_: &mut State, seen: &mut BTreeMap<_, Observation>| {
            let shop = "shop".parse().unwrap();
            let Some(Observation::Exists { attributes, .. }) = seen.get_mut(&shop) else {
                panic!("it is there")
            };
            attributes.insert("target".into(), Value::text(to));
        }
    };
    let case =
        |after: &'static str, now| PlanCase { before: SITE, after, now, ..PlanCase::default() };
    let (plain, allowed): (&'static str, &'static str) = (SITE, allowed.leak());
    let told = |after, change: &dyn Fn(&mut State, &mut BTreeMap<_, Observation>)| {
        plan(&PlanCase { change, ..case(after, NOW) })
    };
    insta::assert_snapshot!(said(&told(plain, &moved("203.0.113.9"))), @r#"refusal drift_directs at stack.yaml:7: traffic was shifted outside of lifeboat by a change to `shop`: `target` (recorded: "192.0.2.1", observed: "203.0.113.9")"#);
    let first = told(allowed, &moved("203.0.113.9"));
    insta::assert_snapshot!(said(&first), @r#"`revert_drift: shop` at stack.yaml:8 lets go shop (target: "203.0.113.9")"#);
    let after = |to| {
        let first = &first;
        move |state: &mut State, seen: &mut BTreeMap<_, Observation>| {
            begun(state, first);
            moved(to)(state, seen);
        }
    };
    assert_eq!(said(&told(allowed, &after("203.0.113.9"))), said(&first));
    // It was taken back, and somebody does the same again.
    let again = |state: &mut State, seen: &mut BTreeMap<_, Observation>| {
        after("203.0.113.9")(state, seen);
        let address: Address = "shop".parse().unwrap();
        let outcome = StepOutcome::Recorded(Box::new(state.records[&address].clone()));
        fold(state, &JournalEntry::Ended { address, step: 0, outcome, at: NOW });
    };
    insta::assert_snapshot!(said(&told(allowed, &again)), @r#"
    refusal drift_directs at stack.yaml:7: traffic was shifted outside of lifeboat by a change to `shop`: `target` (recorded: "192.0.2.1", observed: "203.0.113.9")
    warning allowance_used at stack.yaml:8: the allowance `revert_drift: shop` has been used
    "#);
    insta::assert_snapshot!(said(&told(allowed, &after("198.51.100.7"))), @r#"
    refusal drift_directs at stack.yaml:7: traffic was shifted outside of lifeboat by a change to `shop`: `target` (recorded: "192.0.2.1", observed: "198.51.100.7")
    warning allowance_used at stack.yaml:8: the allowance `revert_drift: shop` has been used
    "#);
}

#[test]
fn plan_changes_counts_what_is_left_of_an_allowed_number() {
    let wall = |at: usize| {
        format!("  wall_{at}: {{ kind: linode.firewall, label: wall-{at}, inbound: [] }}\n")
    };
    let before: String = (0..8).map(wall).collect();
    let after =
        |kept: std::ops::Range<usize>, allowed: &str| kept.map(wall).collect::<String>() + allowed;
    let allowed = allow(&format!("destroys: 5, {UNTIL}"));
    let told = |after: &str, change: &dyn Fn(&mut State, &mut BTreeMap<_, Observation>)| {
        plan(&PlanCase { before: &before, after, now: NOW, change, ..PlanCase::default() })
    };
    insta::assert_snapshot!(said(&told(&after(0..3, ""), &|_, _| {})), @"refusal many_destroys at : this plan deletes or replaces 5 of 8 resources; more than 3 at once require confirmation");
    let first = told(&after(0..3, &allowed), &|_, _| {});
    insta::assert_snapshot!(said(&first), @"`destroys: 5` at stack.yaml:9 lets go wall_3 (4, made 1970-01-01T00:00:00Z), wall_4 (5, made 1970-01-01T00:00:00Z), wall_5 (6, made 1970-01-01T00:00:00Z), wall_6 (7, made 1970-01-01T00:00:00Z), wall_7 (8, made 1970-01-01T00:00:00Z)");
    insta::assert_snapshot!(said(&told(&after(0..2, &allowed), &|_, _| {})), @r"
    refusal many_destroys at : this plan deletes or replaces 6 of 8 resources; more than 3 at once require confirmation
    `destroys: 5` at stack.yaml:8 lets go wall_2 (3, made 1970-01-01T00:00:00Z), wall_3 (4, made 1970-01-01T00:00:00Z), wall_4 (5, made 1970-01-01T00:00:00Z), wall_5 (6, made 1970-01-01T00:00:00Z), wall_6 (7, made 1970-01-01T00:00:00Z), wall_7 (8, made 1970-01-01T00:00:00Z)
    ");
    // One of the five is gone; five others are not what was reviewed.
    let one_less = |state: &mut State, _: &mut BTreeMap<_, Observation>| {
        begun(state, &first);
        state.records.remove(&"wall_7".parse().unwrap());
    };
    insta::assert_snapshot!(said(&told(&after(0..3, &allowed), &one_less)), @"`destroys: 5` at stack.yaml:9 lets go wall_3 (4, made 1970-01-01T00:00:00Z), wall_4 (5, made 1970-01-01T00:00:00Z), wall_5 (6, made 1970-01-01T00:00:00Z), wall_6 (7, made 1970-01-01T00:00:00Z)");
    insta::assert_snapshot!(said(&told(&after(0..2, &allowed), &one_less)), @r"
    refusal many_destroys at : this plan deletes or replaces 5 of 7 resources; more than 3 at once require confirmation
    `destroys: 5` at stack.yaml:8 lets go wall_2 (3, made 1970-01-01T00:00:00Z), wall_3 (4, made 1970-01-01T00:00:00Z), wall_4 (5, made 1970-01-01T00:00:00Z), wall_5 (6, made 1970-01-01T00:00:00Z), wall_6 (7, made 1970-01-01T00:00:00Z)
    ");
}
