//! Other people's clients against the sandbox, and other people's emulators under lifeboat: neither was written with the other in mind.
//!
//! `.ci/run` makes the Python environment and names it in `LIFEBOAT_CONFORMANCE_VENV`, and installs servers of S3, and what reads
//! workflows and scripts, in `LIFEBOAT_CONFORMANCE_PEERS`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod machine;
mod process;
mod stores;
#[expect(dead_code, reason = "tests without a store of another process use the rest of it")]
#[path = "../it/ci_server.rs"]
mod ci_server;
mod pipelines;

use std::path::Path;

use process::{Peer, Root, Sandbox, lifeboat, python};

/// A table of one region, which every emulator of DynamoDB knows.
const TABLE: &str = "\
stack: peer
resources:
  items:
    kind: dynamodb.table
    region: us-east-1
    name: peer_items
    attributes: { id: S }
    hash_key: id
    tags: { made-by: lifeboat }
";

/// A further member of its group.
const REPLICA: &str =
    "  items_eu: { kind: dynamodb.replica, table: '${items}', region: eu-west-1 }\n";

/// A change of everything that changes in place.
const MORE: &str = "\
overlay: more
resources:
  items: { tags: { more: '1' }, point_in_time_recovery: true, ttl_attribute: expires }
";

#[test]
fn boto3_lives_in_the_sandbox() {
    let sandbox = Sandbox::start();
    python("sandbox_boto3.py", &[&sandbox.url()]);
}

#[test]
fn linode_cli_lives_in_the_sandbox() {
    let sandbox = Sandbox::start();
    let home = sandbox.root.folder("home");
    python("sandbox_linode_cli.py", &[&sandbox.address, &home.display().to_string()]);
}

#[test]
fn linode_api4_lives_in_the_sandbox() {
    let sandbox = Sandbox::start();
    python("sandbox_linode_api4.py", &[&sandbox.url()]);
}

#[test]
fn lifeboat_makes_a_table_and_replicas_at_ministack() {
    let root = peer_stack(&format!("{TABLE}{REPLICA}"));
    let peer = Peer::ministack(&root.folder("ministack"));
    life(root.path(), &peer, &["eu-west-1"]);
}

#[test]
fn lifeboat_makes_a_table_at_moto() {
    let root = peer_stack(TABLE);
    let peer = Peer::moto();
    life(root.path(), &peer, &[]);
}

/// A stack's whole life: made, found equal, changed, found equal, its data guarded, destroyed.
fn life(root: &Path, peer: &Peer, replicas: &[&str]) {
    let run = |words: &[&str]| lifeboat(root, peer.url(), words);
    run(&["plan", "peer", "--detailed-exitcode"]).ends_with(2);
    run(&["apply", "peer", "--yes"]).ends_with(0);
    run(&["plan", "peer", "--detailed-exitcode"]).ends_with(0).says("No changes.");
    let url = peer.url().to_owned();
    let check: Vec<&str> =
        [url.as_str(), "peer_items", "us-east-1"].into_iter().chain(replicas.to_vec()).collect();
    python("peer_data.py", &check);
    run(&["apply", "peer", "-o", "more", "--switch", "--yes"]).ends_with(0);
    run(&["plan", "peer", "--detailed-exitcode"]).ends_with(0).says("No changes.");
    run(&["destroy", "peer", "--yes"]).ends_with(3).says("--data-loss");
    python("peer_data.py", &check);
    run(&["destroy", "peer", "--yes", "--data-loss"]).ends_with(0);
    run(&["plan", "peer", "--detailed-exitcode"]).ends_with(2);
}

fn peer_stack(text: &str) -> Root {
    let root = Root::new();
    root.write("stacks/peer/stack.yaml", text);
    root.write("stacks/peer/overlays/more.yaml", MORE);
    root
}
