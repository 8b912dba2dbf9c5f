//! Billing mode and capacities, the one family of changes that may travel together.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::spoken_time;
use crate::dynamodb::store::register::{Patch, Register, TableCall};
use crate::dynamodb::store::table::{Billing, DynamoTable, TableStatus, Throughput, Work};
use crate::dynamodb::table::create::{MOST_UNITS, above_most, read_throughput};
use crate::dynamodb::table::limits::{limits, set_limits};
use crate::http::Millis;

const DAY: Millis = 24 * 3_600_000;

/// Without scaling of writes no provisioned group can be; the sandbox offers no scaling.
pub fn needs_scaling() -> DynamoDbError {
    DynamoDbError::validation(
        "Table write capacity should either be Pay-Per-Request or AutoScaled.",
    )
}

/// BillingMode, ProvisionedThroughput and updates of indexes, with a stream change where that is allowed.
pub fn change_capacity(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
    stream: Option<String>,
) -> Result<(), DynamoDbError> {
    let body = &call.body;
    let target = match body["BillingMode"].as_str() {
        Some("PAY_PER_REQUEST") => Billing::PayPerRequest,
        Some(_) => Billing::Provisioned,
        None => table.billing,
    };
    let switched = target != table.billing;
    let asked = &body["ProvisionedThroughput"];
    let indexes = index_updates(body, table)?;
    let mut patch = Patch { stream, ..Patch::default() };
    if target == Billing::PayPerRequest {
        on_demand_only(body, &indexes)?;
        patch.on_demand = Some(true);
    } else {
        if table.group.is_some() {
            return Err(needs_scaling());
        }
        if !body["BillingMode"].is_null() && asked.is_null() {
            let text = "ProvisionedThroughput must be specified when BillingMode is PROVISIONED";
            return Err(DynamoDbError::invalid(text));
        }
        patch.on_demand = switched.then_some(false);
        if !asked.is_null() {
            patch.throughput = Some(new_throughput(table, asked, switched, call.now)?);
        }
        patch.indexes = new_indexes(table, &indexes, switched, call.now)?;
    }
    limits(register, body, table, target)?;
    let wait = wait(register, table, target, switched);
    for key in register.alike(table) {
        register.update_until(&key, call.now + wait, Work::Throughput, patch.clone());
        for (name, _) in &patch.indexes {
            if let Some(index) = register.tables.get_mut(&key).and_then(|it| it.index_mut(name)) {
                index.status = TableStatus::Updating;
            }
        }
    }
    Ok(())
}

fn wait(register: &Register, table: &DynamoTable, target: Billing, switched: bool) -> Millis {
    let durations = &register.durations;
    match target {
        Billing::Provisioned if switched => durations.to_provisioned,
        Billing::Provisioned => durations.throughput,
        Billing::PayPerRequest if table.group.is_some() => durations.to_on_demand_in_group,
        Billing::PayPerRequest if table.on_demand_since.is_none() => durations.to_on_demand,
        Billing::PayPerRequest => durations.to_on_demand_again,
    }
}

/// Name and body of each `Update` of an index.
fn index_updates<'a>(
    body: &'a Value,
    table: &DynamoTable,
) -> Result<Vec<(&'a str, &'a Value)>, DynamoDbError> {
    let mut updates: Vec<(&str, &Value)> = Vec::new();
    for update in body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten() {
        let update = &update["Update"];
        let name = update["IndexName"].as_str().unwrap_or("");
        if updates.iter().any(|(seen, _)| *seen == name) {
            return Err(DynamoDbError::invalid(&format!(
                "Only one global secondary index update per index is allowed simultaneously. \
                 Index: {name}"
            )));
        }
        let Some(index) = table.index(name) else {
            let text = format!("Cannot update an index that is not a GlobalSecondaryIndex: {name}");
            return Err(DynamoDbError::validation(text));
        };
        if index.status != TableStatus::Active {
            let text = format!("Index is being updated. Table: {} Index: {name}", table.name);
            return Err(DynamoDbError::busy(&text));
        }
        updates.push((name, update));
    }
    Ok(updates)
}

fn on_demand_only(body: &Value, indexes: &[(&str, &Value)]) -> Result<(), DynamoDbError> {
    if !body["ProvisionedThroughput"].is_null() {
        return Err(DynamoDbError::invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode \
             is PAY_PER_REQUEST",
        ));
    }
    match indexes.iter().find(|(_, update)| !update["ProvisionedThroughput"].is_null()) {
        None => Ok(()),
        Some((name, _)) => Err(DynamoDbError::invalid(&format!(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} \
             when BillingMode is PAY_PER_REQUEST"
        ))),
    }
}

fn new_indexes(
    table: &DynamoTable,
    updates: &[(&str, &Value)],
    switched: bool,
    now: Millis,
) -> Result<Vec<(String, Throughput)>, DynamoDbError> {
    let mut patch = Vec::new();
    for (name, update) in updates {
        let asked = &update["ProvisionedThroughput"];
        if asked.is_null() {
            continue;
        }
        let current = table.index(name).map(|it| it.throughput.clone()).unwrap_or_default();
        let subject = format!("index {name}");
        let next = changed(&current, asked, switched, &subject, now)?;
        patch.push(((*name).to_owned(), next));
    }
    let lacking = table.indexes.iter().find(|it| !patch.iter().any(|(name, _)| *name == it.name));
    if let (true, Some(index)) = (switched, lacking) {
        let text = format!("ProvisionedThroughput must be specified for index: {}", index.name);
        return Err(DynamoDbError::invalid(&text));
    }
    Ok(patch)
}

fn new_throughput(
    table: &DynamoTable,
    asked: &Value,
    switched: bool,
    now: Millis,
) -> Result<Throughput, DynamoDbError> {
    for name in ["ReadCapacityUnits", "WriteCapacityUnits"] {
        let units = asked[name].as_i64().unwrap_or(0);
        if units > MOST_UNITS {
            return Err(above_most(name, units, &table.region));
        }
    }
    changed(&table.throughput, asked, switched, "table", now)
}

fn changed(
    current: &Throughput,
    asked: &Value,
    switched: bool,
    subject: &str,
    now: Millis,
) -> Result<Throughput, DynamoDbError> {
    let asked = read_throughput(asked);
    if !switched && (asked.read, asked.write) == (current.read, current.write) {
        return Err(DynamoDbError::validation(format!(
            "The provisioned throughput for the {subject} will not change. The requested value \
             equals the current value. Current ReadCapacityUnits provisioned for the {subject}: \
             {0}. Requested ReadCapacityUnits: {0}. Current WriteCapacityUnits provisioned for the \
             {subject}: {1}. Requested WriteCapacityUnits: {1}. Refer to the Amazon DynamoDB \
             Developer Guide for current limits and how to request higher limits.",
            asked.read, asked.write
        )));
    }
    let mut next = Throughput { read: asked.read, write: asked.write, ..current.clone() };
    if asked.read > current.read || asked.write > current.write {
        next.increased = Some(now);
    }
    if !switched && (asked.read < current.read || asked.write < current.write) {
        next.decreased = within_budget(current, now)?;
    }
    Ok(next)
}

/// Four decreases a day, then one an hour
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html>).
fn within_budget(current: &Throughput, now: Millis) -> Result<Vec<Millis>, DynamoDbError> {
    let mut today: Vec<Millis> =
        current.decreased.iter().copied().filter(|at| at / DAY == now / DAY).collect();
    let last = today.last().copied().unwrap_or(0);
    let next = (last + 3_600_000).min((now / DAY + 1) * DAY);
    if today.len() >= 4 && now < next {
        return Err(DynamoDbError::limit(format!(
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a \
             given UTC day. After the first 4 decreases, each subsequent decrease in the same UTC \
             day can be performed at most once every 3600 seconds. Number of decreases today: {}. \
             Last decrease at {}. Next decrease can be made at {}",
            today.len(),
            spoken_time(last),
            spoken_time(next)
        )));
    }
    today.push(now);
    Ok(today)
}

/// Limits of indexes of an on-demand table: at once, like those of the table.
pub fn index_limits(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
) -> Result<(), DynamoDbError> {
    let updates = index_updates(&call.body, table)?;
    on_demand_only(&call.body, &updates)?;
    for (name, update) in &updates {
        if update["OnDemandThroughput"].is_null() && update["WarmThroughput"].is_null() {
            return Err(DynamoDbError::invalid(&format!(
                "The only Updates for index: {name} when TableThroughputMode is PAY_PER_REQUEST \
                 can be to OnDemandThroughput, WarmThroughput"
            )));
        }
    }
    for key in register.alike(table) {
        let Some(table) = register.tables.get_mut(&key) else { continue };
        for (name, update) in &updates {
            let asked = &update["OnDemandThroughput"];
            if let Some(index) = table.index_mut(name) {
                set_limits(&mut index.on_demand, asked);
            }
        }
    }
    Ok(())
}
