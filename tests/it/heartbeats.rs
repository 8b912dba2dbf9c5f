//! Heartbeats: items that a watch writes, and what a failover under loss knows by them of the data that is missing.

use std::time::Duration;

use lifeboat::sandbox::faults::state::LostHow;
use serde_json::{Value, json};

use crate::harness::{Home, Output};

const SHOP: &str = "woocommerce";

fn shop() -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home
}

fn beat(home: &Home, more: &[&str]) -> Output {
    let words = ["watch", SHOP, "--to", "failover_eu", "--heartbeat-only", "--once"];
    home.sandbox(&[&words[..], more].concat())
}

/// The names of its events, and what they say, one a line.
fn told(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn names(output: &Output) -> String {
    let told = told(output);
    told.iter().map(|it| it["event"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// What a table of the shop holds at one of its members.
fn items(home: &Home, region: &str, table: &str) -> Vec<Value> {
    let body = json!({ "TableName": format!("woocommerce_{table}"), "ConsistentRead": true });
    let scan = home.dynamodb(region, "Scan", &body);
    scan["Items"].as_array().unwrap().clone()
}

fn lose_home(home: &Home) {
    home.world.lose("linode:us-east", LostHow::Hang).unwrap();
    home.world.lose("aws:us-east-1", LostHow::Hang).unwrap();
}

fn failover(home: &Home) -> Output {
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0)
}

fn report(home: &Home) -> Value {
    let reports = home.sandbox(&["reports", SHOP, "--format", "json"]).code(0).json();
    reports["reports"].as_array().unwrap().last().unwrap().clone()
}

/// One item for each group, the same one each time, which has come to the other member when that is all that is left.
#[test]
fn watch_heartbeat_only_gives_the_data_behind_of_a_failover_under_loss() {
    let home = shop();
    for _ in 0..2 {
        let output = beat(&home, &["--interval", "20s"]).code(0);
        assert_eq!(names(&output), "started heartbeat stopped");
        assert_eq!(told(&output)[1]["groups"], json!(["products_eu", "sessions_eu"]));
    }
    home.world.advance(Duration::from_secs(5)).unwrap();
    for table in ["products", "sessions"] {
        let all = items(&home, "eu-west-1", table);
        assert_eq!(all.len(), 1, "it is written over: {all:?}");
        assert_eq!(all[0]["lifeboat_region"]["S"], "us-east-1");
        assert_eq!(all[0]["lifeboat"]["S"], "lifeboat-heartbeat");
    }
    lose_home(&home);
    failover(&home).says(&["possible data loss: ", " at most (heartbeat of 20"]).done();
    let report = report(&home);
    let seen = &report["heartbeats"];
    assert_eq!(seen[0]["address"], "products_eu", "{report:#}");
    assert_eq!((seen[1]["address"].as_str(), &seen[1]["every"]), (Some("sessions_eu"), &json!(20)));
    let written =
        seen[0]["written_at"].as_i64().unwrap().min(seen[1]["written_at"].as_i64().unwrap());
    let switched = report["began_at"].as_i64().unwrap();
    let bound = report["objectives"]["rpo"]["measured"].as_f64().unwrap();
    let expected = f64::from(i32::try_from(switched - written).unwrap()) / 1_000.0;
    assert!((bound - expected).abs() < 0.2, "nobody watched, so the switch bounds it: {report:#}");
    let name = report["name"].as_str().unwrap();
    for format in ["text", "markdown"] {
        let shown = home.sandbox(&["reports", SHOP, name, "--format", format]).code(0);
        shown.shows(&["possible data loss", " at most (heartbeat of "]).done();
    }
    // Where users have gone nothing is written, and to what is lost nothing is said.
    home.log_requests();
    let output = beat(&home, &[]).code(0);
    assert_eq!(names(&output), "started no-heartbeat stopped");
    output.shows(&["failover_eu is active"]).done();
    home.requests().with("PutItem").none();
}

/// As before: what nobody measured is not guessed.
#[test]
fn failover_under_loss_without_heartbeats_says_that_nothing_was_measured() {
    let home = shop();
    // What was written at the survivor has not come to it.
    let own = json!({
        "product_id": { "S": "lifeboat-heartbeat" },
        "lifeboat_at": { "N": "1795521600000" },
        "lifeboat_region": { "S": "eu-west-1" },
        "lifeboat_every": { "N": "30" },
    });
    let put = json!({ "TableName": "woocommerce_products", "Item": own });
    home.dynamodb("eu-west-1", "PutItem", &put);
    lose_home(&home);
    failover(&home)
        .says(&[
            "data loss: not measured, writes of the last moments before the loss may be missing",
        ])
        .done();
    let report = report(&home);
    assert_eq!(report["heartbeats"][0]["written_at"], Value::Null, "{report:#}");
    assert_eq!(report["objectives"]["rpo"]["verdict"], "not measured");
}

/// Nobody has to say how long a probe may take where none is made, nor because probes come often.
#[test]
fn watch_heartbeat_only_asks_for_no_timeout() {
    let home = shop();
    let words = ["watch", SHOP, "--to", "failover_eu", "--interval", "2s", "--once"];
    let only = home.sandbox(&[&words[..], &["--heartbeat-only"]].concat()).code(0);
    assert!(names(&only).contains("heartbeat"), "{only}");
    let url = ["--url", "http://shop.example.com/"];
    home.sandbox(&[&words[..], &url].concat()).code(0).done();
}

/// Beside the probes, of which none is late or missed because a region does not answer; the loss is told once.
#[test]
fn watch_heartbeat_goes_on_when_a_region_is_silent() {
    let home = shop();
    let words = ["watch", SHOP, "--to", "failover_eu", "--url", "http://shop.example.com/"];
    let rest = ["--timeout", "1s", "--heartbeat", "--rounds"];
    let watch = |rounds| home.sandbox(&[&words[..], &rest, &[rounds]].concat()).code(0);
    assert_eq!(names(&watch("2")), "started heartbeat stopped");
    home.world.lose("aws:us-east-1", LostHow::Hang).unwrap();
    let output = watch("2");
    assert_eq!(names(&output), "started no-heartbeat stopped");
    output.shows(&["no answer within 1 s"]).done();
    home.world.heal(None).unwrap();
    home.fault("PutItem 503 times=2");
    let output = watch("3");
    assert_eq!(names(&output), "started no-heartbeat heartbeat stopped");
}

/// The failover of the watch itself: the site was last seen good after the last heartbeat, and lost before the next.
#[test]
fn watch_failover_bounds_the_data_behind_by_when_the_site_was_last_good() {
    let home = shop();
    let words = ["watch", SHOP, "--to", "failover_eu", "--url", "http://shop.example.com/"];
    let rest = ["--failover", "--heartbeat", "--down", "2/3", "--rounds"];
    let watch = |rounds| home.sandbox(&[&words[..], &rest, &[rounds]].concat()).code(0);
    watch("1").done();
    home.world.advance(Duration::from_secs(2)).unwrap();
    lose_home(&home);
    watch("2").done();
    let report = report(&home);
    let written = report["heartbeats"][0]["written_at"].as_i64().unwrap();
    let began = report["began_at"].as_i64().unwrap();
    assert!(report["recorded_at"].as_i64().unwrap() > began, "{report:#}");
    let gap = f64::from(i32::try_from((began - written).max(0)).unwrap()) / 1_000.0;
    let bound = report["objectives"]["rpo"]["measured"].as_f64().unwrap();
    assert!((bound - gap - 30.0).abs() < 1.0, "{report:#}");
    assert_eq!(report["objectives"]["rpo"]["verdict"], "met", "{report:#}");
}

/// Home again, and the region of its tables is still lost: it is not written to, and not even asked.
#[test]
fn watch_heartbeat_writes_nothing_to_what_is_recorded_as_lost() {
    let home = shop();
    lose_home(&home);
    failover(&home).done();
    home.world.heal(Some("linode:us-east")).unwrap();
    home.sandbox(&["failback", SHOP, "--lost", "aws:us-east-1", "--yes"]).code(0).done();
    home.world.heal(None).unwrap();
    home.log_requests();
    let output = beat(&home, &[]).code(0);
    assert_eq!(names(&output), "started no-heartbeat stopped");
    output.shows(&["products_eu: aws:us-east-1 is recorded as lost"]).done();
    home.requests().to_fault_domain("aws:us-east-1").none();
    home.sandbox(&["recovered", SHOP, "aws:us-east-1"]).code(0).done();
    assert_eq!(names(&beat(&home, &[]).code(0)), "started heartbeat stopped");
}

#[test]
fn watch_heartbeat_only_refuses_a_stack_that_has_nothing_to_write_to() {
    let home = Home::woocommerce();
    beat(&home, &[]).code(1).says(&["has not been applied yet"]).done();
    beat(&home, &["--failover"]).code(64).says(&["cannot be used with"]).done();
    let stack = std::fs::read_to_string(home.path("stacks/woocommerce/stack.yaml")).unwrap();
    let without = stack.replace("    gate: { replication: true, within: 60s }\n", "");
    home.stack(SHOP, without);
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let says = ["no table of woocommerce has a replica with a replication gate", "add `gate: "];
    beat(&home, &[]).code(1).says(&says).done();
}

/// A key that somebody uses himself: his item stays as it is, and the watch says that there is no heartbeat.
#[test]
fn watch_heartbeat_leaves_an_item_of_somebody_else_alone() {
    let home = shop();
    let item = json!({ "session_id": { "S": "lifeboat-heartbeat" }, "cart": { "S": "full" } });
    let put = json!({ "TableName": "woocommerce_sessions", "Item": item });
    home.dynamodb("us-east-1", "PutItem", &put);
    let output = beat(&home, &["--interval", "20s"]).code(0);
    assert!(names(&output).contains("no-heartbeat"), "{output}");
    assert_eq!(items(&home, "us-east-1", "sessions"), [item]);
}
