//! NodeBalancers: defaults, what is refused, live status of nodes, rebuild and cascades.

use serde_json::{Value, json};

use super::{Bench, told};
use crate::faults::state::LostHow;

fn balancer(bench: &mut Bench) -> String {
    let made = bench.ok("POST /nodebalancers", &json!({ "region": "us-east" }));
    format!("/nodebalancers/{}", made["id"])
}

#[test]
fn create_nodebalancer_and_config_fill_recorded_defaults() {
    let mut bench = Bench::new();
    let made = bench.ok("POST /nodebalancers", &json!({ "region": "us-east" }));
    assert_eq!(made["label"], json!(format!("balancer{}", made["id"])));
    assert_eq!(made["hostname"], "198-18-0-10.ip.linodeusercontent.com");
    assert!(made["ipv6"].as_str().unwrap().ends_with(":c612:a"), "{}", made["ipv6"]);
    let path = format!("/nodebalancers/{}", made["id"]);
    let config = bench.ok(&format!("POST {path}/configs"), &Value::Null);
    let fields = [
        "port",
        "protocol",
        "check",
        "check_interval",
        "check_timeout",
        "check_attempts",
        "stickiness",
    ];
    assert_eq!(told(&config, &fields), r#"80 "http" "none" 31 30 3 "none""#);
    let udp = bench.ok(&format!("POST {path}/configs"), &json!({ "protocol": "udp" }));
    assert_eq!(
        told(&udp, &["stickiness", "check_passive", "cipher_suite"]),
        r#""session" false "none""#
    );
}

#[test]
fn create_nodebalancer_config_and_node_refuse_mistakes() {
    let mut bench = Bench::new();
    let path = balancer(&mut bench);
    let configs = format!("POST {path}/configs");
    let config = bench.ok(&configs, &json!({ "port": 80 }))["id"].clone();
    let nodes = format!("POST {path}/configs/{config}/nodes");
    bench.check(&[
        ("POST /nodebalancers", json!({}), "400 region: region is required"),
        ("POST /nodebalancers", json!({ "region": "x" }), "400 region: region is not valid"),
        (&configs, json!({}), "400 port: Port must be unique among the configurations of a NodeBalancer"),
        (&configs, json!({ "protocol": "udp" }), "200"),
        (
            &configs,
            json!({ "port": 81, "check_interval": 15, "check_timeout": 15 }),
            "400 check_timeout: check_timeout must be less than check_interval",
        ),
        (
            &configs,
            json!({ "port": 99_999, "check": "http", "algorithm": "magic" }),
            "400 port: Must be 1-65535 | algorithm: Must be one of roundrobin, leastconn, source \
             | check_path: check_path is required",
        ),
        (
            &configs,
            json!({ "port": 443, "protocol": "https" }),
            "400 ssl_cert: ssl_cert is required | ssl_key: ssl_key is required",
        ),
        (&nodes, json!({}), "400 label: label is required | address: address is required"),
        (
            &nodes,
            json!({ "label": "a-node", "address": "192.168.128.10" }),
            "400 address: Must be in address:port format;",
        ),
        (
            &nodes,
            json!({ "label": "a-node", "address": "198.18.0.10:80" }),
            "400 address: Must begin with 192.168",
        ),
        (
            &nodes,
            json!({ "label": "a-node", "address": "192.168.128.10:80", "weight": 0 }),
            "400 weight: Must be 1-255",
        ),
        (
            "POST /nodebalancers",
            json!({ "region": "us-east", "configs": [{ "nodes": [{ "label": "a-node", "address": "8.8.8.8:1" }] }] }),
            "400 configs[0].nodes[0].address: Must begin with 192.168",
        ),
    ]);
}

#[test]
fn get_node_is_up_as_long_as_the_machine_behind_it() {
    let mut bench = Bench::new();
    bench.machine("us-east", "web-0");
    let path = balancer(&mut bench);
    let config = bench.ok(
        &format!("POST {path}/configs"),
        &json!({ "check": "http", "check_path": "/", "check_interval": 15, "check_timeout": 5 }),
    );
    let config = format!("{path}/configs/{}", config["id"]);
    let node = bench.ok(
        &format!("POST {config}/nodes"),
        &json!({ "label": "web-0", "address": "192.168.128.10:8080" }),
    );
    assert_eq!(
        told(&node, &["status", "weight", "mode", "vpc_config_id"]),
        r#""Unknown" 50 "accept" null"#
    );
    let node = format!("{config}/nodes/{}", node["id"]);
    let look = |bench: &mut Bench| {
        let counts = bench.get(&config)["nodes_status"].to_string();
        format!("{} {counts}", bench.get(&node)["status"].as_str().unwrap())
    };
    assert_eq!(look(&mut bench), r#"Unknown {"up":0,"down":1}"#);
    bench.later(10);
    assert_eq!(look(&mut bench), r#"DOWN {"up":0,"down":1}"#);
    bench.later(100);
    assert_eq!(look(&mut bench), r#"UP {"up":1,"down":0}"#);
    bench.world.faults.mark_unhealthy(0, "web-0");
    assert_eq!(look(&mut bench), r#"DOWN {"up":0,"down":1}"#);
    bench.world.faults.heal(Some("web-0"));
    assert_eq!(look(&mut bench), r#"UP {"up":1,"down":0}"#);
    bench.world.faults.lose(0, "linode:us-east", LostHow::Hang);
    assert!(bench.reply(&format!("GET {config}"), &Value::Null, &[]).answer().is_none());
    bench.world.faults.heal(None);
    // With no checks a node is up when its machine runs, and otherwise nobody knows.
    bench.ok(&format!("PUT {config}"), &json!({ "check": "none" }));
    assert_eq!(look(&mut bench), r#"UP {"up":1,"down":0}"#);
    let machine = bench.get("/linode/instances")["data"][0]["id"].clone();
    bench.ok(&format!("DELETE /linode/instances/{machine}"), &Value::Null);
    assert_eq!(look(&mut bench), r#"Unknown {"up":0,"down":1}"#);
}

#[test]
fn rebuild_config_keeps_named_nodes_and_deletes_the_rest() {
    let mut bench = Bench::new();
    let path = balancer(&mut bench);
    let config = bench.ok(
        &format!("POST {path}/configs"),
        &json!({ "nodes": [
            { "label": "one", "address": "192.168.128.10:80" }, { "label": "two", "address": "192.168.128.11:80" },
        ]}),
    );
    let config = format!("{path}/configs/{}", config["id"]);
    let kept = bench.get(&format!("{config}/nodes"))["data"][0]["id"].clone();
    bench.ok(
        &format!("POST {config}/rebuild"),
        &json!({ "port": 8080, "nodes": [
            { "id": kept, "label": "renamed", "address": "192.168.128.10:80" },
            { "label": "new", "address": "192.168.128.12:80" },
        ]}),
    );
    let nodes = bench.get(&format!("{config}/nodes"));
    let labels: Vec<&str> =
        nodes["data"].as_array().unwrap().iter().map(|it| it["label"].as_str().unwrap()).collect();
    assert_eq!((labels, &nodes["data"][0]["id"]), (vec!["renamed", "new"], &kept));
    bench.ok(&format!("DELETE {path}"), &Value::Null);
    assert_eq!(bench.said(&format!("GET {config}"), &Value::Null), "404 Not found");
    assert!(bench.world.linode.nodes.is_empty() && bench.world.linode.configs.is_empty());
}

#[test]
fn create_config_never_shows_certificates_again() {
    let mut bench = Bench::new();
    let path = balancer(&mut bench);
    // DER with a commonName and nothing else is all that is looked at.
    let der = data_encoding::BASE64.encode(b"\x30\x10\x06\x03\x55\x04\x03\x0c\x08shop.tld");
    let body = json!({
        "port": 443, "protocol": "https",
        "ssl_cert": format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----"),
        "ssl_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    });
    let config = bench.ok(&format!("POST {path}/configs"), &body);
    assert_eq!(
        told(&config, &["ssl_cert", "ssl_key", "ssl_commonname"]),
        r#""<REDACTED>" "<REDACTED>" "shop.tld""#
    );
    assert_eq!(config["ssl_fingerprint"].as_str().unwrap().len(), 59);
    let put = format!("PUT {path}/configs/{}", config["id"]);
    bench.check(&[
        (&put, json!({ "check_attempts": 5 }), "200"),
        (&put, json!({ "ssl_cert": "<REDACTED>" }), "400 ssl_cert: must be PEM"),
    ]);
}
