//! A state in two tables of two regions: one of them is lost, the other one goes on, and the lost one is never believed again.

use serde_json::json;

use crate::drill::{same, world as shown};
use crate::harness::Home;
use crate::state_stores::{TABLE, act_on, delete_table, make_table, served};

const HOME: &str = "eu-west-1";
const AWAY: &str = "us-west-2";
/// 32 bytes that are no secret.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const THIRD: &str = "eu-central-1";

const TINY: &str = "stack: tiny
resources:
  us: { kind: linode.nodebalancer, region: us-east, label: tiny-us }
  eu: { kind: linode.nodebalancer, region: eu-central, label: tiny-eu }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${us.ipv4}' }
";

const AWAY_OVERLAY: &str = "assumes_lost: ['aws:eu-west-1', 'linode:us-east']
resources:
  shop: { target: '${eu.ipv4}' }
";

const DRILL_OVERLAY: &str = "workspace: drill
borrow: [zone]
rehearses: away
resources:
  us: { label: tiny-us-drill }
  eu: { label: tiny-eu-drill }
  shop: { name: shop-drill }
";

fn store(region: &str, address: &str) -> String {
    format!(
        "dynamodb://{TABLE}?region={region}&endpoint={address}&fault_domain=aws:{region}\
         &access_key_env=AWS_ACCESS_KEY_ID&secret_key_env=AWS_SECRET_ACCESS_KEY"
    )
}

fn stack(home: &Home) -> String {
    std::fs::read_to_string(home.path("stacks/tiny/stack.yaml")).unwrap()
}

/// A stack whose state is in two tables of one world, as two machines have it.
struct TwoStores {
    first: Home,
    second: Home,
    /// The stack file that names the primary store alone, and the one that names both.
    alone: String,
    both: String,
    primary: String,
    mirror: String,
    /// In a third region, which has no table yet.
    third: String,
}

/// Serves a world with such a stack until the test ends.
fn in_two_stores(test: impl FnOnce(&Home, &TwoStores)) {
    let world = Home::new();
    let (serving, address) = served(&world);
    let (mut first, mut second) = (Home::holding("tiny", TINY), Home::new());
    for home in [&mut first, &mut second] {
        act_on(home, &address);
        home.set("SHOP_KEY", KEY);
        home.stack("tiny", TINY);
        home.overlay("tiny", "away", AWAY_OVERLAY);
    }
    first.run(&["apply", "tiny", "--yes"]).code(0).done();
    make_table(&world, HOME);
    make_table(&world, AWAY);
    let (primary, mirror) = (store(HOME, &address), store(AWAY, &address));
    let migrate = ["state", "migrate", "tiny", "--to", &primary];
    let near = store(HOME, &address).replace(TABLE, "other");
    first
        .run(&[&migrate[..], &["--mirror", &near, "--yes"]].concat())
        .code(64)
        .says(&["are both in the fault domain aws:eu-west-1"])
        .done();
    // First into one store; the mirror comes later.
    first.run(&[&migrate[..], &["--yes"]].concat()).code(0).done();
    let alone = stack(&first);
    first.run(&[&migrate[..], &["--mirror", &mirror, "--yes"]].concat()).code(0).done();
    let both = stack(&first);
    assert!(both.contains("\n  mirror: { dynamodb: { table: tiny-state,"), "{both}");
    second.stack("tiny", &both);
    let third = store(THIRD, &address);
    test(&world, &TwoStores { first, second, alone, both, primary, mirror, third });
    serving.signal("TERM");
    serving.end().code(0).done();
}

#[test]
fn failover_under_the_loss_of_the_primary_store_goes_on_in_the_mirror() {
    in_two_stores(|world, TwoStores { first, second, .. }| {
        first
            .run(&["status", "tiny"])
            .code(0)
            .shows(&["mirror dynamodb://tiny-state", "up to date"])
            .done();
        second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();

        // The region of the primary store, and nobody said so yet.
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1", "linode:us-east"]).code(0).done();
        second
            .run(&["state", "list", "tiny"])
            .code(5)
            .shows(&["shop"])
            .says(&["cannot be reached"])
            .done();
        second
            .run(&["apply", "tiny", "--yes"])
            .code(5)
            .says(&["the primary store cannot be reached", "`lifeboat failover tiny`"])
            .done();
        let unattended = ["failover", "tiny", "--to", "away", "--yes", "--unattended"];
        second.run(&unattended).code(5).says(&["the primary store cannot be reached"]).done();
        second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
        let lost = "aws:eu-west-1 is declared lost";
        second.run(&["status", "tiny"]).code(0).shows(&[lost]).done();
        second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).says(&[lost]).done();

        // Back, and behind: whoever sees both believes the one that went on, and the next run makes them equal.
        world.sandbox(&["sandbox", "heal"]).code(0).done();
        for domain in ["aws:eu-west-1", "linode:us-east"] {
            second.run(&["recovered", "tiny", domain]).code(0).done();
        }
        second.run(&["apply", "tiny", "--yes"]).code(0).done();
        first.run(&["status", "tiny"]).code(0).shows(&["away", "up to date"]).done();
    });
}

#[test]
fn state_mirror_suspend_goes_on_without_it_until_resume() {
    in_two_stores(|world, TwoStores { first, second, primary, alone, .. }| {
        world.sandbox(&["sandbox", "lose", "aws:us-west-2"]).code(0).done();
        first
            .run(&["apply", "tiny", "--yes"])
            .code(5)
            .says(&["the mirror store cannot be reached", "`lifeboat state mirror suspend tiny`"])
            .done();
        first.run(&["state", "mirror", "suspend", "tiny"]).code(0).done();
        let suspended = "somebody suspended the mirror";
        first.run(&["apply", "tiny", "--yes"]).code(0).says(&[suspended]).done();
        first.run(&["state", "mirror", "resume", "tiny"]).code(5).done();
        // A checkout that names it must not go on in it, so it has to be told that it is none any more.
        let leave = ["state", "migrate", "tiny", "--to", primary, "--yes"];
        first.run(&leave).code(3).says(&["no word can be left", "--abandon"]).done();
        world.sandbox(&["sandbox", "heal"]).code(0).done();
        first.run(&["state", "mirror", "resume", "tiny"]).code(0).done();
        second.run(&["status", "tiny"]).code(0).shows(&["up to date"]).done();
        let keep = ["state", "resolve", "tiny", "--keep", "mirror", "--yes"];
        first.run(&keep).code(3).says(&["nothing to resolve"]).done();

        // Gone for good, by a person's word.
        world.sandbox(&["sandbox", "lose", "aws:us-west-2"]).code(0).done();
        first.run(&["state", "mirror", "suspend", "tiny"]).code(0).done();
        first.run(&[&leave[..], &["--abandon"]].concat()).code(0).done();
        assert_eq!(stack(first), *alone);
        first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    });
}

/// Each copy is encrypted by itself, and what is caught up is encrypted there.
#[test]
fn failover_of_an_encrypted_state_goes_on_in_its_mirror() {
    in_two_stores(|world, TwoStores { first, second, primary, mirror, .. }| {
        let both = ["state", "migrate", "tiny", "--to", primary, "--mirror", mirror, "--yes"];
        first.run(&[&both[..], &["--encrypt", "SHOP_KEY"]].concat()).code(0).done();
        second.stack("tiny", stack(first));
        second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1", "linode:us-east"]).code(0).done();
        second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
        world.sandbox(&["sandbox", "heal"]).code(0).done();
        for domain in ["aws:eu-west-1", "linode:us-east"] {
            second.run(&["recovered", "tiny", domain]).code(0).done();
        }
        second.run(&["apply", "tiny", "--yes"]).code(0).done();
        first.run(&["status", "tiny"]).code(0).shows(&["up to date, encrypted"]).done();
        for region in [HOME, AWAY] {
            let found = world.dynamodb(region, "Scan", &json!({ "TableName": TABLE }));
            let items = found["Items"].as_array().unwrap();
            let keys: Vec<&str> = items.iter().filter_map(|it| it["key"]["S"].as_str()).collect();
            assert!(keys.iter().any(|it| it.starts_with("sealed/entries/")), "{keys:?}");
            let holds_state = |it: &&str| {
                ["head", "entries/", "snapshots/", "history/", "reports/"]
                    .iter()
                    .any(|name| it.starts_with(name))
            };
            let plain: Vec<&str> = keys.into_iter().filter(holds_state).collect();
            assert!(plain.is_empty(), "nothing of it is in plain text: {plain:?}");
        }
    });
}

/// The region of the primary store does not come back.
#[test]
fn state_migrate_makes_a_promoted_mirror_the_primary_store() {
    in_two_stores(|world, TwoStores { first, second, mirror, third, .. }| {
        // A workspace that nobody uses again before it is moved.
        for home in [first, second] {
            home.overlay("tiny", "drill", DRILL_OVERLAY);
        }
        first.run(&["drill", "tiny", "--to", "drill", "--yes"]).code(0).done();
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1", "linode:us-east"]).code(0).done();
        second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
        make_table(world, THIRD);
        let stays = ["state", "migrate", "tiny", "--to", mirror, "--mirror", third, "--yes"];
        second
            .run(&stays)
            .code(3)
            .says(&["no word can be left in the primary store", "add `--abandon`"])
            .done();
        second.run(&[&stays[..], &["--abandon"]].concat()).code(0).done();
        let file = stack(second);
        assert!(
            file.contains("region: us-west-2") && !file.contains("region: eu-west-1"),
            "{file}"
        );
        second.run(&["status", "tiny"]).code(0).shows(&["up to date"]).done();
        // Nothing of the stack is in that region any more.
        let away = AWAY_OVERLAY.replace("'aws:eu-west-1', ", "");
        for home in [first, second] {
            home.overlay("tiny", "away", &away);
        }
        second.run(&["apply", "tiny", "--yes"]).code(0).done();

        // Whoever has an older checkout is refused, now and when the region is back.
        for heals in [false, true] {
            if heals {
                world.sandbox(&["sandbox", "heal"]).code(0).done();
            }
            let refused = first.run(&["apply", "tiny", "--yes"]).code(3);
            refused.says(&["names other stores than the state records", "`git pull`"]).done();
        }
        first.stack("tiny", &file);
        first.run(&["status", "tiny"]).code(0).shows(&["away", "up to date"]).done();
        second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    });
}

/// The mirror and the primary store change places, while both are there.
#[test]
fn state_migrate_swaps_the_primary_store_and_its_mirror() {
    in_two_stores(|world, TwoStores { first, primary, mirror, .. }| {
        let swap = ["state", "migrate", "tiny", "--to", mirror, "--mirror", primary, "--yes"];
        first.run(&swap).code(0).done();
        first.run(&["status", "tiny"]).code(0).shows(&["up to date"]).done();
        first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
        // Its region is the mirror's now: plain runs wait for it, and a person suspends it.
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1"]).code(0).done();
        first
            .run(&["apply", "tiny", "--yes"])
            .code(5)
            .says(&["the mirror store cannot be reached"])
            .done();
        first.run(&["state", "mirror", "suspend", "tiny"]).code(0).done();
        first.run(&["apply", "tiny", "--yes"]).code(0).done();
    });
}

/// Whoever was killed once the new stores were recorded runs the same command again: word is left then.
#[test]
fn state_migrate_that_was_cut_off_goes_on_with_the_same_command() {
    in_two_stores(|world, TwoStores { first, second, mirror, both, .. }| {
        let stays = ["state", "migrate", "tiny", "--to", mirror, "--yes"];
        first.run(&stays).code(0).done();
        let moved = || {
            let key = json!({ "state": { "S": "tiny" }, "key": { "S": "/moved.json" } });
            let asked = json!({ "TableName": TABLE, "Key": key });
            let found = world.dynamodb(HOME, "GetItem", &asked);
            if !found["Item"].is_null() {
                world.dynamodb(HOME, "DeleteItem", &asked);
            }
            !found["Item"].is_null()
        };
        assert!(moved(), "word was left in the former primary store");
        // As it was before either was written: the word, and the stack file.
        first.stack("tiny", both);
        second.run(&["apply", "tiny", "--yes"]).code(3).says(&["other stores"]).done();
        first.run(&stays).code(0).done();
        assert!(moved(), "it is left by the second run");
        first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    });
}

/// Its table is gone for good, and the state went on without it.
#[test]
fn apply_goes_on_in_the_mirror_where_the_former_table_is_missing() {
    in_two_stores(|world, TwoStores { second, .. }| {
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1", "linode:us-east"]).code(0).done();
        second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
        world.sandbox(&["sandbox", "heal"]).code(0).done();
        delete_table(world, HOME);
        for domain in ["aws:eu-west-1", "linode:us-east"] {
            second.run(&["recovered", "tiny", domain]).code(0).done();
        }
        second.run(&["apply", "tiny", "--yes"]).code(0).says(&["cannot be reached"]).done();
        // An empty one takes its place, and is caught up.
        make_table(world, HOME);
        second.run(&["apply", "tiny", "--yes"]).code(0).done();
        second.run(&["status", "tiny"]).code(0).shows(&["up to date"]).done();
    });
}

/// What is left of a drill is cleaned up while the primary store is lost: the workspace goes on where its stack does.
#[test]
fn drill_cleanup_goes_on_in_a_promoted_mirror() {
    in_two_stores(|world, TwoStores { first, second, .. }| {
        for home in [first, second] {
            home.overlay("tiny", "drill", DRILL_OVERLAY);
        }
        let mut running = first.start(&["drill", "tiny", "--to", "drill", "--yes"]);
        assert!(running.until(|| shown(world).contains("tiny-eu-drill")));
        running.kill();
        world.sandbox(&["sandbox", "lose", "aws:eu-west-1"]).code(0).done();
        let cleanup = ["drill", "tiny", "--to", "drill", "--cleanup", "--yes"];
        second.run(&cleanup).code(5).says(&["the primary store cannot be reached"]).done();
        second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
        second.run(&cleanup).code(0).says(&["no resources remain"]).done();
        assert!(!shown(world).contains("-drill"));
        let suspend = ["state", "mirror", "suspend", "tiny@drill"];
        second.run(&suspend).code(64).says(&["goes on where its stack does"]).done();
    });
}

/// A scheduled drill whose machine is gone: the next runner has nothing of it but the stores.
#[test]
fn drill_that_was_killed_is_cleaned_up_from_another_machine() {
    in_two_stores(|world, TwoStores { first, second, .. }| {
        for home in [first, second] {
            home.overlay("tiny", "drill", DRILL_OVERLAY);
        }
        let before = shown(world);
        let mut running = first.start(&["drill", "tiny", "--to", "drill", "--yes"]);
        assert!(running.until(|| shown(world).contains("tiny-eu-drill")));
        running.kill();
        let again = ["drill", "tiny", "--to", "drill", "--yes"];
        second.run(&again).code(3).says(&["is in use", "--cleanup"]).done();
        let cleanup = ["drill", "tiny", "--to", "drill", "--cleanup", "--yes"];
        second.run(&cleanup).code(0).says(&["no resources remain"]).done();
        same(&before, &shown(world), "killed on another machine");
        first.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    });
}

/// Law 5: an old commit in CI acts on no half of the stores, whichever half it knows.
#[test]
fn layers_that_name_other_stores_are_refused() {
    in_two_stores(|_, TwoStores { first, second, alone, both, primary, .. }| {
        let commands =
            [&["plan", "tiny"][..], &["apply", "tiny", "--yes"], &["state", "list", "tiny"]];
        second.stack("tiny", alone);
        for command in commands {
            second.run(command).code(3).says(&["names other stores", "git pull"]).done();
        }
        let migrate = ["state", "migrate", "tiny", "--to", primary, "--yes"];
        first.run(&migrate).code(0).done();
        assert_eq!(stack(first), *alone);
        // Cut off before the stack file was written: the same command goes on.
        first.stack("tiny", both);
        first.run(&migrate).code(0).done();
        assert_eq!(stack(first), *alone);
        second.stack("tiny", both);
        for command in commands {
            second.run(command).code(3).says(&["names other stores", "git pull"]).done();
        }
        second.stack("tiny", alone);
        second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
        let suspend = ["state", "mirror", "suspend", "tiny"];
        first.run(&suspend).code(1).says(&["has no mirror store"]).done();
    });
}
