//! Every rule, in the order in which `lifeboat audit --rules` lists them.

use crate::engine::recovery::audit::checks::backends;
use crate::engine::recovery::audit::checks::certificate;
use crate::engine::recovery::audit::checks::copies;
use crate::engine::recovery::audit::checks::data;
use crate::engine::recovery::audit::checks::health_page;
use crate::engine::recovery::audit::checks::independence;
use crate::engine::recovery::audit::checks::offers;
use crate::engine::recovery::audit::checks::practice;
use crate::engine::recovery::audit::checks::recorded;
use crate::engine::recovery::audit::checks::standby;
use crate::engine::recovery::audit::checks::tasks;
use crate::engine::recovery::audit::checks::traffic;
use crate::engine::recovery::audit::finding::{AuditRule, Level};

pub static INVALID: AuditRule = AuditRule {
    id: "invalid",
    level: Level::Error,
    title: "The configuration has an error",
    remedy: "`validate` shows every error in the configuration",
};

pub static RULES: [&AuditRule; 53] = [
    &INVALID,
    &practice::NO_RECOVERY,
    &practice::ASSUMES_NOTHING,
    &independence::TARGET_LOST,
    &independence::TARGET_UNFOLLOWED,
    &independence::NEEDS_LOST,
    &independence::NAMES_LOST_REGION,
    &independence::DATA_LOST,
    &independence::IMAGE_REGIONAL,
    &independence::STATE_LOST,
    &independence::MIRROR_LOST,
    &independence::SETTING_LOST,
    &copies::ASSUMES_PART,
    &copies::NAMES_LOST_ADDRESS,
    &copies::REPLICATION_UNPROVED,
    &backends::BACKEND_SHUT,
    &backends::PORTS_DIFFER,
    &backends::FIREWALL_MISSING,
    &backends::FIREWALL_SHUTS,
    &backends::ADMIN_OPEN,
    &backends::HOME_SINGLE,
    &traffic::NO_OBJECTIVE,
    &traffic::TTL_TOO_LONG,
    &traffic::TTL_ROUNDED,
    &traffic::GATE_MISSING,
    &traffic::CHECK_MISSING,
    &traffic::CHECK_SHALLOW,
    &traffic::CHECK_SLOW,
    &health_page::CHECK_STATIC,
    &standby::STANDBY_COLD,
    &standby::STANDBY_DIFFERS,
    &standby::STANDBY_SMALLER,
    &recorded::NAME_SHARED,
    &recorded::STANDBY_UNMADE,
    &recorded::STANDBY_STALE,
    &recorded::STANDBY_DRIFTED,
    &recorded::STANDBY_UNSEEN,
    &recorded::REPLICA_INACTIVE,
    &recorded::REPLICA_SPLIT,
    &offers::NOT_OFFERED,
    &offers::QUOTA_EXCEEDED,
    &offers::OFFERS_UNREAD,
    &data::UNPROTECTED,
    &data::NOT_RESTORABLE,
    &practice::REPLACE_GAP,
    &certificate::EXPIRING,
    &certificate::UNREADABLE,
    &practice::DRILL_OLD,
    &practice::DRILL_FAILED,
    &practice::DRILL_NEVER,
    &copies::REHEARSAL_MISSING,
    &tasks::TASK_NEVER_DRILLED,
    &tasks::TASK_PROGRAM_MISSING,
];
