//! What DescribeTable says; members that do not apply are absent, as on the real service.

use serde_json::{Map, Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::table_arn;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::shape::table_name;
use crate::dynamodb::store::table::{
    Billing, DynamoTable, Index, OnDemand, TableMember, TableStanding, TableStatus, Throughput,
    Warm,
};
use crate::http::Millis;

const DAY: Millis = 24 * 3_600_000;

/// Epoch seconds with a fraction, as a JSON number.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double")]
pub fn seconds(at: Millis) -> Value {
    json!(at as f64 / 1000.0)
}

pub fn describe_table(register: &Register, call: &TableCall) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    let table = register.expect_table(&call.region, &name)?;
    Ok(json!({"Table": description(register, table, call.now)}))
}

/// One page of names, in their order.
pub fn list_tables(register: &Register, call: &TableCall) -> Result<Value, DynamoDbError> {
    let limit = match &call.body["Limit"] {
        Value::Null => 100,
        limit => limit.as_u64().unwrap_or(0),
    };
    if !(1..=100).contains(&limit) {
        let rule = if limit < 1 {
            "Member must have value greater than or equal to 1"
        } else {
            "Member must have value less than or equal to 100"
        };
        return Err(DynamoDbError::validation(format!(
            "1 validation error detected: Value '{}' at 'limit' failed to satisfy constraint: {rule}",
            call.body["Limit"]
        )));
    }
    let start = call.body["ExclusiveStartTableName"].as_str().unwrap_or("");
    let mut names: Vec<&str> = register
        .tables
        .iter()
        .map(|(_, table)| table)
        .filter(|table| table.region == call.region && table.name.as_str() > start)
        .filter(|table| table.created <= call.listed)
        .map(|table| table.name.as_str())
        .collect();
    names.sort_unstable();
    let limit = usize::try_from(limit).expect("it is at most 100");
    let more = names.len() > limit;
    names.truncate(limit);
    let mut answer = json!({"TableNames": names});
    if let (true, Some(last)) = (more, names.last()) {
        answer["LastEvaluatedTableName"] = (*last).into();
    }
    Ok(answer)
}

/// A TableDescription of now.
pub fn description(register: &Register, table: &DynamoTable, now: Millis) -> Value {
    let mut it = Map::new();
    let mut put = |name: &str, value: Value| {
        it.insert(name.to_owned(), value);
    };
    put("AttributeDefinitions", table.attributes.clone().into());
    put("TableName", table.name.clone().into());
    put("KeySchema", table.key_schema.clone());
    put("TableStatus", table.status.word().into());
    put("CreationDateTime", seconds(table.created));
    put("ProvisionedThroughput", throughput(&table.throughput, now));
    put("TableSizeBytes", (table.item_count * 100).into());
    put("ItemCount", table.item_count.into());
    put("TableArn", table_arn(&table.region, &table.name).into());
    put("TableId", table.id.clone().into());
    if let Some(summary) = billing(table) {
        put("BillingModeSummary", summary);
    }
    if !table.local_indexes.is_empty() {
        put("LocalSecondaryIndexes", local_indexes(table));
    }
    if !table.indexes.is_empty() {
        put(
            "GlobalSecondaryIndexes",
            table.indexes.iter().map(|it| index(table, it, now)).collect(),
        );
    }
    if let Some(view) = &table.stream {
        put("StreamSpecification", json!({"StreamEnabled": true, "StreamViewType": view}));
    }
    if let Some(label) = &table.stream_label {
        put("LatestStreamLabel", label.clone().into());
        let arn = format!("{}/stream/{label}", table_arn(&table.region, &table.name));
        put("LatestStreamArn", arn.into());
    }
    if let Some(key) = &table.encryption {
        let status = if key.updating { "UPDATING" } else { "ENABLED" };
        put(
            "SSEDescription",
            json!({"Status": status, "SSEType": "KMS", "KMSMasterKeyArn": key.key}),
        );
    }
    if let Some(class) = &table.class {
        let mut summary = json!({"TableClass": class});
        if let Some(at) = table.class_changes.last() {
            summary["LastUpdateDateTime"] = seconds(*at);
        }
        put("TableClassSummary", summary);
    }
    put("DeletionProtectionEnabled", table.protected.into());
    if let Some(limits) = on_demand(table.on_demand) {
        put("OnDemandThroughput", limits);
    }
    if table.status != TableStatus::Creating || table.warm.asked {
        put("WarmThroughput", warm(table.warm));
    }
    let replicas = replicas(register, table);
    if !replicas.is_empty() {
        put("GlobalTableVersion", "2019.11.21".into());
        put("Replicas", replicas.into());
        put("GlobalTableSettingsReplicationMode", "ENABLED_WITH_OVERRIDES".into());
    }
    Value::Object(it)
}

fn throughput(it: &Throughput, now: Millis) -> Value {
    let today = it.decreased.iter().filter(|at| *at / DAY == now / DAY).count();
    let mut value = json!({"NumberOfDecreasesToday": today});
    if let Some(at) = it.increased {
        value["LastIncreaseDateTime"] = seconds(at);
    }
    if let Some(at) = it.decreased.last() {
        value["LastDecreaseDateTime"] = seconds(*at);
    }
    value["ReadCapacityUnits"] = it.read.into();
    value["WriteCapacityUnits"] = it.write.into();
    value
}

/// Absent on a table that was never anything but provisioned.
fn billing(table: &DynamoTable) -> Option<Value> {
    if table.billing == Billing::Provisioned && table.on_demand_since.is_none() {
        return None;
    }
    let mut summary = json!({"BillingMode": table.billing.word()});
    if let Some(at) = table.on_demand_since.filter(|_| table.status != TableStatus::Creating) {
        summary["LastUpdateToPayPerRequestDateTime"] = seconds(at);
    }
    Some(summary)
}

fn local_indexes(table: &DynamoTable) -> Value {
    let arn = table_arn(&table.region, &table.name);
    let described = table.local_indexes.iter().map(|index| {
        let name = index["IndexName"].as_str().unwrap_or("");
        json!({
            "IndexName": name,
            "KeySchema": index["KeySchema"],
            "Projection": index["Projection"],
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": format!("{arn}/index/{name}"),
        })
    });
    described.collect()
}

fn index(table: &DynamoTable, index: &Index, now: Millis) -> Value {
    let mut value = json!({
        "IndexName": index.name,
        "KeySchema": index.key_schema,
        "Projection": index.projection,
        "IndexStatus": index.status.word(),
    });
    if index.backfilling {
        value["Backfilling"] = true.into();
    }
    value["ProvisionedThroughput"] = throughput(&index.throughput, now);
    value["IndexSizeBytes"] = 0.into();
    value["ItemCount"] = 0.into();
    let arn = table_arn(&table.region, &table.name);
    value["IndexArn"] = format!("{arn}/index/{}", index.name).into();
    if let Some(limits) = on_demand(index.on_demand) {
        value["OnDemandThroughput"] = limits;
    }
    if table.status != TableStatus::Creating {
        let floor = match table.billing {
            Billing::PayPerRequest => Warm { read: 12_000, write: 4_000, ..Warm::default() },
            Billing::Provisioned => Warm {
                read: index.throughput.read,
                write: index.throughput.write,
                ..Warm::default()
            },
        };
        value["WarmThroughput"] = warm(floor);
    }
    value
}

fn on_demand(limits: OnDemand) -> Option<Value> {
    let mut value = Map::new();
    if let Some(read) = limits.read {
        value.insert("MaxReadRequestUnits".into(), read.into());
    }
    if let Some(write) = limits.write {
        value.insert("MaxWriteRequestUnits".into(), write.into());
    }
    (!value.is_empty()).then_some(Value::Object(value))
}

fn warm(it: Warm) -> Value {
    json!({
        "ReadUnitsPerSecond": it.read,
        "WriteUnitsPerSecond": it.write,
        "Status": if it.raising { "UPDATING" } else { "ACTIVE" },
    })
}

/// The other members as this region sees them, in the order in which it met them.
pub fn replicas(register: &Register, table: &DynamoTable) -> Vec<Value> {
    let Some(group) = register.group_of(table) else { return Vec::new() };
    let others = group.members.iter().filter(|it| it.region != table.region);
    others
        .filter(|it| it.standing != TableStanding::Hidden)
        .map(|it| replica(register, table, it))
        .collect()
}

/// Settings show only where they differ from those of the table that was asked.
fn replica(register: &Register, table: &DynamoTable, member: &TableMember) -> Value {
    let mut entry = json!({"RegionName": member.region, "ReplicaStatus": member.standing.word()});
    let Some(other) = register.table(&member.region, &table.name) else { return entry };
    if let Some(key) = other.encryption.as_ref().filter(|it| it.customer) {
        entry["KMSMasterKeyId"] = key.key.clone().into();
    }
    if other.on_demand.read != table.on_demand.read {
        let read = other.on_demand.read.unwrap_or(-1);
        entry["OnDemandThroughputOverride"] = json!({"MaxReadRequestUnits": read});
    }
    if other.class_word() != table.class_word() {
        entry["ReplicaTableClassSummary"] = json!({"TableClass": other.class_word()});
    }
    entry
}
