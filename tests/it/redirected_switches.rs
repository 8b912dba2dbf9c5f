//! What a switch that turned another leaves: as if the other had never begun, also where it is killed itself.

use std::time::Duration;

use lifeboat::store::preempt::SwitchCommand;
use lifeboat::store::state_store::StateStore;

use crate::concurrent_switches::{at_the_gate, draining, heal, home, home_of, machines, start, to};
use crate::converge::fired;
use crate::harness::Home;
use crate::kill_points::{Cut, at_each_change};
use crate::two_sites::{self, leads, settled, state};

/// What was said for a switch that is given up goes with it.
#[test]
fn failback_forgets_the_variables_of_the_failover_it_preempts() {
    let home = home_of(two_sites::STACK);
    at_the_gate(&home, &[&to("calm")[..], &["--var", "image=linode/debian13"]].concat()).kill();
    heal(&home);
    two_sites::failback(&home).code(0).done();
    let images = || home.world.show().unwrap()["linode"]["instances"].to_string();
    assert!(images().contains("debian12") && !images().contains("debian13"), "{}", images());
    assert_eq!(machines(&home), 3);
    settled(&home, &[], "as it was before");
}

/// What a failback has found again is repaired by the switch that turns it.
#[test]
fn failover_that_preempts_a_failback_repairs_what_recovered() {
    let home = home_of(two_sites::STACK);
    home.lose(two_sites::LINODE);
    home.sandbox(&["failover", "duo", "--to", "calm", "--lost", two_sites::LINODE, "--yes"])
        .code(0)
        .done();
    home.destroy(two_sites::LINODE, Some("duo-us-1"));
    home.world.heal(None).unwrap();
    home.fault("POST /linode/instances 503");
    let mut back = start(&home, &["failback", "duo", "--yes"]);
    assert!(back.until(|| fired(&home) > 0));
    back.kill();
    home.world.heal(None).unwrap();
    assert_eq!((state(&home).active, state(&home).lost), (vec![], vec![]));
    home.sandbox(&to("calm")).code(0).done();
    assert_eq!((machines(&home), leads(&home)), (4, vec!["eu".into()]));
    settled(&home, &["calm"], "whole on both sides");
}

/// Users have come home, and home falls silent before the standby is taken down: they may have to go back to it.
#[test]
fn apply_keeps_the_standby_when_home_is_unreachable_again() {
    let home = home();
    home.sandbox(&to("calm")).code(0).done();
    draining(&home, &["failback", "duo", "--yes"], "us").kill();
    two_sites::lose(&home);
    home.world.advance(Duration::from_secs(3 * 86_400)).unwrap();
    two_sites::apply(&home)
        .code(5)
        .shows(&["users are at `", "now, which could not be read"])
        .done();
    assert_eq!(machines(&home), 4);
    home.world.heal(None).unwrap();
    two_sites::apply(&home).code(0).done();
    assert_eq!(machines(&home), 3);
    settled(&home, &[], "home answers again");
}

/// Its update arrived, and nobody wrote so: those who remember the old way are waited for all the same.
#[test]
fn apply_drains_users_moved_by_a_call_that_was_cut_off() {
    let home = two_sites::home();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    let cut = Cut::Unanswered("PUT /domains".into());
    assert!(cut.kills(&home, &["failback", "duo"]));
    assert_eq!(leads(&home), ["us"]);
    home.log_requests();
    let began = home.world.now();
    two_sites::apply(&home).code(0).shows(&["shop: drain gate"]).done();
    let asked = home.requests().0;
    let deleted = asked.iter().find(|it| it.method == "DELETE").unwrap();
    assert!(deleted.at - began >= 60_000, "{deleted} came {} ms later", deleted.at - began);
    settled(&home, &[], "drained");
}

/// Somebody stands at the question of a switch elsewhere: to be here already is no reason to leave that alone.
#[test]
fn failover_preempts_a_switch_that_has_written_nothing() {
    let home = home();
    home.sandbox(&to("calm")).code(0).done();
    let store = StateStore::new(&home.state_folder("duo"));
    let (owner, command) = ("somebody", "failback duo");
    let who =
        SwitchCommand { owner, command, at: 0, to: &[], lost: &[], asks: true, promotes: false };
    let (lease, _) = store.preempt(who, &mut |_| {}).unwrap();
    let mut again = start(&home, &to("calm"));
    let is_asked = || store.lease_status().unwrap().is_some_and(|it| it.asked_by.is_some());
    assert!(again.until(is_asked));
    drop(lease);
    again.end().code(0).says(&["a switch to base; asking it to stop"]).done();
    settled(&home, &["calm"], "as it was");
}

/// A switch is turned, and that is killed, wherever it is: what CI runs finishes the last one that was asked for.
#[test]
fn apply_finishes_a_killed_switch_that_preempted_another() {
    let gate = home_of(two_sites::STACK);
    at_the_gate(&gate, &to("calm")).kill();
    heal(&gate);
    let moved = home();
    draining(&moved, &to("move"), "eu").kill();
    let cases: [(&Home, Vec<&str>, &[&str], usize); 4] = [
        (&gate, vec!["failback", "duo"], &[], 3),
        (&gate, vec!["failover", "duo", "--to", "other", "--planned"], &["other"], 4),
        (&gate, vec!["failover", "duo", "--to", "lean", "--planned"], &["lean"], 3),
        (&moved, vec!["failover", "duo", "--to", "calm", "--planned"], &["calm"], 4),
    ];
    for (home, command, active, count) in cases {
        at_each_change(home, &command, |home, said| {
            let said = format!("{} {said}", command.join(" "));
            assert_eq!(state(home).active, active, "{said}");
            two_sites::apply(home).code(0).done();
            assert_eq!(machines(home), count, "{said}: {}", home.shown());
            settled(home, active, &said);
            let site = if active.is_empty() { "us" } else { "eu" };
            assert_eq!(leads(home), [site], "{said}");
        });
    }
}
