//! The verbs of a store, in a bucket: a key is an object, and its version is its ETag.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use tokio::sync::OnceCell;

use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome, StoredObject};
use crate::store::error::{RemoteFault, StoreError, io as io_error};
use crate::store::key::{KeyPrefix, StoreKey, is_name};
use crate::store::remote::attempts::{FailedRequest, Patience, RequestEffect, repeated};
use crate::store::remote::location::StoreLocation;
use crate::store::remote::runtime::StoreRuntime;
use crate::store::remote::s3::client::{BODY_BYTES_MAX, S3Client, S3End, connect, once};
use crate::store::remote::s3::fault::S3Refusal;

/// The metadata that tells one put from all others, equal bytes or not.
const PUT_ID: &str = "lifeboat-put";

/// How many pages of a list are read: a million keys, far more than a state has.
const PAGES_MAX: usize = 1_000;

/// How many keys one request removes (API reference, DeleteObjects).
const DELETES_MAX: usize = 1_000;

/// One state in a bucket.
#[derive(Debug)]
pub struct S3Backend {
    root: PathBuf,
    bucket: Arc<S3Bucket>,
    runtime: StoreRuntime,
}

/// What requests need, on whatever thread they run.
#[derive(Debug)]
struct S3Bucket {
    location: StoreLocation,
    /// What stands before each key: `lifeboat/shop/`
    base: String,
    client: OnceCell<S3Client>,
}

impl S3Backend {
    /// Connects to nothing yet.
    pub fn new(location: &StoreLocation, state: &str) -> Self {
        let slash = if location.prefix.is_empty() { "" } else { "/" };
        let base = format!("{}{slash}{state}/", location.prefix);
        let root = PathBuf::from(format!("{}/{state}", location.name()));
        let bucket = S3Bucket { location: location.clone(), base, client: OnceCell::new() };
        Self { root, bucket: Arc::new(bucket), runtime: StoreRuntime::default() }
    }

    fn run<T: Send + 'static>(
        &self,
        verb: &'static str,
        place: &Path,
        work: impl Future<Output = Result<T, FailedRequest>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = self.runtime.run(work).map_err(io_error(verb, place))?;
        ended.map_err(|failed| failed.told(verb, place.display(), &self.bucket.location))
    }
}

impl Backend for S3Backend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let (bucket, asked) = (Arc::clone(&self.bucket), key.clone());
        let found = self.run("read", &self.place(key), async move {
            repeated(|| bucket.read_once(&asked)).await
        })?;
        Ok(found.map(|it| it.object))
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let (bucket, key) = (Arc::clone(&self.bucket), key.clone());
        let put = S3Put::new(key.clone(), bytes, condition);
        self.run("write", &self.place(&key), async move { bucket.put(&put).await })
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let (bucket, asked) = (Arc::clone(&self.bucket), prefix.clone());
        let place = self.place_below(prefix);
        self.run("list", &place, async move { bucket.list(&asked).await })
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let (bucket, asked) = (Arc::clone(&self.bucket), key.clone());
        self.run("remove", &self.place(key), async move {
            repeated(|| bucket.delete_once(&asked)).await
        })
    }

    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        let (bucket, keys) = (Arc::clone(&self.bucket), keys.to_vec());
        self.run("remove from", &self.root, async move { bucket.delete_all(keys).await })
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        let bucket = Arc::clone(&self.bucket);
        self.run("list", &self.root, async move { bucket.neighbors().await })
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

/// One put, whatever number of requests it takes.
#[derive(Debug)]
struct S3Put {
    key: StoreKey,
    payload: PutPayload,
    /// Nobody else's.
    id: String,
    mode: PutMode,
}

impl S3Put {
    fn new(key: StoreKey, bytes: &[u8], condition: PutCondition<'_>) -> Self {
        let mode = match condition {
            PutCondition::Always => PutMode::Overwrite,
            PutCondition::Absent => PutMode::Create,
            PutCondition::Version(version) => {
                PutMode::Update(UpdateVersion { e_tag: Some(version.0.clone()), version: None })
            }
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self { key, payload: PutPayload::from(bytes.to_vec()), id, mode }
    }

    fn options(&self) -> PutOptions {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata(PUT_ID.into()), self.id.clone().into());
        PutOptions { mode: self.mode.clone(), attributes, ..PutOptions::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.payload.iter().flatten().copied().collect()
    }

    /// What is there after a put whose end is not known: ours, so that it took place; somebody else's, so that it did not; or
    /// what was there before, so that it did not take place yet.
    fn became(&self, found: Option<ReadObject>) -> Option<PutOutcome> {
        match (&self.mode, found) {
            // A server that drops metadata is told apart by the bytes.
            (_, Some(found))
                if found.put_id.as_ref().is_none_or(|it| *it == self.id)
                    && found.object.bytes == self.bytes() =>
            {
                Some(PutOutcome::Written(found.object.version))
            }
            (PutMode::Overwrite, _) | (PutMode::Create, None) => None,
            (PutMode::Create, Some(_)) | (PutMode::Update(_), None) => Some(PutOutcome::Refused),
            (PutMode::Update(wanted), Some(found)) => {
                let is_still = wanted.e_tag.as_ref() == Some(&found.object.version.0);
                (!is_still).then_some(PutOutcome::Refused)
            }
        }
    }
}

/// An object, and the put that it is of.
#[derive(Debug)]
struct ReadObject {
    object: StoredObject,
    put_id: Option<String>,
}

impl S3Bucket {
    async fn client(&self) -> Result<&AmazonS3, FailedRequest> {
        let client = self.client.get_or_try_init(|| connect(&self.location)).await?;
        client.credentials.ensure().await?;
        Ok(&client.bucket)
    }

    fn path(&self, key: &StoreKey) -> Result<ObjectPath, FailedRequest> {
        ObjectPath::parse(format!("{}{key}", self.base)).map_err(|why| {
            FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, why.to_string())
        })
    }

    fn below(&self, prefix: &KeyPrefix) -> String {
        if *prefix == KeyPrefix::ROOT {
            return self.base.clone();
        }
        format!("{}{}/", self.base, prefix.as_str())
    }

    async fn read_once(&self, key: &StoreKey) -> Result<Option<ReadObject>, FailedRequest> {
        let (client, path) = (self.client().await?, self.path(key)?);
        let found = match self.ended(once(0, client.get(&path)).await) {
            Ok(found) => found,
            Err(end) if end.is_no_such_key() => return Ok(None),
            Err(end) => return Err(end.failed),
        };
        let (size, version) = (found.meta.size, found.meta.e_tag.clone());
        let Some(version) = version.filter(|_| size <= BODY_BYTES_MAX) else {
            let words = format!("the answer has no ETag, or is too large ({size} bytes)");
            return Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words));
        };
        let put_id = found.attributes.get(&Attribute::Metadata(PUT_ID.into()));
        let put_id = put_id.map(|it| it.as_ref().to_owned());
        let bytes = self.ended(once(size, found.bytes()).await).map_err(|it| it.failed)?;
        let object = StoredObject { bytes: bytes.to_vec(), version: ObjectVersion(version) };
        Ok(Some(ReadObject { object, put_id }))
    }

    /// After any end but a plain success or a plain no, what is there is read, and only that says what became of the put: the
    /// reply may be lost, the refusal may be of our own put that somebody in between has sent twice, and a 409 may mean that
    /// nobody holds the key at all.
    async fn put(&self, put: &S3Put) -> Result<PutOutcome, FailedRequest> {
        let (client, path) = (self.client().await?, self.path(&put.key)?);
        let length = put.payload.content_length() as u64;
        let mut patience = Patience::new();
        loop {
            let sent = client.put_opts(&path, put.payload.clone(), put.options());
            let failed = match self.ended(once(length, sent).await) {
                Ok(object_store::PutResult { e_tag: Some(version), .. }) => {
                    return Ok(PutOutcome::Written(ObjectVersion(version)));
                }
                Ok(_) => {
                    let words = "the answer to a put has no ETag";
                    return Err(FailedRequest::new(
                        RemoteFault::Malformed,
                        RequestEffect::Unknown,
                        words,
                    ));
                }
                Err(end) if end.refusal.as_ref().is_some_and(S3Refusal::is_condition) => {
                    FailedRequest { fault: RemoteFault::Throttled, ..end.failed }
                }
                Err(end) if end.failed.effect == RequestEffect::None && !end.failed.passes() => {
                    return Err(end.failed);
                }
                Err(end) => end.failed,
            };
            let is_elsewhere =
                failed.effect == RequestEffect::None && failed.fault == RemoteFault::Unreachable;
            if !is_elsewhere {
                let found = repeated(|| self.read_once(&put.key)).await?;
                if let Some(outcome) = put.became(found) {
                    return Ok(outcome);
                }
            }
            if !patience.again(&failed).await {
                return Err(failed);
            }
        }
    }

    async fn delete_once(&self, key: &StoreKey) -> Result<(), FailedRequest> {
        let (client, path) = (self.client().await?, self.path(key)?);
        match self.ended(once(0, client.delete(&path)).await) {
            Ok(()) => Ok(()),
            Err(end) if end.is_no_such_key() => Ok(()),
            Err(end) => Err(end.failed),
        }
    }

    /// Many with one request, and those of which it says nothing good one by one: not every store can remove many at once.
    async fn delete_all(&self, keys: Vec<StoreKey>) -> Result<(), FailedRequest> {
        for some in keys.chunks(DELETES_MAX) {
            let client = self.client().await?;
            let paths: Result<Vec<ObjectPath>, FailedRequest> =
                some.iter().map(|it| self.path(it)).collect();
            let paths = futures_util::stream::iter(paths?.into_iter().map(Ok)).boxed();
            let removed = client.delete_stream(paths).try_collect::<Vec<_>>();
            match self.ended(once(0, removed).await) {
                Ok(_) => {}
                Err(end) if end.failed.fault == RemoteFault::Denied => return Err(end.failed),
                Err(_) => {
                    for key in some {
                        repeated(|| self.delete_once(key)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, FailedRequest> {
        let pages = self.pages(&self.below(prefix)).await?;
        let objects = pages.iter().flat_map(|it| &it.objects);
        let texts = objects.filter_map(|it| it.location.as_ref().strip_prefix(&self.base));
        let mut keys: Vec<StoreKey> = texts.filter_map(StoreKey::parse).collect();
        keys.retain(|it| it.prefix() == *prefix);
        keys.sort();
        Ok(keys)
    }

    async fn neighbors(&self) -> Result<Vec<String>, FailedRequest> {
        let Self { location, .. } = self;
        let slash = if location.prefix.is_empty() { "" } else { "/" };
        let below = format!("{}{slash}", location.prefix);
        let pages = self.pages(&below).await?;
        let folders = pages.iter().flat_map(|it| &it.common_prefixes);
        let names = folders.filter_map(|it| it.as_ref().strip_prefix(&below));
        let mut names: Vec<String> = names.filter(|it| is_name(it)).map(Into::into).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What stands directly below, page by page.
    async fn pages(&self, below: &str) -> Result<Vec<object_store::ListResult>, FailedRequest> {
        let client = self.client().await?;
        let mut pages = Vec::new();
        let mut page_token = None;
        while pages.len() < PAGES_MAX {
            let page = repeated(|| async {
                let options = PaginatedListOptions {
                    delimiter: Some("/".into()),
                    page_token: page_token.clone(),
                    ..PaginatedListOptions::default()
                };
                let listed =
                    client.list_paginated(Some(below).filter(|it| !it.is_empty()), options);
                self.ended(once(0, listed).await).map_err(|it| it.failed)
            });
            let page = page.await?;
            pages.push(page.result);
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(pages);
            }
        }
        let words = format!("there are more than {PAGES_MAX} pages of keys");
        Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words))
    }

    fn ended<T>(&self, end: S3End<T>) -> Result<T, Box<BadEnd>> {
        match end {
            S3End::Done(done) => Ok(done),
            S3End::Failed(failed) => Err(Box::new(BadEnd { refusal: None, failed })),
            S3End::Refused(refusal) => {
                let failed = refusal.failed(&self.location.container);
                Err(Box::new(BadEnd { refusal: Some(refusal), failed }))
            }
        }
    }
}

/// A request that did not do what it was sent for. What S3 said goes along with what it means in general, since some verbs know
/// better.
struct BadEnd {
    refusal: Option<S3Refusal>,
    failed: FailedRequest,
}

impl BadEnd {
    fn is_no_such_key(&self) -> bool {
        self.refusal.as_ref().is_some_and(S3Refusal::is_no_such_key)
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadObject, S3Put};
    use crate::store::backend::{ObjectVersion, PutCondition, PutOutcome, StoredObject};
    use crate::store::key::JOURNAL;

    fn found(bytes: &[u8], version: &str, put_id: Option<&str>) -> ReadObject {
        let object = StoredObject { bytes: bytes.to_vec(), version: ObjectVersion(version.into()) };
        ReadObject { object, put_id: put_id.map(Into::into) }
    }

    #[test]
    fn became_is_decided_by_what_is_there_alone() {
        let before = ObjectVersion("before".into());
        let written = Some(PutOutcome::Written(ObjectVersion("now".into())));
        for condition in
            [PutCondition::Always, PutCondition::Absent, PutCondition::Version(&before)]
        {
            let put = S3Put::new(JOURNAL.clone(), b"mine", condition);
            let id = put.id.as_str();
            assert_eq!(put.became(Some(found(b"mine", "now", Some(id)))), written, "{condition:?}");
            assert_eq!(
                put.became(Some(found(b"mine", "now", None))),
                written,
                "metadata is dropped"
            );
            // Equal bytes of somebody else, and what somebody else made of ours.
            for other in [
                found(b"mine", "now", Some("other")),
                found(b"other", "now", Some("other")),
                found(b"other", "now", None),
            ] {
                let expected = match condition {
                    PutCondition::Always => None,
                    _ => Some(PutOutcome::Refused),
                };
                assert_eq!(put.became(Some(other)), expected, "{condition:?}");
            }
        }
        let again = |condition, found| {
            S3Put::new(JOURNAL.clone(), b"mine", condition).became(found).is_none()
        };
        assert!(again(PutCondition::Absent, None), "a 409, or it never arrived");
        assert!(again(PutCondition::Version(&before), Some(found(b"old", "before", None))));
        assert!(!again(PutCondition::Version(&before), None), "it was removed");
    }
}
