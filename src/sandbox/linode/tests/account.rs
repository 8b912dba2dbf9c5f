//! Users, addresses and events of the account, and words that were recorded.

use serde_json::{Value, json};

use super::{Bench, told};

fn ordered(user: &str) -> Value {
    json!({
        "region": "us-east", "type": "g6-nanode-1", "image": "linode/debian12", "authorized_users": ["ops", user],
    })
}

#[test]
fn create_instance_takes_keys_of_users_of_the_account_only() {
    let mut bench = Bench::new();
    let order = "POST /linode/instances";
    let said = bench.said(order, &ordered("jane"));
    assert!(said.starts_with("400 authorized_users: jane is not a user of this account"), "{said}");
    let id = bench.ok(order, &ordered("sandbox"))["id"].clone();
    bench.later(200);
    let rebuild = format!("POST /linode/instances/{id}/rebuild");
    let image = |user: &str| json!({ "image": "linode/debian12", "authorized_users": [user] });
    let said = bench.said(&rebuild, &image("jane"));
    assert!(said.starts_with("400 authorized_users: jane"), "{said}");
    let jane = json!({ "username": "jane", "email": "jane@example.com", "restricted": false });
    bench.ok("POST /account/users", &jane);
    bench.ok(order, &ordered("jane"));
    bench.ok(&rebuild, &image("jane"));
    assert_eq!(bench.get("/account/users/jane")["email"], "jane@example.com");
    let names = bench.get("/account/users");
    assert!(names["data"].as_array().unwrap().iter().any(|it| it["username"] == "jane"), "{names}");
    bench.check(&[
        ("POST /account/users", jane, "400 username: Username is already taken"),
        ("GET /account/users/joe", Value::Null, "404 Not found"),
        (
            "POST /account/users",
            json!({ "username": "joe", "email": "joe@example.com", "restricted": true }),
            "400 restricted: the sandbox does not support restricted users here; use `sandbox restrict`",
        ),
    ]);
}

#[test]
fn rebuild_keeps_or_changes_the_encryption_of_disks() {
    let mut bench = Bench::new();
    let id = bench.machine("us-east", "web-0")["id"].clone();
    let path = format!("/linode/instances/{id}");
    let image = json!({ "image": "linode/debian12", "root_pass": "correct horse battery" });
    for (wanted, found) in
        [(Value::Null, "enabled"), ("disabled".into(), "disabled"), (Value::Null, "disabled")]
    {
        bench.later(200);
        let mut body = image.clone();
        body["disk_encryption"] = wanted;
        bench.ok(&format!("POST {path}/rebuild"), &body);
        assert_eq!(bench.get(&path)["disk_encryption"], found);
    }
}

#[test]
fn list_ips_shows_both_families_and_what_is_public() {
    let mut bench = Bench::new();
    let id = bench.machine("us-east", "web-0")["id"].clone();
    let all = bench.get("/networking/ips");
    let types: Vec<&Value> = all["data"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(types, ["ipv4", "ipv4", "ipv6"]);
    let own = bench.get(&format!("/linode/instances/{id}/ips"));
    assert_eq!(told(&own["ipv6"]["link_local"], &["public"]), "false");
    assert_eq!(told(&own["ipv6"]["slaac"], &["public"]), "true");
}

#[test]
fn list_events_names_what_they_are_about() {
    let mut bench = Bench::new();
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    bench.ok("POST /domains", &zone);
    bench.machine("us-east", "web-0");
    bench.later(200);
    let events = bench.get("/account/events");
    let about = |action: &str| {
        let all = events["data"].as_array().unwrap();
        let it = all.iter().find(|it| it["action"] == action).expect(action);
        told(it, &["entity", "secondary_entity"])
    };
    assert!(about("domain_create").contains("example.com"));
    assert!(about("linode_boot").contains(r#""type":"linode_config""#), "{}", about("linode_boot"));
    assert!(about("linode_create").contains(r#""type":"image""#), "{}", about("linode_create"));
}

#[test]
fn update_record_and_refusals_use_the_recorded_words() {
    let mut bench = Bench::new();
    let id = bench.machine("us-east", "web-0")["id"].clone();
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    let zone = bench.ok("POST /domains", &zone)["id"].clone();
    let record = json!({ "type": "A", "name": "shop", "target": "198.18.0.9" });
    let record = bench.ok(&format!("POST /domains/{zone}/records"), &record)["id"].clone();
    let record = format!("/domains/{zone}/records/{record}");
    // The article that describes it calls the field otherwise; the API does not.
    bench.ok(&format!("PUT {record}"), &json!({ "data": "198.18.0.10" }));
    assert_eq!(bench.get(&record)["target"], "198.18.0.9");
    bench.check(&[
        (
            &format!("PUT /linode/instances/{id}"),
            json!({ "maintenance_policy": "never" }),
            "400 maintenance_policy: Unsupported maintenance policy slug format.",
        ),
        (
            "POST /linode/instances",
            json!({ "type": "nope", "region": "nowhere" }),
            "400 region: region is not valid | type: A valid plan type by that ID was not found",
        ),
    ]);
}
