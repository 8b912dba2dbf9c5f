//! DynamoDB as its clients see it: a control plane of our own over an embedded item engine.

pub mod durations;
pub mod links;
pub mod api_error;
pub mod members;
pub mod places;
pub mod store;
pub mod table;
pub mod group;
pub mod update;
pub mod data;
pub mod destroy_data;
pub mod wire;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use self::durations::Durations;
pub use self::links::{Links, LostRegion};
pub use self::wire::region_of;
pub use crate::dynamodb::store::items::Items;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::group::replica_delete;
use crate::dynamodb::store::describe;
use crate::dynamodb::store::due;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::replication;
use crate::dynamodb::table::backups;
use crate::dynamodb::table::create;
use crate::dynamodb::table::tags;
use crate::dynamodb::update::ttl;
use crate::dynamodb::update::update_table;
use crate::faults::state::Doom;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};

/// All regions of the one account.
#[derive(Debug, Clone, Default)]
pub struct DynamoDb {
    register: Register,
}

impl DynamoDb {
    /// The same, with other durations than the recorded ones.
    pub fn with_durations(durations: Durations) -> Self {
        Self { register: Register { durations, ..Register::default() } }
    }

    /// What is between the regions from now on.
    pub fn set_links(&mut self, links: Links) {
        self.register.links = links;
    }

    /// Makes happen what became due by now.
    pub fn catch_up(&mut self, now: Millis, items: &mut Items) -> Result<(), String> {
        due::settle(&mut self.register, now, Some(items))?;
        replication::deliver(&mut self.register, now, items)
    }

    /// The names of the tables in a region.
    pub fn names(&self, region: &str) -> Vec<String> {
        destroy_data::names(&self.register, region)
    }

    /// Takes doomed tables of a region out of the world and says which.
    pub fn destroy(
        &mut self,
        region: &str,
        doom: &Doom,
        items: &mut Items,
    ) -> Result<Vec<String>, String> {
        destroy_data::destroy(&mut self.register, region, doom, items)
    }

    /// Answers one request at this world time, after all that became due by then.
    pub fn handle(
        &mut self,
        now: Millis,
        request: &SandboxRequest,
        items: &mut Items,
    ) -> SandboxAnswer {
        self.handle_as_of(now, now, request, items)
    }

    /// The same, with lists that lack what was made after `listed`.
    pub fn handle_as_of(
        &mut self,
        now: Millis,
        listed: Millis,
        request: &SandboxRequest,
        items: &mut Items,
    ) -> SandboxAnswer {
        if let Err(reason) = self.catch_up(now, items) {
            return wire::answer(now, request, Err(DynamoDbError::internal(reason)));
        }
        match wire::read(now, request) {
            Err(answer) => answer,
            Ok(call) => {
                let call = TableCall { listed, ..call };
                wire::answer(now, request, run(&mut self.register, &call, items))
            }
        }
    }

    /// Table of rows, key and row (`None` = removed) of everything changed since the last call.
    pub fn take_changes(&mut self) -> Vec<(String, String, Option<Value>)> {
        let register = &mut self.register;
        let changes = [
            ("tables", register.tables.take_changes()),
            ("groups", register.groups.take_changes()),
            ("jobs", register.jobs.take_changes()),
            ("numbers", register.numbers.take_changes()),
            ("writes", register.writes.take_changes()),
        ];
        let named = |(name, rows): (&str, Vec<(String, Option<Value>)>)| {
            let name = name.to_owned();
            rows.into_iter().map(move |(key, row)| (name.clone(), key, row)).collect::<Vec<_>>()
        };
        changes.into_iter().flat_map(named).collect()
    }

    /// Applies a change that another process made; false when it does not parse.
    #[must_use]
    pub fn apply(&mut self, table: &str, key: &str, row: Option<Value>) -> bool {
        match table {
            "tables" => self.register.tables.apply(key, row),
            "groups" => self.register.groups.apply(key, row),
            "jobs" => self.register.jobs.apply(key, row),
            "numbers" => self.register.numbers.apply(key, row),
            "writes" => self.register.writes.apply(key, row),
            _ => false,
        }
    }

    /// Every row, for a snapshot.
    pub fn all(&self) -> Vec<(String, String, Value)> {
        let register = &self.register;
        let all = [
            ("tables", register.tables.all()),
            ("groups", register.groups.all()),
            ("jobs", register.jobs.all()),
            ("numbers", register.numbers.all()),
            ("writes", register.writes.all()),
        ];
        let named = |(name, rows): (&str, Vec<(String, Value)>)| {
            let name = name.to_owned();
            rows.into_iter().map(move |(key, row)| (name.clone(), key, row)).collect::<Vec<_>>()
        };
        all.into_iter().flat_map(named).collect()
    }

    /// Region → table → status, billing, replicas: what a person wants to see.
    pub fn show(&self, now: Millis) -> Value {
        let register = self.settled(now);
        let mut regions = Map::new();
        for (_, table) in register.tables.iter() {
            let mut shown = json!({"status": table.status.word(), "billing": table.billing.word()});
            let replicas: Map<String, Value> = describe::replicas(&register, table)
                .iter()
                .filter_map(|it| {
                    Some((it["RegionName"].as_str()?.to_owned(), it["ReplicaStatus"].clone()))
                })
                .collect();
            if !replicas.is_empty() {
                shown["replicas"] = replicas.into();
            }
            if table.protected {
                shown["deletion_protection"] = true.into();
            }
            let region = regions.entry(table.region.clone()).or_insert_with(|| json!({}));
            region[&table.name] = shown;
        }
        regions.into()
    }

    pub fn is_empty(&self) -> bool {
        self.register.tables.is_empty() && self.register.groups.is_empty()
    }

    /// Whether nothing is found at this time; what has gone by itself may still be stored.
    pub fn is_empty_at(&self, now: Millis) -> bool {
        let settled = self.settled(now);
        settled.tables.is_empty() && settled.groups.is_empty()
    }

    /// As it will be found at this time.
    fn settled(&self, now: Millis) -> Register {
        let mut register = self.register.clone();
        // Without items nothing can fail here.
        let _ = due::settle(&mut register, now, None);
        register
    }
}

fn run(
    register: &mut Register,
    call: &TableCall,
    items: &mut Items,
) -> Result<Value, DynamoDbError> {
    match call.operation.as_str() {
        "CreateTable" => create::create_table(register, call, items),
        "DescribeTable" => describe::describe_table(register, call),
        "UpdateTable" => update_table::update_table(register, call, items),
        "DeleteTable" => replica_delete::delete_table(register, call, items),
        "ListTables" => describe::list_tables(register, call),
        "DescribeLimits" => Ok(create::describe_limits()),
        "TagResource" => tags::tag_resource(register, call),
        "UntagResource" => tags::untag_resource(register, call),
        "ListTagsOfResource" => tags::list_tags(register, call),
        "UpdateTimeToLive" => ttl::update_time_to_live(register, call),
        "DescribeTimeToLive" => ttl::describe_time_to_live(register, call),
        "UpdateContinuousBackups" => backups::update_continuous_backups(register, call),
        "DescribeContinuousBackups" => backups::describe_continuous_backups(register, call),
        _ => data::item_call(register, call, items),
    }
}
