//! Volumes: made, attached, grown, detached, and left behind by machines.

use serde_json::{Value, json};

use super::{Bench, told};

const SHOWN: &[&str] = &["status", "size", "linode_id", "linode_label", "io_ready"];

fn volume(bench: &mut Bench, body: &Value) -> String {
    format!("/volumes/{}", bench.ok("POST /volumes", body)["id"])
}

fn seen(bench: &mut Bench, path: &str) -> String {
    let body = bench.get(path);
    told(&body, SHOWN)
}

#[test]
fn create_attach_resize_and_detach_volume_take_some_seconds() {
    let mut bench = Bench::new();
    let web = bench.machine("us-east", "web")["id"].clone();
    let path = volume(&mut bench, &json!({ "region": "us-east", "label": "data" }));
    assert_eq!(seen(&mut bench, &path), r#""creating" 20 null null false"#);
    // Recorded: a volume that is still made is attached at once, and can be read from later.
    let made = bench.ok(&format!("POST {path}/attach"), &json!({ "linode_id": web }));
    assert_eq!(told(&made, SHOWN), format!(r#""creating" 20 {web} "web" false"#));
    bench.later(15);
    assert_eq!(seen(&mut bench, &path), format!(r#""active" 20 {web} "web" true"#));
    let of_machine = format!("/linode/instances/{web}/volumes");
    assert_eq!(bench.get(&of_machine)["data"][0]["label"], "data");
    let grown = bench.ok(&format!("POST {path}/resize"), &json!({ "size": 40 }));
    assert_eq!(told(&grown, SHOWN), format!(r#""resizing" 40 {web} "web" true"#));
    bench.later(15);
    assert_eq!(seen(&mut bench, &path), format!(r#""active" 40 {web} "web" true"#));
    assert_eq!(bench.ok(&format!("POST {path}/detach"), &json!({})), json!({}));
    assert_eq!(seen(&mut bench, &path), format!(r#""active" 40 {web} "web" false"#));
    bench.ok(&format!("POST {path}/detach"), &json!({}));
    bench.later(15);
    assert_eq!(seen(&mut bench, &path), r#""active" 40 null null false"#);
    assert_eq!(bench.get(&of_machine)["results"], 0);
    let events = bench.get("/account/events")["data"].clone();
    let of_volumes =
        events.as_array().unwrap().iter().filter(|it| it["entity"]["type"] == "volume");
    let told: Vec<String> = of_volumes.map(|it| told(it, &["action", "status"])).collect();
    let expected = ["detach", "resize", "attach", "create"];
    assert_eq!(told, expected.map(|it| format!(r#""volume_{it}" "finished""#)));
}

#[test]
fn create_and_attach_volume_refuse_mistakes() {
    let mut bench = Bench::new();
    let web = bench.machine("us-east", "web")["id"].clone();
    let far = bench.machine("eu-west", "far")["id"].clone();
    let path = volume(&mut bench, &json!({ "region": "us-east", "label": "data" }));
    let post = "POST /volumes";
    bench.check(&[
        (post, json!({}), "400 label: label is required | Must provide a region or a Linode ID"),
        (
            post,
            json!({ "region": "us-east", "label": "1st", "size": 9 }),
            "400 label: Must begin with a letter | size: Must be 10-16384",
        ),
        (post, json!({ "region": "moon", "label": "data" }), "400 region: region is not valid"),
        (
            post,
            json!({ "region": "us-east", "label": "data", "linode_id": far }),
            "400 linode_id: The Volume and the Linode must be located in the same Region",
        ),
        (
            &format!("POST {path}/attach"),
            json!({ "linode_id": far }),
            "400 linode_id: The Volume and the Linode must be located in the same Region",
        ),
        (
            &format!("POST {path}/attach"),
            json!({ "linode_id": web, "persist_across_boots": false }),
            "400 persist_across_boots: the sandbox does not support persist_across_boots",
        ),
        (
            &format!("POST {path}/resize"),
            json!({ "size": 40 }),
            "400 Only Volumes with a status of active can be resized",
        ),
        (&format!("POST {path}/detach"), json!({}), "400 Volume is not attached to a Linode."),
        (
            &format!("PUT {path}"),
            json!({ "label": "a--b" }),
            "400 label: Must only use ASCII letters, numbers, underscores, and dashes",
        ),
        ("GET /volumes/1", Value::Null, "404 Not found"),
    ]);
    bench.later(15);
    for (size, why) in [
        (20, "Storage volumes can only be resized up"),
        (16_385, "Storage volumes cannot be resized larger than 16384 gigabytes"),
    ] {
        let said = bench.said(&format!("POST {path}/resize"), &json!({ "size": size }));
        assert_eq!(said, format!("400 {why}"));
    }
    bench.ok(&format!("POST {path}/attach"), &json!({ "linode_id": web }));
    let twice = bench.said(&format!("POST {path}/attach"), &json!({ "linode_id": web }));
    assert_eq!(twice, "400 Volume is already attached to a Linode.");
    bench.ok(&format!("DELETE {path}"), &Value::Null);
}

#[test]
fn delete_instance_detaches_its_volumes() {
    let mut bench = Bench::new();
    let web = bench.machine("us-east", "web")["id"].clone();
    let body = json!({ "label": "data", "linode_id": web, "tags": ["shop"] });
    let path = volume(&mut bench, &body);
    assert_eq!(bench.get(&path)["region"], "us-east", "where its machine is");
    assert_eq!(bench.get("/tags/shop")["data"][0]["type"], "volume");
    bench.later(60);
    bench.ok(&format!("DELETE /linode/instances/{web}"), &Value::Null);
    assert_eq!(seen(&mut bench, &path), format!(r#""active" 20 {web} null false"#));
    bench.later(15);
    assert_eq!(seen(&mut bench, &path), r#""active" 20 null null false"#);
    bench.ok("DELETE /tags/shop", &Value::Null);
    assert_eq!(bench.get(&path)["tags"], json!([]));
}
