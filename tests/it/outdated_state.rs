//! A state that knows less than what it has made: what carries its tags is taken over where it is to be, and named where it is not.

use lifeboat::engine::state::record::State;
use serde_json::{Value, json};

use crate::drill;
use crate::harness::{Home, Output, copy};
use crate::two_sites;

fn failover(home: &Home) -> Output {
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"])
}

fn ids(state: &State) -> Vec<(String, String)> {
    state.records.iter().map(|(address, it)| (address.to_string(), it.id.clone())).collect()
}

/// A failover has made its machines, and dies when it is about to direct users.
fn killed_before_users_move(home: &Home) {
    home.fault("PUT /domains/ hang times=0");
    let mut run =
        home.start(&["failover", "duo", "--to", "calm", "--planned", "--yes", "--sandbox"]);
    run.until(|| {
        home.state("duo").is_some_and(|it| it.pending.contains_key(&"shop".parse().unwrap()))
    });
    run.kill();
    home.world.heal(None).unwrap();
}

/// The whole folder, put back as it was: nothing beside the state tells that it is old.
fn put_back(home: &Home, backup: &std::path::Path) {
    std::fs::remove_dir_all(home.state_folder("duo")).unwrap();
    copy(backup, &home.state_folder("duo"));
}

/// CI with a backup of before the failover does not move users home, and a word of the switch is enough to go on from there.
#[test]
fn apply_refuses_a_whole_state_from_before_the_failover() {
    let home = two_sites::home();
    let backup = home.path("backup");
    copy(&home.state_folder("duo"), &backup);
    failover(&home).code(0).done();
    let made = ids(&two_sites::state(&home));
    put_back(&home, &backup);
    home.log_requests();
    let told = [
        "Refused [older_state]",
        "`eu[1]` (linode.instance,",
        "lifeboat failover duo --to calm --planned",
    ];
    home.sandbox(&["plan", "duo"]).code(3).shows(&told).done();
    home.sandbox(&["apply", "duo", "--yes"]).code(3).shows(&told).done();
    home.sandbox(&["apply", "duo", "--yes", "-o", "base"]).code(3).done();
    home.requests().mutating().none();
    assert_eq!(two_sites::leads(&home), ["eu"]);
    // What is left is named by a destroy as well.
    let said = failover(&home).code(0).shows(&["adopt (recovered)", "because it exists in"]);
    assert!(!said.to_string().contains("older_state"), "{said}");
    assert_eq!(ids(&two_sites::state(&home)), made, "nothing was made a second time");
    two_sites::settled(&home, &["calm"], "after the backup");
    home.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    two_sites::settled(&home, &[], "at home");
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// Users may be moved all the same, by who says so; and what is left is told by a destroy.
#[test]
fn apply_and_destroy_name_what_the_state_does_not_know() {
    let home = two_sites::home();
    let backup = home.path("backup");
    copy(&home.state_folder("duo"), &backup);
    failover(&home).code(0).done();
    put_back(&home, &backup);
    home.sandbox(&["apply", "duo", "--yes", "--revert-drift", "shop"])
        .code(0)
        .shows(&["older_state", "`eu[1]`"])
        .done();
    assert_eq!(two_sites::leads(&home), ["us"]);
    home.sandbox(&["plan", "duo"]).code(0).shows(&["older_state", "`eu[1]`"]).done();
    home.sandbox(&["destroy", "duo", "--yes"])
        .code(3)
        .shows(&["older_state", "`eu[1]`", "they are not deleted", "uninvited"])
        .done();
    home.sandbox(&["destroy", "duo", "--yes", "--allow-delete", "eu_http"])
        .code(5)
        .says(&["remaining: 1 resource (eu[1])"])
        .done();
    let left = home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len();
    assert_eq!(left, 1, "{}", home.shown());
}

/// The folder of a failover that was under way, put back when users are home again: it does not go on by itself.
#[test]
fn apply_refuses_a_whole_state_from_the_middle_of_a_failover() {
    let home = two_sites::home();
    killed_before_users_move(&home);
    let backup = home.path("backup");
    copy(&home.state_folder("duo"), &backup);
    failover(&home).code(0).done();
    home.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    assert_eq!(two_sites::leads(&home), ["us"]);
    put_back(&home, &backup);
    home.log_requests();
    let told = [
        "Refused [outdated_switch]",
        "`eu[1]` (linode.instance,",
        "`lifeboat failover duo --to calm --planned --sandbox`",
        "`lifeboat failback duo --sandbox`",
    ];
    home.sandbox(&["plan", "duo"]).code(3).shows(&told).done();
    home.sandbox(&["apply", "duo", "--yes"]).code(3).shows(&told).done();
    home.requests().mutating().none();
    assert_eq!(two_sites::leads(&home), ["us"]);
    // Each of the ways that it tells works.
    let other = home.copy();
    failover(&home).code(0).done();
    two_sites::settled(&home, &["calm"], "on");
    other.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    two_sites::settled(&other, &[], "back");
    assert_eq!(two_sites::leads(&other), ["us"]);
}

/// The journal of a failover is lost in its middle: its own machine does not block it.
#[test]
fn failover_adopts_what_was_made_before_the_journal_was_lost() {
    let home = two_sites::home();
    killed_before_users_move(&home);
    let made = ids(&two_sites::state(&home));
    // A disk gives back zeroes.
    std::fs::write(home.state_folder("duo").join("journal"), b"").unwrap();
    let said = home.sandbox(&["plan", "duo"]);
    if said.code == Some(3) {
        home.sandbox(&["state", "restore", "duo", "--yes"]).code(0).done();
    }
    failover(&home).code(0).shows(&["adopt (recovered)", "because it carries the"]).done();
    assert_eq!(ids(&two_sites::state(&home)), made, "nothing was made a second time");
    two_sites::settled(&home, &["calm"], "after the loss");
}

/// What somebody else made in its place is never taken over, whatever was lost.
#[test]
fn failover_adopts_nothing_that_belongs_to_others() {
    let home = two_sites::home();
    let backup = home.path("backup");
    copy(&home.state_folder("duo"), &backup);
    let machine = json!({ "region": "eu-central", "type": "g6-nanode-1", "label": "duo-eu-1", "tags": ["theirs"] });
    home.linode("POST", "/linode/instances", &machine);
    failover(&home).code(3).shows(&["exists_already"]).done();
    // Nor what carries the tag of another life of the stack.
    let id = home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len();
    assert_eq!(id, 4, "{}", home.shown());
    let rows = home.linode("GET", "/linode/instances", &Value::Null);
    let theirs =
        rows["data"].as_array().unwrap().iter().find(|it| it["label"] == "duo-eu-1").unwrap();
    let tags = json!({ "tags": ["lb:duo:aaaaaaaaaaaa"] });
    home.linode("PUT", &format!("/linode/instances/{}", theirs["id"]), &tags);
    let said = failover(&home).code(3).shows(&["exists_already"]);
    assert!(!said.to_string().contains("adopt (recovered)"), "{said}");
}

/// A drill whose state is gone is not said to have left nothing behind.
#[test]
fn drill_cleanup_without_its_state_names_what_carries_its_tags() {
    let home = drill::shop();
    let instance = "woocommerce@drill";
    let mut run = home.start(&[drill::DRILL, &["--sandbox"]].concat());
    run.until(|| home.state(instance).is_some_and(|it| it.records.len() > 6));
    run.kill();
    std::fs::remove_dir_all(home.state_folder(instance)).unwrap();
    let said =
        home.sandbox(&["drill", "woocommerce", "--to", "drill_eu", "--cleanup", "--yes"]).code(3);
    let said =
        said.says(&["this stack exists, but its state is missing", "carry the ownership tag"]);
    assert!(!said.to_string().contains("nothing is left"), "{said}");
}
