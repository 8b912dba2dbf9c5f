//! UpdateTable: one logical change per call, admitted only when nothing else is under way.

use serde_json::{Value, json};

use crate::sandbox::dynamodb::action::read_action;
use crate::sandbox::dynamodb::capacity::{change_capacity, index_limits};
use crate::sandbox::dynamodb::changes::{Change, changes, check_shape, one_change};
use crate::sandbox::dynamodb::describe::{description, replicas};
use crate::sandbox::dynamodb::encryption::change_encryption;
use crate::sandbox::dynamodb::frozen;
use crate::sandbox::dynamodb::indexes::change_index;
use crate::sandbox::dynamodb::items::Items;
use crate::sandbox::dynamodb::limits::{limits, warm_up};
use crate::sandbox::dynamodb::refusal::Refusal;
use crate::sandbox::dynamodb::register::{Call, Register};
use crate::sandbox::dynamodb::replicas::change_replicas;
use crate::sandbox::dynamodb::settings::{
    change_class, change_protection, change_stream, wanted_stream,
};
use crate::sandbox::dynamodb::shape::table_name;
use crate::sandbox::dynamodb::table::{Billing, Status, Table, Work};

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
        // What one living member has for itself goes on.
        if action.kind != "Update" || register.links.freezes(&action.region) {
            frozen::whole(register, &table, Some(&action.region))?;
        }
        change_replicas(register, call, &table, &action, items)?;
    } else {
        if changes.iter().any(|it| it.is_shared()) {
            frozen::whole(register, &table, None)?;
        }
        change(register, call, &table, &changes, items)?;
    }
    let table = register.expect_table(&call.region, &name)?;
    let mut answer = description(register, table, call.now);
    if changes == [Change::Replicas] && replicas(register, table).is_empty() {
        answer["Replicas"] = json!([]);
    }
    Ok(json!({"TableDescription": answer}))
}

fn change(
    register: &mut Register,
    call: &Call,
    table: &Table,
    changes: &[Change],
    items: &mut Items,
) -> Result<(), Refusal> {
    if swallowed(&call.body, table, changes) {
        return Ok(());
    }
    // In a group the frozen stream is the first thing to be told.
    if table.group.is_none() {
        admit(register, table, changes)?;
    }
    let stream = wanted_stream(&call.body, table)?;
    admit(register, table, changes)?;
    carry_out(register, call, table, changes, stream, items)
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
        ([Change::IndexUpdate], _) if table.billing == Billing::PayPerRequest => {
            index_limits(register, call, table)
        }
        ([Change::Limits], _) => limits(register, &call.body, table, table.billing),
        ([Change::Stream], Some(stream)) => {
            change_stream(register, call, table, stream);
            Ok(())
        }
        (_, stream) => change_capacity(register, call, table, stream),
    }
}
