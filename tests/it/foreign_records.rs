//! Somebody else's record of a name that is ours: users take it for ours, so nobody says that they are where they are wanted.

use lifeboat::engine::state::record::Phase;
use serde_json::{Value, json};

use crate::harness::Home;
use crate::two_sites;

fn zone(home: &Home) -> String {
    format!("/domains/{}/records", home.state("duo").unwrap().records[&"zone".parse().unwrap()].id)
}

/// Somebody adds a record, beside ours.
fn add(home: &Home, record: &Value) -> Value {
    home.linode("POST", &zone(home), record)["id"].clone()
}

/// The dead balancer, as an old hand at the console left it.
fn old(home: &Home) -> Value {
    let lb = home.state("duo").unwrap().records[&"lb".parse().unwrap()].outputs["ipv4"].json();
    add(home, &json!({ "type": "A", "name": "shop", "target": lb, "ttl_sec": 300 }))
}

fn failover(home: &Home) -> crate::harness::Output {
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"])
}

#[test]
fn failover_is_incomplete_while_there_is_a_second_record_of_the_name() {
    let home = two_sites::home();
    let id = old(&home).to_string();
    let says = [id.as_str(), "linode.domain_record", "198.18.0.", "not part of this stack"];
    home.log_requests();
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0);
    plan.shows(&["foreign_record", "would not move it"]).shows(&says).done();
    // Of the list that is read anyway.
    assert_eq!(home.requests().with(&zone(&home)).len(), 1, "{}", home.requests());
    let json = home.sandbox(&["plan", "duo", "--format", "json"]).code(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let foreign = &json["plan"]["foreign"][0];
    assert_eq!((&foreign["address"], foreign["id"].as_str()), (&json!("shop"), Some(id.as_str())));
    // It leads where ours does: users are where they are wanted, as long as nobody switches.
    home.sandbox(&["apply", "duo", "--yes"]).code(0).says(&["nothing to do"]).done();
    home.sandbox(&["audit", "duo", "--online"]).shows(&["name-shared", &id]).done();
    for _ in 0..2 {
        let said = failover(&home).code(5).says(&["the switch is incomplete"]).says(&says);
        assert!(!said.to_string().contains(": complete"), "{said}");
        // Ours moved all the same: half of the users are better than none.
        assert_eq!(two_sites::leads(&home), ["eu", "us"]);
        assert_eq!(two_sites::state(&home).phase, Phase::Switching);
    }
    home.linode("DELETE", &format!("{}/{id}", zone(&home)), &Value::Null);
    failover(&home).code(0).done();
    two_sites::settled(&home, &["calm"], "the other one is gone");
    let id = add(&home, &json!({ "type": "A", "name": "shop", "target": "192.0.2.9" })).to_string();
    home.sandbox(&["apply", "duo", "--yes"]).code(5).says(&["nothing to do", &id]).done();
    home.linode("DELETE", &format!("{}/{id}", zone(&home)), &Value::Null);
    // One that comes afterwards.
    let lb = two_sites::state(&home).records[&"lb".parse().unwrap()].outputs["ipv4"].json();
    let id = add(&home, &json!({ "type": "A", "name": "shop", "target": lb })).to_string();
    failover(&home).code(5).says(&[&id, "users could not be confirmed there"]).done();
    // Home is where that one leads.
    home.linode("PUT", &format!("{}/{id}", zone(&home)), &json!({ "target": "192.0.2.9" }));
    home.sandbox(&["failback", "duo", "--yes"]).code(5).says(&[&id]).done();
    home.linode("DELETE", &format!("{}/{id}", zone(&home)), &Value::Null);
    home.log_requests();
    home.sandbox(&["failback", "duo", "--yes"]).code(0).done();
    two_sites::settled(&home, &[], "at home");
}

/// Nobody takes these for it.
#[test]
fn failover_ignores_what_is_no_second_record_of_the_name() {
    let home = two_sites::home();
    for record in [
        json!({ "type": "AAAA", "name": "shop", "target": "2001:db8::7" }),
        json!({ "type": "TXT", "name": "shop", "target": "said" }),
        json!({ "type": "MX", "name": "shop", "target": "mail.example.net" }),
        json!({ "type": "A", "name": "*", "target": "192.0.2.1" }),
        json!({ "type": "A", "name": "", "target": "192.0.2.1" }),
        json!({ "type": "A", "name": "shop.old", "target": "192.0.2.1" }),
    ] {
        add(&home, &record);
    }
    let other =
        json!({ "domain": "other.example.com", "type": "master", "soa_email": "a@example.com" });
    let other = home.linode("POST", "/domains", &other)["id"].clone();
    let record = json!({ "type": "A", "name": "shop", "target": "192.0.2.1" });
    home.linode("POST", &format!("/domains/{other}/records"), &record);
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0);
    assert!(!plan.to_string().contains("foreign"), "{plan}");
    failover(&home).code(0).done();
    let audit = home.sandbox(&["audit", "duo", "--online"]);
    assert!(!audit.to_string().contains("name-shared"), "{audit}");
}

/// Several records of one name that are all declared are one set, also while one of them is being made.
#[test]
fn apply_takes_no_record_of_ours_for_that_of_somebody_else() {
    let twice = two_sites::STACK.replace(
        "outputs:",
        "  more: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.7, ttl_sec: 30 }\noutputs:",
    );
    let home = two_sites::home();
    home.stack("duo", &twice);
    home.fault("POST /domains/ 503 times=0");
    home.sandbox(&["apply", "duo", "--yes"]).code(1).done();
    home.world.heal(None).unwrap();
    let id = add(&home, &json!({ "type": "A", "name": "shop", "target": "192.0.2.8" })).to_string();
    let told = home.sandbox(&["plan", "duo"]).code(0).to_string();
    assert!(told.contains(&id) && told.matches("warning [foreign_record]").count() <= 1, "{told}");
    home.linode("DELETE", &format!("{}/{id}", zone(&home)), &Value::Null);
    home.sandbox(&["apply", "duo", "--yes"]).code(0).done();
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0);
    assert!(!plan.to_string().contains("foreign"), "{plan}");
}
