//! The driver of DynamoDB's kinds: tables and the further members of their groups.

mod regions;
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
mod heartbeat;
mod surroundings;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::driver::{Driver, Misdirected, Reply, Tried, unable};
use crate::cloud::dynamodb::regions::AWS;
use crate::cloud::dynamodb::replication_probe::ProbeInFlight;
pub use crate::cloud::dynamodb::table_ref::JOIN;
pub(crate) use crate::cloud::dynamodb::table_ref::{Dynamo, TableRef};
use crate::cloud::dynamodb::table_ref::{is_replica, joins};
use crate::cloud::error::ProviderError;
use crate::cloud::read::{Created, GroupHeartbeat, MemberRead, ReadQuery, ReadResult};
use crate::cloud::settings::{host, is_loopback};
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::plan::checks::offers::OfferSource;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::Attributes;

/// What kinds call the driver in `provider`.
const DYNAMODB: &str = "dynamodb";

/// How many steps run at once. AWS documents 500 control-plane operations at once, but an account is throttled much earlier:
/// of ten mutations sent together, three to five were (measured in October 2026 by the public lab ack-api-quirks).
const AT_ONCE: usize = 4;

impl Driver for Dynamo {
    fn provider(&self) -> &str {
        DYNAMODB
    }

    fn cloud(&self) -> &str {
        AWS
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn is_local(&self) -> bool {
        self.connections.settings.dynamodb_endpoint.as_deref().is_some_and(is_loopback)
    }

    /// One address instead of AWS stands for one region, unless it is an emulator on this machine.
    fn misdirected(&self, asked: &[&Attributes]) -> Option<Misdirected> {
        let endpoint = &self.connections.settings.dynamodb_endpoint;
        let endpoint = endpoint.as_ref().filter(|it| !is_loopback(it))?;
        let regions: BTreeSet<&str> =
            asked.iter().filter_map(|it| it.get("region")?.as_text()).collect();
        if regions.len() > 1 {
            let regions: Vec<&str> = regions.into_iter().collect();
            let what = format!(
                "AWS_ENDPOINT_URL_DYNAMODB is {endpoint}, but this stack is in {}",
                regions.join(" and ")
            );
            let help = "one endpoint cannot serve several regions, except on loopback; unset it";
            return Some(Misdirected { what, help });
        }
        let is_plain = !regions.is_empty() && endpoint.starts_with("http://");
        is_plain.then(|| Misdirected {
            what: format!(
                "AWS_ENDPOINT_URL_DYNAMODB is {endpoint}, but credentials are never sent over plain HTTP"
            ),
            help: "use https, or an emulator on loopback",
        })
    }

    fn surroundings(&self) -> Reply<'_, Vec<(String, String)>> {
        Box::pin(surroundings::surroundings())
    }

    fn lose(&self, fault_domains: &[String]) {
        self.regions.lose(fault_domains);
    }

    fn account<'a>(&'a self, _bound: Option<&'a str>) -> Tried<'a, String> {
        Box::pin(async move {
            if let Some(endpoint) = &self.connections.settings.dynamodb_endpoint {
                return Ok(format!("endpoint:{}", host(endpoint)));
            }
            self.caller().await
        })
    }

    fn observe<'a>(
        &'a self,
        questions: &'a [ReadQuery<'a>],
        _catalog: &'a Catalog,
    ) -> Reply<'a, (Vec<Observation>, Vec<Neighbor>)> {
        Box::pin(async move { (read::observe(self, questions).await, Vec::new()) })
    }

    fn offers<'a>(&'a self, source: OfferSource, path: &'a str) -> Tried<'a, Vec<Json>> {
        if source != OfferSource::Quotas {
            return unable(path, "DynamoDB tells only what an account may have");
        }
        Box::pin(async move {
            let region = path.rsplit_once(':').map_or(path, |it| it.1);
            Ok(vec![self.quotas(region).await?])
        })
    }

    fn alike<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
    ) -> Tried<'a, Vec<Candidate>> {
        Box::pin(async move {
            let place = TableRef::of(kind, attributes)?;
            if joins(kind, attributes) {
                self.in_its_place(&place, attributes).await
            } else {
                self.same_named(&place).await
            }
        })
    }

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
        mark: Option<&'a str>,
    ) -> Tried<'a, Created> {
        Box::pin(async move {
            let place = TableRef::of(kind, attributes)?;
            if joins(kind, attributes) {
                return self.join(&place, attributes).await;
            }
            self.create_table(kind, &place, attributes, mark).await
        })
    }

    fn update<'a>(
        &'a self,
        kind: &'a Kind,
        _id: &'a str,
        attributes: &'a Attributes,
        group: &'a str,
        _changed: &'a [String],
        mark: Option<&'a str>,
    ) -> Tried<'a, Attributes> {
        Box::pin(async move {
            self.set(kind, attributes, group, mark).await?;
            // A 200 means accepted, not applied, and its body is not the new state: only looking tells.
            Ok(Attributes::new())
        })
    }

    fn delete<'a>(
        &'a self,
        kind: &'a Kind,
        _id: &'a str,
        attributes: &'a Attributes,
    ) -> Tried<'a, ()> {
        Box::pin(async move {
            let place = TableRef::of(kind, attributes)?;
            if is_replica(kind) {
                self.leave(&place, attributes).await
            } else {
                self.delete_table(&place).await
            }
        })
    }

    fn look<'a>(
        &'a self,
        kind: &'a Kind,
        _id: &'a str,
        attributes: &'a Attributes,
        _told: &'a [String],
    ) -> Tried<'a, ReadResult> {
        Box::pin(async move {
            let place = TableRef::of(kind, attributes)?;
            if is_replica(kind) {
                self.look_at_member(kind, &place, attributes).await
            } else {
                self.look_at_table(kind, &place, attributes).await
            }
        })
    }

    fn replicates<'a>(
        &'a self,
        writer: MemberRead<'a>,
        reader: MemberRead<'a>,
        within: Duration,
    ) -> Tried<'a, Duration> {
        Box::pin(async move {
            let from = TableRef::of(writer.kind, writer.attributes)?;
            let to = TableRef::of(reader.kind, reader.attributes)?;
            self.canary(ProbeInFlight { writer: &from, reader: &to, within }).await
        })
    }

    fn beat<'a>(&'a self, writer: MemberRead<'a>, heartbeat: &'a GroupHeartbeat) -> Tried<'a, ()> {
        Box::pin(async move {
            let place = TableRef::of(writer.kind, writer.attributes)?;
            self.write_heartbeat(&place, heartbeat).await
        })
    }

    fn last_beat<'a>(&'a self, reader: MemberRead<'a>) -> Tried<'a, Option<GroupHeartbeat>> {
        Box::pin(async move {
            let place = TableRef::of(reader.kind, reader.attributes)?;
            self.read_heartbeat(&place).await
        })
    }
}

impl Dynamo {
    /// Carries one update group.
    async fn set(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        group: &str,
        mark: Option<&str>,
    ) -> Result<(), ProviderError> {
        let place = TableRef::of(kind, attributes)?;
        match group {
            "billing" => self.set_billing(&place, attributes).await,
            "stream" => self.set_stream(&place, attributes).await,
            "deletion_protection" => self.set_protection(&place, attributes).await,
            "point_in_time_recovery" => self.set_recovery(&place, attributes).await,
            "ttl" => self.set_ttl(&place, attributes).await,
            "tags" => self.set_tags(&place, attributes, mark).await,
            other => {
                let words = format!("{} has no way `{other}` of updating", kind.kind);
                Err(ProviderError::new(ErrorClass::Rejected, kind.kind.clone(), words))
            }
        }
    }
}
