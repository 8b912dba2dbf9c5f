//! The switch as people type it: there and back, planned and under loss, saved, resumed, from another machine; slips and refusals.

use lifeboat::sandbox::faults::state::LostHow;
use lifeboat::store::state_store::StateStore;

use crate::converge::fired;
use crate::harness::Home;
use crate::two_sites::{self, AWS, LINODE, failback, failover, leads, served, settled};

const SHOP: &str = "woocommerce";

#[test]
fn failover_and_failback_tell_the_story_line_by_line() {
    let home = Home::woocommerce();
    home.log_requests();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let planned = ["failover", SHOP, "--to", "failover_eu", "--planned", "--yes"];
    home.sandbox(&planned)
        .code(0)
        .shows(&[
            "switch base → failover_eu",
            "shop: serving gate: wait for 2 healthy backends behind standby_http",
        ])
        .done();
    home.sandbox(&["status", SHOP])
        .code(0)
        .shows(&[
            "active: failover_eu",
            "home: base (where a failback leads)",
            "phase: settled",
            "DNS caches: shop: some users may still be sent to lb, its old target, for another ",
            "failover",
            "lease: free",
            "output url",
        ])
        .done();
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).shows(&["No changes"]).done();
    home.sandbox(&["apply", SHOP, "-o", "base", "--yes"])
        .code(3)
        .says(&["lifeboat failback woocommerce", "--switch"])
        .done();
    home.sandbox(&["failback", SHOP, "--yes"])
        .code(0)
        .shows(&["switch failover_eu → base", "shop: drain gate: wait 10 min"])
        .done();

    home.run(&["sandbox", "lose", LINODE, AWS]).code(0).done();
    home.log_requests();
    let unseen = home.sandbox(&["plan", SHOP]).code(5);
    unseen.shows(&["could not read everything", "--lost aws:us-east-1 --lost", "No steps"]).done();
    home.requests().mutating().none();

    home.log_requests();
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"])
        .code(0)
        .shows(&[
            "8 frozen",
            "standby[1]",
            "output main uses a value of `lb` that was recorded before linode:us-east was lost",
        ])
        .done();
    let asked = home.requests();
    asked.to_fault_domain(LINODE).one_look();
    asked.to_fault_domain(AWS).one_look();
    home.log_requests();
    home.sandbox(&["status", SHOP])
        .code(0)
        .shows(&["lost: linode:us-east, declared 20", "stale"])
        .done();
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).done();
    home.requests().to_fault_domain(LINODE).none();
    home.requests().to_fault_domain(AWS).none();

    let refused = home.sandbox(&["failback", SHOP, "--yes"]).code(3);
    let needed = "linode:us-east cannot stay lost, because `shop` would send users there";
    refused.says(&["still unreachable", "nothing was changed", needed]).done();
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["failback", SHOP, "--yes"])
        .code(0)
        .shows(&["recovered: aws:us-east-1, linode:us-east"])
        .done();
    home.sandbox(&["plan", SHOP, "--detailed-exitcode"]).code(0).shows(&["18 unchanged"]).done();
    served(&home, "the story");
}

/// Each is a clear report, and nothing is changed: neither in the world nor in state.
#[test]
fn failover_with_a_slip_changes_nothing() {
    let home = two_sites::home();
    let before = two_sites::state(&home);
    home.log_requests();
    let to = |more: &[&str]| home.sandbox(&[&["failover", "duo"], more, &["--yes"]].concat());
    to(&["--to", "ue"])
        .code(1)
        .says(&["the overlay `ue` does not exist", "did you mean `eu`?"])
        .done();
    to(&["--to", "eu", "--lost", "linode:us-eest"])
        .code(1)
        .says(&["`linode:us-eest`", "did you mean `linode:us-east`?"])
        .done();
    to(&["--to", "eu", "--lost", LINODE, "--planned"]).code(64).says(&["--planned"]).done();
    to(&["--to", "calm"])
        .code(64)
        .says(&["`calm` has no `assumes_lost`", "--planned", "--lost", "assumes_lost"])
        .done();
    to(&["--to", "base"])
        .code(64)
        .says(&["`base` is not an overlay to fail over to", "lifeboat failback duo"])
        .done();
    to(&["--to", "eu/x"]).code(1).says(&["is not a valid overlay name"]).done();
    home.sandbox(&["failover", "duo", "--to", "eu"])
        .code(64)
        .says(&["stdin is not a terminal", "--yes"])
        .done();
    // At home there is nothing to ask for.
    home.sandbox(&["failback", "duo"]).code(0).says(&["duo is already at home"]).done();
    home.sandbox(&["failback", "duo", "--lost", "aws:us-eest-1", "--yes"])
        .code(1)
        .says(&["did you mean `aws:us-east-1`?"])
        .done();
    home.sandbox(&["recovered", "duo", LINODE]).code(1).says(&["no fault domain is lost"]).done();
    home.overlay("duo", "typo", "overlay: typo\nassumes_lost: ['linode:us-eest']\n");
    to(&["--to", "typo"]).code(1).says(&["did you mean `linode:us-east`"]).done();
    home.requests().mutating().none();
    let after = two_sites::state(&home);
    assert_eq!((after.touched, after.lost.len(), after.active.len()), (before.touched, 0, 0));

    let nothing = Home::holding("duo", two_sites::STACK);
    nothing.overlay("duo", "calm", two_sites::CALM);
    for command in [&["failover", "duo", "--to", "calm", "--planned"][..], &["failback", "duo"]] {
        let refused = nothing.sandbox(&[command, &["--yes"]].concat()).code(1);
        refused.says(&["duo has not been applied yet", "lifeboat apply duo"]).done();
    }
    assert!(nothing.is_untouched());
}

/// State says that a site is lost: whoever plans a switch is told the command that is right, and nothing is changed.
#[test]
fn failover_planned_is_refused_while_a_loss_is_recorded() {
    let home = two_sites::home();
    let planned = ["--planned", "--yes"];
    two_sites::lose(&home);
    let told = failover(&home).code(0);
    told.says(&[
        "this declares aws:us-east-1 and linode:us-east lost",
        "if it is up, `lifeboat failover duo --to eu --planned --sandbox` waits for replication instead",
    ])
    .done();
    let before = two_sites::state(&home);
    home.log_requests();
    let right =
        "`lifeboat failover duo --to calm --lost aws:us-east-1 --lost linode:us-east --sandbox`";
    for command in [
        &["failover", "duo", "--to", "calm"][..],
        &["apply", "duo", "-o", "calm", "--switch"],
        &["plan", "duo", "-o", "calm"],
    ] {
        let planned = &planned[..if command[0] == "plan" { 1 } else { 2 }];
        home.sandbox(&[command, planned].concat())
            .code(3)
            .says(&[
                "the state records aws:us-east-1, linode:us-east as lost",
                right,
                "`lifeboat recovered duo linode:us-east --sandbox`",
                "nothing was changed",
            ])
            .done();
    }
    home.requests().mutating().none();
    assert_eq!(two_sites::state(&home).touched, before.touched);
    let right = right.trim_matches('`').split(' ').skip(1).filter(|it| *it != "--sandbox");
    let right: Vec<&str> = right.chain(["--yes"]).collect();
    home.sandbox(&right).code(0).done();
    assert_eq!(two_sites::state(&home).active, ["calm"]);
}

/// Nobody says that the site is lost, and it does not answer: nothing begins, and it is said how users need not wait.
#[test]
fn failover_planned_from_an_unreachable_site_names_the_one_under_loss() {
    let home = two_sites::home();
    two_sites::lose(&home);
    let to = ["failover", "duo", "--to", "eu", "--planned", "--yes"];
    let under_loss =
        "`lifeboat failover duo --to eu --lost aws:us-east-1 --lost linode:us-east --sandbox`";
    let told = home.sandbox(&to).code(3);
    let refusal = told.stdout.split("Refused [silent_site]").nth(1).unwrap_or_default();
    assert!(refusal.contains(under_loss), "{told}");
    assert_eq!(two_sites::state(&home).phase.word(), "settled");
    failover(&home).code(0).done();
    settled(&home, &["eu"], "under loss");
}

/// Where nobody can be asked, a switch shows what it would do, as it would do it: no other command shows the way home after a loss.
#[test]
fn failback_without_a_terminal_shows_its_own_plan_and_changes_nothing() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    let still = home.sandbox(&["failback", "duo"]).code(3);
    still.says(&["still unreachable"]).done();
    home.world.heal(None).unwrap();
    home.log_requests();
    let before = two_sites::state(&home).touched;
    let shown = home.sandbox(&["failback", "duo"]).code(64);
    let plan = shown.stdout.trim_end().to_owned();
    shown
        .shows(&[
            "switch eu → base, recovered: aws:us-east-1, linode:us-east",
            "serving gate",
            "drain gate",
        ])
        .says(&["cannot prompt for approval", "add --yes"])
        .done();
    home.requests().mutating().none();
    assert_eq!(two_sites::state(&home).touched, before);
    let made = home.sandbox(&["failback", "duo", "--yes"]).code(0);
    assert!(made.stdout.contains(&plan), "{plan}{made}");
}

/// Who types a switch wrongly does not stop the run that is at work.
#[test]
fn failover_with_a_slip_preempts_nobody() {
    let home = two_sites::home();
    home.run(&["sandbox", "lose", LINODE, AWS, "--how", "refuse"]).code(0).done();
    failover(&home).code(0).done();
    home.fault("POST /linode/instances slow ms=600000 times=1");
    home.overlay(
        "duo",
        "eu",
        std::fs::read_to_string(home.path("stacks/duo/overlays/eu.yaml"))
            .unwrap()
            .replace("standby: 2", "standby: 3"),
    );
    let mut running = home.start(&["apply", "duo", "--yes", "--sandbox"]);
    assert!(running.until(|| fired(&home) > 0));
    let lease = || StateStore::new(&home.state_folder("duo")).lease_status().unwrap().unwrap();
    let before = lease().epoch;
    home.sandbox(&["failover", "duo", "--to", "ue", "--yes"]).code(1).done();
    home.sandbox(&["failover", "duo", "--to", "calm", "--lost", "linode:eu-centrl", "--yes"])
        .code(1)
        .done();
    home.sandbox(&["failback", "duo", "--yes"]).code(3).says(&["still unreachable"]).done();
    assert_eq!((lease().epoch, lease().is_alive), (before, true));
    running.kill();
}

/// Also where the switch has moved nobody yet: users are not worse off at home than they are, and not served there either.
#[test]
fn failback_of_a_switch_that_moved_nobody_advises_no_loss_of_the_site_that_users_are_sent_to() {
    let home = two_sites::home();
    two_sites::lose(&home);
    let fault = ["sandbox", "fault", "503", "--method", "PUT", "--path", "/domains"];
    home.run(&[&fault[..], &["--times", "1000"]].concat()).code(0).done();
    failover(&home).code(1).says(&["NOT moved"]).done();
    let told = failback(&home).code(3);
    assert!(!told.stderr.contains("--lost"), "{told}");
    told.says(&["linode:us-east cannot stay lost, because `shop` would send users there"]).done();
}

/// Home again while home says nothing: refused, with the way around named, where there is one that is not refused itself.
#[test]
fn failback_refuses_a_home_that_is_still_unreachable() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    let lost = two_sites::state(&home).lost;
    home.world.heal(Some(AWS)).unwrap();
    home.log_requests();
    let told = failback(&home).code(3);
    assert!(!told.stderr.contains("--lost"), "users cannot go home without its balancer: {told}");
    told.says(&[
        "linode:us-east is still unreachable",
        "linode:us-east cannot stay lost, because `shop` would send users there",
    ])
    .done();
    home.requests().mutating().none();
    home.world.heal(Some(LINODE)).unwrap();
    home.world.lose(AWS, LostHow::Hang).unwrap();
    let without = "`lifeboat failback duo --lost aws:us-east-1 --sandbox`";
    failback(&home).code(3).says(&["leave it untouched for now", without]).done();
    home.world.heal(Some(AWS)).unwrap();
    home.world.lose(LINODE, LostHow::Hang).unwrap();
    home.log_requests();
    home.sandbox(&["recovered", "duo", LINODE]).code(3).says(&["still unreachable"]).done();
    home.sandbox(&["recovered", "duo", "linode:us-eest"]).code(1).says(&["did you mean"]).done();
    assert_eq!(two_sites::state(&home).lost, lost, "nothing is found by a refusal");
    home.requests().mutating().none();
}

/// A switch that is over carries no variable: it says which command takes one, and the command does.
#[test]
fn failover_and_failback_that_are_over_refuse_a_variable() {
    let home = two_sites::home();
    let away = ["failover", "duo", "--to", "eu", "--planned", "--yes"];
    home.sandbox(&away).code(0).done();
    let before = two_sites::state(&home).touched;
    let apply = "`lifeboat apply duo --var standby=3 --sandbox`";
    home.sandbox(&[&away[..], &["--var", "standby=3"]].concat())
        .code(3)
        .says(&["`--var standby` would have no effect; nothing was changed", apply])
        .done();
    // What it has already is no news, and the same command may be typed again.
    home.sandbox(&[&away[..], &["--var", "standby=2"]].concat()).code(0).done();
    assert_eq!(two_sites::state(&home).touched, before);
    home.sandbox(&["apply", "duo", "--var", "standby=3", "--yes"]).code(0).done();
    failback(&home).code(0).done();
    home.sandbox(&["failback", "duo", "--var", "standby=3", "--yes"])
        .code(3)
        .says(&["`--var standby` would have no effect", apply])
        .done();
}

/// A preview says what it assumes; the saved plan is the switch, with its losses, and nothing else.
#[test]
fn apply_of_a_saved_plan_is_the_switch_with_its_losses() {
    let home = two_sites::home();
    two_sites::lose(&home);
    home.log_requests();
    let saved = ["plan", "duo", "-o", "eu", "--out", "p.json", "--detailed-exitcode"];
    let plan = home.sandbox(&saved).code(2);
    plan.shows(&["switch base → eu", "declared lost", LINODE, AWS]).done();
    assert!(two_sites::state(&home).lost.is_empty(), "a plan writes nothing");
    home.sandbox(&["apply", "p.json", "--yes"]).code(0).done();
    let asked = home.requests();
    asked.to_fault_domain(LINODE).none();
    asked.to_fault_domain(AWS).none();
    let lost: Vec<String> =
        two_sites::state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!(lost, [AWS, LINODE]);
    settled(&home, &["eu"], "saved");
    assert_eq!(leads(&home), ["eu"]);
    home.sandbox(&["apply", "p.json", "--yes"]).code(3).says(&["stale"]).done();
}

/// A laptop in the night: none of CI's variables, and a merge that nobody has applied yet.
#[test]
fn failover_from_another_machine_carries_only_itself() {
    let mut ci = Home::holding("duo", two_sites::STACK);
    ci.overlay(
        "duo",
        "eu",
        format!("{}assumes_lost: ['{LINODE}', '{AWS}']\n", two_sites::CALM.replace("calm", "eu")),
    );
    ci.set("LIFEBOAT_VAR_size", "g6-standard-2");
    ci.sandbox(&["apply", "duo", "--yes"]).code(0).done();
    let laptop = ci.copy();
    laptop.log_requests();
    let merged = two_sites::STACK
        .replace("linode/debian12", "linode/debian13")
        .replace(
            "protocol: http, check: http, check_path: /ok",
            "protocol: http, check: http, check_path: /new",
        )
        .replace(
            "outputs:",
            "  late: { kind: linode.nodebalancer, region: eu-central, label: duo-late }\noutputs:",
        );
    laptop.stack("duo", &merged);
    two_sites::lose(&laptop);
    let plan = failover(&laptop).code(0).shows(&[
        "0 to replace",
        "not part of this switch",
        "eu[0]",
        "late",
    ]);
    plan.done();
    assert_eq!(leads(&laptop), ["eu"]);
    let world = laptop.world.show().unwrap();
    let machines = world["linode"]["instances"].as_array().unwrap();
    assert_eq!(machines.len(), 4);
    assert!(
        machines.iter().all(|it| it["type"] == "g6-standard-2"),
        "variables are remembered: {machines:?}"
    );
    assert_eq!(laptop.requests().mutating().with("DELETE").len(), 0);
    laptop
        .sandbox(&["plan", "duo", "--detailed-exitcode"])
        .code(2)
        .shows(&["eu[0]", "late", "debian13"])
        .done();
    served(&laptop, "from another machine");
}

/// What the switch needs that was said on its command line is still there when somebody else finishes it.
#[test]
fn apply_finishes_a_stopped_switch_with_its_variables() {
    let home = two_sites::home();
    // The first machine of two is ordered, and nobody hears the answer.
    home.fault("POST /linode/instances slow ms=600000 times=1");
    let began = ["failover", "duo", "--to", "calm", "--planned", "--var", "standby=3"];
    let mut running = home.start(&[&began[..], &["--yes", "--sandbox"]].concat());
    assert!(running.until(|| fired(&home) > 0));
    running.kill();
    two_sites::apply(&home).code(0).done();
    settled(&home, &["calm"], "resumed");
    let machines = home.world.show().unwrap()["linode"]["instances"].clone();
    assert_eq!(machines.as_array().unwrap().len(), 5, "{machines}");
}

/// No reference leads from a record to the checks behind its target; the rule does.
#[test]
fn graph_draws_what_rules_derive() {
    let home = Home::woocommerce();
    home.run(&["graph", "woocommerce"])
        .code(0)
        .shows(&[
            "\"lb\" -> \"shop\"\n",
            "\"lb_http\" -> \"shop\" [style = dashed]",
            "\"lb_node[1]\" -> \"shop\" [style = dashed]",
        ])
        .done();
}

/// The region dies while both sites were thought to live: the same command without `--planned` takes it for lost.
#[test]
fn failover_that_was_planned_may_become_a_real_one() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.fault("POST /linode/instances slow ms=3000");
    let failover = ["failover", "woocommerce", "--to", "failover_eu", "--yes"];
    let mut cut = home.start(&[&failover[..], &["--planned", "--sandbox"]].concat());
    let switching =
        || home.state("woocommerce").is_some_and(|it| it.active == ["failover_eu".to_owned()]);
    assert!(cut.until(switching));
    cut.kill();
    home.world.heal(None).unwrap();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.sandbox(&failover)
        .code(0)
        .shows(&["declared lost:", "aws:us-east-1, linode:us-east"])
        .done();
    let lost = home.state("woocommerce").unwrap().lost;
    assert_eq!(lost.len(), 2, "{lost:?}");
}
