//! Which fault domains answer now: what state cannot say.

use crate::engine::fault_domain::FaultDomains;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovered::{DomainAnswer, PATIENCE, ask};
use crate::render::status::{Health, OnlineAnswer};

/// Every fault domain that something recorded is in, with what it answers within the time that a recovery gives it as well: what shares
/// a group with a silent region answers late. What is declared lost is not asked. `None`: nothing was applied yet. Takes no lease and changes nothing.
pub async fn answers(
    session: &Session,
    place: &StackRef,
) -> Result<Option<Vec<(String, OnlineAnswer)>>, OpsError> {
    let Some(state) = session.store(place).load()? else { return Ok(None) };
    let lost: Vec<String> = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
    session.provider.lose(&lost);
    let known = FaultDomains::new(&session.catalog, Some(&state));
    let (frozen, asked): (Vec<String>, Vec<String>) =
        known.names().into_iter().map(str::to_owned).partition(|it| lost.contains(it));
    let answers = ask(session, &state, &asked, PATIENCE).await.into_iter();
    let told = answers.map(|(domain, answer)| {
        let told = match answer {
            DomainAnswer::Answers => OnlineAnswer { health: Health::Answers, why: None },
            DomainAnswer::NotAsked => {
                let why = "nothing recorded there can be asked for by name";
                OnlineAnswer { health: Health::NotAsked, why: Some(why.into()) }
            }
            DomainAnswer::Not(it) => {
                let health = if it.reason.is_no() { Health::Denied } else { Health::Silent };
                OnlineAnswer { health, why: Some(it.why) }
            }
        };
        (domain, told)
    });
    let mut all: Vec<(String, OnlineAnswer)> = told.collect();
    all.extend(frozen.into_iter().map(|domain| {
        let why = Some("it is declared lost".into());
        (domain, OnlineAnswer { health: Health::NotAsked, why })
    }));
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Some(all))
}
