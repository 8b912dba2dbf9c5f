//! Attributes in, requests out, for the shapes that the kinds use.

use serde_json::{Value as Json, json};

use super::{RestCall, Routes};
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Secret, Value};

fn kind(name: &str) -> Kind {
    crate::kinds::builtin().kinds[name].clone()
}

fn attributes(json: &Json) -> Attributes {
    match Value::from_json(json) {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn shown(call: Result<RestCall, String>) -> String {
    match call {
        Ok(call) => format!(
            "{} {} {}",
            call.method,
            call.path,
            call.body.map(|it| it.to_string()).unwrap_or_default()
        ),
        Err(why) => format!("refused: {why}"),
    }
}

fn created(kind: &Kind, given: &Json, mark: Option<&str>) -> String {
    shown(Routes::of(kind).unwrap().create(&attributes(given), mark))
}

fn updated(kind: &Kind, given: &Json, group: &str, changed: &[&str], mark: Option<&str>) -> String {
    let changed: Vec<String> = changed.iter().map(|it| (*it).to_owned()).collect();
    shown(Routes::of(kind).unwrap().update("7", &attributes(given), group, &changed, mark))
}

#[test]
fn create_sends_nested_encoded_and_numeric_members() {
    let given = json!({
        "region": "us-east", "type": "g6-nanode-1", "image": null, "label": "web-0", "tags": ["shop"],
        "private_ip": true, "user_data": "#cloud-config\n", "booted": true, "firewall": "12", "root_pass": null,
    });
    insta::assert_snapshot!(created(&kind("linode.instance"), &given, Some("lb:shop:abcdefgh2345")), @r#"POST /linode/instances {"region":"us-east","type":"g6-nanode-1","label":"web-0","tags":["shop","lb:shop:abcdefgh2345"],"private_ip":true,"metadata":{"user_data":"I2Nsb3VkLWNvbmZpZwo="},"booted":true,"firewall_id":12}"#);
}

#[test]
fn create_exposes_a_secret_in_the_body_and_refuses_a_fingerprint() {
    let kind = kind("linode.instance");
    let mut given = attributes(&json!({ "region": "us-east", "type": "g6-nanode-1" }));
    given.insert("root_pass".into(), Value::Secret(Secret::new("hunter2".into())));
    let call = Routes::of(&kind).unwrap().create(&given, None).unwrap();
    assert_eq!(call.body.unwrap()["root_pass"], "hunter2");
    given.insert("root_pass".into(), Value::Fingerprint("abc".into()));
    insta::assert_snapshot!(shown(Routes::of(&kind).unwrap().create(&given, None)), @"refused: the value of `root_pass` is not known in this run; give it again");
    given.insert("root_pass".into(), Value::Open);
    insta::assert_snapshot!(shown(Routes::of(&kind).unwrap().create(&given, None)), @"refused: the value of `root_pass` is not known yet");
}

#[test]
fn update_sends_what_changed_and_resets_what_was_unset() {
    let kind = kind("linode.instance");
    let given = json!({ "label": "web-1", "tags": null, "region": "us-east" });
    insta::assert_snapshot!(updated(&kind, &given, "", &["label", "tags"], Some("lb:s:abcdefgh2345")), @r#"PUT /linode/instances/7 {"label":"web-1","tags":["lb:s:abcdefgh2345"]}"#);
    insta::assert_snapshot!(updated(&kind, &given, "", &["label"], Some("lb:s:abcdefgh2345")), @r#"PUT /linode/instances/7 {"label":"web-1"}"#);
}

#[test]
fn update_sends_each_group_of_an_instance() {
    let kind = kind("linode.instance");
    let given = json!({ "type": "g6-standard-1", "booted": false, "backups_enabled": true, "firewall": "12" });
    insta::assert_snapshot!(updated(&kind, &given, "resize", &["type"], None), @r#"POST /linode/instances/7/resize {"allow_auto_disk_resize":true,"migration_type":"cold","type":"g6-standard-1"}"#);
    insta::assert_snapshot!(updated(&kind, &given, "power", &["booted"], None), @"POST /linode/instances/7/shutdown {}");
    insta::assert_snapshot!(updated(&kind, &given, "backups", &["backups_enabled"], None), @"POST /linode/instances/7/backups/enable {}");
    insta::assert_snapshot!(updated(&kind, &given, "firewalls", &["firewall"], None), @r#"PUT /linode/instances/7/firewalls {"firewall_ids":[12]}"#);
    insta::assert_snapshot!(updated(&kind, &json!({ "firewall": null }), "firewalls", &["firewall"], None), @r#"PUT /linode/instances/7/firewalls {"firewall_ids":[]}"#);
    insta::assert_snapshot!(updated(&kind, &given, "nonsense", &["type"], None), @"refused: linode.instance has no way `nonsense` of updating");
}

#[test]
fn create_and_update_send_the_rules_of_a_firewall_whole() {
    let kind = kind("linode.firewall");
    let rule = json!({ "action": "ACCEPT", "label": "web", "protocol": "TCP", "ports": "80", "description": null });
    let given = json!({
        "label": "wall", "inbound": [rule], "outbound": [], "inbound_policy": "DROP", "outbound_policy": "ACCEPT",
        "status": "disabled", "tags": [],
    });
    insta::assert_snapshot!(created(&kind, &given, None), @r#"POST /networking/firewalls {"label":"wall","rules":{"inbound_policy":"DROP","outbound_policy":"ACCEPT","inbound":[{"action":"ACCEPT","label":"web","ports":"80","protocol":"TCP"}],"outbound":[]},"tags":[]}"#);
    insta::assert_snapshot!(updated(&kind, &given, "rules", &["inbound_policy"], None), @r#"PUT /networking/firewalls/7/rules {"inbound_policy":"DROP","outbound_policy":"ACCEPT","inbound":[{"action":"ACCEPT","label":"web","ports":"80","protocol":"TCP"}],"outbound":[]}"#);
    insta::assert_snapshot!(updated(&kind, &given, "", &["status"], None), @r#"PUT /networking/firewalls/7 {"status":"disabled"}"#);
}

#[test]
fn create_and_delete_put_parents_into_the_path() {
    let node = json!({ "config": "3", "config.nodebalancer": "2", "label": "a", "address": "192.168.130.1:80" });
    insta::assert_snapshot!(created(&kind("linode.nodebalancer_node"), &node, None), @r#"POST /nodebalancers/2/configs/3/nodes {"label":"a","address":"192.168.130.1:80"}"#);
    insta::assert_snapshot!(created(&kind("linode.nodebalancer_node"), &json!({ "config": "3" }), None), @"refused: `config.nodebalancer` of this linode.nodebalancer_node is unknown");
    let kind = kind("linode.domain_record");
    let odd = attributes(&json!({ "domain": "a/b?c" }));
    insta::assert_snapshot!(shown(Routes::of(&kind).unwrap().delete("7", &odd)), @"DELETE /domains/a%2Fb%3Fc/records/7");
}

#[test]
fn update_sends_a_certificate_and_its_key_together() {
    let kind = kind("linode.nodebalancer_config");
    let given =
        json!({ "nodebalancer": "2", "protocol": "https", "ssl_cert": "CERT", "ssl_key": "KEY" });
    insta::assert_snapshot!(updated(&kind, &given, "", &["ssl_cert"], None), @r#"PUT /nodebalancers/2/configs/7 {"ssl_cert":"CERT","ssl_key":"KEY"}"#);
    let given =
        json!({ "nodebalancer": "2", "protocol": "http", "ssl_cert": null, "ssl_key": null });
    insta::assert_snapshot!(updated(&kind, &given, "", &["protocol", "ssl_cert", "ssl_key"], None), @r#"PUT /nodebalancers/2/configs/7 {"protocol":"http","ssl_cert":null,"ssl_key":null}"#);
}

#[test]
fn whole_answer_makes_rules_a_part_of_the_firewall() {
    let kind = kind("linode.firewall");
    let routes = Routes::of(&kind).unwrap();
    let answer = routes.whole_answer("rules", json!({ "inbound_policy": "DROP" }));
    assert_eq!(answer, Some(json!({ "rules": { "inbound_policy": "DROP" } })));
    assert_eq!(routes.whole_answer("", json!({ "id": 1 })), Some(json!({ "id": 1 })));
}

#[test]
fn update_attaches_and_detaches_a_volume_by_different_routes() {
    let kind = kind("linode.volume");
    let given =
        json!({ "region": "us-east", "label": "data", "size": 40, "linode": "12", "tags": [] });
    insta::assert_snapshot!(created(&kind, &given, None), @r#"POST /volumes {"region":"us-east","label":"data","size":40,"linode_id":12,"tags":[]}"#);
    insta::assert_snapshot!(updated(&kind, &given, "attach", &["linode"], None), @r#"POST /volumes/7/attach {"linode_id":12}"#);
    insta::assert_snapshot!(updated(&kind, &json!({ "linode": null }), "detach", &["linode"], None), @"POST /volumes/7/detach {}");
    insta::assert_snapshot!(updated(&kind, &given, "resize", &["size"], None), @r#"POST /volumes/7/resize {"size":40}"#);
}
