//! The past of a state and its way into other stores: who changed it, back to an earlier serial and forth again, out as a document and in.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Home, redact};

const ONE: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
";

const TWO: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
  key: { kind: linode.ssh_key, label: tiny-key, ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJv tiny' }
  spare: { kind: linode.nodebalancer, region: us-east, label: tiny-1 }
";

fn apply(home: &Home) {
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
}

/// A home with serial 1 of one resource and serial 2 of three.
fn home() -> Home {
    let home = Home::holding("tiny", ONE);
    apply(&home);
    home.stack("tiny", TWO);
    apply(&home);
    home
}

fn log(home: &Home, more: &[&str]) -> crate::harness::Output {
    home.sandbox(&[&["state", "log", "tiny"], more].concat()).code(0)
}

#[test]
fn state_log_tells_who_changed_the_state_and_with_what_result() {
    let mut home = Home::holding("tiny", ONE);
    home.sandbox(&["state", "log", "tiny"])
        .code(1)
        .says(&["contains no state", "help: the first apply with --sandbox creates it\n"])
        .done();
    home.set("CI_JOB_URL", "https://ci.example/jobs/7");
    apply(&home);
    home.sandbox(&["state", "mv", "tiny", "lb", "front"]).code(0).done();
    let digest = regex::Regex::new(r"sha256:[0-9a-f]{12}").unwrap();
    let who = regex::Regex::new(r"(?m)^( +)[\w.-]+@[\w.-]+").unwrap();
    let shown = |more: &[&str]| {
        let text = redact(&log(&home, more).stdout);
        let text = who.replace_all(&text, "$1[WHO]");
        digest.replace_all(&text, "[DIGEST]").into_owned()
    };
    insta::assert_snapshot!(shown(&[]), @"
    serial  began                 result
              by, with which command
         2  [TIME]  saved, `front`: moved from `lb`
              [WHO], https://ci.example/jobs/7: `state mv tiny lb front --sandbox`, epoch 2
         1  [TIME]  complete, 1 of 1 step
              [WHO], https://ci.example/jobs/7: `apply tiny --yes --sandbox`, plan [DIGEST], epoch 1
    ");
    insta::assert_snapshot!(shown(&["-n", "1", "--entries"]), @"
    serial  began                 result
              by, with which command
         2  [TIME]  saved, `front`: moved from `lb`
              [WHO], https://ci.example/jobs/7: `state mv tiny lb front --sandbox`, epoch 2
                7  [TIME]  [WHO], https://ci.example/jobs/7 took the lease with epoch 2 for `state mv tiny lb front --sandbox`
                8  [TIME]  `front`: moved from `lb`
    ");
    let json = log(&home, &["--format", "json"]).json();
    assert_eq!((json["version"].as_u64(), json["stack"].as_str()), (Some(1), Some("tiny")));
    let applied = &json["runs"][1];
    assert_eq!(
        (applied["serial"].as_u64(), applied["result"].as_str()),
        (Some(1), Some("complete"))
    );
    assert_eq!(applied["command"], "apply tiny --yes --sandbox");
    assert!(applied["who"].as_str().unwrap().ends_with("https://ci.example/jobs/7"), "{applied}");
    assert_eq!(applied["steps"]["planned"], applied["steps"]["done"]);
    assert!(applied.get("entries").is_none());
}

/// The way back is a way forth as well, and the clouds are not told of either.
#[test]
fn state_restore_goes_back_to_a_serial_and_forth_again() {
    let home = home();
    let before = home.state("tiny").unwrap();
    home.sandbox(&["state", "restore", "tiny", "--serial", "7", "--yes"])
        .code(1)
        .says(&["no snapshot with serial 7 is kept", "kept are 1,"])
        .done();
    home.sandbox(&["state", "restore", "tiny", "--serial", "1"])
        .code(64)
        .says(&["1 resource recorded", "no longer recorded, and still running", "add --yes"])
        .done();
    home.sandbox(&["state", "restore", "tiny", "lb", "--serial", "1"]).code(64).done();
    assert_eq!(home.state("tiny").unwrap(), before);
    home.log_requests();
    home.sandbox(&["state", "restore", "tiny", "--serial", "1", "--yes"])
        .code(0)
        .says(&[
            "restored the content of serial 1 as serial 3",
            "to undo this: `lifeboat state restore tiny --serial 2 --sandbox`",
            "to record a single resource again: `lifeboat state restore tiny key --yes --sandbox`",
        ])
        .done();
    home.requests().none();
    let restored = home.state("tiny").unwrap();
    assert_eq!((restored.serial, restored.records.len()), (3, 1));
    // What carries the ownership tag is found again, and nothing is made twice.
    home.sandbox(&["plan", "tiny"])
        .code(3)
        .shows(&["adopt (recovered)", "a linode.ssh_key with"])
        .done();
    home.sandbox(&["state", "restore", "tiny", "--serial", "2", "--yes"]).code(0).done();
    let undone = home.state("tiny").unwrap();
    assert_eq!((undone.serial, &undone.records), (4, &before.records));
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    log(&home, &["-n", "1"]).shows(&["state restore tiny --serial 2"]).done();
}

#[test]
fn apply_after_state_restore_makes_nothing_twice() {
    let home = home();
    home.sandbox(&["state", "restore", "tiny", "--serial", "1", "--yes"]).code(0).done();
    // A key carries no tag: only its record tells that it is ours.
    home.sandbox(&["state", "restore", "tiny", "key", "--yes"]).code(0).done();
    apply(&home);
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    let balancers = home.linode("GET", "/nodebalancers", &serde_json::Value::Null);
    assert_eq!(balancers["data"].as_array().unwrap().len(), 2, "{balancers}");
}

#[test]
fn state_pull_and_push_carry_a_state_into_another_root_and_back() {
    let home = home();
    home.sandbox(&["state", "pull", "tiny", "--out", "tiny.state.json"])
        .code(0)
        .says(&[
            "serial 2",
            "3 resources",
            "only its owner can read",
            "the key of the fingerprints",
        ])
        .done();
    let file = home.path("tiny.state.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let pulled = home.sandbox(&["state", "pull", "tiny"]).code(0);
    assert_eq!(pulled.stdout, text);
    assert!(pulled.stderr.contains("the key of the fingerprints"), "{}", pulled.stderr);
    home.sandbox(&["state", "pull", "tiny", "--out", "tiny.state.json"])
        .code(1)
        .says(&["it already exists"])
        .done();

    // Another machine with the same clouds, and no state.
    let other = home.copy();
    std::fs::remove_dir_all(other.state_folder("tiny")).unwrap();
    other.sandbox(&["state", "push", "tiny", "tiny.state.json"]).code(64).done();
    assert!(other.state("tiny").is_none());
    let push = |home: &Home| home.sandbox(&["state", "push", "tiny", "tiny.state.json", "--yes"]);
    push(&other).code(0).says(&["holds no state of tiny", "pushed the state, serial 2"]).done();
    other.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    push(&other).code(0).says(&["has this state already, serial 2"]).done();
    other.sandbox(&["state", "mv", "tiny", "spare", "other"]).code(0).done();
    push(&other).code(3).says(&["it is older: serial 2", "`lifeboat state log tiny"]).done();

    // And back.
    std::fs::remove_file(other.path("tiny.state.json")).unwrap();
    other.sandbox(&["state", "pull", "tiny", "--out", "tiny.state.json"]).code(0).done();
    std::fs::copy(other.path("tiny.state.json"), &file).unwrap();
    let said = push(&home).code(0).says(&["serial 3 takes the place of serial 2"]).stderr;
    assert!(said.contains("`lifeboat state restore tiny --serial 2 --sandbox`"), "{said}");
    assert!(home.state("tiny").unwrap().records.contains_key(&"other".parse().unwrap()));
    home.run(&["state", "push", "tiny", "tiny.state.json", "--yes"])
        .code(3)
        .says(&["a state of the sandbox, and not of the clouds"])
        .done();
    std::fs::write(&file, text.replace("tiny-0", "tiny-9")).unwrap();
    push(&home).code(1).says(&["it is damaged: its digest is"]).done();
    std::fs::write(&file, "stack: tiny\n").unwrap();
    push(&home).code(1).says(&["no document of `state pull`"]).done();
    push(&other).code(0).done();
    home.sandbox(&["state", "restore", "tiny", "--serial", "2", "--yes"]).code(0).done();
    assert!(home.state("tiny").unwrap().records.contains_key(&"spare".parse().unwrap()));
}
