//! UpdateTable: one logical change per call, admitted only when nothing else is under way.

use serde_json::{Value, json};

use crate::sandbox::dynamodb::capacity::{change_capacity, limits, warm_up};
use crate::sandbox::dynamodb::describe::{description, replicas};
use crate::sandbox::dynamodb::encryption::change_encryption;
use crate::sandbox::dynamodb::indexes::change_index;
use crate::sandbox::dynamodb::items::Items;
use crate::sandbox::dynamodb::refusal::Refusal;
use crate::sandbox::dynamodb::register::{Call, Register};
use crate::sandbox::dynamodb::replicas::{change_replicas, read_action};
use crate::sandbox::dynamodb::settings::{
    change_class, change_protection, change_stream, wanted_stream,
};
use crate::sandbox::dynamodb::shape::{Shape, table_name};
use crate::sandbox::dynamodb::table::{Status, Table, Work};

/// Which kinds of change a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
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

pub fn update_table(
    register: &mut Register,
    call: &Call,
    items: &mut Items,
) -> Result<Value, Refusal> {
    let name = table_name(&call.body, &call.region)?;
    check_shape(&call.body)?;
    let changes = changes(&call.body)?;
    one_change(&call.body, &changes)?;
    let action = match changes.first() {
        Some(Change::Replicas) => Some(read_action(&call.body["ReplicaUpdates"])?),
        _ => None,
    };
    let table = register.expect_table(&call.region, &name)?.clone();
    if let Some(action) = action {
        may_change_replicas(&table)?;
        change_replicas(register, call, &table, &action, items)?;
    } else {
        let stream = wanted_stream(&call.body, &table)?;
        if !swallowed(&call.body, &table, &changes) {
            admit(register, &table, &changes)?;
            carry_out(register, call, &table, &changes, stream, items)?;
        }
    }
    let table = register.expect_table(&call.region, &name)?;
    let mut answer = description(register, table, call.now);
    if changes == [Change::Replicas] && replicas(register, table).is_empty() {
        answer["Replicas"] = json!([]);
    }
    Ok(json!({"TableDescription": answer}))
}

fn check_shape(body: &Value) -> Result<(), Refusal> {
    let mut shape = Shape::default();
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
        return Err(Refusal::validation(
            "Invalid table-class parameter provided. Please try again with a valid table-class \
             value: [STANDARD, STANDARD_INFREQUENT_ACCESS].",
        ));
    }
    Ok(())
}

/// What the request asks for, the loner kinds first.
fn changes(body: &Value) -> Result<Vec<Change>, Refusal> {
    let given = |name: &str| !body[name].is_null();
    let updates = body["GlobalSecondaryIndexUpdates"].as_array();
    if updates.is_some_and(Vec::is_empty) {
        return Err(Refusal::invalid("List of GlobalSecondaryIndexUpdates is empty"));
    }
    let mut online = false;
    let mut plain = false;
    for update in updates.into_iter().flatten() {
        let kinds = ["Create", "Delete", "Update"].map(|kind| !update[kind].is_null());
        match kinds.iter().filter(|it| **it).count() {
            0 => {
                return Err(Refusal::invalid(
                    "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                     GlobalSecondaryIndexUpdate.Delete must not be null",
                ));
            }
            1 => {}
            _ => {
                return Err(Refusal::invalid(
                    "Only one global secondary index action is allowed per \
                     GlobalSecondaryIndexUpdate object",
                ));
            }
        }
        online |= !kinds[2];
        plain |= kinds[2];
    }
    let all = [
        (given("ReplicaUpdates"), Change::Replicas),
        (given("SSESpecification"), Change::Encryption),
        (given("TableClass"), Change::Class),
        (given("DeletionProtectionEnabled"), Change::Protection),
        (given("WarmThroughput"), Change::Warm),
        (online, Change::OnlineIndex),
        (given("BillingMode"), Change::Billing),
        (given("ProvisionedThroughput"), Change::Throughput),
        (plain, Change::IndexUpdate),
        (given("StreamSpecification"), Change::Stream),
        (given("OnDemandThroughput"), Change::Limits),
    ];
    let found: Vec<Change> =
        all.into_iter().filter(|(is, _)| *is).map(|(_, change)| change).collect();
    if found.is_empty() {
        return Err(nothing(body));
    }
    if given("GlobalTableWitnessUpdates") || body["MultiRegionConsistency"] == "STRONG" {
        return Err(Refusal::validation(
            "The sandbox does not offer global tables with MultiRegionConsistency STRONG",
        ));
    }
    Ok(found)
}

/// The list leaves out a member that the request did carry.
fn nothing(body: &Value) -> Refusal {
    let consistency = match body["MultiRegionConsistency"] {
        Value::Null => "MultiRegionConsistency, ",
        _ => "",
    };
    Refusal::validation(format!(
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
         GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, \
         ReplicaTransitRoleArn, {consistency}DeletionProtectionEnabled, OnDemandThroughput, \
         WarmThroughput or TableClass is required"
    ))
}

/// Which kinds may travel together; all others travel alone.
fn one_change(body: &Value, changes: &[Change]) -> Result<(), Refusal> {
    if changes.len() == 1 {
        return Ok(());
    }
    let has = |change: Change| changes.contains(&change);
    let iops = [Change::Billing, Change::Throughput, Change::IndexUpdate];
    let text = match changes[0] {
        Change::Replicas => {
            "Requests that modify replicas or witnesses must not also modify other fields"
        }
        Change::Encryption => {
            "Server-Side Encryption modification must be the only operation in the request"
        }
        Change::Class => "TableClass modification must be the only operation in the request",
        Change::Protection => {
            "DeletionProtection modification must be the only operation in the request"
        }
        Change::Warm if has(Change::OnlineIndex) => {
            "Create global secondary index cannot be specified when updating WarmThroughput"
        }
        Change::Warm => "WarmThroughput must be the only operation in the request",
        Change::OnlineIndex if has(Change::Stream) => {
            "You cannot create or delete index while changing stream status"
        }
        Change::OnlineIndex => "You cannot create or delete index while updating table IOPS",
        _ if has(Change::Limits) && !(has(Change::Billing) && changes.len() == 2) => {
            "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
        }
        _ if has(Change::Stream)
            && iops.into_iter().any(has)
            && !(body["BillingMode"] == "PAY_PER_REQUEST" && changes.len() == 2) =>
        {
            "You cannot modify stream status while updating table IOPS"
        }
        _ => return Ok(()),
    };
    Err(Refusal::invalid(text))
}

/// The way back to on-demand, sent while the way to provisioned is under way, is accepted and lost.
fn swallowed(body: &Value, table: &Table, changes: &[Change]) -> bool {
    changes == [Change::Billing]
        && table.work == Some(Work::Throughput)
        && body["BillingMode"] == "PAY_PER_REQUEST"
        && body["BillingMode"] == table.billing.word()
}

fn may_change_replicas(table: &Table) -> Result<(), Refusal> {
    match (table.status, &table.group) {
        (Status::Creating, Some(_)) => {
            Err(Refusal::validation(joining(&table.name, &table.region)))
        }
        (Status::Creating, None) => {
            Err(Refusal::busy(&format!("Table is being created: {}", table.name)))
        }
        (Status::Deleting, None) => {
            Err(Refusal::busy(&format!("Table is being deleted: {}", table.name)))
        }
        _ => Ok(()),
    }
}

/// What is said while a replica is being made.
pub fn joining(name: &str, region: &str) -> String {
    format!(
        "Create/Update/Delete of replica is not allowed while the replica is being added to table \
         with name: ‘{name}’ in region: ‘{region}’."
    )
}

fn admit(register: &Register, table: &Table, changes: &[Change]) -> Result<(), Refusal> {
    if table.group.is_some() {
        return match table.status {
            Status::Creating => Err(Refusal::no_table(&table.name)),
            _ if register.group_works(table) => Err(Refusal::group_busy()),
            _ => Ok(()),
        };
    }
    let name = &table.name;
    let detail = match (table.status, table.work) {
        (Status::Active, _) => return Ok(()),
        (Status::Creating, _) => format!("Table is being created: {name}"),
        (Status::Deleting, _) => format!("Table is being deleted: {name}"),
        _ if changes == [Change::Protection] => return Ok(()),
        (_, Some(Work::Throughput)) if changes == [Change::Warm] => return Ok(()),
        (_, Some(Work::Stream)) => format!(
            "A stream status change is currently in progress. Table: {name} Stream: {} Operation: {}",
            table.stream_label.as_deref().unwrap_or(""),
            if table.stream.is_some() { "DISABLE" } else { "ENABLE" }
        ),
        (_, Some(Work::Class)) => format!(
            "Can't update table class when a table class update is in progress. Table: {name} \
             TableClassUpdateInProgress: {}",
            table.class_word()
        ),
        (_, Some(Work::Index)) if changes == [Change::OnlineIndex] => return Ok(()),
        (_, Some(Work::Index)) => {
            let working = table.indexes.iter().filter(|it| it.status != Status::Active);
            let names: Vec<&str> = working.map(|it| it.name.as_str()).collect();
            format!(
                "Can't change table IOPS when an index is being created. Table: {name} Indexes: [{}]",
                names.join(", ")
            )
        }
        _ => format!("Table IOPS are currently being updated. Table: {name}"),
    };
    Err(Refusal::busy(&detail))
}

fn carry_out(
    register: &mut Register,
    call: &Call,
    table: &Table,
    changes: &[Change],
    stream: Option<String>,
    items: &mut Items,
) -> Result<(), Refusal> {
    match (changes, stream) {
        ([Change::Encryption], _) => change_encryption(register, call, table),
        ([Change::Class], _) => change_class(register, call, table),
        ([Change::Protection], _) => change_protection(register, call, table),
        ([Change::Warm], _) => warm_up(register, call, table),
        ([Change::OnlineIndex], _) => change_index(register, call, table, items),
        ([Change::Limits], _) => limits(register, &call.body, table, table.billing),
        ([Change::Stream], Some(stream)) => {
            change_stream(register, call, table, stream);
            Ok(())
        }
        (_, stream) => change_capacity(register, call, table, stream),
    }
}
