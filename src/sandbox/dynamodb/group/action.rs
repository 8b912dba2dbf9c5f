//! The one action of a ReplicaUpdates, read and checked before any table is looked at.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::shape::KeyShape;

/// One action: `Create`, `Update` or `Delete`, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct TableAction {
    pub kind: &'static str,
    pub region: String,
    pub body: Value,
}

/// The only action of the call, or why there is none.
pub fn read_action(updates: &Value) -> Result<TableAction, DynamoDbError> {
    let updates = updates.as_array().cloned().unwrap_or_default();
    let mut actions: Vec<TableAction> = Vec::new();
    let mut shape = KeyShape::default();
    for (at, update) in updates.iter().enumerate() {
        let kinds: Vec<&'static str> = ["Create", "Update", "Delete"]
            .into_iter()
            .filter(|it| !update[*it].is_null())
            .collect();
        if kinds.len() > 1 {
            return Err(more_than_one_type());
        }
        let Some(kind) = kinds.first().copied() else { return Err(no_action()) };
        let body = update[kind].clone();
        let path = format!("replicaUpdates.{}.member.{}.regionName", at + 1, kind.to_lowercase());
        shape.required(&body["RegionName"], &path);
        let region = body["RegionName"].as_str().unwrap_or("").to_owned();
        let action = TableAction { kind, region, body };
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    shape.finish()?;
    one_of(actions)
}

fn more_than_one_type() -> DynamoDbError {
    DynamoDbError::validation(
        "Update table operation with more than one type of replica actions not allowed.",
    )
}

fn no_action() -> DynamoDbError {
    DynamoDbError::validation(
        "There are no actions specified in the Replica Update Action of the request.",
    )
}

fn one_of(mut actions: Vec<TableAction>) -> Result<TableAction, DynamoDbError> {
    let Some(last) = actions.pop() else { return Err(no_action()) };
    if actions.iter().any(|it| it.kind != last.kind) {
        return Err(more_than_one_type());
    }
    if actions.iter().any(|it| it.region == last.region) {
        let text = "Cannot target multiple regions with the same action";
        return Err(DynamoDbError::validation(text));
    }
    if !actions.is_empty() {
        return Err(DynamoDbError::validation(
            "Update table operation with more than one create or delete replica actions not allowed",
        ));
    }
    let members =
        ["TableClassOverride", "OnDemandThroughputOverride", "ProvisionedThroughputOverride"];
    if last.kind == "Update"
        && members.iter().all(|it| last.body[*it].is_null())
        && last.body["GlobalSecondaryIndexes"].is_null()
    {
        return Err(no_action());
    }
    Ok(last)
}
