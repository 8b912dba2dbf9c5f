//! CreateTable.

use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::describe::description;
use crate::dynamodb::store::effects::open_stream;
use crate::dynamodb::store::items::Items;
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall, key_of};
use crate::dynamodb::store::shape::table_name;
use crate::dynamodb::store::table::{
    Billing, DynamoTable, Encryption, Index, OnDemand, ReplicaGroup, TableStatus, Tags, Throughput,
    Warm,
};
use crate::dynamodb::table::encryption::asked_encryption;
use crate::dynamodb::table::tags::read_tags;

/// The most units of a table without a raised quota
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html>).
pub const MOST_UNITS: i64 = 40_000;

pub fn create_table(
    register: &mut Register,
    call: &TableCall,
    items: &mut Items,
) -> Result<Value, DynamoDbError> {
    let body = &call.body;
    if !body["GlobalTableSourceArn"].is_null() {
        let text = "The sandbox has one account and does not support multi-account global tables";
        return Err(DynamoDbError::validation(text));
    }
    items.judge(&judged(body))?;
    let name = table_name(body, &call.region)?;
    let encryption = asked_encryption(&body["SSESpecification"], &call.region)?;
    let tags = read_tags(&body["Tags"])?;
    let warm = warm(body)?;
    check_billing(body)?;
    check_units(body, &call.region)?;
    check_stream(&body["StreamSpecification"])?;
    if taken(register, &call.region, &name) {
        return Err(DynamoDbError::in_use(format!("Table already exists: {name}")));
    }
    let table = new_table(register, call, name, encryption, Tags { now: tags, before: None }, warm);
    let answer = description(register, &table, call.now);
    let wait = match table.indexes.len() {
        0 => register.durations.table_create,
        _ => register.durations.table_create_with_indexes,
    };
    let key = key_of(&table.region, &table.name);
    register.tables.put(key.clone(), table);
    register.later(call.now + wait, RegisterEvent::TableCreated { table: key });
    Ok(json!({"TableDescription": answer}))
}

/// The request without what the engine has no word for or the sandbox judges itself.
fn judged(body: &Value) -> Value {
    let mut judged = body.clone();
    if let Some(body) = judged.as_object_mut() {
        for name in
            ["Tags", "SSESpecification", "WarmThroughput", "ResourcePolicy", "VectorIndexes"]
        {
            body.remove(name);
        }
        for index in body
            .get_mut("GlobalSecondaryIndexes")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            index.remove("WarmThroughput");
        }
    }
    judged
}

/// A table of this name is there, coming or going.
pub fn taken(register: &Register, region: &str, name: &str) -> bool {
    let joins = |it: &ReplicaGroup| it.name == name && it.member(region).is_some();
    register.table(region, name).is_some() || register.groups.iter().any(|(_, it)| joins(it))
}

fn new_table(
    register: &mut Register,
    call: &TableCall,
    name: String,
    encryption: Option<Encryption>,
    tags: Tags,
    warm: Warm,
) -> DynamoTable {
    let body = &call.body;
    let billing = match body["BillingMode"].as_str() {
        Some("PAY_PER_REQUEST") => Billing::PayPerRequest,
        _ => Billing::Provisioned,
    };
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let mut table = DynamoTable {
        id: register.new_id(&call.region, &name),
        region: call.region.clone(),
        name,
        created: call.now,
        status: TableStatus::Creating,
        work: None,
        key_schema: body["KeySchema"].clone(),
        attributes: list("AttributeDefinitions"),
        local_indexes: list("LocalSecondaryIndexes"),
        indexes: list("GlobalSecondaryIndexes").iter().map(new_index).collect(),
        billing,
        on_demand_since: (billing == Billing::PayPerRequest).then_some(call.now),
        throughput: read_throughput(&body["ProvisionedThroughput"]),
        on_demand: read_on_demand(&body["OnDemandThroughput"]),
        warm,
        stream: None,
        stream_label: None,
        encryption,
        encryption_changes: Vec::new(),
        class: body["TableClass"].as_str().map(str::to_owned),
        class_changes: Vec::new(),
        protected: body["DeletionProtectionEnabled"].as_bool().unwrap_or(false),
        protection_changed: None,
        ttl: None,
        ttl_changed: None,
        recovery: None,
        recovery_since: None,
        backups_from: call.now,
        tags,
        group: None,
        item_count: 0,
        counted: call.now,
    };
    if let Some(view) = body["StreamSpecification"]["StreamViewType"].as_str() {
        open_stream(&mut table, call.now, view);
    }
    table
}

pub fn new_index(body: &Value) -> Index {
    Index {
        name: body["IndexName"].as_str().unwrap_or("").to_owned(),
        key_schema: body["KeySchema"].clone(),
        projection: body["Projection"].clone(),
        status: TableStatus::Creating,
        backfilling: false,
        throughput: read_throughput(&body["ProvisionedThroughput"]),
        on_demand: read_on_demand(&body["OnDemandThroughput"]),
    }
}

pub fn read_throughput(body: &Value) -> Throughput {
    Throughput {
        read: body["ReadCapacityUnits"].as_i64().unwrap_or(0),
        write: body["WriteCapacityUnits"].as_i64().unwrap_or(0),
        ..Throughput::default()
    }
}

fn read_on_demand(body: &Value) -> OnDemand {
    let units = |name: &str| body[name].as_i64().filter(|it| *it > 0);
    OnDemand { read: units("MaxReadRequestUnits"), write: units("MaxWriteRequestUnits") }
}

/// What the table can bear at once from its first moment; asking for less is refused.
fn warm(body: &Value) -> Result<Warm, DynamoDbError> {
    let on_demand = body["BillingMode"] == "PAY_PER_REQUEST";
    let capacity = read_throughput(&body["ProvisionedThroughput"]);
    let floor = if on_demand { (12_000, 4_000) } else { (capacity.read, capacity.write) };
    let asked = &body["WarmThroughput"];
    let units = |name: &str, least: i64| match asked[name].as_i64() {
        Some(units) if units < least => {
            let bound = if on_demand {
                "initial throughput for OnDemand"
            } else {
                "ReadCapacityUnits of ProvisionedThroughput"
            };
            Err(DynamoDbError::invalid(&format!(
                "Requested {name} for WarmThroughput for table is lower than {bound}"
            )))
        }
        units => Ok(units.unwrap_or(least)),
    };
    Ok(Warm {
        read: units("ReadUnitsPerSecond", floor.0)?,
        write: units("WriteUnitsPerSecond", floor.1)?,
        raising: false,
        asked: !asked.is_null(),
    })
}

/// Capacity is given exactly where the billing mode wants it.
fn check_billing(body: &Value) -> Result<(), DynamoDbError> {
    let on_demand = body["BillingMode"] == "PAY_PER_REQUEST";
    match (on_demand, body["ProvisionedThroughput"].is_null()) {
        (true, false) => {
            return Err(DynamoDbError::invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when \
                 BillingMode is PAY_PER_REQUEST",
            ));
        }
        (false, true) => {
            return Err(DynamoDbError::invalid(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode \
                 is PROVISIONED",
            ));
        }
        _ => {}
    }
    for index in body["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        let name = index["IndexName"].as_str().unwrap_or("");
        let given = !index["ProvisionedThroughput"].is_null();
        let text = match (on_demand, given) {
            (true, true) => format!(
                "ProvisionedThroughput should not be specified for index: {name} when BillingMode \
                 is PAY_PER_REQUEST"
            ),
            (false, false) => format!("ProvisionedThroughput is not specified for index: {name}"),
            _ => continue,
        };
        return Err(DynamoDbError::invalid(&text));
    }
    Ok(())
}

fn check_stream(asked: &Value) -> Result<(), DynamoDbError> {
    match (asked["StreamEnabled"].as_bool(), asked["StreamViewType"].is_null()) {
        (Some(true), true) => Err(DynamoDbError::invalid(
            "Table is being created with a stream enabled, UpdateViewType is required",
        )),
        (Some(false), false) => Err(DynamoDbError::invalid(
            "Table is being created with a stream disabled, UpdateViewType should not be specified",
        )),
        _ => Ok(()),
    }
}

fn check_units(body: &Value, region: &str) -> Result<(), DynamoDbError> {
    for name in ["ReadCapacityUnits", "WriteCapacityUnits"] {
        let units = body["ProvisionedThroughput"][name].as_i64().unwrap_or(0);
        if units > MOST_UNITS {
            return Err(above_most(name, units, region));
        }
    }
    Ok(())
}

pub fn above_most(name: &str, units: i64, region: &str) -> DynamoDbError {
    DynamoDbError::limit(format!(
        "The requested {name}, {units}, is above the per table maximum for the account in \
         {region}. Per table maximum: {MOST_UNITS}. Refer to the Amazon DynamoDB Developer Guide \
         for current limits and how to request higher limits."
    ))
}

/// DescribeLimits: the quotas of a young account.
pub fn describe_limits() -> Value {
    json!({
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": MOST_UNITS,
        "TableMaxWriteCapacityUnits": MOST_UNITS,
    })
}
