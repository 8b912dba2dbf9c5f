//! Regions that are lost during a switch: however they are lost, how much was in them, and what a catastrophe left of it.

use serde_json::{Value, json};

use crate::converge::in_parallel;
use crate::harness::Home;
use crate::two_sites::{
    self, AWS, LINODE, failback, failover, found_and_destroyed, leads, settled, state,
};

const ITEMS: usize = 1_000;

/// Everything that was there before and is not asked about any more.
fn nothing_lost_was_asked(home: &Home) {
    two_sites::lost_is_left_alone(home);
    assert!(home.requests().with("hung").len() <= 2, "one look at each");
}

#[test]
fn failover_asks_nothing_of_a_large_site_that_hangs() {
    let many = "  items: { kind: dynamodb.table, count: 50, region: us-east-1, name: 'duo_${each.index}', attributes: { id: S }, hash_key: id }\n  farm: { kind: linode.instance, count: 200, region: us-east, type: g6-nanode-1, image: linode/debian12, label: 'farm-${each.index}', authorized_users: [ops] }\noutputs:";
    let home = two_sites::home_of(&two_sites::STACK.replace("outputs:", many));
    two_sites::lose(&home);
    home.log_requests();
    home.sandbox(&["failover", "duo", "--to", "calm", "--lost", LINODE, "--lost", AWS, "--yes"])
        .code(0)
        .shows(&["257 frozen"])
        .done();
    nothing_lost_was_asked(&home);
    home.log_requests();
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0);
    plan.shows(&["lost: aws:us-east-1, linode:us-east", "9 unchanged, 257"]).done();
    two_sites::apply(&home).code(0).done();
    nothing_lost_was_asked(&home);
    let asked = home.requests();
    assert!(asked.len() < 60, "what lives is asked about once for each list and table: {asked}");
    asked.mutating().none();
}

#[test]
fn failover_sends_no_users_to_an_unhealthy_standby() {
    let home = two_sites::home();
    two_sites::lose(&home);
    for machine in ["duo-eu-0", "duo-eu-1"] {
        home.run(&["sandbox", "fault", "unhealthy", machine]).code(0).done();
    }
    home.log_requests();
    failover(&home).code(1).says(&["`eu_http` does not serve", "not done: shop: update"]).done();
    home.sandbox(&["status", "duo"]).code(0).shows(&["active: eu", "phase: switching"]).done();
    two_sites::apply(&home).code(1).says(&["`eu_http` does not serve"]).done();
    failover(&home).code(1).done();
    home.requests().mutating().with("/records").none();
    assert_eq!(leads(&home), ["us"], "the old answer is intact");
    assert!(home.shown().contains("duo-eu-1"), "what was prepared stays");
    for machine in ["duo-eu-0", "duo-eu-1"] {
        home.run(&["sandbox", "heal", machine]).code(0).done();
    }
    two_sites::apply(&home).code(0).done();
    assert_eq!(leads(&home), ["eu"]);
    assert_eq!(home.requests().mutating().with("/records").len(), 1);
    settled(&home, &["eu"], "healthy at last");
}

fn put_items(home: &Home, region: &str, first: usize, count: usize) {
    for chunk in (first..first + count).collect::<Vec<_>>().chunks(25) {
        let puts: Vec<Value> = chunk
            .iter()
            .map(|it| json!({ "PutRequest": { "Item": { "id": { "S": format!("item-{it}") } } } }))
            .collect();
        home.dynamodb(region, "BatchWriteItem", &json!({ "RequestItems": { "duo": puts } }));
    }
}

fn items(home: &Home, region: &str) -> u64 {
    let mut count = 0;
    let mut start = Value::Null;
    loop {
        let mut scan = json!({ "TableName": "duo", "Select": "COUNT" });
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        let page = home.dynamodb(region, "Scan", &scan);
        count += page["Count"].as_u64().unwrap();
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return count;
        }
    }
}

/// The home table burns down; the survivor has everything, and home joins it.
#[test]
fn failback_joins_a_destroyed_home_table_to_the_healthy_replica() {
    let home = two_sites::home();
    put_items(&home, "us-east-1", 0, ITEMS / 2);
    home.world.advance(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(items(&home, "eu-west-1"), ITEMS as u64 / 2);
    two_sites::lose(&home);
    failover(&home).code(0).done();
    put_items(&home, "eu-west-1", ITEMS / 2, ITEMS / 2);
    home.destroy(AWS, Some("duo"));
    home.destroy(LINODE, Some("duo-us-1"));
    home.world.heal(None).unwrap();
    let was = state(&home).records[&"table".parse().unwrap()].clone();
    home.log_requests();
    let back = failback(&home).code(0);
    back.shows(&["joins the group through its healthy member in eu-west-1", "web[1]", "node[1]"])
        .done();
    let asked = home.requests();
    asked.with("CreateTable").none();
    asked.with("DeleteTable").none();
    assert_eq!(asked.with("UpdateTable eu-west-1 duo").mutating().len(), 1, "{asked}");
    assert_eq!((items(&home, "us-east-1"), items(&home, "eu-west-1")), (1_000, 1_000));
    let is = state(&home).records[&"table".parse().unwrap()].clone();
    assert_eq!(was.attributes, is.attributes, "nothing of how it was joined stays");
    assert_ne!(was.outputs["table_id"], is.outputs["table_id"], "it is another incarnation");
    settled(&home, &[], "joined");
}

#[test]
fn apply_does_nothing_about_a_loss_that_nobody_declared() {
    let home = two_sites::home();
    let before = state(&home);
    two_sites::lose(&home);
    home.destroy(AWS, None);
    home.destroy(LINODE, None);
    home.log_requests();
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(5);
    plan.shows(&["--lost aws:us-east-1 --lost", "No steps"]).done();
    two_sites::apply(&home).code(5).done();
    home.sandbox(&["plan", "duo", "-o", "calm"]).code(3).done();
    home.requests().mutating().none();
    let after = state(&home);
    assert_eq!((after.records, after.lost.len()), (before.records, 0), "nothing is frozen");
    assert_eq!(leads(&home), ["us"]);
}

#[test]
fn failover_leaves_a_lost_site_alone_however_it_is_lost() {
    in_parallel(&["hang", "refuse", "503"], |how| {
        let home = two_sites::home();
        home.run(&["sandbox", "lose", LINODE, AWS, "--how", how]).code(0).done();
        home.log_requests();
        failover(&home).code(0).done();
        nothing_lost_was_asked(&home);
        settled(&home, &["eu"], how);
        failback(&home).code(3).says(&["still unreachable"]).done();
        home.world.heal(None).unwrap();
        failback(&home).code(0).done();
        settled(&home, &[], how);
        assert_eq!(leads(&home), ["us"]);
    });
}

/// The second site goes, too, while the first is lost: on to the third.
#[test]
fn failover_to_a_third_site_works_while_the_first_is_lost() {
    let third = "  ap: { kind: linode.instance, region: ap-south, type: g6-nanode-1, image: linode/debian12, label: duo-ap-0, private_ip: true, authorized_users: [ops] }
  ap_lb: { kind: linode.nodebalancer, region: ap-south, label: duo-ap }
  ap_http: { kind: linode.nodebalancer_config, nodebalancer: '${ap_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  ap_node: { kind: linode.nodebalancer_node, config: '${ap_http}', label: ap1, address: '${ap.private_ipv4}:80' }
outputs:";
    let home = two_sites::home_of(&two_sites::STACK.replace("outputs:", third));
    home.overlay("duo", "ap", "overlay: ap\nassumes_lost: ['linode:eu-central']\nresources: { shop: { target: '${ap_lb.ipv4}' } }\n");
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.lose("linode:eu-central");
    home.log_requests();
    home.sandbox(&["failover", "duo", "--to", "ap", "--yes"])
        .code(0)
        .shows(&["switch eu → ap"])
        .done();
    nothing_lost_was_asked(&home);
    home.requests().to_fault_domain("linode:eu-central").one_look();
    assert_eq!(leads(&home), ["ap"]);
    let lost: Vec<String> = state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!(lost, [AWS, "linode:eu-central", LINODE]);
    settled(&home, &["ap"], "the third");
    home.world.heal(None).unwrap();
    failback(&home).code(0).done();
    assert_eq!(leads(&home), ["us"]);
    // What the second failover left behind was no part of the way home.
    home.sandbox(&["plan", "duo"]).code(0).shows(&["2 to delete", "eu[1]"]).done();
    two_sites::apply(&home).code(0).done();
    settled(&home, &[], "home from the third");
}

/// Home without its tables: they stay frozen until they are found.
#[test]
fn failback_keeps_frozen_what_is_still_lost() {
    let home = two_sites::home();
    two_sites::lose(&home);
    let away = failover(&home).code(0);
    assert!(!away.stdout.contains("lost_dependency"), "the standby has its own copy: {away}");
    home.sandbox(&["plan", "duo", "-o", "base"])
        .code(3)
        .shows(&["loss_stays", "`lifeboat failback duo --sandbox`"])
        .done();
    home.world.heal(Some(LINODE)).unwrap();
    home.log_requests();
    let back = ["failback", "duo", "--lost", AWS, "--yes"];
    // Who goes home without its table is told so before.
    let preview = home.sandbox(&back[..4]).code(64);
    let needs = "users of `shop` will be sent to `lb`, which needs `table` in";
    preview.shows(&["lost_dependency", needs]).done();
    home.sandbox(&back).code(0).shows(&["recovered: linode:us-east", "1 frozen"]).done();
    home.requests().to_fault_domain(AWS).none();
    settled(&home, &[], "home without its table");
    assert_eq!(leads(&home), ["us"]);
    assert_eq!(state(&home).lost.len(), 1);
    home.sandbox(&["recovered", "duo", AWS]).code(3).says(&["still unreachable"]).done();
    home.world.heal(None).unwrap();
    home.sandbox(&["recovered", "duo", AWS]).code(0).says(&["still lost: nothing"]).done();
    home.log_requests();
    home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
    assert!(home.requests().to_fault_domain(AWS).len() > 0, "it is looked at again");
}

/// Nobody is sent to a site that is lost, whichever way it is asked for; and what is lost is no planned switch.
#[test]
fn failover_and_failback_send_nobody_to_what_is_lost() {
    let home = two_sites::home();
    home.log_requests();
    let away = ["failover", "duo", "--to", "eu", "--lost", "linode:eu-central", "--yes"];
    home.sandbox(&away)
        .code(3)
        .shows(&["`shop` would send users to `eu_lb`, but linode:eu-central is lost"])
        .done();
    home.requests().mutating().none();
    assert!(state(&home).lost.is_empty(), "a refusal records nothing");
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.log_requests();
    home.sandbox(&["failback", "duo", "--lost", LINODE, "--lost", AWS, "--yes"])
        .code(3)
        .shows(&["`shop` would send users to `lb`", "`lifeboat failback duo --sandbox`"])
        .done();
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"])
        .code(3)
        .says(&[
            "the state records aws:us-east-1, linode:us-east as lost",
            "lifeboat recovered duo",
        ])
        .done();
    home.requests().mutating().none();
    assert_eq!(leads(&home), ["eu"]);
}

/// What somebody did meanwhile is named after the recovery, one by one.
#[test]
fn failback_names_drift_after_a_recovery() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.world.heal(None).unwrap();
    let balancer = state(&home).records[&"lb".parse().unwrap()].id.clone();
    home.linode(
        "PUT",
        &format!("/nodebalancers/{balancer}"),
        &json!({ "client_conn_throttle": 7 }),
    );
    home.sandbox(&["recovered", "duo", LINODE]).code(0).done();
    home.sandbox(&["plan", "duo", "--detailed-exitcode"])
        .code(2)
        .shows(&["Changed outside of lifeboat", "lb", "client_conn_throttle", "7"])
        .done();
    failback(&home).code(0).shows(&["lb", "client_conn_throttle"]).done();
    settled(&home, &[], "drifted");
}

/// A balancer is made anew beside the old one and never serves: the old one stays whole, whatever is tried next.
#[test]
fn failover_keeps_a_balancer_that_serves_until_the_new_one_does() {
    let kept = "label: duo-us, lifecycle: { create_before_destroy: true } }";
    let home = two_sites::home_of(&two_sites::STACK.replace("label: duo-us }", kept));
    // Nothing stands at the addresses of its nodes.
    let away = "overlay: away\nresources: { lb: { region: us-west }, node: { address: '192.168.77.1${each.key}:80' } }\n";
    home.overlay("duo", "away", away);
    home.log_requests();
    let away = ["failover", "duo", "--to", "away", "--planned", "--allow-destroys", "4", "--yes"];
    home.sandbox(&away).code(1).says(&["`http` does not serve"]).done();
    home.sandbox(&["apply", "duo", "--yes"]).code(1).says(&["`http` does not serve"]).done();
    // The way home first gives the nodes their own addresses, which the new balancer cannot reach either.
    failback(&home)
        .code(1)
        .says(&["failed: node[0]: update", "private addresses of its own region only"])
        .done();
    let deleted = home.requests().0.into_iter().any(|it| it.method == "DELETE");
    assert!(!deleted, "{}", home.shown());
    assert_eq!(leads(&home), ["us"]);
}

/// What lives goes; what is frozen stays, is told, and goes after the recovery.
#[test]
fn destroy_leaves_what_is_frozen() {
    let home = two_sites::home();
    two_sites::lose(&home);
    failover(&home).code(0).done();
    home.log_requests();
    let destroy = home.sandbox(&["destroy", "duo", "--yes"]).code(5);
    destroy.shows(&["linode:us-east is lost; it will be deleted", "lb"]).done();
    nothing_lost_was_asked(&home);
    let left: Vec<String> = state(&home).records.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["copy", "http", "lb", "node[0]", "node[1]", "table", "web[0]", "web[1]"]);
    home.world.heal(None).unwrap();
    found_and_destroyed(&home);
}

/// Every step done, and yet not everything gone.
#[test]
fn destroy_that_leaves_something_says_so() {
    let home = two_sites::home();
    home.lose(LINODE);
    home.sandbox(&["failover", "duo", "--to", "calm", "--lost", LINODE, "--yes"]).code(0).done();
    home.sandbox(&["destroy", "duo", "--yes"])
        .code(5)
        .says(&[
            "destroyed: ",
            "remaining: 7 resources",
            "lifeboat recovered duo linode:us-east --sandbox",
        ])
        .done();
}

/// Nothing of the plan brings users away from there.
#[test]
fn apply_tells_a_name_that_leads_to_what_is_lost() {
    let home = two_sites::home();
    home.lose(LINODE);
    home.sandbox(&["apply", "duo", "--lost", LINODE, "--yes"])
        .code(5)
        .shows(&["leads_into_lost", "`shop` sends users to `lb`, but linode:us-east is lost"])
        .says(&[
            "some users are still sent to the wrong target: `shop`",
            "a switch to an overlay that points it elsewhere",
        ])
        .done();
    let plan = home.sandbox(&["plan", "duo"]);
    plan.shows(&["`shop` sends users to `lb`, but linode:us-east is lost"]).done();
    let there =
        home.sandbox(&["failover", "duo", "--to", "calm", "--lost", LINODE, "--yes"]).code(0);
    assert!(!there.stdout.contains("leads_into_lost"), "{there}");
}
