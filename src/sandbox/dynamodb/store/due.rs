//! Makes happen what became due: the only place where time changes rows.

use crate::dynamodb::store::effects::{apply, be_created, become_active};
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, RegisterEvent};
use crate::dynamodb::store::replica_create::{
    replica_active, replica_known, replica_left, replica_listed,
};
use crate::dynamodb::store::table::{TableStatus, key_names};
use crate::http::Millis;

/// How often item counts are refreshed: about every six hours (AWS's API reference, TableDescription).
const COUNT_EVERY: Millis = 6 * 3_600_000;

/// Runs all events due by now, in the order of their times; without `items` only rows change.
pub fn settle(
    register: &mut Register,
    now: Millis,
    mut items: Option<&mut Items>,
) -> Result<(), String> {
    loop {
        let first = register.jobs.iter().min_by_key(|(id, job)| (job.due, **id));
        let Some((id, job)) = first.filter(|(_, job)| job.due <= now) else { break };
        let (id, job) = (*id, job.clone());
        happen(register, job.due, &job.event, items.as_deref_mut())?;
        register.jobs.remove(&id);
    }
    if let Some(items) = items {
        recount(register, now, items);
    }
    Ok(())
}

fn recount(register: &mut Register, now: Millis, items: &mut Items) {
    let stale: Vec<String> = register
        .tables
        .iter()
        .filter(|(_, table)| table.serves() && now - table.counted >= COUNT_EVERY)
        .map(|(key, _)| key.clone())
        .collect();
    for key in stale {
        let table = register.tables.get_mut(&key).expect("it was just listed");
        table.item_count = items.count(&table.region, &table.name);
        table.counted = now;
    }
}

fn happen(
    register: &mut Register,
    due: Millis,
    event: &RegisterEvent,
    items: Option<&mut Items>,
) -> Result<(), String> {
    match event {
        RegisterEvent::TableCreated { table } => created(register, due, table, items),
        RegisterEvent::TableGone { table } => gone(register, table, items),
        RegisterEvent::IndexActive { table, index } => index_active(register, table, index, items),
        RegisterEvent::IndexGone { table, index } => index_gone(register, table, index, items),
        RegisterEvent::ReplicaListed { group, region } => {
            replica_listed(register, due, group, region);
            Ok(())
        }
        RegisterEvent::ReplicaKnown { group, region } => {
            replica_known(register, due, group, region);
            Ok(())
        }
        RegisterEvent::ReplicaActive { group, region } => {
            replica_active(register, due, group, region, items)
        }
        RegisterEvent::ReplicaLeft { group, region } => {
            replica_left(register, due, group, region);
            Ok(())
        }
        event => {
            row_event(register, due, event);
            Ok(())
        }
    }
}

/// Events that change nothing but one row.
fn row_event(register: &mut Register, due: Millis, event: &RegisterEvent) {
    let Some(table) = event.table().and_then(|key| register.tables.get_mut(&key.to_owned())) else {
        return;
    };
    match event {
        RegisterEvent::TableSettled { patch, .. } => {
            become_active(table);
            apply(table, due, patch);
        }
        RegisterEvent::BaseBusy { .. } => table.status = TableStatus::Updating,
        RegisterEvent::IndexBackfills { index, .. } => {
            become_active(table);
            if let Some(index) = table.index_mut(index) {
                index.backfilling = true;
            }
        }
        RegisterEvent::TimeToLiveSettled { .. } => match table.ttl.as_mut() {
            Some(ttl) if ttl.status == "ENABLING" => ttl.status = "ENABLED".into(),
            Some(ttl) if ttl.status == "DISABLING" => table.ttl = None,
            _ => {}
        },
        RegisterEvent::EncryptionSettled { .. } => {
            if let Some(encryption) = table.encryption.as_mut() {
                encryption.updating = false;
            }
        }
        RegisterEvent::WarmSettled { .. } => table.warm.raising = false,
        _ => {}
    }
}

fn created(
    register: &mut Register,
    due: Millis,
    key: &str,
    items: Option<&mut Items>,
) -> Result<(), String> {
    let backups = due + register.durations.backups_enabled;
    let Some(table) = register.tables.get_mut(&key.to_owned()) else { return Ok(()) };
    if let Some(items) = items {
        items.create(table)?;
    }
    be_created(table, due, backups);
    Ok(())
}

fn gone(register: &mut Register, key: &str, items: Option<&mut Items>) -> Result<(), String> {
    let Some(table) = register.tables.get(&key.to_owned()) else { return Ok(()) };
    if let Some(items) = items {
        items.drop_table(&table.region, &table.name)?;
    }
    register.forget(key);
    Ok(())
}

fn index_active(
    register: &mut Register,
    key: &str,
    name: &str,
    items: Option<&mut Items>,
) -> Result<(), String> {
    let Some(table) = register.tables.get_mut(&key.to_owned()) else { return Ok(()) };
    if let (Some(items), Some(index)) = (items, table.index(name)) {
        items.create_index(table, index)?;
    }
    if let Some(index) = table.index_mut(name) {
        index.status = TableStatus::Active;
        index.backfilling = false;
    }
    Ok(())
}

fn index_gone(
    register: &mut Register,
    key: &str,
    name: &str,
    items: Option<&mut Items>,
) -> Result<(), String> {
    let Some(table) = register.tables.get_mut(&key.to_owned()) else { return Ok(()) };
    if let Some(items) = items {
        items.delete_index(&table.region, &table.name, name)?;
    }
    table.indexes.retain(|it| it.name != name);
    let mut used = table.key_names();
    used.extend(table.indexes.iter().flat_map(|it| key_names(&it.key_schema)));
    used.extend(table.local_indexes.iter().flat_map(|it| key_names(&it["KeySchema"])));
    table.attributes.retain(|it| used.iter().any(|name| it["AttributeName"] == name.as_str()));
    become_active(table);
    Ok(())
}
