//! What waits is said before anything is called: creates, users, deletions; and what a switch leaves to `apply`.

use lifeboat::engine::state::record::Phase;

use crate::harness::Home;
use crate::two_sites::{
    self, AWS, LINODE, failback, failover, found_and_destroyed, leads, settled, state,
};

const EU: &str = "linode:eu-central";
const AWS_EU: &str = "aws:eu-west-1";

/// The stack with more in it.
fn with(more: &str) -> String {
    two_sites::STACK.replace("outputs:", &format!("{more}outputs:"))
}

const LATE: &str = "  late: { kind: linode.nodebalancer, region: ap-south, label: duo-late }\n";

#[track_caller]
fn nothing_failed(output: &crate::harness::Output) {
    for word in ["failed:", "not done:", "indeterminate:"] {
        assert!(!output.stderr.contains(word), "{output}");
    }
}

#[test]
fn apply_defers_what_needs_the_unread_and_makes_the_rest() {
    let home = two_sites::home();
    home.lose(AWS);
    home.stack("duo", with("  fresh: { kind: dynamodb.table, region: us-east-1, name: duo_fresh, attributes: { id: S }, hash_key: id }
  after: { kind: linode.nodebalancer, region: ap-south, label: duo-after, depends_on: [fresh] }
  within: { kind: linode.nodebalancer_config, nodebalancer: '${after}', port: 80 }
  free: { kind: linode.nodebalancer, region: ap-south, label: duo-free }
"));
    home.log_requests();
    let applied = two_sites::apply(&home).code(5);
    nothing_failed(&applied);
    applied
        .shows(&[
            "would create: it depends on `fresh`, which could not be read",
            "would create: it depends on `after`, which is itself deferred",
            "--lost aws:us-east-1",
        ])
        .says(&["applied: 1 step done"])
        .done();
    home.requests().mutating().to_fault_domain(AWS).none();
    assert!(home.shown().contains("duo-free") && !home.shown().contains("duo-after"));
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "all of it answers");
}

/// What it is made of is recorded when it is made of it, and not before.
#[test]
fn apply_keeps_the_dependencies_of_what_could_not_be_read() {
    let home = two_sites::home();
    let needs = || state(&home).records[&"shop".parse().unwrap()].needs.clone();
    let before = needs();
    home.stack("duo", two_sites::STACK.replace("target: '${lb.ipv4}'", "target: '${eu_lb.ipv4}'"));
    home.fault("GET /domains/ 503 times=1000");
    two_sites::apply(&home).code(5).shows(&["1 unknown"]).done();
    assert_eq!(needs(), before, "it still leads to the old one");
    assert_eq!(leads(&home), ["us"]);
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    assert_ne!(needs(), before);
    assert_eq!(leads(&home), ["eu"]);
}

/// Lists show the machines of a region that hangs; a call to one of them would hang as well.
#[test]
fn apply_calls_nothing_in_a_region_that_does_not_answer() {
    let home = two_sites::home();
    home.lose(EU);
    home.stack(
        "duo",
        two_sites::STACK.replace("private_ip: true", "private_ip: true, tags: [new]"),
    );
    home.log_requests();
    let applied = two_sites::apply(&home).code(5);
    nothing_failed(&applied);
    applied.shows(&["would update: linode:eu-central is unreachable"]).done();
    home.requests().mutating().to_fault_domain(EU).none();
    assert!(home.requests().mutating().to_fault_domain(LINODE).len() >= 2, "home is changed");
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "it answers");
}

/// The target answers in lists only: users stay, the switch stays open, and `apply` finishes it.
#[test]
fn failover_stays_incomplete_while_its_target_does_not_answer() {
    let home = two_sites::home();
    home.overlay(
        "duo",
        "turn",
        "overlay: turn\nresources: { shop: { target: '${eu_lb.ipv4}' } }\n",
    );
    home.lose(LINODE);
    home.lose(EU);
    home.log_requests();
    let turn = ["failover", "duo", "--to", "turn", "--lost", LINODE, "--yes"];
    let turned = home.sandbox(&turn).code(5);
    nothing_failed(&turned);
    turned
        .shows(&["would update: users would be sent to `eu_http`, which could not be read"])
        .says(&[
            "the switch is incomplete: ",
            "`shop`: users would be sent to `eu_http`, which could not be read",
            "run `lifeboat apply duo --sandbox` to resume once they are reachable",
        ])
        .done();
    home.requests().mutating().none();
    assert_eq!(leads(&home), ["us"]);
    let open = state(&home);
    assert_eq!((open.active, open.phase), (vec!["turn".to_owned()], Phase::Switching));
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    assert_eq!(leads(&home), ["eu"]);
    settled(&home, &["turn"], "it answers again");
}

/// Both sites are asked before a planned switch begins, and home before users are led there: what is silent may be lost.
#[test]
fn switches_begin_nothing_while_a_site_that_they_need_says_nothing() {
    let home = two_sites::home();
    let planned = ["failover", "duo", "--to", "calm", "--planned", "--yes"];
    let refused = |command: &[&str], silent: &str, help: &str| {
        home.log_requests();
        let told = home.sandbox(command).code(3);
        told.shows(&["Refused [silent_site]", silent, help]).says(&["nothing was changed"]).done();
        home.requests().mutating().none();
        let state = state(&home);
        assert_eq!(state.phase, Phase::Settled);
        assert!(state.lost.is_empty() && state.pending.is_empty());
        home.world.heal(None).unwrap();
    };
    home.lose(LINODE);
    let lost = "`lifeboat failover duo --to calm --lost linode:us-east --sandbox`";
    refused(&planned, "linode:us-east", lost);
    home.lose(EU);
    refused(&planned, "linode:eu-central", "users stay where they are");
    home.sandbox(&planned).code(0).done();
    home.lose(LINODE);
    refused(&["failback", "duo", "--yes"], "to `lb`", "users stay where they are");
    // Away from a standby that says nothing is no risk for them.
    home.lose(EU);
    let back = failback(&home).code(5);
    nothing_failed(&back);
    assert_eq!(leads(&home), ["us"]);
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "it answers again");
}

/// One site is lost and the other silent: what is in neither goes, and nothing is begun that cannot end.
#[test]
fn destroy_between_two_lost_sites_says_what_remains() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.lose(EU);
    home.lose(AWS_EU);
    home.log_requests();
    let destroyed = home.sandbox(&["destroy", "duo", "--yes"]).code(5);
    nothing_failed(&destroyed);
    let how = "once it has recovered: `lifeboat recovered duo aws:us-east-1 --sandbox`, `lifeboat recovered duo linode:us-east --sandbox`, then `lifeboat destroy duo --sandbox`";
    destroyed.says(&["destroyed: 2 steps done", "remaining: 14 resources", how]).done();
    for it in [LINODE, AWS, EU, AWS_EU] {
        home.requests().mutating().to_fault_domain(it).none();
    }
    assert!(leads(&home).is_empty(), "{}", home.shown());
    home.world.heal(None).unwrap();
    found_and_destroyed(&home);
}

/// A member that lives does not leave its group while another is lost; nor is anything lost that nobody declared.
#[test]
fn destroy_keeps_the_healthy_replica_of_a_lost_table() {
    let home = two_sites::home();
    home.lose(AWS);
    let first = home.sandbox(&["destroy", "duo", "--yes"]).code(5);
    nothing_failed(&first);
    first
        .shows(&[
            "would delete: leaving its group would change every member, but the member in us-east-1 could",
            "could not read everything in aws:us-east-1",
        ])
        .says(&["remaining: 2 resources (copy, table), because ", "`lifeboat destroy duo --sandbox` again"])
        .done();
    let again = home.sandbox(&["destroy", "duo", "--yes"]).code(5);
    again.says(&["nothing can be destroyed right now", "remaining: 2 resources"]).done();
    home.world.heal(None).unwrap();
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

#[test]
fn failover_and_failback_name_at_their_end_what_is_pending() {
    let home = two_sites::home();
    home.overlay("duo", "more", "overlay: more\nresources: { web: { count: 3 } }\n");
    home.sandbox(&["apply", "duo", "-o", "more", "--switch", "--yes"]).code(0).done();
    two_sites::lose(&home);
    let there = failover(&home).code(0);
    assert!(!there.stderr.contains("pending"), "what is left behind is told as such: {there}");
    home.world.heal(None).unwrap();
    let shows = "2 changes are pending: run `lifeboat plan duo --sandbox` to see them and `lifeboat apply duo --sandbox` to apply them";
    failback(&home).code(0).says(&[shows]).done();
    home.sandbox(&["status", "duo"]).code(0).shows(&["pending: 2 changes", "delete web[2]"]).done();
    // The next failover does not carry them either.
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"])
        .code(0)
        .says(&[shows])
        .done();
    failback(&home).code(0).says(&[shows]).done();
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "the rest is made");
}

/// A switch to where one is already is no apply.
#[test]
fn failback_at_home_changes_nothing_and_names_what_is_pending() {
    let home = two_sites::home();
    home.stack("duo", with(LATE));
    let one = "1 change is pending: run `lifeboat plan duo --sandbox` to see it and `lifeboat apply duo --sandbox` to apply it";
    let before = state(&home);
    home.log_requests();
    failback(&home).code(0).says(&["duo is already at home: nothing to switch", one]).done();
    assert_eq!(state(&home).touched, before.touched);
    home.requests().mutating().none();

    let calm = |more: &[&str]| {
        home.sandbox(&[&["failover", "duo", "--to", "calm", "--yes"], more].concat())
    };
    calm(&["--planned"]).code(0).says(&[one]).done();
    let switched = state(&home);
    calm(&["--planned"]).code(0).says(&["calm is already active in duo", one]).done();
    assert_eq!(state(&home).touched, switched.touched);

    // A loss that is named now is recorded, and nothing else is done.
    home.lose(LINODE);
    home.log_requests();
    calm(&["--lost", LINODE]).code(0).says(&["recorded: linode:us-east is lost"]).done();
    home.requests().mutating().none();
    let lost: Vec<String> = state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!(lost, [LINODE]);
    calm(&["--lost", LINODE]).code(0).says(&["calm is already active"]).done();
    assert!(!home.shown().contains("duo-late"), "{}", home.shown());

    home.world.heal(None).unwrap();
    failback(&home).code(0).done();
    two_sites::apply(&home).code(0).done();
    assert!(home.shown().contains("duo-late"), "{}", home.shown());
    settled(&home, &[], "home");
}

/// At home with a loss that is recorded: the way home ends it, repairs what it broke, and nothing else.
#[test]
fn failback_at_home_ends_a_loss_and_makes_nothing_else() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.world.heal(Some(AWS)).unwrap();
    home.sandbox(&["failback", "duo", "--lost", LINODE, "--allow-outage", "--yes"]).code(0).done();
    home.destroy(LINODE, Some("duo-us-1"));
    home.world.heal(None).unwrap();
    home.stack("duo", with(LATE));
    home.log_requests();
    failback(&home)
        .code(0)
        .shows(&["recovered: linode:us-east", "web[1]", "not part of this switch"])
        .done();
    assert!(state(&home).lost.is_empty());
    let world = home.shown();
    assert!(world.contains("duo-us-1") && !world.contains("duo-late"), "{world}");
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "the rest is made");
}

/// The switch is over and the region goes then: the same command names how that is said.
#[test]
fn failover_that_is_over_says_how_to_declare_a_later_loss() {
    let home = two_sites::home();
    home.sandbox(&["failover", "duo", "--to", "eu", "--planned", "--yes"]).code(0).done();
    let flags =
        "`lifeboat failover duo --to eu --lost linode:us-east --lost aws:us-east-1 --sandbox`";
    failover(&home).code(0).says(&["eu is already active in duo", flags]).done();
}

#[test]
fn failover_suggests_the_names_of_overlays() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let path = ["failover", "woocommerce", "--to", "../x", "--planned", "--yes"];
    let refused = home.sandbox(&path).code(1);
    assert!(!refused.stderr.contains("--out"), "{refused}");
    refused
        .says(&[
            "write the overlay's name without its folder",
            "are: drill_eu, failover_eu, scale_up",
        ])
        .done();
    home.sandbox(&["drill", "woocommerce", "--to", "drill-us", "--yes"])
        .code(1)
        .says(&["did you mean `drill_eu`?"])
        .done();
    home.sandbox(&["plan", "woocommerce", "-o", "out/plan"])
        .code(1)
        .says(&["did you mean --out?"])
        .done();
    let audit = home.sandbox(&["audit", "woocommerce"]);
    let said = audit.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("run `lifeboat drill woocommerce --to drill_eu --sandbox`"), "{audit}");
}

/// The instance of a drill, once it is cleaned, and for who works in it by hand.
#[test]
fn status_says_what_the_workspace_of_a_drill_is() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--yes"]).code(0).done();
    let status = home.sandbox(&["status", "woocommerce@drill"]).code(0);
    assert!(!status.stdout.contains("pending"), "{status}");
    status.shows(&["applied: nothing", "resources: 0"]).done();
    let status = home.sandbox(&["status", "woocommerce@drill", "--format", "json"]).code(0);
    assert_eq!(status.json()["pending"], serde_json::json!([]));
    let cleanup = "`lifeboat drill woocommerce --to drill_eu --cleanup --sandbox` deletes all of its resources";
    home.sandbox(&["plan", "woocommerce@drill"]).code(0).says(&[cleanup]).done();
    home.sandbox(&["apply", "woocommerce@drill", "--yes"]).code(0).says(&[cleanup]).done();
    // What it borrows is not pending.
    let status = home.sandbox(&["status", "woocommerce@drill"]).code(0);
    assert!(!status.stdout.contains("pending"), "{status}");
    let cleaned = home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"]);
    cleaned.code(0).says(&["no resources remain"]).done();
}

/// A gate that cannot be asked is closed: nobody knows whether what was written here has arrived there.
#[test]
fn failover_keeps_users_while_a_replication_gate_cannot_be_asked() {
    let home = two_sites::home_of(&two_sites::STACK.replace(
        "table: '${table}', region: eu-west-1 }",
        "table: '${table}', region: eu-west-1, gate: { replication: true, within: 2m } }",
    ));
    home.world.advance(std::time::Duration::from_secs(61)).unwrap();
    let failover = ["failover", "duo", "--to", "calm", "--planned", "--yes"];
    for fault in ["DescribeTable 503 times=0", "PutItem 503 times=0", "GetItem 503 times=0"] {
        home.fault(fault);
        let told = home.sandbox(&failover);
        assert!(matches!(told.code, Some(1 | 3 | 5)), "{fault}: {told}");
        assert!(!told.stderr.contains(": complete"), "{fault}: {told}");
        assert_eq!(leads(&home), ["us"], "{fault}: {told}");
        home.world.heal(None).unwrap();
    }
    home.sandbox(&failover).code(0).says(&["replication verified", "complete"]).done();
    assert_eq!(leads(&home), ["eu"]);
}
