//! Changes that concern a whole group while a member's region is lost.
//!
//! What the real service does is not known: during a pause of replication it disallows them, so they are refused unless
//! the loss says otherwise.

use crate::dynamodb::api_error::DynamoDbError;
use crate::dynamodb::store::register::Register;
use crate::dynamodb::store::table::DynamoTable;

/// Refuses when a member, or the region that the change names, is cut off.
pub fn whole(
    register: &Register,
    table: &DynamoTable,
    named: Option<&str>,
) -> Result<(), DynamoDbError> {
    let members = register.group_of(table).map_or(&[] as &[_], |it| &it.members).iter();
    let mut concerned = named.into_iter().chain(members.map(|it| it.region.as_str()));
    match concerned.find(|region| register.links.freezes(region)) {
        None => Ok(()),
        Some(region) => Err(DynamoDbError::validation(format!(
            "The sandbox refuses changes to all members of {} while the region {region} is lost, because it is not \
             known what AWS does then; lose the region with --group-changes to allow them",
            table.name
        ))),
    }
}
