//! Firewalls and keys: echoed rules, versions, devices.

use serde_json::{Value, json};

use super::Bench;

fn rules(ports: &str) -> Value {
    json!({
        "inbound": [{
            "action": "ACCEPT", "label": "web-in", "protocol": "TCP", "ports": ports,
            "addresses": { "ipv4": ["0.0.0.0/0"] },
        }],
        "inbound_policy": "DROP", "outbound": null, "outbound_policy": "ACCEPT",
    })
}

#[test]
fn update_rules_steps_the_version_only_when_they_differ() {
    let mut bench = Bench::new();
    let made = bench
        .ok("POST /networking/firewalls", &json!({ "label": "front", "rules": rules("80,443") }));
    let path = format!("/networking/firewalls/{}", made["id"]);
    let mut kept = made["rules"].clone();
    kept.as_object_mut().unwrap().retain(|key, _| key != "version" && key != "fingerprint");
    assert_eq!(kept, rules("80,443"));
    let first = made["rules"]["fingerprint"].clone();
    assert_eq!(first.as_str().unwrap().len(), 8);
    let put =
        |bench: &mut Bench, ports: &str| bench.ok(&format!("PUT {path}/rules"), &rules(ports));
    let same = put(&mut bench, "80,443");
    assert_eq!((&same["version"], &same["fingerprint"]), (&json!(1), &first));
    let other = put(&mut bench, "22");
    assert_eq!(other["version"], 2);
    assert_ne!(other["fingerprint"], first);
    assert_eq!(put(&mut bench, "80,443")["fingerprint"], first, "a pure function of the rules");
    let off =
        bench.ok(&format!("PUT {path}"), &json!({ "status": "disabled", "tags": ["lb:shop"] }));
    assert_eq!((&off["status"], &off["rules"]["version"]), (&json!("disabled"), &json!(3)));
}

#[test]
fn create_firewall_and_ssh_key_refuse_mistakes() {
    let mut bench = Bench::new();
    bench.ok("POST /networking/firewalls", &json!({ "label": "front", "rules": rules("80") }));
    let post = "POST /networking/firewalls";
    bench.check(&[
        (post, json!({}), "400 label: label is required | rules: rules is required"),
        (
            post,
            json!({ "label": "Front", "rules": rules("80") }),
            "400 label: Label must be unique among your Cloud Firewalls",
        ),
        (
            post,
            json!({ "label": "back", "rules": {} }),
            "400 rules.inbound_policy: inbound_policy is required \
             | rules.outbound_policy: outbound_policy is required",
        ),
        (
            post,
            json!({ "label": "back", "rules": rules("080") }),
            "400 rules.inbound[0].ports: Must be 1-65535",
        ),
        (
            post,
            json!({ "label": "back", "rules": rules("90-80") }),
            "400 rules.inbound[0].ports: Port range must be ascending numbers from 1 to 65535",
        ),
        (
            "POST /profile/sshkeys",
            json!({ "label": "me", "ssh_key": "nonsense" }),
            "400 ssh_key: SSH Key contains invalid data.",
        ),
    ]);
}

#[test]
fn create_device_lasts_until_the_firewall_is_deleted() {
    let mut bench = Bench::new();
    let firewall =
        bench.ok("POST /networking/firewalls", &json!({ "label": "front", "rules": rules("80") }));
    let path = format!("/networking/firewalls/{}", firewall["id"]);
    let machine = bench.ok(
        "POST /linode/instances",
        &json!({ "region": "us-east", "type": "g6-nanode-1", "label": "web", "firewall_id": firewall["id"] }),
    );
    let balancer = bench.ok("POST /nodebalancers", &json!({ "region": "us-east", "label": "lbl" }));
    let device = bench.ok(
        &format!("POST {path}/devices"),
        &json!({ "id": balancer["id"], "type": "nodebalancer" }),
    );
    assert_eq!(device["entity"]["url"], json!(format!("/v4/nodebalancers/{}", balancer["id"])));
    let entities = bench.get(&path)["entities"].clone();
    let kinds: Vec<&str> =
        entities.as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["linode", "nodebalancer"]);
    let of_machine = format!("/linode/instances/{}/firewalls", machine["id"]);
    assert_eq!(bench.get(&of_machine)["data"][0]["label"], "front");
    let again = bench
        .said(&format!("POST {path}/devices"), &json!({ "id": machine["id"], "type": "linode" }));
    assert!(again.starts_with("400 id: Linode"), "{again}");
    bench.ok(&format!("PUT {of_machine}"), &json!({ "firewall_ids": [] }));
    assert_eq!(bench.get(&of_machine)["results"], 0);
    bench.ok(&format!("DELETE {path}"), &Value::Null);
    assert!(bench.world.linode.devices.is_empty(), "deleting with devices attached detaches them");
}
