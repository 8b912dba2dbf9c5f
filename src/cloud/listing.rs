//! Observes many objects by listing: one list per collection, shared by every question about it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cloud::decode::{decoded, id, looked_up, lookups};
use crate::cloud::error::ProviderError;
use crate::cloud::identity::identity;
use crate::cloud::linode::Linode;
use crate::cloud::look::Question;
use crate::cloud::rest::{expected, is_same, not_ready};
use crate::cloud::routes::Routes;
use crate::engine::observed::Observation;
use crate::engine::retry::Fault;
use crate::engine::value::Attributes;

/// Requests at one time.
const AT_ONCE: usize = 8;

/// What a list turned out to be.
enum Listed {
    Rows {
        rows: Vec<Json>,
        by_id: BTreeMap<String, usize>,
    },
    /// The container of this collection is not there.
    NoContainer,
    Unseen(String),
}

type Lists = BTreeMap<String, Listed>;

/// Answers every question that is about a kind with routes, in the order given.
pub(crate) async fn observe(linode: &Linode, questions: &[Question<'_>]) -> Vec<Observation> {
    let places: Vec<Result<String, String>> = questions.iter().map(place).collect();
    let mut paths: BTreeMap<String, bool> = BTreeMap::new();
    for (question, place) in questions.iter().zip(&places) {
        if let Ok(path) = place {
            let nested = Routes::of(question.kind).is_ok_and(|it| it.is_nested());
            paths.insert(path.clone(), nested);
        }
        for (_, lookup) in lookups(question.kind) {
            paths.entry(lookup.list.clone()).or_insert(false);
        }
    }
    let lists = lists(linode, paths).await;
    let mut objects = BTreeSet::new();
    for (question, place) in questions.iter().zip(&places) {
        if let (Ok(path), Some(id)) = (place, question.id)
            && let Some(Listed::Rows { by_id, .. }) = lists.get(path)
            && !by_id.contains_key(id)
            && let Ok(object) =
                Routes::of(question.kind).and_then(|it| it.object(id, question.attributes))
        {
            objects.insert(object);
        }
    }
    let confirmed = confirmed(linode, objects).await;
    questions
        .iter()
        .zip(&places)
        .map(|(question, place)| match place {
            Ok(path) => answer(question, path, &lists, &confirmed),
            Err(why) => Observation::Unseen(why.clone()),
        })
        .collect()
}

fn place(question: &Question<'_>) -> Result<String, String> {
    Routes::of(question.kind)?.collection(question.attributes)
}

/// Every list at once, within the limit.
async fn lists(linode: &Linode, paths: BTreeMap<String, bool>) -> Lists {
    let jobs = paths.into_iter().map(|(path, nested)| {
        let linode = linode.clone();
        let name = path.clone();
        (name, async move { listed(linode.list(&path, None).await, nested) })
    });
    together(jobs).await
}

fn listed(answer: Result<Vec<Json>, ProviderError>, nested: bool) -> Listed {
    match answer {
        Ok(rows) => {
            let by_id =
                rows.iter().enumerate().filter_map(|(at, row)| Some((id(row)?, at))).collect();
            Listed::Rows { rows, by_id }
        }
        Err(error) if nested && error.fault == Fault::Missing => Listed::NoContainer,
        Err(error) => Listed::Unseen(error.to_string()),
    }
}

/// Objects that a list did not name, asked for one by one.
async fn confirmed(
    linode: &Linode,
    objects: BTreeSet<String>,
) -> BTreeMap<String, Result<Json, ProviderError>> {
    let jobs = objects.into_iter().map(|path| {
        let linode = linode.clone();
        let name = path.clone();
        (name, async move { linode.get(&path, &[], None).await })
    });
    together(jobs).await
}

/// Runs named jobs concurrently, a few at a time.
async fn together<T, F>(jobs: impl Iterator<Item = (String, F)>) -> BTreeMap<String, T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let limit = Arc::new(Semaphore::new(AT_ONCE));
    let mut set = JoinSet::new();
    for (name, job) in jobs {
        let limit = Arc::clone(&limit);
        set.spawn(async move {
            let _turn = limit.acquire_owned().await.expect("the limit is never closed");
            (name, job.await)
        });
    }
    let mut done = BTreeMap::new();
    while let Some(result) = set.join_next().await {
        let (name, value) = result.expect("reading does not panic, and nobody cancels it");
        done.insert(name, value);
    }
    done
}

fn answer(
    question: &Question<'_>,
    path: &str,
    lists: &Lists,
    confirmed: &BTreeMap<String, Result<Json, ProviderError>>,
) -> Observation {
    let (rows, by_id) = match &lists[path] {
        Listed::Rows { rows, by_id } => (rows, by_id),
        Listed::NoContainer => return Observation::Absent,
        Listed::Unseen(why) => return Observation::Unseen(why.clone()),
    };
    let Some(id) = question.id else { return by_identity(question, rows, lists) };
    if let Some(at) = by_id.get(id) {
        return exists(question, &rows[*at], lists);
    }
    let object = Routes::of(question.kind).and_then(|it| it.object(id, question.attributes));
    match object.map(|it| &confirmed[&it]) {
        Ok(Ok(row)) => exists(question, row, lists),
        Ok(Err(error)) if error.fault == Fault::Missing => Observation::Absent,
        Ok(Err(error)) => Observation::Unseen(error.to_string()),
        Err(why) => Observation::Unseen(why),
    }
}

/// Without an id the identity has to find it, and has to find one.
fn by_identity(question: &Question<'_>, rows: &[Json], lists: &Lists) -> Observation {
    let Some(wanted) = identity(question.kind, question.attributes) else {
        return Observation::Unseen(format!(
            "neither id nor identity of {} is known",
            question.address
        ));
    };
    let same = rows.iter().filter(|row| is_same(question.kind, row, question.attributes, &wanted));
    match same.collect::<Vec<_>>().as_slice() {
        [] => Observation::Absent,
        [row] => exists(question, row, lists),
        several => Observation::Unseen(format!(
            "{} objects have the identity of {}",
            several.len(),
            question.address
        )),
    }
}

fn exists(question: &Question<'_>, row: &Json, lists: &Lists) -> Observation {
    let mut attributes = decoded(question.kind, row);
    let own = id(row).unwrap_or_default();
    for (name, lookup) in lookups(question.kind) {
        match &lists[&lookup.list] {
            Listed::Rows { rows, .. } => {
                attributes.insert(name.clone(), looked_up(lookup, rows, &own));
            }
            // A list that may not be seen matters only to those who use it.
            Listed::Unseen(why) if uses(question.attributes, name) => {
                return Observation::Unseen(why.clone());
            }
            Listed::Unseen(_) | Listed::NoContainer => {}
        }
    }
    // An object that someone switched off stands still: that is drift, not unreadiness.
    let expected = expected(question.attributes, &attributes, Attributes::new());
    let ready = not_ready(question.kind, row, &expected).is_none();
    Observation::Exists { attributes, ready }
}

fn uses(attributes: &Attributes, name: &str) -> bool {
    attributes.get(name).is_some_and(|it| !it.is_null())
}
