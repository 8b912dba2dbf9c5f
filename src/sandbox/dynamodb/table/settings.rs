//! Stream, table class and deletion protection: each the only change of its call.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::iso_time;
use crate::dynamodb::store::register::{Patch, Register, TableCall, key_of};
use crate::dynamodb::store::table::{DynamoTable, Work};
use crate::http::Millis;

/// The table class changes at most twice in 30 days (AWS's developer guide, table classes).
const CLASS_WINDOW: Millis = 30 * 24 * 3_600_000;

/// The rules every StreamSpecification of an UpdateTable must meet; in a group it is frozen.
pub fn wanted_stream(body: &Value, table: &DynamoTable) -> Result<Option<String>, DynamoDbError> {
    let asked = &body["StreamSpecification"];
    if asked.is_null() {
        return Ok(None);
    }
    let view = asked["StreamViewType"].as_str();
    if asked["StreamEnabled"] == true {
        let Some(view) = view else {
            let text = "If stream is being enabled then UpdateViewType is required";
            return Err(DynamoDbError::invalid(text));
        };
        if table.stream.is_some() || table.group.is_some() {
            let text = format!("Table already has an enabled stream: TableName: {}", table.name);
            return Err(DynamoDbError::validation(text));
        }
        return Ok(Some(view.to_owned()));
    }
    if view.is_some() {
        let text = "If stream is being disabled, then UpdateViewType must not be specified";
        return Err(DynamoDbError::invalid(text));
    }
    if table.group.is_some() {
        let text = "Disabling Stream is not allowed for a Global Table replica.";
        return Err(DynamoDbError::invalid(text));
    }
    if table.stream.is_none() {
        let text = format!("Table has no stream to disable: TableName: {}", table.name);
        return Err(DynamoDbError::validation(text));
    }
    Ok(Some(String::new()))
}

pub fn change_stream(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    stream: String,
) {
    let due = call.now + register.durations.stream;
    let patch = Patch { stream: Some(stream), ..Patch::default() };
    register.update_until(&key_of(&table.region, &table.name), due, Work::Stream, patch);
}

/// Two changes in 30 days, then none, not even to the same class.
pub fn change_class(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
) -> Result<(), DynamoDbError> {
    let class = call.body["TableClass"].as_str().unwrap_or("");
    let mut recent: Vec<Millis> =
        table.class_changes.iter().copied().filter(|at| call.now - at < CLASS_WINDOW).collect();
    if recent.len() >= 2 {
        return Err(DynamoDbError::limit(
            "Subscriber limit exceeded: Updates to TableClass are limited to 2 times in 30 day(s).",
        ));
    }
    recent.push(call.now);
    let wait = match table.group {
        Some(_) => register.durations.class_in_group,
        None => register.durations.class,
    };
    for key in register.alike(table) {
        let patch = Patch { class: Some(class.to_owned()), ..Patch::default() };
        register.update_until(&key, call.now + wait, Work::Class, patch);
        if let Some(table) = register.tables.get_mut(&key) {
            table.class_changes.clone_from(&recent);
        }
    }
    Ok(())
}

/// At once on a table of one region; half a minute of UPDATING on a member of a group.
pub fn change_protection(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
) -> Result<(), DynamoDbError> {
    let wanted = call.body["DeletionProtectionEnabled"].as_bool().unwrap_or(false);
    if wanted == table.protected {
        return Ok(());
    }
    let free = table.protection_changed.map_or(0, |at| at + register.durations.protection_pause);
    if call.now < free {
        return Err(DynamoDbError::throttled(format!(
            "Deletion protection of table {} was modified too recently. Please try again after {}",
            table.name,
            iso_time(free)
        )));
    }
    let key = key_of(&table.region, &table.name);
    if table.group.is_some() {
        let due = call.now + register.durations.protection_in_group;
        let patch = Patch { protected: Some(wanted), ..Patch::default() };
        register.update_until(&key, due, Work::Group, patch);
    } else if let Some(table) = register.tables.get_mut(&key) {
        table.protected = wanted;
    }
    if let Some(table) = register.tables.get_mut(&key) {
        table.protection_changed = Some(call.now);
    }
    Ok(())
}
