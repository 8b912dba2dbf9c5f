//! The front door, in the order of its checks.

use crate::dynamodb::region_of;
use crate::dynamodb::tests::client::{Client, START, outcome, request};
use crate::http::SandboxRequest;

fn ask(change: impl FnOnce(&mut SandboxRequest)) -> (u16, String, String) {
    let mut client = Client::new();
    let mut request = request("us-east-1", "ListTables", "{}");
    change(&mut request);
    let answer = client.cloud.handle(START, &request, &mut client.items);
    (answer.status, outcome(&answer), String::from_utf8(answer.body).unwrap())
}

#[test]
fn read_call_refuses_malformed_requests() {
    let header = |name: &'static str, value: Option<&'static str>| {
        move |it: &mut SandboxRequest| {
            it.headers.retain(|(key, _)| key != name);
            it.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
    };
    let (status, _, body) = ask(header("content-type", Some("text/plain")));
    assert_eq!((status, body.as_str()), (404, "<UnknownOperationException/>\n"));
    let found = ask(|it| it.body = b"{".to_vec());
    assert_eq!(found.2, r#"{"__type":"com.amazon.coral.service#SerializationException"}"#);
    let found = ask(header("x-amz-target", Some("DynamoDB_20120810.CreateGlobalTable")));
    assert_eq!(found.2, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    let found = ask(header("authorization", None)).1;
    assert_eq!(
        found,
        "MissingAuthenticationTokenException: Request is missing Authentication Token"
    );
    let found =
        ask(header("authorization", Some("Credential=AK/20261118/moon-1/dynamodb/aws4_request"))).1;
    assert_eq!(
        found,
        "UnrecognizedClientException: The security token included in the request is invalid."
    );
}

#[test]
fn region_of_reads_the_credential_scope() {
    assert_eq!(region_of(&request("eu-west-1", "ListTables", "{}")), Some("eu-west-1"));
    assert_eq!(region_of(&SandboxRequest::default()), None);
}

#[test]
fn answer_carries_its_headers() {
    let mut client = Client::new();
    let answer = client.send(0, "us-east-1", "ListTables", "{}");
    let header = |name: &str| {
        answer.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str()).unwrap()
    };
    assert_eq!(header("content-type"), "application/x-amz-json-1.0");
    assert_eq!(header("x-amzn-requestid").len(), 52);
    assert!(header("x-amz-crc32").parse::<u32>().is_ok());
}
