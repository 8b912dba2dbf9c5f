//! Every rule, in the order in which `lifeboat audit --rules` lists them.

use crate::engine::audit::finding::{Level, Rule};
use crate::engine::audit::{certificate, data, independence, practice, recorded, standby, traffic};

pub static INVALID: Rule = Rule {
    id: "invalid",
    level: Level::Error,
    title: "The layers have a mistake",
    remedy: "see `lifeboat validate`",
};

pub static RULES: [&Rule; 34] = [
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
    &independence::SETTING_LOST,
    &traffic::NO_OBJECTIVE,
    &traffic::TTL_TOO_LONG,
    &traffic::TTL_ROUNDED,
    &traffic::GATE_MISSING,
    &traffic::CHECK_MISSING,
    &traffic::CHECK_SHALLOW,
    &standby::STANDBY_COLD,
    &standby::STANDBY_DIFFERS,
    &standby::STANDBY_SMALLER,
    &recorded::STANDBY_UNMADE,
    &recorded::STANDBY_STALE,
    &recorded::STANDBY_DRIFTED,
    &recorded::STANDBY_UNSEEN,
    &recorded::REPLICA_INACTIVE,
    &recorded::REPLICA_SPLIT,
    &data::UNPROTECTED,
    &data::NOT_RESTORABLE,
    &practice::REPLACE_GAP,
    &certificate::EXPIRING,
    &certificate::UNREADABLE,
    &practice::DRILL_OLD,
    &practice::DRILL_FAILED,
    &practice::DRILL_NEVER,
];
