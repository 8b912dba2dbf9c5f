//! What serving gates look at: recorded objects, and what serves inside them, to which the run adds while a gate waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::address::Address;
use crate::engine::packets::Family;
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;

/// A recorded object that a gate looks at.
#[derive(Debug, Clone)]
pub struct WatchedResource {
    pub address: Address,
    pub kind: Kind,
    pub record: Record,
    /// So many of its members have to serve, at least 1.
    pub count: usize,
    pub members: WatchedMembers,
    /// Where users come to it.
    pub front: Option<Box<Front>>,
}

/// The backends inside an object that a gate watches. The run adds to them while the gate waits: users wait for a quorum of
/// them, and whichever come first may make it up.
#[derive(Debug, Clone, Default)]
pub struct WatchedMembers(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    recorded: BTreeMap<Address, Arc<WatchedResource>>,
    /// So many steps of this run may still add one each.
    coming: usize,
    /// How many the balancer called healthy when it was asked last.
    healthy: usize,
}

/// How many backends serve, of all that stand or are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServingBackends {
    pub serving: usize,
    pub of: usize,
}

impl WatchedMembers {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn recorded(&self) -> Vec<Arc<WatchedResource>> {
        self.known().recorded.values().cloned().collect()
    }

    /// Whether more may come, so that it is too early to give up.
    pub fn are_coming(&self) -> bool {
        self.known().coming > 0
    }

    pub fn put(&self, member: WatchedResource) {
        self.known().recorded.insert(member.address.clone(), Arc::new(member));
    }

    pub fn remove(&self, address: &Address) {
        self.known().recorded.remove(address);
    }

    pub fn expect_more(&self, steps: usize) {
        self.known().coming = steps;
    }

    pub fn note_healthy(&self, healthy: usize) {
        self.known().healthy = healthy;
    }

    /// As far as was seen last. What others put beside ours is not counted.
    pub fn serving(&self) -> ServingBackends {
        let known = self.known();
        let of = known.recorded.len() + known.coming;
        ServingBackends { serving: known.healthy.min(of), of }
    }
}

/// A serving gate that waits, and the steps that may still add backends to what it watches.
#[derive(Debug)]
pub struct OpenGate {
    /// The object whose backends count.
    pub kind: String,
    pub id: String,
    pub members: WatchedMembers,
    /// Ids of steps.
    pub coming: Vec<usize>,
}

/// What users come through to an object that a gate looks at.
#[derive(Debug, Clone)]
pub struct Front {
    /// What contains it, and may stand behind filters.
    pub kind: Kind,
    pub record: Record,
    /// The kind of those.
    pub wall: Kind,
    pub port: u16,
    /// The addresses under which they come; `None`: either.
    pub family: Option<Family>,
}
