//! The routes of a kind that the REST driver serves, and when what they made is ready.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The routes of a kind that the REST driver serves. `{name}` in a path is an attribute or a carried one; `{id}` the object's id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestRoutes {
    pub collection: String,
    /// The list can be filtered by these identity attributes; only those that are compared letter by letter, as filters do.
    #[serde(default)]
    pub filter: Vec<String>,
    /// Below an object's own path: the list of the filters that stand before it, whoever attached them.
    #[serde(default)]
    pub filters: Option<String>,
    /// Named updates: `via` of an attribute names one.
    #[serde(default)]
    pub groups: BTreeMap<String, UpdateGroup>,
    #[serde(default)]
    pub ready: Option<Ready>,
    /// What users of the account see of this kind; nothing said means that all see all of it.
    #[serde(default)]
    pub grants: Option<GrantRoutes>,
}

/// What a restricted user of an account sees of a kind; for whom it is hidden, it is answered for as if it were not there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GrantRoutes {
    /// What its grants name by id.
    Each {
        /// The API's word for this kind there.
        entity: String,
        /// The account-wide grant without which none is made.
        add: String,
    },
    /// What is inside of something that its grants name.
    Inside {
        entity: String,
        /// The attribute that holds the id of that.
        id: String,
    },
    /// What each user has of its own: nobody sees another user's.
    Own,
}

/// One way of updating an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateGroup {
    /// `post` or `put`.
    pub method: String,
    /// Below the object's own path; empty is the object itself.
    #[serde(default)]
    pub path: String,
    /// All these attributes are sent, changed or not.
    #[serde(default)]
    pub whole: Vec<String>,
    /// Constant members of the body.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
    /// The path depends on a bool attribute: when true, when false.
    #[serde(default)]
    pub switch: Option<(String, String)>,
    /// The attribute itself is not sent.
    #[serde(default)]
    pub no_body: bool,
    /// The attribute is sent as a list of one under this name, unset as an empty list.
    #[serde(default)]
    pub list_of: Option<String>,
    /// Leading part of the wire names that is not sent here.
    #[serde(default)]
    pub cut: Option<String>,
    /// The object is not ready right afterwards.
    #[serde(default)]
    pub settles: bool,
}

/// When a created or changed object can be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    pub field: String,
    /// Ready values; several bool attributes may choose between them.
    pub is: Vec<String>,
    /// When this bool attribute is false, `or` is ready instead.
    #[serde(default)]
    pub unless: Option<String>,
    #[serde(default)]
    pub or: Vec<String>,
    /// When this attribute is unset, `or` is ready instead.
    #[serde(default)]
    pub unless_null: Option<String>,
    /// No event of this entity type may be scheduled or started.
    #[serde(default)]
    pub quiet: Option<String>,
    /// How long it is waited for; `timeouts` in a layer replace it.
    pub within_seconds: u64,
    /// The longest pause between two reads; they come more often at first.
    pub poll_seconds: u64,
}
