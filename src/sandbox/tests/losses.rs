//! Lost, healed and destroyed regions, and the log of what was asked meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use super::{machine, manual, ok, request};
use crate::faults::state::LostHow;
use crate::http::SandboxRequest;
use crate::probe::SandboxProbe;
use crate::requests::received::Received;
use crate::{Destroyed, Sandbox, SandboxError};

/// The body of a DynamoDB call, or `None` when there was no answer.
fn dynamodb(sandbox: &Sandbox, region: &str, operation: &str, body: &Value) -> Option<Value> {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AK/20260101/{region}/dynamodb/aws4_request, Signature=0"
    );
    let request = SandboxRequest {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            ("content-type".into(), "application/x-amz-json-1.0".into()),
            ("x-amz-target".into(), format!("DynamoDB_20120810.{operation}")),
            ("authorization".into(), scope),
        ],
        body: body.to_string().into_bytes(),
        ..SandboxRequest::default()
    };
    let reply = sandbox.handle(&request);
    reply.answer().map(|it| serde_json::from_slice(&it.body).unwrap())
}

fn pass(sandbox: &Sandbox, seconds: u64) {
    sandbox.advance(Duration::from_secs(seconds)).unwrap();
}

/// A table of three items in us-east-1 with a replica in eu-west-1.
fn group(sandbox: &Sandbox) {
    let table = json!({
        "TableName": "shop", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    dynamodb(sandbox, "us-east-1", "CreateTable", &table);
    pass(sandbox, 10);
    let join = json!({
        "TableName": "shop", "ReplicaUpdates": [{ "Create": { "RegionName": "eu-west-1" } }],
    });
    dynamodb(sandbox, "us-east-1", "UpdateTable", &join);
    pass(sandbox, 60);
    for id in ["a", "b", "c"] {
        put(sandbox, "us-east-1", id);
    }
    pass(sandbox, 5);
}

fn put(sandbox: &Sandbox, region: &str, id: &str) {
    let item = json!({ "TableName": "shop", "Item": { "id": { "S": id } } });
    assert_eq!(dynamodb(sandbox, region, "PutItem", &item), Some(json!({})));
}

fn count(sandbox: &Sandbox, region: &str) -> Value {
    dynamodb(sandbox, region, "Scan", &json!({ "TableName": "shop" })).unwrap()["Count"].clone()
}

#[test]
fn lose_all_and_destroy_refuse_unknown_names() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    let names = ["aws:us-east-1".to_owned(), "linode:us-eest".to_owned()];
    let error = sandbox.lose_all(&names, LostHow::Hang.into()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown fault domain `linode:us-eest`; did you mean `linode:us-east`?"
    );
    assert_eq!(sandbox.lost().unwrap(), []);
    assert!(matches!(
        sandbox.heal(Some("linode:us-eest")),
        Err(SandboxError::UnknownFaultDomain { .. })
    ));
    let healed = sandbox.heal(Some("linode:us-east")).unwrap();
    assert!(healed.lost.is_empty(), "it exists, and nothing was wrong with it");
    machine(&sandbox, "web-0");
    let error = sandbox.destroy("linode:us-east", Some("web-1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "linode:us-east has no resource named `web-1`; did you mean `web-0`?"
    );
}

#[test]
fn lose_again_keeps_since_when() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    sandbox.lose("aws:us-east-1", LostHow::Hang).unwrap();
    pass(&sandbox, 843);
    sandbox.lose("aws:us-east-1", LostHow::Unavailable).unwrap();
    let told = "since 2026-01-01T00:00:00Z (14m 3s ago): calls are answered with 503".to_owned();
    assert_eq!(sandbox.lost().unwrap(), [("aws:us-east-1".to_owned(), told)]);
}

#[test]
fn destroy_in_a_lost_region_is_seen_when_it_heals() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    let web = machine(&sandbox, "web-0");
    let living = json!({ "region": "eu-west", "label": "front-eu" });
    let lost = json!({
        "region": "us-east", "label": "front-us",
        "configs": [{ "nodes": [{ "label": "web-0", "address": "192.168.128.10:80" }] }],
    });
    ok(&sandbox, "POST", "/nodebalancers", &living);
    let lost = ok(&sandbox, "POST", "/nodebalancers", &lost)["id"].clone();
    let firewall = json!({
        "label": "wall", "devices": { "linodes": [web["id"]] },
        "rules": { "inbound_policy": "DROP", "outbound_policy": "ACCEPT" },
    });
    let firewall = ok(&sandbox, "POST", "/networking/firewalls", &firewall)["id"].clone();
    let labels = |path: &str| -> Vec<String> {
        let list = ok(&sandbox, "GET", path, &Value::Null);
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|it| it["label"].as_str().unwrap().to_owned()).collect()
    };

    sandbox.lose("linode:us-east", LostHow::Hang).unwrap();
    let destroyed = sandbox.destroy("linode:us-east", None).unwrap();
    assert_eq!(destroyed, Destroyed::WhenHealed(vec!["web-0".into(), "front-us".into()]));
    assert_eq!(labels("/nodebalancers"), ["front-eu", "front-us"], "nobody has looked yet");
    sandbox.heal(Some("linode:us-east")).unwrap();
    assert_eq!(labels("/nodebalancers"), ["front-eu"]);
    assert_eq!(labels("/linode/instances"), [""; 0]);
    let devices = format!("/networking/firewalls/{firewall}/devices");
    assert_eq!(ok(&sandbox, "GET", &devices, &Value::Null)["results"], 0);
    let configs = request("GET", &format!("/nodebalancers/{lost}/configs"), &Value::Null);
    assert_eq!(sandbox.handle(&configs).answer().unwrap().status, 404);

    let destroyed = sandbox.destroy("linode:global", Some("wall")).unwrap();
    assert_eq!(destroyed, Destroyed::Now(vec!["wall".into()]), "what is not lost is gone at once");
    assert_eq!(labels("/networking/firewalls"), [""; 0]);
}

#[test]
fn destroy_of_a_member_lets_it_rejoin_with_all_items() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    group(&sandbox);
    // On its way when the region is lost, and nowhere after the catastrophe.
    put(&sandbox, "us-east-1", "stranded");
    sandbox.lose("aws:us-east-1", LostHow::Hang).unwrap();
    sandbox.destroy("aws:us-east-1", Some("shop")).unwrap();
    pass(&sandbox, 5);
    let there = json!({ "TableName": "shop" });
    assert_eq!(dynamodb(&sandbox, "us-east-1", "DescribeTable", &there), None);
    put(&sandbox, "eu-west-1", "d");
    let members = || {
        dynamodb(&sandbox, "eu-west-1", "DescribeTable", &there).unwrap()["Table"]["Replicas"]
            .clone()
    };
    assert_eq!(members()[0]["RegionName"], "us-east-1");
    sandbox.heal(None).unwrap();
    assert_eq!(members(), Value::Null);
    let home = dynamodb(&sandbox, "us-east-1", "DescribeTable", &there).unwrap();
    assert!(home["__type"].as_str().unwrap().ends_with("ResourceNotFoundException"), "{home}");
    assert_eq!(count(&sandbox, "eu-west-1"), 4);

    let join = json!({
        "TableName": "shop", "ReplicaUpdates": [{ "Create": { "RegionName": "us-east-1" } }],
    });
    dynamodb(&sandbox, "eu-west-1", "UpdateTable", &join).unwrap();
    pass(&sandbox, 700);
    assert_eq!(count(&sandbox, "us-east-1"), 4);
}

#[test]
fn log_requests_has_those_of_every_process() {
    let place = tempfile::tempdir().unwrap();
    let one = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let two = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let web = machine(&one, "web-0");
    assert!(!place.path().join("requests.log").exists(), "nobody asked for it");
    one.log_requests().unwrap();
    let path = format!("/linode/instances/{}", web["id"]);
    ok(&two, "GET", "/linode/instances", &Value::Null);
    group(&one);
    two.lose("linode:us-east", LostHow::Hang).unwrap();
    one.lose("aws:us-east-1", LostHow::Refuse).unwrap();
    one.handle(&request("PUT", &path, &json!({ "label": "web-1" })));
    dynamodb(&two, "us-east-1", "DescribeTable", &json!({ "TableName": "shop" }));
    let mut filtered = request("GET", "/account/events", &Value::Null);
    let filter = json!({ "entity.type": "linode", "entity.id": web["id"] });
    filtered.headers.push(("x-filter".into(), filter.to_string()));
    two.handle(&filtered);
    two.probe(&SandboxProbe::Tcp { host: web["ipv4"][0].as_str().unwrap().into(), port: 22 });
    let log = one.requests().unwrap();
    let told: Vec<String> = log.received.iter().map(ToString::to_string).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told[0], "GET /v4/linode/instances 200");
    assert_eq!(told[1], "CreateTable us-east-1 shop [aws:us-east-1] 200");
    let last = [
        format!("PUT /v4{path} [linode:us-east] hung"),
        "DescribeTable us-east-1 shop [aws:us-east-1] closed".to_owned(),
        "GET /v4/account/events [linode:us-east] 200".to_owned(),
        format!("PROBE {}:22 [linode:us-east] timeout", web["ipv4"][0].as_str().unwrap()),
    ];
    assert_eq!(told[told.len() - 4..], last);
    let mutating: Vec<bool> =
        log.received[log.received.len() - 4..].iter().map(Received::is_mutating).collect();
    assert_eq!(mutating, [true, false, false, false]);

    one.stop_logging().unwrap();
    ok(&two, "GET", "/linode/instances", &Value::Null);
    assert_eq!(one.requests().unwrap(), log, "what is in it stays");
    one.log_requests().unwrap();
    assert!(two.requests().unwrap().received.is_empty(), "a new log is empty");
}

/// A log that told every name on each line would be full after a thousand requests.
#[test]
fn log_requests_is_short_when_users_do_not_move() {
    let place = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    let zone = ok(&sandbox, "POST", "/domains", &zone)["id"].clone();
    for number in 0..50 {
        let name = format!("shop-{number}");
        let record = json!({ "type": "A", "name": name, "target": "198.18.0.200" });
        ok(&sandbox, "POST", &format!("/domains/{zone}/records"), &record);
    }
    sandbox.log_requests().unwrap();
    for _ in 0..20 {
        ok(&sandbox, "GET", "/domains", &Value::Null);
    }
    let log = std::fs::read_to_string(place.path().join("requests.log")).unwrap();
    let longest = log.lines().skip(1).map(str::len).max().unwrap();
    assert_eq!(log.lines().count(), 20);
    assert!(longest < 300, "{longest} bytes: {log}");
}

#[test]
fn overview_is_grouped_by_fault_domain() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    assert_eq!(sandbox.overview().unwrap(), json!({}));
    machine(&sandbox, "web-0");
    group(&sandbox);
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    ok(&sandbox, "POST", "/domains", &zone);
    sandbox.lose("linode:us-east", LostHow::Hang).unwrap();
    sandbox.destroy("linode:us-east", Some("web-0")).unwrap();
    let shown = sandbox.overview().unwrap();
    let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aws:eu-west-1", "aws:us-east-1", "linode:global", "linode:us-east"]);
    let east = &shown["linode:us-east"];
    assert_eq!(east["lost"], "since 2026-01-01T00:01:15Z (0s ago): calls hang");
    assert_eq!(east["gone_when_it_heals"], json!(["web-0"]));
    assert_eq!(east["instances"][0]["label"], "web-0");
    assert_eq!(shown["linode:global"]["domains"][0]["domain"], "example.com");
    assert_eq!(shown["aws:eu-west-1"]["tables"]["shop"]["replicas"]["us-east-1"], "ACTIVE");
}
