//! The driver of every kind that has routes: creates, updates, deletes, looks and finds, from data alone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::cloud::error::ProviderError;
use crate::cloud::http::identity::{identity, part};
use crate::cloud::read::{Created, ReadResult};
use crate::cloud::rest::dialect::Dialect;
use crate::cloud::rest::pending_attributes::{PendingAttributes, missing};
use crate::cloud::wire::decode::{at, decoded, id, looked_up, lookups, mark};
use crate::cloud::wire::routes::Routes;
use crate::engine::containment::container;
use crate::engine::observed::Candidate;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Kind, Ready};
use crate::engine::value::{Attributes, Value};

/// A list of running jobs that is younger than this is good enough for somebody who goes on waiting anyway: waits poll no more
/// often than once a second, so that all of them share one list.
const FRESH: Duration = Duration::from_secs(1);

/// Acts on kinds with routes.
#[derive(Clone)]
pub(crate) struct RestDriver {
    pub dialect: Arc<dyn Dialect>,
    pub awaited: PendingAttributes,
}

impl RestDriver {
    pub(crate) fn new(dialect: Arc<dyn Dialect>) -> Self {
        Self { dialect, awaited: PendingAttributes::default() }
    }

    pub(crate) async fn make(
        &self,
        kind: &Kind,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Created, ProviderError> {
        let call = self.plan(kind, |it| it.create(attributes, mark))?;
        let row = self.dialect.change(&call).await?;
        let Some(id) = id(&row) else {
            let endpoint = format!("{} {}", call.method, self.dialect.url(&call.path));
            return Err(ProviderError::new(
                ErrorClass::UnknownOutcome,
                endpoint,
                "the response contains no ID",
            ));
        };
        self.dialect.made(kind, &id).await;
        Ok(Created { id, attributes: decoded(kind, &row) })
    }

    pub(crate) async fn change(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        group: &str,
        changed: &[String],
        mark: Option<&str>,
    ) -> Result<Attributes, ProviderError> {
        let call = self.plan(kind, |it| it.update(id, attributes, group, changed, mark))?;
        let answer = match self.dialect.change(&call).await {
            Ok(answer) => Some(answer),
            // A call that was cut off has arrived after all: the cloud refuses to make again what it has made.
            Err(error) if error.fault == ErrorClass::Rejected && !changed.is_empty() => {
                if !self.is_so(kind, id, attributes, changed).await? {
                    return Err(error);
                }
                None
            }
            Err(error) => return Err(error),
        };
        let object = self.plan(kind, |it| it.object(id, attributes))?;
        self.awaited.expect(kind, &object, group, changed, attributes);
        let Some(answer) = answer else { return Ok(Attributes::new()) };
        let row = self.plan(kind, |it| Ok(it.whole_answer(group, answer)))?;
        Ok(row.map(|row| decoded(kind, &row)).unwrap_or_default())
    }

    /// Whether an object has these attributes already.
    async fn is_so(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        names: &[String],
    ) -> Result<bool, ProviderError> {
        Ok(match self.look_at(kind, id, attributes, names).await? {
            ReadResult::Exists { attributes: seen, .. } => {
                let wanted = |it: &String| attributes.get(it).unwrap_or(&Value::Null);
                names.iter().all(|it| seen.get(it) == Some(wanted(it)))
            }
            ReadResult::Absent => false,
        })
    }

    pub(crate) async fn remove(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Result<(), ProviderError> {
        let call = self.plan(kind, |it| it.delete(id, attributes))?;
        match self.dialect.change(&call).await {
            Ok(_) => Ok(()),
            Err(error) if error.fault == ErrorClass::Missing => {
                self.gone(kind, id, attributes, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// What is "not found" is gone, unless it is hidden from this user.
    async fn gone(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        error: ProviderError,
    ) -> Result<(), ProviderError> {
        match self.dialect.hides(kind, id, attributes).await {
            None => Ok(()),
            Some(words) => Err(ProviderError { fault: ErrorClass::Denied, words, ..error }),
        }
    }

    /// Whether an object is ready. What its events say is read once for all who wait, and only when they say that nothing
    /// is under way the object itself is looked at.
    pub(crate) async fn is_ready(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        pause: Duration,
    ) -> Result<ReadResult, ProviderError> {
        if let Some(why) = self.at_work(kind, id, pause.min(FRESH)).await? {
            let (attributes, why_not) = (Attributes::new(), Some(why));
            return Ok(ReadResult::Exists { attributes, ready: false, why_not });
        }
        self.look_at(kind, id, attributes, &[]).await
    }

    /// Looks at one object. What only other lists tell of it is looked up if it is awaited or `told` names it: one GET is
    /// enough otherwise.
    pub(crate) async fn look_at(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
        told: &[String],
    ) -> Result<ReadResult, ProviderError> {
        let path = self.plan(kind, |it| it.object(id, attributes))?;
        let row = match self.dialect.object(&path, id).await {
            Ok(row) => row,
            Err(error) if error.fault == ErrorClass::Missing => {
                self.awaited.forget(&path);
                return self.gone(kind, id, attributes, error).await.map(|()| ReadResult::Absent);
            }
            Err(error) => return Err(error),
        };
        let mut seen = decoded(kind, &row);
        let awaited = self.awaited.of(&path);
        for (name, lookup) in lookups(kind) {
            if told.contains(name) || awaited.contains_key(name) {
                let rows = self.dialect.list(&lookup.list, None).await?;
                seen.insert(name.clone(), looked_up(lookup, &rows, id));
            }
        }
        let mut why_not = not_ready(kind, &row, &expected(attributes, &seen, awaited.clone()))
            .or_else(|| missing(kind, &awaited, &seen));
        if why_not.is_none() {
            why_not = self.at_work(kind, id, Duration::ZERO).await?;
        }
        if why_not.is_none() {
            self.awaited.forget(&path);
        }
        Ok(ReadResult::Exists { attributes: seen, ready: why_not.is_none(), why_not })
    }

    /// Objects of the same identity, whoever made them.
    pub(crate) async fn same_identity(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<Candidate>, ProviderError> {
        let path = self.plan(kind, |it| it.collection(attributes))?;
        let wanted = self.plan(kind, |it| {
            let missing = || format!("the identity of this {} is unknown", it.kind.kind);
            identity(it.kind, attributes).ok_or_else(missing)
        })?;
        let filter = self.plan(kind, |it| Ok(filter(it, attributes)))?;
        let rows = match self.dialect.list(&path, filter.as_ref()).await {
            Ok(rows) => rows,
            // Nothing is in a container that is not there.
            Err(error) if error.fault == ErrorClass::Missing => {
                let container = container(kind, attributes).map_or("", |it| it.id);
                self.dialect.restricted().await?;
                self.gone(kind, container, attributes, error).await?;
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let alike = rows.iter().filter(|row| is_same(kind, row, attributes, &wanted));
        Ok(alike
            .filter_map(|row| {
                let (created, mark) = (created(row), mark(kind, row));
                Some(Candidate { id: id(row)?, created, mark, foreign: false })
            })
            .collect())
    }

    /// Whatever is in a collection.
    pub(crate) async fn rows(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        let path = self.plan(kind, |it| it.collection(attributes))?;
        match self.dialect.list(&path, None).await {
            Ok(rows) => {
                Ok(rows.iter().filter_map(|row| Some((id(row)?, decoded(kind, row)))).collect())
            }
            Err(error) if error.fault == ErrorClass::Missing => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The filters that stand before an object, with their ids, in the words of their kind.
    pub(crate) async fn filters_of(
        &self,
        kind: &Kind,
        of: &str,
        attributes: &Attributes,
        wall: &Kind,
    ) -> Result<Vec<(String, Attributes)>, ProviderError> {
        let Some(path) = self.plan(kind, |it| it.filters(of, attributes))? else {
            return Ok(Vec::new());
        };
        match self.dialect.list(&path, None).await {
            Ok(rows) => {
                let told = rows.iter().filter_map(|row| Some((id(row)?, decoded(wall, row))));
                Ok(told.collect())
            }
            Err(error) if error.fault == ErrorClass::Missing => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What the kind's data makes of a request; what it cannot make is a refusal before any request.
    fn plan<'k, T>(
        &self,
        kind: &'k Kind,
        make: impl FnOnce(Routes<'k>) -> Result<T, String>,
    ) -> Result<T, ProviderError> {
        Routes::of(kind).and_then(make).map_err(|why| {
            ProviderError::new(
                ErrorClass::Rejected,
                format!("{} at {}", kind.kind, self.dialect.url("")),
                why,
            )
        })
    }

    /// An event of the object that is scheduled or started, in words, in a list that is at most so old.
    async fn at_work(
        &self,
        kind: &Kind,
        id: &str,
        age: Duration,
    ) -> Result<Option<String>, ProviderError> {
        let ready = kind.rest.as_ref().and_then(|it| it.ready.as_ref());
        match ready.and_then(|it| it.quiet.as_ref()) {
            Some(entity) => self.dialect.under_way(entity, id, age).await,
            None => Ok(None),
        }
    }
}

/// Whether a row has the wanted identity; parents, which stand in the path, are not in the row.
pub(crate) fn is_same(kind: &Kind, row: &Json, asked: &Attributes, wanted: &[String]) -> bool {
    let mut seen = asked.clone();
    seen.extend(decoded(kind, row));
    identity(kind, &seen).is_some_and(|it| it == wanted)
}

/// The filter header that narrows a list to one identity, where the API can.
fn filter(routes: Routes<'_>, attributes: &Attributes) -> Option<Json> {
    let mut filter = Map::new();
    for name in routes.rest.filter.iter().filter(|it| routes.kind.identity.by.contains(*it)) {
        filter.insert(name.clone(), part(routes.kind, name, attributes)?.into());
    }
    (!filter.is_empty()).then(|| filter.into())
}

/// What an object is on its way to: what it shows, but for what it was told to become. What is asked for beyond that may
/// be the business of a later step.
pub(crate) fn expected(asked: &Attributes, seen: &Attributes, awaited: Attributes) -> Attributes {
    let mut expected = asked.clone();
    expected.extend(seen.clone());
    expected.extend(awaited);
    expected
}

/// Why a row is not usable yet, in words; nothing when it is.
pub(crate) fn not_ready(kind: &Kind, row: &Json, attributes: &Attributes) -> Option<String> {
    let ready = kind.rest.as_ref()?.ready.as_ref()?;
    let now = at(row, &ready.field)?.as_str()?;
    let wanted = if rests(ready, attributes) { &ready.or } else { &ready.is };
    let is_ready = wanted.iter().any(|it| it == now);
    (!is_ready)
        .then(|| format!("its {} is `{now}`, not yet `{}`", ready.field, wanted.join("` or `")))
}

/// Whether the object is meant to stand still.
fn rests(ready: &Ready, attributes: &Attributes) -> bool {
    let off =
        ready.unless.as_ref().is_some_and(|name| attributes.get(name) == Some(&Value::Bool(false)));
    let bare = ready
        .unless_null
        .as_ref()
        .is_some_and(|name| attributes.get(name).is_none_or(Value::is_null));
    off || bare
}

/// When a row was made, in milliseconds; the API writes UTC without saying so.
fn created(row: &Json) -> Option<i64> {
    let text = row.get("created")?.as_str()?;
    let time: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
