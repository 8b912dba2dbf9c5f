//! Answers in, attributes out, for the shapes that the kinds read.

use serde_json::{Value as Json, json};

use super::{decoded, looked_up, lookups, mark};
use crate::engine::schema::Kind;
use crate::engine::value::Value;

fn kind(name: &str) -> Kind {
    crate::kinds::builtin().kinds[name].clone()
}

fn shown(kind: &Kind, row: &Json) -> String {
    Value::Map(decoded(kind, row)).json().to_string()
}

#[test]
fn decoded_reads_picks_and_paths_of_an_instance_without_its_tag() {
    let row = json!({
        "id": 123, "label": "web-0", "status": "booting", "type": "g6-nanode-1", "region": "us-east", "image": null,
        "ipv4": ["192.168.130.7", "198.18.0.9"], "ipv6": "2001:db8::9/128", "tags": ["shop", "lb:shop:abcdefgh2345"],
        "backups": { "enabled": false, "schedule": {} }, "alerts": { "cpu": 90 }, "has_user_data": true,
    });
    let kind = kind("linode.instance");
    insta::assert_snapshot!(shown(&kind, &row), @r#"{"backups_enabled":false,"booted":true,"id":"123","image":null,"ipv4":"198.18.0.9","ipv6":"2001:db8::9","label":"web-0","private_ipv4":"192.168.130.7","region":"us-east","status":"booting","tags":["shop"],"type":"g6-nanode-1"}"#);
    assert_eq!(mark(&kind, &row).as_deref(), Some("lb:shop:abcdefgh2345"));
}

#[test]
fn decoded_makes_up_nothing_that_an_older_account_does_not_tell() {
    insta::assert_snapshot!(shown(&kind("linode.instance"), &json!({ "id": 1, "status": "offline" })), @r#"{"booted":false,"id":"1","status":"offline"}"#);
}

#[test]
fn decoded_keeps_members_of_rules_that_the_kind_knows() {
    let row = json!({ "rules": {
        "inbound": [{ "action": "ACCEPT", "ports": null, "protocol": "TCP", "ruleset": null, "addresses": { "ipv4": ["0.0.0.0/0"], "ipv6": null } }],
        "inbound_policy": "DROP", "version": 3, "fingerprint": "ab", "outbound": null,
    } });
    insta::assert_snapshot!(shown(&kind("linode.firewall"), &row), @r#"{"inbound":[{"action":"ACCEPT","addresses":{"ipv4":["0.0.0.0/0"]},"protocol":"TCP"}],"inbound_policy":"DROP","outbound":[]}"#);
}

#[test]
fn decoded_reads_no_certificate_and_no_parent() {
    let row = json!({
        "id": 5, "nodebalancer_id": 2, "port": 443, "protocol": "https", "ssl_cert": "<REDACTED>", "ssl_key": "<REDACTED>",
        "ssl_commonname": "example.com", "check_passive": true, "nodes_status": { "up": 1, "down": 0 },
    });
    insta::assert_snapshot!(shown(&kind("linode.nodebalancer_config"), &row), @r#"{"check_passive":true,"id":"5","nodes_status":{"down":0,"up":1},"port":443,"protocol":"https","ssl_commonname":"example.com"}"#);
}

#[test]
fn looked_up_finds_a_firewall_by_kind_and_id() {
    let kind = kind("linode.instance");
    let (name, lookup) = lookups(&kind).next().unwrap();
    assert_eq!(name, "firewall");
    let rows = [
        json!({ "id": 8, "entities": [{ "id": 123, "type": "nodebalancer" }] }),
        json!({ "id": 9, "entities": [{ "id": 7, "type": "linode" }, { "id": 123, "type": "linode" }] }),
    ];
    assert_eq!(looked_up(lookup, &rows, "123"), Value::text("9"));
    assert_eq!(looked_up(lookup, &rows, "1"), Value::Null);
}
