//! Point-in-time recovery: each region's own, and not at hand right after a table became ACTIVE.

use serde_json::{Value, json};

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::describe::seconds;
use crate::dynamodb::store::register::{Register, TableCall};
use crate::dynamodb::store::shape::{KeyShape, table_name};
use crate::dynamodb::store::table::{DynamoTable, TableStatus};
use crate::http::Millis;

/// The recovery period unless another is given: 35 days, which is also the longest (AWS's API reference).
const DEFAULT_DAYS: i64 = 35;
/// The latest time that can be restored lags behind by about five minutes (AWS's developer guide, point-in-time recovery).
const LAG: Millis = 5 * 60_000;
const DAY: Millis = 24 * 3_600_000;

fn backed<'a>(
    register: &'a Register,
    call: &TableCall,
    name: &str,
) -> Result<&'a DynamoTable, DynamoDbError> {
    let table = register.table(&call.region, name);
    table
        .filter(|it| it.status != TableStatus::Creating)
        .ok_or_else(|| DynamoDbError::table_not_found(name))
}

pub fn update_continuous_backups(
    register: &mut Register,
    call: &TableCall,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    let asked = &call.body["PointInTimeRecoverySpecification"];
    let path = "pointInTimeRecoverySpecification";
    let mut shape = KeyShape::default();
    shape.required(asked, path);
    if !asked.is_null() {
        shape.required(
            &asked["PointInTimeRecoveryEnabled"],
            &format!("{path}.pointInTimeRecoveryEnabled"),
        );
        let days = format!("{path}.recoveryPeriodInDays");
        shape.at_least(&asked["RecoveryPeriodInDays"], &days, 1);
        shape.at_most(&asked["RecoveryPeriodInDays"], &days, 35);
    }
    shape.finish()?;
    let enabled = asked["PointInTimeRecoveryEnabled"] == true;
    let days = asked["RecoveryPeriodInDays"].as_i64();
    if !enabled && days.is_some() {
        return Err(DynamoDbError::validation(
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time \
             recovery.",
        ));
    }
    let table = backed(register, call, &name)?;
    if call.now < table.backups_from {
        return Err(DynamoDbError::backups_unavailable(&name));
    }
    if let Some(table) = register.table_mut(&call.region, &name) {
        table.recovery_since = enabled.then(|| table.recovery_since.unwrap_or(call.now));
        table.recovery = enabled.then(|| days.or(table.recovery).unwrap_or(DEFAULT_DAYS));
    }
    Ok(description(register.expect_table(&call.region, &name)?, call.now))
}

pub fn describe_continuous_backups(
    register: &Register,
    call: &TableCall,
) -> Result<Value, DynamoDbError> {
    let name = table_name(&call.body, &call.region)?;
    Ok(description(backed(register, call, &name)?, call.now))
}

fn description(table: &DynamoTable, now: Millis) -> Value {
    let mut recovery = json!({"PointInTimeRecoveryStatus": "DISABLED"});
    if let (Some(days), Some(since)) = (table.recovery, table.recovery_since) {
        recovery = json!({
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": days,
            "EarliestRestorableDateTime": seconds(since.max(now - days * DAY)),
            "LatestRestorableDateTime": seconds(since.max(now - LAG)),
        });
    }
    json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": recovery,
    }})
}
