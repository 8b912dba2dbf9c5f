//! UpdateTimeToLive and DescribeTimeToLive; the setting is shared by all members of a group.

use serde_json::{Value, json};

use crate::sandbox::dynamodb::frozen;
use crate::sandbox::dynamodb::refusal::Refusal;
use crate::sandbox::dynamodb::register::{Call, Event, Register};
use crate::sandbox::dynamodb::shape::{Shape, table_name};
use crate::sandbox::dynamodb::table::{Status, Table, TimeToLive};
use crate::sandbox::dynamodb::update::joining;

pub fn update_time_to_live(register: &mut Register, call: &Call) -> Result<Value, Refusal> {
    let name = table_name(&call.body, &call.region)?;
    let asked = &call.body["TimeToLiveSpecification"];
    let mut shape = Shape::default();
    shape.required(asked, "timeToLiveSpecification");
    if !asked.is_null() {
        shape.required(&asked["Enabled"], "timeToLiveSpecification.enabled");
        let path = "timeToLiveSpecification.attributeName";
        shape.required(&asked["AttributeName"], path);
        shape.length(&asked["AttributeName"], path, 1, 255);
    }
    shape.finish()?;
    let table = register.expect_table(&call.region, &name)?.clone();
    admit(register, &table)?;
    frozen::whole(register, &table, None)?;
    let enabled = asked["Enabled"] == true;
    let attribute = asked["AttributeName"].as_str().unwrap_or("");
    differs(&table, enabled, attribute)?;
    let pause = register.durations.ttl_pause;
    if table.ttl_changed.is_some_and(|at| call.now < at + pause) {
        return Err(Refusal::validation(
            "Time to live has been modified multiple times within a fixed interval",
        ));
    }
    let due = call.now + register.durations.ttl;
    let status = if enabled { "ENABLING" } else { "DISABLING" };
    for key in register.alike(&table) {
        if let Some(table) = register.tables.get_mut(&key) {
            let attribute = attribute.to_owned();
            table.ttl = Some(TimeToLive { attribute, status: status.into() });
            table.ttl_changed = Some(call.now);
        }
        register.later(due, Event::TimeToLiveSettled { table: key });
    }
    let set = json!({"AttributeName": attribute, "Enabled": enabled});
    Ok(json!({"TimeToLiveSpecification": set}))
}

fn admit(register: &Register, table: &Table) -> Result<(), Refusal> {
    match table.status {
        Status::Creating => return Err(Refusal::no_table(&table.name)),
        Status::Deleting => {
            return Err(Refusal::busy(&format!("Table is being deleted: {}", table.name)));
        }
        _ => {}
    }
    let newcomer = register.group_of(table).and_then(|group| group.joining());
    match newcomer.filter(|it| it.with_items) {
        Some(member) => Err(Refusal::validation(joining(&table.name, &member.region))),
        None => Ok(()),
    }
}

/// Sending what is already so is an error here.
fn differs(table: &Table, enabled: bool, attribute: &str) -> Result<(), Refusal> {
    let current = table.ttl.as_ref().filter(|it| it.status != "DISABLING");
    match current {
        None if !enabled => Err(Refusal::validation("TimeToLive is already disabled")),
        Some(current) if current.attribute != attribute => Err(Refusal::validation(format!(
            "TimeToLive is active on a different AttributeName: current AttributeName is {}",
            current.attribute
        ))),
        Some(_) if enabled => Err(Refusal::validation("TimeToLive is already enabled")),
        _ => Ok(()),
    }
}

pub fn describe_time_to_live(register: &Register, call: &Call) -> Result<Value, Refusal> {
    let name = table_name(&call.body, &call.region)?;
    let table = register.expect_table(&call.region, &name)?;
    let word = table.status.word();
    match table.status {
        Status::Creating if table.group.is_some() => return Err(Refusal::no_table(&name)),
        Status::Creating | Status::Deleting => {
            return Err(Refusal::validation(format!(
                "Cannot describe time to live while table is in {word} state: Current table state \
                 is {word}"
            )));
        }
        _ => {}
    }
    let description = match &table.ttl {
        None => json!({"TimeToLiveStatus": "DISABLED"}),
        Some(ttl) => json!({"TimeToLiveStatus": ttl.status, "AttributeName": ttl.attribute}),
    };
    Ok(json!({"TimeToLiveDescription": description}))
}
