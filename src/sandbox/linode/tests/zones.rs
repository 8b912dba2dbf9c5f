//! Zones and records: what is refused, and what reads back differently from how it was sent.

use serde_json::{Value, json};

use super::{Bench, told};

fn zone(bench: &mut Bench) -> String {
    let body = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    format!("/domains/{}", bench.ok("POST /domains", &body)["id"])
}

#[test]
fn create_domain_is_checked_and_rounded() {
    let mut bench = Bench::new();
    let path = zone(&mut bench);
    bench.check(&[
        ("POST /domains", json!({}), "400 domain: domain is required | type: type is required"),
        (
            "POST /domains",
            json!({ "domain": "example.com", "type": "master" }),
            "400 domain: DNS zone already exists. | soa_email: soa_email required when type=master",
        ),
        (
            "POST /domains",
            json!({ "domain": "two.example", "type": "slave" }),
            "400 master_ips: You need at least one master DNS server IP address for this zone.",
        ),
    ]);
    let seconds = bench
        .ok(&format!("PUT {path}"), &json!({ "ttl_sec": 299, "retry_sec": 301, "tags": null }));
    assert_eq!(told(&seconds, &["ttl_sec", "retry_sec", "expire_sec", "tags"]), "300 3600 0 []");
}

#[test]
fn create_record_reads_back_as_the_server_keeps_it() {
    let mut bench = Bench::new();
    let records = format!("{}/records", zone(&mut bench));
    let fields = ["type", "name", "target", "ttl_sec"];
    for (body, expected) in [
        (
            json!({ "type": "A", "name": "www.example.com", "target": "198.18.0.10", "ttl_sec": 301 }),
            r#""A" "www" "198.18.0.10" 3600"#,
        ),
        (
            json!({ "type": "A", "name": "example.com.", "target": "198.18.0.10" }),
            r#""A" "" "198.18.0.10" 0"#,
        ),
        (
            json!({ "type": "CNAME", "name": "shop", "target": "www.example.com." }),
            r#""CNAME" "shop" "www.example.com" 0"#,
        ),
        (json!({ "type": "MX", "target": "mail.example.com." }), r#""MX" "" "mail.example.com" 0"#),
        (
            json!({
                "type": "SRV", "name": "ignored", "service": "_sip", "protocol": "tcp", "target": "www",
                "priority": 10, "weight": 5, "port": 5060,
            }),
            r#""SRV" "_sip._tcp" "www.example.com" 0"#,
        ),
        (
            json!({ "type": "TXT", "name": "t", "target": "ends with a dot." }),
            r#""TXT" "t" "ends with a dot" 0"#,
        ),
    ] {
        let made = bench.ok(&format!("POST {records}"), &body);
        assert_eq!(told(&made, &fields), expected);
    }
}

#[test]
fn create_record_refuses_a_cname_beside_others() {
    let mut bench = Bench::new();
    let path = zone(&mut bench);
    let post = format!("POST {path}/records");
    let a = bench.ok(&post, &json!({ "type": "A", "name": "www", "target": "198.18.0.10" }))["id"]
        .clone();
    bench.check(&[
        (&post, json!({ "type": "A", "name": "www", "target": "198.18.0.10" }), "200"),
        (
            &post,
            json!({ "type": "CNAME", "name": "WWW", "target": "example.com" }),
            "400 name: Record conflict - CNAMES must be unique",
        ),
        (&post, json!({ "type": "CNAME", "name": "shop", "target": "example.com" }), "200"),
        (
            &post,
            json!({ "type": "TXT", "name": "shop", "target": "x" }),
            "400 name: Record conflict - CNAMES must be unique",
        ),
        (
            &post,
            json!({ "type": "A", "name": "@", "target": "198.18.0.10" }),
            "400 name: Name contains invalid characters | name: Invalid hostname",
        ),
        (
            &post,
            json!({ "type": "SRV", "target": "x" }),
            "400 priority: priority is required | weight: weight is required | port: port is required \
             | service: service is required",
        ),
        (
            &format!("PUT {path}/records/{a}"),
            json!({ "name": "shop" }),
            "400 name: Record conflict - CNAMES must be unique",
        ),
        (&format!("PUT {path}/records/{a}"), json!({ "name": "renamed", "type": "TXT" }), "200"),
    ]);
    let renamed = bench.get(&format!("{path}/records/{a}"));
    assert_eq!(told(&renamed, &["type", "name", "target"]), r#""A" "renamed" "198.18.0.10""#);
    bench.ok(&format!("DELETE {path}"), &Value::Null);
    assert!(bench.world.linode.records.is_empty(), "records go with their zone");
    zone(&mut bench);
}
