//! One world in a folder: several handles, kill and reopen, reset, compaction.

use std::time::Duration;

use serde_json::{Value, json};

use super::{machine, manual, ok};
use crate::faults::state::LostHow;
use crate::linode::RateLimits;
use crate::{Sandbox, SandboxOptions};

fn labels(sandbox: &Sandbox) -> Vec<String> {
    let list = ok(sandbox, "GET", "/linode/instances", &Value::Null);
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["label"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn open_of_one_folder_twice_is_one_world() {
    let place = tempfile::tempdir().unwrap();
    let one = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let two = Sandbox::open(Some(place.path()), &SandboxOptions::default()).unwrap();
    assert!(two.is_manual(), "a world keeps the clock it was born with");
    let a = machine(&one, "web-a");
    let b = machine(&two, "web-b");
    let c = machine(&one, "web-c");
    assert_eq!(labels(&one), ["web-a", "web-b", "web-c"]);
    assert_eq!(labels(&two), ["web-a", "web-b", "web-c"]);
    let ids: Vec<u64> = [&a, &b, &c].iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [80_000_001, 80_000_002, 80_000_003], "no id is given twice");
    assert_ne!(a["ipv4"], b["ipv4"]);

    one.advance(Duration::from_mins(2)).unwrap();
    let path = format!("/linode/instances/{}", b["id"]);
    assert_eq!(ok(&two, "GET", &path, &Value::Null)["status"], "running", "time passes for both");
    two.lose("linode:us-east", LostHow::Hang).unwrap();
    assert!(one.handle(&super::request("GET", &path, &Value::Null)).answer().is_none());
    one.heal(None).unwrap();

    ok(&two, "DELETE", &path, &Value::Null);
    assert_eq!(labels(&one), ["web-a", "web-c"]);
    drop((one, two));
    let again = Sandbox::open(Some(place.path()), &SandboxOptions::default()).unwrap();
    assert_eq!(labels(&again), ["web-a", "web-c"]);
}

#[test]
fn open_in_several_threads_loses_no_write() {
    let place = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let place = place.path();
            scope.spawn(move || {
                let sandbox = Sandbox::open(Some(place), &manual()).unwrap();
                sandbox.set_limits(&RateLimits::lifted()).unwrap();
                for number in 0..25 {
                    let body =
                        json!({ "region": "us-east", "label": format!("lb-{writer}-{number}") });
                    ok(&sandbox, "POST", "/nodebalancers", &body);
                }
            });
        }
    });
    let sandbox = Sandbox::open(Some(place.path()), &manual()).unwrap();
    assert_eq!(ok(&sandbox, "GET", "/nodebalancers", &Value::Null)["results"], 100);
}

#[test]
fn reset_empties_the_world_for_everyone_and_keeps_its_clock() {
    let place = tempfile::tempdir().unwrap();
    let one = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let two = Sandbox::open(Some(place.path()), &manual()).unwrap();
    machine(&one, "web-a");
    one.advance(Duration::from_mins(1)).unwrap();
    let now = one.now();
    assert!(!two.is_empty().unwrap());
    one.reset().unwrap();
    assert!(two.is_empty().unwrap());
    assert_eq!((two.now(), two.show().unwrap()), (now, json!({})));
    machine(&two, "web-a");
    assert_eq!(labels(&one), ["web-a"]);
}

#[test]
fn open_folds_a_long_log_without_anyone_noticing() {
    let place = tempfile::tempdir().unwrap();
    let one = Sandbox::open(Some(place.path()), &manual()).unwrap();
    let two = Sandbox::open(Some(place.path()), &manual()).unwrap();
    one.set_limits(&RateLimits::lifted()).unwrap();
    let made = machine(&one, "web-a");
    let path = format!("/linode/instances/{}/rebuild", made["id"]);
    let body = json!({
        "image": "linode/debian12", "root_pass": "correct horse", "booted": false,
        "metadata": { "user_data": "QUJD".repeat(10_000) },
    });
    let log = place.path().join("world.log");
    let mut longest = 0;
    for _ in 0..120 {
        one.advance(Duration::from_secs(200)).unwrap();
        ok(&one, "POST", &path, &body);
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(
        longest < 5 * 1024 * 1024 && place.path().join("world.json").exists(),
        "{longest} bytes"
    );
    machine(&two, "web-b");
    assert_eq!(labels(&one), ["web-a", "web-b"]);
}

#[test]
fn open_refuses_a_world_of_another_version_with_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    drop(Sandbox::open(Some(place.path()), &manual()).unwrap());
    let log = place.path().join("world.log");
    let text = std::fs::read_to_string(&log).unwrap() + "[[\"linode.teapots\",\"1\",{}]]\n";
    std::fs::write(&log, text).unwrap();
    let error = Sandbox::open(Some(place.path()), &manual()).err().unwrap().to_string();
    assert!(error.contains("linode.teapots") && error.contains("sandbox reset"), "{error}");
    std::fs::write(place.path().join("world.json"), "not even JSON").unwrap();
    assert!(Sandbox::open(Some(place.path()), &manual()).is_err());
    Sandbox::wipe(place.path()).unwrap();
    assert!(Sandbox::open(Some(place.path()), &manual()).unwrap().is_empty().unwrap());
}
