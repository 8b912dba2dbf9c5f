//! Drills: an instance of its own that is measured, taken away again, and never touches what is real.

use crate::harness::Home;
use lifeboat::engine::state::record::MutatingCall;

/// A real shop that is applied, and a drill that can rehearse losing it.
pub(crate) fn shop() -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home
}

/// The world, a fact a line, without what passes by itself: whether a node was checked already, a table counted.
pub(crate) fn world(home: &Home) -> String {
    let shown = home.world.show().unwrap();
    let passing = ["\"status\": \"U", "\"status\": \"D", "\"version\":"];
    let lines = serde_json::to_string_pretty(&shown).unwrap();
    let lines = lines.lines().filter(|line| !passing.iter().any(|it| line.contains(it)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first line that differs says more than two worlds.
#[track_caller]
pub(crate) fn same(before: &str, after: &str, when: &str) {
    let differs = before.lines().zip(after.lines()).find(|(one, other)| one != other);
    assert!(before == after, "{when}: {differs:?}");
}

/// The drill's overlay with one line of it changed.
pub(crate) fn edit(home: &Home, from: &str, to: &str) {
    let file = "stacks/woocommerce/overlays/drill_eu.yaml";
    let text = std::fs::read_to_string(home.path(file)).unwrap();
    assert!(text.contains(from), "{from}");
    home.write(file, text.replace(from, to));
}

pub(crate) const DRILL: &[&str] = &["drill", "woocommerce", "--to", "drill_eu", "--yes"];

#[test]
fn drill_rehearses_the_switch_and_leaves_the_world_as_it_was() {
    let home = shop();
    let before = world(&home);
    let real = home.state("woocommerce").unwrap();
    home.log_requests();
    home.sandbox(DRILL)
        .code(0)
        .shows(&["switch drill_eu → drill_eu + failover_eu", "declared lost"])
        .says(&["apply: ", "switch: ", "cleanup: 17 steps\n", "no resources remain"])
        .done();
    same(&before, &world(&home), "the world is as it was");
    let after = home.state("woocommerce").unwrap();
    assert_eq!(after.records, real.records, "the real shop is as it was");
    assert_eq!(after.active, real.active);
    let lent = ["woocommerce_products", "/domains/3100001 "];
    let touched = home.requests().mutating();
    for it in &touched.0 {
        let told = format!("{it:?}");
        assert!(
            !lent.iter().any(|it| told.contains(it)),
            "borrowed things are not changed: {told}"
        );
    }
    assert!(!touched.0.is_empty());
}

/// Who opens what a drill prints looks at the drill: an address that is written out is production's, and is left out.
#[test]
fn drill_shows_no_address_of_the_real_shop() {
    let home = shop();
    let drilled = home.sandbox(DRILL).code(0);
    assert!(!drilled.stdout.contains("http://shop.example.com/"), "{drilled}");
    drilled.shows(&["http://shop-drill.example.com/"]).done();
    edit(&home, "outputs:\n  url: 'http://shop-drill.${vars.domain}/'\n", "");
    let drilled = home.sandbox(DRILL).code(0);
    assert!(!drilled.stdout.contains("http://shop.example.com/"), "{drilled}");
    drilled
        .says(&[
            "output_of_plain",
            "output `url` is left out: it says the same as that of woocommerce",
        ])
        .done();
}

#[test]
fn drill_that_forgets_a_label_is_refused_before_its_first_call() {
    for (from, to, names) in [
        ("  lb: { label: drill-us }\n", "", "`lb` has the identity of `lb` of woocommerce"),
        ("name: shop-drill", "name: shop", "`shop` has the identity of `shop` of woocommerce"),
        (
            "name: woocommerce_drill_sessions",
            "name: woocommerce_sessions",
            "`sessions` has the identity of",
        ),
        // The cloud tells none of these apart by the size of their letters.
        ("lb: { label: drill-us }", "lb: { label: Shop-US }", "`lb` has the identity of `lb`"),
        (
            "label: 'drill-us-${each.index}'",
            "label: 'SHOP-us-${each.index}'",
            "`web[0]` has the identity of",
        ),
        (
            "wall: { label: woocommerce-drill }",
            "wall: { label: WooCommerce-Web }",
            "`wall` has the identity of",
        ),
        ("name: shop-drill", "name: SHOP", "`shop` has the identity of `shop` of woocommerce"),
    ] {
        let home = shop();
        edit(&home, from, to);
        home.log_requests();
        home.sandbox(DRILL)
            .code(3)
            .shows(&["instance_collision", names, "(stacks/woocommerce/stack.yaml:"])
            .done();
        assert!(home.requests().mutating().0.is_empty(), "nothing was called");
    }
}

#[test]
fn drill_that_was_killed_is_cleaned_up_by_another_process() {
    let home = shop();
    let before = world(&home);
    for records in [1, 5, 11] {
        let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
        let made = || {
            home.state("woocommerce@drill")
                .is_some_and(|it| it.records.len() + it.pending.len() >= records)
        };
        assert!(running.until(made));
        running.kill();
        // Its first requests may not have left yet.
        assert!(records < 11 || world(&home) != before, "it was at work when it was killed");
        home.sandbox(DRILL).code(3).says(&["is in use", "--cleanup"]).done();
        home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"])
            .code(0)
            .says(&["no resources remain"])
            .done();
        same(&before, &world(&home), &format!("killed at {records} records"));
    }
    home.sandbox(DRILL).code(0).done();
}

/// Some of it is still going when the next process looks.
#[test]
fn drill_cleanup_that_was_killed_is_finished_by_another_process() {
    let home = shop();
    let before = world(&home);
    let records = || home.state("woocommerce@drill").map_or(0, |it| it.records.len());
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    assert!(running.until(|| records() >= 14));
    assert!(running.until(|| records() <= 1));
    running.kill();
    home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"])
        .code(0)
        .says(&["no resources remain"])
        .done();
    // The last delete may have been on its way: the cloud ends it by itself.
    home.run(&["sandbox", "advance", "10m"]).code(0).done();
    same(&before, &world(&home), "killed in its cleanup");
}

#[test]
fn drill_changes_nothing_while_a_cloud_is_unreachable() {
    let home = shop();
    home.lose("aws:us-east-1");
    home.log_requests();
    home.sandbox(DRILL).code(5).says(&["is unreachable", "nothing was changed"]).done();
    home.requests().mutating().none();
}

#[test]
fn drill_runs_in_the_workspace_of_its_overlay() {
    let home = shop();
    home.log_requests();
    home.sandbox(&["drill", "woocommerce@other", "--to", "drill_eu", "--yes"])
        .code(3)
        .says(&["runs in woocommerce@drill", "not in woocommerce@other"])
        .done();
    home.requests().mutating().none();
}

#[test]
fn drill_cleans_up_after_a_signal_and_after_a_failure() {
    let home = shop();
    let before = world(&home);
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    assert!(
        running.until(|| home.state("woocommerce@drill").is_some_and(|it| it.records.len() > 3))
    );
    running.signal("INT");
    running.end().code(130).says(&["no resources remain"]).done();
    same(&before, &world(&home), "interrupted");
    // Nothing ever answers so, and the standby never becomes ready.
    edit(
        &home,
        "  standby: {",
        "  standby: { ready: { tcp: null, http: 'http://${self.ipv4}:22/', expect: 418, within: 30s },",
    );
    home.sandbox(DRILL).code(1).says(&["was not met", "no resources remain", "the drill failed: mend what it shows above, then rehearse it again: `lifeboat drill woocommerce --to drill_eu --sandbox`"]).done();
    same(&before, &world(&home), "failed");
}

/// Who is in a hurry may leave the cleanup to another process.
#[test]
fn drill_ends_at_once_on_a_second_signal() {
    let home = shop();
    let before = world(&home);
    // The second signal comes meanwhile, on any machine.
    home.fault("DELETE slow ms=4000");
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    let made = || home.state("woocommerce@drill").is_some_and(|it| it.records.len() > 3);
    assert!(running.until(made));
    running.signal("INT");
    let deletes = || {
        home.state("woocommerce@drill")
            .is_some_and(|it| it.pending.values().any(|it| it.call == MutatingCall::Delete))
    };
    assert!(running.until(deletes), "the cleanup has begun");
    running.signal("INT");
    running.end().code(130).says(&["the drill was interrupted", "--cleanup"]).done();
    home.world.heal(None).unwrap();
    home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"])
        .code(0)
        .says(&["no resources remain"])
        .done();
    same(&before, &world(&home), "left in a hurry");
}

#[test]
fn plan_lays_an_overlay_of_a_workspace_nowhere_else() {
    let home = shop();
    home.sandbox(&["plan", "woocommerce", "-o", "drill_eu"])
        .code(3)
        .says(&["belongs to the workspace `drill`", "lifeboat drill woocommerce --to drill_eu"])
        .done();
    let own = ["plan", "woocommerce@drill", "-o", "failover_eu", "-o", "drill_eu"];
    let command = format!("`lifeboat {} --sandbox`", own.join(" "));
    home.sandbox(&["plan", "woocommerce", "-o", "failover_eu", "-o", "drill_eu"])
        .code(3)
        .says(&[
            "refused: drill_eu belongs to the workspace",
            "lifeboat drill woocommerce --to drill_eu --sandbox`",
            &command,
        ])
        .done();
    home.sandbox(&own).code(0).done();
    home.sandbox(&["drill", "woocommerce", "--to", "failover_eu", "--yes"])
        .code(1)
        .says(&[
            "sets no `workspace`",
            "to rehearse it: `lifeboat drill woocommerce --to drill_eu --sandbox`",
        ])
        .done();
    home.sandbox(&["drill", "woocommerce", "--to", "drill_ue", "--yes"])
        .code(1)
        .says(&["did you mean `drill_eu`?"])
        .done();
}

#[test]
fn drill_borrows_only_what_is_there_and_does_not_change_it() {
    let home = Home::woocommerce();
    home.sandbox(DRILL).code(1).says(&["nothing_to_borrow", "has not created `zone`"]).done();
    let home = shop();
    edit(&home, "borrow: [zone, ", "borrow: [lb, zone, ");
    edit(&home, "  lb: { label: drill-us }\n", "");
    home.sandbox(DRILL).code(3).shows(&["touches_borrowed", "only borrowed"]).done();
}
