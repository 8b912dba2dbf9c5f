//! Items: conditions, batches, transactions, and both ways between members.

use crate::dynamodb::Items;
use crate::dynamodb::tests::client::{Client, ORDERS, check};
use crate::dynamodb::tests::joining::add;

#[test]
fn put_item_and_update_item_flow_both_ways() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {west}
        = ok
        40s us-east-1 PutItem orders, "Item": {{"id": {{"S": "a"}}, "n": {{"N": "1"}}}}
        = ok
        40s us-west-2 GetItem orders, "Key": {{"id": {{"S": "a"}}}}
        = Item {{"id": {{"S": "a"}}, "n": {{"N": "1"}}}}
        41s us-west-2 UpdateItem orders, "Key": {{"id": {{"S": "a"}}}}, "UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": {{":one": {{"N": "1"}}}}
        = ok
        41s us-east-1 GetItem orders, "Key": {{"id": {{"S": "a"}}}}
        = Item.n.N "2"
        42s us-west-2 DeleteItem orders, "Key": {{"id": {{"S": "a"}}}}
        = ok
        42s us-east-1 GetItem orders, "Key": {{"id": {{"S": "a"}}}}
        = Item -
        43s us-west-2 BatchWriteItem "RequestItems": {{"orders": [{{"PutRequest": {{"Item": {{"id": {{"S": "b"}}}}}}}}, {{"PutRequest": {{"Item": {{"id": {{"S": "c"}}}}}}}}]}}
        = UnprocessedItems {{}}
        43s us-east-1 Scan orders
        = Count 2
        44s us-east-1 TransactWriteItems "TransactItems": [{{"Put": {{"TableName": "orders", "Item": {{"id": {{"S": "d"}}}}}}}}, {{"Delete": {{"TableName": "orders", "Key": {{"id": {{"S": "b"}}}}}}}}]
        = ok
        44s us-west-2 BatchGetItem "RequestItems": {{"orders": {{"Keys": [{{"id": {{"S": "b"}}}}, {{"id": {{"S": "d"}}}}]}}}}
        = Responses.orders [{{"id": {{"S": "d"}}}}]
        45s us-east-1 Query arn:aws:dynamodb:us-east-1:000000000000:table/orders, "KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {{":id": {{"S": "c"}}}}
        = Count 1
        "#,
        west = add("us-west-2"),
    ));
}

#[test]
fn put_item_checks_conditions() {
    let new = r#""Item": {"id": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(id)""#;
    check(&format!(
        r#"{ORDERS}
        1s us-east-1 PutItem orders, {new}
        ! ResourceNotFoundException: Requested resource not found
        10s us-east-1 PutItem orders, {new}
        = ok
        11s us-east-1 PutItem orders, {new}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"
        ! ConditionalCheckFailedException: The conditional request failed
        12s us-east-1 PutItem missing, {new}
        ! ResourceNotFoundException: Requested resource not found
        12s us-east-1 PutItem orders, "Item": {{"id": {{"N": "1"}}}}
        ! ValidationException: One or more parameter values were invalid: Type mismatch for key id expected: S actual: N
        12s us-east-1 PutItem orders
        ! ValidationException: 1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null
        "#
    ));
}

#[test]
fn open_reads_items_that_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::instant();
    client.items = Items::open(folder.path()).unwrap();
    client.play(ORDERS);
    client.play("1s us-east-1 PutItem orders, \"Item\": {\"id\": {\"S\": \"a\"}}\n= ok");
    let mut other = Items::open(folder.path()).unwrap();
    assert!(other.has_items("us-east-1", "orders"));
    other.reset().unwrap();
    assert!(!client.items.has_items("us-east-1", "orders"));
}

#[test]
fn update_table_copies_many_items_to_a_new_member() {
    let mut client = Client::instant();
    client.play(ORDERS);
    let long = "x".repeat(20_000);
    for number in 0..120 {
        let body = format!(
            r#"{{"TableName": "orders", "Item": {{"id": {{"S": "{number}"}}, "text": {{"S": "{long}"}}}}}}"#
        );
        assert_eq!(client.send(1, "us-east-1", "PutItem", &body).status, 200);
    }
    client.play(&format!("1s us-east-1 UpdateTable orders, {}\n= ok", add("us-west-2")));
    client.play("2s us-west-2 Scan orders, \"Select\": \"COUNT\", \"Limit\": 10\n= Count 10");
    assert_eq!(
        client.items.count("us-west-2", "orders"),
        client.items.count("us-east-1", "orders")
    );
}

#[test]
fn apply_takes_a_table_made_anew_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Client::instant();
    first.items = Items::open(folder.path()).unwrap();
    first.play(ORDERS);
    first.play("1s us-east-1 PutItem orders, \"Item\": {\"id\": {\"S\": \"a\"}}\n= ok");
    let mut second = Client::instant();
    second.items = Items::open(folder.path()).unwrap();
    for (table, key, row) in first.cloud.take_changes() {
        assert!(second.cloud.apply(&table, &key, row));
    }
    second.play("2s us-east-1 DeleteTable orders\n= ok");
    second.play(&ORDERS.replace("\"id\"", "\"key\"").replace("0s ", "3s "));
    second.play("4s us-east-1 PutItem orders, \"Item\": {\"key\": {\"S\": \"b\"}}\n= ok");
    for (table, key, row) in second.cloud.take_changes() {
        assert!(first.cloud.apply(&table, &key, row));
    }
    first.play("5s us-east-1 Scan orders\n= Items [{\"key\": {\"S\": \"b\"}}]");
}

#[test]
fn cloud_and_items_can_be_shared_by_a_server() {
    fn sendable<T: Send>(_: T) {}
    let client = Client::new();
    sendable((client.cloud, client.items));
}
