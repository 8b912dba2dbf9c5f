//! Gates of a switch: several on one resource, beside the health checks or instead of them, and one that somebody skips.

use serde_json::Value;

use crate::harness::{Home, Output};

const SHOP: &str = "woocommerce";
const OVERLAY: &str = "stacks/woocommerce/overlays/failover_eu.yaml";
const FAILOVER: [&str; 5] = ["failover", SHOP, "--to", "failover_eu", "--yes"];
const SKIP: [&str; 4] = ["--skip-gate", "shop", "--because", "the page was opened by hand"];

/// The shop, with its home lost and these gates on its name.
fn gated(gate: &str) -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let overlay = std::fs::read_to_string(home.path(OVERLAY)).unwrap();
    let target = "target: '${standby_lb.ipv4}'";
    let with = overlay.replace(target, &format!("{target}, gate: {gate}"));
    assert_ne!(with, overlay);
    home.write(OVERLAY, with);
    home.log_requests();
    home
}

fn reports(home: &Home) -> Value {
    home.sandbox(&["reports", SHOP, "--format", "json"]).code(0).json()
}

/// The health checks are good, and the page is not what it has to be: users stay, and the message says what was seen.
#[test]
fn failover_waits_for_each_gate_of_a_name() {
    let page = "[{ serves: 1, times: 2 }, { http: 'http://${standby_lb.ipv4}/', expect: 418, within: 30s }]";
    let home = gated(page);
    let closed = home.sandbox(&FAILOVER).code(1);
    closed
        .shows(&[
            "shop: serving gate: wait for a healthy backend behind standby_http",
            "shop: serving gate: wait until its own `gate` condition holds",
        ])
        .says(&[
            "the `gate` condition of http://198.",
            "/ was not met: timed out after 30 s: HTTP 200",
            "shop: waiting for its own `gate` condition: the gate stays closed",
            "shop: standby_http is healthy",
            "Until this gate opens users of `shop` stay where they are. Repair what it checks, then `lifeboat apply woocommerce --sandbox`",
            "for a reason that is asked for and kept: `lifeboat apply woocommerce --skip-gate shop --sandbox`",
            "users of `shop` have NOT moved",
        ])
        .done();
    home.requests().mutating().with("PUT /v4/domains/").none();
    // What is advised goes on with the switch, and not with the gate.
    let advised = ["apply", SHOP, "--skip-gate", "shop", "--yes"];
    home.sandbox(&advised).code(64).says(&["without a reason", "add --because"]).done();
    let because = [&advised[..], &["--because", "the page was opened by hand"]].concat();
    home.sandbox(&because).code(0).says(&["shop: updated target"]).done();
}

/// Without its health checks a name is moved by what it says itself.
#[test]
fn failover_leaves_out_the_health_checks_that_a_name_ignores() {
    for (gate, code) in [("{ tcp: '${standby_lb.ipv4}:80', within: 30s", 1), ("{ health: false", 0)]
    {
        let home = gated(&format!("{gate} }}"));
        home.run(&["sandbox", "fault", "unhealthy", "shop-eu-0"]).code(0).done();
        home.fault("POST /linode/instances 503 times=100000");
        let moved = |home: &Home| !home.requests().mutating().with("PUT /v4/domains/").0.is_empty();
        home.sandbox(&FAILOVER).code(1).done();
        assert_eq!(moved(&home), code == 0, "{gate}");
    }
}

#[test]
fn failover_skips_a_gate_and_keeps_who_said_so_and_why() {
    let home = gated("{ http: 'http://${standby_lb.ipv4}/', expect: 418, within: 30s }");
    let both = |words: &[&'static str]| [&FAILOVER[..], words].concat();
    let slip =
        |words: &[&'static str], code: i32| -> Output { home.sandbox(&both(words)).code(code) };
    slip(&["--skip-gate", "shop"], 64).done();
    slip(&["--because", "x"], 64).done();
    slip(&["--skip-gate", "shop", "--because", " "], 64).says(&["without a reason"]).done();
    slip(&["--skip-gate", "shp", "--because", "x"], 1).says(&["has no gate"]).done();
    slip(&["--skip-gate", "standby_lb", "--because", "x"], 1).says(&["has no gate"]).done();
    home.requests().mutating().none();
    let because = SKIP[3];
    slip(&SKIP, 0)
        .shows(&["Warning [gate_skipped]", because, "whether or not it serves"])
        .says(&["shop: updated target"])
        .done();
    let report = &reports(&home)["reports"][0];
    assert_eq!(report["skipped_gates"][0]["because"], because, "{report}");
    home.sandbox(&["reports", SHOP, report["name"].as_str().unwrap()])
        .code(0)
        .shows(&["the gate of `shop` was skipped: the page was opened by hand"])
        .done();
    let history = home.state_folder(SHOP).join("history");
    let files = std::fs::read_dir(history).unwrap().map(|it| it.unwrap().path());
    let kept: String = files
        .filter(|it| it.extension().is_some_and(|it| it == "journal"))
        .map(|it| std::fs::read_to_string(it).unwrap())
        .collect();
    assert!(kept.contains("\"gate_skipped\":{\"address\":\"shop\",\"because\":"), "{kept}");
}

/// Who resumes the switch does not have to know what was said when it began.
#[test]
fn apply_resumes_a_switch_without_the_gates_that_it_skipped() {
    let home = gated("{ http: 'http://${standby_lb.ipv4}/', expect: 418, within: 30s }");
    home.fault("PUT /domains 503 times=100000");
    home.sandbox(&[&FAILOVER[..], &SKIP].concat()).code(1).done();
    home.world.heal(None).unwrap();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).says(&["shop: updated target"]).done();
    let report = &reports(&home)["reports"][0];
    assert_eq!(report["skipped_gates"][0]["address"], "shop", "{report}");
}

/// A node takes users once what it leads to answers on its own.
#[test]
fn apply_waits_for_the_gate_of_a_node_before_it_accepts_users() {
    let home = Home::woocommerce();
    let file = "stacks/woocommerce/stack.yaml";
    let stack = std::fs::read_to_string(home.path(file)).unwrap();
    let node = "address: '${each.value.private_ipv4}:80'";
    // More than there is time for.
    for (times, code) in [(2, 0), (1000, 1)] {
        let gate = format!(
            "{node}\n    gate: {{ tcp: '${{each.value.ipv4}}:22', times: {times}, within: 20s }}"
        );
        let with = stack.replace(node, &gate);
        assert_ne!(with, stack);
        home.write(file, with);
        let home = home.copy();
        home.log_requests();
        let apply = home.sandbox(&["apply", SHOP, "--yes"]).code(code);
        apply
            .shows(&["lb_node[0]: serving gate: wait until its own `gate` condition holds"])
            .done();
        let nodes = home.requests().mutating().with("/nodes");
        assert_eq!(nodes.0.is_empty(), code == 1, "{nodes}");
    }
}
