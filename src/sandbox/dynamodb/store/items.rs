//! The items: one embedded database per region, which holds keys, indexes and items and nothing of the control plane.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dynoxide::{Database, DynoxideError, ImportOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::REGIONS;
use crate::dynamodb::store::table::{DynamoTable, Index};

/// The databases of all regions, opened when first needed.
pub struct Items {
    folder: Option<PathBuf>,
    regions: BTreeMap<String, Database>,
    /// An empty database that only judges CreateTable requests.
    judge: Option<Database>,
}

impl Items {
    /// Keeps the items as SQLite files in this folder.
    pub fn open(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|error| {
            format!("cannot create the folder {} for items: {error}", folder.display())
        })?;
        Ok(Self { folder: Some(folder.to_owned()), regions: BTreeMap::new(), judge: None })
    }

    /// Keeps the items in memory.
    pub fn memory() -> Self {
        Self { folder: None, regions: BTreeMap::new(), judge: None }
    }

    /// Drops every table, not the files: other processes have them open too.
    pub fn reset(&mut self) -> Result<(), String> {
        for region in REGIONS {
            let path = self.path(region);
            if path.is_some_and(|path| !path.exists()) {
                continue;
            }
            let database = self.region(region)?;
            let names = database.list_tables(request(&json!({}))?).map_err(words)?.table_names;
            for name in names {
                let gone = json!({"TableName": name});
                database.delete_table(request(&gone)?).map_err(words)?;
            }
        }
        Ok(())
    }

    fn path(&self, region: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{region}.sqlite")))
    }

    fn region(&mut self, region: &str) -> Result<&Database, String> {
        if !self.regions.contains_key(region) {
            let database = match self.path(region) {
                None => Database::memory(),
                Some(path) => {
                    let path = path
                        .to_str()
                        .ok_or("the path of the folder for items is not valid UTF-8")?;
                    Database::new(path)
                }
            };
            self.regions.insert(region.to_owned(), database.map_err(words)?);
        }
        Ok(self.regions.get(region).expect("it was just opened"))
    }

    /// Runs one item call as the wire has it.
    pub fn call(
        &mut self,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, DynamoDbError> {
        let db = self.region(region).map_err(DynamoDbError::internal)?;
        match operation {
            "PutItem" => run(operation, body, |it| db.put_item(it)),
            "GetItem" => run(operation, body, |it| db.get_item(it)),
            "UpdateItem" => run(operation, body, |it| db.update_item(it)),
            "DeleteItem" => run(operation, body, |it| db.delete_item(it)),
            "Query" => run(operation, body, |it| db.query(it)),
            "Scan" => run(operation, body, |it| db.scan(it)),
            "BatchGetItem" => run(operation, body, |it| db.batch_get_item(it)),
            "BatchWriteItem" => run(operation, body, |it| db.batch_write_item(it)),
            "TransactGetItems" => run(operation, body, |it| db.transact_get_items(it)),
            "TransactWriteItems" => run(operation, body, |it| db.transact_write_items(it)),
            _ => Err(DynamoDbError::coral("UnknownOperationException", None)),
        }
    }

    /// Whether a CreateTable request is well formed; the words are the engine's, which took them from the real service.
    pub fn judge(&mut self, body: &Value) -> Result<(), DynamoDbError> {
        if self.judge.is_none() {
            let database =
                Database::memory().map_err(|error| DynamoDbError::internal(words(error)))?;
            self.judge = Some(database);
        }
        let db = self.judge.as_ref().expect("it was just made");
        // A protected trial could not be taken away again.
        let mut trial = body.clone();
        if trial["DeletionProtectionEnabled"].is_boolean() {
            trial["DeletionProtectionEnabled"] = false.into();
        }
        run("CreateTable", &trial, |it| db.create_table(it))?;
        let gone = json!({"TableName": body["TableName"]});
        run("DeleteTable", &gone, |it| db.delete_table(it))?;
        Ok(())
    }

    /// Makes the place for the items of a table; what a crash left behind goes first.
    pub fn create(&mut self, table: &DynamoTable) -> Result<(), String> {
        self.drop_table(&table.region, &table.name)?;
        let mut body = json!({
            "TableName": table.name,
            "KeySchema": table.key_schema,
            "AttributeDefinitions": table.attributes,
            "BillingMode": "PAY_PER_REQUEST",
        });
        if !table.local_indexes.is_empty() {
            body["LocalSecondaryIndexes"] = table.local_indexes.clone().into();
        }
        if !table.indexes.is_empty() {
            body["GlobalSecondaryIndexes"] = table.indexes.iter().map(index_body).collect();
        }
        self.region(&table.region)?.create_table(request(&body)?).map_err(words)?;
        Ok(())
    }

    pub fn drop_table(&mut self, region: &str, name: &str) -> Result<(), String> {
        let gone = json!({"TableName": name});
        match self.region(region)?.delete_table(request(&gone)?) {
            Ok(_) | Err(DynoxideError::ResourceNotFoundException(_)) => Ok(()),
            Err(error) => Err(words(error)),
        }
    }

    pub fn create_index(&mut self, table: &DynamoTable, index: &Index) -> Result<(), String> {
        let body = json!({
            "TableName": table.name,
            "AttributeDefinitions": table.attributes,
            "GlobalSecondaryIndexUpdates": [{"Create": index_body(index)}],
        });
        self.change_indexes(&table.region, &body)
    }

    pub fn delete_index(&mut self, region: &str, name: &str, index: &str) -> Result<(), String> {
        let body = json!({
            "TableName": name,
            "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": index}}],
        });
        self.change_indexes(region, &body)
    }

    /// A change that was already made before a crash is no failure.
    fn change_indexes(&mut self, region: &str, body: &Value) -> Result<(), String> {
        match self.region(region)?.update_table(request(body)?) {
            Ok(_)
            | Err(
                DynoxideError::ValidationException(_) | DynoxideError::ResourceNotFoundException(_),
            ) => Ok(()),
            Err(error) => Err(words(error)),
        }
    }

    pub fn has_items(&mut self, region: &str, name: &str) -> bool {
        let one = json!({"TableName": name, "Limit": 1});
        self.call(region, "Scan", &one).is_ok_and(|page| page["Count"] != 0)
    }

    pub fn count(&mut self, region: &str, name: &str) -> i64 {
        let all = json!({"TableName": name, "Select": "COUNT"});
        let page = self.call(region, "Scan", &all);
        page.ok().and_then(|page| page["Count"].as_i64()).unwrap_or(0)
    }

    /// Copies all items of a table from one region to another, page by page.
    pub fn copy(&mut self, name: &str, from: &str, to: &str) -> Result<(), String> {
        let mut page = json!({"TableName": name, "ConsistentRead": true});
        loop {
            let found = self.region(from)?.scan(request(&page)?).map_err(words)?;
            let target = self.region(to)?;
            target
                .import_items(name, found.items.unwrap_or_default(), ImportOptions::default())
                .map_err(words)?;
            let Some(last) = found.last_evaluated_key else { return Ok(()) };
            page["ExclusiveStartKey"] = plain(&last)?;
        }
    }

    /// Makes one item in another region what it is in this one.
    pub fn copy_item(
        &mut self,
        name: &str,
        key: &Value,
        from: &str,
        to: &str,
    ) -> Result<(), DynamoDbError> {
        let get = json!({"TableName": name, "Key": key, "ConsistentRead": true});
        let found = self.call(from, "GetItem", &get)?;
        match found.get("Item") {
            Some(item) => {
                self.call(to, "PutItem", &json!({"TableName": name, "Item": item}))?;
            }
            None => {
                self.call(to, "DeleteItem", &json!({"TableName": name, "Key": key}))?;
            }
        }
        Ok(())
    }
}

fn index_body(index: &Index) -> Value {
    let mut body = Map::new();
    body.insert("IndexName".into(), index.name.clone().into());
    body.insert("KeySchema".into(), index.key_schema.clone());
    body.insert("Projection".into(), index.projection.clone());
    Value::Object(body)
}

fn request<T: DeserializeOwned>(body: &Value) -> Result<T, String> {
    T::deserialize(body).map_err(|error| error.to_string())
}

fn plain<T: Serialize>(value: &T) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn words(error: DynoxideError) -> String {
    error.to_string()
}

fn run<Q: DeserializeOwned, A: Serialize>(
    operation: &str,
    body: &Value,
    act: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> Result<Value, DynamoDbError> {
    let request =
        Q::deserialize(body).map_err(|error| unreadable(operation, &error.to_string()))?;
    let answer = act(request).map_err(|error| refused(operation, &error))?;
    let mut answer = plain(&answer).map_err(DynamoDbError::internal)?;
    // The engine's maps come in random order; answers should not.
    answer.sort_all_objects();
    Ok(answer)
}

/// An engine error as the wire has it.
fn refused(operation: &str, error: &DynoxideError) -> DynamoDbError {
    if let DynoxideError::EnvelopedValidation(message) = error {
        return enveloped(operation, message);
    }
    let mut body: Value = serde_json::from_str(&error.to_json()).unwrap_or(Value::Null);
    body.sort_all_objects();
    DynamoDbError { status: error.status_code(), body }
}

/// Single-item writes wrap this family of errors, other calls do not.
fn enveloped(operation: &str, message: &str) -> DynamoDbError {
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => {
            DynamoDbError::validation(format!("1 validation error detected: {message}"))
        }
        _ => DynamoDbError::validation(message),
    }
}

/// A request that did not fit the shape of its operation; the engine marks which family it is.
fn unreadable(operation: &str, message: &str) -> DynamoDbError {
    for (mark, validation) in [
        ("VALIDATION:", true),
        ("VALIDATION_AS_READ:", true),
        ("SERIALIZATION:", false),
        ("SERIALIZATION_AS_READ:", false),
    ] {
        match message.strip_prefix(mark) {
            Some(text) if validation => return DynamoDbError::validation(text),
            Some(text) => return unserialisable(text),
            None => {}
        }
    }
    if let Some(text) = message.strip_prefix("VALIDATION_REQUEST:") {
        return enveloped(operation, text);
    }
    if message.contains("empty AttributeValue") {
        return DynamoDbError::validation(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        );
    }
    let shape =
        ["missing field", "unknown variant", "invalid type: null", "Supplied AttributeValue"];
    if shape.iter().any(|it| message.contains(it)) {
        return DynamoDbError::validation(message);
    }
    unserialisable("Unexpected value type in payload")
}

/// This one has a capital `Message`.
fn unserialisable(message: &str) -> DynamoDbError {
    let kind = "com.amazon.coral.service#SerializationException";
    DynamoDbError { status: 400, body: json!({"__type": kind, "Message": message}) }
}
