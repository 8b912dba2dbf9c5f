//! What can be seen of a switch while it goes on: `status --follow`, and the events of a run.

use serde_json::Value;

use crate::concurrent_switches::{at_the_gate, draining, heal, home, to};
use crate::harness::Home;

const SHOP: &str = "woocommerce";

fn events(home: &Home, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path(file)).unwrap();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// What a status says of a switch that waits at its gate: where users are, how far the run is, and what it waits for.
#[test]
fn status_tells_how_far_a_running_switch_is() {
    let home = home();
    let running = at_the_gate(&home, &to("calm"));
    let status = home.sandbox(&["status", "duo"]).code(0);
    status
        .shows(&[
            "users: shop points to lb (",
            "2 of 2 backends recorded",
            "phase: switching from base since ",
            "switch time: ",
            "progress: ",
            " steps ended\nin progress: shop serving gate (waits for a condition), for ",
        ])
        .done();
    let json = home.sandbox(&["status", "duo", "--format", "json"]).code(0).json();
    let run = &json["run"];
    assert!(run["steps"].as_u64() > run["ended"].as_u64(), "{run}");
    assert_eq!(run["in_progress"][0]["address"], "shop", "{run}");
    assert_eq!(json["recovery"]["shifted"], false, "{json}");
    assert_eq!(json["recovery"]["planned"], true, "{json}");
    heal(&home);
    running.end().code(0).done();
}

/// Followed, a status says something new as soon as there is something, until it is interrupted.
#[test]
fn status_follow_shows_each_change_until_a_signal() {
    let home = home();
    let mut follower = home.start(&["status", "duo", "--follow", "--format", "json", "--sandbox"]);
    follower.until_shows("\"phase\":\"settled\"");
    let running = draining(&home, &["failover", "duo", "--to", "move", "--planned", "--yes"], "eu");
    let shown = follower.until_shows("\"phase\":\"degraded\"").to_owned();
    assert!(shown.lines().all(|it| serde_json::from_str::<Value>(it).is_ok()), "{shown}");
    running.kill();
    follower.until_shows("whose process has died");
    follower.signal("INT");
    let ended = follower.end().code(130);
    assert!(!ended.stderr.contains("in-flight"), "it makes no calls: {ended}");
    ended.says(&["SIGINT received: stopped"]).done();
}

/// What is recorded says nothing of now: asked for, each fault domain is, for a moment, also one that is declared lost: it may be back.
#[test]
fn status_online_says_which_fault_domains_answer() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.log_requests();
    let recorded = home.sandbox(&["status", SHOP]).code(0);
    recorded
        .shows(&["as recorded 2", " ago; the clouds were not called (`--online` asks them)"])
        .done();
    home.requests().none();
    let status = ["status", SHOP, "--online"];
    home.sandbox(&status)
        .code(5)
        .shows(&[
            "now: linode:us-east is unreachable: ",
            "points to lb (198.18.0.",
            ") in linode:us-east, which is unreachable now; 2 of 2 backends recorded, their health was not asked",
            "; `lifeboat failover woocommerce --sandbox` says what to do",
            "now: linode:eu-central answers",
            "now: aws:eu-west-1 answers",
        ])
        .done();
    home.requests().mutating().none();
    home.lose("aws:us-east-1");
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0).done();
    home.world.heal(Some("aws:us-east-1")).unwrap();
    home.log_requests();
    // A declared loss is no news: exit 0.
    home.sandbox(&status)
        .code(0)
        .shows(&[
            "now: aws:us-east-1 answers again, though it is declared lost; once linode:us-east answers, too: `lifeboat failback woocommerce --sandbox`",
            "now: linode:us-east, which is declared lost, is unreachable: ",
        ])
        .done();
    let told = home.sandbox(&[&status[..], &["--format", "json"]].concat()).code(0).json();
    let health = |name: &str| {
        let all = told["online"].as_array().unwrap().iter();
        let mut found = all.filter(|it| it["fault_domain"] == name);
        found.next().unwrap_or_else(|| panic!("no {name}: {told:#}"))["health"].clone()
    };
    assert_eq!(
        (health("linode:us-east"), health("aws:us-east-1")),
        ("silent".into(), "answers".into())
    );
    assert_eq!(health("aws:eu-west-1"), "answers");
    home.requests().mutating().none();
    home.fault("GET 401 times=100000");
    let denied = home.sandbox(&status).code(1);
    denied.shows(&["now: linode:eu-central denied the request"]).done();
}

/// What is left of a switch, why it is left, and what else is pending are three things.
#[test]
fn status_and_plan_tell_the_rest_of_a_switch_apart() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.fault("POST /linode/instances 503 times=100000");
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(1).done();
    let stack = home.path("stacks/woocommerce/stack.yaml");
    let text = std::fs::read_to_string(&stack).unwrap();
    let later =
        text.replace("  zone: {", "  later: { kind: linode.firewall, label: later }\n  zone: {");
    assert_ne!(text, later);
    std::fs::write(&stack, later).unwrap();
    home.sandbox(&["status", SHOP])
        .code(0)
        .shows(&[
            "failed: create standby[1], ",
            "503",
            "still to do for the switch: 2 changes if nothing has drifted: create standby[1], create standby_node[1]",
            "pending: 1 other change if nothing has drifted: create later",
        ])
        .done();
    home.sandbox(&["audit", SHOP])
        .code(1)
        .shows(&["woocommerce after a switch to failover_eu, which is active now (degraded): "])
        .done();
    home.run(&["status", SHOP])
        .code(0)
        .shows(&["it has a state in the sandbox: add --sandbox"])
        .done();
    let json = home.sandbox(&["status", SHOP, "--format", "json"]).code(0).json();
    let failure = &json["switch"]["failures"][0];
    assert_eq!((&failure["address"], &failure["call"]), (&"standby[1]".into(), &"create".into()));
    assert!(failure["why"].as_str().unwrap().contains("503"), "{failure}");
    let of_switch: Vec<(&Value, &Value)> = json["pending"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["address"], &it["of_switch"]))
        .collect();
    assert_eq!(of_switch.len(), 3, "{json:#}");
    assert!(of_switch.iter().all(|(name, own)| **own == (*name != "later")), "{json:#}");
    home.sandbox(&["plan", SHOP])
        .code(0)
        .shows(&[
            "Still to do for the switch (no traffic is left to shift)",
            "create standby[1]: failed before: ",
            "1 other change of this plan is not part of the switch",
        ])
        .done();
    // Made good, nothing is told of it any more.
    home.world.heal(None).unwrap();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let json = home.sandbox(&["status", SHOP, "--format", "json"]).code(0).json();
    assert_eq!(json["switch"], Value::Null);
}

/// One line for each event, in the order in which they come; the switch, its phase, its end, and what failed.
#[test]
fn failover_tells_its_events_in_a_file() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes", "--events", "made.jsonl"]).code(0).done();
    let made = events(&home, "made.jsonl");
    assert_eq!((&made[0]["event"], &made[0]["switch"]), (&"run-began".into(), &Value::Null));
    assert_eq!(made.last().unwrap()["complete"], true);
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.fault("POST /linode/instances 503 times=100000");
    let failover = ["failover", SHOP, "--to", "failover_eu", "--yes", "--events", "run.jsonl"];
    home.sandbox(&failover).code(1).done();
    let told = events(&home, "run.jsonl");
    let at = |event: &str, address: &str| {
        let is_it =
            |it: &Value| it["event"] == event && (address.is_empty() || it["address"] == address);
        told.iter().position(is_it).unwrap_or_else(|| panic!("no {event} {address}: {told:#?}"))
    };
    let began = &told[at("run-began", "")];
    assert_eq!(
        (&began["switch"]["to"][0], &began["objective"]),
        (&"failover_eu".into(), &900.into())
    );
    assert_eq!(began["lost"], serde_json::json!(["aws:us-east-1", "linode:us-east"]));
    assert!(at("step-started", "shop") < at("step-ended", "shop"));
    assert!(at("step-ended", "shop") < at("phase", ""));
    let phase = &told[at("phase", "")];
    assert_eq!((&phase["phase"], &phase["users"]), (&"degraded".into(), &"moved".into()));
    assert!(phase["detail"].as_str().unwrap().starts_with("users have moved: "), "{phase}");
    let failed = &told[at("step-ended", "standby[1]")];
    assert_eq!((&failed["outcome"], &failed["of"]), (&"failed".into(), &6.into()), "{failed}");
    assert!(failed["why"].as_str().unwrap().contains("503"), "{failed}");
    let end = told.last().unwrap();
    assert_eq!((&end["event"], &end["phase"]), (&"run-ended".into(), &"degraded".into()), "{end}");
    assert!(told.iter().all(|it| it["stack"] == SHOP && it["used"].is_u64()), "{told:#?}");
    // A later run goes on in the same file.
    home.world.heal(None).unwrap();
    let apply = ["apply", SHOP, "--yes", "--events", "run.jsonl"];
    home.sandbox(&apply).code(0).done();
    let end = events(&home, "run.jsonl").pop().unwrap();
    assert_eq!((&end["phase"], &end["complete"]), (&"settled".into(), &true.into()), "{end}");
}

#[test]
fn apply_refuses_events_where_no_file_can_be() {
    let home = Home::woocommerce();
    // What is somebody's file is not written into.
    for place in ["stacks", "nowhere/run.jsonl", "stacks/woocommerce/stack.yaml"] {
        let apply = ["apply", SHOP, "--yes", "--events", place];
        home.sandbox(&apply).code(64).says(&["--events ", place]).done();
    }
    assert!(home.state(SHOP).is_none());
}

#[test]
fn drill_tells_the_events_of_each_part() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let drill = ["drill", SHOP, "--to", "drill_eu", "--yes", "--events", "drill.jsonl"];
    home.sandbox(&drill).code(0).done();
    let told = events(&home, "drill.jsonl");
    let of = |event: &str| -> Vec<String> {
        let those = told.iter().filter(|it| it["event"] == event);
        those.map(|it| it["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("run-began"), ["apply", "switch", "cleanup"]);
    assert_eq!(of("run-ended"), ["apply", "switch", "cleanup"]);
}
