//! One change per UpdateTable, and what each single change refuses.

use crate::dynamodb::tests::client::{Client, ORDERS, check};

#[test]
fn update_table_takes_one_change_per_call() {
    let sse = r#""SSESpecification": {"Enabled": true}"#;
    let class = r#""TableClass": "STANDARD_INFREQUENT_ACCESS""#;
    let protection = r#""DeletionProtectionEnabled": true"#;
    let warm = r#""WarmThroughput": {"ReadUnitsPerSecond": 13000}"#;
    let capacity = r#""ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}"#;
    let stream = r#""StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}"#;
    let limits = r#""OnDemandThroughput": {"MaxReadRequestUnits": 5}"#;
    let replica = r#""ReplicaUpdates": [{"Create": {"RegionName": "us-west-2"}}]"#;
    let index = r#""GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "gsi"}}]"#;
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {sse}, {class}, {protection}, {warm}
        ! ValidationException: One or more parameter values were invalid: Server-Side Encryption modification must be the only operation in the request
        10s us-east-1 UpdateTable orders, {class}, {protection}, {warm}
        ! ValidationException: One or more parameter values were invalid: TableClass modification must be the only operation in the request
        10s us-east-1 UpdateTable orders, {protection}, {warm}
        ! ValidationException: One or more parameter values were invalid: DeletionProtection modification must be the only operation in the request
        10s us-east-1 UpdateTable orders, {warm}, {stream}
        ! ValidationException: One or more parameter values were invalid: WarmThroughput must be the only operation in the request
        10s us-east-1 UpdateTable orders, {replica}, {protection}
        ! ValidationException: One or more parameter values were invalid: Requests that modify replicas or witnesses must not also modify other fields
        10s us-east-1 UpdateTable orders, {capacity}, {stream}
        ! ValidationException: One or more parameter values were invalid: You cannot modify stream status while updating table IOPS
        10s us-east-1 UpdateTable orders, {capacity}, {index}
        ! ValidationException: One or more parameter values were invalid: You cannot create or delete index while updating table IOPS
        10s us-east-1 UpdateTable orders, {stream}, {index}
        ! ValidationException: One or more parameter values were invalid: You cannot create or delete index while changing stream status
        10s us-east-1 UpdateTable orders, {limits}, {stream}
        ! ValidationException: One or more parameter values were invalid: OnDemandThroughput can only be combined with BillingMode in an UpdateTable request
        10s us-east-1 UpdateTable orders
        ! ValidationException: At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required
        10s us-east-1 UpdateTable orders, "MultiRegionConsistency": "STRONG"
        ! ReplicaTransitRoleArn, DeletionProtectionEnabled
        10s us-east-1 UpdateTable missing, {sse}, {class}
        ! ValidationException
        10s us-east-1 UpdateTable missing, {sse}
        ! ResourceNotFoundException: Requested resource not found: Table: missing not found
        10s us-east-1 UpdateTable missing, "BillingMode": "FREE"
        ! ValidationException: 1 validation error detected: Value 'FREE' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]
        10s us-east-1 UpdateTable missing, "ProvisionedThroughput": {{"ReadCapacityUnits": 0}}
        ! ValidationException: 2 validation errors detected: Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1; Value null at 'provisionedThroughput.writeCapacityUnits' failed to satisfy constraint: Member must not be null
        "#
    ));
}

#[test]
fn update_time_to_live_keeps_nothing_of_what_was_refused() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTimeToLive orders, "TimeToLiveSpecification": {{"Enabled": true, "AttributeName": ""}}
        ! ValidationException: 1 validation error detected: Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1
        10s us-east-1 DescribeTimeToLive orders
        = TimeToLiveDescription.TimeToLiveStatus "DISABLED"
        10s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": "yes"
        ! SerializationException: Unexpected token received from parser
        10s us-east-1 DescribeTable orders
        = Table.DeletionProtectionEnabled false
        10s us-east-1 DescribeTable "TableName": 5
        ! SerializationException: NUMBER_VALUE cannot be converted to String
        "#
    ));
}

#[test]
fn update_table_switches_streams_and_does_not_change_them() {
    let on = r#""StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}"#;
    let off = r#""StreamSpecification": {"StreamEnabled": false}"#;
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {off}
        ! ValidationException: Table has no stream to disable: TableName: orders
        10s us-east-1 UpdateTable orders, "StreamSpecification": {{"StreamEnabled": true}}
        ! ValidationException: One or more parameter values were invalid: If stream is being enabled then UpdateViewType is required
        10s us-east-1 UpdateTable orders, {on}
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.StreamSpecification -
        11s us-east-1 UpdateTable orders, {on}
        ! ResourceInUseException: Attempt to change a resource which is still in use: A stream status change is currently in progress. Table: orders
        11s us-east-1 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table: orders is in the process of being updated.
        11s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        = ok
        15s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.StreamSpecification {{"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}}
        = Table.LatestStreamArn "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-11-18T09:46:55.000"
        16s us-east-1 UpdateTable orders, {on}
        ! ValidationException: Table already has an enabled stream: TableName: orders
        16s us-east-1 UpdateTable orders, {off}
        = ok
        21s us-east-1 DescribeTable orders
        = Table.StreamSpecification -
        = Table.LatestStreamLabel "2026-11-18T09:46:55.000"
        "#
    ));
}

#[test]
fn update_table_changes_the_class_twice_at_most() {
    let rare = r#""TableClass": "STANDARD_INFREQUENT_ACCESS""#;
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, "TableClass": "COLD"
        ! ValidationException: Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, STANDARD_INFREQUENT_ACCESS].
        10s us-east-1 UpdateTable orders, {rare}
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.TableClassSummary -
        20s us-east-1 DescribeTable orders
        = Table.TableClassSummary.TableClass "STANDARD_INFREQUENT_ACCESS"
        20s us-east-1 UpdateTable orders, "TableClass": "STANDARD"
        = ok
        30s us-east-1 UpdateTable orders, {rare}
        ! LimitExceededException: Subscriber limit exceeded: Updates to TableClass are limited to 2 times in 30 day(s).
        "#
    ));
}

#[test]
fn update_table_encrypts_while_the_table_is_active() {
    let key = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-4333-8444-555555555555";
    let arn = format!(
        r#""SSESpecification": {{"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "{key}"}}"#
    );
    let mut client = Client::new();
    client.play(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, "SSESpecification": {{"Enabled": false}}
        ! ValidationException: One or more parameter values were invalid: Table is already encrypted by default
        10s us-east-1 UpdateTable orders, {arn}
        = TableDescription.TableStatus "ACTIVE"
        = TableDescription.SSEDescription {{"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": "{key}"}}
        11s us-east-1 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Server-Side Encryption is still being updated
        32s us-east-1 DescribeTable orders
        = Table.SSEDescription.Status "ENABLED"
        32s us-east-1 UpdateTable orders, {arn}
        ! ValidationException: One or more parameter values were invalid: Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key
        32s us-east-1 UpdateTable orders, "SSESpecification": {{"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "arn:aws:kms:us-west-2:000000000000:key/x"}}
        ! ValidationException: KMS validation error: com.amazonaws.services.kms.model.NotFoundException: Invalid arn us-west-2
        "#
    ));
    let again = r#"UpdateTable orders, "SSESpecification": {"Enabled": true}"#;
    for at in ["1m", "2m", "3m"] {
        client.play(&format!("{at} us-east-1 {again}\n= ok"));
    }
    let refused =
        "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window";
    client.play(&format!("4m us-east-1 {again}\n! LimitExceededException: {refused}"));
}
