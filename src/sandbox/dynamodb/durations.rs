//! How long the control plane takes, as measured on the real service.

use crate::http::Millis;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// World time in milliseconds from a call until its effect shows. The defaults are near the middle of what the public lab
/// ack-api-quirks measured on AWS in October 2026 (us-east-1 and us-west-2); AWS documents none of them, except for the
/// 24 hours of `source_stays`.
#[derive(Debug, Clone)]
pub struct Durations {
    pub table_create: Millis,
    pub table_create_with_indexes: Millis,
    pub table_delete: Millis,
    /// After ACTIVE, until point-in-time recovery may be touched.
    pub backups_enabled: Millis,
    pub throughput: Millis,
    pub to_provisioned: Millis,
    pub to_on_demand: Millis,
    pub to_on_demand_again: Millis,
    pub to_on_demand_in_group: Millis,
    pub stream: Millis,
    pub encryption: Millis,
    pub class: Millis,
    pub class_in_group: Millis,
    pub protection_in_group: Millis,
    pub warm: Millis,
    pub override_set: Millis,
    pub index_allocation: Millis,
    pub index_backfill_empty: Millis,
    pub index_backfill: Millis,
    pub index_backfill_in_group: Millis,
    pub index_delete: Millis,
    pub index_delete_in_group: Millis,
    pub replica_entry: Millis,
    pub replica_table: Millis,
    pub replica_empty: Millis,
    pub replica_with_read_limit: Millis,
    pub replica_with_items: Millis,
    pub replica_delete_base: Millis,
    pub replica_entry_gone: Millis,
    pub replica_entry_gone_with_items: Millis,
    /// From the entry's end until the region forgets the table.
    pub replica_table_gone: Millis,
    pub ttl: Millis,
    pub ttl_pause: Millis,
    pub protection_pause: Millis,
    pub tag_lock: Millis,
    pub tags_seen: Millis,
    /// How long a region that fed a new replica must stay.
    pub source_stays: Millis,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            table_create: 4 * SECOND,
            table_create_with_indexes: 16 * SECOND,
            table_delete: 6 * SECOND,
            backups_enabled: 5 * SECOND,
            throughput: 2 * SECOND,
            to_provisioned: 75 * SECOND,
            to_on_demand: 150 * SECOND,
            to_on_demand_again: 5 * SECOND,
            to_on_demand_in_group: 218 * SECOND,
            stream: 5 * SECOND,
            encryption: 22 * SECOND,
            class: 5 * SECOND,
            class_in_group: 45 * SECOND,
            protection_in_group: 36 * SECOND,
            warm: 300 * SECOND,
            override_set: 36 * SECOND,
            index_allocation: 40 * SECOND,
            index_backfill_empty: 20 * SECOND,
            index_backfill: 480 * SECOND,
            index_backfill_in_group: 515 * SECOND,
            index_delete: 5 * SECOND,
            index_delete_in_group: 38 * SECOND,
            replica_entry: 6 * SECOND,
            replica_table: 10 * SECOND,
            replica_empty: 20 * SECOND,
            replica_with_read_limit: 161 * SECOND,
            replica_with_items: 620 * SECOND,
            replica_delete_base: 40 * SECOND,
            replica_entry_gone: 125 * SECOND,
            replica_entry_gone_with_items: 210 * SECOND,
            replica_table_gone: 20 * SECOND,
            ttl: MINUTE,
            ttl_pause: 30 * MINUTE,
            protection_pause: 15 * SECOND,
            tag_lock: 1_700,
            tags_seen: 1_900,
            source_stays: 24 * HOUR,
        }
    }
}

impl Durations {
    /// Every effect at once, for benchmarks; the 24-hour rule stays, since plans must obey it.
    pub fn instant() -> Self {
        Self {
            table_create: 0,
            table_create_with_indexes: 0,
            table_delete: 0,
            backups_enabled: 0,
            throughput: 0,
            to_provisioned: 0,
            to_on_demand: 0,
            to_on_demand_again: 0,
            to_on_demand_in_group: 0,
            stream: 0,
            encryption: 0,
            class: 0,
            class_in_group: 0,
            protection_in_group: 0,
            warm: 0,
            override_set: 0,
            index_allocation: 0,
            index_backfill_empty: 0,
            index_backfill: 0,
            index_backfill_in_group: 0,
            index_delete: 0,
            index_delete_in_group: 0,
            replica_entry: 0,
            replica_table: 0,
            replica_empty: 0,
            replica_with_read_limit: 0,
            replica_with_items: 0,
            replica_delete_base: 0,
            replica_entry_gone: 0,
            replica_entry_gone_with_items: 0,
            replica_table_gone: 0,
            ttl: 0,
            ttl_pause: 0,
            protection_pause: 0,
            tag_lock: 0,
            tags_seen: 0,
            source_stays: 24 * HOUR,
        }
    }
}
