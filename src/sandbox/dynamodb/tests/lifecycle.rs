//! A table of one region from its first to its last moment.

use crate::dynamodb::tests::client::{Client, ORDERS, check};

#[test]
fn create_table_and_delete_table_take_their_time() {
    check(&format!(
        r#"{ORDERS}
        1s us-east-1 DescribeTable orders
        = Table.TableStatus "CREATING"
        = Table.WarmThroughput -
        2s us-east-1 CreateTable orders, "AttributeDefinitions": [{{"AttributeName": "id", "AttributeType": "S"}}], "KeySchema": [{{"AttributeName": "id", "KeyType": "HASH"}}], "BillingMode": "PAY_PER_REQUEST"
        ! ResourceInUseException: Table already exists: orders
        2s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table is being created: orders
        2s us-east-1 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table is being created: orders
        2s us-west-2 DescribeTable orders
        ! ResourceNotFoundException: Requested resource not found: Table: orders not found
        4s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.TableArn "arn:aws:dynamodb:us-east-1:000000000000:table/orders"
        = Table.CreationDateTime 1794995200.0
        = Table.BillingModeSummary {{"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 1794995200.0}}
        = Table.ProvisionedThroughput {{"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}
        = Table.WarmThroughput {{"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}}
        = Table.DeletionProtectionEnabled false
        = Table.Replicas -
        = Table.GlobalTableVersion -
        = Table.SSEDescription -
        = Table.TableClassSummary -
        = Table.StreamSpecification -
        = Table.OnDemandThroughput -
        5s us-east-1 DeleteTable orders
        = TableDescription.TableStatus "DELETING"
        6s us-east-1 DeleteTable orders
        = TableDescription.TableStatus "DELETING"
        6s us-east-1 GetItem orders, "Key": {{"id": {{"S": "a"}}}}
        ! ResourceNotFoundException: Requested resource not found
        11s us-east-1 DescribeTable orders
        ! ResourceNotFoundException: Requested resource not found: Table: orders not found
        11s us-east-1 DeleteTable orders
        ! ResourceNotFoundException: Requested resource not found: Table: orders not found
        "#
    ));
}

#[test]
fn create_table_makes_a_protected_table() {
    check(
        r#"
        0s us-east-1 CreateTable safe, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": true
        = TableDescription.DeletionProtectionEnabled true
        9s us-east-1 DeleteTable safe
        ! ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.
        "#,
    );
}

#[test]
fn create_table_gives_each_table_an_id_of_its_own() {
    let mut client = Client::instant();
    let mut ids = Vec::new();
    for _ in 0..2 {
        client.play(ORDERS);
        let answer = client.send(0, "us-east-1", "DeleteTable", r#"{"TableName": "orders"}"#);
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        ids.push(body["TableDescription"]["TableId"].to_string());
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn update_table_switches_protection_with_a_pause() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        = TableDescription.TableStatus "ACTIVE"
        = TableDescription.DeletionProtectionEnabled true
        11s us-east-1 DeleteTable orders
        ! ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.
        12s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        = ok
        12s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": false
        ! ThrottlingException: Deletion protection of table orders was modified too recently. Please try again after 2026-11-18T09:47:05.000Z
        25s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": false
        = ok
        25s us-east-1 DeleteTable orders
        = TableDescription.TableStatus "DELETING"
        "#
    ));
}

#[test]
fn create_table_refuses_what_is_missing_or_malformed() {
    check(
        r#"
        0s us-east-1 CreateTable ab
        ! ValidationException: 1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3
        0s us-east-1 CreateTable orders, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "x", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]
        ! ValidationException: One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]
        ! ValidationException: One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED
        0s us-east-1 CreateTable orders, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "Tags": [{"Key": "aws:x", "Value": "y"}]
        ! ValidationException: Tag Key cannot be prefixed with aws:, Key: aws:x
        0s us-east-1 CreateTable orders, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "SSESpecification": {"Enabled": true, "SSEType": "AES256"}
        ! ValidationException: One or more parameter values were invalid: SSEType AES256 is not supported
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, "BillingMode": "PAY_PER_REQUEST"
        ! ValidationException: One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, "GlobalSecondaryIndexes": [{"IndexName": "who", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}]
        ! ValidationException: One or more parameter values were invalid: ProvisionedThroughput is not specified for index: who
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "WarmThroughput": {"ReadUnitsPerSecond": 5}
        ! ValidationException: One or more parameter values were invalid: Requested ReadUnitsPerSecond for WarmThroughput for table is lower than initial throughput for OnDemand
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": []
        ! ValidationException: One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": {"StreamEnabled": true}
        ! ValidationException: One or more parameter values were invalid: Table is being created with a stream enabled, UpdateViewType is required
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 0}
        ! ValidationException: One or more parameter values were invalid: Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range
        0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "a", "Value": "c"}]
        ! ValidationException: Duplicate Tag Keys provided as input: Duplicate Tag Key found a
        "#,
    );
}

#[test]
fn list_tables_answers_in_pages() {
    let mut client = Client::instant();
    for name in ["ccc", "aaa", "bbb"] {
        client.play(&ORDERS.replace("orders", name));
    }
    client.play(
        r#"
        1s us-east-1 ListTables "Limit": 2
        = TableNames ["aaa", "bbb"]
        = LastEvaluatedTableName "bbb"
        1s us-east-1 ListTables "Limit": 2, "ExclusiveStartTableName": "bbb"
        = TableNames ["ccc"]
        = LastEvaluatedTableName -
        1s us-west-2 ListTables
        = TableNames []
        1s us-east-1 ListTables "Limit": 101
        ! ValidationException: 1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100
        "#,
    );
}
