//! Joins regions to a table's group and takes them out again, through any living member.

use aws_sdk_dynamodb::types::{
    CreateReplicationGroupMemberAction, DeleteReplicationGroupMemberAction, ReplicaStatus,
    ReplicationGroupUpdate, TableDescription,
};

use crate::cloud::dynamodb::describe::{attributes, members, not_ready};
use crate::cloud::dynamodb::error_class::LostReply;
use crate::cloud::dynamodb::read::ReadNeeds;
use crate::cloud::dynamodb::table_ref::{Dynamo, JOIN, TableRef};
use crate::cloud::error::ProviderError;
use crate::cloud::read::{Created, ReadResult};
use crate::engine::observed::Candidate;
use crate::engine::retry::ErrorClass;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// A living member of a group, and what it tells.
struct ReplicaRead {
    region: String,
    table: TableDescription,
}

impl Dynamo {
    /// Adds the region to the group: one call, and DynamoDB copies the items on its own.
    pub(crate) async fn join(
        &self,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<Created, ProviderError> {
        let member = self.member(place, wanted).await?;
        let action = CreateReplicationGroupMemberAction::builder()
            .region_name(&place.region)
            .build()
            .expect("a region is all it needs");
        let update = ReplicationGroupUpdate::builder().create(action).build();
        call!(self, &member.region, "UpdateTable", LostReply::Change, |client| client
            .update_table()
            .table_name(&place.name)
            .replica_updates(update))?;
        let arn = elsewhere(member.table.table_arn().unwrap_or_default(), &place.region);
        let attributes = [
            ("id", arn.as_str()),
            ("arn", arn.as_str()),
            ("name", place.name.as_str()),
            ("region", place.region.as_str()),
        ];
        Ok(Created {
            id: arn.clone(),
            attributes: attributes.map(|(name, it)| (name.to_owned(), it.into())).into(),
        })
    }

    /// Takes the region out of the group; its table goes with it.
    pub(crate) async fn leave(
        &self,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<(), ProviderError> {
        let member = match self.member(place, wanted).await {
            Ok(member) => member,
            // Nobody else is left: then it is an ordinary table.
            Err(error) if error.fault == ErrorClass::Missing => {
                return self.delete_table(place).await;
            }
            Err(error) => return Err(error),
        };
        if status_of(&member.table, &place.region) == Some(&ReplicaStatus::Deleting) {
            return Ok(());
        }
        if !members(&member.table).contains(&place.region) {
            return self.delete_table(place).await;
        }
        let action = DeleteReplicationGroupMemberAction::builder()
            .region_name(&place.region)
            .build()
            .expect("a region is all it needs");
        let update = ReplicationGroupUpdate::builder().delete(action).build();
        call!(self, &member.region, "UpdateTable", LostReply::Change, |client| client
            .update_table()
            .table_name(&place.name)
            .replica_updates(update))
        .map(drop)
    }

    /// A member is there when its region says so and ready when the others say so too; it is gone when both say it is.
    pub(crate) async fn look_at_member(
        &self,
        kind: &Kind,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<ReadResult, ProviderError> {
        let (seen, member) =
            tokio::join!(self.seen(place, ReadNeeds::of(kind, wanted)), self.member(place, wanted));
        let entry = match &member {
            Ok(member) => status_of(&member.table, &place.region).cloned(),
            // Without anyone else to ask, its own region's word has to do.
            Err(error)
                if matches!(error.fault, ErrorClass::Unreachable | ErrorClass::Transient) =>
            {
                Some(ReplicaStatus::Active)
            }
            Err(error) if error.fault == ErrorClass::Missing => None,
            Err(_) => return member.map(|_| ReadResult::Absent),
        };
        let Some(seen) = seen? else {
            return Ok(match entry.filter(|_| member.is_ok()) {
                None if member.is_ok() || is_missing(&member) => ReadResult::Absent,
                None => return member.map(|_| ReadResult::Absent),
                Some(entry) => in_motion(Attributes::new(), &entry),
            });
        };
        let found = attributes(kind, place, &seen.table, &seen.extras, wanted);
        let why_not = match entry {
            Some(ReplicaStatus::Active) => not_ready(&seen.table),
            Some(entry) => return Ok(in_motion(found, &entry)),
            None => Some("the other members do not list it".to_owned()),
        };
        Ok(ReadResult::Exists { attributes: found, ready: why_not.is_none(), why_not })
    }

    /// What stands where the region would join: its member of the group, told by its own region or, in the seconds before
    /// that finds it, by the others; or a table of the same name outside the group.
    pub(crate) async fn in_its_place(
        &self,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<Vec<Candidate>, ProviderError> {
        let own = self.same_named(place).await?;
        let member = match self.member(place, wanted).await {
            Ok(member) => Some(member.table),
            Err(error) if error.fault == ErrorClass::Missing => None,
            // Without anyone else to ask, as where home is lost, its own region's word has to do.
            Err(error)
                if matches!(error.fault, ErrorClass::Unreachable | ErrorClass::Transient)
                    && !own.is_empty() =>
            {
                return Ok(own);
            }
            Err(error) => return Err(error),
        };
        let entry = member.as_ref().and_then(|it| status_of(it, &place.region));
        let coming = matches!(entry, Some(ReplicaStatus::Creating));
        Ok(match member {
            Some(table) if own.is_empty() && coming => {
                let id = elsewhere(table.table_arn().unwrap_or_default(), &place.region);
                // A member that its region does not find yet was added some seconds ago.
                let created = Some(self.connections.settings.clock.now());
                vec![Candidate { id, created, mark: None, foreign: false }]
            }
            _ => {
                let foreign = entry.is_none();
                own.into_iter().map(|it| Candidate { foreign, ..it }).collect()
            }
        })
    }

    /// A living member other than this one: the table that the replica names, else another that names that table's region.
    async fn member(
        &self,
        place: &TableRef,
        wanted: &Attributes,
    ) -> Result<ReplicaRead, ProviderError> {
        let named = wanted.get("table.region").or_else(|| wanted.get(JOIN));
        let first = named.and_then(Value::as_text).ok_or_else(|| {
            let endpoint = self.endpoint("UpdateTable", place);
            ProviderError::new(ErrorClass::Rejected, endpoint, "the region of its table is unknown")
        })?;
        let at = |region: &str| TableRef { region: region.to_owned(), name: place.name.clone() };
        let error = match self.describe(&at(first)).await {
            Ok(Some(table)) => return Ok(ReplicaRead { region: first.to_owned(), table }),
            Ok(None) => ProviderError::new(
                ErrorClass::Missing,
                self.endpoint("DescribeTable", &at(first)),
                format!("the table `{}` does not exist", place.name),
            ),
            Err(error) => error,
        };
        for region in self.others(place, first, wanted).await {
            if let Ok(Some(table)) = self.describe(&at(&region)).await
                && members(&table).iter().any(|it| it == first || *it == place.region)
            {
                return Ok(ReplicaRead { region, table });
            }
        }
        Err(error)
    }

    /// Where else a member could be: as recorded, as its own region says, or where this run has been.
    async fn others(&self, place: &TableRef, first: &str, wanted: &Attributes) -> Vec<String> {
        let mut regions: Vec<String> = Vec::new();
        if let Some(Value::List(recorded)) = wanted.get("table.replicas") {
            regions.extend(recorded.iter().filter_map(Value::as_text).map(str::to_owned));
        }
        if let Ok(Some(table)) = self.describe(place).await {
            regions.extend(members(&table));
        }
        regions.extend(self.regions.used());
        let mut known = std::collections::BTreeSet::from([first.to_owned(), place.region.clone()]);
        regions.retain(|it| known.insert(it.clone()));
        regions
    }
}

fn is_missing(member: &Result<ReplicaRead, ProviderError>) -> bool {
    member.as_ref().is_err_and(|it| it.fault == ErrorClass::Missing)
}

fn in_motion(attributes: Attributes, entry: &ReplicaStatus) -> ReadResult {
    let why_not = format!("its status in the group is `{}`, not yet `ACTIVE`", entry.as_str());
    ReadResult::Exists { attributes, ready: false, why_not: Some(why_not) }
}

/// What a member says about the replica of a region.
fn status_of<'a>(table: &'a TableDescription, region: &str) -> Option<&'a ReplicaStatus> {
    let entry = table.replicas().iter().find(|it| it.region_name() == Some(region))?;
    entry.replica_status()
}

/// The ARN of the same table in another region.
fn elsewhere(arn: &str, region: &str) -> String {
    let mut parts: Vec<&str> = arn.split(':').collect();
    if let Some(part) = parts.get_mut(3) {
        *part = region;
    }
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn elsewhere_names_the_arn_of_a_replica() {
        let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/shop";
        assert_eq!(
            elsewhere(arn, "eu-west-1"),
            "arn:aws:dynamodb:eu-west-1:123456789012:table/shop"
        );
    }
}
