//! A failover in the night when neither the store, nor git, nor a checkout is there: from a bundle, and back into the store.

use std::path::PathBuf;

use lifeboat::sandbox::requests::received::Received;

use crate::harness::Home;
use crate::state_stores::{act_on, served};
use crate::two_sites::{AWS, CALM, LINODE, STACK, leads, lose};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A checkout of the two sites whose state is in this form.
fn checkout(form: &str, address: &str) -> Home {
    let mut home = Home::holding("duo", format!("{STACK}{form}"));
    let losing = format!("{CALM}assumes_lost: ['{LINODE}', '{AWS}']\n");
    home.overlay("duo", "eu", losing.replace("overlay: calm", "overlay: eu"));
    act_on(&mut home, address);
    home.set("SHOP_KEY", KEY);
    home
}

/// A machine with nothing: no checkout, no store, no git and no other program.
fn night(address: &str) -> Home {
    let mut night = Home::new();
    std::fs::remove_dir(night.path("stacks")).unwrap();
    act_on(&mut night, address);
    night.set("PATH", "/nonexistent");
    night
}

fn carry(from: &Home, to: &Home) {
    std::fs::copy(from.path("duo.bundle"), to.path("duo.bundle")).unwrap();
}

fn put_down(night: &Home) -> PathBuf {
    let mut found = std::fs::read_dir(night.path("")).unwrap().flatten();
    found.find(|it| it.file_name().to_string_lossy().starts_with("break-glass-")).unwrap().path()
}

/// What would change something.
fn changing(world: &Home) -> Vec<Received> {
    let all = world.requests().0;
    all.into_iter().filter(Received::is_mutating).collect()
}

/// What a pipeline does meanwhile, and the way back into the store.
fn push_back(world: &Home, home: &Home, document: &str) {
    // A pipeline that knows only the old state does not send users back.
    world.log_requests();
    home.run(&["apply", "duo", "--yes"]).code(5).says(&["older_state"]).done();
    world.world.heal(None).unwrap();
    home.run(&["apply", "duo", "--yes"]).code(3).done();
    assert!(changing(world).is_empty(), "{:?}", changing(world));
    assert_eq!(leads(world), ["eu"]);
    let push = ["state", "push", "duo", document, "--yes"];
    home.run(&push).code(3).says(&["and other content"]).done();
    home.run(&[&push[..], &["--forked-at", "1"]].concat())
        .code(0)
        .says(&["the store went on as well, to serial 2", "pushed the state, serial 3"])
        .done();
    home.run(&[&push[..], &["--forked-at", "1"]].concat())
        .code(0)
        .says(&["the store has this state already"])
        .done();
    home.run(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
    home.run(&["status", "duo"]).code(0).shows(&["eu"]).done();
    // Behind later work it is not pushed once more.
    home.run(&["state", "mv", "duo", "zone", "domain"]).code(0).done();
    home.run(&[&push[..], &["--forked-at", "1"]].concat())
        .code(3)
        .says(&["was pushed already: serial 3"])
        .done();
    home.run(&["state", "mv", "duo", "domain", "zone"]).code(0).done();
    assert_eq!(leads(world), ["eu"]);
}

/// The whole night, for a state in plain text and an encrypted one.
#[test]
fn failover_from_a_bundle_switches_and_goes_back_into_the_store() {
    for form in ["", "state: { encrypt: { key_env: SHOP_KEY } }\n"] {
        let world = Home::new();
        let (serving, address) = served(&world);
        let home = checkout(form, &address);
        home.run(&["apply", "duo", "--yes"]).code(0).done();
        home.run(&["state", "export", "duo", "--out", "duo.bundle"])
            .code(0)
            .says(&[
                "saved duo to duo.bundle: serial 1",
                "`lifeboat failover duo --from duo.bundle --to eu`",
            ])
            .done();
        let sealed = std::fs::read(home.path("duo.bundle")).unwrap();
        assert_eq!(String::from_utf8_lossy(&sealed).contains("duo.example.com"), form.is_empty());
        lose(&world);

        let mut night = night(&address);
        carry(&home, &night);
        let failover = ["failover", "duo", "--from", "duo.bundle", "--to", "eu", "--yes"];
        if !form.is_empty() {
            night.run(&failover).code(1).says(&["SHOP_KEY, which should hold its key"]).done();
            night.set("SHOP_KEY", KEY);
        }
        night
            .run(&["failover", "duo", "--from", "duo.bundle"])
            .code(64)
            .says(&["--to is missing", "eu assumes lost: linode:us-east, aws:us-east-1"])
            .done();
        night.run(&failover).code(3).says(&["add --no-shared-lease"]).done();
        assert_eq!(std::fs::read_dir(night.path("")).unwrap().count(), 2, "nothing was put down");
        let said = night
            .run(&[&failover[..], &["--no-shared-lease"]].concat())
            .code(0)
            .says(&["no shared lease keeps another machine", "`lifeboat state push duo "])
            .stderr;
        assert_eq!(leads(&world), ["eu"], "{said}");
        let plan = put_down(&night).join("plan-eu.json").display().to_string();
        night.run(&["show", &plan]).code(0).shows(&["switch base → eu"]).done();
        let document = put_down(&night).join("duo.state.json");
        assert!(said.contains(&document.display().to_string()), "{said}");
        let text = std::fs::read(&document).unwrap();
        assert_eq!(String::from_utf8_lossy(&text).contains("duo.example.com"), form.is_empty());

        push_back(&world, &home, &document.display().to_string());
        // And the bundle is older than the store.
        home.run(&[&failover[..], &["--no-shared-lease"]].concat())
            .code(3)
            .says(&[
                "the bundle is older than the store: it has serial 1",
                "`lifeboat failover duo`",
            ])
            .done();
        serving.signal("TERM");
        serving.end().code(0).done();
    }
}

#[test]
fn failover_from_refuses_what_is_torn_or_not_for_it() {
    let tiny = "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }\n";
    let world = Home::new();
    let (serving, address) = served(&world);
    let mut home = Home::holding("tiny", tiny);
    home.overlay("tiny", "eu", "overlay: eu\nresources: { lb: { label: tiny-1 } }\n");
    act_on(&mut home, &address);
    home.run(&["state", "export", "tiny", "--out", "b"])
        .code(1)
        .says(&["contains no state"])
        .done();
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    home.write("note", "mine");
    home.run(&["state", "export", "tiny", "--out", "note"])
        .code(1)
        .says(&["it already exists and is no bundle"])
        .done();
    home.run(&["state", "export", "tiny", "--out", "b", "--sandbox"]).code(64).done();
    home.run(&["state", "export", "tiny", "--out", "b"]).code(0).done();
    home.run(&["state", "export", "tiny", "--out", "b"]).code(0).done();
    let text = std::fs::read_to_string(home.path("b")).unwrap();
    let refused = |text: &str, stack: &str, code: i32, says: &str| {
        let mut night = night(&address);
        night.write("b", text);
        night.set("LINODE_TOKEN", "sandbox");
        let from = ["failover", stack, "--from", "b", "--to", "eu", "--yes", "--no-shared-lease"];
        night.run(&from).code(code).says(&[says]).done();
        assert_eq!(std::fs::read_dir(night.path("")).unwrap().count(), 2, "{says}");
    };
    world.log_requests();
    refused(
        &text[..text.len() / 2],
        "tiny",
        1,
        "it is no bundle of `state export`, or only a part",
    );
    refused(&text.replace("tiny-0", "tiny-9"), "tiny", 1, "it is damaged");
    refused(
        &text.replacen("\"bundle_version\": 1", "\"bundle_version\": 2", 1),
        "tiny",
        1,
        "format is version 2",
    );
    refused(&text, "shop", 3, "the bundle is of the stack tiny, not of shop");
    assert!(world.requests().0.is_empty(), "no cloud was called");
    serving.signal("TERM");
    serving.end().code(0).done();
}

/// A switch that only moves users leaves nothing in the clouds by which an old state could be known.
#[test]
fn apply_with_the_old_state_sends_nobody_back_from_a_switch_of_traffic_alone() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let home = checkout("", &address);
    let only = "overlay: eu\nresources: { shop: { target: '${eu_lb.ipv4}' } }\n";
    home.overlay("duo", "eu", format!("{only}assumes_lost: ['{LINODE}', '{AWS}']\n"));
    home.run(&["apply", "duo", "--yes"]).code(0).done();
    home.run(&["state", "export", "duo", "--out", "duo.bundle"]).code(0).done();
    lose(&world);
    let night = night(&address);
    carry(&home, &night);
    let failover = ["failover", "duo", "--from", "duo.bundle", "--to", "eu", "--yes"];
    night.run(&[&failover[..], &["--no-shared-lease"]].concat()).code(0).done();
    world.log_requests();
    home.run(&["apply", "duo", "--yes"]).code(5).done();
    world.world.heal(None).unwrap();
    home.run(&["apply", "duo", "--yes"]).code(3).done();
    assert_eq!(leads(&world), ["eu"]);
    assert!(changing(&world).is_empty(), "{:?}", changing(&world));
    serving.signal("TERM");
    serving.end().code(0).done();
}

/// In a network namespace of its own: the world is served on its loopback, and there is nothing else.
const ALONE: &str = r#"
set -e
ip link set lo up
mkfifo "$WORLD/said"
(cd "$WORLD" && exec "$LIFEBOAT" sandbox serve --listen "$ADDRESS" > said) &
server=$!
exec 3< "$WORLD/said"
read -r line <&3
export LINODE_URL="http://$ADDRESS/v4" AWS_ENDPOINT_URL_DYNAMODB="http://$ADDRESS"
code=0
PATH=/nonexistent "$LIFEBOAT" failover duo --from duo.bundle --to eu --yes --no-shared-lease || code=$?
kill -TERM $server
exit $code
"#;

/// A kernel that gives nobody a network namespace leaves what the night above shows: no store, no checkout, no program.
#[test]
fn failover_from_needs_nothing_but_loopback() {
    use std::process::Command;

    let mut unshare = Command::new("unshare");
    if !unshare.args(["-rn", "ip", "link", "set", "lo", "up"]).status().is_ok_and(|it| it.success())
    {
        println!("no network namespace can be made here: not tried");
        return;
    }
    let world = Home::new();
    let (serving, address) = served(&world);
    let home = checkout("", &address);
    home.run(&["apply", "duo", "--yes"]).code(0).done();
    home.run(&["state", "export", "duo", "--out", "duo.bundle"]).code(0).done();
    lose(&world);
    let night = night(&address);
    carry(&home, &night);
    serving.signal("TERM");
    serving.end().code(0).done();
    let went = Command::new("unshare")
        .args(["-rn", "sh", "-c", ALONE])
        .current_dir(night.path(""))
        .env_clear()
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("HOME", night.path(""))
        .env("WORLD", world.path(""))
        // The same one, which is the account there; the namespace has all of them free.
        .env("ADDRESS", address.trim_start_matches("http://"))
        .env("LIFEBOAT", env!("CARGO_BIN_EXE_lifeboat"))
        .env("LINODE_TOKEN", "sandbox")
        .env("AWS_ACCESS_KEY_ID", "sandbox")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&went.stderr);
    assert_eq!(went.status.code(), Some(0), "{said}");
    assert!(said.contains("`lifeboat state push duo "), "{said}");
    assert_eq!(leads(&world), ["eu"], "{said}");
}
