//! One request as the request log keeps it: what it wanted, whose objects it named, and what became of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dynamodb::region_of;
use crate::http::{Millis, SandboxRequest};
use crate::requests::verdicts::VerdictNews;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceivedOutcome {
    Answered(u16),
    /// The connection stayed open and said nothing.
    Hung,
    /// The connection was closed without an answer; it may have been carried out all the same.
    Closed,
    /// The answer broke off in the middle.
    BrokenOff,
    /// What a probe met, in the words of probes.
    Met(String),
}

impl fmt::Display for ReceivedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{status}"),
            Self::Hung => f.write_str("hung"),
            Self::Closed => f.write_str("closed"),
            Self::BrokenOff => f.write_str("broken off"),
            Self::Met(word) => f.write_str(word),
        }
    }
}

/// A request, or a probe of an address (method `PROBE`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// World time.
    pub at: Millis,
    /// The first word of the user agent: who it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    pub method: String,
    pub path: String,
    /// DynamoDB: operation, region of the credential scope (it stands for the endpoint), and the first table named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Those whose objects it named, or whose endpoint it called; a list names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault_domains: Vec<String>,
    pub outcome: ReceivedOutcome,
    /// What had become of users since the request before it, by time and by faults.
    #[serde(default, skip_serializing_if = "VerdictNews::is_empty")]
    pub before: VerdictNews,
    /// What became of users by this request.
    #[serde(default, skip_serializing_if = "VerdictNews::is_empty")]
    pub by_it: VerdictNews,
}

impl Received {
    pub fn new(
        at: Millis,
        request: &SandboxRequest,
        fault_domains: Vec<String>,
        outcome: ReceivedOutcome,
    ) -> Self {
        let target = request.header("x-amz-target").and_then(|it| it.rsplit('.').next());
        let agent = request.header("user-agent").unwrap_or_default();
        Self {
            at,
            client: agent.split(' ').next().unwrap_or_default().to_owned(),
            method: request.method.clone(),
            path: request.path.clone(),
            operation: target.map(str::to_owned),
            region: region_of(request).map(str::to_owned),
            table: target.and_then(|_| table(&request.body)),
            fault_domains,
            outcome,
            before: VerdictNews::default(),
            by_it: VerdictNews::default(),
        }
    }

    pub fn is_probe(&self) -> bool {
        self.method == "PROBE"
    }

    /// Whether it could change something.
    pub fn is_mutating(&self) -> bool {
        match &self.operation {
            Some(operation) => {
                let reads = ["Describe", "List", "Get", "BatchGet", "TransactGet", "Query", "Scan"];
                !reads.iter().any(|it| operation.starts_with(it))
            }
            None => !self.is_probe() && self.method != "GET",
        }
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.operation, &self.region) {
            (Some(operation), Some(region)) => write!(f, "{operation} {region}")?,
            _ => write!(f, "{} {}", self.method, self.path)?,
        }
        if let Some(table) = &self.table {
            write!(f, " {table}")?;
        }
        if !self.fault_domains.is_empty() {
            write!(f, " [{}]", self.fault_domains.join(", "))?;
        }
        write!(f, " {}", self.outcome)
    }
}

/// The table that a DynamoDB call names first, by its name.
fn table(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let first = || body["RequestItems"].as_object()?.keys().next().cloned();
    let moved = || {
        let part = body["TransactItems"].as_array()?.first()?.as_object()?.values().next()?;
        part["TableName"].as_str().map(str::to_owned)
    };
    let named = ["TableName", "ResourceArn"].iter().find_map(|it| body[*it].as_str());
    let named = named.map(str::to_owned).or_else(first).or_else(moved)?;
    Some(named.rsplit_once(":table/").map_or(named.as_str(), |(_, name)| name).to_owned())
}
