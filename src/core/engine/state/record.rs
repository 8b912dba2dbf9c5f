//! State: what was made, its ids, and which overlays are active; with the invariants that must hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
pub use crate::engine::allowance::Allowances;
use crate::engine::allowance::UsedAllowance;
use crate::engine::retry::ErrorClass;
use crate::engine::state::task_record::TaskRecord;
use crate::engine::text::names::StackName;
use crate::engine::value::{Attributes, LineageKey, Value};

/// The recorded world of one stack instance. Serialized, it is the first line of a snapshot: the records follow, a line each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub stack: String,
    pub instance: Option<String>,
    /// Fresh at the first apply; two states of different lineages are never compared.
    pub lineage: String,
    pub key: LineageKey,
    /// Counts finished runs.
    pub serial: u64,
    /// Number of the last journal entry that is part of this state.
    pub sequence: u64,
    /// Number of the last entry that changed anything: a lease alone does not.
    pub touched: u64,
    /// The epoch of the last lease.
    pub epoch: u64,
    /// The serial that the run ends with in which the last switch began: what was reviewed before it is not what is meant now. 0: none
    /// has. Since format 2.
    #[serde(default, skip_serializing_if = "has_never")]
    pub switched: u64,
    /// `clouds` or `sandbox`.
    pub target: String,
    /// Which account of each cloud: `linode` → customer, `aws` → account.
    pub bound: BTreeMap<String, String>,
    /// The overlays of the first apply.
    pub home: Vec<String>,
    /// The overlays in force.
    pub active: Vec<String>,
    pub phase: Phase,
    /// The switch that began and has not ended: until the phase is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchRecord>,
    pub lost: Vec<LostDomain>,
    /// What tasks have done, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, TaskRecord>,
    /// What users may still be directed to, because others remember it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<Draining>,
    /// Likewise, where nobody waits for that: what it named was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cached: Vec<Draining>,
    /// Non-sensitive variables of the last apply.
    pub variables: BTreeMap<String, Value>,
    /// Those that home had, from the first switch that leaves it until one ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_variables: Option<BTreeMap<String, Value>>,
    pub outputs: BTreeMap<String, Value>,
    #[serde(skip)]
    pub records: BTreeMap<Address, Record>,
    /// Steps that began and of which no end is recorded.
    #[serde(rename = "begun", with = "pending_operations")]
    pub pending: BTreeMap<Address, PendingOperation>,
    pub last_run: Option<RunRecord>,
    /// What a destroy took away that did not come to its end, and nothing has made again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub destroyed: BTreeSet<Address>,
    /// The allowances of layers that runs were begun with. Since format 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_allowances: Vec<UsedAllowance>,
    /// It was put together from what was left, and entries were lost: what was made since is known by its tags, and by
    /// standing where it was to stand. Until a run has gone through.
    #[serde(rename = "restored", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_restored: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn has_never(switched: &u64) -> bool {
    *switched == 0
}

/// How far a switch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No switch is going on.
    #[default]
    Settled,
    /// Users are not all where the switch wants them.
    Switching,
    /// Users are where the switch wants them; capacity or repairs are missing. It holds no other change back any more.
    Degraded,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Switching => "switching",
            Self::Degraded => "degraded",
        }
    }

    pub fn is_settled(&self) -> bool {
        *self == Self::Settled
    }
}

/// A switch that began and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwitchRecord {
    /// The overlays that were active before it.
    pub from: Vec<String>,
    /// In milliseconds since the Unix epoch, like all times of a state.
    pub since: i64,
    /// When it began, where a further loss was recorded on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<i64>,
    pub by: String,
    /// The non-sensitive variables before it.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Fault domains that it found again.
    #[serde(rename = "thawed", default)]
    pub recovered: Vec<String>,
    #[serde(default)]
    pub keep: Keep,
    #[serde(default, skip_serializing_if = "Allowances::is_nothing")]
    pub allowed: Allowances,
    /// When the site was last seen good before it, by who watched: users were without it since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<i64>,
    /// Something was lost when it began, or was declared lost on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_loss: bool,
    /// When its users were where it wants them for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<i64>,
    /// When it directed users, step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directed: Vec<ShiftRecord>,
    /// What earlier switches left that were turned before they ended, the first one first: the world is between all of
    /// these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turned: Vec<LeftSite>,
    /// Why steps of it failed, by address, until they are tried again. Since format 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Address, RecordedFailure>,
}

/// Why the last try at an address did not end well, for whoever looks later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFailure {
    /// `None`: nothing was to be changed, something was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<MutatingCall>,
    pub why: String,
    /// What a cloud's answer counts as; `None`: no cloud said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    pub at: i64,
}

/// A traffic shift: when it was, in milliseconds since the Unix epoch, and for how many seconds after it resolvers may have
/// answered the old value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftRecord {
    pub at: i64,
    pub dns_bound: u64,
}

impl ShiftRecord {
    /// When no resolver answers the old value any more, in milliseconds since the Unix epoch.
    pub fn until(self) -> i64 {
        let bound = i64::try_from(self.dns_bound.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.at.saturating_add(bound)
    }
}

/// Overlays that a switch left, with the non-sensitive variables before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftSite {
    pub overlays: Vec<String>,
    pub variables: BTreeMap<String, Value>,
}

/// What a failback leaves standing of what only the other side wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    #[default]
    Nothing,
    /// What holds data.
    Data,
    /// `--keep-standby`.
    All,
}

/// Traffic that was directed away a while ago and may still come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// What directs it: a record.
    pub address: Address,
    /// What it named before.
    pub was: Vec<Address>,
    /// When nobody remembers that any more, in milliseconds since the Unix epoch.
    pub until: i64,
}

/// A fault domain that somebody declared lost: since when, in milliseconds since the Unix epoch, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostDomain {
    pub fault_domain: String,
    pub since: i64,
    pub by: String,
}

/// Who changed it last, and with which command; times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub who: String,
    pub command: String,
    pub at: i64,
    pub finished: Option<i64>,
    /// Everything was to go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroys: bool,
    /// It came to its end, and something of its plan is left. Since format 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Of a run outside of a switch: why steps of it failed, by address, until they are tried again. Since format 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Address, RecordedFailure>,
}

impl RunRecord {
    /// One that has just begun; `at`: in milliseconds since the Unix epoch.
    pub fn began(who: &str, command: &str, at: i64) -> Self {
        Self {
            who: who.into(),
            command: command.into(),
            at,
            finished: None,
            destroys: false,
            incomplete: false,
            failures: BTreeMap::new(),
        }
    }

    /// Its process ended early, or it left something of its plan.
    pub fn is_unfinished(&self) -> bool {
        self.finished.is_none() || self.incomplete
    }
}

/// One thing that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub kind: String,
    pub id: String,
    /// As last applied, secrets as fingerprints; carried attributes included.
    pub attributes: Attributes,
    /// As last seen: computed attributes.
    pub outputs: Attributes,
    /// Direct dependencies only.
    pub needs: Vec<Address>,
    /// Its readiness, and its `ready` gate, were seen.
    pub ready: bool,
    /// `prevent_destroy` was applied.
    #[serde(default)]
    pub protected: bool,
    /// No layer wants it, and it was kept by a failback: it is not deleted unless that is asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retained: bool,
    /// The cloud was told to delete it, and it was not seen to be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// When it was made or adopted, in milliseconds since the Unix epoch.
    pub since: i64,
    /// An older incarnation that a `create_before_destroy` replace has still to delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposed: Option<Deposed>,
    /// What calls that ended badly would have made of it, and may have: found so, nobody else has changed it.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub tried: Attributes,
}

/// What a request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutatingCall {
    Create,
    Update,
    Rename,
    Delete,
}

impl MutatingCall {
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Rename => "rename",
            Self::Delete => "delete",
        }
    }

    /// Whether the object is there before it and after it.
    pub fn changes(self) -> bool {
        matches!(self, Self::Update | Self::Rename)
    }
}

/// A mutating call that was about to leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingOperation {
    pub step: usize,
    pub address: Address,
    pub kind: String,
    pub call: MutatingCall,
    /// For a create: what was to be made, sealed.
    pub attributes: Attributes,
    /// Direct dependencies, for the record that a settled create gets.
    pub needs: Vec<Address>,
    /// Ids of all look-alikes that were there already.
    pub alike: Vec<String>,
    pub mark: Option<String>,
    pub at: i64,
}

/// What a replace has put beside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deposed {
    pub id: String,
    pub attributes: Attributes,
}

/// They name their address themselves, so files hold a list.
mod pending_operations {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Address, PendingOperation};

    pub(super) fn serialize<S: Serializer>(
        all: &BTreeMap<Address, PendingOperation>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Address, PendingOperation>, D::Error> {
        let all = Vec::<PendingOperation>::deserialize(from)?;
        Ok(all.into_iter().map(|it| (it.address.clone(), it)).collect())
    }
}

impl SwitchRecord {
    /// What tells it from every other switch of the state: when it began, in milliseconds since the Unix epoch.
    pub fn identity(&self) -> i64 {
        self.began.unwrap_or(self.since)
    }

    /// Whether a traffic shift of it was observed.
    pub fn has_shifted(&self) -> bool {
        !self.directed.is_empty()
    }

    /// All that was left since the state was settled, each once, the first one first.
    pub fn left(&self) -> Vec<LeftSite> {
        let mut left = self.turned.clone();
        if left.iter().all(|it| it.overlays != self.from) {
            left.push(LeftSite { overlays: self.from.clone(), variables: self.variables.clone() });
        }
        left
    }
}

impl State {
    /// As commands name it: `shop@drill`.
    pub fn name(&self) -> String {
        StackName { stack: &self.stack, workspace: self.instance.as_deref() }.to_string()
    }

    /// The switch that has still to move users.
    pub fn switching(&self) -> Option<&SwitchRecord> {
        self.switch.as_ref().filter(|_| self.phase == Phase::Switching)
    }

    /// Since when users wait whom a switch under loss was to move, and has not: when the site was last seen good, else when that
    /// switch began.
    pub fn unserved_since(&self) -> Option<i64> {
        let is_waiting = |it: &&SwitchRecord| {
            it.under_loss && !it.has_shifted() && self.phase == Phase::Switching
        };
        let switch = self.unfinished_switch().filter(is_waiting)?;
        Some(switch.last_good.map_or(switch.identity(), |it| it.min(switch.identity())))
    }

    /// The switch that began and has not ended, whether or not its users have moved.
    pub fn unfinished_switch(&self) -> Option<&SwitchRecord> {
        self.switch.as_ref().filter(|_| !self.phase.is_settled())
    }

    pub fn new(
        stack: &str,
        instance: Option<&str>,
        target: &str,
        lineage: &str,
        key: LineageKey,
    ) -> Self {
        Self {
            stack: stack.into(),
            instance: instance.map(Into::into),
            lineage: lineage.into(),
            key,
            serial: 0,
            sequence: 0,
            touched: 0,
            epoch: 0,
            switched: 0,
            target: target.into(),
            bound: BTreeMap::new(),
            home: Vec::new(),
            active: Vec::new(),
            phase: Phase::Settled,
            switch: None,
            lost: Vec::new(),
            tasks: BTreeMap::new(),
            draining: Vec::new(),
            cached: Vec::new(),
            variables: BTreeMap::new(),
            home_variables: None,
            outputs: BTreeMap::new(),
            records: BTreeMap::new(),
            pending: BTreeMap::new(),
            last_run: None,
            destroyed: BTreeSet::new(),
            used_allowances: Vec::new(),
            is_restored: false,
        }
    }

    /// What is wrong with it; planning on a broken state is refused, writing one never is.
    pub fn integrity(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut ids = BTreeSet::new();
        for (address, record) in &self.records {
            if record.id.is_empty() && record.ready {
                wrong.push(format!("`{address}` is ready but has no ID"));
            }
            let scope =
                (&record.kind, &record.id, record.attributes.get("region").map(Value::as_text));
            if !record.id.is_empty() && !ids.insert(scope) {
                wrong.push(format!("`{address}` has the same ID {} as another record", record.id));
            }
            if record.needs.contains(address) {
                wrong.push(format!("`{address}` depends on itself"));
            }
            if record.attributes.values().any(|it| matches!(it, Value::Secret(_))) {
                wrong.push(format!("`{address}` contains a plain-text secret"));
            }
        }
        if self.lineage.is_empty() {
            wrong.push("it has no lineage".into());
        }
        wrong
    }
}

impl Record {
    /// What expressions see of it: applied attributes, then what the cloud made, then its id.
    pub fn object(&self) -> Attributes {
        let mut object = self.attributes.clone();
        for (name, value) in &self.outputs {
            object.insert(name.clone(), value.clone());
        }
        object.insert("id".into(), Value::Text(self.id.clone()));
        object
    }
}
