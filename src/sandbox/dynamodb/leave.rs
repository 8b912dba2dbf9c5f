//! How a table ends and how a member leaves its group.

use serde_json::{Value, json};

use crate::sandbox::dynamodb::describe::description;
use crate::sandbox::dynamodb::items::Items;
use crate::sandbox::dynamodb::refusal::Refusal;
use crate::sandbox::dynamodb::register::{Call, Event, Register, key_of};
use crate::sandbox::dynamodb::shape::table_name;
use crate::sandbox::dynamodb::table::{Standing, Status, Table};
use crate::sandbox::dynamodb::tags::tags_locked;
use crate::sandbox::http::Millis;

/// DeleteTable; on a member of a group it means leaving the group.
pub fn delete_table(
    register: &mut Register,
    call: &Call,
    items: &mut Items,
) -> Result<Value, Refusal> {
    let name = table_name(&call.body, &call.region)?;
    let table = register.expect_table(&call.region, &name)?.clone();
    if table.status != Status::Deleting {
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
            register.later(due, Event::TableGone { table: key_of(&table.region, &name) });
        }
        if let Some(table) = register.table_mut(&call.region, &name) {
            table.status = Status::Deleting;
        }
    }
    let table = register.expect_table(&call.region, &name)?;
    Ok(json!({"TableDescription": description(register, table, call.now)}))
}

fn protected() -> Refusal {
    Refusal::validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable \
         deletion protection first.",
    )
}

/// A table of one region can only be deleted while nothing at all is under way.
fn idle(register: &Register, table: &Table, now: Millis) -> Result<(), Refusal> {
    let name = &table.name;
    let updating = format!("Table: {name} is in the process of being updated.");
    if table.status == Status::Creating {
        return Err(Refusal::busy(&format!("Table is being created: {name}")));
    }
    if table.index_work() {
        return Err(Refusal::busy(
            "Cannot delete table while indexes are being created, updated, or deleted.",
        ));
    }
    if table.status == Status::Updating || table.warm.raising {
        return Err(Refusal::busy(&updating));
    }
    if table.encryption.as_ref().is_some_and(|it| it.updating) {
        return Err(Refusal::busy("Server-Side Encryption is still being updated"));
    }
    if tags_locked(register, table, now) {
        return Err(Refusal::busy(&format!("Table tags are being updated: {name}")));
    }
    Ok(())
}

fn may_leave_by_itself(register: &Register, table: &Table, now: Millis) -> Result<(), Refusal> {
    if table.status == Status::Creating {
        return Err(Refusal::busy(&format!("Table: {} is being used.", table.name)));
    }
    if table.protected {
        return Err(protected());
    }
    fed_nobody(register, table, now)?;
    if register.group_works(table) || table.index_work() {
        return Err(Refusal::group_busy());
    }
    Ok(())
}

/// A region that fed a replica stays for a day, unless that replica goes first.
pub fn fed_nobody(register: &Register, table: &Table, now: Millis) -> Result<(), Refusal> {
    let Some(group) = register.group_of(table) else { return Ok(()) };
    let stays = register.durations.source_stays;
    let fed = group
        .members
        .iter()
        .any(|it| it.source.as_ref() == Some(&table.region) && now - it.added < stays);
    if fed {
        return Err(Refusal::validation(
            "Replica cannot be deleted because it has acted as a source region for new replica(s) \
             being added to the table in the last 24 hours.",
        ));
    }
    Ok(())
}

/// The member is on its way out: entry first, then the table in its region.
pub fn leave(register: &mut Register, now: Millis, table: &Table, full: bool) {
    let Some(id) = table.group.clone() else { return };
    if let Some(member) =
        register.groups.get_mut(&id).and_then(|group| group.member_mut(&table.region))
    {
        member.standing = Standing::Deleting;
    }
    if let Some(table) = register.table_mut(&table.region, &table.name) {
        table.status = Status::Deleting;
    }
    let wait = if full {
        register.durations.replica_entry_gone_with_items
    } else {
        register.durations.replica_entry_gone
    };
    let region = table.region.clone();
    register.later(now + wait, Event::ReplicaLeft { group: id, region });
}
