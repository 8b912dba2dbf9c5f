//! Adding members to a group: what is seen when, and what is refused.

use crate::dynamodb::tests::client::{ORDERS, check};

pub(super) fn add(region: &str) -> String {
    format!(r#""ReplicaUpdates": [{{"Create": {{"RegionName": "{region}"}}}}]"#)
}

#[test]
fn update_table_adds_a_member_to_an_empty_table_fast() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {west}
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.Replicas []
        11s us-east-1 DescribeTable orders
        = Table.Replicas -
        = Table.GlobalTableVersion -
        11s us-east-1 UpdateTable orders, "StreamSpecification": {{"StreamEnabled": false}}
        ! ValidationException: One or more parameter values were invalid: Disabling Stream is not allowed for a Global Table replica.
        11s us-east-1 UpdateTable orders, {west}
        ! ResourceInUseException: The resource which you are attempting to change is in use.
        11s us-west-2 CreateTable orders, "AttributeDefinitions": [{{"AttributeName": "id", "AttributeType": "S"}}], "KeySchema": [{{"AttributeName": "id", "KeyType": "HASH"}}], "BillingMode": "PAY_PER_REQUEST"
        ! ResourceInUseException: Table already exists: orders
        16s us-east-1 DescribeTable orders
        = Table.Replicas [{{"RegionName": "us-west-2", "ReplicaStatus": "CREATING"}}]
        = Table.GlobalTableVersion "2019.11.21"
        = Table.GlobalTableSettingsReplicationMode "ENABLED_WITH_OVERRIDES"
        = Table.StreamSpecification.StreamViewType "NEW_AND_OLD_IMAGES"
        16s us-west-2 DescribeTable orders
        ! ResourceNotFoundException
        20s us-west-2 DescribeTable orders
        = Table.TableStatus "CREATING"
        = Table.Replicas [{{"RegionName": "us-east-1", "ReplicaStatus": "ACTIVE"}}]
        = Table.TableArn "arn:aws:dynamodb:us-west-2:000000000000:table/orders"
        20s us-west-2 UpdateTable orders, "DeletionProtectionEnabled": true
        ! ResourceNotFoundException: Requested resource not found: Table: orders not found
        20s us-west-2 UpdateTable orders, {ireland}
        ! ValidationException: Create/Update/Delete of replica is not allowed while the replica is being added to table with name: ‘orders’ in region: ‘us-west-2’.
        20s us-west-2 PutItem orders, "Item": {{"id": {{"S": "a"}}}}
        ! ResourceNotFoundException: Requested resource not found
        20s us-west-2 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table: orders is being used.
        30s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas [{{"RegionName": "us-west-2", "ReplicaStatus": "ACTIVE"}}]
        30s us-west-2 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.StreamSpecification.StreamViewType "NEW_AND_OLD_IMAGES"
        = Table.BillingModeSummary.BillingMode "PAY_PER_REQUEST"
        = Table.DeletionProtectionEnabled false
        31s us-west-2 UpdateTable orders, {ireland}
        = ok
        60s eu-west-1 DescribeTable orders
        = Table.Replicas.0.RegionName "us-east-1"
        = Table.Replicas.1.RegionName "us-west-2"
        "#,
        west = add("us-west-2"),
        ireland = add("eu-west-1"),
    ));
}

#[test]
fn update_table_adds_a_member_to_a_table_with_an_item_in_minutes() {
    check(&format!(
        r#"{ORDERS}
        9s us-east-1 PutItem orders, "Item": {{"id": {{"S": "a"}}, "n": {{"N": "1"}}}}
        = ok
        10s us-east-1 UpdateTable orders, {west}
        = TableDescription.TableStatus "UPDATING"
        30s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas.0.ReplicaStatus "CREATING"
        31s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        ! ResourceInUseException: The resource which you are attempting to change is in use.
        31s us-east-1 UpdateTimeToLive orders, "TimeToLiveSpecification": {{"Enabled": true, "AttributeName": "until"}}
        ! ValidationException: Create/Update/Delete of replica is not allowed while the replica is being added to table with name: ‘orders’ in region: ‘us-west-2’.
        31s us-east-1 PutItem orders, "Item": {{"id": {{"S": "b"}}}}
        = ok
        321s us-east-1 DescribeTable orders
        = Table.TableStatus "UPDATING"
        629s us-west-2 DescribeTable orders
        = Table.TableStatus "CREATING"
        630s us-west-2 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        630s us-west-2 Scan orders
        = Count 2
        630s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas.0.ReplicaStatus "ACTIVE"
        "#,
        west = add("us-west-2"),
    ));
}

#[test]
fn update_table_takes_one_replica_action_per_call() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{"RegionName": "us-west-2"}}}}, {{"Create": {{"RegionName": "eu-west-1"}}}}]
        ! ValidationException: Update table operation with more than one create or delete replica actions not allowed
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{"RegionName": "us-west-2"}}}}, {{"Delete": {{"RegionName": "eu-west-1"}}}}]
        ! ValidationException: Update table operation with more than one type of replica actions not allowed.
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{"RegionName": "us-west-2"}}}}, {{"Create": {{"RegionName": "us-west-2", "TableClassOverride": "STANDARD"}}}}]
        ! ValidationException: Cannot target multiple regions with the same action
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Update": {{"RegionName": "us-west-2"}}}}]
        ! ValidationException: There are no actions specified in the Replica Update Action of the request.
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{}}}}]
        ! ValidationException: 1 validation error detected: Value null at 'replicaUpdates.1.member.create.regionName' failed to satisfy constraint: Member must not be null
        10s us-east-1 UpdateTable orders, {here}
        ! ValidationException: Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.
        10s us-east-1 UpdateTable orders, {nowhere}
        ! ValidationException: Region moon-1 is not supported. The latest version of global tables are only supported in the following regions: [
        10s us-east-1 UpdateTable orders, "MultiRegionConsistency": "STRONG", {west}
        ! ValidationException: The sandbox does not support global tables with MultiRegionConsistency STRONG
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{"RegionName": "us-west-2"}}}}, {{"Create": {{"RegionName": "us-west-2"}}}}]
        = ok
        40s us-east-1 UpdateTable orders, {west}
        ! ResourceInUseException: Global table with name: 'orders' already exists with replicas in regions: 'us-east-1, us-west-2'.
        "#,
        here = add("us-east-1"),
        nowhere = add("moon-1"),
        west = add("us-west-2"),
    ));
}

#[test]
fn update_table_refuses_a_member_where_another_table_exists() {
    let there = ORDERS.replace("us-east-1", "us-west-2");
    check(&format!(
        "{ORDERS}{there}
        10s us-east-1 UpdateTable orders, {west}
        ! ValidationException: Failed to create a the new replica of table with name: ‘orders’ because one or more replicas already existed as tables.",
        west = add("us-west-2"),
    ));
}

#[test]
fn update_table_refuses_members_of_provisioned_tables() {
    let paid = ORDERS.replace(
        r#""BillingMode": "PAY_PER_REQUEST""#,
        r#""ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}"#,
    );
    check(&format!(
        "{paid}
        10s us-east-1 UpdateTable orders, {west}
        ! ValidationException: Table write capacity should either be Pay-Per-Request or AutoScaled.",
        west = add("us-west-2"),
    ));
    let keyed = ORDERS.replace(
        r#""BillingMode""#,
        r#""SSESpecification": {"Enabled": true, "KMSMasterKeyId": "alias/mine", "SSEType": "KMS"}, "BillingMode""#,
    );
    check(&format!(
        r#"{keyed}
        10s us-east-1 UpdateTable orders, {west}
        ! ValidationException: One or more parameter values were invalid: KMSMasterKeyId must be specified for each replica.
        10s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Create": {{"RegionName": "us-west-2", "KMSMasterKeyId": "11111111-2222-4333-8444-555555555555"}}}}]
        = ok
        40s us-east-1 DescribeTable orders
        = Table.Replicas.0.KMSMasterKeyId "arn:aws:kms:us-west-2:000000000000:key/11111111-2222-4333-8444-555555555555"
        "#,
        west = add("us-west-2"),
    ));
}
