//! `plan --store`, `apply --reviewed`, `approve DIGEST`: what was reviewed runs, as much of it or less, and nothing else.

use serde_json::json;

use crate::harness::{Home, Output};

const STACK: &str = "stack: safe
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  mail: { kind: linode.domain, domain: example.org, soa_email: ops@example.org }
";

const WITH_RECORDS: &str = "stack: safe
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  mail: { kind: linode.domain, domain: example.org, soa_email: ops@example.org }
  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1 }
  mx: { kind: linode.domain_record, domain: '${mail}', type: MX, name: '', target: mail.example.net, priority: 10 }
";

/// Applied, and then two records are written into the stack.
fn home() -> Home {
    let home = Home::holding("safe", STACK);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", WITH_RECORDS);
    home
}

/// The digest that a message names behind these words.
fn digest_after(output: &Output, words: &str) -> String {
    let at = output.stderr.find(words).unwrap_or_else(|| panic!("{output}")) + words.len();
    let rest = &output.stderr[at..];
    let end =
        rest.find(|it: char| !(it.is_ascii_alphanumeric() || it == ':')).unwrap_or(rest.len());
    rest[..end].to_owned()
}

#[test]
fn apply_reviewed_runs_what_was_stored_and_then_what_is_left_of_it() {
    let home = home();
    home.sandbox(&["plan", "safe", "--store"])
        .code(0)
        .says(&["stored for review as sha256:", "`lifeboat apply safe --reviewed --sandbox`"])
        .done();
    // Another commit: nothing that the stack reads.
    home.write("README.md", "unrelated");
    home.fault("POST /domains 500 times=100000");
    home.sandbox(&["apply", "safe", "--reviewed"]).code(1).says(&["reviewed: plan sha256:"]).done();
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).says(&["nothing to do"]).done();
}

#[test]
fn apply_reviewed_runs_nothing_that_nobody_stored_until_its_digest_is_approved() {
    let home = home();
    home.log_requests();
    let refused = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    let refused = refused.says(&["this plan was not reviewed", "`lifeboat approve safe sha256:"]);
    let digest = digest_after(&refused, "`lifeboat approve safe ");
    // It is stored, and not reviewed by that.
    let again = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    again.says(&[&format!("plan {digest} was not reviewed")]).done();
    home.requests().mutating().none();
    home.sandbox(&["approve", "safe", &digest[..20], "--because", "read in the meeting"])
        .code(0)
        .says(&["2 to create", &digest])
        .done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
}

/// Where users were when it was reviewed may be why it was right, and a failback does not bring the review back.
#[test]
fn apply_reviewed_refuses_what_was_reviewed_before_a_failover() {
    let record = "  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1 }\n";
    let home = Home::holding("safe", format!("{STACK}{record}"));
    home.overlay("safe", "eu", "overlay: eu\nresources: { www: { target: 192.0.2.2 } }\n");
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", format!("{STACK}{record}  new: {{ kind: linode.domain, domain: example.net, soa_email: ops@example.com }}\n"));
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    home.sandbox(&["failover", "safe", "--to", "eu", "--planned", "--yes"]).code(0).done();
    home.sandbox(&["failback", "safe", "--yes"]).code(0).done();
    let refused = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    refused.says(&["a switch has begun since then", "`lifeboat approve safe sha256:"]).done();
    // Reviewed after it, the same plan runs.
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
}

const TABLE: &str = "  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id }\n";

/// A table made anew has the ID of the one before it: the review was of that one.
#[test]
fn apply_reviewed_deletes_no_table_that_was_made_since() {
    let with = format!("{STACK}{TABLE}");
    let home = Home::holding("safe", &with);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", STACK);
    let store = ["plan", "safe", "--store", "--allow-delete", "orders"];
    home.sandbox(&store).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
    home.stack("safe", &with);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", STACK);
    home.sandbox(&["apply", "safe", "--reviewed"]).code(3).says(&["nothing was changed"]).done();
    // The same after a destroy, which nobody has to review.
    home.sandbox(&store).code(0).done();
    home.sandbox(&["destroy", "safe", "--yes"]).code(0).done();
    home.stack("safe", &with);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", STACK);
    home.sandbox(&["apply", "safe", "--reviewed"]).code(3).done();
    // And where somebody else has made it.
    home.sandbox(&store).code(0).done();
    let again = json!({
        "TableName": "orders",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    home.dynamodb("us-east-1", "DeleteTable", &json!({ "TableName": "orders" }));
    home.world.advance(std::time::Duration::from_secs(600)).unwrap();
    home.dynamodb("us-east-1", "CreateTable", &again);
    home.world.advance(std::time::Duration::from_secs(600)).unwrap();
    let refused = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    refused.says(&["`orders`: delete was reviewed, and it was changed outside"]).done();
}

/// Somebody changes a zone by hand after the review: to take that back is more than what was shown.
#[test]
fn apply_reviewed_refuses_what_goes_beyond_the_review() {
    let home = home();
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    let zones = home.linode("GET", "/domains", &serde_json::Value::Null);
    let zone = zones["data"].as_array().unwrap().iter().find(|it| it["domain"] == "example.com");
    let path = format!("/domains/{}", zone.unwrap()["id"]);
    home.linode("PUT", &path, &json!({ "soa_email": "dns@example.com" }));
    home.log_requests();
    let refused = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    refused.says(&["`zone`: update was not reviewed"]).done();
    home.requests().mutating().none();
    home.linode("PUT", &path, &json!({ "soa_email": "ops@example.com" }));
    // What was stored since is the newest, and waits for somebody.
    home.sandbox(&["apply", "safe", "--reviewed"]).code(3).says(&["was not reviewed"]).done();
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
}

/// A job of an older commit is run again after a newer one was applied: it takes nothing back.
#[test]
fn apply_reviewed_refuses_an_older_plan_once_a_newer_one_ran() {
    let home = home();
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
    home.stack("safe", STACK);
    home.sandbox(&["plan", "safe", "--store", "--allow-outage"])
        .code(0)
        .shows(&["2 to delete"])
        .done();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
    home.stack("safe", WITH_RECORDS);
    home.log_requests();
    home.sandbox(&["apply", "safe", "--reviewed"]).code(3).says(&["no reviewed plan"]).done();
    home.requests().mutating().none();
}

#[test]
fn apply_reviewed_refuses_layers_that_were_changed_since() {
    let home = home();
    home.sandbox(&["plan", "safe", "--store"]).code(0).done();
    home.stack("safe", format!("{WITH_RECORDS}# one more line\n"));
    let refused = home.sandbox(&["apply", "safe", "--reviewed"]).code(3);
    refused.says(&["no reviewed plan", "made from exactly these layers"]).done();
}

#[test]
fn approve_refuses_a_digest_that_no_stored_plan_has() {
    let home = home();
    home.sandbox(&["approve", "safe", "sha256:0123456789abcdef"])
        .code(3)
        .says(&["no plan of the last 30 days", "`lifeboat plan safe --store --sandbox`"])
        .done();
    // Too short for a digest: the name of a task.
    home.sandbox(&["approve", "safe", "abcdef"]).code(3).says(&["no switch is under way"]).done();
}

#[test]
fn plan_stores_nothing_that_a_guard_refuses() {
    let table = "stack: safe
resources:
  orders: { kind: dynamodb.table, region: us-east-1, name: safe_orders, attributes: { id: S }, hash_key: id, billing_mode: PAY_PER_REQUEST }
";
    let home = Home::holding("safe", table);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", "stack: safe\nresources: {}\n");
    home.sandbox(&["plan", "safe", "--store"])
        .code(3)
        .says(&["not stored: a guard refused"])
        .done();
    assert!(!home.state_folder("safe").join("plans").exists());
}

/// A plan that was made with `--var` is one of other inputs, and the message says so.
#[test]
fn apply_reviewed_names_the_variable_that_differs_from_the_newest_plan() {
    let stack = STACK.replace(
        "resources:",
        "variables: { mail: { type: string, default: ops@example.org } }\nresources:",
    );
    let home = Home::holding("safe", stack.replace("ops@example.org }\n", "'${vars.mail}' }\n"));
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    let other = ["plan", "safe", "--store", "--var", "mail=it@example.org"];
    home.sandbox(&other).code(0).says(&["stored for review"]).done();
    home.stack(
        "safe",
        stack.replace("ops@example.org }\n", "'${vars.mail}' }\n")
            + "outputs: { mail: '${vars.mail}' }\n",
    );
    home.sandbox(&["apply", "safe", "--reviewed"])
        .code(3)
        .says(&[
            "since the newest one, sha256:",
            "the variable `mail` has a different value",
            "stack.yaml has changed",
        ])
        .done();
}
