//! Everything that exists, by what is lost together: for people who watch a region go and come back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::faults::state::{Doom, LostState};
use crate::http::Millis;
use crate::world::core::SandboxWorld;

/// Fault domain → how and since when it is lost, and its objects by kind; what else is wrong stands at the end.
pub fn overview(world: &SandboxWorld, now: Millis) -> Value {
    let shown = world.show(now);
    let mut domains: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (name, lost) in world.faults.all_lost() {
        let about = domains.entry(name.to_owned()).or_default();
        about.insert("lost".into(), told(lost, now).into());
        match &lost.doom {
            Doom::Nothing => {}
            Doom::Everything => {
                about.insert("gone_when_it_heals".into(), "everything".into());
            }
            Doom::These(names) => {
                about.insert("gone_when_it_heals".into(), json!(names));
            }
        }
    }
    for (collection, rows) in shown["linode"].as_object().into_iter().flatten() {
        for row in rows.as_array().into_iter().flatten() {
            let mut row = row.clone();
            let region = row.as_object_mut().and_then(|it| it.shift_remove("region"));
            let region = region.as_ref().and_then(Value::as_str).unwrap_or("global");
            let about = domains.entry(format!("linode:{region}")).or_default();
            let rows = about.entry(collection.clone()).or_insert_with(|| json!([]));
            if let Some(rows) = rows.as_array_mut() {
                rows.push(row);
            }
        }
    }
    for (region, tables) in shown["dynamodb"].as_object().into_iter().flatten() {
        let about = domains.entry(format!("aws:{region}")).or_default();
        about.insert("tables".into(), tables.clone());
    }
    let mut all: Map<String, Value> =
        domains.into_iter().map(|(name, about)| (name, about.into())).collect();
    let unhealthy: Vec<&str> = world.faults.all_unhealthy().collect();
    if !unhealthy.is_empty() {
        all.insert("unhealthy".into(), json!(unhealthy));
    }
    let names = world.users(now).names;
    if !names.is_empty() {
        let told = names.iter().map(|(name, it)| (name.clone(), it.to_string().into()));
        all.insert("names".into(), Value::Object(told.collect()));
    }
    let apps: Map<String, Value> = world
        .linode
        .apps
        .iter()
        .map(|(text, it)| (if text.is_empty() { "everywhere" } else { text }.to_owned(), json!(it)))
        .collect();
    if !apps.is_empty() {
        all.insert("application".into(), apps.into());
    }
    let faults = &shown["faults"]["requests"];
    if faults.as_array().is_some_and(|it| !it.is_empty()) {
        all.insert("faults".into(), faults.clone());
    }
    Value::Object(all)
}

/// `since 2026-11-24T11:10:37Z (14m 3s ago): calls hang`.
pub fn told(lost: &LostState, now: Millis) -> String {
    let since = instant(lost.since);
    format!("since {since} ({} ago): {}", long(now - lost.since), lost.how)
}

/// `2026-11-24T11:10:37Z`.
pub fn instant(at: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The two largest units of a duration.
fn long(milliseconds: Millis) -> String {
    let seconds = (milliseconds / 1_000).max(0);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let mut told = parts.iter().skip_while(|(number, unit)| *number == 0 && *unit != "s");
    let first = told.next().map(|(number, unit)| format!("{number}{unit}")).unwrap_or_default();
    match told.next() {
        Some((number, unit)) if *number > 0 => format!("{first} {number}{unit}"),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::long;

    #[test]
    fn long_tells_a_duration_in_two_units() {
        let told = [0, 59_000, 843_000, 3_600_000, 90_061_000].map(long);
        assert_eq!(told, ["0s", "59s", "14m 3s", "1h", "1d 1h"]);
    }
}
