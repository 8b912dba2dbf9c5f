//! The phases of a switch: users are on their way, users have moved and the rest is missing, everything is done.

use lifeboat::engine::address::Address;
use lifeboat::engine::state::record::Phase;

use crate::harness::{Home, Output};
use crate::kill_points::at_each_change;
use crate::tasks::server;

const SHOP: &str = "woocommerce";
const FAILOVER: [&str; 5] = ["failover", SHOP, "--to", "failover_eu", "--yes"];
const STACK: &str = "stacks/woocommerce/stack.yaml";

/// What keeps a failover of the shop in a phase.
fn fault(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Settled => None,
        Phase::Switching => Some("PUT /domains 503 times=100000"),
        Phase::Degraded => Some("POST /linode/instances 503 times=100000"),
    }
}

/// The shop, failed over under the loss of its home, in a phase.
fn failed_over(phase: Phase) -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    if let Some(it) = fault(phase) {
        home.fault(it);
    }
    let code = i32::from(phase != Phase::Settled);
    home.sandbox(&FAILOVER).code(code).done();
    assert_eq!(home.state(SHOP).unwrap().phase, phase);
    home
}

/// What a command does in each of the phases, in the order settled, degraded, switching.
struct Row {
    arguments: &'static [&'static str],
    /// What keeps the switch from its end is over when it is typed.
    is_mended: bool,
    /// Home answers again when it is typed.
    has_recovered: bool,
    exits: [i32; 3],
    says: [&'static str; 3],
    /// The phase after it.
    then: [Phase; 3],
    /// The overlays that are active after it.
    active: &'static [&'static str],
}

const PHASES: [Phase; 3] = [Phase::Settled, Phase::Degraded, Phase::Switching];
const SETTLED: [Phase; 3] = [Phase::Settled; 3];
const AWAY: &[&str] = &["failover_eu"];

/// Of a command that is typed while everything is as the failover left it.
const fn row(arguments: &'static [&'static str], exits: [i32; 3], says: [&'static str; 3]) -> Row {
    Row {
        arguments,
        is_mended: false,
        has_recovered: false,
        exits,
        says,
        then: PHASES,
        active: AWAY,
    }
}

const TABLE: [Row; 12] = [
    row(
        &["plan", SHOP, "--detailed-exitcode"],
        [0, 2, 2],
        ["No changes.", ", degraded (no traffic is left to shift)", ", switching"],
    ),
    row(
        &["status", SHOP],
        [0; 3],
        ["phase: settled", "phase: degraded: users have moved", "phase: switching from base"],
    ),
    row(
        &["status", SHOP, "--format", "json"],
        [0; 3],
        ["\"phase\": \"settled\"", "\"users\": \"moved\"", "\"users\": \"not moved\""],
    ),
    row(&["apply", SHOP, "--yes"], [0, 1, 1], ["", "degraded: ", "incomplete: "]),
    row(
        &["apply", SHOP, "-o", "base", "--yes"],
        [3; 3],
        [
            "lifeboat failback woocommerce",
            "lifeboat failback woocommerce",
            "lifeboat failback woocommerce",
        ],
    ),
    row(
        &["failback", SHOP, "--yes"],
        [3; 3],
        ["still unreachable", "still unreachable", "still unreachable"],
    ),
    Row {
        is_mended: true,
        then: SETTLED,
        ..row(
            &["apply", SHOP, "--yes"],
            [0; 3],
            ["", "standby[1]: created", "shop: updated target"],
        )
    },
    Row {
        is_mended: true,
        then: SETTLED,
        ..row(&FAILOVER, [0; 3], ["already", "standby[1]: created", "shop: updated target"])
    },
    Row {
        is_mended: true,
        has_recovered: true,
        then: SETTLED,
        active: &[],
        ..row(&["failback", SHOP, "--yes"], [0; 3], ["complete", "complete", "complete"])
    },
    Row {
        has_recovered: true,
        ..row(&["recovered", SHOP, "aws:us-east-1"], [0; 3], ["has recovered"; 3])
    },
    Row {
        is_mended: true,
        has_recovered: true,
        ..row(
            &["drill", SHOP, "--to", "drill_eu", "--yes"],
            [0; 3],
            ["drill of woocommerce@drill"; 3],
        )
    },
    // What is declared lost stays, and the switch with it; users are led nowhere.
    Row {
        is_mended: true,
        has_recovered: true,
        then: [Phase::Settled, Phase::Switching, Phase::Switching],
        ..row(&["destroy", SHOP, "--yes"], [5; 3], ["remaining: "; 3])
    },
];

fn check(row: &Row, at: usize, left: &Home) {
    let home = left.copy();
    if row.is_mended || row.has_recovered {
        home.world.heal(None).unwrap();
    }
    if !row.has_recovered {
        home.lose("linode:us-east");
        home.lose("aws:us-east-1");
    }
    if let Some(it) = fault(PHASES[at]).filter(|_| !row.is_mended) {
        home.fault(it);
    }
    let output: Output = home.sandbox(row.arguments).code(row.exits[at]);
    let all = format!("{output}");
    assert!(all.contains(row.says[at]), "{:?}: {} is not said\n{all}", PHASES[at], row.says[at]);
    output.done();
    let state = home.state(SHOP).unwrap();
    assert_eq!(
        (state.phase, state.active),
        (row.then[at], row.active.iter().map(|it| (*it).to_owned()).collect()),
        "{all}"
    );
}

#[test]
fn commands_have_one_right_outcome_in_each_phase_of_a_failover() {
    for (at, phase) in PHASES.into_iter().enumerate() {
        let left = failed_over(phase);
        for row in &TABLE {
            check(row, at, &left);
        }
    }
}

/// Users wait for nothing in it any more, so it holds no other change back.
#[test]
fn apply_carries_a_fix_while_degraded_but_not_while_switching() {
    for (phase, arrives) in [(Phase::Degraded, true), (Phase::Switching, false)] {
        let home = failed_over(phase);
        let stack = std::fs::read_to_string(home.path(STACK)).unwrap();
        let fixed = stack.replace("ports: '80', addresses", "ports: '80,443', addresses");
        assert_ne!(fixed, stack);
        home.write(STACK, fixed);
        home.log_requests();
        home.sandbox(&["apply", SHOP, "--yes"]).code(1).done();
        let walls = home.requests().mutating().with("/networking/firewalls/");
        assert_eq!(!walls.0.is_empty(), arrives, "{phase:?}: {walls}");
        // The same failover goes on with the switch alone.
        if phase == Phase::Degraded {
            let again = stack.replace("ports: '80', addresses", "ports: '80,8443', addresses");
            home.write(STACK, again);
            home.log_requests();
            home.sandbox(&FAILOVER).code(1).done();
            home.requests().mutating().with("/networking/firewalls/").none();
        }
    }
}

/// Wherever it is killed, the phase says whether users have moved, and they never go back.
#[test]
fn failover_killed_at_each_change_leaves_the_phase_that_its_users_are_in() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let targets = |home: &Home| home.world.show().unwrap()["linode"]["domains"].to_string();
    let at_home = targets(&home);
    at_each_change(&home, &FAILOVER[..4], |home, said| {
        let state = home.state(SHOP).unwrap();
        let has_moved = targets(home) != at_home;
        // The last call may have been carried out without a word of it.
        assert!(has_moved || state.phase == Phase::Switching, "{said}: {:?}", state.phase);
        home.log_requests();
        home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
        let moves = home.requests().mutating().with("PUT /v4/domains/");
        assert!(state.phase == Phase::Switching || moves.0.is_empty(), "{said}: {moves}");
        assert_ne!(targets(home), at_home, "{said}");
        assert_eq!(home.state(SHOP).unwrap().phase, Phase::Settled, "{said}");
    });
}

/// The record of the shop, as somebody else would write it.
fn lead_elsewhere(home: &Home, target: &str) {
    let zone = &home.world.show().unwrap()["linode"]["domains"][0];
    let path = format!("/domains/{}/records/{}", zone["id"], zone["records"][0]["id"]);
    home.linode("PUT", &path, &serde_json::json!({ "target": target }));
}

/// Somebody led the users away again while no machine can be had: one backend that serves is enough to bring them back, and until
/// they are back nobody says that they have moved.
#[test]
fn failover_brings_back_users_who_were_led_away_while_degraded() {
    let home = failed_over(Phase::Degraded);
    let target = |home: &Home| {
        let zone = &home.world.show().unwrap()["linode"]["domains"][0];
        zone["records"][0]["target"].as_str().unwrap().to_owned()
    };
    let standby = target(&home);
    let lost = home.state(SHOP).unwrap().records[&Address::one("lb")].outputs["ipv4"].clone();
    for elsewhere in [lost.as_text().unwrap(), "198.51.100.7"] {
        lead_elsewhere(&home, elsewhere);
        home.sandbox(&["apply", SHOP, "--yes"]).code(3).shows(&["drift_directs"]).done();
        home.fault("PUT /domains 503 times=100000");
        // What answers while they are elsewhere is no answer of the new site.
        let (url, asked) = server(&[200]);
        home.sandbox(&[&FAILOVER[..], &["--url", &url]].concat())
            .code(1)
            .says(&["users of `shop` have NOT moved", "incomplete: "])
            .done();
        assert!(asked.lock().unwrap().is_empty());
        assert_eq!(home.state(SHOP).unwrap().phase, Phase::Switching);
        home.world.heal(None).unwrap();
        home.lose("linode:us-east");
        home.lose("aws:us-east-1");
        home.fault("POST /linode/instances 503 times=100000");
        home.sandbox(&FAILOVER).code(1).says(&["shop: updated target", "degraded: "]).done();
        assert_eq!(
            (target(&home), home.state(SHOP).unwrap().phase),
            (standby.clone(), Phase::Degraded)
        );
    }
}

/// What the switch was allowed is not allowed to what came since, and what it was given is not home's.
#[test]
fn apply_while_degraded_is_allowed_nothing_of_the_switch() {
    let home = failed_over(Phase::Settled);
    let stack = std::fs::read_to_string(home.path(STACK)).unwrap();
    home.world.heal(None).unwrap();
    home.sandbox(&["failback", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.fault("POST /linode/instances 503 times=100000");
    let given = ["--allow-delete", "sessions_eu", "--var", "web_size=3"];
    home.sandbox(&[&FAILOVER[..], &given].concat()).code(1).done();
    home.world.heal(None).unwrap();
    home.run(&["recovered", SHOP, "aws:us-east-1", "--sandbox"]).code(0).done();
    let at = stack.find("  sessions_eu:").unwrap();
    let end = at + stack[at..].find("\n\n").unwrap();
    let without = format!("{}{}", &stack[..at], &stack[end..])
        .replace("sessions_eu.region", "products_eu.region");
    home.write(STACK, without);
    home.log_requests();
    home.sandbox(&["apply", SHOP, "--yes"]).code(3).shows(&["sessions_eu"]).done();
    home.requests().mutating().none();
    home.write(STACK, &stack);
    // Resumed with the same variable, it stays on this side.
    home.sandbox(&[&FAILOVER[..], &given[2..]].concat()).code(0).done();
    let state = home.state(SHOP).unwrap();
    assert!(state.variables.contains_key("web_size"));
    assert!(!state.home_variables.unwrap_or_default().contains_key("web_size"));
}

/// A name is no capacity: kept, it would go on sending users to the standby.
#[test]
fn failback_keep_standby_takes_back_the_names_of_the_standby() {
    let home = Home::woocommerce();
    let overlay = "stacks/woocommerce/overlays/failover_eu.yaml";
    let text = std::fs::read_to_string(home.path(overlay)).unwrap();
    let own = "shop: null\n  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${standby_lb.ipv4}', ttl_sec: 300 }";
    let with = text.replace("shop: { target: '${standby_lb.ipv4}' }", own);
    assert_ne!(with, text);
    home.write(overlay, with);
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let planned = ["failover", SHOP, "--to", "failover_eu", "--planned", "--yes"];
    home.sandbox(&planned).code(0).done();
    home.sandbox(&["failback", SHOP, "--keep-standby", "--yes"]).code(0).done();
    let zone = &home.world.show().unwrap()["linode"]["domains"][0];
    assert_eq!(zone["records"].as_array().unwrap().len(), 1, "{zone}");
    assert_eq!(home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len(), 4);
}

/// Who destroyed a part of it is not told to make it again.
#[test]
fn status_after_a_destroy_that_is_incomplete_advises_to_finish_it() {
    let home = failed_over(Phase::Degraded);
    home.sandbox(&["destroy", SHOP, "--yes"]).code(5).done();
    home.sandbox(&["status", SHOP])
        .code(0)
        .shows(&[
            "phase: switching from base",
            "a destroy took a part of it away: run `lifeboat destroy woocommerce --sandbox` to resume it",
        ])
        .done();
}

/// A release that was deployed on this side goes back with the variable that names it: the plan says so, and how it stays.
#[test]
fn failback_says_which_variables_it_sets_back() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let failover = ["failover", SHOP, "--to", "failover_eu", "--planned", "--yes"];
    home.sandbox(&[&failover[..], &["--var", "plan=g6-standard-4"]].concat()).code(0).done();
    let back = ["failback", SHOP, "--yes"];
    let told = home.copy().sandbox(&back).code(0);
    told.shows(&[
        "Warning [variable_reverts]: the switch sets the variable `plan` back from \"g6-standard-4\" to",
        "\"g6-standard-2\", as it was before on that side",
        "help: to keep it, add `--var 'plan=g6-standard-4'`",
    ])
    .done();
    let kept = home.sandbox(&[&back[..], &["--var", "plan=g6-standard-4"]].concat()).code(0);
    assert!(!kept.stdout.contains("variable_reverts"), "{kept}");
}
