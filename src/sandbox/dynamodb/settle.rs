//! Makes happen what became due: the only place where time changes rows.

use crate::sandbox::dynamodb::items::Items;
use crate::sandbox::dynamodb::places::stream_label;
use crate::sandbox::dynamodb::register::{Event, Patch, Register, key_of};
use crate::sandbox::dynamodb::table::{
    Billing, Encryption, Index, Standing, Status, Table, Tags, Throughput, key_names,
};
use crate::sandbox::http::Millis;

/// Item counts are refreshed this often, as on the real service.
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
    event: &Event,
    items: Option<&mut Items>,
) -> Result<(), String> {
    match event {
        Event::TableCreated { table } => created(register, due, table, items),
        Event::TableGone { table } => gone(register, table, items),
        Event::IndexActive { table, index } => index_active(register, table, index, items),
        Event::IndexGone { table, index } => index_gone(register, table, index, items),
        Event::ReplicaListed { group, region } => {
            replica_listed(register, due, group, region);
            Ok(())
        }
        Event::ReplicaKnown { group, region } => {
            replica_known(register, due, group, region);
            Ok(())
        }
        Event::ReplicaActive { group, region } => {
            replica_active(register, due, group, region, items)
        }
        Event::ReplicaLeft { group, region } => {
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
fn row_event(register: &mut Register, due: Millis, event: &Event) {
    let Some(table) = event.table().and_then(|key| register.tables.get_mut(&key.to_owned())) else {
        return;
    };
    match event {
        Event::TableSettled { patch, .. } => {
            become_active(table);
            apply(table, due, patch);
        }
        Event::BaseBusy { .. } => table.status = Status::Updating,
        Event::IndexBackfills { index, .. } => {
            become_active(table);
            if let Some(index) = table.index_mut(index) {
                index.backfilling = true;
            }
        }
        Event::TimeToLiveSettled { .. } => match table.ttl.as_mut() {
            Some(ttl) if ttl.status == "ENABLING" => ttl.status = "ENABLED".into(),
            _ => table.ttl = None,
        },
        Event::EncryptionSettled { .. } => {
            if let Some(encryption) = table.encryption.as_mut() {
                encryption.updating = false;
            }
        }
        Event::WarmSettled { .. } => table.warm.raising = false,
        _ => {}
    }
}

fn become_active(table: &mut Table) {
    table.status = Status::Active;
    table.work = None;
}

fn apply(table: &mut Table, due: Millis, patch: &Patch) {
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
        if index.status == Status::Updating {
            index.status = Status::Active;
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

fn on_demand(table: &mut Table, due: Millis) {
    if table.billing == Billing::PayPerRequest {
        return;
    }
    table.billing = Billing::PayPerRequest;
    table.on_demand_since = Some(due);
    table.throughput.read = 0;
    table.throughput.write = 0;
    table.warm.read = table.warm.read.max(12_000);
    table.warm.write = table.warm.write.max(4_000);
    for index in &mut table.indexes {
        index.throughput = Throughput::default();
    }
}

pub fn open_stream(table: &mut Table, at: Millis, view: &str) {
    table.stream = Some(view.to_owned());
    table.stream_label = Some(stream_label(at));
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
    become_active(table);
    table.backups_from = backups;
    table.counted = due;
    for index in &mut table.indexes {
        index.status = Status::Active;
    }
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
        index.status = Status::Active;
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

/// The new member appears in the others' lists; their streams are switched on.
fn replica_listed(register: &mut Register, due: Millis, id: &str, region: &str) {
    let Some(group) = register.groups.get_mut(&id.to_owned()) else { return };
    if let Some(member) = group.member_mut(region) {
        member.standing = Standing::Creating;
    }
    let keys: Vec<String> =
        group.members.iter().map(|it| key_of(&it.region, &group.name)).collect();
    for key in keys {
        if let Some(table) = register.tables.get_mut(&key).filter(|it| it.stream.is_none()) {
            open_stream(table, due, "NEW_AND_OLD_IMAGES");
        }
    }
}

/// A member from which the newcomer copies: the one that added it, or else any active one.
fn source_of(register: &Register, id: &str, region: &str) -> Option<Table> {
    let group = register.groups.get(&id.to_owned())?;
    let wanted = group.member(region)?.source.clone();
    let mut regions: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let active = |it: &&crate::sandbox::dynamodb::table::Member| it.standing == Standing::Active;
    regions.extend(group.members.iter().filter(active).map(|it| it.region.as_str()));
    regions.iter().find_map(|it| register.table(it, &group.name)).cloned()
}

fn replica_known(register: &mut Register, due: Millis, id: &str, region: &str) {
    let Some(source) = source_of(register, id, region) else { return };
    let Some(member) = register.groups.get(&id.to_owned()).and_then(|it| it.member(region)) else {
        return;
    };
    let (class, read_limit, key) = (member.class.clone(), member.read_limit, member.key.clone());
    let table = Table {
        id: register.new_id(region, &source.name),
        region: region.to_owned(),
        created: due,
        status: Status::Creating,
        work: None,
        indexes: source
            .indexes
            .iter()
            .map(|it| Index { status: Status::Creating, ..it.clone() })
            .collect(),
        // What is each region's own starts empty: protection, recovery, tags.
        protected: false,
        protection_changed: None,
        recovery: None,
        recovery_since: None,
        tags: Tags::default(),
        stream: None,
        stream_label: None,
        class: class.or(source.class.clone()),
        class_changes: Vec::new(),
        encryption: source.encryption.as_ref().map(|it| Encryption {
            key: key.unwrap_or_else(|| crate::sandbox::dynamodb::places::managed_key_arn(region)),
            customer: it.customer,
            updating: false,
        }),
        encryption_changes: Vec::new(),
        item_count: 0,
        counted: due,
        group: Some(id.to_owned()),
        on_demand: crate::sandbox::dynamodb::table::OnDemand {
            read: read_limit.or(source.on_demand.read),
            ..source.on_demand
        },
        ..source
    };
    register.tables.put(key_of(region, &table.name), table);
}

fn replica_active(
    register: &mut Register,
    due: Millis,
    id: &str,
    region: &str,
    items: Option<&mut Items>,
) -> Result<(), String> {
    let Some(source) = source_of(register, id, region) else { return Ok(()) };
    let key = key_of(region, &source.name);
    created(register, due, &key, None)?;
    if let Some(table) = register.tables.get_mut(&key) {
        // Time to live may have been changed while the replica was made.
        table.ttl.clone_from(&source.ttl);
        let view = source.stream.as_deref().unwrap_or("NEW_AND_OLD_IMAGES");
        open_stream(table, due, view);
        if let Some(items) = items {
            items.create(table)?;
            items.copy(&table.name, &source.region, region)?;
        }
    }
    let group = register.groups.get_mut(&id.to_owned());
    if let Some(member) = group.and_then(|it| it.member_mut(region)) {
        member.standing = Standing::Active;
    }
    if let Some(base) = register.table_mut(&source.region, &source.name) {
        become_active(base);
    }
    Ok(())
}

/// The entry vanishes; a group of one is no group, and the region forgets the table somewhat later.
fn replica_left(register: &mut Register, due: Millis, id: &str, region: &str) {
    let Some(group) = register.groups.get_mut(&id.to_owned()) else { return };
    group.members.retain(|it| it.region != region);
    let name = group.name.clone();
    let rest: Vec<String> = group.members.iter().map(|it| it.region.clone()).collect();
    let mut alone = vec![region.to_owned()];
    if rest.len() < 2 {
        register.groups.remove(&id.to_owned());
        alone.extend(rest);
    }
    for member in alone {
        if let Some(table) = register.table_mut(&member, &name) {
            table.group = None;
        }
    }
    let forgets = due + register.durations.replica_table_gone;
    register.later(forgets, Event::TableGone { table: key_of(region, &name) });
}
