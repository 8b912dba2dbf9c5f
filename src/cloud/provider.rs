//! The one door to the clouds: every kind says which driver acts on it, and here that driver is found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value as Json;

pub use crate::cloud::dynamodb::JOIN;
pub use crate::cloud::read::{Created, GroupHeartbeat, MemberRead, ReadQuery, ReadResult};

use crate::cloud::driver::{Driver, Misdirected};
use crate::cloud::dynamodb::Dynamo;
use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::Connections;
use crate::cloud::linode::LinodeDialect;
use crate::cloud::rest::driver::RestDriver;
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::plan::checks::offers::OfferRequest;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::{Attributes, Value};

/// Reads and changes objects of every kind. Reads are repeated as the engine decides; a change is one attempt.
#[derive(Clone)]
pub struct Provider {
    drivers: Arc<[Arc<dyn Driver>]>,
    /// No account is to be checked: there is only one.
    is_sandbox: bool,
}

impl Provider {
    /// The drivers of the built-in kinds.
    pub fn new(connections: Arc<Connections>) -> Self {
        let is_sandbox = connections.settings.sandbox;
        let linode = Arc::new(LinodeDialect::new(Arc::clone(&connections)));
        let rest: Arc<dyn Driver> = Arc::new(RestDriver::new(linode));
        let tables: Arc<dyn Driver> = Arc::new(Dynamo::new(connections));
        Self::over([rest, tables].into(), is_sandbox)
    }

    /// Over these drivers.
    pub(crate) fn over(drivers: Arc<[Arc<dyn Driver>]>, is_sandbox: bool) -> Self {
        Self { drivers, is_sandbox }
    }

    /// The driver that a kind names.
    fn driver(&self, kind: &Kind) -> Result<&dyn Driver, ProviderError> {
        self.driver_called(&kind.provider, &kind.kind)
    }

    /// The driver of this name; `asked`: what needs it.
    fn driver_called(&self, provider: &str, asked: &str) -> Result<&dyn Driver, ProviderError> {
        let found = self.drivers.iter().find(|it| it.provider() == provider);
        found.map(|it| &**it).ok_or_else(|| {
            let why = format!("this lifeboat has no driver `{provider}`");
            ProviderError::new(ErrorClass::Rejected, asked, why)
        })
    }

    /// How many steps a run carries out at once, by provider.
    pub fn at_once(&self) -> BTreeMap<String, usize> {
        self.drivers.iter().map(|it| (it.provider().to_owned(), it.at_once())).collect()
    }

    /// Whether every cloud is on this machine.
    pub fn is_local(&self) -> bool {
        self.drivers.iter().all(|it| it.is_local())
    }

    /// Why one of these objects cannot be where its calls go.
    pub fn misdirected(&self, asked: &[(&Kind, &Attributes)]) -> Option<Misdirected> {
        self.drivers.iter().find_map(|driver| {
            let own = asked.iter().filter(|(kind, _)| kind.provider == driver.provider());
            driver.misdirected(&own.map(|(_, it)| *it).collect::<Vec<_>>())
        })
    }

    /// What around this process leads calls, or the credentials for them, through a fault domain: what says so, and which.
    pub async fn surroundings(&self) -> Vec<(String, String)> {
        join_all(self.drivers.iter().map(|it| it.surroundings())).await.concat()
    }

    /// From now on nothing connects to the endpoints of these fault domains, and of no others.
    pub fn lose(&self, fault_domains: &[String]) {
        self.drivers.iter().for_each(|it| it.lose(fault_domains));
    }

    /// The account whose credentials these are: a state is bound to it, and `bound` is what it is bound to so far. An error
    /// means that it could not be read, not that it differs.
    pub async fn account(&self, cloud: &str, bound: Option<&str>) -> Result<String, ProviderError> {
        if self.is_sandbox {
            return Ok("sandbox".to_owned());
        }
        match self.drivers.iter().find(|it| it.cloud() == cloud) {
            Some(driver) => driver.account(bound).await,
            None => Err(ProviderError::new(ErrorClass::Rejected, cloud, "no such cloud")),
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
        let mut answers: Vec<Option<Observation>> = questions
            .iter()
            .map(|it| Some(Observation::Unknown(self.driver(it.kind).err()?.unseen())))
            .collect();
        let asked = |driver: &Arc<dyn Driver>| -> Vec<(usize, ReadQuery<'_>)> {
            let questions = questions.iter().copied().enumerate();
            questions.filter(|(_, it)| it.kind.provider == driver.provider()).collect()
        };
        let asked: Vec<(Vec<usize>, Vec<ReadQuery<'_>>)> =
            self.drivers.iter().map(|it| asked(it).into_iter().unzip()).collect();
        let replies = self.drivers.iter().zip(&asked);
        let replies = replies.map(|(driver, (_, questions))| driver.observe(questions, catalog));
        let mut beside = Vec::new();
        for ((places, _), (seen, theirs)) in asked.iter().zip(join_all(replies).await) {
            for (at, seen) in places.iter().zip(seen) {
                answers[*at] = Some(seen);
            }
            beside.extend(theirs);
        }
        (answers.into_iter().flatten().collect(), beside)
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
                return self.driver(writer.kind)?.replicates(writer, reader, within).await;
            }
            (Some(one), Some(other)) if one == other => "a member does not replicate to itself",
            (Some(_), Some(_)) => "they are not members of one group",
            _ => "they are not both members of a known group",
        };
        let endpoint = format!("{} and {}", writer.kind.kind, reader.kind.kind);
        Err(ProviderError::new(ErrorClass::Rejected, endpoint, why))
    }

    /// Writes a heartbeat over the last one into one member of a group, in one attempt.
    pub async fn beat(
        &self,
        writer: MemberRead<'_>,
        heartbeat: &GroupHeartbeat,
    ) -> Result<(), ProviderError> {
        self.driver(writer.kind)?.beat(writer, heartbeat).await
    }

    /// The newest heartbeat that has come to this member of a group; `None`: there is none.
    pub async fn last_beat(
        &self,
        reader: MemberRead<'_>,
    ) -> Result<Option<GroupHeartbeat>, ProviderError> {
        self.driver(reader.kind)?.last_beat(reader).await
    }

    /// A list that a cloud keeps of what it offers, or one object such as the account's settings.
    pub async fn offers(&self, request: &OfferRequest) -> Result<Vec<Json>, ProviderError> {
        self.driver_called(&request.provider, &request.path)?
            .offers(request.source, &request.path)
            .await
    }

    /// The user of some credentials, where it does not see everything; read at most once between two looks at the world.
    pub async fn restricted(&self) -> Result<Option<Restricted>, ProviderError> {
        for driver in self.drivers.iter() {
            if let Some(user) = driver.restricted().await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// Whatever is in the collection of a kind, with ids.
    pub async fn inside(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        self.driver(kind)?.inside(kind, attributes).await
    }

    /// The filters that stand before an object, whoever attached them: their ids, and what they say in the words of `wall`,
    /// their kind.
    pub async fn filters(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        wall: &Kind,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        self.driver(kind)?.filters(kind, id, attributes, wall).await
    }

    /// Objects of the same identity, whoever made them.
    pub async fn alike(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<Candidate>, ProviderError> {
        self.driver(kind)?.alike(kind, attributes).await
    }

    /// Creates one object with all of its attributes. One attempt: an error of class `UnknownOutcome` means that it may exist.
    pub async fn create(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        self.driver(kind)?.create(kind, attributes, mark).await
    }

    /// Changes the attributes of one update group (`""` is the plain update) in one attempt, and returns what the cloud tells
    /// of the object afterwards.
    pub async fn update(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        group: &str,
        changed: &[String],
        mark: Option<&str>,
    ) -> Result<Attributes, ProviderError> {
        self.driver(kind)?.update(kind, id, attributes, group, changed, mark).await
    }

    /// Deletes one object in one attempt; one that does not exist any more counts as deleted.
    pub async fn delete(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<(), ProviderError> {
        self.driver(kind)?.delete(kind, id, attributes).await
    }

    /// What one object is now, for somebody who waits until it is ready and looks again after `pause`: nothing is read for
    /// each that can be read for all.
    pub async fn ready(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        pause: Duration,
    ) -> Result<ReadResult, ProviderError> {
        self.driver(kind)?.ready(kind, id, attributes, pause).await
    }

    /// The same, also with those of these attributes that only other lists tell.
    pub async fn look_at(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        told: &[String],
    ) -> Result<ReadResult, ProviderError> {
        self.driver(kind)?.look(kind, id, attributes, told).await
    }

    /// What one object is now, as far as it tells itself.
    pub async fn look(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<ReadResult, ProviderError> {
        self.driver(kind)?.look(kind, id, attributes, &[]).await
    }
}
