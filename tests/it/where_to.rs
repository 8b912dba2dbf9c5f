//! `failover` without a target: what could be switched to, and what fits what is silent.

use crate::harness::Home;

const SHOP: &str = "woocommerce";
const ASK: [&str; 2] = ["failover", SHOP];

#[test]
fn failover_without_a_target_lists_the_overlays_and_changes_nothing() {
    let home = Home::woocommerce();
    let none = home.sandbox(&ASK).code(64);
    none.says(&["--to is missing; nothing was changed", "  failover_eu assumes lost: "]).done();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.log_requests();
    let healthy = home.sandbox(&ASK).code(64);
    assert!(!healthy.stderr.contains("fits"), "{healthy}");
    healthy
        .says(&[
            "reachable: aws:eu-west-1, aws:us-east-1, linode:eu-central, linode:us-east",
            "  failover_eu assumes lost: linode:us-east, aws:us-east-1: `lifeboat failover woocommerce --to failover_eu --sandbox`",
            "  scale_up assumes lost: nothing: `lifeboat failover woocommerce --to scale_up --planned --sandbox`",
        ])
        .done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let silent = home.sandbox(&ASK).code(64);
    silent
        .says(&[
            "unreachable now: aws:us-east-1 (",
            "reachable: aws:eu-west-1, linode:eu-central",
            "failover_eu assumes lost: linode:us-east, aws:us-east-1; it fits what is unreachable: ",
        ])
        .done();
    home.requests().mutating().none();
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0).done();
    let away = home.sandbox(&ASK).code(64);
    assert!(!away.stderr.contains("fits"), "{away}");
    away.says(&[
        "declared lost: aws:us-east-1, linode:us-east",
        "failover_eu assumes lost: linode:us-east, aws:us-east-1; it is active: ",
        "`lifeboat failover woocommerce --to scale_up --lost aws:us-east-1 --lost linode:us-east --sandbox`",
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
        .says(&["failover_eu", "; it fits what is unreachable, but also declares "])
        .done();
    home.world.heal(None).unwrap();
    home.lose("linode:eu-central");
    let standby = home.sandbox(&ASK).code(64);
    assert!(!standby.stderr.contains("fits"), "{standby}");
}
