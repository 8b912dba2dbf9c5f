//! What DynamoDB tells of a table, in the words of the kinds: everything that it adds, lingers on or leaves out undone.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    BillingMode, KeySchemaElement, KeyType, ProvisionedThroughputDescription, ReplicaStatus,
    StreamViewType, TableDescription, TableStatus,
};

use crate::cloud::dynamodb::table_ref::{KEY, TableRef};
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// A regional table and what is read beside it; `None` is what could not or need not be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub tags: Option<BTreeMap<String, String>>,
    /// The attribute, or null when TTL is off.
    pub ttl: Option<Value>,
    pub recovery: Option<bool>,
}

/// Its attributes as far as the kind has them. `asked` are the recorded or desired ones.
pub(crate) fn attributes(
    kind: &Kind,
    place: &TableRef,
    table: &TableDescription,
    extras: &Extras,
    asked: &Attributes,
) -> Attributes {
    let mut found = Attributes::new();
    let mut put = |name: &str, value: Value| {
        if kind.attributes.contains_key(name) {
            found.insert(name.to_owned(), value);
        }
    };
    put("region", place.region.as_str().into());
    put("name", table.table_name().unwrap_or(&place.name).into());
    for name in ["id", "arn"] {
        put(name, optional(table.table_arn()));
    }
    put("status", optional(table.table_status().map(TableStatus::as_str)));
    put("table_id", optional(table.table_id()));
    put("hash_key", optional(key(table, &KeyType::Hash)));
    put("range_key", optional(key(table, &KeyType::Range)));
    put("attributes", Value::Map(key_types(table)));
    let on_demand = is_on_demand(table);
    put("billing_mode", if on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.into());
    let throughput = table.provisioned_throughput().filter(|_| !on_demand);
    put(
        "read_capacity",
        integer(throughput.and_then(ProvisionedThroughputDescription::read_capacity_units)),
    );
    put(
        "write_capacity",
        integer(throughput.and_then(ProvisionedThroughputDescription::write_capacity_units)),
    );
    put("deletion_protection", table.deletion_protection_enabled().unwrap_or(false).into());
    let stream = view(table);
    // Replicas force a stream on: of interest only to those who asked for one.
    if table.replicas().is_empty() || asked.get("stream").is_some_and(|it| !it.is_null()) {
        put("stream", optional(stream));
    }
    put("stream_arn", optional(stream.and(table.latest_stream_arn())));
    put("replicas", Value::List(staying(table).into_iter().map(Value::Text).collect()));
    if let Some(tags) = &extras.tags {
        let plain = tags.iter().filter(|(key, _)| *key != KEY && !key.starts_with("aws:"));
        put("tags", Value::Map(plain.map(|(key, it)| (key.clone(), it.as_str().into())).collect()));
    }
    if let Some(ttl) = &extras.ttl {
        put("ttl_attribute", ttl.clone());
    }
    if let Some(recovery) = extras.recovery {
        put("point_in_time_recovery", recovery.into());
    }
    found
}

/// Why a table cannot be used yet, in words.
pub(crate) fn not_ready(table: &TableDescription) -> Option<String> {
    match table.table_status() {
        Some(TableStatus::Active) => None,
        Some(status) => Some(format!("its status is `{}`, not yet `ACTIVE`", status.as_str())),
        None => Some("it has no status".to_owned()),
    }
}

/// Whether what stands beside the table can be read at all.
pub(crate) fn has_extras(table: &TableDescription) -> bool {
    !matches!(table.table_status(), Some(TableStatus::Creating | TableStatus::Deleting) | None)
}

/// A table made PROVISIONED has no summary; one that was ever on demand keeps it for good.
pub(crate) fn is_on_demand(table: &TableDescription) -> bool {
    let mode = table.billing_mode_summary().and_then(|it| it.billing_mode());
    mode == Some(&BillingMode::PayPerRequest)
}

/// The view type of its stream, when that is on.
pub(crate) fn view(table: &TableDescription) -> Option<&str> {
    let specification = table.stream_specification().filter(|it| it.stream_enabled())?;
    specification.stream_view_type().map(StreamViewType::as_str)
}

/// The regions of the other members that stay: one that is being deleted is told for minutes, and is nobody's any more.
fn staying(table: &TableDescription) -> Vec<String> {
    let is_going = |region: &String| {
        let mut all = table.replicas().iter();
        let of = all.find(|it| it.region_name() == Some(region));
        of.is_some_and(|it| it.replica_status() == Some(&ReplicaStatus::Deleting))
    };
    members(table).into_iter().filter(|it| !is_going(it)).collect()
}

/// The regions of the other members of its group.
pub(crate) fn members(table: &TableDescription) -> Vec<String> {
    let mut regions: Vec<String> =
        table.replicas().iter().filter_map(|it| it.region_name()).map(str::to_owned).collect();
    regions.sort();
    regions
}

fn key<'a>(table: &'a TableDescription, of: &KeyType) -> Option<&'a str> {
    table.key_schema().iter().find(|it| it.key_type() == of).map(KeySchemaElement::attribute_name)
}

/// The types of the table's own key; those of indexes are not its.
fn key_types(table: &TableDescription) -> Attributes {
    let keys: Vec<&str> = table.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    let definitions = table.attribute_definitions().iter();
    definitions
        .filter(|it| keys.contains(&it.attribute_name()))
        .map(|it| (it.attribute_name().to_owned(), it.attribute_type().as_str().into()))
        .collect()
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::text)
}

fn integer(number: Option<i64>) -> Value {
    number.map_or(Value::Null, Value::Int)
}
