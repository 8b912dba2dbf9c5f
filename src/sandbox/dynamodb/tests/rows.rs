//! What another process sees: changes, snapshots, and the summary.

use serde_json::json;

use crate::dynamodb::tests::client::{Client, ORDERS, START};
use crate::dynamodb::tests::joining::add;

#[test]
fn apply_shows_another_process_the_same_tables() {
    let mut first = Client::new();
    let mut second = Client::new();
    first.play(ORDERS);
    first.play(&format!("10s us-east-1 UpdateTable orders, {}\n= ok", add("us-west-2")));
    let hand_over = |from: &mut Client, to: &mut Client| {
        for (table, key, row) in from.cloud.take_changes() {
            assert!(to.cloud.apply(&table, &key, row), "{table} {key}");
        }
        assert_eq!(from.cloud.all(), to.cloud.all());
        assert!(from.cloud.take_changes().is_empty());
        std::mem::swap(&mut from.items, &mut to.items);
    };
    hand_over(&mut first, &mut second);
    second.play("40s us-west-2 PutItem orders, \"Item\": {\"id\": {\"S\": \"a\"}}\n= ok");
    hand_over(&mut second, &mut first);
    first
        .play("41s us-east-1 GetItem orders, \"Key\": {\"id\": {\"S\": \"a\"}}\n= Item.id.S \"a\"");
    let mut third = Client::new();
    for (table, key, row) in first.cloud.all() {
        assert!(third.cloud.apply(&table, &key, Some(row)));
    }
    assert_eq!(third.cloud.show(START + 50_000), first.cloud.show(START + 50_000));
    assert!(!third.cloud.apply("nonsense", "a", None));
}

#[test]
fn show_summarizes_the_tables_of_now() {
    let mut client = Client::new();
    assert!(client.cloud.is_empty());
    client.play(ORDERS);
    client.play(&format!("10s us-east-1 UpdateTable orders, {}\n= ok", add("us-west-2")));
    assert_eq!(
        client.cloud.show(START + 40_000),
        json!({
            "us-east-1": {"orders": {"status": "ACTIVE", "billing": "PAY_PER_REQUEST", "replicas": {"us-west-2": "ACTIVE"}}},
            "us-west-2": {"orders": {"status": "ACTIVE", "billing": "PAY_PER_REQUEST", "replicas": {"us-east-1": "ACTIVE"}}},
        })
    );
}

#[test]
fn update_table_is_done_at_once_when_instant() {
    let mut client = Client::instant();
    client.play(ORDERS);
    client.play(&format!(
        r#"
        0s us-east-1 UpdateTable orders, {}
        = ok
        0s us-west-2 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        0s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas.0.ReplicaStatus "ACTIVE"
        "#,
        add("us-west-2")
    ));
}
