//! Over means seen: what was not read, a destroy that was stopped, a run that was cut off, and where users are sent meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::engine::state::journal::JournalEntry;
use lifeboat::engine::state::record::Phase;
use lifeboat::store::state_store::StateStore;

use crate::converge::fired;
use crate::harness::Home;
use crate::two_sites::{self, failover, leads, served, settled, state};

/// The record lists cannot be read: users are not moved, and nobody says that they were, however often it is asked.
#[test]
fn failover_is_incomplete_while_its_traffic_could_not_be_read() {
    // Silence is 5; an answer that makes no sense is for people, and no sign of a loss either.
    for (fault, exit) in [("500", 5), ("empty200", 1)] {
        let home = two_sites::home();
        two_sites::lose(&home);
        home.fault(&format!("GET /domains {fault} times=0"));
        for _ in 0..2 {
            let told = failover(&home).code(exit).says(&["incomplete", "the switch is incomplete"]);
            assert!(!told.stderr.contains("already active"), "{fault}: {told}");
            assert_eq!((leads(&home), state(&home).phase), (vec!["us".into()], Phase::Switching));
        }
        let status = home.sandbox(&["status", "duo"]).code(0);
        status
            .shows(&[
                "users: shop points to lb (198.18.",
                "in linode:us-east, which is lost; the configuration points it to eu_lb",
            ])
            .done();
        home.world.heal(None).unwrap();
        failover(&home).code(0).says(&["failover of duo to eu: complete"]).done();
        settled(&home, &["eu"], fault);
        home.sandbox(&["status", "duo"])
            .code(0)
            .shows(&[
                "users: shop points to eu_lb",
                "in linode:eu-central; 2 of 2 backends recorded, their health was not asked\n",
            ])
            .done();
    }
}

/// A silence that passes is waited for.
#[test]
fn failover_retries_the_reads_that_failed() {
    let home = two_sites::home();
    two_sites::lose(&home);
    home.fault("GET /domains 500 times=9");
    failover(&home)
        .code(0)
        .says(&["retrying the reads that failed", "failover of duo to eu: complete"])
        .done();
    assert_eq!(leads(&home), ["eu"]);
}

/// Whoever took over goes on, or goes elsewhere: who retried says so and ends as one that did not finish.
#[test]
fn failover_stops_retrying_when_another_run_has_taken_over() {
    let home = two_sites::home();
    two_sites::lose(&home);
    home.fault("GET /domains 500 times=100000");
    let mut running = home.start(&["failover", "duo", "--to", "eu", "--yes", "--sandbox"]);
    running.until_says("retrying the reads that failed");
    let store = StateStore::new(&home.state_folder("duo"));
    let lease = std::cell::RefCell::new(None);
    let took = running.until(|| {
        *lease.borrow_mut() = store.lease("ann@laptop", "apply duo", 0).ok();
        lease.borrow().is_some()
    });
    assert!(took, "it has given its lease back between two tries");
    running
        .end()
        .code(5)
        .says(&["stopped retrying: another run holds the lease, and goes on from here"])
        .done();
}

/// Made, and then undone by somebody else: the same command again looks before it says that there is nothing to do.
#[test]
fn failover_to_what_is_active_looks_before_it_says_so() {
    let home = two_sites::home();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    let again = ["failover", "duo", "--to", "calm", "--planned", "--yes"];
    home.sandbox(&again).code(0).says(&["already active"]).done();
    let world = home.world.show().unwrap();
    let zone = &world["linode"]["domains"][0];
    let path = format!("/domains/{}/records/{}", zone["id"], zone["records"][0]["id"]);
    home.linode("PUT", &path, &serde_json::json!({ "target": "192.0.2.7" }));
    home.sandbox(&again)
        .code(5)
        .says(&[
            "users could not be confirmed there",
            "`shop`: its target is 192.0.2.7",
            "`lifeboat plan duo --sandbox`",
        ])
        .done();
}

/// The destroy is stopped; what it took away is no matter of a switch, and the command that is named makes all of it.
#[test]
fn failover_that_stops_a_destroy_half_way_is_refused() {
    let home = two_sites::home();
    home.fault("DELETE /nodebalancers slow ms=600000 times=1");
    let mut destroy = home.start(&["destroy", "duo", "--yes", "--sandbox"]);
    assert!(destroy.until(|| fired(&home) > 0));
    let switch = ["failover", "duo", "--to", "calm", "--planned"];
    let refused = home.sandbox(&[&switch[..], &["--yes"]].concat()).code(3);
    refused
        .shows(&["half_destroyed", "a destroy of this stack was interrupted"])
        .shows(&["`lifeboat failover duo --to calm --include-pending --planned --sandbox`"])
        .done();
    let destroyed = destroy.end();
    assert_ne!(destroyed.code, Some(0), "{destroyed}");
    home.world.heal(None).unwrap();
    home.world.advance(Duration::from_secs(61)).unwrap();
    home.sandbox(&[&switch[..], &["--include-pending", "--yes"]].concat()).code(0).done();
    settled_after_destroy(&home);
}

fn settled_after_destroy(home: &Home) {
    assert_eq!((leads(home), state(home).phase), (vec!["eu".into()], Phase::Settled));
    assert!(state(home).destroyed.is_empty());
    home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
}

const TWO: &str = "stack: two
variables: { revision: { type: string, default: v1 } }
resources:
  home: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: two-us, authorized_users: [ops], user_data: '${vars.revision}', lifecycle: { create_before_destroy: true } }
  standby: { kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, label: 'two-eu', authorized_users: [ops], user_data: '${vars.revision}', depends_on: [home], lifecycle: { create_before_destroy: true } }
";

/// Whoever finishes a run that was cut off finishes that run: with what was said when it began.
#[test]
fn apply_finishes_a_run_that_was_cut_off_with_its_variables() {
    let home = Home::holding("two", TWO);
    let apply = ["apply", "two", "--yes"];
    home.sandbox(&apply).code(0).done();
    home.world.advance(Duration::from_secs(61)).unwrap();
    home.fault("DELETE /linode/instances slow ms=600000 times=1");
    let next = ["apply", "two", "--yes", "--var", "revision=v2"];
    let mut cut = home.start(&[&next[..], &["--sandbox"]].concat());
    assert!(cut.until(|| fired(&home) > 0));
    noted(&home, "run_under_way", "is changing two right now (lifeboat apply two --yes");
    cut.kill();
    home.world.heal(None).unwrap();
    let died = noted(&home, "run_died", "(lifeboat apply two --yes --var revision=…");
    assert!(
        died["help"].as_str().unwrap().contains("run `lifeboat apply two --sandbox` to resume")
    );
    home.sandbox(&apply).code(0).done();
    home.world.advance(Duration::from_secs(61)).unwrap();
    home.sandbox(&["plan", "two", "--detailed-exitcode"]).code(0).done();
    let size: Vec<_> = home.state("two").unwrap().variables.into_iter().collect();
    assert_eq!(size, [("revision".to_owned(), "v2".into())]);
}

/// What a plan says of whoever is at work, for everybody who reads it.
#[track_caller]
fn noted(home: &Home, code: &str, text: &str) -> serde_json::Value {
    let plan = home.sandbox(&["plan", "two", "--format", "json"]);
    assert!(plan.stderr.contains(code), "{plan}");
    let notes = plan.json()["plan"]["notes"].as_array().unwrap().clone();
    let note = notes.into_iter().find(|it| it["code"] == code).unwrap_or_else(|| panic!("{plan}"));
    assert!(note["text"].as_str().unwrap().contains(text), "{note}");
    note
}

/// What was said is remembered, also where everything is so already.
#[test]
fn apply_records_a_variable_though_nothing_is_to_do() {
    let home = Home::holding("two", TWO);
    home.sandbox(&["apply", "two", "--yes"]).code(0).done();
    home.world.advance(Duration::from_secs(61)).unwrap();
    let given = ["apply", "two", "--yes", "--var", "revision=v1"];
    home.sandbox(&given).code(0).says(&["recorded: variable revision"]).done();
    home.stack("two", TWO.replace("default: v1", "default: v2"));
    home.sandbox(&["plan", "two", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&given).code(0).says(&["nothing to do"]).done();
}

/// Its branch was merged back and its file went: the way home is named, and works.
#[test]
fn failback_leaves_an_active_overlay_whose_file_is_gone() {
    let home = two_sites::home();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    std::fs::remove_file(home.path("stacks/duo/overlays/calm.yaml")).unwrap();
    let way = "`lifeboat failback duo --include-pending --sandbox`";
    for command in ["plan", "apply"] {
        let told = home.sandbox(
            &[&[command, "duo"][..], &["--yes"][..usize::from(command == "apply")]].concat(),
        );
        told.code(1).says(&["the overlay `calm` does not exist", way]).done();
    }
    home.sandbox(&["failback", "duo", "--yes"])
        .code(1)
        .says(&["this switch leaves calm", way])
        .done();
    home.sandbox(&["failover", "duo", "--to", "eu", "--yes"])
        .code(1)
        .says(&["`lifeboat failover duo --to eu --include-pending --sandbox`"])
        .done();
    home.sandbox(&["failback", "duo", "--include-pending", "--allow-destroys", "9", "--yes"])
        .code(0)
        .done();
    settled(&home, &[], "home without the overlay's file");
    served(&home, "home without the overlay's file");
}

/// A step of a destroy that fails is no part of the world that could not be seen.
#[test]
fn destroy_whose_step_fails_exits_with_1() {
    let home = two_sites::home();
    home.fault("DELETE /linode/instances 500 times=0");
    home.sandbox(&["destroy", "duo", "--yes"]).code(1).says(&["failed: "]).done();
    home.world.heal(None).unwrap();
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// A name was withdrawn, and the process died before that was recorded: users who remember it still come that way.
#[test]
fn apply_drains_a_withdrawal_that_was_cut_off() {
    let stack = two_sites::STACK.replace(
        "outputs:",
        "  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${eu_lb.ipv4}', ttl_sec: 30 }\noutputs:",
    );
    // Long enough to be still remembered when the next run looks, at the speed of the world.
    let stack = stack.replace("ttl_sec: 30", "ttl_sec: 300");
    let home = Home::holding("duo", &stack);
    let gone =
        "overlay: gone\nresources: { shop: null, node: null, http: null, lb: null, web: null }\n";
    home.overlay("duo", "gone", gone);
    home.stack("duo", stack.replace("\noutputs:\n  home: '${lb.ipv4}'\n", "\n"));
    home.log_requests();
    two_sites::apply(&home).code(0).done();
    home.world.advance(Duration::from_secs(61)).unwrap();
    home.fault("DELETE /domains slow ms=600000 times=1");
    let switch = ["failover", "duo", "--to", "gone", "--planned", "--allow-destroys", "9", "--yes"];
    let mut cut = home.start(&[&switch[..], &["--sandbox"]].concat());
    assert!(cut.until(|| fired(&home) > 0));
    cut.kill();
    home.world.heal(None).unwrap();
    home.log_requests();
    home.sandbox(&["apply", "duo", "--yes"]).code(0).shows(&["drain gate"]).done();
    assert_eq!(leads(&home), ["eu"]);
}

/// Law 11: a switch that has no traffic to shift has moved nobody, however far it is.
#[test]
fn failover_to_an_overlay_that_shifts_no_traffic_has_moved_no_users() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let stayed = "degraded: no traffic was to be shifted, so users are sent where they were";
    let switch = ["failover", "woocommerce", "--to", "scale_up", "--planned", "--yes"];
    home.sandbox(&switch)
        .code(5)
        // What is advised under loss moves users.
        .says(&[
            "`lifeboat failover woocommerce --to failover_eu --lost aws:us-east-1 --lost linode:us-east --sandbox`",
            &format!("switch of woocommerce to scale_up: {stayed}; the rest is incomplete"),
            "time to move all users: not measured, no traffic was to be shifted",
            &format!("gave up after 180 s: some reads still fail, so the switch to scale_up is incomplete ({stayed}"),
            "run `lifeboat apply woocommerce --sandbox` to resume once everything answers",
        ])
        .done();
    let status = ["status", "woocommerce"];
    home.sandbox(&status)
        .code(0)
        .shows(&[
            &format!("phase: {stayed}; the rest of the switch is not finished"),
            "switch time: not counted, because no traffic was to be shifted",
        ])
        .done();
    let json = home.sandbox(&[&status[..], &["--format", "json"]].concat()).code(0).json();
    assert_eq!(json["switch"]["users"], "stayed", "{json:#}");
    assert_eq!(json["recovery"], serde_json::Value::Null, "{json:#}");
}

/// What a list of all regions shows of a region that does not answer was not seen there, and is not called unchanged.
#[test]
fn plan_counts_what_a_silent_region_holds_as_unknown() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.sandbox(&["plan", "woocommerce"])
        .code(5)
        .shows(&["12 unchanged, 6 unknown)", "could not read everything in linode:us-east (6): "])
        .done();
}

/// A run that died after its last step is ended by the next one, which finds nothing left and asks nothing.
#[test]
fn apply_ends_a_run_that_died_after_its_last_step() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let store = StateStore::new(&home.state_folder("woocommerce"));
    let (mut lease, state) = store.lease("ann@laptop, process 7", "apply woocommerce", 1).unwrap();
    let began = JournalEntry::RunBegan {
        who: "ann@laptop, process 7".into(),
        command: "apply woocommerce".into(),
        at: state.unwrap().last_run.unwrap().at + 1,
        plan: "sha256:1".into(),
        steps: 1,
        destroys: false,
        variables: None,
        home_variables: BTreeMap::new(),
    };
    lease.append(&[began]).unwrap();
    drop(lease);
    let plan = ["plan", "woocommerce"];
    home.sandbox(&plan).code(0).shows(&["died before it finished"]).done();
    home.sandbox(&["apply", "woocommerce"]).code(64).says(&["add --yes"]).done();
    home.sandbox(&["apply", "woocommerce", "--yes"])
        .code(0)
        .says(&["recorded: nothing is left to do of the last run"])
        .done();
    let told = home.sandbox(&plan).code(0);
    assert!(!told.stdout.contains("died before"), "{told}");
    home.sandbox(&["status", "woocommerce"])
        .code(0)
        .shows(&["phase: settled (no switch is going on)\n"])
        .done();
}

/// A first apply moves nobody: what it says of a gate that stays closed, and what status says of it, is of no users.
#[test]
fn first_apply_that_fails_speaks_of_no_users_and_is_told_by_status() {
    let home = Home::woocommerce();
    home.fault("POST /linode/instances 503 times=100000");
    let failed = home.sandbox(&["apply", "woocommerce", "--yes"]).code(1);
    assert!(!failed.stderr.contains("users"), "{failed}");
    failed.says(&["run `lifeboat apply woocommerce --sandbox` to resume"]).done();
    home.sandbox(&["status", "woocommerce"])
        .code(0)
        .shows(&[
            "phase: settled (no switch is unfinished), but the last run did not finish: run `lifeboat apply woocommerce --sandbox` to resume",
            "failed: create web[0], ",
            ", incomplete after ",
        ])
        .done();
    home.world.heal(None).unwrap();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let status = home.sandbox(&["status", "woocommerce"]).code(0);
    assert!(!status.stdout.contains("failed: "), "{status}");
    status.shows(&["phase: settled (no switch is going on)\n"]).done();
}
