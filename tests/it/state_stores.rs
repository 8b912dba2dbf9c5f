//! A state that moves into a table and back: every checkout with the new stack file acts on the same state, and one with the old is told.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Home, Running};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const TABLE: &str = "tiny-state";

const TINY: &str = "# What is sold.
stack: tiny

resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
";

const SPARE: &str = "  spare: { kind: linode.nodebalancer, region: us-east, label: tiny-1 }\n";

/// Serves the world of this home, and the address at which it does.
pub(crate) fn served(home: &Home) -> (Running<'_>, String) {
    let mut served = home.start(&["sandbox", "serve", "--listen", "127.0.0.1:0"]);
    let said = served.until_shows("stop it with Ctrl-C");
    let address = said.split_whitespace().find(|it| it.starts_with("http://127.0.0.1:")).unwrap();
    let address = address.trim_end_matches("/v4").to_owned();
    (served, address)
}

/// Real clouds, as far as lifeboat can tell.
pub(crate) fn act_on(home: &mut Home, address: &str) {
    home.set("LINODE_URL", &format!("{address}/v4"));
    home.set("LINODE_TOKEN", "sandbox");
    home.set("AWS_ENDPOINT_URL_DYNAMODB", address);
    home.set("AWS_ACCESS_KEY_ID", "sandbox");
    home.set("AWS_SECRET_ACCESS_KEY", "sandbox");
}

pub(crate) fn make_table(world: &Home, region: &str) {
    let body = json!({
        "TableName": TABLE,
        "AttributeDefinitions": [
            { "AttributeName": "state", "AttributeType": "S" },
            { "AttributeName": "key", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "state", "KeyType": "HASH" },
            { "AttributeName": "key", "KeyType": "RANGE" },
        ],
        "BillingMode": "PAY_PER_REQUEST",
    });
    world.dynamodb(region, "CreateTable", &body);
    for _ in 0..100 {
        world.world.advance(Duration::from_secs(60)).unwrap();
        let found = world.dynamodb(region, "DescribeTable", &json!({ "TableName": TABLE }));
        if found["Table"]["TableStatus"] == "ACTIVE" {
            return;
        }
    }
    panic!("the table never becomes active");
}

/// It is gone, with all that is in it.
pub(crate) fn delete_table(world: &Home, region: &str) {
    world.dynamodb(region, "DeleteTable", &json!({ "TableName": TABLE }));
    for _ in 0..100 {
        world.world.advance(Duration::from_secs(60)).unwrap();
        let found = world.dynamodb(region, "ListTables", &json!({}));
        if !found["TableNames"].as_array().unwrap().iter().any(|it| it == TABLE) {
            return;
        }
    }
    panic!("the table is never gone");
}

fn stack(home: &Home) -> String {
    std::fs::read_to_string(home.path("stacks/tiny/stack.yaml")).unwrap()
}

/// What `git pull` does.
fn take_stack(to: &Home, from: &Home) {
    to.stack("tiny", stack(from));
}

#[test]
fn state_migrate_moves_a_state_into_a_table_and_back() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let (mut first, mut second) = (Home::holding("tiny", TINY), Home::new());
    act_on(&mut first, &address);
    act_on(&mut second, &address);
    first.run(&["apply", "tiny", "--yes"]).code(0).done();
    make_table(&world, REGION);

    let store = format!(
        "dynamodb://{TABLE}?region={REGION}&endpoint={address}&fault_domain=local\
         &access_key_env=AWS_ACCESS_KEY_ID&secret_key_env=AWS_SECRET_ACCESS_KEY"
    );
    let migrate =
        |home: &Home, to: &str| home.run(&["state", "migrate", "tiny", "--to", to, "--yes"]);
    migrate(&first, &store)
        .code(0)
        .says(&["moved the state of tiny, serial 1", "stacks/tiny/stack.yaml names the new store"])
        .done();
    let moved = stack(&first);
    assert!(moved.contains("access_key_env: AWS_ACCESS_KEY_ID,"), "needless quotes: {moved}");
    first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();

    // Cut off before the stack file was written: the same command goes on.
    first.stack("tiny", TINY);
    first.run(&["plan", "tiny"]).code(3).says(&["moved it to dynamodb://"]).done();
    migrate(&first, &store).code(0).done();
    assert_eq!(stack(&first), moved);
    migrate(&first, &store).code(1).says(&["already"]).done();

    // Somebody else has a stack of this name, and nothing to move.
    second.stack("tiny", TINY);
    migrate(&second, &store).code(3).says(&["contains one", "another prefix"]).done();
    assert_eq!(stack(&second), TINY);
    // A file that nobody can read is not one whose state is in its folder.
    second.stack("tiny", format!("{moved}broken: [\n"));
    second.run(&["state", "list", "tiny"]).code(1).says(&["stack.yaml:"]).done();

    // A fresh clone on a second machine.
    take_stack(&second, &first);
    second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    second.stack("tiny", format!("{moved}{SPARE}"));
    second.run(&["apply", "tiny", "--yes"]).code(0).done();
    assert!(!second.path("state/tiny/state.snapshot").exists(), "nothing of it is in a folder");
    first.run(&["state", "list", "tiny"]).code(0).shows(&["lb", "spare"]).done();
    first.run(&["state", "log", "tiny"]).code(0).shows(&["apply tiny --yes", "complete"]).done();
    first
        .run(&["state", "restore", "tiny", "--serial", "1", "--yes"])
        .code(0)
        .says(&["as serial 3"])
        .done();
    first.run(&["state", "restore", "tiny", "--serial", "2", "--yes"]).code(0).done();

    // A checkout from before the move, with the folder that was left.
    first.stack("tiny", TINY);
    for command in [
        &["plan", "tiny"][..],
        &["apply", "tiny", "--yes"],
        &["state", "list", "tiny"],
        &["state", "log", "tiny"],
    ] {
        first.run(command).code(3).says(&["moved it to dynamodb://", "git pull"]).done();
    }

    take_stack(&first, &second);
    let said = migrate(&first, "folder").code(0).stderr;
    assert!(said.contains("moved the state of tiny, serial 4"), "{said}");
    assert!(said.contains("stack.yaml names no store any more"), "{said}");
    assert!(!said.contains("names the new store"), "{said}");
    assert_eq!(stack(&first), format!("{TINY}{SPARE}"), "byte for byte as before");
    first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    second.run(&["plan", "tiny"]).code(3).says(&["moved it to folder"]).done();
    serving.signal("TERM");
    serving.end().code(0).done();
}

/// The move was suspended past its lease, somebody applied in the old place, and its word arrived behind that.
#[test]
fn state_migrate_again_takes_along_what_was_done_meanwhile() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let mut home = Home::holding("tiny", TINY);
    act_on(&mut home, &address);
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    make_table(&world, REGION);
    let store = format!("dynamodb://{TABLE}?region={REGION}&endpoint={address}&fault_domain=local");
    let migrate = ["state", "migrate", "tiny", "--to", &store, "--yes"];
    home.run(&migrate).code(0).done();
    let word = home.path("state/tiny/moved.json");
    let left = std::fs::read(&word).unwrap();

    std::fs::remove_file(&word).unwrap();
    home.stack("tiny", format!("{TINY}{SPARE}"));
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    std::fs::write(&word, left).unwrap();
    home.run(&["plan", "tiny"]).code(3).says(&["run the same `state migrate` again"]).done();

    home.run(&migrate).code(0).says(&["moved the state of tiny, serial 2"]).done();
    home.run(&["state", "list", "tiny"]).code(0).shows(&["lb", "spare"]).done();
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    serving.signal("TERM");
    serving.end().code(0).done();
}
