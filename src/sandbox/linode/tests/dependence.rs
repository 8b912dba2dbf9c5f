//! Which calls a lost fault domain takes with it: all that name something of it.

use serde_json::{Value, json};

use super::Bench;
use crate::faults::state::LostHow;
use crate::world::core::SandboxReply;

fn hangs(bench: &mut Bench, call: &str, body: &Value) -> bool {
    matches!(bench.reply(call, body, &[]), SandboxReply::Hang)
}

/// A balancer with one config, and the config.
fn balancer(bench: &mut Bench, region: &str, label: &str) -> (Value, Value) {
    let body = json!({ "region": region, "label": label, "configs": [{}] });
    let id = bench.ok("POST /nodebalancers", &body)["id"].clone();
    let configs = bench.get(&format!("/nodebalancers/{id}/configs"));
    (id, configs["data"][0]["id"].clone())
}

#[test]
fn lose_takes_calls_that_name_its_machines_or_region() {
    let mut bench = Bench::new();
    let here = bench.machine("us-east", "here")["id"].clone();
    let there = bench.machine("eu-west", "there")["id"].clone();
    let (lb, config) = balancer(&mut bench, "us-east", "here");
    let on = |region: &str| json!({ "region": region, "label": "data" });
    let near = bench.ok("POST /volumes", &on("us-east"))["id"].clone();
    let far = bench.ok("POST /volumes", &on("eu-west"))["id"].clone();
    bench.world.faults.lose(0, "linode:us-east", LostHow::Hang);
    for (call, body, expected) in [
        (format!("GET /linode/instances/{here}"), Value::Null, true),
        (format!("POST /linode/instances/{here}/boot"), Value::Null, true),
        (format!("GET /linode/instances/{there}"), Value::Null, false),
        ("GET /linode/instances".into(), Value::Null, false),
        ("POST /linode/instances".into(), json!({ "region": "us-east" }), true),
        ("POST /nodebalancers".into(), json!({ "region": "us-east" }), true),
        ("POST /nodebalancers".into(), json!({ "region": "eu-west" }), false),
        ("GET /nodebalancers".into(), Value::Null, false),
        (format!("GET /nodebalancers/{lb}/configs"), Value::Null, true),
        (format!("POST /nodebalancers/{lb}/configs"), json!({ "port": 81 }), true),
        (format!("GET /nodebalancers/{lb}/configs/{config}/nodes"), Value::Null, true),
        (format!("DELETE /nodebalancers/{lb}/configs/{config}"), Value::Null, true),
        ("GET /volumes".into(), Value::Null, false),
        (format!("GET /volumes/{near}"), Value::Null, true),
        (format!("GET /volumes/{far}"), Value::Null, false),
        (format!("POST /volumes/{far}/attach"), json!({ "linode_id": here }), true),
        ("POST /volumes".into(), json!({ "label": "more", "linode_id": here }), true),
    ] {
        assert_eq!(hangs(&mut bench, &call, &body), expected, "{call} {body}");
    }
}

#[test]
fn lose_takes_firewalls_and_nodes_of_its_region() {
    let mut bench = Bench::new();
    let machine = bench.machine("us-east", "here");
    let here = &machine["id"];
    let (lb, _) = balancer(&mut bench, "us-east", "here");
    let (living, alive) = balancer(&mut bench, "eu-west", "there");
    let six = machine["ipv6"].as_str().unwrap().trim_end_matches("/128");
    let rules = json!({ "inbound_policy": "DROP", "outbound_policy": "ACCEPT" });
    let body = json!({ "label": "wall", "rules": rules, "devices": { "linodes": [here] } });
    let wall = bench.ok("POST /networking/firewalls", &body)["id"].clone();
    let devices = format!("/networking/firewalls/{wall}/devices");
    let device = bench.get(&devices)["data"][0]["id"].clone();
    bench.world.faults.lose(0, "linode:us-east", LostHow::Hang);
    for (call, body, expected) in [
        ("GET /networking/firewalls".into(), Value::Null, false),
        (format!("GET /networking/firewalls/{wall}"), Value::Null, false),
        (format!("GET /networking/firewalls/{wall}/devices"), Value::Null, false),
        (format!("GET /networking/firewalls/{wall}/devices/{device}"), Value::Null, true),
        (format!("DELETE /networking/firewalls/{wall}/devices/{device}"), Value::Null, true),
        (
            format!("POST /networking/firewalls/{wall}/devices"),
            json!({ "type": "linode", "id": here }),
            true,
        ),
        (
            "POST /networking/firewalls".into(),
            json!({ "devices": { "nodebalancers": [lb] } }),
            true,
        ),
        // A machine of the lost region behind a balancer of a living one.
        (
            format!("POST /nodebalancers/{living}/configs/{alive}/nodes"),
            json!({ "label": "far", "address": format!("[{six}]:80") }),
            true,
        ),
        (
            format!("POST /nodebalancers/{living}/configs/{alive}/rebuild"),
            json!({ "nodes": [{ "label": "far", "address": format!("[{six}]:80") }] }),
            true,
        ),
        (
            format!("POST /nodebalancers/{living}/configs/{alive}/nodes"),
            json!({ "label": "near", "address": "192.168.128.9:80" }),
            false,
        ),
    ] {
        assert_eq!(hangs(&mut bench, &call, &body), expected, "{call} {body}");
    }
}

#[test]
fn lose_can_refuse_or_answer_503_and_take_what_is_global() {
    let mut bench = Bench::new();
    let here = bench.machine("us-east", "here")["id"].clone();
    bench.world.faults.lose(0, "linode:us-east", LostHow::Unavailable);
    assert_eq!(
        bench.said(&format!("GET /linode/instances/{here}"), &Value::Null),
        "503 Service Unavailable"
    );
    bench.world.faults.lose(0, "linode:global", LostHow::Refuse);
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "a@example.com" });
    assert!(matches!(bench.reply("POST /domains", &zone, &[]), SandboxReply::Closed));
    for (call, body, closed) in [
        ("GET /domains", Value::Null, false),
        ("GET /profile", Value::Null, false),
        ("GET /profile/sshkeys", Value::Null, false),
        ("POST /profile/sshkeys", json!({}), true),
        ("GET /domains/1/records", Value::Null, true),
        ("POST /nodebalancers", json!({ "region": "eu-west", "firewall_id": 1 }), true),
        ("POST /nodebalancers", json!({ "region": "eu-west" }), false),
    ] {
        let reply = bench.reply(call, &body, &[]);
        assert_eq!(matches!(reply, SandboxReply::Closed), closed, "{call} {body}");
    }
    bench.world.faults.heal(None);
    bench.ok("POST /domains", &zone);
}
