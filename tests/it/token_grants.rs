//! A token that does not see everything: what is hidden from its user is not taken for gone, and what it may not do is refused before the first call.

use crate::harness::{Home, Output};
use crate::two_sites;

const EVERY_GRANT: [&str; 8] = [
    "--may",
    "add_linodes",
    "--may",
    "add_nodebalancers",
    "--may",
    "add_domains",
    "--may",
    "add_firewalls",
];

fn restrict(home: &Home, arguments: &[&str]) {
    let words = [&["sandbox", "restrict", "--user", "sam"], arguments].concat();
    home.run(&words).code(0).done();
}

/// Everything but the zone, or everything but the site at home.
const WITHOUT_ZONE: [&str; 5] = ["duo-us-0", "duo-us-1", "duo-us", "duo-eu-0", "duo-eu"];
const WITHOUT_HOME: [&str; 3] = ["duo-eu-0", "duo-eu", "duo.example.com"];

fn every_command(home: &Home, check: impl Fn(Output)) {
    for command in [
        &["plan", "duo"][..],
        &["apply", "duo", "--yes"],
        &["failover", "duo", "--to", "calm", "--planned", "--yes"],
        &["failover", "duo", "--to", "eu", "--yes"],
        &["destroy", "duo", "--yes"],
    ] {
        check(home.sandbox(command));
    }
}

/// What is there, whoever may see it.
fn zones(home: &Home) -> serde_json::Value {
    home.world.show().unwrap()["linode"]["domains"].clone()
}

const TOLD: [&str; 5] =
    ["denied", "user `sam` is restricted", "include this `domain`", "`shop`", "unrestricted"];

#[test]
fn apply_in_a_hidden_zone_is_denied_and_makes_no_second_record() {
    for (grants, told) in [(&EVERY_GRANT[..], &TOLD[..]), (&[], &[])] {
        let home = two_sites::home();
        let (before, records) = (zones(&home), home.state("duo").unwrap().records);
        restrict(&home, &[&WITHOUT_ZONE, grants].concat());
        let check = |said: Output| {
            let all = said.to_string();
            assert!(told.iter().all(|it| all.contains(it)), "{all}");
            assert!(!all.contains(": complete"), "{all}");
            assert_eq!(said.code, Some(1), "{all}");
        };
        every_command(&home, check);
        assert_eq!(zones(&home), before, "{}", home.shown());
        let now = home.state("duo").unwrap().records;
        for address in ["zone", "shop"] {
            let address = address.parse().unwrap();
            assert_eq!(now[&address].id, records[&address].id, "{address} is still recorded");
        }
        home.requests().mutating().with("/domains/").with("PUT").none();
        // With the right token it goes on.
        home.run(&["sandbox", "restrict", "--lift"]).code(0).done();
        // Who sees nothing of it was refused before the loss was recorded.
        let found = |it: &str| home.sandbox(&["recovered", "duo", it]).code(0).done();
        [two_sites::LINODE, two_sites::AWS]
            .iter()
            .filter(|_| !told.is_empty())
            .for_each(|it| found(it));
        home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
        assert!(home.world.is_empty().unwrap(), "{}", home.shown());
    }
}

#[test]
fn apply_neither_forgets_nor_recreates_a_hidden_site() {
    let home = two_sites::home();
    let records = home.state("duo").unwrap().records;
    restrict(&home, &[&WITHOUT_HOME[..], &EVERY_GRANT].concat());
    home.sandbox(&["plan", "duo"])
        .code(1)
        .shows(&["include this `linode`", "`nodebalancer`"])
        .done();
    home.sandbox(&["apply", "duo", "--yes"]).code(1).done();
    let now = home.state("duo").unwrap().records;
    assert_eq!(now.keys().collect::<Vec<_>>(), records.keys().collect::<Vec<_>>());
    // Nothing of what goes to the standby is hidden.
    home.sandbox(&["failover", "duo", "--to", "eu", "--yes"]).code(0).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
    home.sandbox(&["recovered", "duo", two_sites::LINODE]).code(0).done();
    home.sandbox(&["recovered", "duo", two_sites::AWS]).code(0).done();
    home.sandbox(&["destroy", "duo", "--yes"]).code(1).done();
    let state = home.state("duo").unwrap();
    assert!(
        state.records.contains_key(&"web[0]".parse().unwrap()),
        "what is hidden is not forgotten"
    );
}

const TINY: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0, tags: [one] }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
  wall: { kind: linode.firewall, label: tiny-wall }
";

#[test]
fn apply_refuses_what_a_user_may_not_do_before_the_first_call() {
    let home = Home::holding("tiny", TINY);
    let apply = || home.sandbox(&["apply", "tiny", "--yes"]);
    home.log_requests();
    home.fault("GET /profile 500 times=0");
    home.sandbox(&["plan", "tiny"]).code(0).says(&["grants_unread", "/profile"]).done();
    home.world.heal(None).unwrap();
    restrict(&home, &["--may", "add_firewalls"]);
    apply().code(1).says(&["not_granted", "`sam`", "`add_nodebalancers`", "`lb`"]).done();
    home.requests().mutating().none();
    restrict(&home, &["--may", "add_firewalls", "--may", "add_nodebalancers"]);
    apply().code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    // It may look at the balancer, and not change it, nor what is inside of it.
    restrict(&home, &["tiny-wall", "--read-only", "tiny-0"]);
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.log_requests();
    for (from, to) in [("[one]", "[two]"), ("port: 80", "port: 81"), ("  http", "  # http")] {
        home.stack("tiny", TINY.replace(from, to));
        apply().code(1).says(&["not_granted", "may only read the `nodebalancer`"]).done();
    }
    home.sandbox(&["destroy", "tiny", "--yes"]).code(1).says(&["not_granted"]).done();
    home.requests().mutating().none();
}

/// A user who may do all that a stack needs lives with it from the first apply to the destroy.
#[test]
fn apply_and_destroy_lack_nothing_for_a_user_with_every_grant() {
    let home = Home::holding("duo", two_sites::STACK);
    home.overlay("duo", "calm", two_sites::CALM);
    restrict(&home, &EVERY_GRANT);
    home.sandbox(&["apply", "duo", "--yes"]).code(0).done();
    home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    home.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// A create of which nobody knows whether it was carried out, in a zone that is hidden now, stays in doubt.
#[test]
fn apply_leaves_indeterminate_what_began_in_a_hidden_zone() {
    let home = two_sites::home();
    let more = format!(
        "{}\n",
        two_sites::STACK.replace(
            "outputs:",
            "  more: { kind: linode.domain_record, domain: '${zone}', type: A, name: more, target: 192.0.2.1 }\noutputs:"
        )
    );
    home.stack("duo", more);
    home.fault("POST /domains/ lost_reply times=0");
    home.fault("GET /domains/ hang nth=2 times=0");
    let mut run = home.start(&["apply", "duo", "--yes", "--sandbox"]);
    run.until(|| home.state("duo").is_some_and(|it| !it.pending.is_empty()));
    run.until(|| duo_records(&home) == 2);
    run.kill();
    home.world.heal(None).unwrap();
    restrict(&home, &WITHOUT_ZONE);
    home.sandbox(&["apply", "duo", "--yes"]).code(1).done();
    assert_eq!(duo_records(&home), 2);
    home.run(&["sandbox", "restrict", "--lift"]).code(0).done();
    home.sandbox(&["apply", "duo", "--yes"]).code(0).done();
    assert_eq!(duo_records(&home), 2, "{}", home.shown());
}

fn duo_records(home: &Home) -> usize {
    zones(home)[0]["records"].as_array().map_or(0, Vec::len)
}
