//! What the members of a request are: of which type, before anything looks at them, and which of them nobody here models.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;

/// The calls about tables; their members have one type each wherever they occur. Calls about items are the engine's, but for
/// the name of the table.
const CONTROL: &[&str] = &[
    "CreateTable",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "ListTables",
    "ListTagsOfResource",
    "TagResource",
    "UntagResource",
    "UpdateContinuousBackups",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// What the service models (dynamodb/service-2.json) and the sandbox does not.
const UNMODELLED: &[(&str, &str)] = &[
    ("CreateTable", "GlobalTableSettingsReplicationMode"),
    ("CreateTable", "ResourcePolicy"),
    ("CreateTable", "VectorIndexes"),
    ("DeleteTable", "ExpectedRevisionId"),
    ("UpdateTable", "GlobalTableSettingsReplicationMode"),
    ("UpdateTable", "MultiAccountReplicaReady"),
    ("UpdateTable", "ReplicaTransitRoleArn"),
    ("UpdateTable", "VectorIndexUpdates"),
];

const TEXTS: &[&str] = &[
    "AttributeName",
    "AttributeType",
    "BillingMode",
    "ExclusiveStartTableName",
    "IndexName",
    "KMSMasterKeyId",
    "Key",
    "KeyType",
    "MultiRegionConsistency",
    "NextToken",
    "ProjectionType",
    "RegionName",
    "ResourceArn",
    "SSEType",
    "StreamViewType",
    "TableClass",
    "TableClassOverride",
    "TableName",
    "Value",
];

const FLAGS: &[&str] =
    &["DeletionProtectionEnabled", "Enabled", "PointInTimeRecoveryEnabled", "StreamEnabled"];

const NUMBERS: &[&str] = &[
    "Limit",
    "MaxReadRequestUnits",
    "MaxWriteRequestUnits",
    "ReadCapacityUnits",
    "ReadUnitsPerSecond",
    "RecoveryPeriodInDays",
    "WriteCapacityUnits",
    "WriteUnitsPerSecond",
];

const LISTS: &[&str] = &[
    "AttributeDefinitions",
    "GlobalSecondaryIndexUpdates",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "NonKeyAttributes",
    "ReplicaUpdates",
    "TagKeys",
    "Tags",
];

const MAPS: &[&str] = &[
    "OnDemandThroughput",
    "OnDemandThroughputOverride",
    "PointInTimeRecoverySpecification",
    "Projection",
    "ProvisionedThroughput",
    "ProvisionedThroughputOverride",
    "SSESpecification",
    "StreamSpecification",
    "TimeToLiveSpecification",
    "WarmThroughput",
];

/// Refuses a body whose members cannot be read, the way the service does before anything else, and what is not modelled.
pub fn check(operation: &str, body: &Value) -> Result<(), DynamoDbError> {
    if !CONTROL.contains(&operation) {
        return typed("TableName", &body["TableName"]);
    }
    walk(body)?;
    let unmodelled =
        UNMODELLED.iter().find(|(of, name)| *of == operation && !body[*name].is_null());
    match unmodelled {
        Some((_, name)) => {
            Err(DynamoDbError::validation(format!("The sandbox does not support {name}")))
        }
        None => Ok(()),
    }
}

fn walk(value: &Value) -> Result<(), DynamoDbError> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            typed(name, value)?;
            walk(value)
        }),
        Value::Array(items) => items.iter().try_for_each(walk),
        _ => Ok(()),
    }
}

/// The words are the service's, as dynalite's tests recorded them.
fn typed(name: &str, value: &Value) -> Result<(), DynamoDbError> {
    let wanted = |names: &[&str]| names.contains(&name);
    let (wanted, good) = match value {
        Value::Null => return Ok(()),
        _ if wanted(TEXTS) => ("String", value.is_string()),
        _ if wanted(FLAGS) => ("Boolean", value.is_boolean()),
        _ if wanted(NUMBERS) => ("Long", value.is_number()),
        _ if wanted(LISTS) => ("List", value.is_array()),
        _ if wanted(MAPS) => ("Map", value.is_object()),
        _ => return Ok(()),
    };
    if good {
        return Ok(());
    }
    let given = match value {
        Value::String(_) if wanted == "Boolean" => {
            return Err(unreadable("Unexpected token received from parser"));
        }
        Value::String(_) => "STRING_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        _ => return Err(unreadable("Start of structure or map found where not expected.")),
    };
    match wanted {
        "List" | "Map" => Err(unreadable("Unexpected field type")),
        _ => Err(unreadable(&format!("{given} cannot be converted to {wanted}"))),
    }
}

fn unreadable(why: &str) -> DynamoDbError {
    DynamoDbError::coral("SerializationException", Some(why))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn told(operation: &str, body: &Value) -> String {
        match check(operation, body) {
            Ok(()) => "well".into(),
            Err(it) => it.body["message"].as_str().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn check_refuses_members_of_the_wrong_type_wherever_they_are() {
        let all = [
            (
                "DescribeTable",
                json!({ "TableName": 5 }),
                "NUMBER_VALUE cannot be converted to String",
            ),
            ("PutItem", json!({ "TableName": true }), "TRUE_VALUE cannot be converted to String"),
            (
                "UpdateTable",
                json!({ "TableName": "shop", "DeletionProtectionEnabled": "yes" }),
                "Unexpected token received from parser",
            ),
            (
                "CreateTable",
                json!({ "GlobalSecondaryIndexes": [{ "ProvisionedThroughput": { "ReadCapacityUnits": "1" } }] }),
                "STRING_VALUE cannot be converted to Long",
            ),
            (
                "TagResource",
                json!({ "Tags": [{ "Key": 1, "Value": "b" }] }),
                "NUMBER_VALUE cannot be converted to String",
            ),
            (
                "TagResource",
                json!({ "Tags": {} }),
                "Start of structure or map found where not expected.",
            ),
            ("CreateTable", json!({ "SSESpecification": true }), "Unexpected field type"),
            (
                "CreateTable",
                json!({ "ResourcePolicy": "{}" }),
                "The sandbox does not support ResourcePolicy",
            ),
            (
                "CreateTable",
                json!({ "TableName": "shop", "Tags": [], "ResourcePolicy": null }),
                "well",
            ),
            ("PutItem", json!({ "TableName": "shop", "Key": { "Value": { "N": "1" } } }), "well"),
        ];
        for (operation, body, expected) in all {
            assert_eq!(told(operation, &body), expected, "{operation} {body}");
        }
    }
}
