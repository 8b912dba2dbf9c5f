//! What a person agrees to who declares a site lost, and whether that site answers all the same.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::engine::plan::model::change::Plan;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovered::{self, DomainAnswer, PATIENCE};
use crate::render::words::loss_declared;

/// What a person agrees to beside the plan: a healthy site that is declared lost is left without a look at its last writes.
pub fn declares(plan: &Plan, place: &StackRef, to: &str, answering: &[String]) -> Option<String> {
    let (known, new): (Vec<_>, Vec<_>) = plan.lost.iter().partition(|it| it.recorded.is_some());
    let named: Vec<&str> = new.iter().map(|it| it.fault_domain.as_str()).collect();
    let (stack, lost) = (&place.name(), Vec::new());
    let planned = AdvisedCommand::Failover { stack, to, lost, planned: true };
    let answer = answering.iter().map(String::as_str).filter(|it| named.contains(it));
    let answer: Vec<&str> = answer.collect();
    (!named.is_empty())
        .then(|| loss_declared(&named, &answer, known.is_empty().then(|| planned.to_string())))
}

/// Asks beside everything else whether what a switch declares lost answers all the same, once for each fault domain and before the
/// loss is recorded: nobody waits for that.
pub struct LossQuestion(Option<JoinHandle<Vec<String>>>);

impl LossQuestion {
    pub fn ask(session: &Arc<Session>, state: &State, domains: &[String]) -> Self {
        let (session, state) = (Arc::clone(session), state.clone());
        let is_new = |it: &&String| state.lost.iter().all(|lost| lost.fault_domain != **it);
        let domains: Vec<String> = domains.iter().filter(is_new).cloned().collect();
        Self((!domains.is_empty()).then(|| {
            tokio::spawn(async move {
                let answers = recovered::ask(&session, &state, &domains, PATIENCE).await;
                let answers = answers.into_iter().filter(|(_, it)| *it == DomainAnswer::Answers);
                answers.map(|(domain, _)| domain).collect()
            })
        }))
    }

    /// Those that have answered so far.
    pub async fn answering(self) -> Vec<String> {
        let Some(asked) = self.0 else { return Vec::new() };
        if !asked.is_finished() {
            asked.abort();
        }
        asked.await.unwrap_or_default()
    }
}
