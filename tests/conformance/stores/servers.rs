//! Servers that keep states, each with an empty bucket or table.

use std::path::PathBuf;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use lifeboat::store::remote::location::StoreLocation;

use crate::process::{ACCESS_KEY, Peer, Root, SECRET_KEY, Sandbox};

const BUCKET: &str = "shop-state";

/// Which variables hold the credentials: those that cargo sets for every test.
const KEYS: &str = "access_key_env=CARGO_PKG_NAME&secret_key_env=CARGO_PKG_REPOSITORY";

/// A server with its folder.
pub(crate) struct StoreServer {
    location: StoreLocation,
    pub(crate) server: ServerKind,
    pub(crate) root: Root,
}

pub(crate) enum ServerKind {
    Peer(Peer),
    Sandbox(Sandbox),
}

impl ServerKind {
    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Peer(peer) => peer.address(),
            Self::Sandbox(sandbox) => &sandbox.address,
        }
    }
}

impl StoreServer {
    pub(crate) fn versitygw() -> Self {
        let root = Root::new();
        root.folder(&format!("buckets/{BUCKET}"));
        let peer = Peer::versitygw(&root.folder("buckets"));
        Self::of(s3(peer.address()), ServerKind::Peer(peer), root)
    }

    pub(crate) fn s3s() -> Self {
        let root = Root::new();
        root.folder(&format!("buckets/{BUCKET}"));
        let peer = Peer::s3s(&root.folder("buckets"));
        Self::of(s3(peer.address()), ServerKind::Peer(peer), root)
    }

    pub(crate) fn ministack_s3() -> Self {
        let root = Root::new();
        let peer = Peer::ministack(&root.folder("ministack"));
        let http = reqwest::Client::new();
        let put = http.put(format!("{}/{BUCKET}", peer.url())).send();
        let made = runtime().block_on(put).unwrap();
        assert!(made.status().is_success(), "{made:?}");
        Self::of(s3(peer.address()), ServerKind::Peer(peer), root)
    }

    pub(crate) fn ministack_table() -> Self {
        let root = Root::new();
        let peer = Peer::ministack(&root.folder("ministack"));
        let location = table(peer.address());
        create_table(&location);
        Self::of(location, ServerKind::Peer(peer), root)
    }

    pub(crate) fn sandbox_table() -> Self {
        let sandbox = Sandbox::start();
        let location = table(&sandbox.address);
        create_table(&location);
        Self::of(location, ServerKind::Sandbox(sandbox), Root::new())
    }

    fn of(location: StoreLocation, server: ServerKind, root: Root) -> Self {
        Self { location, server, root }
    }

    pub(crate) fn location(&self) -> &StoreLocation {
        &self.location
    }

    /// The same store, asked through another address.
    pub(crate) fn through(&self, address: &str) -> StoreLocation {
        at(&self.location, address)
    }

    /// Where the files of versitygw are.
    pub(crate) fn buckets(&self) -> PathBuf {
        self.root.folder("buckets")
    }
}

/// The same store at another address.
pub(crate) fn at(location: &StoreLocation, address: &str) -> StoreLocation {
    StoreLocation { endpoint: Some(format!("http://{address}")), ..location.clone() }
}

pub(crate) fn s3(address: &str) -> StoreLocation {
    let text =
        format!("s3://{BUCKET}/lifeboat?endpoint=http://{address}&fault_domain=local&{KEYS}");
    text.parse().unwrap()
}

pub(crate) fn table(address: &str) -> StoreLocation {
    let settings = format!("endpoint=http://{address}&fault_domain=local&prefix=lifeboat&{KEYS}");
    format!("dynamodb://{BUCKET}?{settings}").parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// As docs/state.md says.
fn create_table(location: &StoreLocation) {
    create_table_with(location, "state", "key");
}

/// A table with these keys.
pub(crate) fn create_table_with(location: &StoreLocation, partition: &str, sort: &str) {
    let attribute = |name: &str| {
        let kind = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let key = |name: &str, role| {
        KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
    };
    runtime().block_on(async {
        let client = client(location);
        client
            .create_table()
            .table_name(&location.container)
            .attribute_definitions(attribute(partition))
            .attribute_definitions(attribute(sort))
            .key_schema(key(partition, KeyType::Hash))
            .key_schema(key(sort, KeyType::Range))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        await_table(&client, location, |it| {
            it.table_status().is_some_and(|it| it.as_str() == "ACTIVE")
        })
        .await;
    });
}

/// Makes a global table of it, only eventually consistent.
pub(crate) fn add_replica(location: &StoreLocation, region: &str) {
    use aws_sdk_dynamodb::types::{
        CreateReplicationGroupMemberAction, ReplicaStatus, ReplicationGroupUpdate,
    };
    let create = CreateReplicationGroupMemberAction::builder().region_name(region).build().unwrap();
    let update = ReplicationGroupUpdate::builder().create(create).build();
    runtime().block_on(async {
        let client = client(location);
        let updated =
            client.update_table().table_name(&location.container).replica_updates(update).send();
        updated.await.unwrap();
        await_table(&client, location, |it| {
            it.replicas().iter().any(|it| it.replica_status() == Some(&ReplicaStatus::Active))
        })
        .await;
    });
}

async fn await_table(
    client: &aws_sdk_dynamodb::Client,
    location: &StoreLocation,
    is_ready: impl Fn(&aws_sdk_dynamodb::types::TableDescription) -> bool,
) {
    for _ in 0..1_200 {
        let told = client.describe_table().table_name(&location.container).send().await.unwrap();
        if told.table().is_some_and(&is_ready) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the table is not ready within 60 s");
}

fn client(location: &StoreLocation) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
    let keys = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests");
    let config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(location.region.clone()))
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(location.address());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}
