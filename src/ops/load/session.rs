//! One command's hold on the world: catalog, clouds or sandbox, clock, and who is asking.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cloud::clock::{Clock, Scaled, WallClock};
use crate::cloud::http::connection::{Connections, Settings};
use crate::cloud::http::prober::Prober;
use crate::cloud::provider::Provider;
use crate::engine::plan::checks::offers::ReadOffers;
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::plan::format::codec::PlanEnvelope;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::Attributes;
use crate::kinds;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::ops::tasks::runner::{ProcessRunner, TaskRunner};
use crate::sandbox::{Sandbox, SandboxOptions, ServingSandbox};
use crate::store::backend::Backend;
use crate::store::state_store::StateStore;

/// Opens the store of a state.
pub type OpenBackend = Arc<dyn Fn(&StackRef, CloudTarget) -> Arc<dyn Backend> + Send + Sync>;

/// What an operation acts with.
pub struct Session {
    pub catalog: Arc<Catalog>,
    pub provider: Arc<Provider>,
    pub prober: Arc<Prober>,
    pub clock: Arc<dyn Clock>,
    pub target: CloudTarget,
    /// Every cloud it talks to is on this machine.
    pub is_local: bool,
    /// `user@host`, for the lease and for `status`.
    pub who: String,
    /// Who runs the programs of tasks, and sends their requests.
    pub tasks: Arc<dyn TaskRunner>,
    /// Where states are kept.
    backends: OpenBackend,
    /// Those that are open, by the names of their states: a store behind a network keeps its connections.
    opened: Mutex<BTreeMap<(PathBuf, String), Arc<dyn Backend>>>,
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
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
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
        let clock: Arc<dyn Clock> = Arc::new(Scaled {
            anchor: sandbox.now(),
            since: WallClock.now(),
            speed: sandbox.speed(),
        });
        let settings = Settings::for_sandbox(Arc::clone(&clock), &serving.url());
        Ok(Self::new(settings, clock, CloudTarget::Sandbox, who, Some((sandbox, serving))))
    }

    /// What a plan says of who made it, when and with what.
    pub fn envelope(&self) -> PlanEnvelope {
        PlanEnvelope {
            made_at: self.clock.now(),
            by: self.who.clone(),
            lifeboat: env!("CARGO_PKG_VERSION").into(),
            ..PlanEnvelope::default()
        }
    }

    fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        target: CloudTarget,
        who: &str,
        sandbox: Option<(Sandbox, ServingSandbox)>,
    ) -> Self {
        let connections = Arc::new(Connections::new(settings));
        let prober = Prober::new(Arc::clone(&connections));
        Self::over(Provider::new(connections), prober, clock, target, who, sandbox)
    }

    /// Over these clouds, on this clock.
    pub(crate) fn over(
        provider: Provider,
        prober: Prober,
        clock: Arc<dyn Clock>,
        target: CloudTarget,
        who: &str,
        sandbox: Option<(Sandbox, ServingSandbox)>,
    ) -> Self {
        let connections = prober.connections();
        Self {
            tasks: Arc::new(ProcessRunner { connections, only_loopback: target.is_sandbox() }),
            catalog: Arc::new(kinds::builtin()),
            is_local: provider.is_local(),
            provider: Arc::new(provider),
            prober: Arc::new(prober),
            clock,
            target,
            who: who.into(),
            backends: Arc::new(|place: &StackRef, target: CloudTarget| {
                stores::backend(place, target.is_sandbox())
            }),
            opened: Mutex::default(),
            offers: tokio::sync::Mutex::default(),
            _sandbox: sandbox,
        }
    }

    /// With states in other stores than their stack files say: for tests and benchmarks.
    #[must_use]
    pub fn with_backends(self, backends: OpenBackend) -> Self {
        Self { backends, ..self }
    }

    /// With somebody else who runs programs and sends requests.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_tasks(self, tasks: Arc<dyn TaskRunner>) -> Self {
        Self { tasks, ..self }
    }

    /// Whether what is asked about can be where calls go: addresses that somebody gave may not fit the stack.
    pub fn check_endpoints(&self, inquiries: &[ReadRequest<'_>]) -> Result<(), OpsError> {
        let asked: Vec<(&Kind, &Attributes)> = inquiries
            .iter()
            .filter_map(|it| Some((self.catalog.get(&it.kind)?, &*it.attributes)))
            .collect();
        match self.provider.misdirected(&asked) {
            Some(why) => Err(OpsError::input(why.what, why.help)),
            None => Ok(()),
        }
    }

    pub fn store(&self, place: &StackRef) -> StateStore {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let backend = opened
            .entry((place.root.clone(), place.name()))
            .or_insert_with(|| (self.backends)(place, self.target));
        StateStore::over(Arc::clone(backend)).of_stack(&place.stack)
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
