//! One put: under its condition once, and whatever became of it is found out by reading.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::store::backend::{ObjectVersion, PutCondition, PutOutcome};
use crate::store::error::RemoteFault;
use crate::store::key::StoreKey;
use crate::store::remote::attempts::{FailedRequest, Patience, RequestEffect, in_time, repeated};
use crate::store::remote::dynamodb::chunks::{ChunkedValue, VALUE_BYTES_MAX};
use crate::store::remote::dynamodb::fault::failed;
use crate::store::remote::dynamodb::table::{
    Item, PARTITION, SORT, StateTable, VERSION, primary_key, sort_key, text, text_in,
};

/// When a put may take place, with a version of its own.
#[derive(Debug, Clone)]
pub(super) enum WantedVersion {
    Any,
    None,
    Exactly(String),
}

impl From<PutCondition<'_>> for WantedVersion {
    fn from(condition: PutCondition<'_>) -> Self {
        match condition {
            PutCondition::Always => Self::Any,
            PutCondition::Absent => Self::None,
            PutCondition::Version(version) => Self::Exactly(version.0.clone()),
        }
    }
}

/// How one request to put an item ended.
enum PutEnd {
    /// With what was there before.
    Done(Option<Item>),
    /// The condition did not hold, because of this.
    Refused(Option<Item>),
}

impl StateTable {
    pub(super) async fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        wanted: &WantedVersion,
    ) -> Result<PutOutcome, FailedRequest> {
        if bytes.len() > VALUE_BYTES_MAX {
            let words = format!("{} bytes are more than a value may have", bytes.len());
            return Err(FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, words));
        }
        let version = uuid::Uuid::new_v4().simple().to_string();
        let ChunkedValue { item, chunks } = self.value(key, &version, bytes);
        self.put_chunks(chunks).await?;
        let (outcome, replaced) = self.put_value(key, &item, &version, wanted).await?;
        let unread = match outcome {
            PutOutcome::Written(_) => replaced,
            PutOutcome::Refused => Some(item),
        };
        if let Some(unread) = unread {
            // What nobody reads any more does no harm: the put is over all the same.
            let removed = self.remove_chunks_of(&unread).await;
            if let Err(why) = removed {
                tracing::warn!(%key, why = why.words, "old chunks are left in the table");
            }
        }
        Ok(outcome)
    }

    /// The outcome, and what was replaced as far as it is known.
    async fn put_value(
        &self,
        key: &StoreKey,
        item: &Item,
        version: &str,
        wanted: &WantedVersion,
    ) -> Result<(PutOutcome, Option<Item>), FailedRequest> {
        let mut patience = Patience::new();
        let written = || PutOutcome::Written(ObjectVersion(version.into()));
        loop {
            let failed = match self.put_once(item, wanted).await {
                Ok(PutEnd::Done(replaced)) => return Ok((written(), replaced)),
                // The store has told what is there; it is asked only if it has not.
                Ok(PutEnd::Refused(Some(there))) => {
                    let is_ours = text_in(&there, VERSION) == Some(version);
                    return Ok((if is_ours { written() } else { PutOutcome::Refused }, None));
                }
                Ok(PutEnd::Refused(None)) => {
                    let words = "the condition did not hold, and nothing is there";
                    FailedRequest::new(RemoteFault::Throttled, RequestEffect::None, words)
                }
                Err(failed) if failed.effect == RequestEffect::None && !failed.passes() => {
                    return Err(failed);
                }
                Err(failed) => failed,
            };
            let is_untouched =
                failed.effect == RequestEffect::None && failed.fault == RemoteFault::Unreachable;
            if !is_untouched {
                let found = repeated(|| self.item_once(key)).await?;
                let there = found.as_ref().and_then(|it| text_in(it, VERSION));
                match (wanted, there) {
                    (_, Some(there)) if there == version => return Ok((written(), None)),
                    (WantedVersion::None, Some(_)) | (WantedVersion::Exactly(_), None) => {
                        return Ok((PutOutcome::Refused, None));
                    }
                    (WantedVersion::Exactly(wanted), Some(there)) if there != wanted => {
                        return Ok((PutOutcome::Refused, None));
                    }
                    (WantedVersion::Any | WantedVersion::None | WantedVersion::Exactly(_), _) => {}
                }
            }
            if !patience.again(&failed).await {
                return Err(failed);
            }
        }
    }

    async fn put_once(&self, item: &Item, wanted: &WantedVersion) -> Result<PutEnd, FailedRequest> {
        let client = self.client().await?;
        let put = client
            .put_item()
            .table_name(self.name())
            .set_item(Some(item.clone()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match wanted {
            WantedVersion::Any => put,
            WantedVersion::None => put
                .condition_expression("attribute_not_exists(#sort)")
                .expression_attribute_names("#sort", SORT),
            WantedVersion::Exactly(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":version", text(version)),
        };
        let length = item.values().filter_map(|it| it.as_b().ok()).map(|it| it.as_ref().len());
        let bytes = length.sum::<usize>() as u64;
        let ended = in_time(bytes, async { Ok(Box::pin(put.send()).await) }).await?;
        match ended {
            Ok(done) => Ok(PutEnd::Done(done.attributes)),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(said)) => {
                    Ok(PutEnd::Refused(said.item().cloned().filter(|it| !it.is_empty())))
                }
                _ => Err(failed(self.name(), error)),
            },
        }
    }

    /// What is under a key, whether it holds its bytes or points to them.
    pub(super) async fn item_once(&self, key: &StoreKey) -> Result<Option<Item>, FailedRequest> {
        self.item_in(&self.partition, &sort_key(key)).await
    }

    async fn item_in(&self, partition: &str, sort: &str) -> Result<Option<Item>, FailedRequest> {
        let client = self.client().await?;
        let asked = client
            .get_item()
            .table_name(self.name())
            .consistent_read(true)
            .set_key(Some(primary_key(partition, sort)))
            .send();
        let found = in_time(0, async { Ok(Box::pin(asked).await) }).await?;
        found.map(|it| it.item).map_err(|why| failed(self.name(), why))
    }

    /// Puts the state among its neighbors, once in the life of this process.
    pub(super) async fn register(&self) -> Result<(), FailedRequest> {
        let registered = self.is_registered.get_or_try_init(|| async {
            let partition = self.register_partition();
            let mut item = primary_key(&partition, &self.state);
            item.insert(VERSION.into(), text("1"));
            let is_there = repeated(|| self.item_in(&partition, &self.state)).await?.is_some();
            if !is_there {
                repeated(|| self.put_once(&item, &WantedVersion::Any)).await?;
            }
            Ok(())
        });
        registered.await.map(drop)
    }

    /// The names of the states that have anything.
    pub(super) async fn neighbors(&self) -> Result<Vec<String>, FailedRequest> {
        let registered = self.query(&self.register_partition(), "", VERSION).await?;
        let mut names = Vec::new();
        for state in registered.iter().filter_map(|it| text_in(it, SORT)) {
            if self.has_items(&self.partition_beside(state)).await? {
                names.push(state.to_owned());
            }
        }
        Ok(names)
    }

    async fn has_items(&self, partition: &str) -> Result<bool, FailedRequest> {
        let client = self.client().await?;
        repeated(|| async {
            let asked = client
                .query()
                .table_name(self.name())
                .consistent_read(true)
                .limit(1)
                .key_condition_expression("#partition = :partition")
                .expression_attribute_names("#partition", PARTITION)
                .expression_attribute_values(":partition", text(partition))
                .projection_expression("#partition")
                .send();
            let found = in_time(0, async { Ok(Box::pin(asked).await) }).await?;
            let found = found.map_err(|why| failed(self.name(), why))?;
            Ok(found.count() > 0)
        })
        .await
    }
}
