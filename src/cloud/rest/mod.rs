//! The driver of every kind that a `kind.yaml` describes with routes.

pub(crate) mod dialect;
pub(crate) mod pending_attributes;
pub(crate) mod driver;
pub(crate) mod listing;

use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::driver::{Driver, Reply, Tried};
use crate::cloud::error::ProviderError;
use crate::cloud::read::{Created, ReadQuery, ReadResult};
use crate::cloud::rest::driver::RestDriver;
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::plan::checks::offers::OfferSource;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::Attributes;

impl Driver for RestDriver {
    fn provider(&self) -> &str {
        self.dialect.provider()
    }

    fn cloud(&self) -> &str {
        self.dialect.cloud()
    }

    fn at_once(&self) -> usize {
        self.dialect.at_once()
    }

    fn is_local(&self) -> bool {
        self.dialect.is_local()
    }

    fn account<'a>(&'a self, bound: Option<&'a str>) -> Tried<'a, String> {
        self.dialect.account(bound)
    }

    fn observe<'a>(
        &'a self,
        questions: &'a [ReadQuery<'a>],
        catalog: &'a Catalog,
    ) -> Reply<'a, (Vec<Observation>, Vec<Neighbor>)> {
        Box::pin(listing::observe(self, questions, catalog))
    }

    fn offers<'a>(&'a self, source: OfferSource, path: &'a str) -> Tried<'a, Vec<Json>> {
        Box::pin(async move {
            match source {
                OfferSource::List => self.dialect.list(path, None).await,
                OfferSource::Object => Ok(vec![self.dialect.get(path).await?]),
                OfferSource::Quotas => Err(ProviderError::new(
                    ErrorClass::Rejected,
                    path,
                    "this cloud does not tell what an account may have",
                )),
            }
        })
    }

    fn restricted(&self) -> Tried<'_, Option<Restricted>> {
        self.dialect.restricted()
    }

    fn inside<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
    ) -> Tried<'a, Vec<(String, Attributes)>> {
        Box::pin(self.rows(kind, attributes))
    }

    fn filters<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        wall: &'a Kind,
    ) -> Tried<'a, Vec<(String, Attributes)>> {
        Box::pin(self.filters_of(kind, id, attributes, wall))
    }

    fn alike<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
    ) -> Tried<'a, Vec<Candidate>> {
        Box::pin(self.same_identity(kind, attributes))
    }

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
        mark: Option<&'a str>,
    ) -> Tried<'a, Created> {
        Box::pin(self.make(kind, attributes, mark))
    }

    fn update<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        group: &'a str,
        changed: &'a [String],
        mark: Option<&'a str>,
    ) -> Tried<'a, Attributes> {
        Box::pin(self.change(kind, id, attributes, group, changed, mark))
    }

    fn delete<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
    ) -> Tried<'a, ()> {
        Box::pin(self.remove(kind, id, attributes))
    }

    fn look<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        told: &'a [String],
    ) -> Tried<'a, ReadResult> {
        Box::pin(self.look_at(kind, id, attributes, told))
    }

    fn ready<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        pause: Duration,
    ) -> Tried<'a, ReadResult> {
        Box::pin(self.is_ready(kind, id, attributes, pause))
    }
}
