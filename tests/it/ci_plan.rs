//! `ci plan`: one comment for each stack on each code host, whatever goes wrong; nothing of a fork is stored.

use serde_json::{Value, json};

use crate::ci_server::{HEAD, Host, Kind, MERGED, TOKEN};
use crate::harness::{Home, Output};

const STACK: &str = "stack: safe
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
";

const MORE: &str = "stack: safe
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1 }
";

const MARKER: &str = "<!-- lifeboat:plan safe -->\n";

/// Applied, and then a record is written into the stack.
pub(crate) fn home() -> Home {
    let home = Home::holding("safe", STACK);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", MORE);
    home
}

fn plan(home: &Home) -> Output {
    let output = home.sandbox(&["ci", "plan", "safe"]);
    assert!(!output.stdout.contains(TOKEN) && !output.stderr.contains(TOKEN), "{output}");
    output
}

fn is_stored(home: &Home) -> bool {
    let plans = std::fs::read_dir(home.state_folder("safe").join("plans"));
    plans.is_ok_and(|it| it.count() > 0)
}

#[test]
fn plan_keeps_one_comment_on_each_code_host() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (host, mut home) = (Host::new(kind), home());
        host.says("people", "please review");
        host.says(
            "stranger",
            &format!("{MARKER}<!-- lifeboat:run {HEAD} 999.1 applied -->\nall is well"),
        );
        host.says("people", "soon");
        host.pull_job(&mut home, 70);
        plan(&home)
            .code(0)
            .shows(&["1 to create"])
            .says(&["stored for review as sha256:", "commented in #5"])
            .done();
        let body = host.own_comment();
        assert!(body.starts_with(&format!("{MARKER}<!-- lifeboat:run {HEAD} 70.")), "{body}");
        for part in
            ["**safe: planned**", "commit `1111111111`", "stored for review as `sha256:", "www"]
        {
            assert!(body.contains(part), "{part:?} in {body}");
        }
        assert!(is_stored(&home));
        // The next push: mistakes, and then none.
        home.stack("safe", MORE.replace("target", "tarqet"));
        host.pull_job(&mut home, 71);
        plan(&home).code(1).says(&["updated the comment in #5", "tarqet"]).done();
        let body = host.own_comment();
        assert!(
            body.contains("**safe: invalid**") && body.contains("did you mean `target`?"),
            "{body}"
        );
        home.stack("safe", STACK);
        host.pull_job(&mut home, 72);
        plan(&home).code(0).done();
        assert!(host.own_comment().contains("No changes"), "{}", host.own_comment());
        assert_eq!(host.comments().len(), 4, "the stranger's comment stays as it is");
        assert!(host.comments()[1].body.contains("all is well"));
    }
}

#[test]
fn plan_tells_the_summary_of_the_job_as_well() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.pull_job(&mut home, 70);
    home.write("summary.md", "what an earlier step says\n");
    plan(&home).code(0).done();
    let summary = std::fs::read_to_string(home.path("summary.md")).unwrap();
    assert!(
        summary.starts_with("what an earlier step says\n<!-- lifeboat:plan safe -->"),
        "{summary}"
    );
    assert!(summary.contains("www"), "{summary}");
}

#[test]
fn plan_of_a_fork_stores_nothing() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (host, mut home) = (Host::new(kind), home());
        host.fork_job(&mut home, 70);
        plan(&home).code(0).says(&["commented in #5"]).done();
        assert!(
            host.own_comment().contains("not stored: it comes from the fork"),
            "{}",
            host.own_comment()
        );
        // The token of a job of a fork may only read: that is no failure.
        host.delete_comments();
        host.breaks("POST", "/5/", 403, 1);
        plan(&home)
            .code(0)
            .says(&["not posted in #5", "answered 403"])
            .shows(&["1 to create"])
            .done();
        assert!(!is_stored(&home));
    }
}

/// Without secrets there is no plan; that the layers are valid can be said all the same.
#[test]
fn plan_of_a_fork_without_credentials_validates() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.fork_job(&mut home, 70);
    home.run(&["ci", "plan", "safe"]).code(0).says(&["validated, and not planned"]).done();
    let body = host.own_comment();
    assert!(body.contains("validated, and not planned: a fork gets no secrets"), "{body}");
    home.stack("safe", MORE.replace("target", "tarqet"));
    home.run(&["ci", "plan", "safe"]).code(1).done();
    host.pull_job(&mut home, 71);
    home.run(&["ci", "plan", "safe"]).code(1).done();
}

#[test]
fn plan_marks_lines_and_writes_sarif() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    home.stack("safe", MORE.replace("target", "tarqet"));
    host.pull_job(&mut home, 70);
    let output = home.sandbox(&["ci", "plan", "safe", "--sarif", "found.sarif"]).code(1);
    let marked: Vec<&str> = output.stdout.lines().filter(|it| it.starts_with("::error ")).collect();
    assert!(!marked.is_empty(), "{output}");
    assert!(marked[0].starts_with("::error file=stacks/safe/stack.yaml,line=4,col="), "{output}");
    let sarif: Value =
        serde_json::from_str(&std::fs::read_to_string(home.path("found.sarif")).unwrap()).unwrap();
    let places = sarif["runs"][0]["results"][0]["locations"][0].to_string();
    assert!(
        places.contains("stacks/safe/stack.yaml") && places.contains("\"startLine\":4"),
        "{places}"
    );
    // Where nobody reads such lines there are none.
    home.unset("GITHUB_ACTIONS");
    let output = home.sandbox(&["ci", "plan", "safe", "--host", "github"]).code(1);
    assert!(!output.stdout.contains("::error"), "{output}");
}

fn git(home: &Home, words: &[&str]) {
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let mut git = std::process::Command::new("git");
    git.arg("-C").arg(home.path("")).args(who).args(words).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let told = git.output().unwrap();
    assert!(told.status.success(), "{words:?}: {}", String::from_utf8_lossy(&told.stderr));
}

/// What a reviewer cannot see in a plan.
#[test]
fn plan_tells_what_a_change_does_to_the_audit_and_the_policies() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    let rules = "policies:
  small: { deny: '${plan.summary.create > 3}', message: too many }
  never: { deny: '${plan.summary.delete > 0}', message: no }
";
    let more = format!("{MORE}  lb: {{ kind: linode.nodebalancer, region: us-east }}\n");
    home.stack("safe", format!("{more}{rules}"));
    home.write(".gitignore", "/state\n");
    for words in
        [&["init", "--quiet", "-b", "main"][..], &["add", "."], &["commit", "--quiet", "-m", "one"]]
    {
        git(&home, words);
    }
    host.pull_job(&mut home, 70);
    plan(&home).code(0).done();
    let body = host.own_comment();
    assert!(!body.contains("this change"), "it changes nothing: {body}");
    git(&home, &["checkout", "--quiet", "-b", "change"]);
    let weaker = rules.replace("> 3", "> 30").replace("  never:", "  rarely:");
    home.stack("safe", format!("{more}{weaker}"));
    home.overlay("safe", "eu", "overlay: eu\nassumes_lost: ['linode:us-east']\n");
    git(&home, &["add", "."]);
    git(&home, &["commit", "--quiet", "-m", "two"]);
    host.pull_job(&mut home, 71);
    plan(&home).code(0).says(&["policies: this change removes `never`"]).done();
    let body = host.own_comment();
    for part in [
        "policies: this change removes `never`, changes `small` and adds `rarely`",
        "audit: this change adds ",
        "in `eu`",
    ] {
        assert!(body.contains(part), "{part:?} in {body}");
    }
    // A shallow clone has no other commit, and a folder may be no clone at all.
    let unknown = home.sandbox(&["ci", "plan", "safe", "--base", &"0".repeat(40)]).code(0);
    unknown.says(&["not compared with where it branched off", "fetch-depth: 0"]).done();
    std::fs::remove_dir_all(home.path(".git")).unwrap();
    let none = home.sandbox(&["ci", "plan", "safe", "--base", "main"]).code(0);
    none.says(&["not compared with where it branched off", "not a git repository"]).done();
}

/// An overlay that is not active, and that a failover would need.
#[test]
fn plan_is_invalid_where_the_overlay_of_a_failover_is() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    home.overlay("safe", "eu", "assumes_lost: ['linode:us-east']\nresources: { gone: null }\n");
    host.pull_job(&mut home, 70);
    plan(&home).code(1).says(&["stacks/safe/overlays/eu.yaml:"]).done();
    let body = host.own_comment();
    assert!(body.contains("**safe: invalid**") && body.contains("overlays/eu.yaml"), "{body}");
    assert!(!is_stored(&home));
}

#[test]
fn plan_writes_the_counts_for_the_widget_of_gitlab() {
    let (host, mut home) = (Host::new(Kind::GitLab), home());
    host.pull_job(&mut home, 70);
    home.sandbox(&["ci", "plan", "safe", "--gitlab-report", "plan.json"]).code(0).done();
    let report = std::fs::read_to_string(home.path("plan.json")).unwrap();
    assert_eq!(report, r#"{"create":1,"update":0,"delete":0}"#);
}

#[test]
fn plan_that_nobody_can_read_fails_and_is_stored() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.pull_job(&mut home, 70);
    host.breaks("POST", "/comments", 403, 1);
    plan(&home)
        .code(1)
        .says(&[
            "nobody can review this there",
            "answered 403",
            "`permissions: { pull-requests: write }`",
        ])
        .done();
    assert!(is_stored(&home));
    assert!(std::fs::read_to_string(home.path("summary.md")).unwrap().contains("www"));
    home.unset("GITHUB_TOKEN");
    plan(&home).code(1).says(&["GITHUB_TOKEN is not set", "github.token"]).done();
    assert!(host.comments().is_empty());
}

#[test]
fn plan_outlasts_a_bad_gateway_and_makes_no_second_comment() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.pull_job(&mut home, 70);
    host.breaks("GET", "/comments", 502, 1);
    plan(&home).code(0).done();
    host.pull_job(&mut home, 71);
    host.breaks("PATCH", "/comments", 502, 1);
    plan(&home).code(0).says(&["updated the comment in #5"]).done();
    // Whether a comment was made is looked up.
    host.delete_comments();
    host.breaks("POST", "/comments", 502, 1);
    let before = host.asked("POST", "/comments");
    plan(&home).code(0).says(&["commented in #5"]).done();
    assert_eq!(host.asked("POST", "/comments"), before + 2, "it was not made, and is made once");
    host.own_comment();
}

#[test]
fn plan_of_a_commit_that_is_outdated_stores_nothing_and_leaves_the_newer_comment() {
    let newer = "3333333333333333333333333333333333333333";
    let (host, mut home) = (Host::new(Kind::Gitea), home());
    host.pull_is(newer, true);
    host.pull_job(&mut home, 70);
    // There is no comment yet: this one says that it is outdated.
    plan(&home).code(0).done();
    let body = host.own_comment();
    assert!(body.contains("**Outdated:**") && body.contains("not stored"), "{body}");
    host.delete_comments();
    host.says(
        "gitea-actions",
        &format!("{MARKER}<!-- lifeboat:run {newer} 69.1 planned -->\nthe newer one"),
    );
    plan(&home)
        .code(0)
        .says(&["not posted in #5: the pull request is at the commit 3333333333"])
        .done();
    assert!(host.own_comment().contains("the newer one"));
    assert!(!is_stored(&home));
    // A job of a pull request that was merged is run again: its comment says what became of it.
    host.pull_is(HEAD, false);
    plan(&home).code(0).says(&["not posted: #5 is merged or closed"]).done();
    assert!(host.own_comment().contains("the newer one"));
    let summary = std::fs::read_to_string(home.path("summary.md")).unwrap();
    assert!(summary.contains("not stored: the pull request is merged or closed"), "{summary}");
    assert!(!is_stored(&home));
}

#[test]
fn plan_that_a_guard_refuses_is_posted_and_not_stored() {
    let table = "stack: safe
resources:
  orders: { kind: dynamodb.table, region: us-east-1, name: safe_orders, attributes: { id: S }, hash_key: id, billing_mode: PAY_PER_REQUEST }
";
    let (host, mut home) = (Host::new(Kind::GitHub), Home::holding("safe", table));
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", "stack: safe\nresources: {}\n");
    host.pull_job(&mut home, 70);
    plan(&home).code(3).shows(&["::error "]).done();
    let body = host.own_comment();
    assert!(body.contains("**safe: refused**") && body.contains("a guard refused it"), "{body}");
    assert!(!is_stored(&home));
}

/// Nobody reads the plan of a push before it runs.
#[test]
fn plan_outside_of_a_pull_request_stores_nothing() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.push_job(&mut home, 70);
    plan(&home).code(0).says(&["not posted: this job is of no pull request"]).done();
    assert!(!is_stored(&home) && host.comments().is_empty());
}

#[test]
fn plan_prints_what_it_would_post_where_there_is_no_code_host() {
    let home = home();
    for more in [&[][..], &["--host", "none"]] {
        let output = home.sandbox(&[&["ci", "plan", "safe"], more].concat()).code(0);
        assert!(output.stdout.starts_with(MARKER), "{output}");
        output.shows(&["**safe: planned**", "## Plan: 1 to create"]).done();
    }
    assert!(is_stored(&home));
    home.sandbox(&["ci", "plan", "safe", "--host", "github"])
        .code(64)
        .says(&["GITHUB_REPOSITORY is not set", "--host none"])
        .done();
}

/// What comes from outside mentions nobody.
#[test]
fn plan_mentions_nobody_in_its_comment() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    home.stack("safe", MORE.replace("type: A", "type: A, 'x @admins': 1"));
    host.pull_job(&mut home, 70);
    plan(&home).code(1).says(&["@admins"]).done();
    let body = host.own_comment();
    // In a span of code nobody is mentioned either.
    let outside = body.split('`').step_by(2).collect::<String>();
    assert!(body.contains("admins") && !outside.contains("@admins"), "{body}");
}

/// What has no room is counted; the summary of the job has room for more.
#[test]
fn plan_of_a_large_stack_fits_into_a_comment() {
    let records = "  www: { kind: linode.domain_record, count: 600, domain: '${zone}', type: A, name: 'www${each.index}', target: 192.0.2.1 }\n";
    for (kind, most) in [(Kind::GitHub, 65_536), (Kind::Gitea, 65_535)] {
        let (host, mut home) =
            (Host::new(kind), Home::holding("safe", format!("{STACK}{records}")));
        host.pull_job(&mut home, 70);
        plan(&home).code(0).done();
        let body = host.own_comment();
        assert!(body.len() <= most && body.contains("**Cut to fit:**"), "{}", body.len());
        let summary = std::fs::read_to_string(home.path("summary.md")).unwrap();
        assert!(summary.len() > most && summary.len() <= 1 << 20, "{}", summary.len());
    }
}

/// A force push goes back to an earlier commit, whose job is run again: its plan is the one that is read.
#[test]
fn plan_of_the_commit_that_the_pull_request_has_is_always_told() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    let other = "3333333333333333333333333333333333333333";
    let me = "github-actions[bot]";
    host.says(
        me,
        &format!("{MARKER}<!-- lifeboat:run {other} 99.1 planned -->\nof another commit"),
    );
    host.pull_job(&mut home, 70);
    plan(&home).code(0).says(&["updated the comment in #5"]).done();
    assert!(host.own_comment().contains("www") && is_stored(&home));
}

/// Two are open at once, and each is told of its own.
#[test]
fn plan_of_one_pull_request_leaves_the_comment_of_another_alone() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.pull_job(&mut home, 70);
    plan(&home).code(0).says(&["commented in #5"]).done();
    let first = host.comment_of(5);
    let other = "4444444444444444444444444444444444444444";
    host.opens(6, other);
    home.write(
        "event.json",
        json!({ "pull_request": { "number": 6, "head": { "sha": other, "repo": { "full_name": "shop/infra" } } } })
            .to_string(),
    );
    plan(&home).code(0).says(&["commented in #6"]).done();
    assert_eq!(host.comment_of(5), first);
    assert!(host.comment_of(6).contains("commit `4444444444`"), "{}", host.comment_of(6));
    host.merges(6, MERGED);
    plan(&home).code(0).says(&["not posted: #6 is merged or closed"]).done();
}

/// A fork cannot read the store, and what is in its files is looked at all the same.
#[test]
fn plan_of_a_fork_is_invalid_where_its_layers_are_though_the_state_is_out_of_reach() {
    let store = "state: { s3: { bucket: shop-state, endpoint: 'http://127.0.0.1:1', fault_domain: local } }\n";
    let (host, mut home) =
        (Host::new(Kind::GitHub), Home::holding("safe", format!("{MORE}{store}")));
    host.fork_job(&mut home, 70);
    home.run(&["ci", "plan", "safe"]).code(0).says(&["validated, and not planned"]).done();
    home.stack("safe", format!("{}{store}", MORE.replace("target", "tarqet")));
    home.run(&["ci", "plan", "safe"]).code(1).says(&["tarqet"]).done();
    assert!(host.own_comment().contains("**safe: invalid**"), "{}", host.own_comment());
    home.stack("safe", format!("{MORE}{store}"));
    home.overlay("safe", "eu", "assumes_lost: ['linode:us-east']\nresources: { gone: null }\n");
    home.run(&["ci", "plan", "safe"]).code(1).says(&["overlays/eu.yaml:"]).done();
}
