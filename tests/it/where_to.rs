//! `failover` without a target: what could be switched to, and what fits what is silent.

use crate::harness::Home;
use crate::two_sites;

const SHOP: &str = "woocommerce";
const ASK: [&str; 2] = ["failover", SHOP];

#[test]
fn failover_without_a_target_lists_the_overlays_and_changes_nothing() {
    let home = Home::woocommerce();
    home.run(&["--help"])
        .code(0)
        .shows(&["In an outage, start with: lifeboat failover STACK\n"])
        .done();
    home.sandbox(&ASK)
        .code(64)
        .says(&[
            "woocommerce has not been applied yet, so there is nothing to switch; nothing was changed\napply it first:\n  `lifeboat apply woocommerce --sandbox`\n",
        ])
        .done();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.log_requests();
    let healthy = home.sandbox(&ASK).code(64);
    assert!(!healthy.stderr.contains("which is made for this"), "{healthy}");
    // Nobody is told to declare lost what answers, nor to fail over to what moves no users.
    healthy
        .says(&[
            "every fault domain answers; nothing was changed\noverlays that move users:\n  `lifeboat failover woocommerce --to failover_eu --planned --sandbox`\n",
            "overlays that move no users: scale_up\n",
            "reachable: aws:eu-west-1, aws:us-east-1, linode:eu-central, linode:global, linode:us-east",
        ])
        .done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let silent = home.sandbox(&ASK).code(64);
    assert!(!silent.stderr.contains("scale_up"), "{silent}");
    silent
        .says(&[
            "aws:us-east-1 and linode:us-east are unreachable; nothing was changed\nto move users with failover_eu, which is made for this:\n  `lifeboat failover woocommerce --to failover_eu --sandbox`\n",
            "reachable: aws:eu-west-1, linode:eu-central, linode:global\n",
            "unreachable: aws:us-east-1: ",
        ])
        .done();
    home.requests().mutating().none();
    // A planned switch needs both sites.
    let planned = ["failover", SHOP, "--to", "failover_eu", "--planned", "--yes"];
    home.sandbox(&planned).code(3).shows(&["silent_site"]).done();
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0).done();
    home.sandbox(&ASK)
        .code(64)
        .says(&[
            "aws:us-east-1 and linode:us-east are declared lost; nothing was changed\nfailover_eu is active, and no switch goes on; to go home, once what is lost answers again:\n  `lifeboat failback woocommerce --sandbox`\n",
        ])
        .done();
}

/// Every switch has to change what leads users: none helps while that is silent.
#[test]
fn failover_without_a_target_says_that_no_switch_can_move_users() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("linode:global");
    home.sandbox(&ASK)
        .code(64)
        .says(&[
            "linode:global and linode:us-east are unreachable; nothing was changed\nshop leads users and is in linode:global: no switch can move them until linode:global answers\n",
            "unreachable: linode:global: ",
        ])
        .done();
}

/// One lost region of two that an overlay assumes: it still fits, since it lives without both.
#[test]
fn failover_without_a_target_names_the_only_overlay_that_covers_what_is_silent() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.lose("aws:us-east-1");
    home.sandbox(&ASK)
        .code(64)
        .says(&[
            "to move users with failover_eu, which is made for this (it also declares linode:us-east lost, which answers):\n",
        ])
        .done();
    home.world.heal(None).unwrap();
    home.lose("linode:eu-central");
    let standby = home.sandbox(&ASK).code(64);
    assert!(!standby.stderr.contains("which is made for this"), "{standby}");
}

/// A failback that was begun, and whose home dies in the middle: no `apply` finishes it. Users are served where they are.
#[test]
fn failback_whose_home_dies_is_turned_back_by_the_command_that_status_tells() {
    let home = two_sites::home();
    two_sites::lose(&home);
    two_sites::failover(&home).code(0).done();
    home.world.heal(None).unwrap();
    home.world.sicken("duo-us-0").unwrap();
    home.world.sicken("duo-us-1").unwrap();
    two_sites::failback(&home).code(1).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
    home.sandbox(&["status", "duo"])
        .code(0)
        .shows(&["if home is unreachable, `lifeboat failover duo --sandbox` to see what to do"])
        .done();
    two_sites::lose(&home);
    let way = "the failback cannot finish while home is unreachable; users are still sent to the standby; if home is lost: `lifeboat failover duo --to eu --sandbox`";
    let status = home.sandbox(&["status", "duo", "--online"]).code(5);
    let phase = status.stdout.lines().find(|it| it.starts_with("phase: ")).unwrap();
    assert!(!phase.contains("lifeboat apply"), "{status}");
    status.shows(&[way]).done();
    home.sandbox(&["failover", "duo"])
        .code(64)
        .says(&[
            "the failback cannot finish while home is unreachable; users are still sent to the standby; if home is lost:\n  `lifeboat failover duo --to eu --sandbox`\n",
        ])
        .done();
    two_sites::failover(&home).code(0).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
    two_sites::settled(&home, &["eu"], "turned back");
}

/// A failover that moved nobody out of an outage, and that a failback turns: users wait since the outage.
#[test]
fn failback_that_turns_a_failover_counts_from_the_outage() {
    let home = two_sites::home();
    two_sites::lose(&home);
    home.world.sicken("duo-eu-0").unwrap();
    home.world.sicken("duo-eu-1").unwrap();
    two_sites::failover(&home).code(1).done();
    let began = two_sites::state(&home).switch.unwrap().identity();
    home.world.heal(None).unwrap();
    home.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    let report = home.sandbox(&["reports", "duo", "--format", "json"]).code(0).json();
    let last = report["reports"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["kind"], &last["began_at"]), (&"failback".into(), &began.into()), "{last}");
}

/// With `--yes` nobody is asked, and who declares lost what answers is told so all the same: here, in the report, and in its JSON.
#[test]
fn failover_under_loss_says_that_what_it_declares_lost_answers() {
    // Nobody waits for the answers: on a busy machine a plan may be made before they are there, and hardly five times in a row.
    let (home, output) = (0..5)
        .map(|_| {
            let home = two_sites::home();
            let output = two_sites::failover(&home).code(0);
            (home, output)
        })
        .find(|(_, it)| it.stderr.contains("answer now"))
        .expect("it says so in one of five failovers");
    output
        .says(&[
            "warning: this declares aws:us-east-1 and linode:us-east lost",
            "BUT aws:us-east-1 and linode:us-east answer now: `lifeboat failover duo --to eu --planned --sandbox`",
            "\n  declared lost although it answered: aws:us-east-1, linode:us-east\n",
        ])
        .done();
    let reports = home.sandbox(&["reports", "duo", "--format", "json"]).code(0).json();
    let answering = &reports["reports"][0]["answering"];
    assert_eq!(*answering, serde_json::json!(["aws:us-east-1", "linode:us-east"]), "{reports}");
}

#[test]
fn drill_without_a_target_lists_what_can_be_rehearsed() {
    let home = Home::woocommerce();
    home.sandbox(&["drill", SHOP])
        .code(64)
        .says(&[
            "--to was not given; nothing was changed\noverlays that rehearse a failover:\n  `lifeboat drill woocommerce --to drill_eu --sandbox`\n    rehearses failover_eu in woocommerce@drill\n",
        ])
        .done();
    two_sites::home()
        .sandbox(&["drill", "duo"])
        .code(64)
        .says(&["duo has no overlay for a drill; nothing was changed\n"])
        .done();
}
