//! Which table, in which region, and how one run reaches it.

use std::sync::Arc;

use aws_config::Region;

use crate::cloud::breaker::Endpoint;
use crate::cloud::dynamodb::regions::{Regions, declared_lost, fault_domain};
use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::Connections;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// The tag key that carries the owner mark.
pub(crate) const KEY: &str = "lifeboat";

/// The attribute that makes a create join a group: the region of a living member. Nobody sets it in a stack.
pub const JOIN: &str = "join.region";

/// DynamoDB as one run reaches it.
#[derive(Clone)]
pub(crate) struct Dynamo {
    pub connections: Arc<Connections>,
    pub regions: Arc<Regions>,
}

impl Dynamo {
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        Self { connections, regions: Arc::default() }
    }

    /// The region of one call; a lost one is never connected to.
    pub(crate) fn in_region(
        &self,
        region: &str,
        endpoint: &str,
    ) -> Result<aws_sdk_dynamodb::config::Builder, ProviderError> {
        if self.regions.is_lost(region) {
            return Err(declared_lost(region, endpoint));
        }
        self.connections.check_authorities(endpoint)?;
        self.regions.use_also(region);
        Ok(aws_sdk_dynamodb::config::Builder::new().region(Region::new(region.to_owned())))
    }

    /// What is lost together with a region's endpoint.
    pub(crate) fn contact(&self, region: &str) -> Endpoint {
        Endpoint { name: fault_domain(region), endpoint: self.address(region) }
    }

    /// What people call the endpoint of a region.
    pub(crate) fn address(&self, region: &str) -> String {
        match &self.connections.settings.dynamodb_endpoint {
            Some(endpoint) => format!("{} ({region})", endpoint.trim_end_matches('/')),
            None => format!("https://dynamodb.{region}.amazonaws.com"),
        }
    }
}

/// One regional table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableRef {
    pub region: String,
    pub name: String,
}

impl TableRef {
    /// A table's own words name it; a replica has the name of its table.
    pub(crate) fn of(kind: &Kind, attributes: &Attributes) -> Result<Self, ProviderError> {
        let text = |name: &str| attributes.get(name).and_then(Value::as_text);
        let name =
            if is_replica(kind) { text("table.name").or(text("name")) } else { text("name") };
        if let (Some(region), Some(name)) = (text("region"), name) {
            return Ok(Self { region: region.to_owned(), name: name.to_owned() });
        }
        let words = "its region or its name is unknown";
        Err(ProviderError::new(ErrorClass::Rejected, kind.kind.clone(), words))
    }
}

pub(crate) fn is_replica(kind: &Kind) -> bool {
    kind.kind == "dynamodb.replica"
}

/// Whether a create joins a group. The engine says so of a table when members of its group live elsewhere: one of its own
/// would split the group.
pub(crate) fn joins(kind: &Kind, attributes: &Attributes) -> bool {
    is_replica(kind) || attributes.contains_key(JOIN)
}
