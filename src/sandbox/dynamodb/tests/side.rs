//! What hangs on a table: tags, time to live, recovery.

use crate::dynamodb::tests::client::{ORDERS, check};

#[test]
fn tag_resource_locks_and_lags() {
    let arn = r#""ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders""#;
    check(&format!(
        r#"{ORDERS}
        1s us-east-1 ListTagsOfResource {arn}
        ! ResourceNotFoundException: Requested resource not found: ResourcArn: arn:aws:dynamodb:us-east-1:000000000000:table/orders not found
        10s us-east-1 TagResource {arn}, "Tags": [{{"Key": "team", "Value": "shop"}}]
        = ok
        11s us-east-1 ListTagsOfResource {arn}
        = Tags []
        11s us-east-1 TagResource {arn}, "Tags": [{{"Key": "team", "Value": "shop"}}]
        = ok
        11s us-east-1 UntagResource {arn}, "TagKeys": ["team"]
        ! LimitExceededException: Subscriber limit exceeded: Table tags are being updated: orders
        11s us-east-1 DeleteTable orders
        ! ResourceInUseException: Attempt to change a resource which is still in use: Table tags are being updated: orders
        12s us-east-1 ListTagsOfResource {arn}
        = Tags [{{"Key": "team", "Value": "shop"}}]
        12s us-east-1 UntagResource {arn}, "TagKeys": ["team", "other"]
        = ok
        14s us-east-1 ListTagsOfResource {arn}
        = Tags []
        14s us-east-1 TagResource "ResourceArn": "orders", "Tags": []
        ! ValidationException: One or more parameter values were invalid: ARNs must start with 'arn:': orders
        14s us-west-2 ListTagsOfResource {arn}
        ! ValidationException: Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:us-east-1:000000000000:table/orders
        "#
    ));
}

#[test]
fn update_time_to_live_changes_rarely() {
    let on = r#""TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}"#;
    let off = r#""TimeToLiveSpecification": {"Enabled": false, "AttributeName": "until"}"#;
    check(&format!(
        r#"{ORDERS}
        1s us-east-1 UpdateTimeToLive orders, {on}
        ! ResourceNotFoundException: Requested resource not found: Table: orders not found
        1s us-east-1 DescribeTimeToLive orders
        ! ValidationException: Cannot describe time to live while table is in CREATING state: Current table state is CREATING
        10s us-east-1 DescribeTimeToLive orders
        = TimeToLiveDescription {{"TimeToLiveStatus": "DISABLED"}}
        10s us-east-1 UpdateTimeToLive orders, {off}
        ! ValidationException: TimeToLive is already disabled
        10s us-east-1 UpdateTimeToLive orders, {on}
        = TimeToLiveSpecification {{"AttributeName": "until", "Enabled": true}}
        11s us-east-1 DescribeTimeToLive orders
        = TimeToLiveDescription {{"TimeToLiveStatus": "ENABLING", "AttributeName": "until"}}
        70s us-east-1 DescribeTimeToLive orders
        = TimeToLiveDescription {{"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}}
        71s us-east-1 UpdateTimeToLive orders, {on}
        ! ValidationException: TimeToLive is already enabled
        71s us-east-1 UpdateTimeToLive orders, "TimeToLiveSpecification": {{"Enabled": true, "AttributeName": "x"}}
        ! ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is until
        71s us-east-1 UpdateTimeToLive orders, {off}
        ! ValidationException: Time to live has been modified multiple times within a fixed interval
        31m us-east-1 UpdateTimeToLive orders, {off}
        = ok
        33m us-east-1 DescribeTimeToLive orders
        = TimeToLiveDescription {{"TimeToLiveStatus": "DISABLED"}}
        33m us-east-1 UpdateTimeToLive missing, "TimeToLiveSpecification": {{"Enabled": true}}
        ! ValidationException: 1 validation error detected: Value null at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must not be null
        "#
    ));
}

#[test]
fn update_continuous_backups_is_refused_for_a_while() {
    let on = r#""PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}"#;
    check(&format!(
        r#"{ORDERS}
        1s us-east-1 DescribeContinuousBackups orders
        ! TableNotFoundException: Table not found: orders
        5s us-east-1 UpdateContinuousBackups orders, {on}
        ! ContinuousBackupsUnavailableException: Backups are being enabled for the table: orders. Please retry later
        5s us-east-1 DescribeContinuousBackups orders
        = ContinuousBackupsDescription {{"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {{"PointInTimeRecoveryStatus": "DISABLED"}}}}
        10s us-east-1 UpdateContinuousBackups orders, {on}
        = ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus "ENABLED"
        = ContinuousBackupsDescription.PointInTimeRecoveryDescription.RecoveryPeriodInDays 35
        11s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {{"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 36}}
        ! ValidationException: 1 validation error detected: Value '36' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: Member must have value less than or equal to 35
        11s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {{"PointInTimeRecoveryEnabled": false, "RecoveryPeriodInDays": 7}}
        ! ValidationException: Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.
        11s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {{"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7}}
        = ContinuousBackupsDescription.PointInTimeRecoveryDescription.RecoveryPeriodInDays 7
        12s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {{"PointInTimeRecoveryEnabled": false}}
        = ContinuousBackupsDescription.PointInTimeRecoveryDescription {{"PointInTimeRecoveryStatus": "DISABLED"}}
        "#
    ));
}
