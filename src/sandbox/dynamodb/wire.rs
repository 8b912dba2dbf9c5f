//! The front door: what a request must be before anything looks at tables, and how answers look.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::members;
use crate::dynamodb::places::{is_region, request_id};
use crate::dynamodb::store::register::TableCall;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "DynamoDB_20120810.";

const KNOWN: &[&str] = &[
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeLimits",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "ListTables",
    "ListTagsOfResource",
    "PutItem",
    "Query",
    "Scan",
    "TagResource",
    "TransactGetItems",
    "TransactWriteItems",
    "UntagResource",
    "UpdateContinuousBackups",
    "UpdateItem",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// The region in the credential scope of the Authorization header.
pub fn region_of(request: &SandboxRequest) -> Option<&str> {
    let (_, scope) = request.header("authorization")?.split_once("Credential=")?;
    scope.split(',').next()?.split('/').nth(2)
}

/// The call that a request makes, or the answer that it makes none.
pub fn read(now: Millis, request: &SandboxRequest) -> Result<TableCall, SandboxAnswer> {
    if request.method == "GET" {
        let region = region_of(request).unwrap_or("us-east-1");
        let text = format!("healthy: dynamodb.{region}.amazonaws.com ");
        return Err(plain(200, &text));
    }
    let kind = request.header("content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if request.method != "POST" || request.path != "/" || kind != CONTENT_TYPE {
        return Err(plain(404, "<UnknownOperationException/>\n"));
    }
    read_call(now, request).map_err(|refusal| answer(now, request, Err(refusal)))
}

fn read_call(now: Millis, request: &SandboxRequest) -> Result<TableCall, DynamoDbError> {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| DynamoDbError::coral("SerializationException", None))?;
    let target = request.header("x-amz-target").and_then(|it| it.strip_prefix(TARGET));
    let operation = target
        .filter(|it| KNOWN.contains(it))
        .ok_or_else(|| DynamoDbError::coral("UnknownOperationException", None))?;
    if request.header("authorization").is_none() {
        let text = "Request is missing Authentication Token";
        return Err(DynamoDbError::coral("MissingAuthenticationTokenException", Some(text)));
    }
    let region = region_of(request).ok_or_else(|| {
        let text = "Authorization header requires 'Credential' parameter.";
        DynamoDbError::coral("IncompleteSignatureException", Some(text))
    })?;
    if !is_region(region) {
        let text = "The security token included in the request is invalid.";
        return Err(DynamoDbError::coral("UnrecognizedClientException", Some(text)));
    }
    if !body.is_object() {
        return Err(DynamoDbError::coral("SerializationException", None));
    }
    members::check(operation, &body)?;
    Ok(TableCall {
        now,
        listed: now,
        region: region.to_owned(),
        operation: operation.to_owned(),
        body,
    })
}

fn plain(status: u16, text: &str) -> SandboxAnswer {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    SandboxAnswer { status, headers, body: text.as_bytes().to_vec() }
}

/// The answer to a call; some operations answer with an empty body.
pub fn answer(
    now: Millis,
    request: &SandboxRequest,
    outcome: Result<Value, DynamoDbError>,
) -> SandboxAnswer {
    let (status, body) = match outcome {
        Ok(Value::Null) => (200, None),
        Ok(body) => (200, Some(body)),
        Err(refusal) => (refusal.status, Some(refusal.body)),
    };
    let mut answer =
        SandboxAnswer::json(status, CONTENT_TYPE, &body.clone().unwrap_or(Value::Null));
    if body.is_none() {
        answer.body.clear();
    }
    let said = String::from_utf8_lossy(&request.body);
    let attempt = request.header("amz-sdk-invocation-id").unwrap_or("");
    let id = request_id(&[&now.to_string(), attempt, &said]);
    let sum = crc32(&answer.body);
    answer.with("x-amzn-requestid", id).with("x-amz-crc32", sum)
}

/// CRC-32 as of gzip; some clients check it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_is_that_of_gzip() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
    }
}
