//! What a plan costs, in a sentence: what is known, and what of it nobody knows.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::model::plan_cost::{PlanCost, UnknownCost};
use crate::render::words::{cut, escape_control};

/// How many resources are named whose cost is not known. A guess, as for dangers.
const NAMED_MAX: usize = 3;
/// How many characters of each, and of why it is not known.
const NAME_MAX: usize = 30;
const WHY_MAX: usize = 120;
/// How many reasons are told; the rest is counted, and stands in the JSON.
const REASONS_MAX: usize = 4;

/// `Cost: +$24.00 a month (+$0.036 an hour); not counted: storage of orders: it depends on use: …`.
pub fn cost(it: &PlanCost) -> String {
    let known = (!it.resources.is_empty()).then(|| {
        let change = it.change;
        format!("Cost: {} a month ({} an hour)", change.monthly.change(), change.hourly.change())
    });
    told(known, "Cost: unknown", it)
}

/// `An hour of it costs $0.036; not counted: …`.
pub fn an_hour(it: &PlanCost) -> String {
    let known = (!it.resources.is_empty()).then(|| {
        format!("An hour of it costs {}; every hour that has begun is billed", it.change.hourly)
    });
    told(known, "What an hour of it costs is unknown", it)
}

fn told(known: Option<String>, unknown: &str, it: &PlanCost) -> String {
    let word = if known.is_some() { " not counted:" } else { "" };
    let mut text = known.unwrap_or_else(|| unknown.to_owned());
    let reasons = reasons(&it.unknown);
    if !reasons.is_empty() {
        let more = reasons.len().saturating_sub(REASONS_MAX);
        let told: Vec<String> = reasons.into_iter().take(REASONS_MAX).collect();
        text.push_str(&format!(";{word} {}", told.join("; ")));
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
    }
    if !it.tables.is_empty() {
        let tables: Vec<String> = it.tables.iter().map(|it| escape_control(it)).collect();
        text.push_str(&format!(" (prices of {})", tables.join(", ")));
    }
    text
}

/// What is not known of whom, each reason once.
fn reasons(unknown: &[UnknownCost]) -> Vec<String> {
    let mut of: BTreeMap<(&str, &str), Vec<&Address>> = BTreeMap::new();
    for it in unknown {
        of.entry((&it.what, &it.why)).or_default().push(&it.address);
    }
    let told = of.into_iter().map(|((what, why), addresses)| {
        let shown = addresses.iter().take(NAMED_MAX);
        let shown: Vec<String> =
            shown.map(|it| cut(&escape_control(&it.to_string()), NAME_MAX)).collect();
        let more = match addresses.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let why = cut(&escape_control(why), WHY_MAX);
        format!("{} of {}{more}: {why}", escape_control(what), shown.join(", "))
    });
    told.collect()
}
