//! Traffic moves last: which changes direct users, what has to serve before, and what must stay until they are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::ServingQuorum;
use crate::engine::normalize::stored;
use crate::engine::observed::Observation;
use crate::engine::plan::availability::frozen::Frozen;
use crate::engine::plan::availability::replica_group::{Members, group_name};
use crate::engine::plan::draft::plan_builder::PlanInputs;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::{Action, TrafficShift};
use crate::engine::plan::model::options::PlanOptions;
use crate::engine::plan::model::planned_change::{PlannedChange, directs, set_name};
use crate::engine::schema::{Catalog, Drain, Kind};
use crate::engine::state::journal::PendingOperation;
use crate::engine::state::record::{MutatingCall, Record, State};
use crate::engine::value::{Attributes, Value};

/// How many TTLs a drain lasts. A resolver may keep a value for its whole TTL (RFC 1035, section 3.2.1); the second one is a
/// guess that covers publication and resolvers and programs that keep answers longer than they may.
const DRAIN_TIMES: u64 = 2;

/// One change that directs users somewhere else, or takes a way from them.
#[derive(Debug)]
pub struct ShiftDirection {
    pub address: Address,
    /// The change deletes it: others of its set serve instead.
    pub withdraws: bool,
    /// No change of this plan: an earlier run directed users, who may still come the old way until then.
    pub until: Option<i64>,
    /// It leads to an object in a lost fault domain, where nobody is served.
    pub into_lost: Option<(Address, String)>,
    /// What users are directed to, with all that it contains.
    pub serving: BTreeSet<Address>,
    /// What is deleted out of what users are directed to: it must serve without that.
    pub shrinks: BTreeSet<Address>,
    /// The health checks of each of these are waited for.
    pub checked: Vec<Address>,
    /// So many probes of its own are waited for.
    pub probes: usize,
    /// It has gates that were asked to be skipped.
    pub skips: bool,
    /// How many backends behind each of these have to serve before.
    pub quorum: ServingQuorum,
    /// The serving closure of the new target.
    pub new: BTreeSet<Address>,
    /// What was directed to before.
    pub old_roots: Vec<Address>,
    /// The serving closure of the old target.
    pub old: BTreeSet<Address>,
    /// How long users may still come the old way, where others remember it.
    pub drain_seconds: Option<u64>,
    /// For how many seconds others remember it, lost or not.
    pub ttl_seconds: u64,
}

/// A member of a group with a replication gate, and another member: before users are directed an item that is written to the
/// member that they leave has to arrive at the one that they come to. Gates stand on the standby's members.
#[derive(Debug)]
pub struct Replicating {
    pub gated: Address,
    pub other: Address,
    /// Users go home: the gated member is the one that they leave.
    pub back: bool,
}

fn has_replication_gate(it: &PlannedChange<'_>) -> bool {
    it.instance.is_some_and(|it| it.resource.gates.replication().is_some())
}

/// A member of which its replication gate cannot be asked, as it, or the only ones beside it, could not be looked at. Under a
/// loss nobody is asked: what is lost tells nothing.
pub fn unasked<'a>(
    planned: &'a [PlannedChange<'_>],
    skip_gates: &BTreeMap<Address, String>,
) -> Option<&'a Address> {
    let unseen =
        |it: &&PlannedChange<'_>| it.change.unknown.is_some() && it.change.frozen.is_none();
    if !planned.iter().any(|it| unseen(&it) && it.kind.group.is_some()) {
        return None;
    }
    let group = |it: &PlannedChange<'_>| group_name(it.kind, it.desired.as_ref()?);
    let pairs = gated_pairs(planned);
    let gated = planned.iter().filter(|it| has_replication_gate(it) && it.change.frozen.is_none());
    let gated = gated.filter(|it| !skip_gates.contains_key(&it.change.address));
    let mut gated = gated.filter(|it| !pairs.iter().any(|pair| pair.0 == it.change.address));
    let missed = |to: &&PlannedChange<'_>| {
        let name = group(to);
        unseen(to) || planned.iter().any(|it| unseen(&it) && name.is_some() && group(it) == name)
    };
    gated.find(missed).map(|it| &it.change.address)
}

/// The members with a replication gate, each with another living one of its group, and in which direction a switch to these
/// layers looks.
pub fn replicating(worlds: &PlanInputs<'_>, planned: &[PlannedChange<'_>]) -> Vec<Replicating> {
    let back = worlds.state.is_some_and(|state| state.home == worlds.stack.overlays);
    let pairs = gated_pairs(planned).into_iter();
    pairs.map(|(gated, other)| Replicating { gated, other, back }).collect()
}

/// The members with a replication gate, each with another living one of its group.
fn gated_pairs(planned: &[PlannedChange<'_>]) -> Vec<(Address, Address)> {
    let lives = |it: &&PlannedChange<'_>| {
        it.change.frozen.is_none()
            && it.change.unknown.is_none()
            && it.desired.is_some()
            && it.change.deferred.as_ref().is_none_or(|it| it.action != Action::Create)
    };
    let group = |it: &PlannedChange<'_>| group_name(it.kind, it.desired.as_ref()?);
    let members = planned.iter().filter(lives);
    let members: Members<'_> =
        members.filter_map(|it| Some((&it.change.address, group(it)?))).collect();
    let gated = planned.iter().filter(lives).filter(|it| has_replication_gate(it));
    let pairs = gated.filter_map(|to| {
        let own = &to.change.address;
        let other = members.other(own, &group(to)?)?;
        Some((own.clone(), other.clone()))
    });
    pairs.collect()
}

impl ShiftDirection {
    /// Whether nothing looks at what users are directed to before they are.
    pub fn is_blind(&self) -> bool {
        self.checked.is_empty() && self.probes == 0
    }

    fn of(it: &PlannedChange<'_>) -> Self {
        Self {
            address: it.change.address.clone(),
            withdraws: false,
            until: None,
            into_lost: None,
            serving: BTreeSet::new(),
            shrinks: BTreeSet::new(),
            checked: Vec::new(),
            probes: 0,
            skips: false,
            quorum: ServingQuorum::All,
            new: BTreeSet::new(),
            old_roots: Vec::new(),
            old: BTreeSet::new(),
            drain_seconds: None,
            ttl_seconds: 0,
        }
    }
}

impl ShiftDirection {
    /// What could not be looked at may direct users to any of these.
    pub fn unknown(it: &PlannedChange<'_>, roots: &[Address], old: BTreeSet<Address>) -> Self {
        let drain_seconds = it.kind.drain.as_ref().map(|_| 0);
        Self { old_roots: roots.to_vec(), old, drain_seconds, ..Self::of(it) }
    }
}

/// Every change that directs users, in the order of the plan; then what earlier runs left draining, also what is drained by
/// now while their switch goes on.
pub fn directions(
    worlds: &PlanInputs<'_>,
    frozen: &Frozen<'_>,
    planned: &[PlannedChange<'_>],
    options: &PlanOptions,
) -> Vec<ShiftDirection> {
    let draining = || {
        let state = worlds.state.iter();
        // A switch that goes on still has to know what it took its users from, remembered or not.
        state.flat_map(|state| {
            let goes_on = state.unfinished_switch().is_some();
            state.draining.iter().filter(move |it| goes_on || it.until > options.now)
        })
    };
    let any = planned.iter().any(|it| directs(it.kind, &it.change));
    if !any && draining().next().is_none() {
        return Vec::new();
    }
    let view = TrafficView {
        worlds,
        frozen,
        planned,
        at: planned.iter().enumerate().map(|(at, it)| (&it.change.address, at)).collect(),
        sets: sets(planned),
        quorum: QuorumDefault::of(options),
        skip_gates: &options.allowed.skip_gates,
        wanted: DesiredTopology::new(worlds.catalog, worlds.stack),
        recorded: worlds.state.map(|it| RecordedTopology::new(worlds.catalog, it)),
    };
    let changed = planned.iter().filter(|it| directs(it.kind, &it.change));
    let mut directions: Vec<ShiftDirection> = changed.map(|it| view.direction(it)).collect();
    for it in draining() {
        directions.extend(view.draining(&it.address, &it.was, it.until));
    }
    directions
}

/// What nobody is directed to any more: what stood behind old targets, and, where a switch that has moved its users
/// already goes on, everything to which no name leads.
pub fn left(
    worlds: &PlanInputs<'_>,
    planned: &[PlannedChange<'_>],
    directions: &[ShiftDirection],
    goes_on: bool,
) -> BTreeSet<Address> {
    let mut left: BTreeSet<Address> =
        directions.iter().flat_map(|it| it.old.iter().cloned()).collect();
    let names = || planned.iter().filter(|it| it.kind.drain.is_some() && it.desired.is_some());
    if goes_on && names().next().is_some() {
        left.extend(planned.iter().map(|it| it.change.address.clone()));
    }
    if left.is_empty() {
        return left;
    }
    let wanted = DesiredTopology::new(worlds.catalog, worlds.stack);
    for it in names() {
        let targets = it.instance.map(|instance| wanted.targets(it.kind, instance));
        let serving = wanted.closure(&targets.unwrap_or_default());
        left.retain(|it| !serving.contains(it));
        // A leftover belongs to what contains it, which the layers still hold.
        let recorded = worlds.state.map(|it| RecordedTopology::new(worlds.catalog, it));
        let behind: Vec<Address> = serving.into_iter().collect();
        let contents = recorded.map(|it| it.contained(&behind)).unwrap_or_default();
        left.retain(|it| !contents.contains(it));
    }
    left
}

/// What a switch asks of a target whose record says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QuorumDefault {
    /// A switch: users wait until all serve, also on their way home; else what is planned is there, and one backend serves.
    is_switch: bool,
    /// Users of a lost site are not served until they have moved: the first backend that serves is enough, whoever moves them.
    has_loss: bool,
}

impl QuorumDefault {
    fn of(options: &PlanOptions) -> Self {
        Self { is_switch: options.is_switch(), has_loss: !options.lost.is_empty() }
    }
}

struct TrafficView<'a, 'b> {
    quorum: QuorumDefault,
    skip_gates: &'a BTreeMap<Address, String>,
    worlds: &'a PlanInputs<'b>,
    frozen: &'a Frozen<'b>,
    planned: &'a [PlannedChange<'b>],
    at: BTreeMap<&'a Address, usize>,
    /// By serving set.
    sets: BTreeMap<String, Vec<usize>>,
    wanted: DesiredTopology<'b>,
    recorded: Option<RecordedTopology<'b>>,
}

/// What others remember, by the name under which it answers; each once.
fn sets(planned: &[PlannedChange<'_>]) -> BTreeMap<String, Vec<usize>> {
    let mut sets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, it) in planned.iter().enumerate().filter(|(_, it)| it.kind.drain.is_some()) {
        let recorded = it.record.map(|it| &it.attributes);
        for attributes in recorded.into_iter().chain(it.desired.as_deref()) {
            let members = sets.entry(set_name(it.kind, attributes)).or_default();
            if members.last() != Some(&at) {
                members.push(at);
            }
        }
    }
    sets
}

impl TrafficView<'_, '_> {
    /// What one change does with users: where they come to, what has to serve there first, and where they leave.
    fn direction(&self, it: &PlannedChange<'_>) -> ShiftDirection {
        let withdraws = it.change.action == Action::Delete;
        let targets = if withdraws { self.others_of_set(it) } else { self.targets(it) };
        let into_lost = targets.iter().find_map(|it| Some((it.clone(), self.lost(it)?)));
        // Who loses a record comes to the others of its set that live. Where a record leads is what the layers say, lost or not.
        let roots: Vec<Address> =
            targets.into_iter().filter(|it| !(withdraws && self.is_frozen(it))).collect();
        let serving = self.wanted.contained(&roots);
        let (checked, probes) =
            (self.checked(it, &serving), if withdraws { 0 } else { probes(it) });
        let mut made = ShiftDirection {
            withdraws,
            shrinks: self.shrinks(&roots),
            checked,
            probes,
            serving,
            ..ShiftDirection::of(it)
        };
        if self.skip_gates.contains_key(&it.change.address) {
            (made.skips, made.checked, made.probes) = (!made.is_blind(), Vec::new(), 0);
        }
        // Beside what serves already, a new way is one more answer: until it is known everybody comes the old ways.
        let before = it.record.map_or_else(|| self.siblings(it), |record| vec![record]);
        let direction = match (before.is_empty(), &self.recorded) {
            (false, Some(recorded)) => {
                self.with_origin(made, it, (&before, recorded), (&roots, into_lost))
            }
            _ => made,
        };
        ShiftDirection { quorum: self.quorum(it, &direction.old_roots), ..direction }
    }

    /// The same, with where users come from: what stands behind the old ways, and for how long some still take them.
    fn with_origin(
        &self,
        made: ShiftDirection,
        it: &PlannedChange<'_>,
        (before, recorded): (&[&Record], &RecordedTopology<'_>),
        (roots, into_lost): (&[Address], Option<(Address, String)>),
    ) -> ShiftDirection {
        let old_roots: Vec<Address> =
            before.iter().flat_map(|record| recorded.targets(it.kind, record)).collect();
        let was_lost = old_roots.iter().any(|it| self.is_frozen(it));
        let keeps_a_living_one = made.withdraws && !roots.is_empty();
        let old = recorded.closure(&old_roots);
        let ttl_seconds = match (&it.kind.drain, before.first()) {
            (Some(drain), Some(record)) => {
                Some(ttl(self.worlds.catalog, recorded, it.kind, record, drain))
            }
            _ => None,
        };
        ShiftDirection {
            // From one lost place to another nobody is worse off; who is left with a living one is served.
            into_lost: into_lost.filter(|_| !was_lost && !keeps_a_living_one),
            // Only what stood behind an old target asks for it; chains of records have closures as long as themselves.
            new: if old.is_empty() { BTreeSet::new() } else { self.wanted.closure(roots) },
            old,
            old_roots,
            // What is lost serves nobody: nothing is waited for.
            drain_seconds: ttl_seconds.map(|ttl| if was_lost { 0 } else { ttl * DRAIN_TIMES }),
            ttl_seconds: ttl_seconds.unwrap_or_default(),
            ..made
        }
    }

    /// What these contain, as state records it, and what is deleted.
    fn shrinks(&self, roots: &[Address]) -> BTreeSet<Address> {
        let contained = self.recorded.as_ref().map(|it| it.contained(roots)).unwrap_or_default();
        let goes = |it: &Address| {
            self.at.get(it).is_some_and(|at| self.planned[*at].change.action == Action::Delete)
        };
        contained.into_iter().filter(goes).collect()
    }

    /// The records that answer already where one more is to be made.
    fn siblings(&self, it: &PlannedChange<'_>) -> Vec<&Record> {
        let Some(desired) = it.desired.as_ref().filter(|_| it.kind.drain.is_some()) else {
            return Vec::new();
        };
        let members = self.sets.get(&set_name(it.kind, desired)).into_iter().flatten();
        members.filter_map(|at| self.planned[*at].record).collect()
    }

    /// Users whom an earlier run directed away.
    fn draining(&self, address: &Address, was: &[Address], until: i64) -> Option<ShiftDirection> {
        // What was withdrawn is in no plan any more, and users may still come that way: waited for where it led to.
        let mut places = std::iter::once(address).chain(was).filter_map(|it| self.at.get(it));
        let planned = &self.planned[*places.next()?];
        let roots = self.targets(planned);
        let recorded = self.recorded.as_ref()?;
        Some(ShiftDirection {
            until: Some(until),
            new: self.wanted.closure(&roots),
            old: recorded.closure(was),
            old_roots: was.to_vec(),
            drain_seconds: Some(0),
            ..ShiftDirection::of(planned)
        })
    }

    fn targets(&self, it: &PlannedChange<'_>) -> Vec<Address> {
        it.instance.map(|instance| self.wanted.targets(it.kind, instance)).unwrap_or_default()
    }

    /// Where those of its serving set lead that stay.
    fn others_of_set(&self, it: &PlannedChange<'_>) -> Vec<Address> {
        let Some(record) = it.record.filter(|_| it.kind.drain.is_some()) else {
            return Vec::new();
        };
        let name = set_name(it.kind, &record.attributes);
        let stays = |other: &&PlannedChange<'_>| {
            !other.change.action.destroys()
                && other.desired.as_ref().is_some_and(|it| set_name(other.kind, it) == name)
        };
        let members = self.sets.get(&name).into_iter().flatten();
        let others = members.map(|at| &self.planned[*at]).filter(stays);
        others.flat_map(|it| self.targets(it)).collect()
    }

    fn is_frozen(&self, address: &Address) -> bool {
        self.lost(address).is_some()
    }

    /// The lost fault domain that it is in.
    fn lost(&self, address: &Address) -> Option<String> {
        let it = self.at.get(address).map(|at| &self.planned[*at])?;
        let recorded = || self.frozen.of_record(address, it.kind).map(str::to_owned);
        it.change.frozen.clone().or_else(recorded)
    }

    /// The objects with a health check behind what users are directed to, unless these are not to be waited for.
    fn checked(&self, it: &PlannedChange<'_>, serving: &BTreeSet<Address>) -> Vec<Address> {
        let ignores = it.instance.is_some_and(|it| it.resource.gates.ignores_health());
        let checked = serving.iter().filter(|it| !ignores && self.is_checked(it));
        checked.cloned().collect()
    }

    /// What the record says, else what this switch asks for. Who loses a record is served by the others of its set.
    fn quorum(&self, it: &PlannedChange<'_>, old_roots: &[Address]) -> ServingQuorum {
        if it.kind.drain.is_none() {
            return ServingQuorum::All;
        }
        let withdraws = it.change.action == Action::Delete;
        let own = it.instance.and_then(|it| it.resource.gates.serves());
        let nobody_serves = || {
            let is_lost = old_roots.is_empty() || old_roots.iter().any(|it| self.is_frozen(it));
            is_lost || self.is_led_away(it)
        };
        own.filter(|_| !withdraws).unwrap_or_else(|| match self.quorum {
            QuorumDefault { has_loss: true, .. } if nobody_serves() => ServingQuorum::Count(1),
            QuorumDefault { is_switch: true, .. } if !withdraws => ServingQuorum::Percent(100),
            _ => ServingQuorum::All,
        })
    }

    /// Whether somebody has led its users elsewhere since it was recorded, or taken the name away: who serves them there, if
    /// anybody, is not known.
    fn is_led_away(&self, it: &PlannedChange<'_>) -> bool {
        let Some(record) = it.record else { return false };
        match self.worlds.observed.get(&it.change.address) {
            Some(Observation::Absent) => true,
            Some(Observation::Exists { attributes, .. }) => it.kind.traffic.iter().any(|name| {
                let seen = attributes.get(name);
                seen.is_some() && seen != record.attributes.get(name)
            }),
            Some(Observation::Unknown(_)) | None => false,
        }
    }

    fn is_checked(&self, address: &Address) -> bool {
        let Some(it) = self.at.get(address).map(|at| &self.planned[*at]) else { return false };
        let Some(serves) = &it.kind.serves_when else { return false };
        let (attribute, unchecked) = &serves.unless;
        let value = it.desired.as_ref().and_then(|it| it.get(attribute)).and_then(Value::as_text);
        it.change.frozen.is_none() && value != Some(unchecked)
    }
}

/// How many probes of its own a resource has.
fn probes(it: &PlannedChange<'_>) -> usize {
    it.instance.map_or(0, |it| it.resource.gates.probes().count())
}

/// How long others remember a record, in seconds.
fn ttl(
    catalog: &Catalog,
    recorded: &RecordedTopology<'_>,
    kind: &Kind,
    record: &Record,
    drain: &Drain,
) -> u64 {
    let inherited = || {
        let container = recorded.container(kind, record)?;
        let kind = catalog.get(&container.kind)?;
        seconds(kind, &drain.inherits, &container.attributes)
    };
    let own = seconds(kind, &drain.ttl, &record.attributes);
    own.or_else(inherited).unwrap_or(drain.otherwise)
}

/// Where an update or a withdrawal that began, and was cut off, may have taken users from. Whether it arrived nobody knows; who is still
/// directed there loses nothing by what waits for the drain. Nobody comes back from what is lost.
pub fn cut_off(
    catalog: &Catalog,
    state: &State,
    begun: &PendingOperation,
    is_lost: impl Fn(&Address) -> bool,
) -> Option<TrafficShift> {
    let kind = catalog.get(&begun.kind)?;
    let drain = kind.drain.as_ref()?;
    let record = state.records.get(&begun.address)?;
    let differs = |name: &String| {
        begun.attributes.get(name).is_some_and(|it| Some(it) != record.attributes.get(name))
    };
    let withdraws = begun.call == MutatingCall::Delete && record.deposed.is_none();
    let turns = begun.call == MutatingCall::Update && kind.traffic.iter().any(differs);
    if !withdraws && !turns {
        return None;
    }
    let recorded = RecordedTopology::new(catalog, state);
    let ttl = ttl(catalog, &recorded, kind, record, drain);
    let was = recorded.targets(kind, record);
    let seconds = if was.iter().any(is_lost) { 0 } else { ttl * DRAIN_TIMES };
    Some(TrafficShift { was, seconds, ttl })
}

/// What the cloud stores for a number of seconds; 0 says nothing.
fn seconds(kind: &Kind, name: &str, attributes: &Attributes) -> Option<u64> {
    let Some(Value::Int(given)) = attributes.get(name) else { return None };
    let stored = stored(kind.attribute(name)?, *given);
    u64::try_from(stored).ok().filter(|it| *it > 0)
}
