//! Limits of on-demand requests, and warm throughput: both change while the table stays ACTIVE.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall};
use crate::dynamodb::store::table::{Billing, DynamoTable, OnDemand};

/// OnDemandThroughput: takes effect at once; -1 clears.
pub fn limits(
    register: &mut Register,
    body: &Value,
    table: &DynamoTable,
    billing: Billing,
) -> Result<(), DynamoDbError> {
    let asked = &body["OnDemandThroughput"];
    if asked.is_null() {
        return Ok(());
    }
    let units = |name: &str| asked[name].as_i64();
    let members = ["MaxReadRequestUnits", "MaxWriteRequestUnits"];
    let Some(first) = members.into_iter().find(|name| units(name).is_some()) else {
        return Err(DynamoDbError::internal("Internal server error"));
    };
    if billing == Billing::Provisioned {
        return Err(DynamoDbError::invalid(&format!(
            "{first} for OnDemandThroughput cannot be specified when the table BillingMode is \
             PROVISIONED"
        )));
    }
    for name in members {
        if units(name).is_some_and(|it| it == 0 || it < -1) {
            return Err(DynamoDbError::invalid(&format!(
                "Requested {name} for OnDemandThroughput for table is outside of valid range"
            )));
        }
    }
    for key in register.alike(table) {
        if let Some(table) = register.tables.get_mut(&key) {
            set_limits(&mut table.on_demand, asked);
        }
    }
    Ok(())
}

/// Member by member; -1 clears.
pub fn set_limits(limits: &mut OnDemand, asked: &Value) {
    if let Some(read) = asked["MaxReadRequestUnits"].as_i64() {
        limits.read = Some(read).filter(|it| *it > 0);
    }
    if let Some(write) = asked["MaxWriteRequestUnits"].as_i64() {
        limits.write = Some(write).filter(|it| *it > 0);
    }
}

/// WarmThroughput: may only rise, and takes minutes while the table stays ACTIVE.
pub fn warm_up(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
) -> Result<(), DynamoDbError> {
    let asked = &call.body["WarmThroughput"];
    let units = |name: &str| asked[name].as_i64();
    let (read, write) = (units("ReadUnitsPerSecond"), units("WriteUnitsPerSecond"));
    if read.is_none() && write.is_none() {
        return Err(DynamoDbError::internal("Internal server error"));
    }
    for (name, units, current) in [
        ("ReadUnitsPerSecond", read, table.warm.read),
        ("WriteUnitsPerSecond", write, table.warm.write),
    ] {
        if units.is_some_and(|it| it < current) {
            return Err(DynamoDbError::invalid(&format!(
                "Requested {name} for WarmThroughput for table is lower than current \
                 WarmThroughput, decreasing WarmThroughput is not supported"
            )));
        }
    }
    let until = call.now + register.durations.warm;
    for key in register.alike(table) {
        if let Some(table) = register.tables.get_mut(&key) {
            table.warm.read = read.unwrap_or(table.warm.read);
            table.warm.write = write.unwrap_or(table.warm.write);
            table.warm.raising = true;
        }
        register.later(until, RegisterEvent::WarmSettled { table: key });
    }
    Ok(())
}
