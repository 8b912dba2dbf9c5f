//! Machines: what is refused, how they come up, and that one job runs at a time.

use serde_json::{Value, json};

use super::{Bench, told};
use crate::linode::data::catalog::{plan_number, types};
use lifeboat_core::kinds::builtin;

#[test]
fn create_instance_refuses_all_mistakes_at_once() {
    let mut bench = Bench::new();
    bench.machine("us-east", "taken");
    bench.check(&[
        ("POST /linode/instances", json!({}), "400 region: region is required | type: type is required"),
        (
            "POST /linode/instances",
            json!({ "region": "nowhere", "type": "g6-nope", "label": "TAKEN", "image": "linode/nope" }),
            "400 region: region is not valid | type: A valid plan type by that ID was not found \
             | label: Label must be unique among your linodes | image: image is not valid \
             | Must provide valid root_pass, authorized_keys, or authorized_users",
        ),
        (
            "POST /linode/instances",
            json!({ "region": "us-east", "type": "g6-nanode-1", "label": 7, "tags": "x", "booted": "yes" }),
            "400 label: label must be a string | tags: tags must be an array of strings \
             | booted: booted must be a boolean",
        ),
        (
            "POST /linode/instances",
            json!({ "region": "us-east", "type": "g6-nanode-1", "label": "web", "tags": ["ok"] }),
            "400 tags: Length must be 3-50 characters",
        ),
        (
            "POST /linode/instances",
            json!({ "region": "us-east", "type": "g6-nanode-1", "image": "linode/debian12", "root_pass": "short" }),
            "400 root_pass: Password does not meet strength requirement",
        ),
        (
            "POST /linode/instances",
            json!({ "region": "us-east", "type": "g6-nanode-1", "metadata": { "user_data": "not base64!" } }),
            "400 metadata.user_data: user_data must be a valid base64 encoded string",
        ),
        ("POST /linode/instances", json!({ "region": "us-east", "type": "g6-nanode-1", "paint": "red" }), "200"),
        ("GET /linode/instances/1", Value::Null, "404 Not found"),
        ("GET /linode/instances/abc", Value::Null, "404 Not found"),
    ]);
}

#[test]
fn create_instance_provisions_boots_and_runs_as_time_passes() {
    let mut bench = Bench::new();
    let made = bench.machine("us-east", "web-0");
    let path = format!("/linode/instances/{}", made["id"]);
    assert_eq!(
        told(&made, &["status", "label", "type", "image", "has_user_data"]),
        r#""provisioning" "web-0" "g6-nanode-1" "linode/debian12" false"#
    );
    assert_eq!(made["ipv4"].to_string(), r#"["198.18.0.10","192.168.128.10"]"#);
    let mut seen = Vec::new();
    for _ in 0..16 {
        let status = bench.get(&path)["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        bench.later(5);
    }
    assert_eq!(seen, ["provisioning", "booting", "running"]);
    let events = bench.get("/account/events");
    let lines: Vec<String> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| told(it, &["action", "status"]))
        .collect();
    assert_eq!(lines, [r#""linode_boot" "finished""#, r#""linode_create" "finished""#]);
}

#[test]
fn create_instance_stays_off_without_an_image_or_boot() {
    let mut bench = Bench::new();
    let bare =
        bench.ok("POST /linode/instances", &json!({ "region": "us-east", "type": "g6-nanode-1" }));
    assert_eq!(bare["label"], json!(format!("linode{}", bare["id"])));
    let off = bench.ok(
        "POST /linode/instances",
        &json!({
            "region": "us-east", "type": "g6-nanode-1", "image": "linode/debian12", "booted": false,
            "authorized_users": ["me"],
        }),
    );
    bench.later(120);
    for made in [&bare, &off] {
        let path = format!("/linode/instances/{}", made["id"]);
        assert_eq!(bench.get(&path)["status"], "offline");
    }
    assert_eq!(
        bench.said(&format!("POST /linode/instances/{}/boot", bare["id"]), &Value::Null),
        "400 The Linode has no configuration profiles to boot."
    );
}

#[test]
fn shutdown_is_refused_while_another_job_runs() {
    let mut bench = Bench::new();
    let id = bench.machine("us-east", "web-0")["id"].clone();
    let path = format!("/linode/instances/{id}");
    let shutdown = format!("POST {path}/shutdown");
    let mut when_running = None;
    for second in 0..90 {
        let running = bench.get(&path)["status"] == "running";
        let said = bench.said(&shutdown, &Value::Null);
        if running && when_running.is_none() {
            assert_eq!(said, "400 Linode busy.", "running shows before the job has ended");
            when_running = Some(second);
        }
        if said == "200" {
            assert_eq!(second - when_running.unwrap(), 5);
            break;
        }
        assert_eq!(said, "400 Linode busy.");
        bench.later(1);
    }
    assert_eq!(bench.get(&path)["status"], "shutting_down");
    // What is no job is accepted meanwhile.
    bench.check(&[
        (&format!("PUT {path}"), json!({ "label": "web-1", "tags": ["lb:shop"] }), "200"),
        (&format!("POST {path}/ips"), json!({ "type": "ipv4", "public": true }), "200"),
        (&format!("POST {path}/reboot"), Value::Null, "400 Linode busy."),
        (&format!("DELETE {path}"), Value::Null, "200"),
        (&format!("GET {path}"), Value::Null, "404 Not found"),
        (&format!("DELETE {path}"), Value::Null, "404 Not found"),
    ]);
}

#[test]
fn resize_and_rebuild_check_and_change_a_machine() {
    let mut bench = Bench::new();
    let id = bench.machine("us-east", "web-0")["id"].clone();
    let path = format!("/linode/instances/{id}");
    bench.later(120);
    bench.check(&[
        (
            &format!("POST {path}/resize"),
            json!({ "type": "g6-nanode-1" }),
            "400 Linode is already running this service plan.",
        ),
        (
            &format!("POST {path}/resize"),
            json!({ "type": "nope" }),
            "400 type: A valid plan type by that ID was not found",
        ),
        (
            &format!("POST {path}/resize"),
            json!({ "type": "g7-premium-2" }),
            "400 type: This plan is not available in this region",
        ),
        (&format!("POST {path}/resize"), json!({ "type": "g6-standard-2" }), "200"),
        (&format!("POST {path}/boot"), Value::Null, "400 Linode busy."),
    ]);
    assert_eq!(told(&bench.get(&path), &["status", "type"]), r#""resizing" "g6-nanode-1""#);
    bench.later(300);
    assert_eq!(told(&bench.get(&path), &["status", "type"]), r#""running" "g6-standard-2""#);
    bench.check(&[
        (
            &format!("POST {path}/resize"),
            json!({ "type": "g6-nanode-1" }),
            "400 Linode has allocated more disk than the new service plan allows. Delete or resize disks smaller.",
        ),
        (
            &format!("POST {path}/rebuild"),
            json!({ "root_pass": "correct horse" }),
            "400 You must specify an image",
        ),
    ]);
    let rebuilt = bench.ok(
        &format!("POST {path}/rebuild"),
        &json!({
            "image": "linode/ubuntu24.04", "root_pass": "correct horse", "metadata": { "user_data": "Y29vbA==" },
        }),
    );
    assert_eq!(
        told(&rebuilt, &["status", "image", "has_user_data"]),
        r#""rebuilding" "linode/ubuntu24.04" true"#
    );
    assert!(!rebuilt.to_string().contains("Y29vbA"), "write-only inputs never come back");
    assert_eq!(bench.world.show(bench.now)["linode"]["instances"][0]["user_data"], "cool");
}

#[test]
fn allocate_ip_gives_one_private_address_per_machine() {
    let mut bench = Bench::new();
    let one = bench.machine("us-east", "one");
    let two = bench.machine("us-east", "two");
    let far = bench.machine("eu-west", "far");
    assert_eq!(one["ipv4"][1], "192.168.128.10");
    assert_eq!(two["ipv4"][1], "192.168.128.11");
    assert_eq!(far["ipv4"][1], "192.168.128.10");
    let call = format!("POST /linode/instances/{}/ips", one["id"]);
    bench.check(&[
        (
            &call,
            json!({ "type": "ipv4", "public": false }),
            "400 Linode already has a private IP address.",
        ),
        (
            &call,
            json!({ "type": "ipv6", "public": true }),
            "400 Only addresses of type ipv4 are currently supported.",
        ),
    ]);
    let path = format!("/linode/instances/{}/ips", two["id"]);
    let bare = bench.get(&path);
    assert_eq!(bare["ipv4"]["private"][0]["address"], "192.168.128.11");
    bench.ok(&format!("DELETE /linode/instances/{}", one["id"]), &Value::Null);
    let said =
        bench.said(&format!("DELETE {path}/{}", two["ipv4"][0].as_str().unwrap()), &Value::Null);
    assert_eq!(said, "400 Linode must have at least one public IPv4 address.");
}

/// A wrong size would plan a resize that is refused, or a replace for nothing.
#[test]
fn types_have_the_disks_that_the_kind_knows() {
    let catalog = builtin();
    let attribute = catalog.get("linode.instance").unwrap().attribute("type").unwrap();
    let told = attribute.on_shrink.as_ref().unwrap().of.clone();
    let disk = |plan: &Value| {
        let id = plan["id"].as_str().unwrap();
        (id.to_owned(), plan_number(id, "disk") / 1_024)
    };
    assert_eq!(told, types().iter().map(disk).collect());
}
