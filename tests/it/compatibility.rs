//! What the binary of 825af76 left behind stays usable: its state, a journal that was cut in mid-run, and its saved plans.

use crate::harness::{Home, repository};

/// A home as that binary left it: `settled` after an apply, `cut` in the middle of a failover.
fn left(moment: &str) -> Home {
    Home::left_by("825af76", moment)
}

fn plan_file(name: &str) -> String {
    let file = repository().join("tests/fixtures/825af76/plans").join(name);
    file.to_str().unwrap().to_owned()
}

#[test]
fn plan_of_an_older_settled_state_is_empty() {
    let home = left("settled");
    let plan = home.sandbox(&["plan", "small", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    let listed = home.sandbox(&["state", "list", "small"]);
    assert_eq!(listed.code, Some(0), "{listed}");
    for address in ["web[1]", "node_eu[0]", "table", "copy", "fw", "shop"] {
        assert!(listed.stdout.contains(address), "{address}: {listed}");
    }
}

#[test]
fn apply_of_a_change_to_an_older_state_ends_and_settles() {
    let home = left("settled");
    let applied = home.sandbox(&["apply", "small", "-o", "eu", "--switch", "--yes"]);
    assert_eq!(applied.code, Some(0), "{applied}");
    let plan = home.sandbox(&["plan", "small", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    assert!(home.state("small").unwrap().records.contains_key(&"standby[1]".parse().unwrap()));
}

#[test]
fn failover_cut_by_a_kill_of_the_older_binary_is_resumed() {
    let home = left("cut");
    let state = home.state("small").unwrap();
    assert_eq!(state.pending.len(), 1, "one step was begun and has no end");
    let resumed = home.sandbox(&["failover", "small", "--to", "eu", "--yes"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    let state = home.state("small").unwrap();
    assert!(state.pending.is_empty(), "{:?}", state.pending);
    assert!(state.records.contains_key(&"node_eu[1]".parse().unwrap()));
    let plan = home.sandbox(&["plan", "small", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{plan}");
}

#[test]
fn show_reads_the_older_plans() {
    let home = left("settled");
    for (plan, said) in [("eu.json", "standby[1]"), ("v2.json", "web[0]")] {
        for format in ["text", "markdown", "json", "html"] {
            let shown = home.run(&["show", &plan_file(plan), "--format", format]);
            assert_eq!(shown.code, Some(0), "{shown}");
            assert!(shown.stdout.contains(said), "{format}: {shown}");
        }
    }
}

/// Its steps may run, or the plan is refused as another program's; never anything in between.
#[test]
fn apply_of_an_older_plan_runs_whole_or_is_refused_before_its_first_call() {
    let home = left("settled");
    home.log_requests();
    let applied = home.sandbox(&["apply", &plan_file("eu.json"), "--yes"]);
    match applied.code {
        Some(0) => assert!(
            home.state("small").unwrap().records.contains_key(&"standby[1]".parse().unwrap())
        ),
        Some(3) => assert!(
            home.requests().0.iter().all(|it| it.method == "GET" || it.path == "/"),
            "{applied}"
        ),
        _ => panic!("{applied}"),
    }
}
