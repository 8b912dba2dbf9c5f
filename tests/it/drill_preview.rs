//! What a drill says before it begins: the switch, the cleanup in its order, what is borrowed; and what would stop either.

use serde_json::json;

use crate::drill::{DRILL, edit, shop};
use crate::harness::Home;

/// Little to make, and a switch that adds something and takes nothing away.
const STACK: &str = "\
stack: shop
resources:
  key: { kind: linode.ssh_key, label: real, ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDv0lq2nJ8yB4m1cT6wX9sE3kZr7uP5hG2fN8aQ1oLdR a@b' }
  lb: { kind: linode.nodebalancer, region: us-east, label: real-lb }
  carts: { kind: dynamodb.table, region: us-east-1, name: real_carts, attributes: { id: S }, hash_key: id }
";

const REHEARSED: &str = "\
workspace: drill
rehearses: other
resources:
  key: { label: drill, ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBx0JmEu3c6nZ1vXkS2uQ0h8jZ5l9T3u7b8m2s4d5f6g a@b' }
  lb: { label: drill-lb }
  carts: { name: drill_carts }
";

const OTHER: &str =
    "resources:\n  more: { kind: linode.nodebalancer, region: eu-central, label: more }\n";

pub(crate) const SMALL: &[&str] = &["drill", "shop", "--to", "rehearsed", "--yes"];

fn small(other: &str) -> Home {
    let home = Home::new();
    small_in(&home);
    home.overlay("shop", "other", other);
    home
}

pub(crate) fn small_in(home: &Home) {
    home.stack("shop", STACK);
    home.overlay("shop", "rehearsed", REHEARSED);
    home.overlay("shop", "other", OTHER);
}

#[test]
fn drill_says_everything_before_the_first_call() {
    let home = shop();
    home.sandbox(&["drill", "woocommerce", "--to", "drill_eu"]).code(64).done();
    let told = home.sandbox(DRILL).code(0);
    assert!(!told.stdout.contains("Estimated: "), "nothing was measured yet: {told}");
    told.shows(&[
        "Then: woocommerce@drill on sandbox, switch drill_eu → drill_eu + failover_eu, declared lost: aws:us-east-1, linode:us-east\n\
         Plan: 2 to create, 1 to update, 0 to replace, 0 to delete; 10 unchanged, 5 frozen\n\
         Finally, in any case: 15 resources of woocommerce@drill to delete, 2 with data, in this order\n   \
         1. lb_node[0], sessions_eu, shop, standby_node[0], standby_node[1]\n   \
         2. lb_http, standby[0], standby[1], standby_http, web[0]\n   \
         3. lb, ops_key, sessions, standby_lb, wall\n\
         Borrowed from the plain stack (used, not changed): products, products_eu, zone\n",
        // And so it is when its time has come.
        "\nPlan: 2 to create, 1 to update, 0 to replace, 0 to delete; 10 unchanged, 5 frozen\nDanger: TRAFFIC ×1: shop\n",
    ])
    .says(&[
        "the drill runs in woocommerce@drill and rehearses the switch to failover_eu; 15 resources are created for it and deleted afterwards, including data\n\
         if this process dies: `lifeboat drill woocommerce --to drill_eu --cleanup --sandbox` deletes the remaining resources\n\
         apply: ",
    ])
    .done();
    home.sandbox(DRILL)
        .code(0)
        .shows(&["\nEstimated: ", " in total; ", "have been measured before\n"])
        .done();
}

#[test]
fn drill_is_not_begun_when_its_cleanup_would_be_refused() {
    let layer = "  at stacks/woocommerce/overlays/drill_eu.yaml:";
    for (from, to, names) in [
        (
            "  lb: { label",
            "  lb: { lifecycle: { prevent_destroy: true }, label",
            ["`lb` has `prevent_destroy`", layer],
        ),
        (
            "  sessions: { name",
            "  sessions: { deletion_protection: true, name",
            ["`sessions` has `deletion_protection: true`", layer],
        ),
        // The table is protected by what a variable says.
        (
            "  protect: false\n",
            "  protect: true\n",
            [
                "`sessions_eu` has `deletion_protection: true`",
                "  at stacks/woocommerce/stack.yaml:64\n",
            ],
        ),
    ] {
        let home = shop();
        edit(&home, from, to);
        home.log_requests();
        home.sandbox(DRILL)
            .code(3)
            .shows(&names)
            .says(&["a guard would refuse the cleanup", "nothing was changed"])
            .done();
        home.requests().mutating().none();
        assert!(home.state("woocommerce@drill").is_none(), "no state was founded");
    }
}

/// Something that only the switch makes may be what cannot be deleted.
#[test]
fn drill_previews_the_cleanup_behind_the_switch() {
    let home = small(&OTHER.replace("more }", "more, lifecycle: { prevent_destroy: true } }"));
    home.log_requests();
    home.sandbox(SMALL)
        .code(3)
        .shows(&["`more` has `prevent_destroy`", "  at stacks/shop/overlays/other.yaml:2\n"])
        .says(&["a guard would refuse the cleanup"])
        .done();
    home.requests().mutating().none();
}

#[test]
fn drill_rehearses_no_switch_that_would_be_refused() {
    let home = small("resources:\n  carts: { name: other_carts }\n");
    home.log_requests();
    let stopped = ["a guard would refuse the rehearsed switch", "nothing was changed"];
    home.sandbox(SMALL)
        .code(3)
        .shows(&["switch rehearsed → rehearsed + other", "data_loss", "`carts`"])
        .says(&stopped)
        .done();
    home.overlay("shop", "other", OTHER);
    let others = json!({ "region": "eu-central", "label": "more" });
    home.linode("POST", "/nodebalancers", &others);
    home.sandbox(SMALL)
        .code(3)
        .shows(&["exists_already", "  at stacks/shop/overlays/other.yaml:2\n"])
        .says(&stopped)
        .done();
    home.requests().mutating().none();
}

/// Made-up values are no addresses that a function could take apart.
#[test]
fn drill_plans_a_switch_later_that_needs_values_of_what_is_made() {
    let home = small(
        "resources:\n  more: { kind: linode.nodebalancer, region: eu-central, label: 'more-${lb.ipv4.split(\".\")[3]}' }\n",
    );
    home.sandbox(SMALL)
        .code(0)
        .shows(&["a switch that cannot be fully planned yet", ": more\n"])
        .says(&["switch: ", "no resources remain"])
        .done();
}

/// Somebody edits the overlay while the drill is at work: what it then makes and deletes nobody was told.
#[test]
fn drill_fails_when_its_cleanup_was_not_in_the_preview() {
    let home = small(OTHER);
    home.fault("POST /nodebalancers slow ms=1500");
    let mut running = home.start(&[SMALL, &["--sandbox"]].concat());
    let begun =
        || home.state("shop@drill").is_some_and(|it| it.pending.keys().any(|it| it.name == "lb"));
    assert!(running.until(begun), "home is being made");
    home.overlay(
        "shop",
        "other",
        "resources:\n  key: null\n  extra: { kind: linode.nodebalancer, region: eu-central, label: extra }\n",
    );
    running
        .end()
        .code(1)
        .says(&[
            "the cleanup differed from the preview: deleted, but not in the preview: `extra`",
            "the cleanup differed from the preview: in the preview, but not deleted: `key`, `more`",
            "no resources remain",
            "drill of shop@drill to other: incomplete",
        ])
        .done();
}
