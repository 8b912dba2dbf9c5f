//! What a plan costs: reads the price lists that it needs, and lets the engine add up.

use std::time::Duration;

use crate::engine::plan::cost::{Prices, cost as engine_cost, price_lists};
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::engine::state::record::State;
use crate::ops::load::session::Session;
use crate::ops::plan::refresh;

/// How long prices are waited for: nobody's switch waits for them. A guess, ten times what a list takes.
const PRICES_WITHIN: Duration = Duration::from_secs(1);

/// What the changes of a plan cost; `None`: they change nothing that is billed. What cannot be read is unknown, and said.
pub async fn cost(session: &Session, plan: &Plan, state: Option<&State>) -> Option<PlanCost> {
    let catalog = &*session.catalog;
    let lists = price_lists(plan, state, catalog);
    let silent = || Err(format!("no answer within {} s", PRICES_WITHIN.as_secs()));
    let read =
        match tokio::time::timeout(PRICES_WITHIN, refresh::offers(session, lists.clone())).await {
            Ok(read) => read,
            Err(_) => lists.into_iter().map(|it| (it, silent())).collect(),
        };
    engine_cost(plan, state, Prices { catalog, read: &read })
}
