//! `ci apply`: what was reviewed runs, and its pull request says what became of it; a code host changes nothing about that.

use lifeboat::store::state_store::StateStore;

use crate::ci_plan::home;
use crate::ci_server::{Host, Kind, TOKEN};
use crate::harness::{Home, Output};

fn ci(home: &Home, word: &str) -> Output {
    let output = home.sandbox(&["ci", word, "safe"]);
    assert!(!output.stdout.contains(TOKEN) && !output.stderr.contains(TOKEN), "{output}");
    output
}

/// Planned in a pull request, which is merged then.
fn merged(kind: Kind) -> (Host, Home) {
    let (host, mut home) = (Host::new(kind), home());
    host.pull_job(&mut home, 70);
    ci(&home, "plan").code(0).done();
    host.push_job(&mut home, 80);
    (host, home)
}

#[test]
fn apply_says_in_the_merged_pull_request_what_was_done() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (host, home) = merged(kind);
        ci(&home, "apply")
            .code(0)
            .says(&["reviewed: plan sha256:", "updated the comment in #5"])
            .done();
        let body = host.own_comment();
        assert!(
            body.contains("**safe: applied**") && body.contains("commit `2222222222`"),
            "{body}"
        );
        assert!(body.contains("1 step: 1 done") && body.contains("www"), "{body}");
        // Nobody planned again: there is nothing to do.
        ci(&home, "apply").code(0).says(&["nothing to do"]).done();
    }
}

#[test]
fn apply_of_what_nobody_reviewed_posts_the_plan_and_runs_once_it_is_approved() {
    let (host, mut home) = (Host::new(Kind::GitHub), home());
    host.push_job(&mut home, 80);
    home.log_requests();
    let refused = ci(&home, "apply").code(3).says(&["this plan was not reviewed"]);
    home.requests().mutating().none();
    let body = host.own_comment();
    assert!(body.contains("**safe: refused**") && body.contains("no reviewed plan"), "{body}");
    assert!(body.contains("## Plan: 1 to create"), "the plan that waits is shown: {body}");
    let words = "`lifeboat approve safe ";
    let at = body.find(words).unwrap_or_else(|| panic!("{body}\n{refused}")) + words.len();
    let digest: String =
        body[at..].chars().take_while(|it| it.is_ascii_alphanumeric() || *it == ':').collect();
    // It is run again, and nobody has approved it.
    ci(&home, "apply").code(3).says(&["was not reviewed"]).done();
    assert!(host.own_comment().contains(&digest) && host.own_comment().contains("## Plan"));
    home.sandbox(&["approve", "safe", &digest]).code(0).done();
    ci(&home, "apply").code(0).done();
    assert!(host.own_comment().contains("**safe: applied**"));
}

#[test]
fn apply_says_which_steps_were_not_done() {
    let (host, home) = merged(Kind::GitLab);
    home.fault("POST /domains 500 times=100000");
    ci(&home, "apply").code(1).done();
    let body = host.own_comment();
    assert!(body.contains("`www` create: failed") && body.contains("500"), "{body}");
    assert!(!body.contains("**safe: applied**"), "{body}");
    home.run(&["sandbox", "heal"]).code(0).done();
    ci(&home, "apply").code(0).done();
    assert!(host.own_comment().contains("**safe: applied**"));
}

/// The infrastructure was changed; who cannot say so does not change that.
#[test]
fn apply_ends_as_it_went_whatever_the_code_host_says() {
    let (host, mut home) = merged(Kind::GitHub);
    host.breaks("PATCH", "/comments", 403, 1);
    ci(&home, "apply")
        .code(0)
        .says(&["warning: the comment in #5 was not written", "answered 403"])
        .done();
    let summary = std::fs::read_to_string(home.path("summary.md")).unwrap();
    assert!(summary.contains("**safe: applied**"), "{summary}");
    host.breaks("GET", "/pulls", 404, 1);
    ci(&home, "apply")
        .code(0)
        .says(&["warning: not posted: the pull request of this commit"])
        .done();
    home.unset("GITHUB_TOKEN");
    ci(&home, "apply").code(0).says(&["warning: not posted", "GITHUB_TOKEN is not set"]).done();
    assert!(host.own_comment().contains("**safe: planned**"));
}

#[test]
fn apply_of_a_commit_without_a_pull_request_tells_the_summary() {
    let (host, mut home) = merged(Kind::Gitea);
    home.set("GITHUB_SHA", "4444444444444444444444444444444444444444");
    ci(&home, "apply")
        .code(0)
        .says(&["not posted: no merged pull request brought this commit"])
        .done();
    assert!(host.own_comment().contains("**safe: planned**"));
    assert!(
        std::fs::read_to_string(home.path("summary.md")).unwrap().contains("**safe: applied**")
    );
}

/// A job of an older commit is run again after a newer one was applied: it takes nothing back.
#[test]
fn apply_of_an_old_job_after_a_newer_apply_is_refused() {
    let (host, mut home) = merged(Kind::GitHub);
    ci(&home, "apply").code(0).done();
    let older = std::fs::read_to_string(home.path("stacks/safe/stack.yaml")).unwrap();
    home.stack("safe", older.replace("192.0.2.1", "192.0.2.2"));
    host.pull_is(crate::ci_server::HEAD, true);
    host.pull_job(&mut home, 90);
    home.sandbox(&["ci", "plan", "safe", "--allow-outage"]).code(0).done();
    host.push_job(&mut home, 91);
    ci(&home, "apply").code(0).done();
    home.stack("safe", older);
    host.push_job(&mut home, 80);
    home.log_requests();
    ci(&home, "apply").code(3).says(&["no reviewed plan", "a later run wrote the comment"]).done();
    home.requests().mutating().none();
    assert!(host.own_comment().contains("**safe: applied**"));
}

/// Another store, another policy, another line: what was not planned so was not reviewed.
#[test]
fn apply_of_layers_that_were_changed_after_the_plan_is_refused() {
    let (host, home) = merged(Kind::GitHub);
    let stack = std::fs::read_to_string(home.path("stacks/safe/stack.yaml")).unwrap();
    let elsewhere = "state:\n  s3: { bucket: other-state, region: eu-central-1, profile: other }\n";
    for changed in [format!("{stack}# one more line\n"), format!("{stack}{elsewhere}")] {
        home.stack("safe", changed);
        home.log_requests();
        ci(&home, "apply").code(3).done();
        home.requests().mutating().none();
        assert!(host.own_comment().contains("**safe: refused**"), "{}", host.own_comment());
    }
}

#[test]
fn apply_in_the_job_of_a_pull_request_is_refused() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (host, mut home) = (Host::new(kind), home());
        host.pull_job(&mut home, 70);
        ci(&home, "plan").code(0).done();
        home.log_requests();
        ci(&home, "apply").code(3).says(&["nothing of one is applied"]).done();
        home.requests().mutating().none();
        assert!(host.own_comment().contains("**safe: planned**"));
    }
}

#[test]
fn apply_writes_its_document_and_the_comment() {
    let (host, home) = merged(Kind::GitHub);
    let document = home.sandbox(&["ci", "apply", "safe", "--format", "json"]).code(0).json();
    assert_eq!(document["exit"]["reason"], "done");
    assert_eq!(document["steps"][0]["result"], "done");
    assert!(host.own_comment().contains("**safe: applied**"));
}

/// Two jobs at once: the one that finds the lease held changes nothing, and says so only until the other one has something to say.
#[test]
fn apply_while_another_run_holds_the_lease_waits_for_its_next_run() {
    let (host, mut home) = merged(Kind::GitHub);
    let store = StateStore::new(&home.state_folder("safe"));
    let (lease, _) = store.lease("somebody@ci", "apply safe", 0).unwrap();
    home.log_requests();
    ci(&home, "apply").code(4).done();
    home.requests().mutating().none();
    let body = host.own_comment();
    assert!(body.contains("**safe: waiting**") && body.contains("somebody@ci"), "{body}");
    drop(lease);
    // The run that was first is the older one.
    host.push_job(&mut home, 79);
    ci(&home, "apply").code(0).done();
    assert!(host.own_comment().contains("**safe: applied**"), "{}", host.own_comment());
}
