//! `failover` without a target: what could be switched to, and what fits what is silent.

use crate::harness::Home;

const SHOP: &str = "woocommerce";
const ASK: [&str; 2] = ["failover", SHOP];

#[test]
fn failover_without_a_target_lists_the_overlays_and_changes_nothing() {
    let home = Home::woocommerce();
    home.run(&["--help"])
        .code(0)
        .shows(&["In an outage, start with: lifeboat failover STACK\n"])
        .done();
    let none = home.sandbox(&ASK).code(64);
    none.says(&[
        "woocommerce has not been applied yet",
        "assumes lost: linode:us-east, aws:us-east-1\n",
    ])
    .done();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.log_requests();
    let healthy = home.sandbox(&ASK).code(64);
    assert!(!healthy.stderr.contains("is made for this"), "{healthy}");
    // Nobody is told to declare lost what answers, nor to fail over to what moves no users.
    healthy
        .says(&[
            "error: every fault domain answers; --to does not say where to fail over to, so nothing was changed",
            "  `lifeboat failover woocommerce --to failover_eu --planned --sandbox`\n",
            "left out, because it moves no users: scale_up\n",
            "reachable: aws:eu-west-1, aws:us-east-1, linode:eu-central, linode:us-east",
        ])
        .done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let silent = home.sandbox(&ASK).code(64);
    silent
        .says(&[
            "error: aws:us-east-1, linode:us-east are unreachable; ",
            "help: failover_eu is made for this:\n  `lifeboat failover woocommerce --to failover_eu --sandbox`\n",
            "left out, because it moves no users: scale_up\n",
            "reachable: aws:eu-west-1, linode:eu-central\n",
            "unreachable: aws:us-east-1: ",
        ])
        .done();
    home.requests().mutating().none();
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0).done();
    let away = home.sandbox(&ASK).code(64);
    assert!(!away.stderr.contains("is made for this"), "{away}");
    away.says(&[
        "error: aws:us-east-1, linode:us-east are declared lost; ",
        "  failover_eu: it is active\n",
        "left out, because it moves no users: scale_up\n",
    ])
    .done();
}

/// One lost region of two that an overlay assumes: it still fits, since it lives without both.
#[test]
fn failover_without_a_target_names_the_only_overlay_that_covers_what_is_silent() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("aws:us-east-1");
    home.sandbox(&ASK)
        .code(64)
        .says(&[
            "failover_eu is made for this, but also declares linode:us-east lost, which answers:\n",
        ])
        .done();
    home.world.heal(None).unwrap();
    home.lose("linode:eu-central");
    let standby = home.sandbox(&ASK).code(64);
    assert!(!standby.stderr.contains("is made for this"), "{standby}");
}
