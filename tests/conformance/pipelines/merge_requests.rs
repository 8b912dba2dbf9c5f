//! The same with the pipeline of GitLab.

use crate::ci_server::Kind;
use crate::pipelines::gitlab::{Started, report, run, run_one};
use crate::pipelines::machine::Machine;
use crate::pipelines::site::Site;
use crate::pipelines::{AT_HOME, AT_STANDBY, balancer, is_settled};

fn push(commit: &str) -> Started<'_> {
    Started { source: "push", commit, request: None, typed: &[], settings: &[] }
}

fn web<'a>(commit: &'a str, typed: &'a [(&'static str, &'static str)]) -> Started<'a> {
    Started { source: "web", commit, request: None, typed, settings: &[] }
}

#[test]
fn gitlab_plans_applies_looks_and_rehearses() {
    let site = Site::new(Kind::GitLab);
    let (one, two) = (Machine::new(&site, "one"), Machine::new(&site, "two"));
    let nothing = site.world();
    let proposal = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    let trial = site.trial(&proposal);
    let request = |commit| Started {
        source: "merge_request_event",
        commit,
        request: Some((5, proposal.head.as_str())),
        typed: &[],
        settings: &[],
    };
    let end = run_one(&one, &request(&trial)).ends_with(0).says("stored for review as sha256:");
    assert_eq!(end.job, "plan");
    assert_eq!(report(&one), r#"{"create":14,"update":0,"delete":0}"#);
    assert!(site.host.comment_of(5).contains("**first: planned**"));
    assert_eq!(site.world(), nothing);

    let commit = site.merges(&proposal);
    let end = run_one(&two, &push(&commit)).ends_with(0);
    assert_eq!(end.job, "apply");
    assert!(site.host.comment_of(5).contains("**first: applied**"), "{}", site.host.comment_of(5));
    is_settled(&site);
    // A push to another branch without a merge request starts nothing, and no schedule applies.
    let drill = [("LIFEBOAT_JOB", "drill")];
    let night = Started { source: "schedule", ..web(&commit, &drill) };
    let end = run_one(&one, &night).ends_with(0).says("drill of first@drill to eu: complete");
    assert_eq!(end.job, "drill");
    // By hand as well, where the form has words for a switch.
    run_one(&two, &web(&commit, &drill)).ends_with(0).says("drill of first@drill to eu: complete");
    let night = Started { source: "schedule", ..web(&commit, &[]) };
    let end = run_one(&two, &night).ends_with(0).says("0 resources drifted");
    assert_eq!(end.job, "drift");
    assert!(run(&two, &Started { source: "pipeline", ..web(&commit, &[]) }).is_empty());

    // What nobody has reviewed is refused here as well.
    let unread = site.proposes(6, AT_STANDBY, &balancer(AT_STANDBY, "b"));
    let commit = site.merges(&unread);
    run_one(&one, &push(&commit)).ends_with(3).says("no reviewed plan");
    assert_eq!(site.balancers("b"), 0);
}

#[test]
fn gitlab_switches_what_was_confirmed() {
    let site = Site::applied(Kind::GitLab);
    let machine = Machine::new(&site, "one");
    let (commit, before) = (site.main(), site.world());
    let failover = ("LIFEBOAT_JOB", "failover");
    let end = run_one(&machine, &web(&commit, &[failover])).ends_with(0);
    assert_eq!(end.job, "switch");
    end.says("TRAFFIC ×1: www").says("this is only shown").says("active: base");
    for text in ["first; touch pwned", "$(touch pwned)", "--help"] {
        for input in ["SWITCH_STACK", "SWITCH_OVERLAY", "SWITCH_LOST"] {
            let typed = [failover, (input, text), ("CONFIRMATION", "first")];
            let end = run_one(&machine, &web(&commit, &typed));
            assert!(end.code.is_some_and(|it| it != 0), "{input} {text:?}: {}", end.log);
            assert!(!machine.clone.join("pwned").exists(), "{input} {text:?}");
        }
    }
    run_one(&machine, &web(&commit, &[failover, ("CONFIRMATION", "yes")])).ends_with(3);
    assert_eq!(site.world(), before);
    let typed = [failover, ("SWITCH_PLANNED", "true"), ("CONFIRMATION", "first")];
    run_one(&machine, &web(&commit, &typed)).ends_with(0).says("active: eu");
    let typed = [("LIFEBOAT_JOB", "failback"), ("CONFIRMATION", "first")];
    run_one(&machine, &web(&commit, &typed)).ends_with(0).says("active: base");
    is_settled(&site);
}

/// Where a role is named, GitLab's token is handed to AWS in a file, and no word of it is printed.
#[test]
fn gitlab_hands_its_identity_to_aws() {
    let site = Site::new(Kind::GitLab);
    let machine = Machine::new(&site, "one");
    let path = machine.clone.parent().unwrap().join("seen");
    // In place of lifeboat, a program that tells what it was given.
    let told = format!(
        "#!/bin/sh\n[ \"$1\" = ci ] || exit 0\n{{ echo \"$AWS_ROLE_ARN|$AWS_ROLE_SESSION_NAME|$LINODE_TOKEN\"; cat \"$AWS_WEB_IDENTITY_TOKEN_FILE\"; }} >'{}'\n",
        path.display()
    );
    let checksum = site.releases(&told);
    let proposal = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    let trial = site.trial(&proposal);
    let settings: &'static [(&'static str, &'static str)] = Box::leak(Box::new([
        ("AWS_PLAN_ROLE", "arn:plan"),
        ("AWS_APPLY_ROLE", "arn:apply"),
        ("LIFEBOAT_SHA256", Box::leak(checksum.into_boxed_str())),
    ]));
    let request = Some((5, proposal.head.as_str()));
    let started =
        Started { source: "merge_request_event", commit: &trial, request, typed: &[], settings };
    run_one(&machine, &started).ends_with(0);
    let seen = std::fs::read_to_string(&path).unwrap();
    assert!(seen.starts_with("arn:plan|lifeboat-7-"), "{seen}");
    assert!(seen.ends_with("|may-only-read\nidentity-of-the-job"), "{seen}");
    let main = site.main();
    run_one(&machine, &Started { settings, ..push(&main) }).ends_with(0);
    let seen = std::fs::read_to_string(&path).unwrap();
    assert!(seen.starts_with("arn:apply|") && seen.contains("|may-change\n"), "{seen}");
}
