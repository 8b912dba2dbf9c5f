//! What is too large for one item: chunks first, the item that points to them last, and old ones removed after that.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::store::error::RemoteFault;
use crate::store::key::StoreKey;
use crate::store::remote::attempts::{FailedRequest, RequestEffect, in_time, repeated};
use crate::store::remote::dynamodb::fault::failed;
use crate::store::remote::dynamodb::table::{
    BYTES, CHUNKS, DIGEST, Item, PARTITION, SIZE, SORT, StateTable, VERSION, blob, bytes_in,
    number, number_in, primary_key, sort_key, text, text_in,
};

/// An item has at most 400 KB, names and keys included (developer guide, "Service quotas"); a key has at most 1,024 bytes.
pub(super) const CHUNK_BYTES: usize = 380 * 1024;

/// The largest value: a snapshot of 100,000 resources has some thirty megabytes.
pub(super) const VALUE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How many chunks are written or removed at once.
const AT_ONCE: usize = 8;

/// The item of a value, and the chunks that it points to.
#[derive(Debug)]
pub(super) struct ChunkedValue {
    pub item: Item,
    pub chunks: Vec<Item>,
}

impl StateTable {
    /// The items of one put.
    pub(super) fn value(&self, key: &StoreKey, version: &str, bytes: &[u8]) -> ChunkedValue {
        let mut item = primary_key(&self.partition, &sort_key(key));
        item.insert(VERSION.into(), text(version));
        if bytes.len() <= CHUNK_BYTES {
            item.insert(BYTES.into(), blob(bytes));
            return ChunkedValue { item, chunks: Vec::new() };
        }
        let chunks: Vec<Item> = (bytes.chunks(CHUNK_BYTES).enumerate())
            .map(|(at, bytes)| {
                let mut chunk = self.chunk_key(&sort_key(key), version, at as u64);
                chunk.insert(BYTES.into(), blob(bytes));
                chunk
            })
            .collect();
        item.insert(CHUNKS.into(), number(chunks.len() as u64));
        item.insert(SIZE.into(), number(bytes.len() as u64));
        item.insert(DIGEST.into(), text(digest(bytes)));
        ChunkedValue { item, chunks }
    }

    fn chunk_key(&self, sort: &str, version: &str, at: u64) -> Item {
        primary_key(&self.chunk_partition(), &format!("{sort}#{version}#{at:06}"))
    }

    pub(super) async fn put_chunks(&self, chunks: Vec<Item>) -> Result<(), FailedRequest> {
        let client = self.client().await?;
        let chunks = chunks.into_iter().map(Arc::new);
        let puts = futures_util::stream::iter(chunks).map(|chunk| async move {
            repeated(|| async {
                let item = Item::clone(&chunk);
                let put = client.put_item().table_name(self.name()).set_item(Some(item)).send();
                let put = in_time(CHUNK_BYTES as u64, async { Ok(Box::pin(put).await) }).await?;
                put.map(drop).map_err(|why| failed(self.name(), why))
            })
            .await
        });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The bytes that an item has or points to; `None`: its chunks are not there, since it was replaced meanwhile.
    pub(super) async fn bytes_of(&self, item: &Item) -> Result<Option<Vec<u8>>, FailedRequest> {
        let garbled = |what: &str| {
            let words = format!("an item in the table was not written by lifeboat: {what}");
            FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words)
        };
        if let Some(bytes) = bytes_in(item, BYTES) {
            return Ok(Some(bytes.to_vec()));
        }
        let count = number_in(item, CHUNKS).ok_or_else(|| garbled("it has no bytes"))?;
        let size = number_in(item, SIZE).and_then(|it| usize::try_from(it).ok());
        let size = size.filter(|it| *it <= VALUE_BYTES_MAX).ok_or_else(|| garbled("its size"))?;
        let (sort, version) = (text_in(item, SORT), text_in(item, VERSION));
        let (Some(sort), Some(version)) = (sort, version) else { return Err(garbled("its keys")) };
        let mut bytes = Vec::with_capacity(size);
        let beginning = format!("{sort}#{version}#");
        let found = self.query(&self.chunk_partition(), &beginning, BYTES).await?;
        for chunk in &found {
            bytes.extend_from_slice(bytes_in(chunk, BYTES).unwrap_or_default());
        }
        if found.len() as u64 != count || bytes.len() != size {
            return Ok(None);
        }
        if text_in(item, DIGEST) != Some(digest(&bytes).as_str()) {
            return Err(garbled("its chunks do not have its digest"));
        }
        Ok(Some(bytes))
    }

    /// Removes the chunks of an item that is there no more.
    pub(super) async fn remove_chunks_of(&self, item: &Item) -> Result<(), FailedRequest> {
        let (sort, version) = (text_in(item, SORT), text_in(item, VERSION));
        let (Some(count), Some(sort), Some(version)) = (number_in(item, CHUNKS), sort, version)
        else {
            return Ok(());
        };
        let keys = (0..count).map(|at| self.chunk_key(sort, version, at)).collect();
        self.remove_items(keys).await
    }

    pub(super) async fn remove_items(&self, keys: Vec<Item>) -> Result<(), FailedRequest> {
        let keys = keys.into_iter().map(Arc::new);
        let removed = futures_util::stream::iter(keys)
            .map(|key| async move { self.remove_item(&key).await.map(drop) });
        removed.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Removes an item, and returns what it was.
    pub(super) async fn remove_item(&self, key: &Item) -> Result<Option<Item>, FailedRequest> {
        let client = self.client().await?;
        repeated(|| async {
            let removed = client
                .delete_item()
                .table_name(self.name())
                .set_key(Some(key.clone()))
                .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
                .send();
            let removed = in_time(0, async { Ok(Box::pin(removed).await) }).await?;
            removed.map(|it| it.attributes).map_err(|why| failed(self.name(), why))
        })
        .await
    }

    /// What has a sort key with this beginning, page by page, with one attribute beside its keys.
    pub(super) async fn query(
        &self,
        partition: &str,
        beginning: &str,
        attribute: &str,
    ) -> Result<Vec<Item>, FailedRequest> {
        /// A page has up to a megabyte; this many have what a value may have at most, and twenty thousand keys and more.
        const PAGES_MAX: usize = 2_000;
        let client = self.client().await?;
        let condition = match beginning {
            "" => "#partition = :partition",
            _ => "#partition = :partition AND begins_with(#sort, :beginning)",
        };
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let page = repeated(|| async {
                let mut asked = client
                    .query()
                    .table_name(self.name())
                    .consistent_read(true)
                    .key_condition_expression(condition)
                    .expression_attribute_names("#partition", PARTITION)
                    .expression_attribute_names("#sort", SORT)
                    .expression_attribute_names("#attribute", attribute)
                    .expression_attribute_values(":partition", text(partition))
                    .projection_expression("#sort, #attribute")
                    .set_exclusive_start_key(Option::clone(&next));
                if !beginning.is_empty() {
                    asked = asked.expression_attribute_values(":beginning", text(beginning));
                }
                let page = in_time(1024 * 1024, async { Ok(Box::pin(asked.send()).await) }).await?;
                page.map_err(|why| failed(self.name(), why))
            });
            let page = page.await?;
            found.extend(page.items.unwrap_or_default());
            next = page.last_evaluated_key.filter(|it| !it.is_empty());
            if next.is_none() {
                return Ok(found);
            }
        }
        let words = format!("there are more than {PAGES_MAX} pages of keys");
        Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words))
    }
}

fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
