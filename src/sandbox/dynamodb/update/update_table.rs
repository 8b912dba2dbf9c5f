//! UpdateTable: one logical change per call, admitted only when nothing else is under way.

use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::group::action::read_action;
use crate::dynamodb::group::replicas::change_replicas;
use crate::dynamodb::store::describe::{description, replicas};
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::shape::table_name;
use crate::dynamodb::store::table::{Billing, DynamoTable, TableStatus, Work};
use crate::dynamodb::table::capacity::{change_capacity, index_limits};
use crate::dynamodb::table::encryption::change_encryption;
use crate::dynamodb::table::frozen;
use crate::dynamodb::table::indexes::change_index;
use crate::dynamodb::table::limits::{limits, warm_up};
use crate::dynamodb::table::settings::{
    change_class, change_protection, change_stream, wanted_stream,
};
use crate::dynamodb::update::changes::{TableChange, changes, check_shape, one_change};

pub fn update_table(
    register: &mut Register,
    call: &TableCall,
    items: &mut Items,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    check_shape(&call.body)?;
    let changes = changes(&call.body)?;
    one_change(&call.body, &changes)?;
    let action = match changes.first() {
        Some(TableChange::Replicas) => Some(read_action(&call.body["ReplicaUpdates"])?),
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
    if changes == [TableChange::Replicas] && replicas(register, table).is_empty() {
        answer["Replicas"] = json!([]);
    }
    Ok(json!({"TableDescription": answer}))
}

fn change(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    changes: &[TableChange],
    items: &mut Items,
) -> Result<(), DynamoDbError> {
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
fn swallowed(body: &Value, table: &DynamoTable, changes: &[TableChange]) -> bool {
    changes == [TableChange::Billing]
        && table.work == Some(Work::Throughput)
        && body["BillingMode"] == "PAY_PER_REQUEST"
        && body["BillingMode"] == table.billing.word()
}

fn may_change_replicas(table: &DynamoTable) -> Result<(), DynamoDbError> {
    match (table.status, &table.group) {
        (TableStatus::Creating, Some(_)) => {
            Err(DynamoDbError::validation(joining(&table.name, &table.region)))
        }
        (TableStatus::Creating, None) => {
            Err(DynamoDbError::busy(&format!("Table is being created: {}", table.name)))
        }
        (TableStatus::Deleting, None) => {
            Err(DynamoDbError::busy(&format!("Table is being deleted: {}", table.name)))
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

fn admit(
    register: &Register,
    table: &DynamoTable,
    changes: &[TableChange],
) -> Result<(), DynamoDbError> {
    if table.group.is_some() {
        return match table.status {
            TableStatus::Creating => Err(DynamoDbError::no_table(&table.name)),
            _ if register.group_works(table) => Err(DynamoDbError::group_busy()),
            _ => Ok(()),
        };
    }
    let name = &table.name;
    let detail = match (table.status, table.work) {
        (TableStatus::Active, _) => return Ok(()),
        (TableStatus::Creating, _) => format!("Table is being created: {name}"),
        (TableStatus::Deleting, _) => format!("Table is being deleted: {name}"),
        _ if changes == [TableChange::Protection] => return Ok(()),
        (_, Some(Work::Throughput)) if changes == [TableChange::Warm] => return Ok(()),
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
        (_, Some(Work::Index)) if changes == [TableChange::OnlineIndex] => return Ok(()),
        (_, Some(Work::Index)) => {
            let working = table.indexes.iter().filter(|it| it.status != TableStatus::Active);
            let names: Vec<&str> = working.map(|it| it.name.as_str()).collect();
            format!(
                "Can't change table IOPS when an index is being created. Table: {name} Indexes: [{}]",
                names.join(", ")
            )
        }
        _ => format!("Table IOPS are currently being updated. Table: {name}"),
    };
    Err(DynamoDbError::busy(&detail))
}

fn carry_out(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    changes: &[TableChange],
    stream: Option<String>,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    match (changes, stream) {
        ([TableChange::Encryption], _) => change_encryption(register, call, table),
        ([TableChange::Class], _) => change_class(register, call, table),
        ([TableChange::Protection], _) => change_protection(register, call, table),
        ([TableChange::Warm], _) => warm_up(register, call, table),
        ([TableChange::OnlineIndex], _) => change_index(register, call, table, items),
        ([TableChange::IndexUpdate], _) if table.billing == Billing::PayPerRequest => {
            index_limits(register, call, table)
        }
        ([TableChange::Limits], _) => limits(register, &call.body, table, table.billing),
        ([TableChange::Stream], Some(stream)) => {
            change_stream(register, call, table, stream);
            Ok(())
        }
        (_, stream) => change_capacity(register, call, table, stream),
    }
}
