//! Users first: a failover under loss moves users to the first backend that serves, whatever becomes of the rest.

use lifeboat::sandbox::linode::dns::targets::MetBy;
use lifeboat::sandbox::requests::received::Received;

use crate::harness::{Home, Requests};

const SHOP: &str = "woocommerce";
const NAME: &str = "shop.example.com";
const FAILOVER: [&str; 5] = ["failover", SHOP, "--to", "failover_eu", "--yes"];

const OVERLAY: &str = "stacks/woocommerce/overlays/failover_eu.yaml";

/// The shop with its home lost, and every request from then on logged.
fn without_home() -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.run(&["sandbox", "lose", "linode:us-east", "aws:us-east-1"]).code(0).done();
    home.log_requests();
    home
}

/// Where the first of these stands among all that changed something.
fn place(all: &Requests, part: &str) -> usize {
    let at = all.0.iter().position(|it| it.to_string().contains(part));
    at.unwrap_or_else(|| panic!("{part} is not among\n{all}"))
}

#[test]
fn failover_under_loss_moves_users_before_the_scale_up_is_over() {
    let home = without_home();
    home.sandbox(&FAILOVER)
        .code(0)
        .shows(&["6 steps", "standby[1] linode.instance: not in state"])
        .says(&["shop: updated target", "failover of woocommerce to failover_eu: complete"])
        .done();
    let changes = home.requests().mutating();
    assert!(place(&changes, "PUT /v4/domains/") < place(&changes, "/nodes"), "{changes}");
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).shows(&["No changes."]).done();
}

/// At the pace of the clouds: nothing but the write of a journal lies between the check that the quorum needs and the record.
#[test]
fn failover_under_loss_moves_users_right_after_the_check_that_the_quorum_needs() {
    let home = without_home();
    home.world.set_speed(1.0).unwrap();
    let mut run = home.start(&[&FAILOVER[..], &["--sandbox"]].concat());
    let moves = |it: &Received| it.method == "PUT" && it.path.starts_with("/v4/domains/");
    assert!(run.until(|| home.requests().0.iter().any(moves)));
    run.kill();
    let all = home.requests().0;
    let moved = all.iter().position(moves).unwrap();
    let checks = |it: &&Received| it.method == "GET" && it.path.contains("/nodebalancers/");
    let check = all[..moved].iter().rev().find(checks).expect("the gate asked the balancer");
    let waited = all[moved].at - check.at;
    assert!(waited <= 3_000, "{waited} ms between\n{check}\n{}", all[moved]);
    let makes = |it: &Received| it.method == "POST" && it.path.ends_with("/nodes");
    assert!(!all[..moved].iter().any(makes), "it waited for a backend to be created");
}

/// The one backend that serves is to grow: it goes down only while another one serves.
#[test]
fn failover_under_loss_resizes_the_backend_that_serves_without_harm_to_users() {
    let home = without_home();
    let overlay = std::fs::read_to_string(home.path(OVERLAY)).unwrap();
    let larger =
        overlay.replace("resources:\n", "resources:\n  standby: { type: g6-standard-4 }\n");
    assert_ne!(larger, overlay);
    home.write(OVERLAY, larger);
    home.sandbox(&FAILOVER).code(0).done();
    home.users().unharmed(&[NAME], "a resize");
    assert_eq!(home.verdict(NAME).unwrap().met, MetBy::Served);
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).shows(&["No changes."]).done();
}

#[test]
fn failover_under_loss_moves_users_though_the_scale_up_fails() {
    let home = without_home();
    let refuse = ["sandbox", "fault", "503", "--method", "POST", "--path", "/linode/instances"];
    home.run(&[&refuse[..], &["--times", "100000"]].concat()).code(0).done();
    home.sandbox(&FAILOVER)
        .code(1)
        .says(&[
            "failed: standby[1]: create",
            "not done: standby_node[1]: create",
            "users of `shop` will all have moved when DNS caches have expired",
            "incomplete: ",
        ])
        .done();
    let status = home.sandbox(&["status", SHOP]).code(0);
    status.shows(&["users: shop points to standby_lb", "phase: degraded: users have moved"]).done();
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).says(&["standby_node[1]: created"]).done();
    let status = home.sandbox(&["status", SHOP]).code(0);
    status.shows(&["users: shop points to standby_lb", "phase: settled"]).done();
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).shows(&["No changes."]).done();
}

/// A record that asks for two waits for two: what cannot be had keeps users where they were, and the run says so.
#[test]
fn failover_under_loss_waits_for_as_many_backends_as_the_record_asks_for() {
    let home = without_home();
    let overlay = std::fs::read_to_string(home.path(OVERLAY)).unwrap();
    let two = overlay.replace(
        "target: '${standby_lb.ipv4}'",
        "target: '${standby_lb.ipv4}', gate: { serves: 2 }",
    );
    assert_ne!(two, overlay);
    home.write(OVERLAY, two.replace("serves: 2", "serves: 5"));
    let never = home.sandbox(&FAILOVER).code(3);
    never.shows(&["Refused [gate_never_opens]", "it requires 5 backends"]).done();
    home.requests().mutating().none();
    home.write(OVERLAY, two.as_str());
    let refuse = ["sandbox", "fault", "503", "--method", "POST", "--path", "/linode/instances"];
    home.run(&[&refuse[..], &["--times", "100000"]].concat()).code(0).done();
    home.sandbox(&FAILOVER)
        .code(1)
        .shows(&["shop: serving gate: wait for 2 healthy backends behind standby_http"])
        .says(&["failed: standby[1]: create", "users of `shop` have NOT moved"])
        .done();
    home.requests().mutating().with("PUT /v4/domains/").none();
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&FAILOVER).code(0).says(&["shop: updated target"]).done();
}

/// The backend that stood ready turns out to be bad: the gate waits for the ones that the switch creates, however long that takes.
#[test]
fn failover_under_loss_moves_users_to_whichever_backend_comes_to_serve() {
    // A gate that waits takes no place of a call.
    for more in [&[][..], &["--parallel", "1"]] {
        let home = without_home();
        home.run(&["sandbox", "fault", "unhealthy", "shop-eu-0"]).code(0).done();
        let failover = home.sandbox(&[&FAILOVER, more].concat()).code(0);
        failover.says(&["shop: updated target"]).done();
        let changes = home.requests().mutating();
        assert!(place(&changes, "/nodes") < place(&changes, "PUT /v4/domains/"), "{changes}");
    }
}

/// Also where nothing is made yet: the gate would keep the record from being created.
#[test]
fn apply_refuses_a_number_of_backends_that_the_stack_does_not_have() {
    let home = Home::woocommerce();
    let file = "stacks/woocommerce/stack.yaml";
    let stack = std::fs::read_to_string(home.path(file)).unwrap();
    let five = stack.replace("    name: shop\n", "    name: shop\n    gate: { serves: 5 }\n");
    assert_ne!(five, stack);
    home.write(file, five);
    let apply = home.sandbox(&["apply", "woocommerce", "--yes"]).code(3);
    apply
        .shows(&[
            "Refused [gate_never_opens]",
            "it requires 5 backends behind",
            "and 2 would accept users",
        ])
        .done();
    assert!(home.state("woocommerce").is_none_or(|it| it.records.is_empty()));
}
