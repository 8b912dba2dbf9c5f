//! Looks at the clouds: which accounts these are, and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::cloud::provider::ReadQuery;
use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::{Neighbor, Observation};
use crate::engine::plan::checks::collateral::{CollateralFound, Collection};
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::plan::checks::offers::{OfferRequest, ReadOffers};
use crate::engine::plan::draft::refresh::{ReadRequest, read_requests};
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::recovery::completion::{self, Unfinished};
use crate::engine::state::record::{LostDomain, State};
use crate::ops::error::OpsError;
use crate::ops::load::session::{CloudTarget, Session};

/// Answers to a survey, and what the lists that were read for it show beside.
#[derive(Debug, Default)]
pub struct Refreshed {
    pub objects: BTreeMap<Address, Observation>,
    pub beside: Vec<Neighbor>,
}

/// Looks at everything that a survey asks about.
pub async fn observe(session: &Session, inquiries: &[ReadRequest<'_>]) -> Refreshed {
    let questions: Vec<ReadQuery<'_>> = inquiries
        .iter()
        .filter_map(|it| {
            Some(ReadQuery {
                address: &it.address,
                kind: session.catalog.get(&it.kind)?,
                id: it.id.as_deref(),
                attributes: &it.attributes,
            })
        })
        .collect();
    let began = tokio::time::Instant::now();
    let (observations, beside) = session.provider.look_around(&questions, &session.catalog).await;
    let milliseconds = began.elapsed().as_millis();
    tracing::info!(objects = questions.len(), milliseconds, "read the clouds");
    let objects = questions.iter().map(|it| it.address.clone()).zip(observations).collect();
    Refreshed { objects, beside }
}

/// How many lists are read at once; as many as a driver sends to one place anyway.
const READS_AT_ONCE: usize = 8;

/// Where users are not as state says that they were directed, by looking at each name now; what is lost is not asked.
pub async fn astray(session: &Session, state: &State) -> Result<Vec<Unfinished>, OpsError> {
    let loss = |it: &LostDomain| LossDeclaration {
        fault_domain: it.fault_domain.clone(),
        recorded: Some((it.since, it.by.clone())),
    };
    let lost: Vec<LossDeclaration> = state.lost.iter().map(loss).collect();
    session.provider.lose(&lost.iter().map(|it| it.fault_domain.clone()).collect::<Vec<_>>());
    let stack = Stack::default();
    let mut inquiries = read_requests(&session.catalog, &stack, &[], Some(state), &lost);
    let is_name =
        |it: &ReadRequest<'_>| session.catalog.get(&it.kind).is_some_and(|it| it.drain.is_some());
    inquiries.retain(is_name);
    session.check_endpoints(&inquiries)?;
    let seen = observe(session, &inquiries).await;
    Ok(completion::astray(&session.catalog, state, &seen.objects, &seen.beside))
}

/// How long to wait for a list of what a cloud offers (regions, plans, images, grants). A plan does not need it: it only makes
/// mistakes show earlier. A guess, as long as the longest first contact.
const OFFERS_WITHIN: Duration = Duration::from_secs(5);

/// What a plan needs to know of what the clouds offer; each list is read once.
pub async fn offers(session: &Session, requests: BTreeSet<OfferRequest>) -> ReadOffers {
    let mut known = session.offers.lock().await;
    let mut reading = JoinSet::new();
    for request in requests.iter().filter(|it| !known.contains_key(*it)).cloned() {
        let provider = Arc::clone(&session.provider);
        let offer = async move {
            let answer = tokio::time::timeout(OFFERS_WITHIN, provider.offers(&request)).await;
            let silent = || Err(format!("no answer within {} s", OFFERS_WITHIN.as_secs()));
            (request, answer.map_or_else(|_| silent(), |it| it.map_err(|why| why.words)))
        };
        reading.spawn(offer.in_current_span());
    }
    while let Some(read) = reading.join_next().await {
        known.extend(read.ok());
    }
    let wanted = known.iter().filter(|(it, _)| requests.contains(*it));
    wanted.map(|(request, it)| (request.clone(), it.clone())).collect()
}

/// The user of the token, where it does not see everything; or why that could not be read.
pub async fn restricted(session: &Session) -> Result<Option<Restricted>, String> {
    let read = tokio::time::timeout(OFFERS_WITHIN, session.provider.restricted()).await;
    let silent = || Err(format!("no answer within {} s", OFFERS_WITHIN.as_secs()));
    read.map_or_else(|_| silent(), |it| it.map_err(|why| why.to_string()))
}

/// What is inside of, and attached to, what would go.
pub async fn uninvited(
    session: &Session,
    collections: Vec<Collection>,
    lists: BTreeSet<OfferRequest>,
) -> CollateralFound {
    let mut found = CollateralFound::default();
    let mut reading = JoinSet::new();
    let limit = Arc::new(Semaphore::new(READS_AT_ONCE));
    for (at, it) in collections.iter().cloned().enumerate() {
        let (provider, catalog) = (Arc::clone(&session.provider), Arc::clone(&session.catalog));
        let limit = Arc::clone(&limit);
        let rows = async move {
            let _turn = limit.acquire_owned().await.expect("the limit is never closed");
            let Some(kind) = catalog.get(&it.kind) else { return (at, it, Ok(Vec::new())) };
            let rows = provider.inside(kind, &it.attributes).await.map_err(|why| why.words);
            (at, it, rows)
        };
        reading.spawn(rows.in_current_span());
    }
    let mut inside = BTreeMap::new();
    while let Some(read) = reading.join_next().await {
        let (at, it, rows) = read.expect("reading does not panic, and nobody cancels it");
        inside.insert(at, (it, rows));
    }
    found.inside = inside.into_values().collect();
    for request in lists {
        let rows = session.provider.offers(&request).await.map_err(|why| why.words);
        found.lists.insert(request, rows);
    }
    found
}

/// The accounts of the clouds that a survey touches; another account than the recorded one is refused.
pub async fn accounts(
    session: &Session,
    inquiries: &[ReadRequest<'_>],
    state: Option<&State>,
) -> Result<BTreeMap<String, String>, OpsError> {
    let mut accounts = state.map(|it| it.bound.clone()).unwrap_or_default();
    if let Some(state) = state.filter(|it| it.target != session.target.word()) {
        return Err(OpsError::refused(
            format!(
                "this state belongs to the {}, but this command uses the {}",
                state.target,
                session.target.word()
            ),
            "the sandbox and the clouds have separate states; check --sandbox and the state folder",
        ));
    }
    if session.target == CloudTarget::Sandbox {
        return Ok(accounts);
    }
    let clouds: BTreeSet<&str> = inquiries
        .iter()
        .filter_map(|it| session.catalog.get(&it.kind).map(|it| it.cloud.as_str()))
        .collect();
    for cloud in clouds {
        let bound = accounts.get(cloud);
        let account = session.provider.account(cloud, bound.map(String::as_str)).await;
        match (account, bound) {
            (Ok(account), Some(bound)) if account != *bound => {
                return Err(OpsError::refused(
                    format!(
                        "this stack belongs to {cloud} account {bound}, but the credentials belong to {account}"
                    ),
                    "use the credentials of that account; nothing was planned",
                ));
            }
            (Ok(account), _) => {
                accounts.insert(cloud.into(), account);
            }
            // A bound account that cannot be asked is like any endpoint that cannot: unseen.
            (Err(why), Some(_)) if !why.reason().is_no() => {}
            (Err(why), _) => return Err(why.into()),
        }
    }
    Ok(accounts)
}
