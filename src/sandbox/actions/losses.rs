//! What is done to the world on purpose: regions are lost, healed and destroyed, and what it receives is written down.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::fault_domains::{self, nearest};
use crate::faults::state::{Doom, GroupsMode, Healed, LostHow};
use crate::http::Millis;
use crate::linode::data::apps::App;
use crate::linode::destroy_data;
use crate::linode::dns::targets::Users;
use crate::linode::machine::installed;
use crate::requests::log::{self, Requests};
use crate::shared::{Sandbox, SandboxError};
use crate::world::core::SandboxWorld;
use crate::world::overview::{overview, told};

/// How fault domains are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossResult {
    pub how: LostHow,
    pub groups: GroupsMode,
}

impl From<LostHow> for LossResult {
    fn from(how: LostHow) -> Self {
        Self { how, groups: GroupsMode::Frozen }
    }
}

/// What a catastrophe took, or will have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destroyed {
    /// Gone at once.
    Now(Vec<String>),
    /// Gone when the fault domain heals; nobody can look until then.
    WhenHealed(Vec<String>),
}

impl Sandbox {
    /// Loses a fault domain such as `linode:us-east` or `aws:us-east-1`.
    pub fn lose(&self, fault_domain: &str, how: LostHow) -> Result<(), SandboxError> {
        self.lose_all(&[fault_domain.to_owned()], how.into())
    }

    /// Loses all of them, or none when one of them does not exist.
    pub fn lose_all(&self, names: &[String], loss: LossResult) -> Result<(), SandboxError> {
        names.iter().try_for_each(|name| known(name))?;
        self.with(|world, now| {
            for name in names {
                world.faults.lose_with(now, name, loss.how, loss.groups);
            }
        })
    }

    /// Heals one fault domain or machine, or everything including the faults of requests. What was doomed is gone then.
    pub fn heal(&self, name: Option<&str>) -> Result<Healed, SandboxError> {
        self.with(|world, now| {
            if let Some(name) = name.filter(|name| !is_wrong(world, name)) {
                // Nothing is wrong with it; but does it exist?
                known(name).or_else(|_| known_machine(world, name))?;
            }
            heal(world, now, name).map_err(SandboxError::World)
        })?
    }

    /// What is lost at the moment, each with since when and how, in words.
    pub fn lost(&self) -> Result<Vec<(String, String)>, SandboxError> {
        self.with(|world, now| {
            let lost = world.faults.all_lost();
            lost.map(|(name, it)| (name.to_owned(), told(it, now))).collect()
        })
    }

    /// Everything that exists, by fault domain.
    pub fn overview(&self) -> Result<Value, SandboxError> {
        self.with(|world, now| overview(world, now))
    }

    /// Destroys an object of a fault domain, or everything in it, as a catastrophe would: nobody deletes it, and it is gone.
    /// In a lost fault domain that shows when it heals.
    pub fn destroy(
        &self,
        fault_domain: &str,
        object: Option<&str>,
    ) -> Result<Destroyed, SandboxError> {
        known(fault_domain)?;
        self.with(|world, now| {
            let names = names(world, fault_domain);
            if let Some(name) = object.filter(|name| !names.iter().any(|it| it == name)) {
                let near = nearest(name, &names);
                let (fault_domain, name) = (fault_domain.to_owned(), name.to_owned());
                return Err(SandboxError::NoSuchObject { fault_domain, name, near });
            }
            if world.faults.doom(fault_domain, object) {
                let chosen = |it: &String| object.is_none_or(|name| name == it);
                return Ok(Destroyed::WhenHealed(names.into_iter().filter(chosen).collect()));
            }
            let doom = match object {
                Some(name) => Doom::These([name.to_owned()].into()),
                None => Doom::Everything,
            };
            catch_up(world, now)
                .and_then(|()| destroy(world, fault_domain, &doom))
                .map(Destroyed::Now)
                .map_err(SandboxError::World)
        })?
    }

    /// How long a write travels to the other members of its group, in milliseconds of world time.
    pub fn set_lag(&self, least: Millis, most: Millis) -> Result<(), SandboxError> {
        self.with(|world, _| world.set_lag(least, most))
    }

    /// Changes what is known of the application on machines whose user data or image holds a text; an empty text is held
    /// by all. Returns the labels of the machines that hold it now.
    pub fn set_app(
        &self,
        text: &str,
        change: impl FnOnce(&mut App),
    ) -> Result<Vec<String>, SandboxError> {
        self.with(|world, _| {
            installed::set(&mut world.linode, text, change);
            installed::machines(&world.linode, text)
        })
    }

    /// What is known of the application, by the text that tells its revision.
    pub fn apps(&self) -> Result<BTreeMap<String, App>, SandboxError> {
        self.with(|world, _| {
            world.linode.apps.iter().map(|(text, it)| (text.clone(), it.clone())).collect()
        })
    }

    /// Where users are now: what they meet under each name, and where else they could be served.
    pub fn users(&self) -> Result<Users, SandboxError> {
        self.with(|world, now| world.users(now))
    }

    /// Begins a new log of the requests that any process receives for this world.
    pub fn log_requests(&self) -> Result<(), SandboxError> {
        self.with(|world, _| world.set_logging(true))?;
        self.with_log(|requests, file| match file {
            None => {
                *requests = Requests::default();
                Ok(())
            }
            Some(file) => log::clear(file),
        })
    }

    /// Ends the log; what is in it stays.
    pub fn stop_logging(&self) -> Result<(), SandboxError> {
        self.with(|world, _| world.set_logging(false))
    }

    pub fn is_logging(&self) -> Result<bool, SandboxError> {
        self.with(|world, _| world.is_logging())
    }

    /// The requests since the log was begun.
    pub fn requests(&self) -> Result<Requests, SandboxError> {
        self.with_log(|requests, file| match file {
            None => Ok(requests.clone()),
            Some(file) => log::read(file),
        })
    }

    fn with_log<R>(
        &self,
        act: impl FnOnce(&mut Requests, Option<&PathBuf>) -> std::io::Result<R>,
    ) -> Result<R, SandboxError> {
        self.held_log(|requests, file| {
            act(requests, file).map_err(|source| SandboxError::Log {
                path: file.cloned().unwrap_or_default(),
                source,
            })
        })?
    }
}

fn known(name: &str) -> Result<(), SandboxError> {
    let all = fault_domains::all();
    if all.iter().any(|it| it == name) {
        return Ok(());
    }
    let near = nearest(name, &all);
    Err(SandboxError::UnknownFaultDomain { name: name.to_owned(), near })
}

fn known_machine(world: &SandboxWorld, name: &str) -> Result<(), SandboxError> {
    if world.linode.instances.iter().any(|(_, it)| it.label == name) {
        return Ok(());
    }
    let mut all = fault_domains::all();
    all.extend(world.faults.all_unhealthy().map(str::to_owned));
    let near = nearest(name, &all);
    Err(SandboxError::UnknownFaultDomain { name: name.to_owned(), near })
}

fn is_wrong(world: &SandboxWorld, name: &str) -> bool {
    world.faults.lost(name).is_some() || world.faults.is_unhealthy(name)
}

fn heal(world: &mut SandboxWorld, now: Millis, name: Option<&str>) -> Result<Healed, String> {
    // What arrived before the loss must not be taken for stranded by it.
    catch_up(world, now)?;
    let healed = world.faults.heal(name);
    for (fault_domain, lost) in &healed.lost {
        destroy(world, fault_domain, &lost.doom)?;
    }
    Ok(healed)
}

fn catch_up(world: &mut SandboxWorld, now: Millis) -> Result<(), String> {
    if world.tables().is_empty() {
        return Ok(());
    }
    world.with_items(|tables, items| tables.catch_up(now, items))?
}

/// Takes doomed objects out of the world and says which.
fn destroy(
    world: &mut SandboxWorld,
    fault_domain: &str,
    doom: &Doom,
) -> Result<Vec<String>, String> {
    match fault_domain.split_once(':') {
        _ if *doom == Doom::Nothing => Ok(Vec::new()),
        Some(("linode", region)) => Ok(destroy_data::destroy(&mut world.linode, region, doom)),
        Some((_, region)) if !world.tables().is_empty() => {
            world.with_items(|tables, items| tables.destroy(region, doom, items))?
        }
        _ => Ok(Vec::new()),
    }
}

/// The labels and names of the objects in a fault domain.
fn names(world: &SandboxWorld, fault_domain: &str) -> Vec<String> {
    match fault_domain.split_once(':') {
        Some(("linode", region)) => destroy_data::names(&world.linode, region),
        Some((_, region)) => world.tables().names(region),
        None => Vec::new(),
    }
}
