//! Any sequence of calls leaves the members of a group alike in what they share, items included.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dynamodb::tests::client::{Client, ORDERS};
use crate::http::Millis;

const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

/// Operation and body of the n-th kind of call; `other` is some other region.
fn call(kind: u8, other: &str, number: u8) -> (&'static str, Value) {
    let index = json!({"IndexName": "who", "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}});
    let definitions = json!([{"AttributeName": "who", "AttributeType": "S"}]);
    let item = json!({"id": {"S": number.to_string()}, "who": {"S": "x"}});
    let key = json!({"id": {"S": number.to_string()}});
    match kind {
        0..=2 => ("UpdateTable", json!({"ReplicaUpdates": [{"Create": {"RegionName": other}}]})),
        3 => ("UpdateTable", json!({"ReplicaUpdates": [{"Delete": {"RegionName": other}}]})),
        4 => ("DeleteTable", json!({})),
        5 => (
            "UpdateTable",
            json!({"AttributeDefinitions": definitions, "GlobalSecondaryIndexUpdates": [{"Create": index}]}),
        ),
        6 => (
            "UpdateTable",
            json!({"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "who"}}]}),
        ),
        7 => (
            "UpdateTimeToLive",
            json!({"TimeToLiveSpecification": {"Enabled": number.is_multiple_of(2), "AttributeName": "until"}}),
        ),
        8 => (
            "UpdateTable",
            json!({"OnDemandThroughput": {"MaxWriteRequestUnits": i32::from(number) + 1}}),
        ),
        9 => ("UpdateTable", json!({"DeletionProtectionEnabled": number.is_multiple_of(2)})),
        10 => ("UpdateTable", json!({"BillingMode": "PAY_PER_REQUEST"})),
        11 => ("DeleteItem", json!({"Key": key})),
        _ => ("PutItem", json!({"Item": item})),
    }
}

/// What every member of a group must agree about.
fn shared(client: &mut Client, at: Millis, region: &str) -> Option<(Vec<String>, Value)> {
    let mut ask = |operation: &str| -> Option<Value> {
        let answer = client.send(at, region, operation, r#"{"TableName": "orders"}"#);
        (answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap())
    };
    let table = ask("DescribeTable")?["Table"].clone();
    let mut group = vec![region.to_owned()];
    for replica in table["Replicas"].as_array().into_iter().flatten() {
        assert_eq!(replica["ReplicaStatus"], "ACTIVE", "all is quiet by now");
        group.push(replica["RegionName"].as_str().unwrap().to_owned());
    }
    group.sort();
    assert_eq!(table["TableStatus"], "ACTIVE");
    let mut items = ask("Scan")?["Items"].as_array().unwrap().clone();
    items.sort_by_key(Value::to_string);
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|it| it["IndexName"].clone()).collect()
    };
    Some((
        group,
        json!({
            "keys": table["KeySchema"],
            "attributes": table["AttributeDefinitions"],
            "indexes": names(&table["GlobalSecondaryIndexes"]),
            "billing": table["BillingModeSummary"]["BillingMode"],
            "writes": table["OnDemandThroughput"]["MaxWriteRequestUnits"],
            "ttl": ask("DescribeTimeToLive")?["TimeToLiveDescription"],
            "items": items,
        }),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn update_table_and_items_keep_members_alike_in_any_sequence(
        calls in prop::collection::vec((0u8..16, 0usize..3, 1usize..3, 0u8..6, 0i64..400), 1..40)
    ) {
        let mut client = Client::new();
        client.play(ORDERS);
        let mut at: Millis = 10_000;
        for (kind, region, step, number, wait) in calls {
            let (operation, mut body) = call(kind, REGIONS[(region + step) % 3], number);
            body["TableName"] = "orders".into();
            let answer = client.send(at, REGIONS[region], operation, &body.to_string());
            prop_assert!(answer.status < 500, "{operation} {body}");
            at += wait * 1_000;
        }
        at += 3_600_000;
        let mut seen: Vec<(Vec<String>, Value)> =
            REGIONS.iter().filter_map(|region| shared(&mut client, at, region)).collect();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        for pair in seen.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            prop_assert_eq!(&pair[0].1, &pair[1].1);
        }
        for (group, _) in &seen {
            let same = seen.iter().filter(|(other, _)| other == group).count();
            prop_assert_eq!(same, group.len(), "each member names the same members");
        }
    }
}
