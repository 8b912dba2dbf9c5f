//! What a plan costs: the prices of what it makes and takes away, by the lists of the clouds and by tables with a date.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::engine::address::Address;
use crate::engine::plan::checks::offers::{OfferRequest, OfferSource, ReadOffers};
use crate::engine::plan::model::change::{Action, Plan, StepCall};
use crate::engine::plan::model::plan_cost::{Money, PlanCost, Rate, ResourceCost, UnknownCost};
use crate::engine::schema::charge::{Charge, PriceBy, PricedRow};
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::state::record::State;
use crate::engine::value::{Attributes, Value};

/// Hours of a month by which what has only a price for an hour is told for a month, as AWS's own calculator does.
const HOURS_OF_A_MONTH: i64 = 730;

/// What an object costs, and what of it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PricedObject {
    pub rate: Rate,
    pub unknown: Vec<UnknownCharge>,
    pub tables: BTreeSet<String>,
}

/// Something that is billed, of which nobody knows how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCharge {
    pub what: String,
    pub why: String,
    /// The values that it depends on: where they change, so may what is paid.
    basis: String,
}

/// Prices as they were read, and those that lifeboat was built with.
#[derive(Clone, Copy)]
pub struct Prices<'a> {
    pub catalog: &'a Catalog,
    pub read: &'a ReadOffers,
}

/// One object before a plan and after it.
struct CostOfChange<'a> {
    address: &'a Address,
    kind: &'a Kind,
    before: Option<&'a Attributes>,
    after: Option<&'a Attributes>,
}

/// What is made, changed and deleted. A move or an adoption costs what it did.
fn changed<'a>(
    plan: &'a Plan,
    state: Option<&'a State>,
    catalog: &'a Catalog,
) -> Vec<CostOfChange<'a>> {
    let mut sent: BTreeMap<&Address, &Attributes> = BTreeMap::new();
    for step in &plan.steps {
        if let StepCall::Create { attributes, .. } | StepCall::Update { attributes, .. } =
            &step.call
        {
            sent.insert(&step.address, attributes);
        }
    }
    let recorded = |address| Some(&state?.records.get(address)?.attributes);
    let told = plan.changes.iter().filter_map(|change| {
        let address = &change.address;
        let (before, after) = match change.action {
            Action::Create => (None, sent.get(address).copied()),
            Action::Update | Action::Replace { .. } => {
                (recorded(address), sent.get(address).copied().or(recorded(address)))
            }
            Action::Delete => (recorded(address), None),
            Action::NoOp | Action::Await | Action::Move | Action::Adopt | Action::Forget => {
                return None;
            }
        };
        Some(CostOfChange { address, kind: catalog.get(&change.kind)?, before, after })
    });
    told.collect()
}

/// The lists that have to be read to price a plan; none for one that changes nothing that is billed.
pub fn price_lists(
    plan: &Plan,
    state: Option<&State>,
    catalog: &Catalog,
) -> BTreeSet<OfferRequest> {
    changed(plan, state, catalog).iter().flat_map(|it| lists_of(it.kind)).collect()
}

/// The lists that hold prices of a kind.
pub fn lists_of(kind: &Kind) -> impl Iterator<Item = OfferRequest> {
    let charges = kind.cost.iter().flatten();
    charges.filter_map(|it| match &it.by {
        PriceBy::Listed { list, .. } => Some(OfferRequest::new(kind, OfferSource::List, list)),
        PriceBy::Table { .. } | PriceBy::Use { .. } => None,
    })
}

/// What a plan adds to what is paid, or takes from it; `None`: it changes nothing that is billed.
pub fn cost(plan: &Plan, state: Option<&State>, prices: Prices<'_>) -> Option<PlanCost> {
    let mut cost = PlanCost::default();
    let mut tables = BTreeSet::new();
    for it in changed(plan, state, prices.catalog) {
        let of = |attributes: Option<&Attributes>| {
            attributes.map_or_else(PricedObject::default, |of| price(it.kind, of, prices))
        };
        let (before, after) = (of(it.before), of(it.after));
        let change = after.rate.minus(before.rate);
        if change != Rate::default() {
            cost.resources.push(ResourceCost { address: it.address.clone(), change });
        }
        cost.change = cost.change.plus(change);
        // What stays unknown alike is changed by nothing that the plan does.
        let lost = before.unknown.iter().filter(|it| !after.unknown.contains(it));
        let new = after.unknown.iter().filter(|it| !before.unknown.contains(it));
        for UnknownCharge { what, why, .. } in lost.chain(new) {
            let (address, what, why) = (it.address.clone(), what.clone(), why.clone());
            let unknown = UnknownCost { address, what, why };
            // Those of one resource follow each other.
            let mut own =
                cost.unknown.iter().rev().take_while(|one| one.address == unknown.address);
            if !own.any(|one| *one == unknown) {
                cost.unknown.push(unknown);
            }
        }
        tables.extend(before.tables.into_iter().chain(after.tables));
    }
    cost.tables = tables.into_iter().collect();
    let is_nothing = cost.resources.is_empty() && cost.unknown.is_empty();
    (!is_nothing).then_some(cost)
}

/// What an object with these attributes costs.
pub fn price(kind: &Kind, attributes: &Attributes, prices: Prices<'_>) -> PricedObject {
    let mut priced = PricedObject::default();
    let Some(charges) = &kind.cost else {
        let why = format!("lifeboat knows no prices of {}", kind.kind);
        let (what, basis) = ("everything".into(), String::new());
        priced.unknown.push(UnknownCharge { what, why, basis });
        return priced;
    };
    for charge in charges {
        match rate(charge, (kind, attributes), prices, &mut priced.tables) {
            Ok(rate) => priced.rate = priced.rate.plus(rate),
            Err(why) => {
                let (what, basis) = (charge.what.clone(), basis(charge, kind, attributes));
                priced.unknown.push(UnknownCharge { what, why, basis });
            }
        }
    }
    priced
}

/// The values that a charge depends on.
fn basis(charge: &Charge, kind: &Kind, attributes: &Attributes) -> String {
    let mut names: Vec<&str> = charge.times.iter().map(String::as_str).collect();
    names.extend(charge.when.iter().map(|it| it.0.as_str()));
    if let FaultDomain::Region(region) = &kind.fault_domain {
        names.push(region);
    }
    if let PriceBy::Listed { row: PricedRow::Attribute(name), .. } = &charge.by {
        names.push(name);
    }
    let values = names.iter().map(|name| format!("{:?}", attributes.get(*name)));
    values.collect::<Vec<_>>().join(" ")
}

fn rate(
    charge: &Charge,
    (kind, attributes): (&Kind, &Attributes),
    prices: Prices<'_>,
    tables: &mut BTreeSet<String>,
) -> Result<Rate, String> {
    let open = |name: &str| format!("`{name}` is not known before the apply");
    if let Some((name, wanted)) = &charge.when {
        let value = attributes.get(name).cloned().unwrap_or_default();
        if value.has_unknown() {
            return Err(open(name));
        }
        if value != Value::from_json(wanted) {
            return Ok(Rate::default());
        }
    }
    let FaultDomain::Region(region) = &kind.fault_domain else {
        return Err("it is in no region".into());
    };
    let text = |name: &str| attributes.get(name).and_then(Value::as_text).ok_or_else(|| open(name));
    let region = text(region)?;
    let units = match &charge.times {
        None => 1,
        Some(name) => match attributes.get(name) {
            Some(Value::Int(units)) => *units,
            _ => return Err(open(name)),
        },
    };
    let one = match &charge.by {
        PriceBy::Listed { list, row, within } => {
            let id = match row {
                PricedRow::Id(id) => id,
                PricedRow::Attribute(name) => text(name)?,
            };
            listed(
                &OfferRequest::new(kind, OfferSource::List, list),
                id,
                region,
                within.as_deref(),
                prices,
            )?
        }
        PriceBy::Table { table, item } => {
            let hourly = shipped(table, item, region, prices, tables)?;
            Rate { hourly, monthly: hourly.times(HOURS_OF_A_MONTH) }
        }
        PriceBy::Use { table, units } => return Err(by_use(table, units, region, prices, tables)),
    };
    Ok(Rate { hourly: one.hourly.times(units), monthly: one.monthly.times(units) })
}

/// The price of a row of a list in a region; some regions have their own.
fn listed(
    request: &OfferRequest,
    id: &str,
    region: &str,
    within: Option<&str>,
    prices: Prices<'_>,
) -> Result<Rate, String> {
    let rows = match prices.read.get(request) {
        Some(Ok(rows)) => rows,
        Some(Err(why)) => return Err(format!("the prices could not be read: {why}")),
        None => return Err("the prices were not read".into()),
    };
    let named = |row: &&Json| row.get("id").and_then(Json::as_str) == Some(id);
    let row = rows.iter().find(named).ok_or_else(|| format!("no price of `{id}` is listed"))?;
    let mut parts = within.into_iter().flat_map(|it| it.split('.'));
    let priced = parts.try_fold(row, |it, part| it.get(part));
    let priced = priced.ok_or_else(|| format!("no such price of `{id}` is listed"))?;
    let regions = priced.get("region_prices").and_then(Json::as_array);
    let own = regions
        .into_iter()
        .flatten()
        .find(|it| it.get("id").and_then(Json::as_str) == Some(region));
    let price = own.or_else(|| priced.get("price"));
    let amount = |name: &str| {
        let dollars = price.and_then(|it| it.get(name)).and_then(Json::as_f64);
        dollars.and_then(Money::dollars).filter(|it| it.0 >= 0)
    };
    match (amount("hourly"), amount("monthly")) {
        (Some(hourly), Some(monthly)) => Ok(Rate { monthly, hourly }),
        _ => Err(format!("no price of `{id}` in {region} is listed")),
    }
}

/// A price with a date.
fn shipped(
    table: &str,
    item: &str,
    region: &str,
    prices: Prices<'_>,
    tables: &mut BTreeSet<String>,
) -> Result<Money, String> {
    let table = prices.catalog.prices.get(table).ok_or_else(|| format!("no prices of {table}"))?;
    let unknown = || format!("lifeboat knows no prices of {} in {region}", table.of);
    let price = table.regions.get(region).and_then(|it| it.get(item)).ok_or_else(unknown)?;
    tables.insert(format!("{} {}", table.of, table.as_of));
    Money::dollars(*price).ok_or_else(unknown)
}

/// Why it cannot be told, and what each unit of it costs.
fn by_use(
    table: &str,
    units: &BTreeMap<String, String>,
    region: &str,
    prices: Prices<'_>,
    tables: &mut BTreeSet<String>,
) -> String {
    let each: Result<Vec<String>, String> = units
        .iter()
        .map(|(item, unit)| {
            let price = shipped(table, item, region, prices, tables)?;
            Ok(format!("${} per {unit}", price.in_dollars()))
        })
        .collect();
    match each {
        Ok(each) => format!("it depends on use: {}", each.join(", ")),
        Err(why) => format!("it depends on use, and {why}"),
    }
}
