//! Encryption at rest: which key a request means, and changing it.

use serde_json::Value;

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::places::{iso_time, key_arn, managed_key_arn};
use crate::dynamodb::store::register::{Register, RegisterEvent, TableCall, key_of};
use crate::dynamodb::store::table::{DynamoTable, Encryption};
use crate::http::Millis;

const HOUR: Millis = 3_600_000;

/// What an SSESpecification asks for; `None` is the service-owned key.
pub fn asked_encryption(asked: &Value, region: &str) -> Result<Option<Encryption>, DynamoDbError> {
    let kind = asked["SSEType"].as_str();
    let key = asked["KMSMasterKeyId"].as_str();
    if kind == Some("AES256") {
        return Err(DynamoDbError::invalid("SSEType AES256 is not supported"));
    }
    if asked["Enabled"] == false {
        if kind.is_some() {
            return Err(DynamoDbError::invalid("SSEType can not be specified if Enabled is false"));
        }
        if key.is_some() {
            return Err(DynamoDbError::invalid(
                "KMSMasterKeyId can not be specified if Enabled is false",
            ));
        }
        return Ok(None);
    }
    let Some(key) = key else {
        let managed = asked["Enabled"] == true || kind.is_some();
        return Ok(managed.then(|| Encryption {
            key: managed_key_arn(region),
            customer: false,
            updating: false,
        }));
    };
    usable(key, region)?;
    let arn = key_arn(region, key);
    let customer = arn != managed_key_arn(region);
    Ok(Some(Encryption { key: arn, customer, updating: false }))
}

/// A key of another region is refused at once.
pub fn usable(key: &str, region: &str) -> Result<(), DynamoDbError> {
    let elsewhere = key.starts_with("arn:") && !key.starts_with(&format!("arn:aws:kms:{region}:"));
    if elsewhere {
        let there = key.split(':').nth(3).unwrap_or("");
        let text = format!(
            "KMS validation error: com.amazonaws.services.kms.model.NotFoundException: Invalid \
             arn {there}"
        );
        return Err(DynamoDbError::validation(text));
    }
    Ok(())
}

/// Changes the key of one table. Re-encryption runs while the table stays ACTIVE.
pub fn change_encryption(
    register: &mut Register,
    call: &TableCall,
    table: &DynamoTable,
) -> Result<(), DynamoDbError> {
    let asked = &call.body["SSESpecification"];
    let wanted = asked_encryption(asked, &table.region)?;
    let current = table.encryption.as_ref();
    if current.is_some_and(|it| it.updating) {
        return Err(DynamoDbError::busy("Server-Side Encryption is still being updated"));
    }
    match (&wanted, current) {
        (None, None) => {
            return Err(DynamoDbError::invalid("Table is already encrypted by default"));
        }
        (Some(wanted), Some(current))
            if asked["KMSMasterKeyId"] == current.key.as_str() && wanted.key == current.key =>
        {
            return Err(DynamoDbError::invalid(
                "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId \
                 parameter if you want to change Master Key",
            ));
        }
        _ => {}
    }
    let customer = |it: Option<&Encryption>| it.is_some_and(|it| it.customer);
    let both = (customer(wanted.as_ref()), customer(current));
    if table.group.is_some() && both.0 != both.1 {
        return Err(mixed_keys());
    }
    let changes = within_budget(table, call.now)?;
    let until = call.now + register.durations.encryption;
    // A customer's key is each region's own; whether there is a key at all is the group's.
    let keys =
        if both.0 { vec![key_of(&table.region, &table.name)] } else { register.alike(table) };
    for key in keys {
        if let Some(table) = register.tables.get_mut(&key) {
            table.encryption_changes.clone_from(&changes);
            table.encryption = wanted.clone().map(|it| Encryption {
                key: if it.customer { it.key } else { managed_key_arn(&table.region) },
                updating: true,
                ..it
            });
        }
        register.later(until, RegisterEvent::EncryptionSettled { table: key });
    }
    Ok(())
}

/// All members use keys of one kind.
pub fn mixed_keys() -> DynamoDbError {
    DynamoDbError::invalid(
        "All replica keys must either be Customer Managed CMK or AWS Managed CMK.",
    )
}

/// Four changes in 24 hours, then one in six; returning to the service's own key counts as well.
fn within_budget(table: &DynamoTable, now: Millis) -> Result<Vec<Millis>, DynamoDbError> {
    let mut recent: Vec<Millis> =
        table.encryption_changes.iter().copied().filter(|at| now - at < 24 * HOUR).collect();
    let last = recent.last().copied().unwrap_or(0);
    if recent.len() >= 4 && now - last < 6 * HOUR {
        return Err(DynamoDbError::limit(format!(
            "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window \
             ending at {}. After the first 4 change, each subsequent change in the same window can \
             be performed at most once every 21600 seconds. Number of updates today: {}. Last \
             change at {}. Next changes can be made at {}.",
            iso_time(now),
            recent.len(),
            iso_time(last),
            iso_time(last + 6 * HOUR)
        )));
    }
    recent.push(now);
    Ok(recent)
}
