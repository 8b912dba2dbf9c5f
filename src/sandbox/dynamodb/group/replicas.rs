//! ReplicaUpdates: adding, changing and removing a member of a group, one action per call.

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::group::action::TableAction;
use crate::dynamodb::group::replica_delete::{fed_nobody, leave};
use crate::dynamodb::places::{REGIONS, is_region, key_arn};
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Patch, Register, RegisterEvent, TableCall, key_of};
use crate::dynamodb::store::table::{
    Billing, DynamoTable, ReplicaGroup, TableMember, TableStanding, TableStatus, Work,
};
use crate::dynamodb::table::capacity::needs_scaling;
use crate::dynamodb::table::create::taken;
use crate::dynamodb::table::encryption::{mixed_keys, usable};

/// Carries out the action from the endpoint of `table`.
pub fn change_replicas(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    action: &TableAction,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    if action.region == call.region {
        return Err(DynamoDbError::validation(
            "Cannot add, delete, or update the local region through ReplicaUpdates. Use \
             CreateTable, DeleteTable, or UpdateTable as required.",
        ));
    }
    if action.kind == "Create" {
        return add(register, call, table, action, items);
    }
    let listed = register
        .group_of(table)
        .and_then(|group| group.member(&action.region))
        .is_some_and(|member| member.standing != TableStanding::Hidden);
    let member = register.table(&action.region, &table.name).filter(|it| it.group == table.group);
    let Some(member) = member.filter(|_| listed).cloned() else {
        return Err(DynamoDbError::validation(format!(
            "Update global table operation failed because one or more replicas were not part of \
             the global table. Please retry the request without these replicas: [{}].",
            action.region
        )));
    };
    if action.kind == "Delete" {
        remove(register, call, table, &member, items)
    } else {
        override_settings(register, call, table, &member, action)
    }
}

fn add(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    action: &TableAction,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    may_add(register, table, action)?;
    let full = items.has_items(&table.region, &table.name);
    let member = TableMember {
        region: action.region.clone(),
        source: Some(call.region.clone()),
        added: call.now,
        standing: TableStanding::Hidden,
        with_items: full,
        class: action.body["TableClassOverride"].as_str().map(str::to_owned),
        read_limit: action.body["OnDemandThroughputOverride"]["MaxReadRequestUnits"].as_i64(),
        key: action.body["KMSMasterKeyId"].as_str().map(|key| key_arn(&action.region, key)),
    };
    let limited = member.read_limit.is_some();
    let id = join(register, call, table, member);
    schedule(register, call, table, &id, &action.region, (full, limited));
    Ok(())
}

/// Preconditions in the order in which the service reports them.
fn may_add(
    register: &Register,
    table: &DynamoTable,
    action: &TableAction,
) -> Result<(), DynamoDbError> {
    let region = &action.region;
    if !is_region(region) {
        return Err(DynamoDbError::validation(format!(
            "Region {region} is not supported. The latest version of global tables are only \
             supported in the following regions: [{}]",
            REGIONS.join(", ")
        )));
    }
    if register.group_works(table) || table.index_work() || table.status != TableStatus::Active {
        return Err(DynamoDbError::group_busy());
    }
    if let Some(group) = register.group_of(table).filter(|it| it.member(region).is_some()) {
        let regions: Vec<&str> = group.members.iter().map(|it| it.region.as_str()).collect();
        return Err(DynamoDbError::in_use(format!(
            "Global table with name: '{}' already exists with replicas in regions: '{}'.",
            table.name,
            regions.join(", ")
        )));
    }
    if taken(register, region, &table.name) {
        return Err(DynamoDbError::validation(format!(
            "Failed to create a the new replica of table with name: ‘{}’ because one or more \
             replicas already existed as tables.",
            table.name
        )));
    }
    fitting_key(table, action)?;
    if table.billing == Billing::Provisioned {
        return Err(needs_scaling());
    }
    Ok(())
}

/// A customer's key must be named for every replica, and then only there.
fn fitting_key(table: &DynamoTable, action: &TableAction) -> Result<(), DynamoDbError> {
    if table.encryption.as_ref().is_some_and(|it| it.updating) {
        return Err(DynamoDbError::validation(
            "Operation cannot be performed while replica server-side encryption status is in \
             UPDATING state. Please retry the request after the status is updated to ENABLED.",
        ));
    }
    let customer = table.encryption.as_ref().is_some_and(|it| it.customer);
    match action.body["KMSMasterKeyId"].as_str() {
        None if customer => {
            Err(DynamoDbError::invalid("KMSMasterKeyId must be specified for each replica."))
        }
        Some(_) if !customer => Err(mixed_keys()),
        Some(key) => usable(key, &action.region),
        None => Ok(()),
    }
}

/// Puts the newcomer into the table's group, which begins with it if there was none.
fn join(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    member: TableMember,
) -> String {
    if let Some(id) = &table.group {
        if let Some(group) = register.groups.get_mut(id) {
            group.members.push(member);
        }
        return id.clone();
    }
    let id = format!("{}#{}", table.name, register.next("group"));
    let first = TableMember {
        region: table.region.clone(),
        source: None,
        added: call.now,
        standing: TableStanding::Active,
        with_items: false,
        class: None,
        read_limit: None,
        key: None,
    };
    let group = ReplicaGroup { name: table.name.clone(), members: vec![first, member] };
    register.groups.put(id.clone(), group);
    if let Some(table) = register.table_mut(&table.region, &table.name) {
        table.group = Some(id.clone());
    }
    id
}

/// What will be seen when: entry, regional table, base ACTIVE, and at last the member ACTIVE.
fn schedule(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    id: &str,
    region: &str,
    (full, limited): (bool, bool),
) {
    let durations = register.durations.clone();
    let ready = match (full, limited) {
        (true, _) => durations.replica_with_items,
        (false, true) => durations.replica_with_read_limit,
        (false, false) => durations.replica_empty,
    };
    let (group, region) = (id.to_owned(), region.to_owned());
    let listed = RegisterEvent::ReplicaListed { group: group.clone(), region: region.clone() };
    register.later(call.now + durations.replica_entry, listed);
    let known = RegisterEvent::ReplicaKnown { group: group.clone(), region: region.clone() };
    register.later(call.now + durations.replica_table, known);
    let base = key_of(&table.region, &table.name);
    let rests = call.now + durations.replica_empty.min(ready);
    register.update_until(&base, rests, Work::Group, Patch::default());
    if full {
        register.later(call.now + ready / 2, RegisterEvent::BaseBusy { table: base });
    }
    register.later(call.now + ready, RegisterEvent::ReplicaActive { group, region });
}

fn remove(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    member: &DynamoTable,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    if member.protected {
        return Err(DynamoDbError::validation(format!(
            "Cannot delete table {} in region {} because it has deletion protection enabled. \
             Disable deletion protection first.",
            member.name, member.region
        )));
    }
    fed_nobody(register, member, call.now)?;
    if register.group_works(table) || table.index_work() {
        return Err(DynamoDbError::group_busy());
    }
    let full = items.has_items(&table.region, &table.name);
    leave(register, call.now, member, full);
    let due = call.now + register.durations.replica_delete_base;
    let base = key_of(&table.region, &table.name);
    register.update_until(&base, due, Work::Group, Patch::default());
    Ok(())
}

fn override_settings(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    member: &DynamoTable,
    action: &TableAction,
) -> Result<(), DynamoDbError> {
    if !action.body["ProvisionedThroughputOverride"].is_null() {
        return Err(DynamoDbError::invalid(
            "ProvisionedThroughputOverride cannot be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    if register.group_works(table) {
        return Err(DynamoDbError::group_busy());
    }
    let class = action.body["TableClassOverride"].as_str().map(str::to_owned);
    let wait = match class {
        Some(_) => register.durations.class_in_group,
        None => register.durations.override_set,
    };
    let read_limit = action.body["OnDemandThroughputOverride"]["MaxReadRequestUnits"].as_i64();
    let patch = Patch { class, read_limit, ..Patch::default() };
    let due = call.now + wait;
    register.update_until(&key_of(&member.region, &member.name), due, Work::Group, patch);
    let base = key_of(&table.region, &table.name);
    register.update_until(&base, due, Work::Group, Patch::default());
    Ok(())
}
