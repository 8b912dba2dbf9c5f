//! What takes tasks back: a drill at its end, the way home as it was recorded, and what `status` says of what is in force.

use crate::harness::{Home, files};
use crate::tasks::{BACK, DRILL, ELSEWHERE, TO, phase, ran, script, site};

const REHEARSE: [&str; 5] = ["drill", "site", "--to", "drill", "--yes"];
const CLEAN: [&str; 6] = ["drill", "site", "--to", "drill", "--cleanup", "--yes"];

/// A site with a drill of its own.
fn drilled(tasks: &str) -> Home {
    let home = site(tasks);
    home.overlay("site", "drill", DRILL);
    home
}

/// Two tasks that are taken back, and one that is not.
const UNDONE: &str = "  stop: { on: [planned], before: [www], exec: [./note.sh, stop, '${vars.host}'], undo: { exec: [./note.sh, start, '${vars.host}'] }, in_drill: run }
  other: { on: [planned], after: [stop], before: [www], exec: [./note.sh, production], in_drill: { exec: [./note.sh, rehearsal], undo: { exec: [./note.sh, lifted] } } }
  plain: { on: [planned], after: [other], before: [www], exec: [./note.sh, '${vars.host}', once], in_drill: run }
";

/// The last one first, each once, journalled, in the report, and before anything is deleted.
#[test]
fn drill_undoes_its_tasks_before_it_deletes_what_they_ran_in() {
    let home = drilled(UNDONE);
    home.sandbox(&REHEARSE)
        .code(0)
        .shows(&["to be undone first: other, stop"])
        .says(&["other: task undone", "stop: task undone", "no resources remain"])
        .done();
    assert_eq!(
        ran(&home),
        [
            "stop stop drill.example.com",
            "other rehearsal",
            "plain drill.example.com once",
            "other lifted",
            "stop start drill.example.com",
        ]
    );
    let report = home.sandbox(&["reports", "site@drill", "--format", "json"]).code(0);
    let steps = report.json()["reports"][0]["steps"].as_array().unwrap().clone();
    let at = |address: &str, call: &str| {
        let place = steps.iter().position(|it| it["address"] == address && it["call"] == call);
        steps[place.unwrap_or_else(|| panic!("{address} {call}: {report}"))]["ended_at"]
            .as_i64()
            .unwrap()
    };
    assert!(at("other", "undo task") <= at("stop", "undo task"));
    assert!(at("stop", "undo task") <= at("www", "delete"), "{report}");
    report.done();
    home.sandbox(&CLEAN).code(0).done();
    assert_eq!(ran(&home).len(), 5, "once");
}

/// Whatever else went wrong, and whoever cleans up.
#[test]
fn drill_that_failed_undoes_its_tasks_and_says_what_could_not_be_undone() {
    let home = drilled(
        "  stop: { on: [planned], before: [www], exec: [./note.sh, '${vars.host}'], undo: { exec: [./undo.sh, '${vars.host}'] }, in_drill: run }
  late: { on: [planned], after: [www], exec: [./fail.sh, '${vars.host}'], in_drill: run }
",
    );
    script(&home, "fail.sh", "exit 1");
    script(&home, "undo.sh", "echo undo >> ran.log; test -e mended");
    home.sandbox(&REHEARSE)
        .code(1)
        .says(&[
            "failed: late: run task: exit status 1",
            "stop: undo task: exit status 1",
            "task `stop` is still in force: its `undo` failed; run it again: `lifeboat drill site --to drill --cleanup --sandbox`",
            "no resources remain",
        ])
        .done();
    assert_eq!(ran(&home), ["stop drill.example.com", "undo"]);
    let status = home.sandbox(&["status", "site@drill"]).code(0);
    status
        .shows(&["task stop: in force", "`lifeboat destroy site@drill --sandbox` undoes it"])
        .done();
    home.write("stacks/site/mended", "");
    home.sandbox(&CLEAN).code(0).says(&["stop: task undone"]).done();
    home.sandbox(&CLEAN).code(0).done();
    assert_eq!(ran(&home), ["stop drill.example.com", "undo", "undo"]);
}

/// Another process takes back what a drill has done that was killed.
#[test]
fn drill_that_was_killed_is_undone_by_its_cleanup() {
    let home = drilled(
        "  stop: { on: [planned], before: [www], exec: [./note.sh, '${vars.host}'], undo: { exec: [./note.sh, undo] }, in_drill: run }
  late: { on: [planned], after: [www], exec: [./wait.sh, '${vars.host}'], in_drill: run }
",
    );
    script(&home, "wait.sh", "touch reached; sleep 600");
    let mut running = home.start(&[&REHEARSE[..], &["--sandbox"]].concat());
    assert!(running.until(|| home.path("stacks/site/reached").exists()));
    running.kill();
    let other = home.copy();
    other.sandbox(&CLEAN).code(0).says(&["stop: task undone", "no resources remain"]).done();
    assert_eq!(ran(&other), ["stop drill.example.com", "stop undo"]);
    let report = other.sandbox(&["reports", "site@drill", "--format", "json"]).code(0);
    let steps = report.json()["reports"][0]["steps"].clone();
    let is_undo = |it: &serde_json::Value| it["address"] == "stop" && it["call"] == "undo task";
    assert!(steps.as_array().unwrap().iter().any(is_undo), "{report}");
    report.done();
    // The layers of the drill are not needed for it.
    std::fs::remove_file(home.path("stacks/site/overlays/drill.yaml")).unwrap();
    home.sandbox(&["destroy", "site@drill", "--yes"]).code(0).says(&["stop: task undone"]).done();
    assert_eq!(ran(&home), ["stop drill.example.com", "stop undo"]);
}

/// The layers of home do not have it: what takes it back was recorded when it ran.
#[test]
fn failback_undoes_a_task_that_only_the_overlay_of_the_failover_declares() {
    let home = site(
        "  both: { on: [planned], before: [www], exec: [./note.sh, both], undo: { exec: [./note.sh, home] }, in_drill: skip }\n",
    );
    let tasks = "tasks:
  stop: { on: [planned], before: [www], exec: [./note.sh, stop, '${vars.host}'], undo: { exec: [./note.sh, start, '${vars.host}'] }, in_drill: skip }
  both: { undo: { exec: [./note.sh, there] } }
";
    home.overlay("site", "eu", format!("{ELSEWHERE}{tasks}"));
    home.sandbox(&TO).code(0).done();
    let status = home.sandbox(&["status", "site"]).code(0);
    status.shows(&["task stop: in force", "`lifeboat failback site --sandbox` undoes it"]).done();
    let back = home.sandbox(&BACK).code(0);
    back.shows(&["<   stop exec: undone on the way home; before www"])
        .says(&["stop: task undone", "both: task undone"])
        .done();
    let mut noted = ran(&home).split_off(2);
    noted.sort();
    assert_eq!(noted, ["both there", "stop start cache.example.com"]);
    home.sandbox(&BACK).code(0).done();
    assert_eq!(ran(&home).len(), 4, "once");
    let status = home.sandbox(&["status", "site"]).code(0);
    assert!(!status.stdout.contains("task "), "{status}");
}

/// A secret is in no record, but where it is read from is: whoever gives it again takes the task back.
#[test]
fn failback_reads_the_secret_of_an_undo_again_or_asks_for_it_before_its_first_call() {
    let mut home = site("");
    let variables = "variables:\n  token: { type: string, sensitive: true }\n";
    let stack = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
    home.set("LIFEBOAT_VAR_token", "hunter2hunter2");
    let tasks = "tasks:
  stop: { on: [planned], before: [www], exec: [./note.sh], undo: { exec: [./note.sh, 'X ${vars.token}'] }, in_drill: skip }
";
    home.overlay("site", "eu", format!("{ELSEWHERE}{variables}{tasks}"));
    // Only the overlay declares it: told while there is time.
    let told = "overlays/eu.yaml:7:86";
    home.run(&["validate", "site", "-o", "eu"]).code(0).says(&["undo_secret", told]).done();
    home.sandbox(&TO)
        .code(0)
        .says(&["undo_secret", told, "`vars.token` is a secret, and only `eu` has it"])
        .done();
    home.sandbox(&BACK)
        .code(1)
        .says(&[
            "missing_secret",
            "the `undo` of the task `stop` (stacks/site/overlays/eu.yaml:7) reads `vars.token`, which these",
            "layers do not declare",
            "add to stack.yaml `variables: { token: ",
            "and set LIFEBOAT_VAR_token in the environment; then `lifeboat failback site --sandbox`",
        ])
        .done();
    home.write("stacks/site/stack.yaml", stack.replace("variables:\n", variables));
    home.unset("LIFEBOAT_VAR_token");
    home.sandbox(&BACK)
        .code(1)
        .says(&[
            "nobody gave",
            "set LIFEBOAT_VAR_token in the environment; then",
            "`lifeboat failback site --sandbox`",
        ])
        .done();
    assert_eq!(ran(&home), ["stop"], "nothing was done");
    home.set("LIFEBOAT_VAR_token", "rotated-rotated");
    home.sandbox(&BACK).code(0).says(&["undo_changed", "stop: task undone"]).done();
    assert_eq!(ran(&home), ["stop", "stop X rotated-rotated"]);
    let endings = ["journal", "snapshot"];
    for file in endings.iter().flat_map(|it| files(&home.state_folder("site"), it)) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("rotated-rot"), "{file:?}");
    }
}

/// What a stopped switch leaves is named by its end and by `status`, each with the command that takes it back.
#[test]
fn failover_that_is_stopped_names_the_tasks_that_are_in_force() {
    let home = site(
        "  stop: { on: [planned], before: [go], exec: [./note.sh, stop], undo: { exec: [./note.sh, start] }, in_drill: skip }
  told: { on: [planned], before: [go], exec: [./note.sh], in_drill: skip }
  go: { on: [planned], before: [www], confirm: 'Send users to ${vars.host}?', in_drill: skip }
",
    );
    let mut running = home.start(&[&TO[..], &["--sandbox"]].concat());
    running.until_says("go: Send users to cache.example.com?");
    let waiting = home.sandbox(&["status", "site"]).code(0);
    waiting
        .shows(&["waiting for a person: go: Send users to cache.example.com? To approve it: `lifeboat approve site go --sandbox`"])
        .done();
    let waiting = home.sandbox(&["status", "site", "--format", "json"]).code(0).json();
    let question = &waiting["questions"][0];
    assert_eq!(question["question"], "Send users to cache.example.com?");
    assert_eq!(question["approve"], "lifeboat approve site go --sandbox");
    running.signal("INT");
    running
        .end()
        .code(130)
        .says(&[
            "still in force although users have not moved: `stop`; to give the switch up, `lifeboat failback site --sandbox` undoes them",
        ])
        .done();
    assert_eq!(phase(&home), "switching");
    let status = home.sandbox(&["status", "site"]).code(0);
    assert!(!status.stdout.contains("waiting for a person"), "{status}");
    status
        .shows(&[
            "task stop: in force, began ",
            "; `lifeboat failback site --sandbox` undoes it",
            "task told: in force",
            "; it has no `undo`",
        ])
        .done();
    let status = home.sandbox(&["status", "site", "--format", "json"]).code(0).json();
    assert_eq!(status["questions"].as_array().unwrap().len(), 0, "{status}");
    let in_force = &status["tasks_in_force"];
    assert_eq!(in_force[0]["task"], "stop", "{status}");
    assert_eq!(in_force[0]["undo"], "lifeboat failback site --sandbox");
    assert_eq!(in_force[1]["undo"], serde_json::Value::Null);
    home.sandbox(&BACK).code(0).says(&["stop: task undone"]).done();
    let mut noted = ran(&home);
    noted.sort();
    assert_eq!(noted, ["stop start", "stop stop", "told"]);
}
