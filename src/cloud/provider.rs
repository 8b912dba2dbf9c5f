//! The one door to the clouds: chooses the driver by the kind.

use std::sync::Arc;

pub use crate::cloud::look::{Created, Look, Question};

use crate::cloud::connection::Connections;
use crate::cloud::error::ProviderError;
use crate::cloud::linode::Linode;
use crate::cloud::listing;
use crate::cloud::rest::Rest;
use crate::engine::observed::{Alike, Observation};
use crate::engine::retry::Fault;
use crate::engine::schema::Kind;
use crate::engine::value::Attributes;

/// Reads and changes objects of every kind. Reads are repeated as the engine decides; a change is one attempt.
#[derive(Clone)]
pub struct Provider {
    connections: Arc<Connections>,
    rest: Rest,
}

impl Provider {
    pub fn new(connections: Arc<Connections>) -> Self {
        let linode = Linode { connections: Arc::clone(&connections) };
        Self { connections, rest: Rest { linode } }
    }

    /// Whose credentials these are: state is bound to the answer.
    pub async fn account(&self, cloud: &str) -> Result<String, ProviderError> {
        if self.connections.settings.sandbox {
            return Ok("sandbox".to_owned());
        }
        match cloud {
            "linode" => self.rest.linode.account().await,
            other => Err(ProviderError::new(Fault::Rejected, other, "no such cloud")),
        }
    }

    /// What is seen of each object, in the order of the questions.
    pub async fn observe(&self, questions: &[Question<'_>]) -> Vec<Observation> {
        listing::observe(&self.rest.linode, questions).await
    }

    /// Objects of the same identity, whoever made them.
    pub async fn alike(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<Alike>, ProviderError> {
        self.rest.alike(kind, attributes).await
    }

    pub async fn create(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        self.rest.create(kind, attributes, mark).await
    }

    /// Carries the changed attributes of one update group (`""` is the plain update).
    pub async fn update(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        group: &str,
        changed: &[String],
        mark: Option<&str>,
    ) -> Result<Attributes, ProviderError> {
        self.rest.update(kind, id, attributes, group, changed, mark).await
    }

    /// What is not there any more is deleted already.
    pub async fn delete(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<(), ProviderError> {
        self.rest.delete(kind, id, attributes).await
    }

    pub async fn look(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<Look, ProviderError> {
        self.rest.look(kind, id, attributes).await
    }
}
