//! How a table ends and how a member leaves its group.

use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::describe::description;
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall, key_of};
use crate::dynamodb::store::shape::table_name;
use crate::dynamodb::store::table::{DynamoTable, TableStanding, TableStatus};
use crate::dynamodb::table::tags::tags_locked;
use crate::http::Millis;

/// DeleteTable; on a member of a group it means leaving the group.
pub fn delete_table(
    register: &mut Register,
    call: &TableCall,
    items: &mut Items,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    let table = register.expect_table(&call.region, &name)?.clone();
    if table.status != TableStatus::Deleting {
        if table.group.is_some() {
            may_leave_by_itself(register, &table, call.now)?;
            let full = items.has_items(&table.region, &table.name);
            leave(register, call.now, &table, full);
        } else {
            idle(register, &table, call.now)?;
            if table.protected {
                return Err(protected());
            }
            let due = call.now + register.durations.table_delete;
            register.later(due, RegisterEvent::TableGone { table: key_of(&table.region, &name) });
        }
        if let Some(table) = register.table_mut(&call.region, &name) {
            table.status = TableStatus::Deleting;
        }
    }
    let table = register.expect_table(&call.region, &name)?;
    Ok(json!({"TableDescription": description(register, table, call.now)}))
}

fn protected() -> DynamoDbError {
    DynamoDbError::validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable \
         deletion protection first.",
    )
}

/// A table of one region can only be deleted while nothing at all is under way.
fn idle(register: &Register, table: &DynamoTable, now: Millis) -> Result<(), DynamoDbError> {
    let name = &table.name;
    let updating = format!("Table: {name} is in the process of being updated.");
    if table.status == TableStatus::Creating {
        return Err(DynamoDbError::busy(&format!("Table is being created: {name}")));
    }
    if table.index_work() {
        return Err(DynamoDbError::busy(
            "Cannot delete table while indexes are being created, updated, or deleted.",
        ));
    }
    if table.status == TableStatus::Updating || table.warm.raising {
        return Err(DynamoDbError::busy(&updating));
    }
    if table.encryption.as_ref().is_some_and(|it| it.updating) {
        return Err(DynamoDbError::busy("Server-Side Encryption is still being updated"));
    }
    if tags_locked(register, table, now) {
        return Err(DynamoDbError::busy(&format!("Table tags are being updated: {name}")));
    }
    Ok(())
}

fn may_leave_by_itself(
    register: &Register,
    table: &DynamoTable,
    now: Millis,
) -> Result<(), DynamoDbError> {
    if table.status == TableStatus::Creating {
        return Err(DynamoDbError::busy(&format!("Table: {} is being used.", table.name)));
    }
    if table.protected {
        return Err(protected());
    }
    fed_nobody(register, table, now)?;
    if register.group_works(table) || table.index_work() {
        return Err(DynamoDbError::group_busy());
    }
    Ok(())
}

/// A region that fed a replica stays for a day, unless that replica goes first.
pub fn fed_nobody(
    register: &Register,
    table: &DynamoTable,
    now: Millis,
) -> Result<(), DynamoDbError> {
    let Some(group) = register.group_of(table) else { return Ok(()) };
    let stays = register.durations.source_stays;
    let fed = group
        .members
        .iter()
        .any(|it| it.source.as_ref() == Some(&table.region) && now - it.added < stays);
    if fed {
        return Err(DynamoDbError::validation(
            "Replica cannot be deleted because it has acted as a source region for new replica(s) \
             being added to the table in the last 24 hours.",
        ));
    }
    Ok(())
}

/// The member is on its way out: entry first, then the table in its region.
pub fn leave(register: &mut Register, now: Millis, table: &DynamoTable, full: bool) {
    let Some(id) = table.group.clone() else { return };
    if let Some(member) =
        register.groups.get_mut(&id).and_then(|group| group.member_mut(&table.region))
    {
        member.standing = TableStanding::Deleting;
    }
    if let Some(table) = register.table_mut(&table.region, &table.name) {
        table.status = TableStatus::Deleting;
    }
    let wait = if full {
        register.durations.replica_entry_gone_with_items
    } else {
        register.durations.replica_entry_gone
    };
    let region = table.region.clone();
    register.later(now + wait, RegisterEvent::ReplicaLeft { group: id, region });
}
