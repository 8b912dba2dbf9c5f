//! Looks at the clouds: which accounts these are, and what is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::provider::Question;
use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::survey::Inquiry;
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::session::{Session, Target};

/// Answers to a survey.
pub async fn observe(
    session: &Session,
    inquiries: &[Inquiry<'_>],
) -> BTreeMap<Address, Observation> {
    let questions: Vec<Question<'_>> = inquiries
        .iter()
        .filter_map(|it| {
            Some(Question {
                address: &it.address,
                kind: session.catalog.get(&it.kind)?,
                id: it.id.as_deref(),
                attributes: &it.attributes,
            })
        })
        .collect();
    let observations = session.provider.observe(&questions).await;
    questions.iter().map(|it| it.address.clone()).zip(observations).collect()
}

/// The accounts of the clouds that a survey touches; another account than the recorded one is refused.
pub async fn accounts(
    session: &Session,
    inquiries: &[Inquiry<'_>],
    state: Option<&State>,
) -> Result<BTreeMap<String, String>, OpsError> {
    let mut accounts = state.map(|it| it.bound.clone()).unwrap_or_default();
    if let Some(state) = state.filter(|it| it.target != session.target.word()) {
        return Err(OpsError::refused(
            format!(
                "this state belongs to the {}, and this is the {}",
                state.target,
                session.target.word()
            ),
            "states of the sandbox and of the clouds live apart; check --sandbox and the state folder",
        ));
    }
    if session.target == Target::Sandbox {
        return Ok(accounts);
    }
    let clouds: BTreeSet<&str> = inquiries
        .iter()
        .filter_map(|it| session.catalog.get(&it.kind).map(|it| it.cloud.as_str()))
        .collect();
    for cloud in clouds {
        let account = session.provider.account(cloud).await;
        match (account, accounts.get(cloud)) {
            (Ok(account), Some(bound)) if account != *bound => {
                return Err(OpsError::refused(
                    format!(
                        "this stack belongs to {cloud} account {bound}, and the credentials are of {account}"
                    ),
                    "use the credentials of that account; nothing was planned",
                ));
            }
            (Ok(account), _) => {
                accounts.insert(cloud.into(), account);
            }
            // A bound account that cannot be asked is like any endpoint that cannot: unseen.
            (Err(why), Some(_)) if is_silent(&why) => {}
            (Err(why), _) => return Err(why.into()),
        }
    }
    Ok(accounts)
}

fn is_silent(why: &crate::cloud::error::ProviderError) -> bool {
    use crate::engine::retry::Fault;
    matches!(
        why.fault,
        Fault::Unreachable
            | Fault::Transient
            | Fault::Garbled
            | Fault::UnknownOutcome
            | Fault::Throttled
            | Fault::Busy
    )
}
