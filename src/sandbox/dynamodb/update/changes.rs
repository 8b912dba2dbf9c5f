//! Which changes an UpdateTable carries, and which of them may travel together.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::shape::KeyShape;

/// Which kinds of change a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableChange {
    Encryption,
    Class,
    Protection,
    Warm,
    Replicas,
    OnlineIndex,
    Billing,
    Throughput,
    IndexUpdate,
    Stream,
    Limits,
}

impl TableChange {
    /// Whether it concerns every member of a group, not only the one that is called.
    pub fn is_shared(self) -> bool {
        !matches!(self, Self::Class | Self::Protection)
    }
}

/// What can be told wrong without knowing any table.
pub fn check_shape(body: &Value) -> Result<(), DynamoDbError> {
    let mut shape = KeyShape::default();
    shape.one_of(&body["BillingMode"], "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    shape.throughput(&body["ProvisionedThroughput"], "provisionedThroughput");
    let views = ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];
    let stream = &body["StreamSpecification"];
    shape.one_of(&stream["StreamViewType"], "streamSpecification.streamViewType", &views);
    if !stream.is_null() {
        shape.required(&stream["StreamEnabled"], "streamSpecification.streamEnabled");
    }
    shape.one_of(
        &body["SSESpecification"]["SSEType"],
        "sSESpecification.sSEType",
        &["AES256", "KMS"],
    );
    for (at, update) in
        body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten().enumerate()
    {
        let path = format!("globalSecondaryIndexUpdates.{}.member", at + 1);
        for kind in ["Update", "Create", "Delete"].into_iter().filter(|it| !update[*it].is_null()) {
            let path = format!("{path}.{}", kind.to_lowercase());
            shape.required(&update[kind]["IndexName"], &format!("{path}.indexName"));
            let capacity = format!("{path}.provisionedThroughput");
            shape.throughput(&update[kind]["ProvisionedThroughput"], &capacity);
        }
        let create = &update["Create"];
        if !create.is_null() {
            shape.required(&create["KeySchema"], &format!("{path}.create.keySchema"));
            shape.required(&create["Projection"], &format!("{path}.create.projection"));
        }
    }
    shape.finish()?;
    let classes = [Some("STANDARD"), Some("STANDARD_INFREQUENT_ACCESS")];
    if !body["TableClass"].is_null() && !classes.contains(&body["TableClass"].as_str()) {
        return Err(DynamoDbError::validation(
            "Invalid table-class parameter provided. Please try again with a valid table-class \
             value: [STANDARD, STANDARD_INFREQUENT_ACCESS].",
        ));
    }
    Ok(())
}

/// What the request asks for, the loner kinds first.
pub fn changes(body: &Value) -> Result<Vec<TableChange>, DynamoDbError> {
    let given = |name: &str| !body[name].is_null();
    let updates = body["GlobalSecondaryIndexUpdates"].as_array();
    if updates.is_some_and(Vec::is_empty) {
        return Err(DynamoDbError::invalid("List of GlobalSecondaryIndexUpdates is empty"));
    }
    let mut online = false;
    let mut plain = false;
    for update in updates.into_iter().flatten() {
        let kinds = ["Create", "Delete", "Update"].map(|kind| !update[kind].is_null());
        match kinds.iter().filter(|it| **it).count() {
            0 => {
                return Err(DynamoDbError::invalid(
                    "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                     GlobalSecondaryIndexUpdate.Delete must not be null",
                ));
            }
            1 => {}
            _ => {
                return Err(DynamoDbError::invalid(
                    "Only one global secondary index action is allowed per \
                     GlobalSecondaryIndexUpdate object",
                ));
            }
        }
        online |= !kinds[2];
        plain |= kinds[2];
    }
    let all = [
        (given("ReplicaUpdates"), TableChange::Replicas),
        (given("SSESpecification"), TableChange::Encryption),
        (given("TableClass"), TableChange::Class),
        (given("DeletionProtectionEnabled"), TableChange::Protection),
        (given("WarmThroughput"), TableChange::Warm),
        (online, TableChange::OnlineIndex),
        (given("BillingMode"), TableChange::Billing),
        (given("ProvisionedThroughput"), TableChange::Throughput),
        (plain, TableChange::IndexUpdate),
        (given("StreamSpecification"), TableChange::Stream),
        (given("OnDemandThroughput"), TableChange::Limits),
    ];
    let found: Vec<TableChange> =
        all.into_iter().filter(|(is, _)| *is).map(|(_, change)| change).collect();
    if found.is_empty() {
        return Err(nothing(body));
    }
    if given("GlobalTableWitnessUpdates") || body["MultiRegionConsistency"] == "STRONG" {
        return Err(DynamoDbError::validation(
            "The sandbox does not support global tables with MultiRegionConsistency STRONG",
        ));
    }
    Ok(found)
}

/// The list leaves out a member that the request did carry.
fn nothing(body: &Value) -> DynamoDbError {
    let consistency = match body["MultiRegionConsistency"] {
        Value::Null => "MultiRegionConsistency, ",
        _ => "",
    };
    DynamoDbError::validation(format!(
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
         GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, \
         ReplicaTransitRoleArn, {consistency}DeletionProtectionEnabled, OnDemandThroughput, \
         WarmThroughput or TableClass is required"
    ))
}

/// Which kinds may travel together; all others travel alone.
pub fn one_change(body: &Value, changes: &[TableChange]) -> Result<(), DynamoDbError> {
    if changes.len() == 1 {
        return Ok(());
    }
    let has = |change: TableChange| changes.contains(&change);
    let iops = [TableChange::Billing, TableChange::Throughput, TableChange::IndexUpdate];
    let text = match changes[0] {
        TableChange::Replicas => {
            "Requests that modify replicas or witnesses must not also modify other fields"
        }
        TableChange::Encryption => {
            "Server-Side Encryption modification must be the only operation in the request"
        }
        TableChange::Class => "TableClass modification must be the only operation in the request",
        TableChange::Protection => {
            "DeletionProtection modification must be the only operation in the request"
        }
        TableChange::Warm if has(TableChange::OnlineIndex) => {
            "Create global secondary index cannot be specified when updating WarmThroughput"
        }
        TableChange::Warm => "WarmThroughput must be the only operation in the request",
        TableChange::OnlineIndex if has(TableChange::Stream) => {
            "You cannot create or delete index while changing stream status"
        }
        TableChange::OnlineIndex => "You cannot create or delete index while updating table IOPS",
        _ if has(TableChange::Limits) && !(has(TableChange::Billing) && changes.len() == 2) => {
            "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
        }
        _ if has(TableChange::Stream)
            && iops.into_iter().any(has)
            && !(body["BillingMode"] == "PAY_PER_REQUEST" && changes.len() == 2) =>
        {
            "You cannot modify stream status while updating table IOPS"
        }
        _ => return Ok(()),
    };
    Err(DynamoDbError::invalid(text))
}
