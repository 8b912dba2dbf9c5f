//! What the service says when it will not: status, namespace, code and text.

use serde_json::{Value, json};

/// An error answer; the body is what goes over the wire.
#[derive(Debug, Clone)]
pub struct DynamoDbError {
    pub status: u16,
    pub body: Value,
}

const MODELLED: &str = "com.amazonaws.dynamodb.v20120810";
const CORAL: &str = "com.amazon.coral.service";

fn modelled(status: u16, code: &str, message: impl Into<String>) -> DynamoDbError {
    let message: String = message.into();
    DynamoDbError {
        status,
        body: json!({"__type": format!("{MODELLED}#{code}"), "message": message}),
    }
}

impl DynamoDbError {
    /// A ValidationException with exactly this text.
    pub fn validation(message: impl Into<String>) -> Self {
        let message: String = message.into();
        let kind = "com.amazon.coral.validate#ValidationException";
        Self { status: 400, body: json!({"__type": kind, "message": message}) }
    }

    /// A ValidationException with the prefix that most semantic rules share.
    pub fn invalid(message: &str) -> Self {
        Self::validation(format!("One or more parameter values were invalid: {message}"))
    }

    pub fn in_use(message: impl Into<String>) -> Self {
        modelled(400, "ResourceInUseException", message)
    }

    /// ResourceInUseException as tables outside of a group word it.
    pub fn busy(detail: &str) -> Self {
        Self::in_use(format!("Attempt to change a resource which is still in use: {detail}"))
    }

    /// ResourceInUseException as members of a group word it: without any detail.
    pub fn group_busy() -> Self {
        Self::in_use("The resource which you are attempting to change is in use.")
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        modelled(400, "ResourceNotFoundException", message)
    }

    pub fn no_table(name: &str) -> Self {
        Self::not_found(format!("Requested resource not found: Table: {name} not found"))
    }

    pub fn table_not_found(name: &str) -> Self {
        modelled(400, "TableNotFoundException", format!("Table not found: {name}"))
    }

    pub fn backups_unavailable(name: &str) -> Self {
        let message =
            format!("Backups are being enabled for the table: {name}. Please retry later");
        modelled(400, "ContinuousBackupsUnavailableException", message)
    }

    pub fn limit(message: impl Into<String>) -> Self {
        modelled(400, "LimitExceededException", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        modelled(500, "InternalServerError", message)
    }

    pub fn throttled(message: impl Into<String>) -> Self {
        Self::coral("ThrottlingException", Some(&message.into()))
    }

    /// An error of the front door; some of these say nothing but their name.
    pub fn coral(code: &str, message: Option<&str>) -> Self {
        let mut body = json!({"__type": format!("{CORAL}#{code}")});
        if let Some(message) = message {
            body["message"] = message.into();
        }
        Self { status: 400, body }
    }
}
