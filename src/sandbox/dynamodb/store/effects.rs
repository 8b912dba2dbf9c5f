//! What a due event does to the row of one table.

use crate::dynamodb::places::stream_label;
use crate::dynamodb::store::register::Patch;
use crate::dynamodb::store::table::{Billing, DynamoTable, TableStatus, Throughput};
use crate::http::Millis;

pub fn become_active(table: &mut DynamoTable) {
    table.status = TableStatus::Active;
    table.work = None;
}

/// What was accepted earlier shows from now on.
pub fn apply(table: &mut DynamoTable, due: Millis, patch: &Patch) {
    if let Some(throughput) = &patch.throughput {
        table.warm.read = table.warm.read.max(throughput.read);
        table.warm.write = table.warm.write.max(throughput.write);
        table.throughput = throughput.clone();
    }
    for (name, throughput) in &patch.indexes {
        if let Some(index) = table.index_mut(name) {
            index.throughput = throughput.clone();
        }
    }
    for index in &mut table.indexes {
        if index.status == TableStatus::Updating {
            index.status = TableStatus::Active;
        }
    }
    match patch.on_demand {
        Some(true) => on_demand(table, due),
        Some(false) => table.billing = Billing::Provisioned,
        None => {}
    }
    match patch.stream.as_deref() {
        Some("") => table.stream = None,
        Some(view) => open_stream(table, due, view),
        None => {}
    }
    if let Some(class) = &patch.class {
        table.class = Some(class.clone());
    }
    if let Some(protected) = patch.protected {
        table.protected = protected;
    }
    if let Some(limit) = patch.read_limit {
        table.on_demand.read = Some(limit).filter(|it| *it > 0);
    }
}

fn on_demand(table: &mut DynamoTable, due: Millis) {
    if table.billing == Billing::PayPerRequest {
        return;
    }
    table.billing = Billing::PayPerRequest;
    table.on_demand_since = Some(due);
    table.throughput.read = 0;
    table.throughput.write = 0;
    // What an on-demand table can always serve at once (AWS's developer guide, warm throughput).
    table.warm.read = table.warm.read.max(12_000);
    table.warm.write = table.warm.write.max(4_000);
    for index in &mut table.indexes {
        index.throughput = Throughput::default();
    }
}

pub fn open_stream(table: &mut DynamoTable, at: Millis, view: &str) {
    table.stream = Some(view.to_owned());
    table.stream_label = Some(stream_label(at));
}

/// The table and all its indexes are there; recovery follows a little later.
pub fn be_created(table: &mut DynamoTable, due: Millis, backups_from: Millis) {
    become_active(table);
    table.backups_from = backups_from;
    table.counted = due;
    for index in &mut table.indexes {
        index.status = TableStatus::Active;
    }
}
