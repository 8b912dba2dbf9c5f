//! The tables of the Linode half and how their changes leave and enter.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::apps::App;
use crate::linode::data::limits::{RateLimits, Windows};
use crate::linode::data::model::{
    BalancerNode, Config, Device, Domain, DomainRecord, Firewall, LinodeEvent, LinodeInstance,
    NodeBalancer, SshKey, Volume,
};
use crate::linode::data::restricted::RestrictedToken;
use crate::rows::change::Rows;
use crate::rows::keyed::KeyedRows;

/// Everything that exists at Linode.
#[derive(Debug, Default)]
pub struct LinodeWorld {
    pub counters: Rows<String, u64>,
    pub settings: Rows<String, Value>,
    /// What is known of the application, by a text that tells its revision; empty: of every one.
    pub apps: Rows<String, App>,
    pub tags: Rows<String, String>,
    /// Email by user name, of those who were added.
    pub users: Rows<String, String>,
    /// The users who do not see everything, by their tokens.
    pub restricted: Rows<String, RestrictedToken>,
    pub instances: KeyedRows<LinodeInstance>,
    pub nodebalancers: KeyedRows<NodeBalancer>,
    pub configs: KeyedRows<Config>,
    pub nodes: KeyedRows<BalancerNode>,
    pub domains: KeyedRows<Domain>,
    pub records: KeyedRows<DomainRecord>,
    pub firewalls: KeyedRows<Firewall>,
    pub devices: KeyedRows<Device>,
    pub sshkeys: KeyedRows<SshKey>,
    pub volumes: KeyedRows<Volume>,
    pub events: KeyedRows<LinodeEvent>,
    pub windows: Windows,
}

/// Calls a macro-like body for every table; keeps the list of tables in one place.
macro_rules! each_table {
    ($self:ident, $name:ident, $table:ident, $body:expr) => {{
        each_table!(@ $self, $name, $table, $body, counters settings apps tags users restricted instances nodebalancers configs
            nodes domains records firewalls devices sshkeys volumes events);
    }};
    (@ $self:ident, $name:ident, $table:ident, $body:expr, $($field:ident)*) => {
        $({
            let $name = stringify!($field);
            let $table = &mut $self.$field;
            $body;
        })*
    };
}

impl LinodeWorld {
    /// The next number of a kind; kinds start far apart, so that a mixed-up id is not found.
    pub fn next_id(&mut self, kind: &str) -> u64 {
        let first = match kind {
            "linode" => 80_000_001,
            "nodebalancer" => 1_700_001,
            "config" => 2_700_001,
            "node" => 210_000_001,
            "domain" => 3_100_001,
            "record" => 36_000_001,
            "firewall" => 960_001,
            "device" => 11_900_001,
            "volume" => 15_900_001,
            "disk" => 158_000_001,
            "profile" => 85_000_001,
            "event" => 1_500_000_001,
            _ => 450_001,
        };
        self.count(kind, first)
    }

    /// The next value of a counter that starts at `first`.
    pub fn count(&mut self, counter: &str, first: u64) -> u64 {
        let value = self.counters.get(&counter.to_owned()).map_or(first, |last| last + 1);
        self.counters.put(counter.to_owned(), value);
        value
    }

    /// The ids of what was made after this.
    pub fn made_after(&self, time: Millis) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut of = |id: u64, made: Millis| {
            if made > time {
                found.insert(id);
            }
        };
        self.instances.iter().for_each(|(_, it)| of(it.id, it.created));
        self.nodebalancers.iter().for_each(|(_, it)| of(it.id, it.created));
        self.configs.iter().for_each(|(_, it)| of(it.id, it.created));
        self.nodes.iter().for_each(|(_, it)| of(it.id, it.created));
        self.domains.iter().for_each(|(_, it)| of(it.id, it.created));
        self.records.iter().for_each(|(_, it)| of(it.id, it.created));
        self.firewalls.iter().for_each(|(_, it)| of(it.id, it.created));
        self.devices.iter().for_each(|(_, it)| of(it.id, it.created));
        self.sshkeys.iter().for_each(|(_, it)| of(it.id, it.created));
        self.volumes.iter().for_each(|(_, it)| of(it.id, it.created));
        found
    }

    pub fn limits(&self) -> RateLimits {
        let stored = self.settings.get(&"limits".to_owned()).cloned();
        stored.and_then(|row| serde_json::from_value(row).ok()).unwrap_or_default()
    }

    pub fn set_limits(&mut self, limits: &RateLimits) {
        self.settings.put("limits".into(), json!(limits));
    }

    /// True when nothing that was made by a request exists any more.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
            && self.nodebalancers.is_empty()
            && self.domains.is_empty()
            && self.firewalls.is_empty()
            && self.sshkeys.is_empty()
            && self.volumes.is_empty()
    }

    pub fn take_changes(&mut self) -> Vec<(&'static str, String, Option<Value>)> {
        let mut changes = Vec::new();
        each_table!(
            self,
            name,
            table,
            changes.extend(table.take_changes().into_iter().map(|(key, row)| (name, key, row)))
        );
        changes
    }

    #[must_use]
    pub fn apply(&mut self, wanted: &str, key: &str, row: Option<Value>) -> bool {
        let mut row = Some(row);
        let mut known = false;
        each_table!(
            self,
            name,
            table,
            if name == wanted {
                known = table.apply(key, row.take().flatten());
            }
        );
        known
    }

    pub fn all(&mut self) -> Vec<(&'static str, String, Value)> {
        let mut rows = Vec::new();
        each_table!(
            self,
            name,
            table,
            rows.extend(table.all().into_iter().map(|(key, row)| (name, key, row)))
        );
        rows
    }
}
