//! The days of a stack in hosted runners: founded, changed, looked at, rehearsed, failed over, and proposed to by strangers.

use serde_json::{Value, json};

use crate::ci_server::Kind;
use crate::pipelines::github::{Event, run, run_again, run_one};
use crate::pipelines::machine::Machine;
use crate::pipelines::site::Site;
use crate::pipelines::{AT_HOME, AT_STANDBY, balancer, is_settled, planned};

/// From an empty store to a site that was rehearsed, by pipelines alone, each job on another runner than the one before.
#[test]
fn github_founds_a_stack_applies_what_was_reviewed_and_rehearses() {
    let site = Site::new(Kind::GitHub);
    let (one, two) = (Machine::new(&site, "one"), Machine::new(&site, "two"));
    let nothing = site.world();
    let proposal = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    let end = run_one(&one, &Event::pull(&proposal, site.trial(&proposal))).ends_with(0);
    assert_eq!(end.role.as_deref(), Some("arn:plan"));
    assert!(end.summary.contains("14 to create"), "{}", end.summary);
    assert!(site.host.comment_of(5).contains("**first: planned**"));
    assert_eq!(site.world(), nothing, "a plan changes nothing");

    let commit = site.merges(&proposal);
    let end = run_one(&two, &Event::Push { commit: commit.clone() }).ends_with(0);
    assert_eq!(end.role.as_deref(), Some("arn:apply"));
    assert!(site.host.comment_of(5).contains("**first: applied**"), "{}", site.host.comment_of(5));
    assert_eq!(site.balancers("a"), 1);
    is_settled(&site);
    assert!(!two.clone.join("state").exists(), "nothing of it is in a folder");

    // At night: nothing was rehearsed yet, which is the only thing to say.
    let night = Event::Schedule { commit };
    let ends = run(&one, &night, 1);
    let codes: Vec<_> = ends.iter().map(|it| (it.job.as_str(), it.code)).collect();
    // The drill comes first by the name of its file, and so the drift has nothing left to say.
    assert_eq!(codes, [("drill", Some(0)), ("drift", Some(0))], "{ends:#?}");
    assert_eq!(
        (ends[0].role.as_deref(), ends[1].role.as_deref()),
        (Some("arn:apply"), Some("arn:plan"))
    );
    assert!(ends[0].log.contains("no resources remain"), "{}", ends[0].log);
    assert!(
        ends[0].summary.contains("drill of first@drill to eu: complete"),
        "{}",
        ends[0].summary
    );
    assert!(site.host.issues().is_empty(), "{:#?}", site.host.issues());
    assert!(!site.world().contains("drill"), "{}", site.world());
    is_settled(&site);
}

#[test]
fn github_keeps_one_issue_about_drift() {
    let site = Site::applied(Kind::GitHub);
    let machine = Machine::new(&site, "one");
    let night = Event::Schedule { commit: site.main() };
    let drift = |code: i32| {
        let ends = run(&machine, &night, 1);
        let end = ends.into_iter().find(|it| it.job == "drift").unwrap();
        end.ends_with(code)
    };
    drift(0);
    let before = site.world();
    by_hand(&site, "dns@example.com");
    let end = drift(2).says("1 resource drifted").says("opened the issue #1");
    assert!(end.summary.contains("`zone`: `soa_email`"), "{}", end.summary);
    by_hand(&site, "ops@example.com");
    drift(0).says("closed the issue #1");
    assert_eq!(site.world(), before, "looking changes nothing");
}

/// Somebody changes the zone by hand, or back.
fn by_hand(site: &Site, mail: &str) {
    let url = format!("{}/v4/domains", site.sandbox.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::new();
        let call = |request: reqwest::RequestBuilder| async {
            let answer = request.bearer_auth("by-hand").send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            answer.json::<Value>().await.unwrap()
        };
        let zones = call(http.get(&url)).await;
        let zone = format!("{url}/{}", zones["data"][0]["id"]);
        call(http.put(zone).json(&json!({ "soa_email": mail }))).await;
    });
}

/// What comes from elsewhere is validated: no secrets, no identity, and nothing in the store.
#[test]
fn github_validates_what_a_stranger_proposes() {
    let site = Site::applied(Kind::GitHub);
    let machine = Machine::new(&site, "one");
    let before = site.world();
    let proposal = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    let (head, trial) = (proposal.head.clone(), site.trial(&proposal));
    let strange = Event::Pull { number: 5, head, trial, from: "stranger/infra" };
    let end = run_one(&machine, &strange).ends_with(0).says("validated, and not planned");
    assert_eq!(end.role, None);
    // After its merge nobody has reviewed its plan, until somebody who may write to the store says so.
    let push = Event::Push { commit: site.merges(&proposal) };
    let end = run_one(&machine, &push).ends_with(3).says("was not reviewed");
    assert_eq!(site.world(), before);
    approved(&site, &end.log);
    run_again(&machine, &push, 2).ends_with(0);
    assert_eq!(site.balancers("a"), 1);
    is_settled(&site);
    // What is no stack is no valid proposal of anybody.
    let broken = site.proposes(6, AT_STANDBY, &balancer(AT_STANDBY, "b").replace("kind", "kindd"));
    let (head, trial) = (broken.head.clone(), site.trial(&broken));
    run_one(&machine, &Event::Pull { number: 6, head, trial, from: "stranger/infra" }).ends_with(1);
    let own = Event::pull(&broken, site.trial(&broken));
    run_one(&machine, &own).ends_with(1).says("::error file=stacks/first/stack.yaml");
}

/// Types the approval that a refused job names.
pub(crate) fn approved(site: &Site, log: &str) {
    let words = "lifeboat approve first ";
    let at = log.find(words).unwrap_or_else(|| panic!("{log}")) + words.len();
    let digest: String =
        log[at..].chars().take_while(|it| it.is_ascii_alphanumeric() || *it == ':').collect();
    site.lifeboat(&["approve", "first", &digest]).ends_with(0);
}

fn switch(site: &Site, branch: &'static str, typed: &[(&str, Value)]) -> Event {
    let mut inputs = json!({
        "command": "failover", "stack": "first", "overlay": "eu", "planned": false, "lost": "",
        "confirmation": "",
    });
    for (name, value) in typed {
        assert!(inputs.get(*name).is_some());
        inputs[*name] = value.clone();
    }
    Event::Dispatch { workflow: "lifeboat-failover.yml", commit: site.main(), branch, inputs }
}

/// Where users are sent.
fn target(site: &Site) -> String {
    let world = site.world();
    let at = world.find("name: www\n").unwrap_or_else(|| panic!("{world}"));
    world[at..].lines().nth(1).unwrap().trim().to_owned()
}

/// What is typed into a form is a value, whatever it says, and nothing happens before the name of the stack is typed.
#[test]
fn github_switches_nothing_that_was_not_confirmed() {
    let site = Site::applied(Kind::GitHub);
    let machine = Machine::new(&site, "one");
    let before = site.world();
    let shown = run_one(&machine, &switch(&site, "main", &[])).ends_with(0);
    let shown = shown.says("TRAFFIC ×1: www").says("this is only shown");
    assert!(shown.summary.contains("active: base"), "{}", shown.summary);
    let home = [("command", json!("failback")), ("stack", json!("first"))];
    run_one(&machine, &switch(&site, "main", &home)).ends_with(0).says("nothing");

    let pwned = machine.clone.join("pwned");
    let hostile =
        ["first; touch pwned", "$(touch pwned)", "`touch pwned`", "--help", "first\ntouch pwned"];
    for text in hostile {
        for input in ["stack", "overlay", "lost", "command"] {
            let typed = [(input, json!(text)), ("confirmation", json!("first"))];
            let end = run_one(&machine, &switch(&site, "main", &typed));
            assert!(end.code.is_some_and(|it| it != 0), "{input} {text:?}: {}", end.log);
            assert!(!pwned.exists(), "{input} {text:?}");
        }
    }
    for confirmation in ["First", "first ", "yes"] {
        let typed = [("confirmation", json!(confirmation))];
        run_one(&machine, &switch(&site, "main", &typed))
            .ends_with(3)
            .says("the confirmation is not the name of the stack; nothing was changed");
    }
    // A branch may say anything about what an overlay is.
    let typed = [("confirmation", json!("first"))];
    run_one(&machine, &switch(&site, "anywhere", &typed)).ends_with(3).says("switches run on main");
    let drill = Event::Dispatch {
        workflow: "lifeboat-drill.yml",
        commit: site.main(),
        branch: "anywhere",
        inputs: json!({}),
    };
    run_one(&machine, &drill).ends_with(3).says("drills run on main");
    assert_eq!(site.world(), before);
}

/// On the day after, CI stays where users are; also where it runs a job from before the failover again.
#[test]
fn github_fails_over_by_hand_and_no_later_job_takes_users_back() {
    let site = Site::applied(Kind::GitHub);
    let (one, two) = (Machine::new(&site, "one"), Machine::new(&site, "two"));
    let first = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    planned(&one, &first);
    let old = Event::Push { commit: site.merges(&first) };
    run_one(&one, &old).ends_with(0);
    // One that was planned before the failover, and is merged after it.
    let second = site.proposes(6, AT_STANDBY, &balancer(AT_STANDBY, "b"));
    planned(&one, &second);
    let at_home = target(&site);

    let typed = [("lost", json!("linode:us-east")), ("confirmation", json!("first"))];
    let end = run_one(&two, &switch(&site, "main", &typed)).ends_with(0);
    assert!(end.summary.contains("active: eu"), "{}", end.summary);
    let away = target(&site);
    assert_ne!(away, at_home);
    let (world, records) = (site.world(), site.balancers("b"));
    run_again(&one, &old, 2);
    assert_eq!(site.world(), world, "the old job undoes nothing");
    let push = Event::Push { commit: site.merges(&second) };
    run_one(&two, &push).ends_with(3).says("nothing was changed");
    assert_eq!((target(&site), site.balancers("b")), (away.clone(), records));
    let ends = run(&one, &Event::Schedule { commit: site.main() }, 1);
    let drift = ends.iter().find(|it| it.job == "drift").unwrap();
    assert_eq!(target(&site), away, "{}", drift.log);

    let typed = [("command", json!("failback")), ("confirmation", json!("first"))];
    run_one(&one, &switch(&site, "main", &typed)).ends_with(0);
    assert_eq!(target(&site), at_home);
    // What was reviewed before the switch is not reviewed after it, though it is again all that is to be done.
    let refused = run_again(&two, &push, 2).ends_with(3);
    refused.says("a switch has begun since then");
    assert_eq!((target(&site), site.balancers("b")), (at_home, records));
}
