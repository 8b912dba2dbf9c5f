//! Writes on their way to the other members of a group; they wait while either end is lost, and the last writer wins.

use serde_json::Value;

use crate::dynamodb::links::Write;
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::Register;
use crate::dynamodb::store::table::TableStanding;
use crate::http::Millis;

/// Sends an item that was just written in a region to the other members. Numbers of writes follow the order of the calls,
/// so they tell which writer was the last.
pub fn send(register: &mut Register, now: Millis, region: &str, table: &str, key: &Value) {
    overtake(register, region, table, key, u64::MAX);
    let group = register.table(region, table).and_then(|it| register.group_of(it));
    let members = group.map_or(&[] as &[_], |it| &it.members).iter();
    let others: Vec<String> = members
        .filter(|it| it.region != region && it.standing != TableStanding::Deleting)
        .map(|it| it.region.clone())
        .collect();
    for to in others {
        let id = register.next("write");
        let due = now + register.links.journey(id);
        let (table, key, from) = (table.to_owned(), key.clone(), region.to_owned());
        register.writes.put(id, Write { table, key, from, to, due });
    }
}

/// Delivers what has arrived by now.
pub fn deliver(register: &mut Register, now: Millis, items: &mut Items) -> Result<(), String> {
    let links = register.links.clone();
    let arrives = |it: &Write| {
        it.due <= now && links.carries(&it.from, it.due) && links.carries(&it.to, it.due)
    };
    let arrived = register.writes.iter().filter(|(_, it)| arrives(it));
    let mut arrived: Vec<(Millis, u64)> = arrived.map(|(id, it)| (it.due, *id)).collect();
    arrived.sort_unstable();
    for (_, id) in arrived {
        // It may have been overtaken meanwhile.
        let Some(write) = register.writes.get(&id).cloned() else { continue };
        match standing(register, &write) {
            // It copies everything when it is made, and takes this over afterwards.
            Some(TableStanding::Hidden | TableStanding::Creating) => continue,
            Some(TableStanding::Active) => {
                items
                    .copy_item(&write.table, &write.key, &write.from, &write.to)
                    .map_err(|it| it.body.to_string())?;
                overtake(register, &write.to, &write.table, &write.key, id);
            }
            Some(TableStanding::Deleting) | None => {}
        }
        register.writes.remove(&id);
    }
    Ok(())
}

/// Forgets what was under way from and to a member that is gone.
pub fn strand(register: &mut Register, region: &str, table: &str) {
    drop_writes(register, |_, it| it.table == table && (it.from == region || it.to == region));
}

/// What was under way to a region is void there when it wrote, or took over, the same item later.
fn overtake(register: &mut Register, region: &str, table: &str, key: &Value, before: u64) {
    drop_writes(register, |id, it| {
        id < before && it.to == region && it.table == table && it.key == *key
    });
}

fn drop_writes(register: &mut Register, about: impl Fn(u64, &Write) -> bool) {
    let void = register.writes.iter().filter(|(id, it)| about(**id, it));
    for id in void.map(|(id, _)| *id).collect::<Vec<_>>() {
        register.writes.remove(&id);
    }
}

/// Where the receiver stands, as long as both ends are in one group.
fn standing(register: &Register, write: &Write) -> Option<TableStanding> {
    let group = register.group_of(register.table(&write.from, &write.table)?)?;
    group.member(&write.to).map(|it| it.standing)
}
