//! Creating and deleting a global secondary index: one at a time, in all members at once.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall};
use crate::dynamodb::store::table::{Billing, DynamoTable, TableStatus, Work, key_names};
use crate::dynamodb::table::create::new_index;

/// The most global secondary indexes of a table without a raised quota
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html>).
const MOST_INDEXES: usize = 20;

fn one_at_a_time() -> DynamoDbError {
    DynamoDbError::limit(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously \
         per table",
    )
}

/// The Create or Delete among the index updates of this call.
pub fn change_index(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    let updates = call.body["GlobalSecondaryIndexUpdates"].as_array().cloned().unwrap_or_default();
    let mut online = updates.iter().filter(|it| !it["Create"].is_null() || !it["Delete"].is_null());
    let Some(update) = online.next() else { return Ok(()) };
    if online.next().is_some() {
        return Err(one_at_a_time());
    }
    if !update["Create"].is_null() {
        return create_index(register, call, table, &update["Create"], items);
    }
    let name = update["Delete"]["IndexName"].as_str().unwrap_or("");
    delete_index(register, call, table, name)
}

fn create_index(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    asked: &Value,
    items: &mut Items,
) -> Result<(), DynamoDbError> {
    let index = new_index(asked);
    check_new(call, table, asked, &index.name)?;
    if table.index_work() {
        return Err(one_at_a_time());
    }
    let attributes = attributes_with(call, table, &index.key_schema)?;
    let full = items.has_items(&table.region, &table.name);
    let durations = &register.durations;
    let backfill = match (table.group.is_some(), full) {
        (true, _) => durations.index_backfill_in_group,
        (false, true) => durations.index_backfill,
        (false, false) => durations.index_backfill_empty,
    };
    let begins = call.now + durations.index_allocation;
    for key in register.alike(table) {
        if let Some(table) = register.tables.get_mut(&key) {
            table.status = TableStatus::Updating;
            table.work = Some(Work::Index);
            table.attributes.clone_from(&attributes);
            table.indexes.push(index.clone());
        }
        let name = index.name.clone();
        register.later(
            begins,
            RegisterEvent::IndexBackfills { table: key.clone(), index: name.clone() },
        );
        register.later(begins + backfill, RegisterEvent::IndexActive { table: key, index: name });
    }
    Ok(())
}

fn check_new(
    call: &TableCall,
    table: &DynamoTable,
    asked: &Value,
    name: &str,
) -> Result<(), DynamoDbError> {
    let local = table.local_indexes.iter().any(|it| it["IndexName"] == name);
    if table.index(name).is_some() || local {
        return Err(DynamoDbError::validation(
            "Attempting to create an index which already exists",
        ));
    }
    if table.indexes.len() >= MOST_INDEXES {
        return Err(DynamoDbError::limit(format!(
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit \
             of {MOST_INDEXES}"
        )));
    }
    let capacity = &asked["ProvisionedThroughput"];
    match (table.billing, capacity.is_null()) {
        (Billing::Provisioned, true) => {
            let text = format!("ProvisionedThroughput must be specified for index: {name}");
            return Err(DynamoDbError::invalid(&text));
        }
        (Billing::PayPerRequest, false) => {
            return Err(DynamoDbError::invalid(&format!(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: \
                 {name} when BillingMode is PAY_PER_REQUEST"
            )));
        }
        _ => {}
    }
    if call.body["AttributeDefinitions"].is_null() {
        let text = format!("AttributeDefinitions is not specified for index: {name}");
        return Err(DynamoDbError::invalid(&text));
    }
    let projection = &asked["Projection"];
    let named = projection["NonKeyAttributes"].is_array();
    match projection["ProjectionType"].as_str() {
        Some("INCLUDE") if !named => Err(DynamoDbError::invalid(
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        )),
        Some(kind @ ("ALL" | "KEYS_ONLY")) if named => Err(DynamoDbError::invalid(&format!(
            "ProjectionType is {kind}, but NonKeyAttributes is specified"
        ))),
        Some("INCLUDE" | "ALL" | "KEYS_ONLY") => Ok(()),
        _ => Err(DynamoDbError::invalid("Unknown ProjectionType: null")),
    }
}

/// The table's attributes and those that the keys of the new index need; others sent are ignored.
fn attributes_with(
    call: &TableCall,
    table: &DynamoTable,
    keys: &Value,
) -> Result<Vec<Value>, DynamoDbError> {
    let sent = call.body["AttributeDefinitions"].as_array().cloned().unwrap_or_default();
    let names = |list: &[Value]| -> Vec<String> {
        list.iter().filter_map(|it| it["AttributeName"].as_str()).map(str::to_owned).collect()
    };
    let keys = key_names(keys);
    let (known, given) = (names(&table.attributes), names(&sent));
    if keys.iter().any(|key| !given.contains(key)) {
        return Err(DynamoDbError::invalid(&format!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], \
             AttributeDefinitions: [{}]",
            keys.join(", "),
            given.join(", ")
        )));
    }
    let mut attributes = table.attributes.clone();
    attributes.extend(sent.into_iter().filter(|it| {
        let name = it["AttributeName"].as_str().unwrap_or("");
        keys.iter().any(|key| key == name) && !known.iter().any(|it| it == name)
    }));
    Ok(attributes)
}

fn delete_index(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    name: &str,
) -> Result<(), DynamoDbError> {
    let Some(index) = table.index(name) else {
        let text = format!("Cannot delete an index that is not a GlobalSecondaryIndex: {name}");
        return Err(DynamoDbError::validation(text));
    };
    match index.status {
        TableStatus::Creating if !index.backfilling => {
            return Err(DynamoDbError::busy(&format!(
                "Index creation is in resource allocation phase. Retry deletion during backfilling \
                 phase or when the index is active. Table: {} Index: {name}",
                table.name
            )));
        }
        TableStatus::Deleting => {
            let text = format!("Index is being deleted. Table: {} Index: {name}", table.name);
            return Err(DynamoDbError::busy(&text));
        }
        _ => {}
    }
    let others = table.indexes.iter().filter(|it| it.name != name);
    let working =
        |status: TableStatus| matches!(status, TableStatus::Creating | TableStatus::Deleting);
    if others.into_iter().any(|it| working(it.status)) {
        return Err(one_at_a_time());
    }
    let wait = match table.group {
        Some(_) => register.durations.index_delete_in_group,
        None => register.durations.index_delete,
    };
    for key in register.alike(table) {
        register.drop_index_jobs(&key, name);
        if let Some(table) = register.tables.get_mut(&key) {
            table.status = TableStatus::Updating;
            table.work = Some(Work::Index);
            if let Some(index) = table.index_mut(name) {
                index.status = TableStatus::Deleting;
                index.backfilling = false;
            }
        }
        let event = RegisterEvent::IndexGone { table: key, index: name.to_owned() };
        register.later(call.now + wait, event);
    }
    Ok(())
}
