//! Reads tables: describes them, lists what stands beside them, observes many at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    PointInTimeRecoveryStatus, TableDescription, TableStatus, TimeToLiveStatus,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::cloud::dynamodb::describe::{Extras, attributes, has_extras, not_ready};
use crate::cloud::dynamodb::regions::declared_lost;
use crate::cloud::dynamodb::table_ref::{Dynamo, KEY, TableRef};
use crate::cloud::error::ProviderError;
use crate::cloud::read::ReadQuery;
use crate::engine::observed::{Candidate, Observation};
use crate::engine::retry::ErrorClass;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// The most pages of tags to read. A table has at most 50 tags (AWS's naming and tagging rules), and a page has about ten of
/// them: four times what can exist, so that a server which repeats its token ends the read.
const TAG_PAGES_MAX: usize = 20;
/// How many tables of one region are read at once. A guess: each takes several calls, and `Describe*` is throttled per
/// connection after a few calls in a row (public lab ack-api-quirks, October 2026).
const AT_ONCE: usize = 8;

/// A table and what was read beside it.
pub(crate) struct TableRead {
    pub table: TableDescription,
    pub extras: Extras,
}

/// Which of the reads beside the table a kind needs, and which of them someone relies on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadNeeds {
    tags: ReadNeed,
    ttl: ReadNeed,
    recovery: ReadNeed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadNeed {
    No,
    /// Read, but a permission that is missing for it is no obstacle.
    Nice,
    Must,
}

impl ReadNeeds {
    pub(crate) fn of(kind: &Kind, asked: &Attributes) -> Self {
        let need = |name: &str| match asked.get(name) {
            _ if !kind.attributes.contains_key(name) => ReadNeed::No,
            None | Some(Value::Null | Value::Bool(false)) => ReadNeed::Nice,
            Some(Value::Map(map)) if map.is_empty() => ReadNeed::Nice,
            Some(_) => ReadNeed::Must,
        };
        Self {
            tags: need("tags"),
            ttl: need("ttl_attribute"),
            recovery: need("point_in_time_recovery"),
        }
    }
}

/// Every table at once, within a limit for each region; only regions that a question names are connected to, and one that
/// does not answer holds up nobody else.
pub(crate) async fn observe(dynamo: &Dynamo, questions: &[ReadQuery<'_>]) -> Vec<Observation> {
    if questions.is_empty() {
        return Vec::new();
    }
    // Making the client takes a while, for which no region is to blame.
    dynamo.connections.dynamodb().await;
    let mut limits: BTreeMap<String, Arc<Semaphore>> = BTreeMap::new();
    let mut set = JoinSet::new();
    let mut answers: Vec<Option<Observation>> = vec![None; questions.len()];
    let mut places = BTreeMap::new();
    for (at, question) in questions.iter().enumerate() {
        let place = match TableRef::of(question.kind, question.attributes) {
            Ok(place) => place,
            Err(why) => {
                answers[at] = Some(Observation::Unknown(why.unseen()));
                continue;
            }
        };
        if dynamo.regions.is_lost(&place.region) {
            let why = declared_lost(&place.region, "DescribeTable");
            answers[at] = Some(Observation::Unknown(why.unseen()));
            continue;
        }
        places.insert(at, place.clone());
        let needs = ReadNeeds::of(question.kind, question.attributes);
        let contact = dynamo.contact(&place.region);
        let limit = limits.entry(place.region.clone());
        let limit = Arc::clone(limit.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        let dynamo = dynamo.clone();
        let reading = async move {
            let call = Box::pin(async {
                let _turn = limit.acquire_owned().await.expect("the limit is never closed");
                dynamo.seen(&place, needs).await
            });
            (at, dynamo.connections.contacts.ask(&contact, call).await)
        };
        set.spawn(reading.in_current_span());
    }
    while let Some(result) = set.join_next().await {
        let (at, seen) = result.expect("reading does not panic, and nobody cancels it");
        let question = &questions[at];
        answers[at] = Some(match seen {
            Ok(Some(seen)) => Observation::Exists {
                attributes: attributes(
                    question.kind,
                    &places[&at],
                    &seen.table,
                    &seen.extras,
                    question.attributes,
                ),
                ready: not_ready(&seen.table).is_none(),
            },
            Ok(None) => Observation::Absent,
            Err(why) => Observation::Unknown(why.unseen()),
        });
    }
    answers.into_iter().map(|it| it.expect("every question got its answer above")).collect()
}

impl Dynamo {
    /// The table, or nothing when its region says that it is not there.
    pub(crate) async fn describe(
        &self,
        place: &TableRef,
    ) -> Result<Option<TableDescription>, ProviderError> {
        let answer = read!(self, &place.region, "DescribeTable", |client| client
            .describe_table()
            .table_name(&place.name));
        match answer {
            Ok(answer) => match answer.table {
                Some(table) => match lacks(&table, place) {
                    None => Ok(Some(table)),
                    Some(words) => Err(self.garbled("DescribeTable", place, &words)),
                },
                // An empty 200 is some proxy's invention, never "absent".
                None => Err(self.garbled("DescribeTable", place, "an answer without a table")),
            },
            Err(error) if error.fault == ErrorClass::Missing => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The table, which has to be there.
    pub(crate) async fn described(
        &self,
        place: &TableRef,
    ) -> Result<TableDescription, ProviderError> {
        self.describe(place).await?.ok_or_else(|| {
            let endpoint = self.endpoint("DescribeTable", place);
            let words = format!("the table `{}` does not exist", place.name);
            ProviderError::new(ErrorClass::Missing, endpoint, words)
        })
    }

    /// The table and, as far as needed, its tags, TTL and recovery.
    pub(crate) async fn seen(
        &self,
        place: &TableRef,
        needs: ReadNeeds,
    ) -> Result<Option<TableRead>, ProviderError> {
        let Some(table) = self.describe(place).await? else { return Ok(None) };
        if !has_extras(&table) {
            return Ok(Some(TableRead { table, extras: Extras::default() }));
        }
        let arn = table.table_arn().unwrap_or_default().to_owned();
        let (tags, ttl, recovery) = tokio::join!(
            needed(needs.tags, self.tags(place, &arn)),
            needed(needs.ttl, self.ttl(place)),
            needed(needs.recovery, self.recovery(place)),
        );
        let extras = Extras {
            tags: tags?,
            ttl: ttl?.map(|(name, _)| name.map_or(Value::Null, Value::Text)),
            recovery: recovery?,
        };
        Ok(Some(TableRead { table, extras }))
    }

    /// All tags, the mark among them.
    pub(crate) async fn tags(
        &self,
        place: &TableRef,
        arn: &str,
    ) -> Result<BTreeMap<String, String>, ProviderError> {
        let mut tags = BTreeMap::new();
        let mut next: Option<String> = None;
        let mut pages = 0;
        loop {
            let answer = read!(self, &place.region, "ListTagsOfResource", |client| client
                .list_tags_of_resource()
                .resource_arn(arn)
                .set_next_token(next.clone()))?;
            tags.extend(
                answer.tags().iter().map(|it| (it.key().to_owned(), it.value().to_owned())),
            );
            next = answer.next_token;
            if next.is_none() {
                return Ok(tags);
            }
            pages += 1;
            if pages >= TAG_PAGES_MAX {
                return Err(self.garbled(
                    "ListTagsOfResource",
                    place,
                    "the list of tags never ends",
                ));
            }
        }
    }

    /// The TTL attribute in force, and whether it is still being changed.
    pub(crate) async fn ttl(
        &self,
        place: &TableRef,
    ) -> Result<(Option<String>, bool), ProviderError> {
        let answer = read!(self, &place.region, "DescribeTimeToLive", |client| client
            .describe_time_to_live()
            .table_name(&place.name))?;
        let Some(ttl) = answer.time_to_live_description else {
            return Err(self.garbled(
                "DescribeTimeToLive",
                place,
                "an answer without a description",
            ));
        };
        let Some(status) = ttl.time_to_live_status() else {
            return Err(self.garbled("DescribeTimeToLive", place, "an answer without a status"));
        };
        let (on, moving) = match status {
            TimeToLiveStatus::Enabled => (true, false),
            TimeToLiveStatus::Enabling => (true, true),
            TimeToLiveStatus::Disabling => (false, true),
            _ => (false, false),
        };
        Ok((ttl.attribute_name.filter(|_| on), moving))
    }

    pub(crate) async fn recovery(&self, place: &TableRef) -> Result<bool, ProviderError> {
        let answer = read!(self, &place.region, "DescribeContinuousBackups", |client| client
            .describe_continuous_backups()
            .table_name(&place.name))?;
        let Some(backups) = answer.continuous_backups_description else {
            return Err(self.garbled(
                "DescribeContinuousBackups",
                place,
                "an answer without a description",
            ));
        };
        let recovery = backups
            .point_in_time_recovery_description
            .and_then(|it| it.point_in_time_recovery_status);
        Ok(recovery == Some(PointInTimeRecoveryStatus::Enabled))
    }

    /// A table of the same name in the region, whoever made it.
    pub(crate) async fn same_named(
        &self,
        place: &TableRef,
    ) -> Result<Vec<Candidate>, ProviderError> {
        let Some(table) = self.describe(place).await? else { return Ok(Vec::new()) };
        let arn = table.table_arn().unwrap_or_default().to_owned();
        let tags = match self.tags(place, &arn).await {
            Ok(tags) => tags,
            // A table that is being made has no tags yet; tags that may not be read are no mark.
            Err(error) if matches!(error.fault, ErrorClass::Missing | ErrorClass::Denied) => {
                BTreeMap::new()
            }
            Err(error) => return Err(error),
        };
        let created = table.creation_date_time().and_then(|it| it.to_millis().ok());
        Ok(vec![Candidate { id: arn, created, mark: tags.get(KEY).cloned(), foreign: false }])
    }

    pub(crate) fn endpoint(&self, operation: &str, place: &TableRef) -> String {
        format!("{operation} at {}", self.address(&place.region))
    }

    fn garbled(&self, operation: &str, place: &TableRef, words: &str) -> ProviderError {
        ProviderError::new(ErrorClass::Garbled, self.endpoint(operation, place), words)
    }
}

/// What a description of a table has to have and has not: then it is the description of nothing.
fn lacks(table: &TableDescription, place: &TableRef) -> Option<String> {
    // One that is being deleted tells less of itself.
    let leaves = table.table_status() == Some(&TableStatus::Deleting);
    let lacking = match () {
        () if table.table_name().is_none() => "name",
        () if table.table_status().is_none() => "status",
        () if leaves => return None,
        () if table.table_arn().is_none() => "ARN",
        () if table.key_schema().is_empty() => "key schema",
        () if table.attribute_definitions().is_empty() => "attribute definitions",
        () => {
            let other = table.table_name().filter(|it| *it != place.name)?;
            return Some(format!("the answer is about another table, `{other}`"));
        }
    };
    Some(format!("the answer is no description of a table: it has no {lacking}"))
}

/// Reads what is needed. What nobody relies on may be forbidden; and what a table in motion does not know yet is not told.
async fn needed<T>(
    need: ReadNeed,
    read: impl Future<Output = Result<T, ProviderError>>,
) -> Result<Option<T>, ProviderError> {
    if need == ReadNeed::No {
        return Ok(None);
    }
    match read.await {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.fault == ErrorClass::Missing => Ok(None),
        Err(error) if error.fault == ErrorClass::Denied && need == ReadNeed::Nice => Ok(None),
        Err(error) => Err(error),
    }
}
