//! Checks of shape, which come before any question whether the table exists.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::table_arn;

/// Violations of the request's model, reported all at once.
#[derive(Debug, Default)]
pub struct KeyShape {
    violations: Vec<String>,
}

impl KeyShape {
    fn add(&mut self, value: &Value, path: &str, rule: &str) {
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::String(text) => format!("'{text}'"),
            other => format!("'{other}'"),
        };
        self.violations
            .push(format!("Value {value} at '{path}' failed to satisfy constraint: {rule}"));
    }

    pub fn required(&mut self, value: &Value, path: &str) {
        if value.is_null() {
            self.add(value, path, "Member must not be null");
        }
    }

    pub fn one_of(&mut self, value: &Value, path: &str, words: &[&str]) {
        if value.as_str().is_some_and(|word| !words.contains(&word)) {
            let set = words.join(", ");
            self.add(value, path, &format!("Member must satisfy enum value set: [{set}]"));
        }
    }

    pub fn at_least(&mut self, value: &Value, path: &str, least: i64) {
        if value.as_i64().is_some_and(|it| it < least) {
            let rule = format!("Member must have value greater than or equal to {least}");
            self.add(value, path, &rule);
        }
    }

    pub fn at_most(&mut self, value: &Value, path: &str, most: i64) {
        if value.as_i64().is_some_and(|it| it > most) {
            self.add(value, path, &format!("Member must have value less than or equal to {most}"));
        }
    }

    /// A text of so many bytes.
    pub fn length(&mut self, value: &Value, path: &str, least: usize, most: usize) {
        let Some(length) = value.as_str().map(str::len) else { return };
        if length < least {
            let rule = format!("Member must have length greater than or equal to {least}");
            self.add(value, path, &rule);
        }
        if length > most {
            self.add(value, path, &format!("Member must have length less than or equal to {most}"));
        }
    }

    /// Both units of a ProvisionedThroughput.
    pub fn throughput(&mut self, value: &Value, path: &str) {
        if value.is_null() {
            return;
        }
        for (name, member) in [
            ("ReadCapacityUnits", "readCapacityUnits"),
            ("WriteCapacityUnits", "writeCapacityUnits"),
        ] {
            let path = format!("{path}.{member}");
            self.required(&value[name], &path);
            self.at_least(&value[name], &path, 1);
        }
    }

    pub fn finish(self) -> Result<(), DynamoDbError> {
        let count = self.violations.len();
        let plural = if count == 1 { "" } else { "s" };
        match count {
            0 => Ok(()),
            _ => Err(DynamoDbError::validation(format!(
                "{count} validation error{plural} detected: {}",
                self.violations.join("; ")
            ))),
        }
    }
}

/// The table a request names, by name or by an ARN of this region.
pub fn table_name(body: &Value, region: &str) -> Result<String, DynamoDbError> {
    let Some(given) = body["TableName"].as_str() else {
        return Err(DynamoDbError::validation(
            "The parameter 'TableName' is required but was not present in the request",
        ));
    };
    name_of(given, region)
}

pub fn name_of(given: &str, region: &str) -> Result<String, DynamoDbError> {
    if given.starts_with("arn:") {
        let name = given.rsplit_once(":table/").map_or("", |(_, name)| name);
        if given != table_arn(region, name) {
            let message = format!("1 validation error detected: Invalid AWS region in '{given}'");
            return Err(DynamoDbError::validation(message));
        }
        return Ok(name.to_owned());
    }
    if !(3..=255).contains(&given.len()) {
        return Err(DynamoDbError::validation(
            "TableName must be at least 3 characters long and at most 255 characters long",
        ));
    }
    let plain = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
    if !given.chars().all(plain) {
        return Err(DynamoDbError::validation(format!(
            "1 validation error detected: Value '{given}' at 'tableName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )));
    }
    Ok(given.to_owned())
}

/// The table an ARN names, for the calls about tags.
pub fn name_in_arn(body: &Value, region: &str) -> Result<String, DynamoDbError> {
    let Some(arn) = body["ResourceArn"].as_str() else {
        return Err(DynamoDbError::validation(
            "1 validation error detected: Value null at 'resourceArn' failed to satisfy \
             constraint: Member must not be null",
        ));
    };
    if !arn.starts_with("arn:") {
        return Err(DynamoDbError::invalid(&format!("ARNs must start with 'arn:': {arn}")));
    }
    if !arn.starts_with("arn:aws:dynamodb:") {
        let text = format!("Provided Arn is not a DynamoDB resource arn: {arn}");
        return Err(DynamoDbError::invalid(&text));
    }
    let name = arn.rsplit_once(":table/").map_or("", |(_, name)| name);
    if name.is_empty() || name.contains('/') {
        return Err(DynamoDbError::invalid(&format!(
            "Invalid resource arn provided, only table or stream is accepted. Provided resource \
             arn: {arn}"
        )));
    }
    if arn != table_arn(region, name) {
        let text = format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}");
        return Err(DynamoDbError::validation(text));
    }
    Ok(name.to_owned())
}
