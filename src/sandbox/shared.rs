//! The sandbox as a program holds it: one world, in memory or in a folder that other processes share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::{self, DEFAULT_SPEED, WorldClock};
use crate::faults::state::FaultSpec;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};
use crate::linode::RateLimits;
use crate::probe::{self, SandboxProbe, SandboxProbeAnswer};
use crate::requests::log::{self, Requests};
use crate::requests::received::Received;
use crate::world::core::{SandboxReply, SandboxWorld};
use crate::world::folder::{FolderError, WorldFolder};

/// How a world is born; one that exists keeps its clock and seed, except that `manual` stops its clock.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxOptions {
    pub speed: f64,
    pub manual: bool,
    pub seed: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { speed: DEFAULT_SPEED, manual: false, seed: 0 }
    }
}

/// Why the sandbox cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(
        "{path} has a row of {table:?} that this version cannot read; `lifeboat sandbox reset` deletes everything and starts over"
    )]
    Unknown { path: PathBuf, table: String },
    #[error("cannot delete the items in {path}")]
    Items { path: PathBuf, source: std::io::Error },
    #[error("cannot access the request log {path}")]
    Log { path: PathBuf, source: std::io::Error },
    #[error("unknown fault domain `{name}`{}", did_you_mean(.near.as_deref()))]
    UnknownFaultDomain { name: String, near: Option<String> },
    #[error("{fault_domain} has no resource named `{name}`{}", did_you_mean(.near.as_deref()))]
    NoSuchObject { fault_domain: String, name: String, near: Option<String> },
    #[error("{0}")]
    World(String),
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default()
}

/// A handle on the sandbox; clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Mutex<SharedWorld>>);

/// The log of a world in memory ends after this many requests; it is then marked as full. A guess: several times the longest
/// test.
const MOST_IN_MEMORY: usize = 200_000;

/// How changes are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunEnding {
    Append,
    /// As a new snapshot, because rows vanished without being removed one by one.
    Fold,
}

struct SharedWorld {
    world: SandboxWorld,
    folder: Option<WorldFolder>,
    place: PathBuf,
    /// The log of a world in memory.
    requests: Requests,
}

impl Sandbox {
    /// Opens the world in a folder, or an empty one in memory.
    pub fn open(folder: Option<&Path>, options: &SandboxOptions) -> Result<Self, SandboxError> {
        let inner = match folder {
            Some(path) => {
                let folder = WorldFolder::open(path)?;
                SharedWorld {
                    world: SandboxWorld::new(Some(folder.items())),
                    folder: Some(folder),
                    place: path.into(),
                    requests: Requests::default(),
                }
            }
            None => SharedWorld {
                world: SandboxWorld::new(None),
                folder: None,
                place: "memory".into(),
                requests: Requests::default(),
            },
        };
        let sandbox = Self(Arc::new(Mutex::new(inner)));
        sandbox.with(|world, _| match world.clock() {
            None => {
                let born = if options.manual {
                    WorldClock::manual()
                } else {
                    WorldClock::running(clock::wall(), options.speed)
                };
                world.set_clock(&born);
                world.set_seed(options.seed);
            }
            Some(mut clock) if options.manual && !clock.is_manual() => {
                clock.stop(clock::wall());
                world.set_clock(&clock);
            }
            Some(_) => {}
        })?;
        Ok(sandbox)
    }

    /// Starts a folder over, also one that this version cannot read; the next one to open it gives it a clock.
    pub fn wipe(folder: &Path) -> Result<(), SandboxError> {
        WorldFolder::open(folder)?.wipe()?;
        let path = log::place(folder);
        log::clear(&path).map_err(|source| SandboxError::Log { path, source })
    }

    /// Catches up with other processes, does something to the world, and writes down what changed.
    pub(super) fn with<R>(
        &self,
        act: impl FnOnce(&mut SandboxWorld, Millis) -> R,
    ) -> Result<R, SandboxError> {
        self.held(RunEnding::Append, act)
    }

    fn held<R>(
        &self,
        ending: RunEnding,
        act: impl FnOnce(&mut SandboxWorld, Millis) -> R,
    ) -> Result<R, SandboxError> {
        let poisoned = self.0.is_poisoned();
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let SharedWorld { world, folder, place, requests } = &mut *guard;
        if poisoned {
            // What a panic left half done is not in the log; load what is.
            self.0.clear_poison();
            folder.iter_mut().for_each(WorldFolder::distrust);
        }
        let held = match folder {
            Some(folder) => {
                let held = folder.hold()?;
                let news = folder.news()?;
                if news.reload {
                    world.forget();
                }
                for change in news.changes {
                    let table = change.0.clone();
                    if !world.apply(change) {
                        folder.distrust();
                        return Err(SandboxError::Unknown { path: place.clone(), table });
                    }
                }
                Some(held)
            }
            None => None,
        };
        let now = world.clock().map_or_else(clock::wall, |clock| clock.now(clock::wall()));
        let result = act(world, now);
        note(requests, folder.as_ref().map(|_| place.as_path()), &world.take_received())?;
        let changes = world.take_changes();
        if let Some(folder) = folder {
            if ending == RunEnding::Fold || folder.is_long() {
                folder.compact(world.all())?;
            } else if !changes.is_empty() {
                folder.append(&changes)?;
            }
        }
        drop(held);
        Ok(result)
    }

    /// Acts on the log of requests: its file, or that of a world in memory.
    pub(super) fn held_log<R>(
        &self,
        act: impl FnOnce(&mut Requests, Option<&PathBuf>) -> R,
    ) -> Result<R, SandboxError> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let SharedWorld { folder, place, requests, .. } = &mut *guard;
        let held = folder.as_ref().map(WorldFolder::hold).transpose()?;
        let file = folder.as_ref().map(|_| log::place(place));
        let result = act(requests, file.as_ref());
        drop(held);
        Ok(result)
    }

    /// Carries out one request now.
    pub fn handle(&self, request: &SandboxRequest) -> SandboxReply {
        self.with(|world, now| world.handle(now, request)).unwrap_or_else(|error| {
            let body = serde_json::json!({ "errors": [{ "reason": error.to_string() }] });
            SandboxReply::Answer(SandboxAnswer::json(500, "application/json", &body))
        })
    }

    fn clock(&self) -> WorldClock {
        let read = self.with(|world, _| world.clock());
        read.ok().flatten().unwrap_or_else(|| WorldClock::running(clock::wall(), DEFAULT_SPEED))
    }

    /// World time.
    pub fn now(&self) -> Millis {
        self.clock().now(clock::wall())
    }

    pub fn speed(&self) -> f64 {
        self.clock().speed()
    }

    pub fn is_manual(&self) -> bool {
        self.clock().is_manual()
    }

    /// Jumps ahead in world time.
    pub fn advance(&self, by: Duration) -> Result<(), SandboxError> {
        self.with(|world, _| {
            if let Some(mut clock) = world.clock() {
                clock.advance(by);
                world.set_clock(&clock);
            }
        })
    }

    /// Runs on at another speed.
    pub fn set_speed(&self, speed: f64) -> Result<(), SandboxError> {
        self.with(|world, _| {
            if let Some(mut clock) = world.clock() {
                clock.set_speed(clock::wall(), speed);
                world.set_clock(&clock);
            }
        })
    }

    /// Makes a machine fail its health checks; [`Sandbox::heal`] with its label ends it.
    pub fn sicken(&self, label: &str) -> Result<(), SandboxError> {
        self.with(|world, now| world.faults.mark_unhealthy(now, label))
    }

    pub fn fault(&self, spec: FaultSpec) -> Result<(), SandboxError> {
        self.with(|world, _| world.faults.add(spec))
    }

    /// Ends the faults of requests; what is lost or unhealthy stays so.
    pub fn end_faults(&self) -> Result<(), SandboxError> {
        self.with(|world, _| world.faults.end_requests())
    }

    pub fn set_limits(&self, limits: &RateLimits) -> Result<(), SandboxError> {
        self.with(|world, _| world.linode.set_limits(limits))
    }

    /// Deletes everything but the clock, the seed, the lag, and whether requests are logged.
    pub fn reset(&self) -> Result<(), SandboxError> {
        self.held(RunEnding::Fold, |world, _| {
            world.reset().map_err(|(path, source)| SandboxError::Items { path, source })
        })?
    }

    /// Everything that exists, in short.
    pub fn show(&self) -> Result<Value, SandboxError> {
        self.with(|world, now| world.show(now))
    }

    pub fn is_empty(&self) -> Result<bool, SandboxError> {
        self.with(|world, now| world.is_empty(now))
    }

    pub fn probe(&self, wanted: &SandboxProbe) -> SandboxProbeAnswer {
        let looked = self.with(|world, now| {
            let answer = probe::probe(world, now, wanted);
            world.note(probe::received(world, now, wanted, &answer));
            answer
        });
        looked.unwrap_or(SandboxProbeAnswer::Timeout)
    }

    /// Starts a record of this process's requests.
    pub fn record(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).world.start_record();
    }

    /// The record since then: `METHOD path status`.
    pub fn recorded(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).world.recorded()
    }

    /// Calls of this process by `METHOD /path/{}`.
    pub fn counts(&self) -> std::collections::BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).world.counts().clone()
    }
}

/// Writes down what was received, before what it changed is: what is in the world is in the log.
fn note(
    requests: &mut Requests,
    folder: Option<&Path>,
    received: &[Received],
) -> Result<(), SandboxError> {
    match folder {
        _ if received.is_empty() => Ok(()),
        Some(folder) => {
            let path = log::place(folder);
            let written = log::append(&path, received);
            written.map_err(|source| SandboxError::Log { path, source })
        }
        None => {
            requests.is_full |= requests.received.len() >= MOST_IN_MEMORY;
            if !requests.is_full {
                requests.received.extend_from_slice(received);
            }
            Ok(())
        }
    }
}
