//! A state that is lost, and is read from the clouds again.

use lifeboat::sandbox::requests::received::Received;

use crate::harness::Home;
use crate::two_sites;

const KEYED: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-0 }
  key: { kind: linode.ssh_key, label: tiny-key, ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJv tiny' }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
";

fn lose_state(home: &Home, stack: &str) {
    std::fs::remove_dir_all(home.state_folder(stack)).unwrap();
}

/// Of lifeboat since the log was begun.
fn changed_nothing(home: &Home) {
    let changing: Vec<Received> =
        home.requests().0.into_iter().filter(Received::is_mutating).collect();
    assert!(changing.is_empty(), "{changing:?}");
}

#[test]
fn state_rebuild_of_the_example_leaves_nothing_to_plan_and_to_destroy_everything() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.sandbox(&["state", "rebuild", "woocommerce", "--yes"])
        .code(3)
        .says(&["contains a state of woocommerce", "only a state that is lost is rebuilt"])
        .done();
    let before = home.state("woocommerce").unwrap();
    lose_state(&home, "woocommerce");
    home.sandbox(&["plan", "woocommerce"])
        .code(3)
        .says(&["`lifeboat state rebuild woocommerce --sandbox`"])
        .done();
    home.log_requests();
    home.sandbox(&["state", "rebuild", "woocommerce"]).code(64).says(&["--yes"]).done();
    assert!(home.state("woocommerce").is_none());
    // It carries no tag, so somebody has to know it.
    let key = format!("ops_key={}", before.records[&"ops_key".parse().unwrap()].id);
    let rebuild = ["state", "rebuild", "woocommerce", "--take", &key, "--yes"];
    let said = home.sandbox(&rebuild).code(0).stderr;
    changed_nothing(&home);
    assert!(said.contains("carries an ownership tag of this stack"), "{said}");
    let after = home.state("woocommerce").unwrap();
    let ids = |it: &lifeboat::engine::state::record::State| -> Vec<(String, String)> {
        it.records.iter().map(|(address, it)| (address.to_string(), it.id.clone())).collect()
    };
    assert_eq!(ids(&before), ids(&after), "{said}");
    assert_eq!(before.bound, after.bound);
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&["destroy", "woocommerce", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

#[test]
fn state_rebuild_lists_what_it_cannot_decide_and_takes_what_it_is_told() {
    let home = Home::holding("tiny", KEYED);
    home.sandbox(&["state", "rebuild", "tiny", "--yes"])
        .code(1)
        .says(&["nothing of tiny was found", "`lifeboat apply tiny --sandbox`"])
        .done();
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let key = home.state("tiny").unwrap().records[&"key".parse().unwrap()].id.clone();
    lose_state(&home, "tiny");
    home.sandbox(&["state", "rebuild", "tiny", "--yes"])
        .code(0)
        .says(&[" has its name, and nothing tells whose it is", "2 resources"])
        .done();
    let shown = home.sandbox(&["plan", "tiny"]).stdout;
    assert!(shown.contains("1 to create"), "just that: {shown}");
    // Nothing was done with it, so it can be rebuilt again by who knows more.
    let wrong = ["state", "rebuild", "tiny", "--yes", "--take", "key=1"];
    home.sandbox(&wrong).code(0).says(&["1 is none of those that have its name"]).done();
    home.sandbox(&["state", "rebuild", "tiny", "--yes", "--take", "key"]).code(64).done();
    let take = format!("key={key}");
    home.sandbox(&["state", "rebuild", "tiny", "--yes", "--take", &take]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.sandbox(&["destroy", "tiny", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// Users are at the standby: the overlay that was active says so.
#[test]
fn state_rebuild_after_a_switch_goes_on_at_the_standby() {
    let home = two_sites::home();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    std::fs::remove_dir_all(home.state_folder("duo")).unwrap();
    home.log_requests();
    home.sandbox(&["state", "rebuild", "duo", "--active", "calm", "--yes"]).code(0).done();
    changed_nothing(&home);
    home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
    assert_eq!(home.state("duo").unwrap().active, ["calm"]);
    assert_eq!(two_sites::leads(&home), ["eu"]);
    two_sites::failback(&home).code(0).done();
    assert_eq!(two_sites::leads(&home), ["us"]);
}

/// A record carries no tag: of two by one name, in a zone of ours, nothing tells which was ours.
#[test]
fn state_rebuild_takes_neither_of_two_that_may_be_meant() {
    let home = two_sites::home();
    let (shop, zone, target) = {
        let state = home.state("duo").unwrap();
        let id = |address: &str| state.records[&address.parse().unwrap()].id.clone();
        let shop = &state.records[&"shop".parse().unwrap()];
        (id("shop"), id("zone"), shop.attributes["target"].json())
    };
    let other = serde_json::json!({ "type": "A", "name": "shop", "target": target, "ttl_sec": 30 });
    let other = home.linode("POST", &format!("/domains/{zone}/records"), &other);
    lose_state(&home, "duo");
    let said = home.sandbox(&["state", "rebuild", "duo", "--yes"]).code(0).stderr;
    let undecided = said.split("could not be decided").nth(1).unwrap();
    for part in ["`shop`", &shop, &other["id"].to_string()] {
        assert!(undecided.contains(part), "{part}: {said}");
    }
    assert!(!home.state("duo").unwrap().records.contains_key(&"shop".parse().unwrap()));
    let take = format!("shop={shop}");
    home.sandbox(&["state", "rebuild", "duo", "--yes", "--take", &take]).code(0).done();
    assert_eq!(home.state("duo").unwrap().records[&"shop".parse().unwrap()].id, shop);
}
