//! Which settings all members share, and which stay each region's own.

use crate::dynamodb::tests::client::{ORDERS, check};
use crate::dynamodb::tests::joining::add;

fn group() -> String {
    format!("{ORDERS}\n10s us-east-1 UpdateTable orders, {}\n= ok\n", add("us-west-2"))
}

#[test]
fn update_table_and_time_to_live_are_shared_in_a_group() {
    check(&format!(
        r#"{}
        40s us-west-2 UpdateTable orders, "AttributeDefinitions": [{{"AttributeName": "who", "AttributeType": "S"}}], "GlobalSecondaryIndexUpdates": [{{"Create": {{"IndexName": "who", "KeySchema": [{{"AttributeName": "who", "KeyType": "HASH"}}], "Projection": {{"ProjectionType": "ALL"}}}}}}]
        = ok
        41s us-east-1 DescribeTable orders
        = Table.GlobalSecondaryIndexes.0.IndexStatus "CREATING"
        41s us-east-1 UpdateTable orders, {ireland}
        ! ResourceInUseException
        595s us-east-1 DescribeTable orders
        = Table.GlobalSecondaryIndexes.0.IndexStatus "ACTIVE"
        595s us-east-1 UpdateTable orders, "GlobalSecondaryIndexUpdates": [{{"Update": {{"IndexName": "who", "OnDemandThroughput": {{"MaxReadRequestUnits": 3}}}}}}]
        = TableDescription.TableStatus "ACTIVE"
        595s us-west-2 DescribeTable orders
        = Table.GlobalSecondaryIndexes.0.OnDemandThroughput {{"MaxReadRequestUnits": 3}}
        596s us-east-1 UpdateTimeToLive orders, "TimeToLiveSpecification": {{"Enabled": true, "AttributeName": "until"}}
        = ok
        660s us-west-2 DescribeTimeToLive orders
        = TimeToLiveDescription {{"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}}
        661s us-east-1 UpdateTable orders, "GlobalSecondaryIndexUpdates": [{{"Delete": {{"IndexName": "who"}}}}]
        = ok
        700s us-west-2 DescribeTable orders
        = Table.GlobalSecondaryIndexes -
        700s us-east-1 UpdateTable orders, {ireland}
        = ok
        730s eu-west-1 DescribeTimeToLive orders
        = TimeToLiveDescription.TimeToLiveStatus "ENABLED"
        "#,
        group(),
        ireland = add("eu-west-1"),
    ));
}

#[test]
fn update_table_shares_billing_and_limits_in_a_group() {
    check(&format!(
        r#"{}
        40s us-east-1 UpdateTable orders, "BillingMode": "PROVISIONED", "ProvisionedThroughput": {{"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
        ! ValidationException: Table write capacity should either be Pay-Per-Request or AutoScaled.
        41s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxWriteRequestUnits": 9}}
        = ok
        42s us-west-2 DescribeTable orders
        = Table.OnDemandThroughput {{"MaxWriteRequestUnits": 9}}
        43s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Update": {{"RegionName": "us-west-2", "OnDemandThroughputOverride": {{"MaxReadRequestUnits": 7}}}}}}]
        = TableDescription.TableStatus "UPDATING"
        90s us-east-1 DescribeTable orders
        = Table.Replicas.0.OnDemandThroughputOverride {{"MaxReadRequestUnits": 7}}
        90s us-west-2 DescribeTable orders
        = Table.OnDemandThroughput.MaxReadRequestUnits 7
        91s us-east-1 UpdateTable orders, "ReplicaUpdates": [{{"Update": {{"RegionName": "us-west-2", "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}}}}]
        = ok
        140s us-east-1 DescribeTable orders
        = Table.Replicas.0.ReplicaTableClassSummary {{"TableClass": "STANDARD_INFREQUENT_ACCESS"}}
        = Table.TableClassSummary -
        141s us-east-1 UpdateTable orders, "StreamSpecification": {{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
        ! ValidationException: Table already has an enabled stream: TableName: orders
        "#,
        group(),
    ));
}

#[test]
fn update_continuous_backups_and_tag_resource_are_not_shared() {
    check(&format!(
        r#"{}
        40s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {{"PointInTimeRecoveryEnabled": true}}
        = ok
        40s us-east-1 TagResource "ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders", "Tags": [{{"Key": "a", "Value": "b"}}]
        = ok
        50s us-west-2 DescribeContinuousBackups orders
        = ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus "DISABLED"
        50s us-west-2 ListTagsOfResource "ResourceArn": "arn:aws:dynamodb:us-west-2:000000000000:table/orders"
        = Tags []
        "#,
        group(),
    ));
}

#[test]
fn update_table_allows_one_kind_of_encryption_in_a_group() {
    check(&format!(
        r#"{}
        40s us-east-1 UpdateTable orders, "SSESpecification": {{"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "alias/mine"}}
        ! ValidationException: One or more parameter values were invalid: All replica keys must either be Customer Managed CMK or AWS Managed CMK.
        40s us-east-1 UpdateTable orders, "SSESpecification": {{"Enabled": true}}
        = TableDescription.SSEDescription.Status "UPDATING"
        41s us-east-1 UpdateTable orders, {}
        ! ValidationException: Operation cannot be performed while replica server-side encryption status is in UPDATING state.
        70s us-west-2 DescribeTable orders
        = Table.SSEDescription.Status "ENABLED"
        "#,
        group(),
        add("eu-west-1"),
    ));
}
