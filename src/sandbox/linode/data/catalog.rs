//! What one can order: regions, plans with prices, and images, as recorded in 2026 (see `tests/fixtures/linode`).

use std::sync::LazyLock;

use serde_json::{Value, json};

static REGIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut regions = parse(include_str!("catalog/regions.json"));
    for region in &mut regions {
        // Recorded resolvers are real hosts; nothing in the sandbox may point at one.
        region["resolvers"] =
            json!({ "ipv4": "198.18.0.5,198.18.0.6", "ipv6": "2001:db8::5,2001:db8::6" });
    }
    regions
});
static TYPES: LazyLock<Vec<Value>> = LazyLock::new(|| parse(include_str!("catalog/types.json")));
static IMAGES: LazyLock<Vec<Value>> = LazyLock::new(|| parse(include_str!("catalog/images.json")));

fn parse(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("the catalogue is part of the program and well-formed")
}

pub fn regions() -> &'static [Value] {
    &REGIONS
}

pub fn types() -> &'static [Value] {
    &TYPES
}

pub fn images() -> &'static [Value] {
    &IMAGES
}

fn by_id(rows: &'static [Value], id: &str) -> Option<&'static Value> {
    rows.iter().find(|row| row["id"] == id)
}

pub fn region(id: &str) -> Option<&'static Value> {
    by_id(&REGIONS, id)
}

pub fn image(id: &str) -> Option<&'static Value> {
    by_id(&IMAGES, id)
}

pub fn has_capability(row: &Value, capability: &str) -> bool {
    row["capabilities"].as_array().is_some_and(|all| all.iter().any(|it| it == capability))
}

pub fn plan(id: &str) -> Option<&'static Value> {
    by_id(&TYPES, id)
}

/// Plans of which the API says region by region whether they can be had, and what a region needs for them: as recorded,
/// it lists no others.
const SCARCE: [(&str, &str); 2] = [("premium", "Premium Plans"), ("gpu", "GPU Linodes")];

/// Whether a plan can be had in a region.
pub fn is_available(plan_id: &str, region_id: &str) -> bool {
    let class = plan(plan_id).and_then(|plan| plan["class"].as_str()).unwrap_or_default();
    let needs = SCARCE.iter().find(|(it, _)| *it == class);
    needs.is_none_or(|(_, needs)| region(region_id).is_none_or(|row| has_capability(row, needs)))
}

/// What the API says of scarce plans in one region, or in all.
pub fn availability(of: Option<&str>) -> Vec<Value> {
    let is_scarce = |plan: &&Value| SCARCE.iter().any(|(class, _)| plan["class"] == *class);
    let regions = regions().iter().filter(|row| of.is_none_or(|it| row["id"] == it));
    let ids = regions.filter_map(|row| row["id"].as_str());
    ids.flat_map(|region| {
        types().iter().filter(is_scarce).filter_map(|plan| plan["id"].as_str()).map(move |plan| {
            json!({ "region": region, "plan": plan, "available": is_available(plan, region) })
        })
    })
    .collect()
}

/// A whole number of a plan: `disk` in MB, `memory` in MB, `vcpus`, `gpus`, `transfer`.
pub fn plan_number(id: &str, name: &str) -> u64 {
    plan(id).and_then(|plan| plan[name].as_u64()).unwrap_or(0)
}

/// Slug of the region's place in the list, from 1; makes addresses of regions tell apart.
pub fn region_number(id: &str) -> u64 {
    REGIONS.iter().position(|row| row["id"] == id).map_or(0, |position| position as u64 + 1)
}
