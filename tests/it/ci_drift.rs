//! `ci drift`: one issue about what there is to do, opened, updated, and closed.

use serde_json::{Value, json};

use crate::ci_server::{Host, Kind, TOKEN};
use crate::harness::{Home, Output};

const STACK: &str = "stack: safe
objectives: { rto: 1h, rpo: 1h }
resources:
  us: { kind: linode.nodebalancer, region: us-east, label: safe-us }
  eu: { kind: linode.nodebalancer, region: eu-central, label: safe-eu }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${us.ipv4}', ttl_sec: 300 }
";

const STANDBY: &str = "assumes_lost: ['linode:us-east']
resources:
  shop: { target: '${eu.ipv4}', gate: { tcp: '${eu.ipv4}:80', within: 5m } }
";

const DRILL: &str = "workspace: drill
rehearses: eu
resources:
  shop: { name: shop-drill, target: '${eu.ipv4}', gate: { tcp: '${eu.ipv4}:80', within: 5m } }
";

/// Applied, and the audit has nothing to say of it.
fn home() -> Home {
    let home = Home::holding("safe", STACK);
    home.overlay("safe", "eu", STANDBY);
    home.overlay("safe", "drill", DRILL);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home
}

fn drift(home: &Home, more: &[&str]) -> Output {
    let output = home.sandbox(&[&["ci", "drift", "safe"], more].concat());
    assert!(!output.stdout.contains(TOKEN) && !output.stderr.contains(TOKEN), "{output}");
    output
}

/// Somebody changes the zone by hand, or back.
fn by_hand(home: &Home, mail: &str) {
    let zones = home.linode("GET", "/domains", &Value::Null);
    let path = format!("/domains/{}", zones["data"][0]["id"]);
    home.linode("PUT", &path, &json!({ "soa_email": mail }));
}

#[test]
fn drift_opens_one_issue_updates_it_and_closes_it() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (host, mut home) = (Host::new(kind), home());
        host.push_job(&mut home, 70);
        drift(&home, &[]).code(0).says(&["0 resources drifted", "0 audit warnings"]).done();
        assert!(host.issues().is_empty());
        by_hand(&home, "dns@example.com");
        home.log_requests();
        drift(&home, &[]).code(2).says(&["1 resource drifted", "opened the issue #1"]).done();
        home.requests().mutating().none();
        let issues = host.issues();
        assert!(issues[0].is_open && issues[0].body.contains("`zone`: `soa_email`"), "{issues:#?}");
        assert_eq!(issues[0].title, "lifeboat: safe has drifted, or would not recover");
        by_hand(&home, "more@example.com");
        drift(&home, &[]).code(2).says(&["updated the issue #1"]).done();
        by_hand(&home, "ops@example.com");
        drift(&home, &[]).code(0).says(&["closed the issue #1"]).done();
        let issues = host.issues();
        assert!(issues.len() == 1 && !issues[0].is_open, "{issues:#?}");
        let comments = host.comments();
        assert_eq!(comments.len(), 1, "it is closed with a word");
        assert!(comments[0].body.contains("0 resources drifted"), "{comments:#?}");
        // Another time is another issue.
        by_hand(&home, "dns@example.com");
        drift(&home, &[]).code(2).says(&["opened the issue #2"]).done();
    }
}

#[test]
fn drift_counts_findings_and_drills_that_are_too_old() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.push_job(&mut home, 70);
    std::fs::remove_file(home.path("stacks/safe/overlays/drill.yaml")).unwrap();
    let age = ["--drill-max-age", "30d", "--sarif", "found.sarif"];
    drift(&home, &age)
        .code(2)
        .says(&["no drill has passed", "within 30 d", "opened the issue #1"])
        .done();
    let body = host.issues()[0].body.clone();
    assert!(body.contains("### Drills\n\n- no drill has passed"), "{body}");
    assert!(body.contains("### Audit warnings\n\n- `rehearsal-missing`"), "{body}");
    assert!(home.path("found.sarif").is_file());
    assert!(std::fs::read_to_string(home.path("summary.md")).unwrap().contains("### Drills"));
    drift(&home, &["--drill-max-age", "soon"]).code(64).says(&["is not a duration"]).done();
}

#[test]
fn drift_that_nobody_is_told_fails() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.push_job(&mut home, 70);
    by_hand(&home, "dns@example.com");
    host.breaks("POST", "/issues", 403, 1);
    drift(&home, &[]).code(1).says(&["the issue was not written", "issues: write"]).done();
    host.heals();
    // Mistakes in the layers are told there as well.
    home.stack("safe", STACK.replace("soa_email", "soa_emial"));
    drift(&home, &[]).code(1).says(&["opened the issue #1"]).done();
    assert!(host.issues()[0].body.contains("`invalid`"), "{:?}", host.issues());
}

/// What cannot be read closes nothing.
#[test]
fn drift_closes_no_issue_while_something_cannot_be_read() {
    let (host, mut home) = (Host::new(Kind::GitLab), home());
    host.push_job(&mut home, 70);
    by_hand(&home, "dns@example.com");
    drift(&home, &[]).code(2).done();
    by_hand(&home, "ops@example.com");
    home.fault("GET /domains 503 times=100000");
    drift(&home, &[]).code(5).says(&["the issue stays as it is"]).done();
    assert!(host.issues()[0].is_open);
    home.run(&["sandbox", "heal"]).code(0).done();
    drift(&home, &[]).code(0).done();
    assert!(!host.issues()[0].is_open);
}

#[test]
fn drift_prints_what_it_would_post_where_there_is_no_code_host() {
    let home = home();
    by_hand(&home, "dns@example.com");
    let output = drift(&home, &[]).code(2);
    assert!(output.stdout.starts_with("<!-- lifeboat:drift safe -->\n"), "{output}");
    output.shows(&["### Drift: observed differs from recorded", "`zone`: `soa_email`"]).done();
}
