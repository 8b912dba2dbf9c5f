//! Our answers have every key, of the same type, that the recorded answers of the real API have.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Bench;

#[derive(Deserialize)]
struct Tape {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Asked,
    response: Got,
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Got {
    body: String,
}

/// The recorded answer to the first call of this method whose path ends like this (`{}` stands for a number).
fn recorded(tape: &str, method: &str, end: &str) -> Value {
    let file = format!("{}/../../tests/fixtures/linode/{tape}.yaml", env!("CARGO_MANIFEST_DIR"));
    let tape: Tape = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let templated = |url: &str| {
        let path = url.split('?').next().unwrap().to_owned();
        let part = |part: &str| {
            if part.parse::<u64>().is_ok() { "{}".to_owned() } else { part.to_owned() }
        };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    };
    let found = tape
        .interactions
        .iter()
        .find(|it| it.request.method == method && templated(&it.request.url).ends_with(end))
        .unwrap_or_else(|| panic!("{method} {end} is not on the tape"));
    serde_json::from_str(&found.response.body).unwrap()
}

/// Every difference in shape; null on either side fits anything, and so does an empty list.
fn differences(place: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                match ours.get(key) {
                    None => found.push(format!("{place}.{key} is missing")),
                    Some(own) => differences(&format!("{place}.{key}"), value, own, found),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            if let (Some(theirs), Some(ours)) = (theirs.first(), ours.first()) {
                differences(&format!("{place}[]"), theirs, ours, found);
            }
        }
        (theirs, ours) if std::mem::discriminant(theirs) == std::mem::discriminant(ours) => {}
        (theirs, ours) => found.push(format!("{place}: {theirs} there, {ours} here")),
    }
}

#[test]
fn linode_answers_have_the_recorded_shape() {
    let mut bench = Bench::new();
    let rule = json!({
        "action": "ACCEPT", "label": "ssh-in", "protocol": "TCP", "ports": "22",
        "addresses": { "ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"] },
    });
    let rules = json!({
        "inbound": [rule], "inbound_policy": "ACCEPT", "outbound": [], "outbound_policy": "ACCEPT",
    });
    let firewall =
        bench.ok("POST /networking/firewalls", &json!({ "label": "front", "rules": rules }));
    let machine = bench.machine("us-east", "web-0");
    let firewall_path = format!("/networking/firewalls/{}", firewall["id"]);
    let device = bench.ok(
        &format!("POST {firewall_path}/devices"),
        &json!({ "id": machine["id"], "type": "linode" }),
    );
    let address = bench.ok(
        &format!("POST /linode/instances/{}/ips", machine["id"]),
        &json!({ "type": "ipv4", "public": true }),
    );
    let configs =
        bench.get(&format!("/linode/instances/{}/configs", machine["id"]))["data"][0].clone();
    let balancer = bench.ok("POST /nodebalancers", &json!({ "region": "us-east" }));
    let path = format!("/nodebalancers/{}/configs", balancer["id"]);
    let config = bench.ok(&format!("POST {path}"), &Value::Null);
    let nodes = format!("{path}/{}/nodes", config["id"]);
    let node = bench
        .ok(&format!("POST {nodes}"), &json!({ "label": "web-0", "address": "192.168.128.10:80" }));
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    let zone = bench.ok("POST /domains", &zone);
    let record = bench.ok(
        &format!("POST /domains/{}/records", zone["id"]),
        &json!({ "type": "A", "name": "a", "target": "198.18.0.10" }),
    );
    let key = json!({ "label": "me", "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@here" });
    let key = bench.ok("POST /profile/sshkeys", &key);

    let mut found = Vec::new();
    for (tape, method, end, ours) in [
        ("TestInstance_CreateUnderFirewall", "POST", "/linode/instances", &machine),
        ("TestInstance_CreateUnderFirewall", "POST", "/configs", &configs),
        ("TestInstance_CreateUnderFirewall", "POST", "/networking/firewalls", &firewall),
        ("TestFirewallDevice_Delete", "POST", "/linode/instances", &machine),
        ("TestFirewallDevice_Delete", "POST", "/devices", &device),
        (
            "TestFirewallRules_Update",
            "GET",
            "/rules",
            &bench.get(&format!("{firewall_path}/rules")),
        ),
        ("ExampleCreateNodeBalancerConfig", "POST", "/nodebalancers", &balancer),
        ("ExampleCreateNodeBalancerConfig", "POST", "/configs", &config),
        ("ExampleCreateNodeBalancerConfig", "GET", "/configs", &bench.get(&path)),
        ("TestNodeBalancer_Rebuild", "POST", "/nodes", &node),
        ("TestNodeBalancer_Rebuild", "GET", "/nodes", &bench.get(&nodes)),
        ("TestNodeBalancer_Rebuild", "POST", "/ips", &address),
        ("TestDomainRecord_Update", "POST", "/domains", &zone),
        ("TestDomainRecord_Update", "POST", "/records", &record),
        ("TestSSHKeys_List", "POST", "/sshkeys", &key),
        ("TestSSHKeys_List", "GET", "/sshkeys", &bench.get("/profile/sshkeys")),
        ("TestAccountSettings_Get", "GET", "/settings", &bench.get("/account/settings")),
        ("TestAccountEvents_List", "GET", "/events", &bench.get("/account/events")),
    ] {
        differences(
            &format!("{tape} {method} {end}"),
            &recorded(tape, method, end),
            ours,
            &mut found,
        );
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn create_and_attach_volume_have_the_recorded_shape() {
    let mut bench = Bench::new();
    let machine = bench.machine("us-east", "web-0");
    let made = json!({ "region": "us-east", "label": "data", "tags": null });
    let made = bench.ok("POST /volumes", &made);
    let path = format!("/volumes/{}", made["id"]);
    let attached = bench.ok(&format!("POST {path}/attach"), &json!({ "linode_id": machine["id"] }));
    let tape = "TestIAM_GetIOReadyForAttachedDetachedVolume";
    let mut found = Vec::new();
    for (method, end, ours) in [
        ("POST", "/volumes", &made),
        ("POST", "/attach", &attached),
        ("GET", "/volumes/{}", &bench.get(&path)),
    ] {
        differences(&format!("{method} {end}"), &recorded(tape, method, end), ours, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}
