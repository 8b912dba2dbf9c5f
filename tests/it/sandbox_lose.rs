//! Regions that are lost, healed and destroyed, as a person at the terminal and a test see it.

use std::time::Duration;

use lifeboat::sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::harness::Home;
use crate::two_sites;

const STACK: &str = "\
stack: tiny
resources:
  web:
    kind: linode.instance
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: web-0
    private_ip: true
    authorized_users: [ops]
    ready: { tcp: '${self.ipv4}:22', within: 5m }
  lb: { kind: linode.nodebalancer, region: us-east, label: front }
  table: { kind: dynamodb.table, region: us-east-1, name: tiny-items, attributes: { id: S }, hash_key: id }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
";

#[test]
fn sandbox_lose_and_heal_say_what_is_lost_afterwards() {
    let home = Home::new();
    let typo = home.run(&["sandbox", "lose", "aws:us-east-1", "linode:us-eest"]).code(1);
    typo.says(&["unknown fault domain `linode:us-eest`", "did you mean `linode:us-east`?"]).done();
    home.run(&["sandbox", "heal"]).code(0).says(&["no fault domain is lost in the sandbox"]).done();
    home.run(&["sandbox", "lose", "linode:us-east"]).code(0).done();
    home.run(&["sandbox", "lose", "aws:us-east-1", "--how", "503"])
        .code(0)
        .says(&[
            "lost: aws:us-east-1 since 20",
            "answered with 503",
            "lost: linode:us-east since 20",
        ])
        .done();
    home.run(&["sandbox", "show"]).code(0).shows(&["linode:us-east:", "since 20"]).done();
    let healed = home.run(&["sandbox", "heal", "linode:us-east"]).code(0);
    let healed = healed.says(&["linode:us-east is healed", "lost: aws:us-east-1 since"]);
    assert!(!healed.stderr.contains("lost: linode"), "{healed}");
    home.run(&["sandbox", "heal", "linode:us-east"])
        .code(0)
        .says(&["linode:us-east was neither lost nor unhealthy", "lost: aws:us-east-1"])
        .done();
    home.run(&["sandbox", "heal", "linode:us-eest"]).code(1).says(&["did you mean"]).done();
    home.run(&["sandbox", "heal", "aws:us-east-1"])
        .code(0)
        .says(&["no fault domain is lost in the sandbox"])
        .done();
}

#[test]
fn sandbox_log_has_the_requests_of_the_binary() {
    let home = Home::holding("tiny", STACK);
    home.run(&["sandbox", "log", "show"]).code(0).says(&["request logging is off"]).done();
    home.log_requests();
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let looks = home.probes();
    assert!(looks.to_fault_domain("linode:us-east").with(":22").len() > 0, "{looks}");
    home.log_requests();
    home.linode("GET", "/nodebalancers", &Value::Null);
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    let plan = home.requests();
    plan.mutating().none();
    assert!(plan.to_fault_domain("aws:us-east-1").with("DescribeTable").len() > 0, "{plan}");
    plan.to_fault_domain("aws:eu-west-1").none();
    assert_eq!(
        plan.with("GET /v4/nodebalancers 200").len(),
        1,
        "somebody's call is not its: {plan}"
    );
    home.run(&["sandbox", "log", "show"])
        .code(0)
        .shows(&["DescribeTable us-east-1 tiny-items [aws:us-east-1] 200"])
        .done();

    home.run(&["sandbox", "log", "on"]).code(0).done();
    home.sandbox(&["destroy", "tiny", "--yes"]).code(0).done();
    let destroy = home.requests().mutating();
    assert_eq!(destroy.to_fault_domain("linode:us-east").len(), 2, "{destroy}");
    assert_eq!(destroy.to_fault_domain("linode:global").len(), 1, "{destroy}");
    assert_eq!(destroy.with("DeleteTable us-east-1 tiny-items").len(), 1, "{destroy}");
}

#[test]
fn sandbox_destroy_is_seen_after_the_heal() {
    let home = Home::holding("tiny", STACK);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.run(&["sandbox", "destroy", "linode:us-east", "--object", "web-1"])
        .code(1)
        .says(&["linode:us-east has no resource named `web-1`", "did you mean `web-0`?"])
        .done();
    home.lose("aws:us-east-1");
    home.run(&["sandbox", "destroy", "aws:us-east-1"])
        .code(0)
        .says(&["visible once the fault domain is healed: tiny-items"])
        .done();
    home.destroy("linode:us-east", Some("web-0"));
    home.world.heal(None).unwrap();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"])
        .code(2)
        .shows(&["2 to create, 0 to update, 0 to replace, 0 to delete"])
        .done();
}

/// More tables, balancers and machines in a region that nobody declared lost than are asked for at one time: all are unseen,
/// for one reason, in the time of one silence.
#[test]
fn plan_does_not_wait_for_each_object_of_a_silent_region() {
    let stack = "\
stack: many
resources:
  table: { kind: dynamodb.table, count: 30, region: us-east-1, name: 'many-${each.index}', attributes: { id: S }, hash_key: id }
  web:
    kind: linode.instance
    count: 10
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: 'web-${each.index}'
    private_ip: true
    authorized_users: [ops]
  lb: { kind: linode.nodebalancer, count: 12, region: us-east, label: 'lb-${each.index}' }
  http: { kind: linode.nodebalancer_config, for_each: '${lb}', nodebalancer: '${each.value}', port: 80 }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http[0]}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
";
    let home = Home::holding("many", stack);
    home.sandbox(&["apply", "many", "--yes"]).code(0).done();
    home.lose("aws:us-east-1");
    home.lose("linode:us-east");
    home.log_requests();
    let began = std::time::Instant::now();
    let plan = home.sandbox(&["plan", "many", "--detailed-exitcode"]).code(5);
    let took = began.elapsed();
    let said = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["aws:us-east-1 at http://127.0.0.1:", "linode:us-east at http://127.0.0.1:"] {
        assert!(said.contains(part), "it lacks {part:?}\n{plan}");
    }
    // One request alone may take five seconds; all of them one after the other took a minute.
    assert!(took.as_secs() < 20, "{took:?}");
    home.requests().mutating().none();
}

/// Writes take as long as was said; and whether a group can be changed without one of its members is said with the loss.
#[test]
fn sandbox_lag_and_group_changes_do_as_the_terminal_says() {
    let home = Home::with(&SandboxOptions { manual: true, ..SandboxOptions::default() });
    let table = json!({
        "TableName": "shop", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    let join = json!({
        "TableName": "shop", "ReplicaUpdates": [{ "Create": { "RegionName": "eu-west-1" } }],
    });
    let pass = |seconds| home.world.advance(Duration::from_secs(seconds)).unwrap();
    home.dynamodb("us-east-1", "CreateTable", &table);
    pass(10);
    home.dynamodb("us-east-1", "UpdateTable", &join);
    pass(60);
    home.run(&["sandbox", "lag", "30000"]).code(0).done();
    let key = json!({ "id": { "S": "a" } });
    home.dynamodb("us-east-1", "PutItem", &json!({ "TableName": "shop", "Item": key }));
    let there = || {
        let item = json!({ "TableName": "shop", "Key": key });
        home.dynamodb("eu-west-1", "GetItem", &item)["Item"].clone()
    };
    pass(29);
    assert_eq!(there(), Value::Null);
    pass(1);
    assert_eq!(there(), key);

    home.run(&["sandbox", "lose", "aws:us-east-1", "--group-changes"]).code(0).done();
    let limit = json!({ "TableName": "shop", "OnDemandThroughput": { "MaxReadRequestUnits": 9 } });
    home.dynamodb("eu-west-1", "UpdateTable", &limit);
}

/// Everything of one cloud falls silent under a switch that waits for its new machine: nobody retries for the better part of an
/// hour, and the same command goes on when it answers.
#[test]
fn failover_gives_up_on_a_cloud_that_falls_silent() {
    let home = two_sites::home();
    let failover = ["failover", "duo", "--to", "calm", "--planned", "--yes"];
    let mut running = home.start(&[&failover[..], &["--sandbox"]].concat());
    assert!(running.until(|| home.requests().with("POST").with("/linode/instances").len() > 3));
    let began = home.world.now();
    for place in ["linode:us-east", "linode:eu-central", "linode:global"] {
        home.run(&["sandbox", "lose", place, "--how", "refuse"]).code(0).done();
    }
    running.end().code(1).says(&["unreachable: "]).done();
    let took = home.world.now() - began;
    assert!(took < 15 * 60_000, "{} s", took / 1_000);
    home.world.heal(None).unwrap();
    home.sandbox(&failover).code(0).says(&["complete"]).done();
    assert_eq!(two_sites::leads(&home), ["eu"]);
}
