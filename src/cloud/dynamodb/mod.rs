//! The driver of DynamoDB's kinds: tables and the further members of their groups.

mod table_ref;
mod error_class;
#[macro_use]
mod call;
mod account;
mod describe;
mod read;
mod table;
mod group;
mod settings;
mod replication_probe;

use std::time::Duration;

use crate::cloud::dynamodb::replication_probe::ProbeInFlight;
pub use crate::cloud::dynamodb::table_ref::JOIN;
use crate::cloud::dynamodb::table_ref::is_replica;
pub(crate) use crate::cloud::dynamodb::table_ref::{Dynamo, TableRef};
use crate::cloud::error::ProviderError;
use crate::cloud::rest::read::{Created, MemberRead, ReadQuery, ReadResult};
use crate::cloud::settings::host;
use crate::engine::observed::{Candidate, Observation};
use crate::engine::retry::ErrorClass;
use crate::engine::schema::Kind;
use crate::engine::value::Attributes;

impl Dynamo {
    pub(crate) async fn account(&self) -> Result<String, ProviderError> {
        if let Some(endpoint) = &self.connections.settings.dynamodb_endpoint {
            return Ok(format!("endpoint:{}", host(endpoint)));
        }
        self.caller().await
    }

    pub(crate) async fn observe(&self, questions: &[ReadQuery<'_>]) -> Vec<Observation> {
        read::observe(self, questions).await
    }

    pub(crate) async fn alike(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<Candidate>, ProviderError> {
        self.same_named(&TableRef::of(kind, attributes)?).await
    }

    /// How long a write through one member takes until the other has it.
    pub(crate) async fn replicates(
        &self,
        writer: MemberRead<'_>,
        reader: MemberRead<'_>,
        within: Duration,
    ) -> Result<Duration, ProviderError> {
        let from = TableRef::of(writer.kind, writer.attributes)?;
        let to = TableRef::of(reader.kind, reader.attributes)?;
        self.canary(ProbeInFlight { writer: &from, reader: &to, within }).await
    }

    pub(crate) async fn create(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        let place = TableRef::of(kind, attributes)?;
        // The engine says so when members of its group live elsewhere: a table of its own would split the group.
        if is_replica(kind) || attributes.contains_key(JOIN) {
            return self.join(&place, attributes).await;
        }
        self.create_table(kind, &place, attributes, mark).await
    }

    pub(crate) async fn update(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        group: &str,
        mark: Option<&str>,
    ) -> Result<Attributes, ProviderError> {
        let place = TableRef::of(kind, attributes)?;
        match group {
            "billing" => self.set_billing(&place, attributes).await?,
            "stream" => self.set_stream(&place, attributes).await?,
            "deletion_protection" => self.set_protection(&place, attributes).await?,
            "point_in_time_recovery" => self.set_recovery(&place, attributes).await?,
            "ttl" => self.set_ttl(&place, attributes).await?,
            "tags" => self.set_tags(&place, attributes, mark).await?,
            other => {
                let words = format!("{} has no way `{other}` of updating", kind.kind);
                return Err(ProviderError::new(ErrorClass::Rejected, kind.kind.clone(), words));
            }
        }
        // A 200 means accepted, not applied, and its body is not the new state: only looking tells.
        Ok(Attributes::new())
    }

    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<(), ProviderError> {
        let place = TableRef::of(kind, attributes)?;
        if is_replica(kind) {
            self.leave(&place, attributes).await
        } else {
            self.delete_table(&place).await
        }
    }

    pub(crate) async fn look(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<ReadResult, ProviderError> {
        let place = TableRef::of(kind, attributes)?;
        if is_replica(kind) {
            self.look_at_member(kind, &place, attributes).await
        } else {
            self.look_at_table(kind, &place, attributes).await
        }
    }
}
