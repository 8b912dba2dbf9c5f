//! What is run is what is shown: saved plans that somebody edited, and made a new digest for.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::Home;

const STACK: &str = "stack: safe
resources:
  sessions:
    kind: dynamodb.table
    region: us-east-1
    name: safe_sessions
    attributes: { session: S }
    hash_key: session
    billing_mode: PAY_PER_REQUEST
    deletion_protection: true
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
";

/// A home with the stack applied, and an empty plan saved.
fn home() -> Home {
    let home = Home::holding("safe", STACK);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.sandbox(&["plan", "safe", "--out", "p.json"]).code(0).done();
    home
}

/// The saved plan with something else in it, and a digest and a summary that agree with that.
fn tamper(home: &Home, edit: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(home.path("p.json")).unwrap();
    let mut saved: Value = serde_json::from_str(&text).unwrap();
    edit(&mut saved);
    let digest = Sha256::digest(saved["plan"].to_string().as_bytes());
    saved["digest"] = json!(format!("sha256:{}", data_encoding::HEXLOWER.encode(&digest)));
    home.write("edited.json", saved.to_string());
}

fn step(id: usize) -> Value {
    json!({
        "id": id, "address": "sessions", "kind": "dynamodb.table", "waits": [], "lane": null, "segment": 1, "weight": 1,
        "call": { "type": "delete", "deposed": false }
    })
}

#[track_caller]
fn nothing_goes(home: &Home) {
    home.requests().mutating().none();
    home.sandbox(&["plan", "safe", "--detailed-exitcode"]).code(0).shows(&["No changes"]).done();
}

#[test]
fn apply_refuses_steps_that_no_shown_change_asks_for() {
    let home = home();
    home.log_requests();
    tamper(&home, |it| {
        it["plan"]["steps"] = json!([step(0)]);
        it["summary"]["steps"] = json!(1);
    });
    let why = "step 0 would delete `sessions`";
    home.run(&["show", "edited.json"]).code(1).says(&[why]).done();
    home.sandbox(&["apply", "edited.json", "--yes"]).code(1).says(&[why]).done();
    nothing_goes(&home);
}

#[test]
fn apply_refuses_a_shown_change_that_no_plan_would_make_now() {
    let home = home();
    home.log_requests();
    let delete = |it: &mut Value| {
        it["plan"]["steps"] = json!([step(0)]);
        it["summary"]["steps"] = json!(1);
        let changes = it["plan"]["changes"].as_array_mut().unwrap();
        let table = changes.iter_mut().find(|it| it["address"] == "sessions").unwrap();
        table["action"] = json!("delete");
        it["summary"]["delete"] = json!(1);
        it["summary"]["unchanged"] = json!(1);
    };
    tamper(&home, delete);
    home.run(&["show", "edited.json"]).code(0).shows(&["sessions", "1 to delete"]).done();
    let now = "`sessions`: delete in the plan, no-op now";
    home.sandbox(&["apply", "edited.json", "--yes"]).code(3).says(&["stale", now]).done();
    // What guards let through is read from the file as well; nobody asked for a deletion.
    tamper(&home, |it| {
        delete(it);
        it["plan"]["allowed"] = json!({ "delete": ["sessions"], "destroys": 9, "outage": true });
    });
    home.sandbox(&["apply", "edited.json", "--yes"]).code(3).says(&["stale", now]).done();
    nothing_goes(&home);
}

/// The world may have moved on though nothing that binds the plan has.
#[test]
fn apply_refuses_a_saved_plan_after_the_clouds_have_changed() {
    let home = home();
    let more = format!(
        "{STACK}  www: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: www, target: 192.0.2.1 }}\n"
    );
    home.stack("safe", more);
    home.sandbox(&["plan", "safe", "--out", "p.json"]).code(0).done();
    let zone = home.linode("GET", "/domains", &Value::Null)["data"][0]["id"].clone();
    home.linode("PUT", &format!("/domains/{zone}"), &json!({ "soa_email": "dns@example.com" }));
    home.log_requests();
    let refused = home.sandbox(&["apply", "p.json", "--yes"]).code(3);
    refused.says(&["`zone`: no-op in the plan, update now"]).done();
    home.requests().mutating().none();
}
