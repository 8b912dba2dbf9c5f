//! One command's hold on the world: catalog, clouds or sandbox, clock, and who is asking.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cloud::clock::{Clock, Scaled, Wall};
use crate::cloud::http::connection::{Connections, Settings, is_loopback};
use crate::cloud::http::prober::Prober;
use crate::cloud::provider::Provider;
use crate::engine::plan::checks::offers::ReadOffers;
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::schema::Catalog;
use crate::kinds;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::sandbox::{Sandbox, SandboxOptions, ServingSandbox};
use crate::store::file::FileStore;

/// The driver that an endpoint of its own may replace.
const AWS_PROVIDER: &str = "dynamodb";

/// What an operation acts with.
pub struct Session {
    pub catalog: Arc<Catalog>,
    pub provider: Arc<Provider>,
    pub prober: Arc<Prober>,
    pub clock: Arc<dyn Clock>,
    pub target: CloudTarget,
    /// What stands in for DynamoDB, where something does.
    dynamodb_endpoint: Option<String>,
    /// Every cloud it talks to is on this machine.
    pub is_local: bool,
    /// `user@host`, for the lease and for `status`.
    pub who: String,
    /// What clouds offer, read at most once for each command.
    pub offers: tokio::sync::Mutex<ReadOffers>,
    /// Keeps the sandbox listening as long as the session lives.
    _sandbox: Option<(Sandbox, ServingSandbox)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudTarget {
    Clouds,
    Sandbox,
}

impl CloudTarget {
    pub fn is_sandbox(self) -> bool {
        self == Self::Sandbox
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Clouds => "clouds",
            Self::Sandbox => "sandbox",
        }
    }
}

impl Session {
    /// The real clouds, or what the environment says instead.
    pub fn clouds(read: impl Fn(&str) -> Option<String>, who: &str) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Wall);
        let settings = Settings::from_env(Arc::clone(&clock), read);
        Self::new(settings, clock, CloudTarget::Clouds, who, None)
    }

    /// The world under `state/sandbox/`, served on a port of its own for the length of this session.
    pub async fn sandbox(
        root: &Path,
        options: SandboxOptions,
        who: &str,
    ) -> Result<Self, OpsError> {
        let sandbox = open_sandbox(root, &options)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving = sandbox
            .start(address)
            .await
            .map_err(|why| OpsError::Sandbox(format!("cannot listen on loopback: {why}")))?;
        let clock: Arc<dyn Clock> =
            Arc::new(Scaled { anchor: sandbox.now(), since: Wall.now(), speed: sandbox.speed() });
        let settings = Settings::for_sandbox(Arc::clone(&clock), &serving.url());
        Ok(Self::new(settings, clock, CloudTarget::Sandbox, who, Some((sandbox, serving))))
    }

    fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        target: CloudTarget,
        who: &str,
        sandbox: Option<(Sandbox, ServingSandbox)>,
    ) -> Self {
        let aws_is_local = settings.dynamodb_endpoint.as_deref().is_some_and(is_loopback);
        let is_local = is_loopback(&settings.linode_url) && aws_is_local;
        let dynamodb_endpoint = settings.dynamodb_endpoint.clone();
        let connections = Arc::new(Connections::new(settings));
        let prober = Arc::new(Prober::new(Arc::clone(&connections)));
        Self {
            catalog: Arc::new(kinds::builtin()),
            provider: Arc::new(Provider::new(connections)),
            prober,
            clock,
            target,
            is_local,
            dynamodb_endpoint,
            who: who.into(),
            offers: tokio::sync::Mutex::default(),
            _sandbox: sandbox,
        }
    }

    /// One address instead of AWS stands for one region, unless it is an emulator on this machine.
    pub fn check_endpoints(&self, inquiries: &[ReadRequest<'_>]) -> Result<(), OpsError> {
        let Some(endpoint) = self.dynamodb_endpoint.as_ref().filter(|it| !is_loopback(it)) else {
            return Ok(());
        };
        let of_aws = inquiries
            .iter()
            .filter(|it| self.catalog.get(&it.kind).is_some_and(|it| it.provider == AWS_PROVIDER));
        let regions: BTreeSet<&str> =
            of_aws.filter_map(|it| it.attributes.get("region")?.as_text()).collect();
        if regions.is_empty() {
            return Ok(());
        }
        if regions.len() > 1 {
            let regions: Vec<&str> = regions.into_iter().collect();
            return Err(OpsError::input(
                format!(
                    "AWS_ENDPOINT_URL_DYNAMODB is {endpoint}, but this stack is in {}",
                    regions.join(" and ")
                ),
                "one endpoint cannot serve several regions, except on loopback; unset it",
            ));
        }
        if endpoint.starts_with("http://") {
            return Err(OpsError::input(
                format!(
                    "AWS_ENDPOINT_URL_DYNAMODB is {endpoint}, but credentials are never sent over plain HTTP"
                ),
                "use https, or an emulator on loopback",
            ));
        }
        Ok(())
    }

    pub fn store(&self, place: &StackRef) -> FileStore {
        FileStore::new(&place.state(self.target == CloudTarget::Sandbox))
    }
}

/// Where the sandbox's world is below a root.
pub fn world_of(root: &Path) -> PathBuf {
    root.join("state").join("sandbox").join("world")
}

/// The sandbox's world below a root.
pub fn open_sandbox(root: &Path, options: &SandboxOptions) -> Result<Sandbox, OpsError> {
    Sandbox::open(Some(&world_of(root)), options).map_err(|why| OpsError::Sandbox(why.to_string()))
}
