//! The table that states are kept in: how it is reached, what its items are, and whether a lease can stand in it.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeyType, MultiRegionConsistency, ScalarAttributeType, TableDescription,
};
use tokio::sync::OnceCell;

use crate::cloud::http::bounded::Bounded;
use crate::store::error::RemoteFault;
use crate::store::key::StoreKey;
use crate::store::remote::attempts::{
    CONNECT_MAX, FailedRequest, RequestEffect, in_time, repeated,
};
use crate::store::remote::credentials::{StoreCredentials, https_error, plain_http};
use crate::store::remote::dynamodb::fault::{KEYS_IN_WORDS, failed};
use crate::store::remote::location::StoreLocation;

/// The partition key: one for each state, so that a list is one query and a policy can name a state.
pub(super) const PARTITION: &str = "state";

/// The sort key: `history/00000003.snapshot`, and `/journal` for what stands at the top.
pub(super) const SORT: &str = "key";

/// The attribute that each put makes anew.
pub(super) const VERSION: &str = "version";

/// The bytes of what fits into one item, or of one chunk.
pub(super) const BYTES: &str = "bytes";

/// Into how many chunks the bytes went, how many they are, and their digest.
pub(super) const CHUNKS: &str = "chunks";
pub(super) const SIZE: &str = "size";
pub(super) const DIGEST: &str = "digest";

#[expect(clippy::disallowed_types, reason = "what the SDK takes and gives")]
pub(super) type Item = std::collections::HashMap<String, AttributeValue>;

/// What requests need, on whatever thread they run.
#[derive(Debug)]
pub(super) struct StateTable {
    pub location: StoreLocation,
    /// The partition of the state's keys: `lifeboat/shop`
    pub partition: String,
    pub state: String,
    client: OnceCell<(Client, StoreCredentials)>,
    /// Whether the state is known to stand among its neighbors.
    pub is_registered: OnceCell<()>,
}

impl StateTable {
    pub(super) fn new(location: &StoreLocation, state: &str) -> Self {
        let slash = if location.prefix.is_empty() { "" } else { "/" };
        Self {
            location: location.clone(),
            partition: format!("{}{slash}{state}", location.prefix),
            state: state.into(),
            client: OnceCell::new(),
            is_registered: OnceCell::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.location.container
    }

    /// Chunks stand apart, so that no list reads them. Neither states nor prefixes have a `#` in their names.
    pub(super) fn chunk_partition(&self) -> String {
        format!("{}#chunks", self.partition)
    }

    /// Where the names of all states of this prefix stand.
    pub(super) fn register_partition(&self) -> String {
        format!("{}#states", self.location.prefix)
    }

    /// Of another state beside this one.
    pub(super) fn partition_beside(&self, state: &str) -> String {
        let slash = if self.location.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{state}", self.location.prefix)
    }

    /// The client tries nothing again by itself: what may be repeated is decided where its meaning is known.
    pub(super) async fn client(&self) -> Result<&Client, FailedRequest> {
        let made = self.client.get_or_try_init(|| connect(&self.location)).await?;
        made.1.ensure().await?;
        Ok(&made.0)
    }

    /// Law 4: a global table that is only eventually consistent decides conditions in each region by itself, so that two of
    /// them can both be told that they were first.
    pub(super) async fn check(&self) -> Result<Result<(), String>, FailedRequest> {
        let client = self.client().await?;
        let described = repeated(|| async {
            let asked = client.describe_table().table_name(self.name()).send();
            let asked = in_time(0, async { Ok(Box::pin(asked).await) }).await?;
            asked.map_err(|why| failed(self.name(), why))
        });
        let described = described.await?;
        let Some(table) = described.table() else {
            let words = "its description is empty";
            return Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words));
        };
        Ok(check_table(table))
    }
}

fn check_table(table: &TableDescription) -> Result<(), String> {
    let is_keyed = |name: &str, role: &KeyType| {
        let has = table
            .key_schema()
            .iter()
            .any(|it| it.attribute_name() == name && it.key_type() == role);
        has && table
            .attribute_definitions()
            .iter()
            .any(|it| it.attribute_name() == name && *it.attribute_type() == ScalarAttributeType::S)
    };
    if !is_keyed(PARTITION, &KeyType::Hash) || !is_keyed(SORT, &KeyType::Range) {
        let has = table.key_schema().iter().map(|it| format!("`{}`", it.attribute_name()));
        let has = has.collect::<Vec<_>>().join(" and ");
        return Err(format!("its keys are {has}, and not {KEYS_IN_WORDS}"));
    }
    // The old kind is not listed among replicas.
    if table.global_table_version() == Some("2017.11.29") {
        return Err(
            "it is a global table of 2017: each region decides by itself who was first".into()
        );
    }
    let is_strong = table.multi_region_consistency() == Some(&MultiRegionConsistency::Strong);
    let replicas = table.replicas().iter().filter_map(|it| it.region_name());
    let replicas = replicas.collect::<Vec<_>>().join(", ");
    if !replicas.is_empty() && !is_strong {
        return Err(format!(
            "it is a global table (also in {replicas}) without strong consistency between regions: each region decides by itself who was first"
        ));
    }
    Ok(())
}

async fn connect(location: &StoreLocation) -> Result<(Client, StoreCredentials), FailedRequest> {
    let is_plain = location.is_plain();
    if let Some(why) = https_error().filter(|_| !is_plain) {
        let words = format!("cannot create an HTTPS client: {why}");
        return Err(FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, words).advice("install the certificate authorities (on Debian: ca-certificates), or set SSL_CERT_FILE to their file"));
    }
    let credentials = StoreCredentials::of(location).await?;
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_MAX).build();
    // Built from nothing: what the environment says of endpoints is for other clients.
    let builder = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(location.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts)
        .interceptor(Bounded);
    let builder = if is_plain { builder.http_client(plain_http()) } else { builder };
    let builder = match &location.endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint),
        None => builder,
    };
    Ok((Client::from_conf(builder.build()), credentials))
}

/// `history/00000003.snapshot`, and `/journal` for what stands at the top: what stands directly below one prefix has one
/// beginning, and stands in the order of its names.
pub(super) fn sort_key(key: &StoreKey) -> String {
    format!("{}/{}", key.prefix().as_str(), key.name())
}

/// The key that has this sort key.
pub(super) fn key_of(sort: &str) -> Option<StoreKey> {
    StoreKey::parse(sort.strip_prefix('/').unwrap_or(sort))
}

pub(super) fn primary_key(partition: &str, sort: &str) -> Item {
    [(PARTITION.into(), text(partition)), (SORT.into(), text(sort))].into()
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn blob(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(super) fn text_in<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn number_in(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn bytes_in<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    item.get(name)?.as_b().ok().map(AsRef::as_ref)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, KeySchemaElement, KeyType, MultiRegionConsistency, ReplicaDescription,
        ScalarAttributeType, TableDescription,
    };

    use super::{check_table, key_of, sort_key};
    use crate::store::key::{HISTORY, JOURNAL, StoreKey};

    #[test]
    fn sort_key_and_back() {
        for (key, sort) in [(JOURNAL.clone(), "/journal"), (HISTORY.key("1.a"), "history/1.a")] {
            assert_eq!(sort_key(&key), sort);
            assert_eq!(key_of(sort), Some(key));
        }
        let deep = StoreKey::parse("a/b/c").unwrap();
        assert_eq!((sort_key(&deep).as_str(), key_of("a/b/c")), ("a/b/c", Some(deep)));
    }

    #[test]
    fn check_table_refuses_other_keys_and_weak_global_tables() {
        let key = |name: &str, role| {
            KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
        };
        let table = |range: &str, kind: ScalarAttributeType, replicas: &[&str], strong: bool| {
            let attribute = |name: &str, kind| {
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(kind)
                    .build()
                    .unwrap()
            };
            let replicas = replicas.iter();
            let replicas =
                replicas.map(|it| ReplicaDescription::builder().region_name(*it).build()).collect();
            let consistency = if strong {
                MultiRegionConsistency::Strong
            } else {
                MultiRegionConsistency::Eventual
            };
            TableDescription::builder()
                .key_schema(key("state", KeyType::Hash))
                .key_schema(key(range, KeyType::Range))
                .attribute_definitions(attribute("state", ScalarAttributeType::S))
                .attribute_definitions(attribute(range, kind))
                .set_replicas(Some(replicas))
                .multi_region_consistency(consistency)
        };
        let wrong = |range: &str, kind, replicas: &[&str], strong| {
            check_table(&table(range, kind, replicas, strong).build()).err()
        };
        assert_eq!(wrong("key", ScalarAttributeType::S, &[], false), None);
        assert_eq!(wrong("key", ScalarAttributeType::S, &["eu-west-1"], true), None);
        let weak = wrong("key", ScalarAttributeType::S, &["eu-west-1"], false).unwrap();
        assert!(weak.contains("(also in eu-west-1) without strong consistency"), "{weak}");
        let other = wrong("other", ScalarAttributeType::S, &[], false).unwrap();
        assert!(other.starts_with("its keys are `state` and `other`, and not the"), "{other}");
        assert!(wrong("key", ScalarAttributeType::N, &[], false).is_some());
        let old = table("key", ScalarAttributeType::S, &[], false);
        let old = check_table(&old.global_table_version("2017.11.29").build()).unwrap_err();
        assert!(old.contains("a global table of 2017"), "{old}");
    }
}
