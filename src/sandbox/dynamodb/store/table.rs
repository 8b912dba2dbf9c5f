//! One table in one region: its row in the world.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableStatus {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl TableStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Billing {
    Provisioned,
    PayPerRequest,
}

impl Billing {
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::PayPerRequest => "PAY_PER_REQUEST",
        }
    }
}

/// What keeps a table UPDATING; it decides the words of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Throughput,
    Stream,
    Class,
    Index,
    Group,
}

/// Provisioned capacity; both are 0 while the table is billed per request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    pub read: i64,
    pub write: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increased: Option<Millis>,
    /// Accepted decreases, for the daily budget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decreased: Vec<Millis>,
}

/// Limits of on-demand requests; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemand {
    pub read: Option<i64>,
    pub write: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    pub read: i64,
    pub write: i64,
    #[serde(default)]
    pub raising: bool,
    /// Given by the caller of CreateTable; only then the answer echoes it.
    #[serde(default)]
    pub asked: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    pub name: String,
    pub key_schema: Value,
    pub projection: Value,
    pub status: TableStatus,
    #[serde(default)]
    pub backfilling: bool,
    #[serde(default)]
    pub throughput: Throughput,
    #[serde(default)]
    pub on_demand: OnDemand,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Encryption {
    pub key: String,
    /// A customer's key; else the service's own.
    pub customer: bool,
    #[serde(default)]
    pub updating: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimeToLive {
    pub attribute: String,
    /// ENABLING, ENABLED or DISABLING.
    pub status: String,
}

/// Tags and, for the short time that reads lag behind, those of before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tags {
    pub now: IndexMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Millis, IndexMap<String, String>)>,
}

/// The row of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DynamoTable {
    pub region: String,
    pub name: String,
    pub id: String,
    pub created: Millis,
    pub status: TableStatus,
    #[serde(default)]
    pub work: Option<Work>,
    pub key_schema: Value,
    pub attributes: Vec<Value>,
    #[serde(default)]
    pub local_indexes: Vec<Value>,
    #[serde(default)]
    pub indexes: Vec<Index>,
    pub billing: Billing,
    /// When it was last switched to on-demand, if ever.
    #[serde(default)]
    pub on_demand_since: Option<Millis>,
    #[serde(default)]
    pub throughput: Throughput,
    #[serde(default)]
    pub on_demand: OnDemand,
    #[serde(default)]
    pub warm: Warm,
    /// The view type of the enabled stream.
    #[serde(default)]
    pub stream: Option<String>,
    #[serde(default)]
    pub stream_label: Option<String>,
    #[serde(default)]
    pub encryption: Option<Encryption>,
    #[serde(default)]
    pub encryption_changes: Vec<Millis>,
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default)]
    pub class_changes: Vec<Millis>,
    #[serde(default)]
    pub protected: bool,
    #[serde(default)]
    pub protection_changed: Option<Millis>,
    #[serde(default)]
    pub ttl: Option<TimeToLive>,
    #[serde(default)]
    pub ttl_changed: Option<Millis>,
    /// Days of point-in-time recovery, if it is on.
    #[serde(default)]
    pub recovery: Option<i64>,
    #[serde(default)]
    pub recovery_since: Option<Millis>,
    /// When point-in-time recovery may first be touched.
    #[serde(default)]
    pub backups_from: Millis,
    #[serde(default)]
    pub tags: Tags,
    #[serde(default)]
    pub group: Option<String>,
    /// Counted now and then, as the real service does.
    #[serde(default)]
    pub item_count: i64,
    #[serde(default)]
    pub counted: Millis,
}

impl DynamoTable {
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    pub fn index_mut(&mut self, name: &str) -> Option<&mut Index> {
        self.indexes.iter_mut().find(|index| index.name == name)
    }

    /// Whether items can be read and written.
    pub fn serves(&self) -> bool {
        matches!(self.status, TableStatus::Active | TableStatus::Updating)
    }

    /// Whether an index is being made or removed.
    pub fn index_work(&self) -> bool {
        self.indexes
            .iter()
            .any(|it| matches!(it.status, TableStatus::Creating | TableStatus::Deleting))
    }

    pub fn class_word(&self) -> &str {
        self.class.as_deref().unwrap_or("STANDARD")
    }

    /// The names of the key attributes of the table itself.
    pub fn key_names(&self) -> Vec<String> {
        key_names(&self.key_schema)
    }
}

/// The attribute names of a KeySchema.
pub fn key_names(schema: &Value) -> Vec<String> {
    let parts = schema.as_array().map_or(&[] as &[Value], Vec::as_slice);
    parts.iter().filter_map(|it| it["AttributeName"].as_str()).map(str::to_owned).collect()
}

/// Members of one group, in the order in which they joined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicaGroup {
    pub name: String,
    pub members: Vec<TableMember>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableStanding {
    /// Accepted, not yet listed.
    Hidden,
    Creating,
    Active,
    Deleting,
}

impl TableStanding {
    pub fn word(self) -> &'static str {
        match self {
            Self::Hidden | Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableMember {
    pub region: String,
    /// The region whose endpoint added it: that one may not leave for a day.
    #[serde(default)]
    pub source: Option<String>,
    pub added: Millis,
    pub standing: TableStanding,
    /// Added to a group that held items, which takes long.
    #[serde(default)]
    pub with_items: bool,
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default)]
    pub read_limit: Option<i64>,
    #[serde(default)]
    pub key: Option<String>,
}

impl ReplicaGroup {
    pub fn member(&self, region: &str) -> Option<&TableMember> {
        self.members.iter().find(|it| it.region == region)
    }

    pub fn member_mut(&mut self, region: &str) -> Option<&mut TableMember> {
        self.members.iter_mut().find(|it| it.region == region)
    }

    /// The member that is on its way in, if any.
    pub fn joining(&self) -> Option<&TableMember> {
        self.members
            .iter()
            .find(|it| matches!(it.standing, TableStanding::Hidden | TableStanding::Creating))
    }
}
