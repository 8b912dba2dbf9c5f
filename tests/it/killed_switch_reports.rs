//! Switches and drills whose process was killed: what the next one reports of them, from the journal and its own times.

use lifeboat::engine::state::record::Phase;
use lifeboat::sandbox::SandboxOptions;
use serde_json::Value as Json;

use crate::drill::{self, DRILL};
use crate::drill_preview;
use crate::harness::Home;
use crate::recovery_reports::{self, add_up, seconds};

const CLEANUP: &[&str] = &["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"];

fn reports(home: &Home, stack: &str) -> Vec<Json> {
    let json = home.sandbox(&["reports", stack, "--format", "json"]).code(0).json();
    json["reports"].as_array().unwrap().clone()
}

#[test]
fn drill_cleanup_reports_a_drill_killed_before_its_switch() {
    let home = drill::shop();
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    let made = || home.state("woocommerce@drill").is_some_and(|it| it.records.len() >= 8);
    assert!(running.until(made));
    running.kill();
    let began = home.state("woocommerce@drill").unwrap().last_run.unwrap().at;
    home.sandbox(CLEANUP)
        .code(0)
        .says(&[
            "no resources remain",
            "drill of woocommerce@drill to failover_eu: incomplete, the process died before it finished\n",
            "\n  idle ",
            "recovery time: not measured",
            "saved in state/sandbox/states/woocommerce@drill/reports/20",
        ])
        .done();
    let all = reports(&home, "woocommerce");
    assert_eq!(all.len(), 1);
    let report = &all[0];
    add_up(report);
    assert_eq!((&report["kind"], &report["complete"]), (&"drill".into(), &false.into()));
    assert_eq!((&report["began_at"], &report["recovery"]), (&began.into(), &Json::Null));
    let at = |name: &str| report["idle"][name].as_i64().unwrap();
    let idle = f64::from(i32::try_from(at("to_at") - at("from_at")).unwrap()) / 1_000.0;
    assert!(idle > 0.0 && (seconds(&report["phases"]["idle"]) - idle).abs() < 0.1, "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let done = |call: &str, role: &str| {
        let those = steps.iter().filter(|it| it["call"] == call && it["role"] == role);
        those.filter(|it| it["outcome"] == "done" && it["ended_at"].is_i64()).count()
    };
    assert!(done("create", "work") >= 8 && done("delete", "cleanup") >= 8, "{report:#}");
    // There is nothing more to say of it.
    home.sandbox(CLEANUP).code(0).done();
    assert_eq!(reports(&home, "woocommerce").len(), 1);
}

/// Home has a record as well, and whoever makes it directs nobody away from a disaster.
#[test]
fn drill_killed_when_home_was_made_has_measured_no_recovery() {
    let home = drill::shop();
    // Between home and the switch, an item is written that has to arrive.
    home.fault("PutItem slow ms=60000");
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    let is_home = || {
        let state = home.state("woocommerce@drill");
        state.and_then(|it| it.last_run).is_some_and(|it| it.finished.is_some())
    };
    assert!(running.until(is_home));
    running.kill();
    home.world.heal(None).unwrap();
    let state = home.state("woocommerce@drill").unwrap();
    let records = state.records.values();
    assert!(records.into_iter().any(|it| it.kind == "linode.domain_record"), "{state:?}");
    assert_eq!(state.switch, None);
    home.sandbox(CLEANUP).code(0).says(&["recovery time: not measured"]).done();
    let report = reports(&home, "woocommerce").remove(0);
    add_up(&report);
    assert_eq!((&report["recovery"], &report["shifted"]), (&Json::Null, &Json::Null));
    assert_eq!(report["objectives"]["rto"]["verdict"], "not measured");
}

#[test]
fn drill_killed_after_its_switch_has_measured_the_recovery() {
    let home = drill::shop();
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    let directed = || {
        home.state("woocommerce@drill").is_some_and(|it| {
            it.active.len() == 2 && it.switch.is_none_or(|it| !it.directed.is_empty())
        })
    };
    assert!(running.until(directed));
    running.kill();
    home.sandbox(CLEANUP).code(0).says(&["the process died before it finished"]).done();
    let report = reports(&home, "woocommerce").remove(0);
    add_up(&report);
    assert_eq!(report["lost"], serde_json::json!(["aws:us-east-1", "linode:us-east"]));
    assert_eq!((&report["dns_bound"], &report["passed"]), (&300.0.into(), &false.into()));
    let recovery = seconds(&report["shifted"]) + 300.0;
    assert!((seconds(&report["recovery"]) - recovery).abs() < 0.2, "{report:#}");
    let name = report["name"].as_str().unwrap();
    home.sandbox(&["reports", "woocommerce", name, "--format", "markdown"])
        .code(0)
        .shows(&["incomplete, the process died before it finished", "| idle | "])
        .done();
}

/// What a drill that came to its end has left is tidied up without a second report.
#[test]
fn drill_cleanup_reports_nothing_that_was_reported_already() {
    let home = drill::shop();
    home.fault("DELETE /profile/sshkeys 500 times=99");
    home.sandbox(DRILL).code(1).says(&["remaining: `ops_key`"]).done();
    assert_eq!(reports(&home, "woocommerce").len(), 1);
    home.world.heal(None).unwrap();
    home.sandbox(CLEANUP).code(0).says(&["no resources remain"]).done();
    assert_eq!(reports(&home, "woocommerce").len(), 1);
}

#[test]
fn failover_killed_while_it_drained_is_measured_by_who_finishes_it() {
    let home = recovery_reports::shop();
    // What stands behind the old answer goes, and so it is drained.
    let old = ["web", "node"].map(|it| format!("  {it}: null\n")).concat();
    home.overlay("shop", "eu", recovery_reports::EU.to_owned() + &old);
    let failover = ["failover", "shop", "--to", "eu", "--planned", "--yes", "--sandbox"];
    let mut running = home.start(&failover);
    assert!(running.until(|| home.state("shop").is_some_and(|it| !it.draining.is_empty())));
    running.kill();
    let switch = home.state("shop").unwrap().switch.unwrap();
    let directed = switch.directed[0];
    home.sandbox(&["apply", "shop", "--yes"])
        .code(0)
        .says(&[
            "failover of shop to eu: complete",
            "\n  gate ",
            "\n  idle ",
            "time to move all users: ",
        ])
        .done();
    let report = recovery_reports::reports(&home).remove(0);
    add_up(&report);
    assert_eq!((&report["began_at"], &report["complete"]), (&switch.since.into(), &true.into()));
    assert_eq!(report["dns_bound"], 120.0, "{report:#}");
    let took = f64::from(i32::try_from(directed.at - switch.since).unwrap()) / 1_000.0;
    assert!((seconds(&report["recovery"]) - took - 120.0).abs() < 0.2, "{report:#}");
    assert_eq!(report["objectives"]["rto"]["verdict"], "met");
    assert_eq!(report["phases"]["earlier"], 0.0, "the journal knows where the time went");
    assert!(seconds(&report["phases"]["prepare"]) > 10.0, "{report:#}");
    assert!(seconds(&report["phases"]["idle"]) > 0.0, "{report:#}");
}

/// Everything was done, and the process died before it could write so.
#[test]
fn failover_killed_at_its_very_end_is_ended_and_measured() {
    let home = recovery_reports::shop();
    home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"]).code(0).done();
    let told = recovery_reports::reports(&home).remove(0);
    let folder = home.state_folder("shop");
    std::fs::remove_dir_all(folder.join("reports")).unwrap();
    // The journal as it was before its last line.
    let history = folder.join("history");
    let serial = home.state("shop").unwrap().serial;
    let last = history.join(format!("{serial:08}.journal"));
    let journal = std::fs::read_to_string(&last).unwrap();
    std::fs::remove_file(last).unwrap();
    let cut: Vec<&str> = journal.split_inclusive('\n').collect();
    assert!(cut.last().unwrap().contains("run_ended"));
    std::fs::write(folder.join("journal"), cut[..cut.len() - 1].concat()).unwrap();
    let before = history.join(format!("{:08}.snapshot", serial - 1));
    std::fs::copy(before, folder.join("state.snapshot")).unwrap();
    // A heartbeat tells of an entry only when that is durable: at this moment it told of none of that run's end.
    for beat in std::fs::read_dir(folder.join("lease")).unwrap() {
        let beat = beat.unwrap().path();
        if beat.extension().is_some_and(|it| it == "beat") {
            std::fs::write(beat, r#"{"at":0,"released":false}"#).unwrap();
        }
    }
    assert_eq!(home.state("shop").unwrap().phase, Phase::Degraded);
    home.sandbox(&["apply", "shop", "--yes"])
        .code(0)
        .says(&["failover of shop to eu: complete", "\n  idle "])
        .done();
    let state = home.state("shop").unwrap();
    assert_eq!((state.phase, state.switch), (Phase::Settled, None));
    let report = recovery_reports::reports(&home).remove(0);
    add_up(&report);
    for name in ["began_at", "dns_bound"] {
        assert_eq!(report[name], told[name], "{name}");
    }
    // The journal's clock is read a moment before the run's own: milliseconds of this machine, and many where it is busy, times a hundred.
    for name in ["shifted", "recovery"] {
        let (from_journal, from_run) =
            (report[name].as_f64().unwrap(), told[name].as_f64().unwrap());
        assert!((from_journal - from_run).abs() < 60.0, "{name}: {from_journal}, {from_run}");
    }
    home.sandbox(&["apply", "shop", "--yes"]).code(0).says(&["nothing to do"]).done();
}

/// The gate that it was killed at is waited at again, and time in which nobody was at it is no gate.
#[test]
fn failover_killed_at_its_gate_counts_from_its_begin() {
    let home = recovery_reports::shop();
    home.run(&["sandbox", "fault", "unhealthy", "eu-web"]).code(0).done();
    home.run(&["sandbox", "fault", "unhealthy", "eu-more"]).code(0).done();
    let failover = ["failover", "shop", "--to", "eu", "--planned", "--yes", "--sandbox"];
    let mut running = home.start(&failover);
    let at_gate = || {
        let journal = std::fs::read_to_string(home.state_folder("shop").join("journal"));
        journal.is_ok_and(|it| it.contains("\"serving gate\""))
    };
    assert!(running.until(at_gate));
    running.kill();
    let since = home.state("shop").unwrap().switch.unwrap().since;
    home.run(&["sandbox", "advance", "10m"]).code(0).done();
    home.run(&["sandbox", "heal", "eu-web"]).code(0).done();
    home.run(&["sandbox", "heal", "eu-more"]).code(0).done();
    home.sandbox(&["apply", "shop", "--yes"]).code(0).says(&["\n  idle "]).done();
    let report = recovery_reports::reports(&home).remove(0);
    add_up(&report);
    assert_eq!(report["began_at"], since);
    assert!(seconds(&report["phases"]["idle"]) >= 600.0, "{report:#}");
    assert!(seconds(&report["phases"]["gate"]) < 400.0, "{report:#}");
    assert!(seconds(&report["recovery"]) > 720.0, "{report:#}");
}

/// What a cleanup has just deleted is in no list, and younger than the minute that lists may lag: nothing is concluded from that.
#[test]
fn drill_cleanup_waits_until_what_is_missing_is_old_enough() {
    // A minute is three seconds here, and the key is younger than that.
    let home = Home::with(&SandboxOptions { speed: 20.0, ..SandboxOptions::default() });
    drill_preview::small_in(&home);
    let mut running = home.start(&[drill_preview::SMALL, &["--sandbox"]].concat());
    let made = || home.state("shop@drill").is_some_and(|it| it.records.len() > 1);
    assert!(running.until(made));
    home.log_requests();
    home.fault("DELETE slow ms=5000");
    running.signal("INT");
    assert!(running.until(|| home.requests().with("DELETE").len() > 0), "something was deleted");
    running.kill();
    home.world.heal(None).unwrap();
    let told = home.sandbox(&["drill", "shop", "--to", "rehearsed", "--cleanup", "--yes"]).code(0);
    assert_eq!(
        told.stderr.matches("cleanup: ").count(),
        3,
        "two rounds and how they ended: {told}"
    );
    told.says(&["no resources remain"]).done();
}

/// Nothing is borrowed for what is to go.
#[test]
fn drill_cleanup_needs_nobody_who_lends() {
    let home = drill::shop();
    let mut running = home.start(&[DRILL, &["--sandbox"]].concat());
    let made = || home.state("woocommerce@drill").is_some_and(|it| it.records.len() >= 3);
    assert!(running.until(made));
    running.kill();
    home.sandbox(&["destroy", "woocommerce", "--yes"]).code(0).done();
    assert!(home.state("woocommerce").unwrap().records.is_empty());
    home.sandbox(CLEANUP).code(0).says(&["no resources remain"]).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

#[test]
fn drill_cleanup_needs_no_overlay() {
    let home = Home::new();
    drill_preview::small_in(&home);
    let killed = || {
        drill_preview::small_in(&home);
        let mut running = home.start(&[drill_preview::SMALL, &["--sandbox"]].concat());
        let made = || home.state("shop@drill").is_some_and(|it| !it.records.is_empty());
        assert!(running.until(made));
        running.kill();
    };
    let cleanup = |stack| ["drill", stack, "--to", "rehearsed", "--cleanup", "--yes"];
    let left_out = "overlays_left_out";
    killed();
    std::fs::remove_file(home.path("stacks/shop/overlays/rehearsed.yaml")).unwrap();
    home.sandbox(&cleanup("shop"))
        .code(1)
        .says(&[
            "the overlay `rehearsed` does not exist",
            "`lifeboat destroy shop@drill --sandbox`",
        ])
        .done();
    // Another instance than that of the drill is none of its business.
    home.sandbox(&["drill", "shop@drill", "--to", "mistyped", "--cleanup", "--yes"])
        .code(1)
        .says(&["the overlay `mistyped` does not exist", "`lifeboat destroy shop@drill --sandbox`"])
        .done();
    assert!(!home.state("shop@drill").unwrap().records.is_empty());
    home.sandbox(&cleanup("shop@drill"))
        .code(0)
        .says(&[left_out, "taken from the state", "no resources remain"])
        .done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
    killed();
    home.overlay("shop", "rehearsed", "workspace: [drill\n");
    home.sandbox(&cleanup("shop"))
        .code(1)
        .says(&["`lifeboat destroy shop@drill --sandbox`"])
        .done();
    home.sandbox(&["destroy", "shop@drill", "--yes"]).code(0).says(&[left_out]).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

const TWO_NAMES: &str = "stack: two
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: two-lb }
  old: { kind: linode.nodebalancer, region: us-east, label: two-old }
  zone: { kind: linode.domain, domain: two.example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 120 }
  was: { kind: linode.domain_record, domain: '${zone}', type: A, name: was, target: '${old.ipv4}', ttl_sec: 120 }
";

/// Resolvers remember a name that is gone: who finishes a run that was cut off while it took one away waits for them, too.
#[test]
fn apply_keeps_what_a_withdrawn_name_led_to_until_caches_expire() {
    let home = Home::holding("two", TWO_NAMES);
    home.sandbox(&["apply", "two", "--yes"]).code(0).done();
    home.world.advance(std::time::Duration::from_secs(61)).unwrap();
    let stays = |line: &&str| !line.contains("  old: ") && !line.contains("  was: ");
    let less: Vec<&str> = TWO_NAMES.lines().filter(stays).collect();
    home.stack("two", less.join("\n"));
    home.log_requests();
    home.fault("DELETE /domains slow ms=60000 times=1");
    let apply = ["apply", "two", "--yes", "--allow-outage"];
    let mut running = home.start(&[&apply[..], &["--sandbox"]].concat());
    assert!(running.until(|| crate::converge::fired(&home) > 0));
    running.kill();
    home.world.heal(None).unwrap();
    home.sandbox(&apply).code(0).done();
    let deletes = home.requests().mutating().with("DELETE");
    let at = |part: &str| deletes.with(part).0.first().unwrap().at;
    let waited = at("/nodebalancers/") - at("/records/");
    assert!(waited >= 120_000, "{waited} ms: {deletes}");
    assert!(home.state("two").unwrap().records.len() == 3);
}

/// Without the word, what the overlay assumes would be declared lost: a site that answers.
#[test]
fn plan_of_a_planned_switch_that_was_killed_names_it_as_a_planned_one() {
    let mut home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.set("LIFEBOAT_TEST_DIES_AFTER_ENTRY", "4");
    let planned = ["failover", "woocommerce", "--to", "failover_eu", "--planned", "--yes"];
    assert_eq!(home.sandbox(&planned).code, None, "it was killed");
    home.set("LIFEBOAT_TEST_DIES_AFTER_ENTRY", "");
    home.sandbox(&["plan", "woocommerce"])
        .says(&["`lifeboat failover woocommerce --to failover_eu --planned --var standby_size=1 --sandbox`"])
        .done();
}
