//! Stands in for the DynamoDB half until it is merged: every call is an unknown operation.

use serde_json::{Value, json};

use crate::sandbox::http::{Answer, Millis, Request};

#[derive(Default)]
pub struct DynamoDb {}

impl DynamoDb {
    pub fn handle(&mut self, _now: Millis, _request: &Request, _items: &mut Items) -> Answer {
        Answer::json(
            400,
            "application/x-amz-json-1.0",
            &json!({ "__type": "com.amazon.coral.service#UnknownOperationException" }),
        )
    }

    pub fn take_changes(&mut self) -> Vec<(String, String, Option<Value>)> {
        Vec::new()
    }

    pub fn apply(&mut self, _table: &str, _key: &str, _row: Option<Value>) -> bool {
        false
    }

    pub fn all(&self) -> Vec<(String, String, Value)> {
        Vec::new()
    }

    pub fn show(&self, _now: Millis) -> Value {
        json!({})
    }

    pub fn is_empty(&self) -> bool {
        true
    }
}

pub struct Items;

impl Items {
    pub fn open(_folder: &std::path::Path) -> Result<Items, String> {
        Ok(Items)
    }

    pub fn memory() -> Items {
        Items
    }
}

/// The region in the credential scope of the Authorization header.
pub fn region_of(request: &Request) -> Option<&str> {
    let (_, scope) = request.header("authorization")?.split_once("Credential=")?;
    scope.split('/').nth(2)
}
