//! What an object of a kind is billed for, and where its price is found.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One thing that is billed. A kind without any is free; one that says nothing of it costs what nobody knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// For people: `backups`.
    pub what: String,
    /// Only with this attribute at this value.
    #[serde(default)]
    pub when: Option<(String, serde_json::Value)>,
    /// The attribute with the number of units; one where nothing is said.
    #[serde(default)]
    pub times: Option<String>,
    pub by: PriceBy,
}

/// Where a price is found. It is that of the region of the object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PriceBy {
    /// In a list of the cloud, which has rows with `id`, `price` and `region_prices`, each with `hourly` and `monthly`.
    Listed {
        list: String,
        row: PricedRow,
        /// The member of the row that has the price instead of the row itself: `addons.backups`.
        #[serde(default)]
        within: Option<String>,
    },
    /// In a table that lifeboat was built with, under this name, for an hour.
    Table { table: String, item: String },
    /// It depends on use, which no layer says: the prices of each unit, as names of a table and words.
    Use { table: String, units: BTreeMap<String, String> },
}

/// Which row of a list has the price.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PricedRow {
    /// The one of this id.
    Id(String),
    /// The one whose id is the value of this attribute.
    Attribute(String),
}

/// Prices in US dollars, as they were on a day.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// For people: `DynamoDB`.
    pub of: String,
    /// `2026-11-28`.
    pub as_of: String,
    /// Region → item → price.
    pub regions: BTreeMap<String, BTreeMap<String, f64>>,
}
