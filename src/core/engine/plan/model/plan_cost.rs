//! What the changes of a plan cost: amounts of money, and what of it nobody knows.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::engine::address::Address;

/// Millionths of a US dollar: prices of an hour have five decimals and more, and sums of them stay exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub i64);

impl Money {
    /// In millionths.
    const DOLLAR: f64 = 1e6;

    /// `None` where that is no price.
    #[expect(clippy::cast_possible_truncation, reason = "a price that is checked to be small")]
    pub fn dollars(amount: f64) -> Option<Self> {
        let is_price = amount.is_finite() && amount.abs() < 1e9;
        is_price.then(|| Self((amount * Self::DOLLAR).round() as i64))
    }

    #[expect(clippy::cast_precision_loss, reason = "no price has that many digits")]
    pub fn in_dollars(self) -> f64 {
        self.0 as f64 / Self::DOLLAR
    }

    /// As a difference: `+$24.00`.
    pub fn change(self) -> String {
        let plus = if self.0 > 0 { "+" } else { "" };
        format!("{plus}{self}")
    }

    #[must_use]
    pub fn times(self, units: i64) -> Self {
        Self(self.0.saturating_mul(units))
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// `$24.00`; of less than ten cents all that is not zero: `$0.018`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micro = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        if micro >= 100_000 || micro == 0 {
            let cents = micro.saturating_add(5_000) / 10_000;
            return write!(f, "{sign}${}.{:02}", cents / 100, cents % 100);
        }
        write!(f, "{sign}$0.{}", format!("{micro:06}").trim_end_matches('0'))
    }
}

/// In JSON a number of dollars.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.in_dollars())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("it is not an amount of money");
        Self::dollars(f64::deserialize(from)?).ok_or_else(wrong)
    }
}

/// What something costs, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub monthly: Money,
    pub hourly: Money,
}

impl Rate {
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { monthly: self.monthly.plus(other.monthly), hourly: self.hourly.plus(other.hourly) }
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { monthly: self.monthly.minus(other.monthly), hourly: self.hourly.minus(other.hourly) }
    }
}

/// What the changes of a plan add to what is paid, or take from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCost {
    /// Of all whose price is known.
    #[serde(flatten)]
    pub change: Rate,
    /// In the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceCost>,
    /// What is not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownCost>,
    /// The tables with which lifeboat was built that were used, with their days: `DynamoDB 2025-07-21`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl PlanCost {
    /// What two plans cost together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.change = self.change.plus(other.change);
        self.resources.extend(other.resources);
        self.unknown.extend(other.unknown);
        self.tables.extend(other.tables);
        self.tables.sort();
        self.tables.dedup();
        self
    }
}

/// What a change adds for one resource, or takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceCost {
    pub address: Address,
    #[serde(flatten)]
    pub change: Rate,
}

/// What of one resource is billed and cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnknownCost {
    pub address: Address,
    /// `storage`.
    pub what: String,
    pub why: String,
}
