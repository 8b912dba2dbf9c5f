//! Switches and drills that are killed after any request: the next run finishes them, and users are served all the while.

use lifeboat::engine::state::record::Phase;

use crate::drill::{same, world};
use crate::harness::Home;
use crate::kill_points::{Cut, after_each_request, at_each_change};
use crate::two_sites::{
    self, AWS, LINODE, failback, failover, leads, lost_is_left_alone, served_by, settled, state,
};

const FAILOVER: &[&str] = &["failover", "duo", "--to", "eu"];
const FAILBACK: &[&str] = &["failback", "duo"];
const DRILL: &[&str] = &["drill", "duo", "--to", "drill"];

#[test]
fn failover_killed_after_any_request_is_finished_by_apply() {
    let home = two_sites::home();
    two_sites::lose(&home);
    after_each_request(&home, FAILOVER, ci_ends_at_the_standby);
    at_each_change(&home, FAILOVER, ci_ends_at_the_standby);
}

fn ci_ends_at_the_standby(home: &Home, said: &str) {
    lost_is_left_alone(home);
    if state(home).active.is_empty() {
        // Nothing had begun: CI leaves everything as it is, and does not guess.
        two_sites::apply(home).code(5).done();
        home.requests().mutating().none();
        failover(home).code(0).done();
        home.requests().to_fault_domain(AWS).mutating().none();
        home.requests().to_fault_domain(LINODE).mutating().none();
    } else {
        two_sites::apply(home).code(0).done();
        lost_is_left_alone(home);
    }
    assert_eq!(leads(home), ["eu"], "{said}");
    settled(home, &["eu"], said);
    assert_eq!(machines(home), 4, "{said}: {}", home.shown());
}

fn machines(home: &Home) -> usize {
    home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len()
}

/// On the way home something has to be made again, and a table of the other side is kept.
#[test]
fn failback_killed_after_any_request_is_finished_by_apply() {
    let home = two_sites::home();
    let orders = "  orders: { kind: dynamodb.table, region: eu-west-1, name: orders, attributes: { id: S }, hash_key: id }\n";
    let eu = std::fs::read_to_string(home.path("stacks/duo/overlays/eu.yaml")).unwrap();
    let eu = eu.replace(
        "resources: { shop: { target: '${eu_lb.ipv4}' } }\n",
        &format!("resources:\n  shop: {{ target: '${{eu_lb.ipv4}}' }}\n{orders}"),
    );
    home.overlay("duo", "eu", eu);
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.destroy(AWS, Some("duo"));
    home.destroy(LINODE, Some("duo-us-1"));
    home.world.heal(None).unwrap();
    after_each_request(&home, FAILBACK, ci_ends_at_home);
    at_each_change(&home, FAILBACK, ci_ends_at_home);
}

fn ci_ends_at_home(home: &Home, said: &str) {
    // What had begun is finished by CI; what had not is asked for again.
    if state(home).phase == Phase::Switching {
        two_sites::apply(home).code(0).done();
    } else {
        failback(home).code(0).done();
    }
    assert_eq!(leads(home), ["us"], "{said}");
    settled(home, &[], said);
    home.requests().with("CreateTable").none();
    home.requests().with("DeleteTable").none();
    let state = state(home);
    assert!(state.records[&"orders".parse().unwrap()].retained, "{said}: {:?}", state.records);
    assert_eq!(machines(home), 3, "{said}: {}", home.shown());
}

/// The standby's machines are replaced on the way there and on the way back, each by one that is made before.
#[test]
fn failover_that_replaces_machines_is_finished_wherever_it_was_killed() {
    let first = "lifecycle: { create_before_destroy: true }, private_ip: true, authorized_users";
    let home =
        two_sites::home_of(&two_sites::STACK.replace("private_ip: true, authorized_users", first));
    home.overlay(
        "duo",
        "other",
        two_sites::CALM
            .replace("overlay: calm", "overlay: other")
            .replace("resources: {", "resources: { eu: { image: linode/ubuntu24.04 },"),
    );
    let ends = |active: &'static [&str], image: &'static str| {
        move |home: &Home, said: &str| {
            assert_ne!(state(home).phase, Phase::Settled, "{said}");
            two_sites::apply(home).code(0).done();
            settled(home, active, said);
            let world = home.world.show().unwrap();
            let mut all = world["linode"]["instances"].as_array().unwrap().iter();
            let standby = all.find(|it| it["label"] == "duo-eu-0");
            assert!(standby.is_some_and(|it| it["image"] == image), "{said}: {}", home.shown());
            assert_eq!(machines(home), 3 + active.len(), "{said}: {}", home.shown());
        }
    };
    let there = ["failover", "duo", "--to", "other", "--planned"];
    at_each_change(&home, &there, ends(&["other"], "linode/ubuntu24.04"));
    home.sandbox(&[&there[..], &["--yes"]].concat()).code(0).done();
    at_each_change(&home, FAILBACK, ends(&[], "linode/debian12"));
}

/// All of a drill's own: a group of tables, both sites, the record; only the zone is borrowed.
const REHEARSAL: &str = "overlay: drill
workspace: drill
borrow: [zone]
rehearses: eu
resources:
  table: { name: duo_drill }
  web: { count: 1, label: 'drill-us-${each.index}' }
  lb: { label: drill-us }
  eu: { label: 'drill-eu-${each.index}' }
  eu_lb: { label: drill-eu }
  shop: { name: shop-drill }
";

#[test]
fn drill_killed_after_any_request_is_cleaned_up_by_another_process() {
    let home = two_sites::home();
    home.overlay("duo", "drill", REHEARSAL);
    let (before, real) = (world(&home), state(&home));
    after_each_request(&home, DRILL, |home, said| {
        home.sandbox(&[DRILL, &["--cleanup", "--yes"]].concat())
            .code(0)
            .says(&["no resources remain"])
            .done();
        // What was going when it was killed ends by itself.
        home.world.advance(std::time::Duration::from_secs(600)).unwrap();
        same(&before, &world(home), said);
        let rehearsed = home.state("duo@drill");
        assert!(
            rehearsed.is_none_or(|it| it.records.is_empty() && it.pending.is_empty()),
            "{said}"
        );
        let now = state(home);
        assert_eq!((&now.records, &now.active), (&real.records, &real.active), "{said}");
        served_by(home, |name| name == "shop.duo.example.com", said);
    });
}

/// What was asked for at the beginning holds for whoever finishes it.
#[test]
fn failback_that_keeps_the_standby_keeps_it_after_a_kill() {
    let home = two_sites::home();
    failover_calmly(&home);
    let cut = Cut::Unanswered("PUT /domains".into());
    assert!(cut.kills(&home, &["failback", "duo", "--keep-standby"]));
    assert_eq!(state(&home).phase, Phase::Switching);
    two_sites::apply(&home).code(0).shows(&["it was kept by a failback"]).done();
    assert_eq!((leads(&home), machines(&home)), (vec!["us".to_owned()], 4));
    settled(&home, &[], "kept");
}

/// The cloud goes on with what it was told, and then refuses to be told again.
#[test]
fn apply_does_not_ask_twice_for_a_resize_that_was_cut_off() {
    let home = two_sites::home();
    home.overlay(
        "duo",
        "large",
        "overlay: large\nresources: { web: { type: g6-standard-2 }, eu: { type: g6-standard-2 } }\n",
    );
    home.log_requests();
    at_each_change(&home, &["apply", "duo", "-o", "large", "--switch"], |home, said| {
        two_sites::apply(home).code(0).done();
        settled(home, &["large"], said);
    });
}

/// CI knows nothing of the flags that a person gave.
#[test]
fn apply_finishes_a_killed_switch_with_what_was_allowed_for_it() {
    let home = two_sites::home();
    home.overlay("duo", "calm", two_sites::CALM.replace("standby: 2", "standby: 5"));
    failover_calmly(&home);
    home.sandbox(&["failback", "duo", "--yes"]).code(3).shows(&["--allow-destroys 8"]).done();
    let cut = Cut::Unanswered("PUT /domains".into());
    assert!(cut.kills(&home, &["failback", "duo", "--allow-destroys", "8"]));
    two_sites::apply(&home).code(0).done();
    assert_eq!((leads(&home), machines(&home)), (vec!["us".to_owned()], 3));
    settled(&home, &[], "allowed");
    // And for nobody after that.
    assert!(state(&home).switching().is_none());
}

fn failover_calmly(home: &Home) {
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
}

/// A further loss on the way does not turn a switch into an apply of everything.
#[test]
fn failover_with_a_further_loss_is_the_same_switch() {
    let home = two_sites::home();
    let late =
        "  late: { kind: linode.nodebalancer, region: eu-central, label: duo-late }\noutputs:";
    home.stack("duo", two_sites::STACK.replace("outputs:", late));
    home.lose(LINODE);
    home.world.sicken("duo-eu-0").unwrap();
    home.world.sicken("duo-eu-1").unwrap();
    let to =
        |lost: &str| home.sandbox(&["failover", "duo", "--to", "calm", "--lost", lost, "--yes"]);
    to(LINODE).code(1).done();
    home.lose(AWS);
    home.world.heal(Some("duo-eu-0")).unwrap();
    home.world.heal(Some("duo-eu-1")).unwrap();
    to(AWS).code(0).shows(&["not part of this switch", "late"]).done();
    assert!(!home.shown().contains("duo-late"), "a merge is no part of it: {}", home.shown());
    let lost: Vec<String> = state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!((lost, leads(&home)), (vec![AWS.into(), LINODE.into()], vec!["eu".into()]));
}
