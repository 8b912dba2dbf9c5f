//! A scripted client: requests at world times in, answers compared as text.
//!
//! A script has one request per line, `TIME REGION OPERATION BODY`, and below it what is expected:
//! `= PATH VALUE` (`-` is absent), `= ok`, or `! CODE: TEXT` for a refusal. The body is JSON
//! without its braces, after the table's name: `orders` stands for `"TableName": "orders"`.

use serde_json::Value;

use crate::dynamodb::{Durations, DynamoDb, Items};
use crate::http::{Millis, SandboxAnswer, SandboxRequest};

/// 2026-11-18 09:46:40 UTC.
pub(super) const START: Millis = 1_794_995_200_000;

/// What most scripts begin with.
pub(super) const ORDERS: &str = r#"
0s us-east-1 CreateTable orders, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"
= TableDescription.TableStatus "CREATING"
"#;

pub(super) struct Client {
    pub(super) cloud: DynamoDb,
    pub(super) items: Items,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { cloud: DynamoDb::default(), items: Items::memory() }
    }

    pub(super) fn instant() -> Self {
        Self { cloud: DynamoDb::with_durations(Durations::instant()), items: Items::memory() }
    }

    pub(super) fn send(
        &mut self,
        at: Millis,
        region: &str,
        operation: &str,
        body: &str,
    ) -> SandboxAnswer {
        let request = request(region, operation, body);
        self.cloud.handle(START + at, &request, &mut self.items)
    }

    /// Plays a script and panics at the first line that turns out otherwise.
    pub(super) fn play(&mut self, script: &str) {
        let mut last: Option<(String, SandboxAnswer)> = None;
        for line in script.lines().map(str::trim).filter(|it| !it.is_empty()) {
            if line.starts_with(['=', '!']) {
                let (request, answer) = last.as_ref().expect("a request stands before it");
                compare(request, answer, line);
                continue;
            }
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap_or("");
            let (at, region, operation) = (time(word()), word(), word());
            let answer = self.send(at, region, operation, &body(word()));
            last = Some((line.to_owned(), answer));
        }
    }
}

pub(super) fn check(script: &str) {
    Client::new().play(script);
}

pub(super) fn request(region: &str, operation: &str, body: &str) -> SandboxRequest {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AK/20261118/{region}/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    SandboxRequest {
        method: "POST".into(),
        path: "/".into(),
        query: Vec::new(),
        headers: vec![
            ("content-type".into(), "application/x-amz-json-1.0".into()),
            ("x-amz-target".into(), format!("DynamoDB_20120810.{operation}")),
            ("authorization".into(), scope),
        ],
        body: body.as_bytes().to_vec(),
    }
}

fn time(word: &str) -> Millis {
    let mut total = 0.0;
    let mut number = String::new();
    for letter in word.chars() {
        let unit = match letter {
            'h' => 3_600_000.0,
            'm' => 60_000.0,
            's' => 1_000.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        total += number.parse::<f64>().unwrap() * unit;
        number.clear();
    }
    #[expect(clippy::cast_possible_truncation, reason = "test times are small")]
    let total = total as Millis;
    total
}

fn body(text: &str) -> String {
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    match name.chars().next() {
        None => "{}".into(),
        Some('"') => format!("{{{text}}}"),
        _ if rest.is_empty() => format!(r#"{{"TableName": "{name}"}}"#),
        _ => format!(r#"{{"TableName": "{name}",{rest}}}"#),
    }
}

/// The answer as one line: `ok`, or `Code: text`.
pub(super) fn outcome(answer: &SandboxAnswer) -> String {
    if answer.status == 200 {
        return "ok".into();
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let code = body["__type"].as_str().unwrap_or("");
    let code = code.rsplit('#').next().unwrap_or("");
    let text = body["message"].as_str().or(body["Message"].as_str()).unwrap_or("");
    format!("{code}: {text}")
}

fn compare(request: &str, answer: &SandboxAnswer, line: &str) {
    let (sign, expected) = line.split_at(1);
    let expected = expected.trim();
    if sign == "!" {
        let found = outcome(answer);
        assert!(found.contains(expected), "{request}\nexpected {expected}\nfound    {found}");
        return;
    }
    assert_eq!(outcome(answer), "ok", "{request}\n{line}");
    let Some((path, expected)) = expected.split_once(' ') else { return };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let pointer = format!("/{}", path.replace('.', "/"));
    let found = body.pointer(&pointer).map_or("-".into(), Value::to_string);
    let expected = match serde_json::from_str::<Value>(expected) {
        Ok(value) => value.to_string(),
        Err(_) => expected.to_owned(),
    };
    assert_eq!(found, expected, "{request}\n{path} in {body:#}");
}
