//! All rows of the DynamoDB half: tables, groups, and what is still to happen to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::durations::Durations;
use crate::dynamodb::links::{Links, Write};
use crate::dynamodb::places::uuid_of;
use crate::dynamodb::store::table::{
    DynamoTable, ReplicaGroup, TableStanding, TableStatus, Throughput, Work,
};
use crate::http::Millis;
use crate::rows::change::Rows;

/// New values that show once the table is ACTIVE again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<(String, Throughput)>,
    /// Switched to on-demand (true) or to provisioned (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand: Option<bool>,
    /// The new view type; an empty one disables the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_limit: Option<i64>,
}

/// Something that happens by itself when its time has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RegisterEvent {
    TableCreated { table: String },
    TableSettled { table: String, patch: Box<Patch> },
    TableGone { table: String },
    BaseBusy { table: String },
    IndexBackfills { table: String, index: String },
    IndexActive { table: String, index: String },
    IndexGone { table: String, index: String },
    TimeToLiveSettled { table: String },
    EncryptionSettled { table: String },
    WarmSettled { table: String },
    ReplicaListed { group: String, region: String },
    ReplicaKnown { group: String, region: String },
    ReplicaActive { group: String, region: String },
    ReplicaLeft { group: String, region: String },
}

impl RegisterEvent {
    /// The table this is about, if it is about one row only.
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::TableCreated { table }
            | Self::TableSettled { table, .. }
            | Self::TableGone { table }
            | Self::BaseBusy { table }
            | Self::IndexBackfills { table, .. }
            | Self::IndexActive { table, .. }
            | Self::IndexGone { table, .. }
            | Self::TimeToLiveSettled { table }
            | Self::EncryptionSettled { table }
            | Self::WarmSettled { table } => Some(table),
            _ => None,
        }
    }

    /// The group and the region of the member that this is about.
    fn member(&self) -> Option<(&str, &str)> {
        match self {
            Self::ReplicaListed { group, region }
            | Self::ReplicaKnown { group, region }
            | Self::ReplicaActive { group, region }
            | Self::ReplicaLeft { group, region } => Some((group, region)),
            _ => None,
        }
    }

    fn index(&self) -> Option<&str> {
        match self {
            Self::IndexBackfills { index, .. }
            | Self::IndexActive { index, .. }
            | Self::IndexGone { index, .. } => Some(index),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableJob {
    pub due: Millis,
    pub event: RegisterEvent,
}

/// The rows and their bookkeeping.
#[derive(Debug, Clone, Default)]
pub struct Register {
    pub tables: Rows<String, DynamoTable>,
    pub groups: Rows<String, ReplicaGroup>,
    pub jobs: Rows<u64, TableJob>,
    /// Counters, so that ids never come twice.
    pub numbers: Rows<String, u64>,
    /// Writes that other members have still to take over.
    pub writes: Rows<u64, Write>,
    pub durations: Durations,
    pub links: Links,
}

/// `region/name`.
pub fn key_of(region: &str, name: &str) -> String {
    format!("{region}/{name}")
}

impl Register {
    pub fn table(&self, region: &str, name: &str) -> Option<&DynamoTable> {
        self.tables.get(&key_of(region, name))
    }

    pub fn table_mut(&mut self, region: &str, name: &str) -> Option<&mut DynamoTable> {
        self.tables.get_mut(&key_of(region, name))
    }

    /// The table, or the answer that there is none.
    pub fn expect_table(&self, region: &str, name: &str) -> Result<&DynamoTable, DynamoDbError> {
        self.table(region, name).ok_or_else(|| DynamoDbError::no_table(name))
    }

    pub fn next(&mut self, counter: &str) -> u64 {
        let next = self.numbers.get(&counter.to_owned()).copied().unwrap_or(0) + 1;
        self.numbers.put(counter.to_owned(), next);
        next
    }

    pub fn new_id(&mut self, region: &str, name: &str) -> String {
        let number = self.next("table").to_string();
        uuid_of(&[region, name, &number])
    }

    pub fn later(&mut self, due: Millis, event: RegisterEvent) {
        let id = self.next("job");
        self.jobs.put(id, TableJob { due, event });
    }

    /// Forgets the table and all that was still to happen to it.
    pub fn forget(&mut self, key: &str) {
        self.tables.remove(&key.to_owned());
        self.drop_jobs(|event| event.table() == Some(key));
    }

    /// Forgets what was still to happen to a member of a group.
    pub fn forget_member(&mut self, group: &str, region: &str) {
        self.drop_jobs(|event| event.member() == Some((group, region)));
    }

    pub fn drop_index_jobs(&mut self, key: &str, index: &str) {
        self.drop_jobs(|event| event.table() == Some(key) && event.index() == Some(index));
    }

    fn drop_jobs(&mut self, about: impl Fn(&RegisterEvent) -> bool) {
        let gone: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| about(&job.event)).map(|(id, _)| *id).collect();
        for id in gone {
            self.jobs.remove(&id);
        }
    }

    pub fn group_of(&self, table: &DynamoTable) -> Option<&ReplicaGroup> {
        self.groups.get(table.group.as_ref()?)
    }

    /// Keys of the tables that share this one's settings, itself first.
    pub fn alike(&self, table: &DynamoTable) -> Vec<String> {
        let mut keys = vec![key_of(&table.region, &table.name)];
        for member in self.group_of(table).map_or(&[] as &[_], |group| &group.members) {
            let other = self.table(&member.region, &table.name);
            let shares = other.is_some_and(|it| it.group == table.group);
            if shares && member.region != table.region && member.standing != TableStanding::Deleting
            {
                keys.push(key_of(&member.region, &table.name));
            }
        }
        keys
    }

    /// Whether anything is in flight in the group of this table.
    pub fn group_works(&self, table: &DynamoTable) -> bool {
        let Some(group) = self.group_of(table) else { return false };
        group.members.iter().any(|member| {
            let quiet = self
                .table(&member.region, &group.name)
                .is_some_and(|it| it.status == TableStatus::Active);
            member.standing != TableStanding::Active || !quiet
        })
    }

    /// Marks the table UPDATING until then, when the patch takes effect.
    pub fn update_until(&mut self, key: &str, due: Millis, work: Work, patch: Patch) {
        if let Some(table) = self.tables.get_mut(&key.to_owned()) {
            table.status = TableStatus::Updating;
            table.work = Some(work);
        }
        let patch = Box::new(patch);
        self.later(due, RegisterEvent::TableSettled { table: key.to_owned(), patch });
    }
}

/// One call: when, where, and what it says.
#[derive(Debug)]
pub struct TableCall {
    pub now: Millis,
    /// What was made later is missing from lists.
    pub listed: Millis,
    pub region: String,
    pub operation: String,
    pub body: Value,
}
