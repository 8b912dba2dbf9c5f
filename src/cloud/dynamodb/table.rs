//! Makes, looks at and deletes single tables.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ProvisionedThroughput,
    ReplicaStatus, ScalarAttributeType, StreamSpecification, StreamViewType, Tag,
};

use crate::cloud::dynamodb::describe::{Extras, attributes, not_ready};
use crate::cloud::dynamodb::error_class::LostReply;
use crate::cloud::dynamodb::read::ReadNeeds;
use crate::cloud::dynamodb::table_ref::{Dynamo, KEY, TableRef};
use crate::cloud::error::ProviderError;
use crate::cloud::read::{Created, ReadResult};
use crate::engine::retry::ErrorClass;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

impl Dynamo {
    pub(crate) async fn create_table(
        &self,
        kind: &Kind,
        place: &TableRef,
        wanted: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        let shape = shape(wanted, mark).map_err(|why| {
            ProviderError::new(ErrorClass::Rejected, self.endpoint("CreateTable", place), why)
        })?;
        let answer = call!(self, &place.region, "CreateTable", LostReply::Change, |client| client
            .create_table()
            .table_name(&place.name)
            .set_attribute_definitions(Some(shape.definitions))
            .set_key_schema(Some(shape.keys))
            .billing_mode(shape.billing)
            .set_provisioned_throughput(shape.throughput)
            .set_stream_specification(shape.stream)
            .set_deletion_protection_enabled(shape.protected.then_some(true))
            .set_tags((!shape.tags.is_empty()).then_some(shape.tags)))?;
        let unknown = |words: &str| {
            ProviderError::new(
                ErrorClass::UnknownOutcome,
                self.endpoint("CreateTable", place),
                words,
            )
        };
        let table = answer.table_description.ok_or_else(|| unknown("an answer without a table"))?;
        let id = table.table_arn().ok_or_else(|| unknown("the answer names no ARN"))?.to_owned();
        let found = attributes(kind, place, &table, &Extras::default(), wanted);
        Ok(Created { id, attributes: found })
    }

    pub(crate) async fn delete_table(&self, place: &TableRef) -> Result<(), ProviderError> {
        let answer = call!(self, &place.region, "DeleteTable", LostReply::Change, |client| client
            .delete_table()
            .table_name(&place.name));
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.fault == ErrorClass::Missing => Ok(()),
            // A member that an interrupted run took out may still be going: that ends.
            Err(error)
                if error.fault == ErrorClass::Rejected && self.is_being_left(place).await =>
            {
                Err(ProviderError { fault: ErrorClass::Busy, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether another member of its group is on its way out.
    async fn is_being_left(&self, place: &TableRef) -> bool {
        let Ok(Some(table)) = self.describe(place).await else { return false };
        let mut replicas = table.replicas().iter();
        replicas.any(|it| it.replica_status() == Some(&ReplicaStatus::Deleting))
    }

    pub(crate) async fn look_at_table(
        &self,
        kind: &Kind,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<ReadResult, ProviderError> {
        let Some(seen) = self.seen(place, ReadNeeds::of(kind, wanted)).await? else {
            return Ok(ReadResult::Absent);
        };
        let why_not = not_ready(&seen.table);
        Ok(ReadResult::Exists {
            attributes: attributes(kind, place, &seen.table, &seen.extras, wanted),
            ready: why_not.is_none(),
            why_not,
        })
    }
}

/// A table as CreateTable wants it.
struct TableShape {
    definitions: Vec<AttributeDefinition>,
    keys: Vec<KeySchemaElement>,
    billing: BillingMode,
    throughput: Option<ProvisionedThroughput>,
    stream: Option<StreamSpecification>,
    protected: bool,
    tags: Vec<Tag>,
}

fn shape(wanted: &Attributes, mark: Option<&str>) -> Result<TableShape, String> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_text);
    let types =
        wanted.get("attributes").and_then(Value::as_map).ok_or("`attributes` is unknown")?;
    let mut definitions = Vec::new();
    for (name, kind) in types {
        let kind = kind.as_text().ok_or_else(|| format!("the type of `{name}` is not known"))?;
        let made = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::from(kind))
            .build();
        definitions.push(made.map_err(|why| why.to_string())?);
    }
    let mut keys = Vec::new();
    for (name, of) in [("hash_key", KeyType::Hash), ("range_key", KeyType::Range)] {
        if let Some(attribute) = text(name) {
            let made = KeySchemaElement::builder().attribute_name(attribute).key_type(of).build();
            keys.push(made.map_err(|why| why.to_string())?);
        }
    }
    let billing = BillingMode::from(text("billing_mode").unwrap_or("PAY_PER_REQUEST"));
    Ok(TableShape {
        definitions,
        keys,
        throughput: (billing == BillingMode::Provisioned)
            .then(|| throughput(wanted))
            .transpose()?,
        billing,
        stream: text("stream").map(streaming),
        protected: wanted.get("deletion_protection") == Some(&Value::Bool(true)),
        tags: tags(wanted, mark)?,
    })
}

/// The capacity that is wanted.
pub(crate) fn throughput(wanted: &Attributes) -> Result<ProvisionedThroughput, String> {
    let units = |name: &str| match wanted.get(name) {
        Some(Value::Int(units)) => Ok(*units),
        _ => Err(format!("`{name}` is not known")),
    };
    ProvisionedThroughput::builder()
        .read_capacity_units(units("read_capacity")?)
        .write_capacity_units(units("write_capacity")?)
        .build()
        .map_err(|why| why.to_string())
}

pub(crate) fn streaming(view: &str) -> StreamSpecification {
    StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::from(view))
        .build()
        .expect("`stream_enabled` is all it needs")
}

/// The tags that are wanted, and the mark.
pub(crate) fn tags(wanted: &Attributes, mark: Option<&str>) -> Result<Vec<Tag>, String> {
    let mut tags = Vec::new();
    let plain = wanted.get("tags").map(Value::exposed);
    let plain = plain.as_ref().and_then(Value::as_map).into_iter().flatten();
    let own = plain.map(|(key, it)| (key.as_str(), it.as_text()));
    for (key, value) in own.chain(mark.map(|mark| (KEY, Some(mark)))) {
        let value = value.ok_or_else(|| format!("the tag `{key}` is not known"))?;
        let made = Tag::builder().key(key).value(value).build();
        tags.push(made.map_err(|why| why.to_string())?);
    }
    Ok(tags)
}
