//! State that must not be believed, and state that is not there: each has its own report, and a way out that works.

use std::time::Duration;

use crate::harness::Home;
use crate::two_sites;

const TINY: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
";

fn apply(home: &Home) -> crate::harness::Output {
    home.sandbox(&["apply", "tiny", "--yes"])
}

/// Types a command that a message names.
fn typed(home: &Home, said: &str, begins: &str) {
    let command =
        said.split('`').find(|it| it.starts_with(begins)).unwrap_or_else(|| panic!("{said}"));
    let words: Vec<String> =
        command.split_whitespace().skip(1).map(|it| it.trim_matches('\'').to_owned()).collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    if !words.contains(&"--yes") {
        words.push("--yes");
    }
    home.run(&words).code(0).done();
}

/// Git, a backup, a copy from elsewhere: the old snapshot is put back, and CI applies.
#[test]
fn apply_does_not_undo_a_failover_from_an_old_state() {
    let home = two_sites::home();
    let snapshot = home.state_folder("duo").join("state.snapshot");
    let old = std::fs::read(&snapshot).unwrap();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
    std::fs::write(&snapshot, old).unwrap();
    for command in [
        &["apply", "duo", "--yes"][..],
        &["plan", "duo"],
        &["failback", "duo", "--yes"],
        &["failover", "duo", "--to", "calm", "--planned", "--yes"],
        &["destroy", "duo", "--yes"],
        &["status", "duo"],
        &["state", "list", "duo"],
    ] {
        home.sandbox(command)
            .code(3)
            .says(&["the state is outdated: serial", "state restore duo"])
            .done();
    }
    let said = home.sandbox(&["apply", "duo", "--yes"]).code(3).stderr;
    typed(&home, &said, "lifeboat state restore");
    assert_eq!(two_sites::state(&home).active, ["calm"]);
    home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&["state", "restore", "duo"]).code(0).says(&["nothing to restore"]).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
}

#[test]
fn state_restore_puts_back_what_state_rm_forgot() {
    let home = Home::holding("tiny", TINY);
    apply(&home).code(0).done();
    let before = home.state("tiny").unwrap();
    home.sandbox(&["state", "rm", "tiny", "lb"])
        .code(64)
        .says(&["add --yes to skip the prompt"])
        .done();
    assert_eq!(home.state("tiny").unwrap().records, before.records);
    let said = home.sandbox(&["state", "rm", "tiny", "lb", "--yes"]).code(0).stderr;
    assert!(home.state("tiny").unwrap().records.is_empty());
    typed(&home, &said, "lifeboat state restore");
    assert_eq!(home.state("tiny").unwrap().records, before.records);
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&["state", "restore", "tiny", "lb", "--yes"])
        .code(1)
        .says(&["already has a record"])
        .done();
    home.sandbox(&["state", "restore", "tiny", "web", "--yes"])
        .code(1)
        .says(&["no snapshot"])
        .done();
}

/// The world's clock runs on its own: what `state` writes is on it.
#[test]
fn state_commands_write_the_time_of_the_sandbox() {
    let home = Home::holding("tiny", TINY);
    home.world.advance(Duration::from_secs(400 * 24 * 3_600)).unwrap();
    apply(&home).code(0).done();
    let applied = home.state("tiny").unwrap().last_run.unwrap().at;
    home.sandbox(&["state", "mv", "tiny", "lb", "front"]).code(0).done();
    let history = home.state_folder("tiny").join("history/00000002.journal");
    let journal = std::fs::read_to_string(history).unwrap();
    let at = regex::Regex::new(r#""at":(\d+)"#).unwrap();
    for it in at.captures_iter(&journal) {
        assert!(it[1].parse::<i64>().unwrap() >= applied, "{journal}");
    }
}

#[test]
fn state_resolve_takes_an_id_of_a_create_only() {
    let home = Home::holding("tiny", TINY);
    apply(&home).code(0).done();
    home.stack("tiny", TINY.replace("tiny-0", "tiny-1"));
    home.fault("PUT /nodebalancers/ hang times=9");
    let run = home.start(&["apply", "tiny", "--yes", "--sandbox"]);
    let mut run = run;
    run.until(|| home.state("tiny").is_some_and(|it| !it.pending.is_empty()));
    run.kill();
    home.world.heal(None).unwrap();
    let said = home.sandbox(&["state", "resolve", "tiny", "lb", "--id", "999"]).code(1).stderr;
    assert!(said.contains("is not a create"), "{said}");
    assert_eq!(home.state("tiny").unwrap().pending.len(), 1);
    let nothing = said.split('`').find(|it| it.starts_with("lifeboat state resolve")).unwrap();
    let words: Vec<&str> =
        nothing.split_whitespace().skip(1).map(|it| it.trim_matches('\'')).collect();
    home.run(&words).code(0).done();
    assert!(home.state("tiny").unwrap().pending.is_empty());
}

#[test]
fn init_keeps_the_state_out_of_git() {
    let home = Home::new();
    home.write("new/.gitignore", "/target\n!/state/.gitkeep");
    home.run(&["init", "new"])
        .code(0)
        .says(&["added   /state/*, !/state/.gitkeep, *.plan.json"])
        .done();
    let ignored = std::fs::read_to_string(home.path("new/.gitignore")).unwrap();
    assert_eq!(ignored, "/target\n!/state/.gitkeep\n/state/*\n!/state/.gitkeep\n*.plan.json\n");
    std::fs::remove_dir_all(home.path("new/stacks")).unwrap();
    home.run(&["init", "new"]).code(0).says(&["kept    .gitignore"]).done();
    assert_eq!(std::fs::read_to_string(home.path("new/.gitignore")).unwrap(), ignored);
}

/// One of two clouds on loopback is not the whole world.
#[test]
fn apply_on_a_runner_founds_no_state_beside_a_local_database() {
    let mut home = Home::holding("tiny", TINY);
    home.set("CI", "true");
    home.set("LINODE_TOKEN", "token");
    home.set("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1");
    home.set("LINODE_URL", "https://192.0.2.1/v4");
    home.run(&["apply", "tiny", "--yes"]).code(3).says(&["contains no state of this stack"]).done();
}

/// A runner without the state of its stack is not told to delete production.
#[test]
fn plan_and_apply_know_a_stack_without_its_state_by_its_tags() {
    let home = two_sites::home();
    std::fs::remove_dir_all(home.state_folder("duo")).unwrap();
    home.log_requests();
    for command in [
        &["plan", "duo"][..],
        &["apply", "duo", "--yes"],
        &["destroy", "duo", "--yes"],
        &["failover", "duo", "--to", "calm", "--planned", "--yes"],
    ] {
        let said =
            home.sandbox(command).code(3).says(&["this stack exists, but its state is missing"]);
        assert!(!said.stderr.contains("delete the other"), "{said}");
    }
    home.requests().mutating().none();
}

#[test]
fn plan_advises_moved_from_for_a_rename() {
    let home = Home::holding("tiny", TINY);
    apply(&home).code(0).done();
    home.stack("tiny", TINY.replace("  lb:", "  front:"));
    home.sandbox(&["plan", "tiny"]).code(3).shows(&["add `moved_from: lb` to `front`"]).done();
    home.stack("tiny", TINY.replace("  lb: {", "  front: { moved_from: lb,"));
    apply(&home).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// What was made though its reply was lost is read: others need what the cloud made up.
#[test]
fn apply_leaves_nothing_unknown_after_a_lost_reply() {
    let home = Home::holding(
        "tiny",
        "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}' }
",
    );
    home.fault("POST /nodebalancers lost_reply times=1");
    apply(&home).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    assert_eq!(home.world.show().unwrap()["linode"]["nodebalancers"].as_array().unwrap().len(), 1);
}
