//! What of a kind is dangerous: changes that lose, move, expose or leave unprotected, and the packets that it lets in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::value::Value;

/// What a change puts at risk; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Data is lost.
    Data,
    /// Users are sent elsewhere, or nowhere.
    Traffic,
    /// Somebody gets in who could not.
    Exposure,
    /// Something that would prevent or notice harm is switched off.
    Protection,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Data, Self::Traffic, Self::Exposure, Self::Protection];

    /// The stable word of a plan's JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Traffic => "traffic",
            Self::Exposure => "exposure",
            Self::Protection => "protection",
        }
    }
}

/// One change of an attribute that is dangerous. All that is given must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    pub sort: Sort,
    /// It had this value.
    #[serde(default)]
    pub from: Option<serde_json::Value>,
    /// It gets this value.
    #[serde(default)]
    pub to: Option<serde_json::Value>,
    #[serde(default)]
    pub when: Option<ChangeWhen>,
    /// What happens, for the plan.
    pub says: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeWhen {
    /// It has a value now.
    Set,
    /// It has none any more.
    Unset,
    /// Its list has something that was not in it.
    Grown,
}

impl Risk {
    /// Whether a change is this one. Where there was nothing before, nothing was protected and nobody served: only what it
    /// exposes counts, and only where it says to what.
    pub fn is(&self, before: &Value, after: &Value, is_new: bool) -> bool {
        let is = |wanted: &Option<serde_json::Value>, value: &Value| {
            wanted.as_ref().is_none_or(|it| Value::from_json(it) == *value)
        };
        let when = self.when.is_none_or(|it| match it {
            ChangeWhen::Set => !after.is_null() && before != after,
            ChangeWhen::Unset => after.is_null() && !before.is_null(),
            ChangeWhen::Grown => has_grown(before, after),
        });
        let counts = !is_new || (self.sort == Sort::Exposure && self.to.is_some());
        counts && is(&self.from, before) && is(&self.to, after) && when
    }
}

fn has_grown(before: &Value, after: &Value) -> bool {
    let items = |it: &Value| match it {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    };
    let before = items(before);
    items(after).iter().any(|it| !before.contains(it))
}

/// The attributes that say which packets an object of this kind lets in; each rule is a map, the first that fits decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packets {
    /// The attribute that lists the rules.
    pub rules: String,
    /// The attribute that says what becomes of the rest.
    pub policy: String,
    /// The word of a rule or policy that lets in.
    pub accepts: String,
    /// With this attribute at this value everything is let in.
    pub off: (String, String),
    /// The protocol that stands for all of them.
    pub every: String,
    /// The protocols that have ports, and in which applications listen.
    pub ports_of: Vec<String>,
    /// Other words for protocols: their numbers.
    #[serde(default)]
    pub named: BTreeMap<String, String>,
    /// Ports for administrators only, with their names.
    pub administration: Vec<(u16, String)>,
}
