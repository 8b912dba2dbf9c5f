//! UpdateTimeToLive and DescribeTimeToLive; the setting is shared by all members of a group.

use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall};
use crate::dynamodb::store::shape::{KeyShape, table_name};
use crate::dynamodb::store::table::{DynamoTable, TableStatus, TimeToLive};
use crate::dynamodb::table::frozen;
use crate::dynamodb::update::update_table::joining;

pub fn update_time_to_live(
    register: &mut Register,
    call: &TableCall,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    let asked = &call.body["TimeToLiveSpecification"];
    let mut shape = KeyShape::default();
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
        return Err(DynamoDbError::validation(
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
        register.later(due, RegisterEvent::TimeToLiveSettled { table: key });
    }
    let set = json!({"AttributeName": attribute, "Enabled": enabled});
    Ok(json!({"TimeToLiveSpecification": set}))
}

fn admit(register: &Register, table: &DynamoTable) -> Result<(), DynamoDbError> {
    match table.status {
        TableStatus::Creating => return Err(DynamoDbError::no_table(&table.name)),
        TableStatus::Deleting => {
            return Err(DynamoDbError::busy(&format!("Table is being deleted: {}", table.name)));
        }
        _ => {}
    }
    let newcomer = register.group_of(table).and_then(|group| group.joining());
    match newcomer.filter(|it| it.with_items) {
        Some(member) => Err(DynamoDbError::validation(joining(&table.name, &member.region))),
        None => Ok(()),
    }
}

/// Sending what is already so is an error here.
fn differs(table: &DynamoTable, enabled: bool, attribute: &str) -> Result<(), DynamoDbError> {
    let current = table.ttl.as_ref().filter(|it| it.status != "DISABLING");
    match current {
        None if !enabled => Err(DynamoDbError::validation("TimeToLive is already disabled")),
        Some(current) if current.attribute != attribute => Err(DynamoDbError::validation(format!(
            "TimeToLive is active on a different AttributeName: current AttributeName is {}",
            current.attribute
        ))),
        Some(_) if enabled => Err(DynamoDbError::validation("TimeToLive is already enabled")),
        _ => Ok(()),
    }
}

pub fn describe_time_to_live(
    register: &Register,
    call: &TableCall,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    let table = register.expect_table(&call.region, &name)?;
    let word = table.status.word();
    match table.status {
        TableStatus::Creating if table.group.is_some() => {
            return Err(DynamoDbError::no_table(&name));
        }
        TableStatus::Creating | TableStatus::Deleting => {
            return Err(DynamoDbError::validation(format!(
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
