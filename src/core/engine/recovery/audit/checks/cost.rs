//! What the standby costs while it stands by, and what a switch adds to that, where prices were read.

use std::collections::BTreeSet;

use crate::engine::plan::checks::offers::{OfferRequest, ReadOffers};
use crate::engine::plan::cost::{Prices, lists_of, price};
use crate::engine::plan::model::plan_cost::Rate;
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::finding::AuditSection;
use crate::engine::recovery::audit::side::Side;

/// The lists that hold the prices of what the sides have.
pub fn sources<'a>(sides: impl Iterator<Item = &'a Side<'a>>) -> BTreeSet<OfferRequest> {
    let lists =
        |side: &'a Side<'a>| side.items().flat_map(|it| lists_of(it.kind)).collect::<Vec<_>>();
    sides.flat_map(lists).collect()
}

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    let Some(read) = &case.facts.offers else { return };
    let standby = of_living(case.home, case, read);
    let after = of_living(case.recovery, case, read);
    let added = after.rate.minus(standby.rate);
    let mut text = format!(
        "what a loss leaves costs {} a month ({} an hour) while it stands by; the switch changes that by {} a month ({} an hour)",
        standby.rate.monthly,
        standby.rate.hourly,
        added.monthly.change(),
        added.hourly.change()
    );
    let unknown: BTreeSet<String> = standby.unknown.into_iter().chain(after.unknown).collect();
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.into_iter().collect();
        text.push_str(&format!("; not counted, since nobody knows it: {}", unknown.join(", ")));
    }
    out.fact("cost", text);
}

/// What all that lives costs together, and of whom that is not known.
struct CostOfSide {
    rate: Rate,
    unknown: Vec<String>,
}

fn of_living(side: &Side<'_>, case: &AuditCase<'_>, read: &ReadOffers) -> CostOfSide {
    let prices = Prices { catalog: side.catalog, read };
    let mut all = CostOfSide { rate: Rate::default(), unknown: Vec::new() };
    for item in side.items().filter(|it| !side.is_in(it.address, &case.lost)) {
        let priced = price(item.kind, item.attributes(), prices);
        all.rate = all.rate.plus(priced.rate);
        let unknown = priced.unknown.iter().map(|it| format!("{} of {}", it.what, item.address));
        all.unknown.extend(unknown);
    }
    all
}
