//! Billing modes, capacities and indexes of a table of one region.

use crate::dynamodb::tests::client::{Client, ORDERS, check};

const PAID: &str = r#"
0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 10}
= ok
"#;

fn units(read: i64, write: i64) -> String {
    format!(
        r#""ProvisionedThroughput": {{"ReadCapacityUnits": {read}, "WriteCapacityUnits": {write}}}"#
    )
}

#[test]
fn update_table_changes_capacity() {
    check(&format!(
        r#"{PAID}
        10s us-east-1 DescribeTable orders
        = Table.BillingModeSummary -
        = Table.ProvisionedThroughput {{"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 10, "WriteCapacityUnits": 10}}
        10s us-east-1 UpdateTable orders, {same}
        ! ValidationException: The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 10. Requested ReadCapacityUnits: 10.
        10s us-east-1 UpdateTable orders, {more}
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.ProvisionedThroughput.ReadCapacityUnits 10
        11s us-east-1 UpdateTable orders, {more}
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table IOPS are currently being updated. Table: orders
        12s us-east-1 DescribeTable orders
        = Table.ProvisionedThroughput.ReadCapacityUnits 12
        = Table.ProvisionedThroughput.LastIncreaseDateTime 1794995210.0
        12s us-east-1 UpdateTable orders, {much}
        ! LimitExceededException: The requested ReadCapacityUnits, 50000, is above the per table maximum for the account in us-east-1. Per table maximum: 40000.
        12s us-east-1 UpdateTable orders, "BillingMode": "PROVISIONED"
        ! ValidationException: One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED
        12s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxReadRequestUnits": 5}}
        ! ValidationException: One or more parameter values were invalid: MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED
        "#,
        same = units(10, 10),
        more = units(12, 10),
        much = units(50_000, 10),
    ));
}

#[test]
fn update_table_counts_decreases_by_day() {
    let mut client = Client::new();
    client.play(PAID);
    for (at, read) in [(10, 9), (20, 8), (30, 7), (40, 6)] {
        client.play(&format!("{at}s us-east-1 UpdateTable orders, {}\n= ok", units(read, 10)));
    }
    client.play(&format!(
        r"
        50s us-east-1 DescribeTable orders
        = Table.ProvisionedThroughput.NumberOfDecreasesToday 4
        50s us-east-1 UpdateTable orders, {less}
        ! LimitExceededException: Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. Number of decreases today: 4. Last decrease at Wednesday, November 18, 2026 at 9:47:20 AM UTC. Next decrease can be made at Wednesday, November 18, 2026 at 10:47:20 AM UTC
        1h40s us-east-1 UpdateTable orders, {less}
        = ok
        20h us-east-1 DescribeTable orders
        = Table.ProvisionedThroughput.NumberOfDecreasesToday 0
        ",
        less = units(5, 10)
    ));
}

#[test]
fn update_table_switches_billing() {
    check(&format!(
        r#"{PAID}
        10s us-east-1 UpdateTable orders, "BillingMode": "PAY_PER_REQUEST", {some}
        ! ValidationException: One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST
        10s us-east-1 UpdateTable orders, "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": {{"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}}
        = TableDescription.TableStatus "UPDATING"
        159s us-east-1 DescribeTable orders
        = Table.TableStatus "UPDATING"
        160s us-east-1 DescribeTable orders
        = Table.BillingModeSummary {{"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 1794995360.0}}
        = Table.ProvisionedThroughput.ReadCapacityUnits 0
        = Table.StreamSpecification.StreamViewType "NEW_IMAGE"
        161s us-east-1 UpdateTable orders, "BillingMode": "PAY_PER_REQUEST"
        = TableDescription.TableStatus "UPDATING"
        170s us-east-1 UpdateTable orders, "BillingMode": "PROVISIONED", {some}
        = TableDescription.TableStatus "UPDATING"
        171s us-east-1 UpdateTable orders, "BillingMode": "PAY_PER_REQUEST"
        = ok
        245s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.BillingModeSummary.BillingMode "PROVISIONED"
        = Table.ProvisionedThroughput.ReadCapacityUnits 3
        "#,
        some = units(3, 3)
    ));
}

#[test]
fn update_table_sets_limits_and_warm_throughput() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}}
        = TableDescription.TableStatus "ACTIVE"
        = TableDescription.OnDemandThroughput {{"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}}
        11s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxReadRequestUnits": -1}}
        = TableDescription.OnDemandThroughput {{"MaxWriteRequestUnits": 6}}
        11s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxReadRequestUnits": 0}}
        ! ValidationException: One or more parameter values were invalid: Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range
        11s us-east-1 UpdateTable orders, "OnDemandThroughput": {{}}
        ! InternalServerError
        12s us-east-1 UpdateTable orders, "WarmThroughput": {{"ReadUnitsPerSecond": 100}}
        ! ValidationException: One or more parameter values were invalid: Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported
        12s us-east-1 UpdateTable orders, "WarmThroughput": {{"ReadUnitsPerSecond": 13000}}
        = TableDescription.TableStatus "ACTIVE"
        = TableDescription.WarmThroughput {{"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 4000, "Status": "UPDATING"}}
        13s us-east-1 DeleteTable orders
        ! ResourceInUseException
        400s us-east-1 DescribeTable orders
        = Table.WarmThroughput.Status "ACTIVE"
        "#
    ));
}

#[test]
fn update_table_changes_one_index_at_a_time() {
    let create = |name: &str| {
        format!(
            r#""AttributeDefinitions": [{{"AttributeName": "{name}", "AttributeType": "S"}}], "GlobalSecondaryIndexUpdates": [{{"Create": {{"IndexName": "{name}", "KeySchema": [{{"AttributeName": "{name}", "KeyType": "HASH"}}], "Projection": {{"ProjectionType": "ALL"}}}}}}]"#
        )
    };
    let delete = r#""GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "who"}}]"#;
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 PutItem orders, "Item": {{"id": {{"S": "a"}}, "who": {{"S": "x"}}}}
        = ok
        10s us-east-1 UpdateTable orders, {delete}
        ! ValidationException: Cannot delete an index that is not a GlobalSecondaryIndex: who
        10s us-east-1 UpdateTable orders, {who}
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.GlobalSecondaryIndexes.0.IndexStatus "CREATING"
        11s us-east-1 UpdateTable orders, {when}
        ! LimitExceededException: Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table
        11s us-east-1 UpdateTable orders, {delete}
        ! ResourceInUseException: Attempt to change a resource which is still in use: Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is active. Table: orders Index: who
        11s us-east-1 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Cannot delete table while indexes are being created, updated, or deleted.
        50s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.GlobalSecondaryIndexes.0.Backfilling true
        51s us-east-1 Query orders, "IndexName": "who", "KeyConditionExpression": "who = :w", "ExpressionAttributeValues": {{":w": {{"S": "x"}}}}
        ! ValidationException: Cannot read from backfilling global secondary index: who
        530s us-east-1 DescribeTable orders
        = Table.GlobalSecondaryIndexes.0.IndexStatus "ACTIVE"
        = Table.GlobalSecondaryIndexes.0.Backfilling -
        = Table.AttributeDefinitions.1.AttributeName "who"
        530s us-east-1 Query orders, "IndexName": "who", "KeyConditionExpression": "who = :w", "ExpressionAttributeValues": {{":w": {{"S": "x"}}}}
        = Count 1
        531s us-east-1 UpdateTable orders, {who}
        ! ValidationException: Attempting to create an index which already exists
        531s us-east-1 UpdateTable orders, {delete}
        = TableDescription.GlobalSecondaryIndexes.0.IndexStatus "DELETING"
        540s us-east-1 DescribeTable orders
        = Table.GlobalSecondaryIndexes -
        = Table.AttributeDefinitions [{{"AttributeName": "id", "AttributeType": "S"}}]
        "#,
        who = create("who"),
        when = create("when"),
    ));
}
