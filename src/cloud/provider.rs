//! The one door to the clouds: chooses the driver by the kind.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

pub use crate::cloud::dynamodb::JOIN;
pub use crate::cloud::rest::read::{Created, MemberRead, ReadQuery, ReadResult};

use crate::cloud::dynamodb::Dynamo;
use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::Connections;
use crate::cloud::linode::client::LinodeApi;
use crate::cloud::linode::events::Events;
use crate::cloud::linode::grants::UserGrants;
use crate::cloud::rest::driver::RestDriver;
use crate::cloud::rest::listing;
use crate::cloud::rest::pending_attributes::PendingAttributes;
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::plan::checks::offers::OfferSource;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::{Attributes, Value};

/// Reads and changes objects of every kind. Reads are repeated as the engine decides; a change is one attempt.
#[derive(Clone)]
pub struct Provider {
    connections: Arc<Connections>,
    rest: RestDriver,
    dynamo: Dynamo,
}

impl Provider {
    pub fn new(connections: Arc<Connections>) -> Self {
        let linode = LinodeApi { connections: Arc::clone(&connections), place: None };
        let dynamo = Dynamo { connections: Arc::clone(&connections) };
        Self {
            connections,
            rest: RestDriver {
                linode,
                awaited: PendingAttributes::default(),
                events: Events::default(),
                grants: UserGrants::default(),
            },
            dynamo,
        }
    }

    /// From now on nothing connects to the endpoints of these fault domains, and of no others.
    pub fn lose(&self, fault_domains: &[String]) {
        self.connections.lose(fault_domains);
    }

    /// Whose credentials these are: state is bound to the answer, and `bound` is what it is bound to so far.
    pub async fn account(&self, cloud: &str, bound: Option<&str>) -> Result<String, ProviderError> {
        if self.connections.settings.sandbox {
            return Ok("sandbox".to_owned());
        }
        match cloud {
            "linode" => self.rest.linode.account(bound).await,
            "aws" => self.dynamo.account().await,
            other => Err(ProviderError::new(ErrorClass::Rejected, other, "no such cloud")),
        }
    }

    /// What is seen of each object, in the order of the questions.
    pub async fn observe(&self, questions: &[ReadQuery<'_>]) -> Vec<Observation> {
        self.look_around(questions, &Catalog::default()).await.0
    }

    /// The same, and what the lists that were read for it show beside, as far as these kinds can say it.
    pub async fn look_around(
        &self,
        questions: &[ReadQuery<'_>],
        catalog: &Catalog,
    ) -> (Vec<Observation>, Vec<Neighbor>) {
        let (ours, theirs): (Vec<usize>, Vec<usize>) =
            (0..questions.len()).partition(|at| is_dynamodb(questions[*at].kind));
        let pick = |list: &[usize]| list.iter().map(|at| questions[*at]).collect::<Vec<_>>();
        let (tables, rows) = (pick(&ours), pick(&theirs));
        let (tables, (rows, beside)) = tokio::join!(
            self.dynamo.observe(&tables),
            listing::observe(&self.rest, &rows, catalog)
        );
        let mut answers: Vec<(usize, Observation)> =
            ours.into_iter().zip(tables).chain(theirs.into_iter().zip(rows)).collect();
        answers.sort_by_key(|(at, _)| *at);
        (answers.into_iter().map(|(_, it)| it).collect(), beside)
    }

    /// Writes something into one member of a group and waits until another has it; the time that took, on the session's
    /// clock, from the acknowledged write to the first read. What was written is taken away again.
    pub async fn replicates(
        &self,
        writer: MemberRead<'_>,
        reader: MemberRead<'_>,
        within: Duration,
    ) -> Result<Duration, ProviderError> {
        let of = |it: &MemberRead<'_>| {
            let group = it.kind.group.as_ref()?;
            let text = |name: &str| it.attributes.get(name).and_then(Value::as_text);
            Some((text(&group.name)?.to_owned(), text(&group.region)?.to_owned()))
        };
        let why = match (of(&writer), of(&reader)) {
            (Some((name, from)), Some((other, to))) if name == other && from != to => {
                return self.dynamo.replicates(writer, reader, within).await;
            }
            (Some(one), Some(other)) if one == other => "a member does not replicate to itself",
            (Some(_), Some(_)) => "they are not members of one group",
            _ => "they are not both members of a known group",
        };
        let endpoint = format!("{} and {}", writer.kind.kind, reader.kind.kind);
        Err(ProviderError::new(ErrorClass::Rejected, endpoint, why))
    }

    /// A list that the cloud keeps of what it offers, or one object such as the account's settings.
    pub async fn offers(
        &self,
        source: OfferSource,
        path: &str,
    ) -> Result<Vec<Json>, ProviderError> {
        match source {
            OfferSource::List => self.rest.linode.list(path, None).await,
            OfferSource::Object => Ok(vec![self.rest.linode.get(path, &[], None).await?]),
            OfferSource::Quotas => {
                let region = path.rsplit_once(':').map_or(path, |it| it.1);
                Ok(vec![self.dynamo.quotas(region).await?])
            }
        }
    }

    /// The user of the token that kinds with routes are reached by, where it does not see everything; read at most once
    /// between two looks at the world.
    pub async fn restricted(&self) -> Result<Option<Restricted>, ProviderError> {
        self.rest.grants.read(&self.rest.linode).await
    }

    /// Whatever is in the collection of a kind with routes, with ids.
    pub async fn inside(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        self.rest.inside(kind, attributes).await
    }

    /// The filters that stand before an object of a kind with routes, whoever attached them: their ids, and what they say in
    /// the words of `wall`, their kind.
    pub async fn filters(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        wall: &Kind,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        self.rest.filters(kind, id, attributes, wall).await
    }

    /// Objects of the same identity, whoever made them.
    pub async fn alike(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<Candidate>, ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.alike(kind, attributes).await
        } else {
            self.rest.alike(kind, attributes).await
        }
    }

    pub async fn create(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.create(kind, attributes, mark).await
        } else {
            self.rest.create(kind, attributes, mark).await
        }
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
        if is_dynamodb(kind) {
            self.dynamo.update(kind, attributes, group, mark).await
        } else {
            self.rest.update(kind, id, attributes, group, changed, mark).await
        }
    }

    /// What is not there any more is deleted already.
    pub async fn delete(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<(), ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.delete(kind, attributes).await
        } else {
            self.rest.delete(kind, id, attributes).await
        }
    }

    /// The same for somebody who waits until it is ready and looks again after `pause`: nothing is read for each that can
    /// be read for all.
    pub async fn ready(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        pause: Duration,
    ) -> Result<ReadResult, ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.look(kind, attributes).await
        } else {
            self.rest.ready(kind, id, attributes, pause).await
        }
    }

    /// The same, also with those of these attributes that only other lists tell.
    pub async fn look_at(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        told: &[String],
    ) -> Result<ReadResult, ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.look(kind, attributes).await
        } else {
            self.rest.look_at(kind, id, attributes, told).await
        }
    }

    /// What one object is now, as far as it tells itself.
    pub async fn look(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<ReadResult, ProviderError> {
        if is_dynamodb(kind) {
            self.dynamo.look(kind, attributes).await
        } else {
            self.rest.look_at(kind, id, attributes, &[]).await
        }
    }
}

/// Kinds with routes go to the API that is driven by them; this provider has a driver of its own.
fn is_dynamodb(kind: &Kind) -> bool {
    kind.provider == "dynamodb"
}
