//! Observes many objects by listing: one list per collection, shared by every question about it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::cloud::breaker::Endpoint;
use crate::cloud::error::ProviderError;
use crate::cloud::http::identity::identity;
use crate::cloud::read::ReadQuery;
use crate::cloud::rest::dialect::Dialect;
use crate::cloud::rest::driver::{RestDriver, expected, is_same, not_ready};
use crate::cloud::wire::decode::{decoded, id, looked_up, lookups, mark};
use crate::cloud::wire::routes::Routes;
use crate::engine::observed::{Neighbor, Observation, UnknownReason, Unreadable};
use crate::engine::plan::model::planned_change::looked_up_by;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, FaultDomain};
use crate::engine::value::{Attributes, Value};

/// How many requests run at once, to each place. A guess: a refresh of hundreds of lists is over soon enough, and a limit of
/// some hundred calls a minute is not used up in a burst.
const AT_ONCE: usize = 8;
/// How many containers are followed upwards. The deepest kind has two (a node in a config in a balancer); the limit only ends
/// a chain that leads back to itself.
const DEPTH: usize = 8;

/// What a list turned out to be.
enum ListedObject {
    Rows {
        rows: Vec<Json>,
        by_id: BTreeMap<String, usize>,
    },
    /// The container of this collection is not there.
    NoContainer,
    Unseen(Unreadable),
}

type ObjectLists = BTreeMap<String, ListedObject>;

/// Answers every question that is about a kind with routes, in the order given; and what the lists show beside.
pub(crate) async fn observe(
    rest: &RestDriver,
    questions: &[ReadQuery<'_>],
    catalog: &Catalog,
) -> (Vec<Observation>, Vec<Neighbor>) {
    let dialect = &*rest.dialect;
    dialect.forget_grants().await;
    let places: Vec<Result<String, String>> = questions.iter().map(place).collect();
    let together = SharedLists::new(questions);
    let mut paths: BTreeMap<String, Option<Endpoint>> = BTreeMap::new();
    for (question, place) in questions.iter().zip(&places) {
        if let Ok(path) = place {
            let nested = Routes::of(question.kind).is_ok_and(|it| it.is_nested());
            paths.insert(path.clone(), nested.then(|| together.place(dialect, question, path)));
        }
        for (_, lookup) in lookups(question.kind) {
            paths.entry(lookup.list.clone()).or_insert(None);
        }
    }
    let lists = lists(dialect, paths).await;
    let mut objects = BTreeMap::new();
    for (question, place) in questions.iter().zip(&places) {
        if let (Ok(path), Some(id)) = (place, question.id)
            && let Some(ListedObject::Rows { by_id, .. }) = lists.get(path)
            && !by_id.contains_key(id)
            && let Ok(object) =
                Routes::of(question.kind).and_then(|it| it.object(id, question.attributes))
        {
            let place = together.place(dialect, question, &object);
            objects.insert(object, (place, id.to_owned()));
        }
    }
    let confirmed = confirmed(dialect, objects).await;
    let answers = questions.iter().zip(&places).map(|(question, place)| match place {
        Ok(path) => answer(question, path, &lists, &confirmed),
        Err(why) => unclear(why.clone()),
    });
    let mut answers: Vec<Observation> = answers.collect();
    unhide(rest, questions, &mut answers).await;
    let mut beside = beside(questions, &places, &lists);
    let attached = attached(questions, &lists, catalog);
    let is_new =
        |it: &Neighbor| beside.iter().all(|one| (&one.kind, &one.id) != (&it.kind, &it.id));
    let attached: Vec<Neighbor> = attached.into_iter().filter(is_new).collect();
    beside.extend(attached);
    (answers, beside)
}

/// What state knows nothing of, and that either users take for what was asked about or some stack has marked as its own.
fn beside(
    questions: &[ReadQuery<'_>],
    places: &[Result<String, String>],
    lists: &ObjectLists,
) -> Vec<Neighbor> {
    let known: BTreeSet<(&str, &str)> =
        questions.iter().filter_map(|it| Some((it.kind.kind.as_str(), it.id?))).collect();
    let mut by_list: BTreeMap<&str, (&ReadQuery<'_>, BTreeSet<String>)> = BTreeMap::new();
    for (question, place) in questions.iter().zip(places) {
        let Ok(path) = place else { continue };
        let name = looked_up_by(question.kind, question.attributes);
        if name.is_some() || question.kind.mark.is_some() {
            by_list.entry(path).or_insert((question, BTreeSet::new())).1.extend(name);
        }
    }
    let mut found = Vec::new();
    for (path, (question, names)) in by_list {
        let Some(ListedObject::Rows { rows, .. }) = lists.get(path) else { continue };
        let kind = question.kind;
        let of_path = |name: &str| kind.contains_in.as_deref() == name.split('.').next();
        let container = question.attributes.iter().filter(|(name, _)| of_path(name));
        let container: Attributes =
            container.map(|(name, value)| (name.clone(), value.clone())).collect();
        for row in rows {
            let Some(id) = id(row).filter(|it| !known.contains(&(kind.kind.as_str(), it.as_str())))
            else {
                continue;
            };
            let mut attributes = container.clone();
            attributes.extend(decoded(kind, row));
            let mark = mark(kind, row);
            let is_named = looked_up_by(kind, &attributes).is_some_and(|it| names.contains(&it));
            if is_named || mark.is_some() {
                found.push(Neighbor { kind: kind.kind.clone(), id, attributes, mark });
            }
        }
    }
    found
}

/// Filters that state knows nothing of and that stand before what was asked about, or are to.
fn attached(questions: &[ReadQuery<'_>], lists: &ObjectLists, catalog: &Catalog) -> Vec<Neighbor> {
    let known: BTreeSet<(&str, &str)> =
        questions.iter().filter_map(|it| Some((it.kind.kind.as_str(), it.id?))).collect();
    let mut found: BTreeMap<(&str, String), Neighbor> = BTreeMap::new();
    for question in questions {
        for (name, lookup) in lookups(question.kind) {
            let of = question.kind.attribute(name).and_then(|it| catalog.get(it.to.as_ref()?));
            let Some(kind) = of.filter(|it| it.packets.is_some()) else { continue };
            let Some(ListedObject::Rows { rows, by_id }) = lists.get(&lookup.list) else {
                continue;
            };
            let seen = question.id.map(|own| looked_up(lookup, rows, own)).unwrap_or_default();
            let wanted = question.attributes.get(name).and_then(Value::as_text);
            for id in seen.as_text().into_iter().chain(wanted) {
                let row = by_id.get(id).map(|at| &rows[*at]);
                if let Some(row) = row.filter(|_| !known.contains(&(kind.kind.as_str(), id))) {
                    // Whose it is does not matter: it stands there.
                    let (attributes, mark) = (decoded(kind, row), None);
                    let it =
                        Neighbor { kind: kind.kind.clone(), id: id.to_owned(), attributes, mark };
                    found.insert((&kind.kind, id.to_owned()), it);
                }
            }
        }
    }
    found.into_values().collect()
}

/// What is recorded and "not found" may be hidden from the user of the token: whoever does not see it knows nothing of it.
async fn unhide(rest: &RestDriver, questions: &[ReadQuery<'_>], answers: &mut [Observation]) {
    let may_be_hidden = |question: &ReadQuery<'_>| {
        question.id.is_some() && question.kind.rest.as_ref().is_some_and(|it| it.grants.is_some())
    };
    let absent = questions
        .iter()
        .zip(answers)
        .filter_map(|(it, seen)| Some((it, it.id.filter(|_| may_be_hidden(it))?, seen)));
    let absent: Vec<_> = absent.filter(|(_, _, seen)| **seen == Observation::Absent).collect();
    if absent.is_empty() {
        return;
    }
    let restricted = rest.dialect.restricted().await;
    for (question, id, seen) in absent {
        let unseen = match &restricted {
            Ok(None) => None,
            Ok(Some(user)) => user
                .hides(question.kind, id, question.attributes)
                .map(|why| Unreadable::new(UnknownReason::Denied, why)),
            Err(why) => Some(why.unseen()),
        };
        if let Some(unseen) = unseen {
            *seen = Observation::Unknown(unseen);
        }
    }
}

fn place(question: &ReadQuery<'_>) -> Result<String, String> {
    Routes::of(question.kind)?.collection(question.attributes)
}

/// Which objects are lost together, as far as the questions tell.
struct SharedLists<'a> {
    questions: BTreeMap<(&'a str, &'a str), &'a ReadQuery<'a>>,
}

impl<'a> SharedLists<'a> {
    fn new(questions: &'a [ReadQuery<'a>]) -> Self {
        let known = questions.iter().filter_map(|it| Some(((it.kind.kind.as_str(), it.id?), it)));
        Self { questions: known.collect() }
    }

    /// The fault domain of the object; a container that nobody asks about stands for itself.
    fn place(&self, dialect: &dyn Dialect, question: &ReadQuery<'_>, path: &str) -> Endpoint {
        let name = self.fault_domain(question).unwrap_or_else(|| path.to_owned());
        Endpoint { name, endpoint: dialect.url("") }
    }

    fn fault_domain(&self, question: &ReadQuery<'_>) -> Option<String> {
        let mut at = question;
        for _ in 0..DEPTH {
            let text = |name: &str| match at.attributes.get(name)? {
                Value::Int(number) => Some(number.to_string()),
                other => other.as_text().map(str::to_owned),
            };
            match &at.kind.fault_domain {
                FaultDomain::Region(name) => {
                    return Some(format!("{}:{}", at.kind.cloud, text(name)?));
                }
                FaultDomain::Global(name) => return Some(name.clone()),
                FaultDomain::Of(reference) => {
                    let kind = at.kind.attribute(reference)?.to.as_deref()?;
                    at = self.questions.get(&(kind, text(reference)?.as_str()))?;
                }
            }
        }
        None
    }
}

/// Every list at once, within the limit. Those inside of an object depend on where that is.
async fn lists(dialect: &dyn Dialect, paths: BTreeMap<String, Option<Endpoint>>) -> ObjectLists {
    let jobs = paths.into_iter().map(|(path, place)| {
        let dialect = dialect.at(place.clone());
        let (name, nested) = (path.clone(), place.is_some());
        let job = async move { dialect.list(&path, None).await };
        (name, place, job, move |rows| listed(rows, nested))
    });
    all(dialect, jobs).await
}

fn listed(answer: Result<Vec<Json>, ProviderError>, nested: bool) -> ListedObject {
    match answer {
        Ok(rows) => {
            let by_id =
                rows.iter().enumerate().filter_map(|(at, row)| Some((id(row)?, at))).collect();
            ListedObject::Rows { rows, by_id }
        }
        Err(error) if nested && error.fault == ErrorClass::Missing => ListedObject::NoContainer,
        Err(error) => ListedObject::Unseen(error.unseen()),
    }
}

/// Objects that a list did not name, asked for one by one.
async fn confirmed(
    dialect: &dyn Dialect,
    objects: BTreeMap<String, (Endpoint, String)>,
) -> BTreeMap<String, Result<Json, ProviderError>> {
    let jobs = objects.into_iter().map(|(path, (place, id))| {
        let dialect = dialect.at(Some(place.clone()));
        let name = path.clone();
        let job = async move { dialect.object(&path, &id).await };
        (name, Some(place), job, |answer| answer)
    });
    all(dialect, jobs).await
}

/// Runs named jobs concurrently, a few at a time in each place; a place that does not answer holds up nobody else.
async fn all<A, T, F, M>(
    dialect: &dyn Dialect,
    jobs: impl Iterator<Item = (String, Option<Endpoint>, F, M)>,
) -> BTreeMap<String, T>
where
    A: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<A, ProviderError>> + Send + 'static,
    M: FnOnce(Result<A, ProviderError>) -> T + Send + 'static,
{
    let mut limits: BTreeMap<Option<String>, Arc<Semaphore>> = BTreeMap::new();
    let mut set = JoinSet::new();
    for (name, place, job, make) in jobs {
        let limit = limits.entry(place.as_ref().map(|it| it.name.clone()));
        let limit = Arc::clone(limit.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        let connections = Arc::clone(dialect.connections());
        let reading = async move {
            let call = async {
                let _turn = limit.acquire_owned().await.expect("the limit is never closed");
                job.await
            };
            let answer = match &place {
                Some(place) => connections.contacts.ask(place, call).await,
                None => call.await,
            };
            (name, make(answer))
        };
        set.spawn(reading.in_current_span());
    }
    let mut done = BTreeMap::new();
    while let Some(result) = set.join_next().await {
        let (name, value) = result.expect("reading does not panic, and nobody cancels it");
        done.insert(name, value);
    }
    done
}

fn answer(
    question: &ReadQuery<'_>,
    path: &str,
    lists: &ObjectLists,
    confirmed: &BTreeMap<String, Result<Json, ProviderError>>,
) -> Observation {
    let (rows, by_id) = match &lists[path] {
        ListedObject::Rows { rows, by_id } => (rows, by_id),
        ListedObject::NoContainer => return Observation::Absent,
        ListedObject::Unseen(why) => return Observation::Unknown(why.clone()),
    };
    let Some(id) = question.id else { return by_identity(question, rows, lists) };
    if let Some(at) = by_id.get(id) {
        return exists(question, &rows[*at], lists);
    }
    let object = Routes::of(question.kind).and_then(|it| it.object(id, question.attributes));
    match object.map(|it| &confirmed[&it]) {
        Ok(Ok(row)) => exists(question, row, lists),
        Ok(Err(error)) if error.fault == ErrorClass::Missing => Observation::Absent,
        Ok(Err(error)) => Observation::Unknown(error.unseen()),
        Err(why) => unclear(why),
    }
}

/// Without an id the identity has to find it, and has to find one.
fn by_identity(question: &ReadQuery<'_>, rows: &[Json], lists: &ObjectLists) -> Observation {
    let Some(wanted) = identity(question.kind, question.attributes) else {
        return unclear(format!(
            "neither the ID nor the identity of {} is known",
            question.address
        ));
    };
    let same = rows.iter().filter(|row| is_same(question.kind, row, question.attributes, &wanted));
    match same.collect::<Vec<_>>().as_slice() {
        [] => Observation::Absent,
        [row] => exists(question, row, lists),
        several => unclear(format!(
            "{} resources have the identity of {}",
            several.len(),
            question.address
        )),
    }
}

fn exists(question: &ReadQuery<'_>, row: &Json, lists: &ObjectLists) -> Observation {
    let mut attributes = decoded(question.kind, row);
    let own = id(row).unwrap_or_default();
    for (name, lookup) in lookups(question.kind) {
        match &lists[&lookup.list] {
            ListedObject::Rows { rows, .. } => {
                attributes.insert(name.clone(), looked_up(lookup, rows, &own));
            }
            // A list that may not be seen matters only to those who use it.
            ListedObject::Unseen(why) if uses(question.attributes, name) => {
                return Observation::Unknown(why.clone());
            }
            ListedObject::Unseen(_) | ListedObject::NoContainer => {}
        }
    }
    // An object that someone switched off stands still: that is drift, not unreadiness.
    let expected = expected(question.attributes, &attributes, Attributes::new());
    let ready = not_ready(question.kind, row, &expected).is_none();
    Observation::Exists { attributes, ready }
}

/// Nothing failed, and still nobody can say.
fn unclear(why: String) -> Observation {
    Observation::Unknown(Unreadable::new(UnknownReason::Unclear, why))
}

fn uses(attributes: &Attributes, name: &str) -> bool {
    attributes.get(name).is_some_and(|it| !it.is_null())
}
