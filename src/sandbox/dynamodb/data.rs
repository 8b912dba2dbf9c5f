//! Item calls: gated by the table's state, run by the engine, and sent on to the other members.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::replication::send;
use crate::dynamodb::store::shape::name_of;
use crate::dynamodb::store::table::{DynamoTable, TableStatus};

/// Runs an item call. Writes are sent to the other members; the world is locked, so the order of calls is the order of
/// writes.
pub fn item_call(
    register: &mut Register,
    call: &TableCall,
    items: &mut Items,
) -> Result<Value, DynamoDbError> {
    let mut body = call.body.clone();
    by_name(&mut body, &call.region)?;
    let tables = tables_of(&body);
    for name in &tables {
        serving(register, call, name, &body)?;
    }
    let answer = items.call(&call.region, &call.operation, &body)?;
    for (name, key) in written(register, call, &body) {
        send(register, call.now, &call.region, &name, &key);
    }
    Ok(answer)
}

/// Tables may be named by ARN; the engine wants names.
fn by_name(body: &mut Value, region: &str) -> Result<(), DynamoDbError> {
    if let Some(arn) = body["TableName"].as_str().filter(|it| it.starts_with("arn:")) {
        body["TableName"] = name_of(arn, region)?.into();
    }
    if let Some(requests) = body.get_mut("RequestItems").and_then(Value::as_object_mut) {
        let mut named = Map::new();
        for (name, request) in std::mem::take(requests) {
            let name = if name.starts_with("arn:") { name_of(&name, region)? } else { name };
            named.insert(name, request);
        }
        *requests = named;
    }
    for item in body.get_mut("TransactItems").and_then(Value::as_array_mut).into_iter().flatten() {
        for action in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(arn) = action["TableName"].as_str().filter(|it| it.starts_with("arn:")) {
                action["TableName"] = name_of(arn, region)?.into();
            }
        }
    }
    Ok(())
}

fn tables_of(body: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        body["TableName"].as_str().map(str::to_owned).into_iter().collect();
    names.extend(body["RequestItems"].as_object().into_iter().flat_map(Map::keys).cloned());
    names
        .extend(transacted(body).filter_map(|(_, it)| it["TableName"].as_str()).map(str::to_owned));
    names.dedup();
    names
}

/// Kind and body of each part of a transaction.
fn transacted(body: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    parts.filter_map(Value::as_object).flatten().map(|(kind, part)| (kind.as_str(), part))
}

/// A missing table is left to the engine, which checks the request's shape before it says so.
fn serving(
    register: &Register,
    call: &TableCall,
    name: &str,
    body: &Value,
) -> Result<(), DynamoDbError> {
    let Some(table) = register.table(&call.region, name) else { return Ok(()) };
    if !table.serves() {
        return Err(DynamoDbError::not_found("Requested resource not found"));
    }
    let index = body["IndexName"].as_str().and_then(|it| table.index(it));
    match index.filter(|it| it.status == TableStatus::Creating) {
        Some(index) => Err(DynamoDbError::validation(format!(
            "Cannot read from backfilling global secondary index: {}",
            index.name
        ))),
        None => Ok(()),
    }
}

/// Table and key of every item that an accepted call wrote, once each, in a settled order.
fn written(register: &Register, call: &TableCall, body: &Value) -> Vec<(String, Value)> {
    let mut keys: BTreeMap<(String, String), Value> = BTreeMap::new();
    let mut note = |name: Option<&str>, item: &Value| {
        let Some(table) = name.and_then(|it| register.table(&call.region, it)) else { return };
        let key = key_in(table, item);
        keys.insert((table.name.clone(), key.to_string()), key);
    };
    let name = body["TableName"].as_str();
    match call.operation.as_str() {
        "PutItem" => note(name, &body["Item"]),
        "UpdateItem" | "DeleteItem" => note(name, &body["Key"]),
        "BatchWriteItem" => {
            for (name, requests) in body["RequestItems"].as_object().into_iter().flatten() {
                for request in requests.as_array().into_iter().flatten() {
                    note(Some(name), &request["PutRequest"]["Item"]);
                    note(Some(name), &request["DeleteRequest"]["Key"]);
                }
            }
        }
        "TransactWriteItems" => {
            for (kind, part) in transacted(body).filter(|(kind, _)| *kind != "ConditionCheck") {
                let item = if kind == "Put" { &part["Item"] } else { &part["Key"] };
                note(part["TableName"].as_str(), item);
            }
        }
        _ => {}
    }
    let complete = |key: &Value| key.as_object().is_some_and(|it| !it.is_empty());
    keys.into_iter().filter(|(_, key)| complete(key)).map(|((name, _), key)| (name, key)).collect()
}

fn key_in(table: &DynamoTable, item: &Value) -> Value {
    let names = table.key_names();
    let parts = names.iter().filter(|it| !item[it.as_str()].is_null());
    parts.map(|it| (it.clone(), item[it.as_str()].clone())).collect::<Map<_, _>>().into()
}
