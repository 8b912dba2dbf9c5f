//! TagResource, UntagResource, ListTagsOfResource, and the short lock after every change.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::shape::name_in_arn;
use crate::dynamodb::store::table::{DynamoTable, TableStatus};
use crate::http::Millis;

/// The most tags of a table (AWS's developer guide, tagging restrictions in DynamoDB).
const MOST_TAGS: usize = 50;

/// The tags of a request, checked one by one.
pub fn read_tags(list: &Value) -> Result<IndexMap<String, String>, DynamoDbError> {
    let mut tags = IndexMap::new();
    for tag in list.as_array().into_iter().flatten() {
        let key = tag["Key"].as_str().unwrap_or("");
        let value = tag["Value"].as_str();
        if !(1..=128).contains(&key.chars().count()) {
            let text = format!("The Tag Key provided is invalid, Key: {key}");
            return Err(DynamoDbError::validation(text));
        }
        if key.to_lowercase().starts_with("aws:") {
            let text = format!("Tag Key cannot be prefixed with aws:, Key: {key}");
            return Err(DynamoDbError::validation(text));
        }
        let Some(value) = value.filter(|it| it.chars().count() <= 256) else {
            let value = value.unwrap_or("null");
            let text = format!("The Tag Value provided is invalid, Value: {value}");
            return Err(DynamoDbError::validation(text));
        };
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(DynamoDbError::validation(format!(
                "Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
            )));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(too_many());
    }
    Ok(tags)
}

fn too_many() -> DynamoDbError {
    DynamoDbError::validation(
        "Number of Tags exceed the current limit for the provided ResourceArn",
    )
}

/// A table that is still being created has no tags to speak of.
fn tagged<'a>(
    register: &'a Register,
    call: &TableCall,
    name: &str,
) -> Result<&'a DynamoTable, DynamoDbError> {
    let table = register.table(&call.region, name);
    table.filter(|it| it.status != TableStatus::Creating).ok_or_else(|| {
        let arn = call.body["ResourceArn"].as_str().unwrap_or("");
        DynamoDbError::not_found(format!(
            "Requested resource not found: ResourcArn: {arn} not found"
        ))
    })
}

pub fn tag_resource(register: &mut Register, call: &TableCall) -> Result<Value, DynamoDbError> {
    let name = name_in_arn(&call.body, &call.region)?;
    let added = read_tags(&call.body["Tags"])?;
    if added.is_empty() {
        return Err(DynamoDbError::validation("Atleast one Tag needs to be provided as Input."));
    }
    let mut tags = tagged(register, call, &name)?.tags.now.clone();
    tags.extend(added);
    change(register, call, &name, tags)
}

pub fn untag_resource(register: &mut Register, call: &TableCall) -> Result<Value, DynamoDbError> {
    let name = name_in_arn(&call.body, &call.region)?;
    let keys = call.body["TagKeys"].as_array().cloned().unwrap_or_default();
    if keys.is_empty() {
        return Err(DynamoDbError::validation(
            "Atleast one Tag Key needs to be provided as Input.",
        ));
    }
    let mut tags = tagged(register, call, &name)?.tags.now.clone();
    tags.retain(|tag, _| !keys.iter().any(|key| key == tag));
    change(register, call, &name, tags)
}

/// Whether a change of tags is still being written.
pub fn tags_locked(register: &Register, table: &DynamoTable, now: Millis) -> bool {
    let changed = table.tags.before.as_ref().map(|(at, _)| *at);
    changed.is_some_and(|at| now < at + register.durations.tag_lock)
}

fn change(
    register: &mut Register,
    call: &TableCall,
    name: &str,
    tags: IndexMap<String, String>,
) -> Result<Value, DynamoDbError> {
    let table = tagged(register, call, name)?;
    if table.status == TableStatus::Deleting {
        return Err(DynamoDbError::busy(&format!("Table is being deleted: {name}")));
    }
    if tags == table.tags.now {
        return Ok(Value::Null);
    }
    if tags.len() > MOST_TAGS {
        return Err(too_many());
    }
    if tags_locked(register, table, call.now) {
        let text = format!("Subscriber limit exceeded: Table tags are being updated: {name}");
        return Err(DynamoDbError::limit(text));
    }
    if let Some(table) = register.table_mut(&call.region, name) {
        let before = std::mem::replace(&mut table.tags.now, tags);
        table.tags.before = Some((call.now, before));
    }
    Ok(Value::Null)
}

/// Reads lag behind writes by about two seconds.
pub fn list_tags(register: &Register, call: &TableCall) -> Result<Value, DynamoDbError> {
    let name = name_in_arn(&call.body, &call.region)?;
    let tags = &tagged(register, call, &name)?.tags;
    let seen = match &tags.before {
        Some((at, before)) if call.now < at + register.durations.tags_seen => before,
        _ => &tags.now,
    };
    let tags: Vec<Value> =
        seen.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}
