//! A catastrophe: tables of a region are gone, and the survivors of their groups no longer list them.

use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, key_of};
use crate::dynamodb::store::replication::strand;
use crate::dynamodb::store::table::DynamoTable;
use crate::faults::state::Doom;

pub fn names(register: &Register, region: &str) -> Vec<String> {
    let tables = register.tables.iter().filter(|(_, it)| it.region == region);
    tables.map(|(_, it)| it.name.clone()).collect()
}

/// Takes what is doomed out of the world, its items and writes under way with it, and says what went.
pub fn destroy(
    register: &mut Register,
    region: &str,
    doom: &Doom,
    items: &mut Items,
) -> Result<Vec<String>, String> {
    let tables = register.tables.iter().map(|(_, it)| it);
    let doomed = tables.filter(|it| it.region == region && doom.includes(&it.name));
    let doomed: Vec<DynamoTable> = doomed.cloned().collect();
    for table in &doomed {
        items.drop_table(region, &table.name)?;
        strand(register, region, &table.name);
        if let Some(id) = &table.group {
            vanish(register, id, region);
        }
        register.forget(&key_of(region, &table.name));
    }
    Ok(doomed.into_iter().map(|it| it.name).collect())
}

/// The member is no longer listed; a group of one is no group.
fn vanish(register: &mut Register, id: &str, region: &str) {
    register.forget_member(id, region);
    let Some(group) = register.groups.get_mut(&id.to_owned()) else { return };
    group.members.retain(|it| it.region != region);
    if group.members.len() > 1 {
        return;
    }
    let (name, last) = (group.name.clone(), group.members.pop());
    register.groups.remove(&id.to_owned());
    if let Some(table) = last.and_then(|it| register.table_mut(&it.region, &name)) {
        table.group = None;
    }
}
