//! A member's way into its group, and the end of its way out.

use crate::dynamodb::places::managed_key_arn;
use crate::dynamodb::store::effects::{be_created, become_active, open_stream};
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, RegisterEvent, key_of};
use crate::dynamodb::store::table::{
    DynamoTable, Encryption, Index, OnDemand, TableMember, TableStanding, TableStatus, Tags,
};
use crate::http::Millis;

/// The new member appears in the others' lists; their streams are switched on.
pub fn replica_listed(register: &mut Register, due: Millis, id: &str, region: &str) {
    let Some(group) = register.groups.get_mut(&id.to_owned()) else { return };
    if let Some(member) = group.member_mut(region) {
        member.standing = TableStanding::Creating;
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
fn source_of(register: &Register, id: &str, region: &str) -> Option<DynamoTable> {
    let group = register.groups.get(&id.to_owned())?;
    let wanted = group.member(region)?.source.clone();
    let mut regions: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let active = |it: &&TableMember| it.standing == TableStanding::Active;
    regions.extend(group.members.iter().filter(active).map(|it| it.region.as_str()));
    regions.iter().find_map(|it| register.table(it, &group.name)).cloned()
}

pub fn replica_known(register: &mut Register, due: Millis, id: &str, region: &str) {
    let Some(source) = source_of(register, id, region) else { return };
    let Some(member) = register.groups.get(&id.to_owned()).and_then(|it| it.member(region)) else {
        return;
    };
    let (class, read_limit, key) = (member.class.clone(), member.read_limit, member.key.clone());
    let table = DynamoTable {
        id: register.new_id(region, &source.name),
        region: region.to_owned(),
        created: due,
        status: TableStatus::Creating,
        work: None,
        indexes: source
            .indexes
            .iter()
            .map(|it| Index { status: TableStatus::Creating, ..it.clone() })
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
            key: key.unwrap_or_else(|| managed_key_arn(region)),
            customer: it.customer,
            updating: false,
        }),
        encryption_changes: Vec::new(),
        item_count: 0,
        counted: due,
        group: Some(id.to_owned()),
        on_demand: OnDemand { read: read_limit.or(source.on_demand.read), ..source.on_demand },
        ..source
    };
    register.tables.put(key_of(region, &table.name), table);
}

pub fn replica_active(
    register: &mut Register,
    due: Millis,
    id: &str,
    region: &str,
    items: Option<&mut Items>,
) -> Result<(), String> {
    let Some(source) = source_of(register, id, region) else { return Ok(()) };
    let key = key_of(region, &source.name);
    let backups = due + register.durations.backups_enabled;
    if let Some(table) = register.tables.get_mut(&key) {
        be_created(table, due, backups);
        // Time to live may have been changed while the replica was made.
        table.ttl.clone_from(&source.ttl);
        let view = source.stream.as_deref().unwrap_or("NEW_AND_OLD_IMAGES");
        open_stream(table, due, view);
        if let Some(items) = items {
            items.create(table)?;
            items.copy(&table.name, &source.region, region)?;
        }
    }
    // A change of time to live that is under way ends here as well.
    let ttl = due + register.durations.ttl;
    register.later(ttl, RegisterEvent::TimeToLiveSettled { table: key });
    let group = register.groups.get_mut(&id.to_owned());
    if let Some(member) = group.and_then(|it| it.member_mut(region)) {
        member.standing = TableStanding::Active;
    }
    if let Some(base) = register.table_mut(&source.region, &source.name) {
        become_active(base);
    }
    Ok(())
}

/// The entry vanishes; a group of one is no group, and the region forgets the table somewhat later.
pub fn replica_left(register: &mut Register, due: Millis, id: &str, region: &str) {
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
    register.later(forgets, RegisterEvent::TableGone { table: key_of(region, &name) });
}
