//! Which list of its cloud a value is chosen from, and what an account decides where a stack is silent.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A value that the cloud offers, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The list of [`Shipped`] that holds what was offered when this lifeboat was built.
    pub from: String,
    /// The path under which the cloud lists it by `id`; without it what was shipped is all that is known.
    #[serde(default)]
    pub list: Option<String>,
    /// What the row has to name among its `capabilities`.
    #[serde(default)]
    pub capability: Option<String>,
    /// Values that begin so are the account's own, and no shipped list knows them.
    #[serde(default)]
    pub own: Vec<String>,
    #[serde(default)]
    pub available: Option<Available>,
    /// The attribute, carried or own, whose value is in the same part of that list.
    #[serde(default)]
    pub same_part_as: Option<String>,
}

/// Where the cloud says in which regions a value can be had: rows with this value, a region, and `available`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Available {
    pub list: String,
    /// The field of a row that holds the value.
    pub field: String,
    /// The attribute, and the field of a row, with the region.
    pub region: String,
}

/// What another attribute's row has to name among its `capabilities` for this one to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wants {
    pub attribute: String,
    pub capability: String,
}

/// What an account gives an attribute that nobody sets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountDefault {
    /// The path of the account's settings, and the field there.
    pub path: String,
    pub field: String,
    /// What each setting gives.
    pub gives: BTreeMap<String, String>,
    /// What each setting refuses.
    #[serde(default)]
    pub refuses: BTreeMap<String, Vec<String>>,
}

/// The fields of the cloud's own answer about quotas that bound a number: of one object, and of all in a region together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub each: String,
    pub all: String,
}

/// One list that lifeboat was built with: what its values are, and the values by the part of the cloud that they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    /// For people: `Linode region`.
    pub what: String,
    pub parts: BTreeMap<String, Vec<String>>,
}

impl Shipped {
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.parts.values().flatten().map(String::as_str)
    }

    /// The part that a value belongs to.
    pub fn part_of(&self, value: &str) -> Option<&str> {
        let found = self.parts.iter().find(|(_, values)| values.iter().any(|it| it == value));
        found.map(|(name, _)| name.as_str())
    }
}
