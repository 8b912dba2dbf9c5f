//! ReplicaGroups without a primary: who lives, whom a new member joins, and members that have lost each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::availability::frozen::Frozen;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::{Catalog, Kind, Membership};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::text::plain::listed;
use crate::engine::value::{Attributes, Value};

/// A recorded member that was seen.
#[derive(Debug, Clone)]
struct GroupMember {
    address: Address,
    region: String,
    others: Vec<String>,
    ready: bool,
}

/// The living members of every group, by provider and name.
#[derive(Debug, Default)]
pub struct ReplicaGroups {
    members: BTreeMap<GroupName, Vec<GroupMember>>,
    /// Members that are frozen, or could not be looked at.
    away: BTreeMap<GroupName, DistantMember>,
}

/// A member that can take no part.
#[derive(Debug, Clone)]
pub struct DistantMember {
    pub region: String,
    /// It is in a fault domain that is lost; else it could only not be looked at.
    pub is_lost: bool,
}

/// The provider of a group, and its name there.
pub type GroupName = (String, String);

/// The group that an object of these attributes is in.
pub fn group_name(kind: &Kind, attributes: &Attributes) -> Option<GroupName> {
    let name = text(attributes, &kind.group.as_ref()?.name)?;
    Some((kind.provider.clone(), name))
}

/// Members of groups, in the order in which they were told.
#[derive(Debug, Default)]
pub struct Members<'a>(BTreeMap<GroupName, Vec<&'a Address>>);

impl<'a> FromIterator<(&'a Address, GroupName)> for Members<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a Address, GroupName)>>(told: T) -> Self {
        let mut members = Self::default();
        for (address, group) in told {
            members.0.entry(group).or_default().push(address);
        }
        members
    }
}

impl<'a> Members<'a> {
    /// Another member of the group that one is in.
    pub fn other(&self, own: &Address, group: &GroupName) -> Option<&'a Address> {
        self.0.get(group)?.iter().find(|it| **it != own).copied()
    }
}

fn text(attributes: &Attributes, name: &str) -> Option<String> {
    attributes.get(name).and_then(Value::as_text).map(Into::into)
}

/// A member that goes while others of its group stay: a copy is lost, not the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLoss {
    pub region: String,
    /// The regions of the members that live and stay.
    pub stays: Vec<String>,
}

/// Of each member that a plan destroys and whose data stays elsewhere.
pub type RemainingCopies = BTreeMap<Address, CopyLoss>;

impl CopyLoss {
    /// `the copy in eu-west-1 is deleted; the data stays in us-east-1`.
    pub fn sentence(&self) -> String {
        let stays = listed(self.stays.iter().map(String::as_str));
        let only = if self.stays.len() == 1 { " alone" } else { "" };
        format!("the copy in {} will be deleted; the data stays in {stays}{only}", self.region)
    }
}

impl ReplicaGroups {
    /// What these changes leave of the groups that they take members from.
    pub fn copies_left(&self, planned: &[PlannedChange<'_>]) -> RemainingCopies {
        let going: BTreeSet<&Address> = planned
            .iter()
            .filter(|it| it.change.action.destroys())
            .map(|it| &it.change.address)
            .collect();
        let mut left = RemainingCopies::new();
        for it in planned.iter().filter(|it| it.change.action.destroys() && it.change.loses_data) {
            let Some(record) = it.record else { continue };
            let region = it.kind.group.as_ref().and_then(|it| text(&record.attributes, &it.region));
            let members = group_name(it.kind, &record.attributes)
                .and_then(|it| self.members.get(&it))
                .into_iter()
                .flatten();
            let stays = members.filter(|it| it.ready && !going.contains(&it.address));
            let stays: Vec<String> = stays.map(|it| it.region.clone()).collect();
            if let Some(region) = region.filter(|_| !stays.is_empty()) {
                left.insert(it.change.address.clone(), CopyLoss { region, stays });
            }
        }
        left
    }

    pub fn new(
        catalog: &Catalog,
        state: Option<&State>,
        observed: &BTreeMap<Address, Observation>,
        frozen: &Frozen<'_>,
    ) -> Self {
        let mut groups = Self::default();
        for (address, record) in state.iter().flat_map(|it| &it.records) {
            let Some(kind) = catalog.get(&record.kind) else { continue };
            let Some(group) = &kind.group else { continue };
            if frozen.of_record(address, kind).is_some() {
                groups.miss(kind, group, &record.attributes, true);
                continue;
            }
            let (attributes, ready) = match observed.get(address) {
                Some(Observation::Exists { attributes, ready }) => (attributes, ready),
                Some(Observation::Unknown(_)) => {
                    groups.miss(kind, group, &record.attributes, false);
                    continue;
                }
                Some(Observation::Absent) | None => continue,
            };
            let name = group_name(kind, &record.attributes);
            let region = text(&record.attributes, &group.region);
            if let (Some(name), Some(region)) = (name, region) {
                let others = match attributes.get(&group.others) {
                    Some(Value::List(items)) => {
                        items.iter().filter_map(Value::as_text).map(Into::into).collect()
                    }
                    _ => Vec::new(),
                };
                let member =
                    GroupMember { address: address.clone(), region, others, ready: *ready };
                groups.members.entry(name).or_default().push(member);
            }
        }
        groups
    }

    /// One that is lost says more than one that did not answer.
    fn miss(&mut self, kind: &Kind, group: &Membership, attributes: &Attributes, is_lost: bool) {
        let (name, region) = (group_name(kind, attributes), text(attributes, &group.region));
        if let (Some(name), Some(region)) = (name, region)
            && (is_lost || !self.away.contains_key(&name))
        {
            self.away.insert(name, DistantMember { region, is_lost });
        }
    }

    /// A member of the same group that can take no part.
    pub fn away(&self, kind: &Kind, attributes: &Attributes) -> Option<&DistantMember> {
        self.away.get(&group_name(kind, attributes)?)
    }

    /// Whether somebody lives in another region through whom a new member could come in.
    pub fn lives(&self, kind: &Kind, desired: &Attributes) -> bool {
        let region = kind.group.as_ref().and_then(|it| text(desired, &it.region));
        let members = group_name(kind, desired).and_then(|it| self.members.get(&it));
        members
            .is_some_and(|it| it.iter().any(|it| it.ready && Some(&it.region) != region.as_ref()))
    }

    /// The attribute and region with which a new member joins its living group.
    pub fn join(&self, kind: &Kind, desired: &Attributes) -> Option<(String, String)> {
        let group = kind.group.as_ref()?;
        let join_as = group.join_as.as_ref()?;
        let key = group_name(kind, desired)?;
        let region = text(desired, &group.region)?;
        let living = self.members.get(&key)?.iter().find(|it| it.region != region && it.ready)?;
        Some((join_as.clone(), living.region.clone()))
    }

    /// Members that are there and do not list each other: never repaired by itself.
    pub fn split(&self, stack: &str) -> Vec<Diagnostic> {
        let mut refusals = Vec::new();
        for ((_, name), members) in &self.members {
            for (at, one) in members.iter().enumerate() {
                for other in &members[at + 1..] {
                    let apart =
                        !one.others.contains(&other.region) || !other.others.contains(&one.region);
                    if apart && one.ready && other.ready {
                        refusals.push(lost_each_other(stack, name, one, other));
                    }
                }
            }
        }
        refusals
    }
}

fn lost_each_other(stack: &str, name: &str, one: &GroupMember, other: &GroupMember) -> Diagnostic {
    let text = format!(
        "the group `{name}` is split: `{}` in {} and `{}` in {} do not replicate to each other",
        one.address, one.region, other.address, other.region
    );
    let address = other.address.to_string();
    let forget = AdvisedCommand::StateForget { stack, address: &address };
    Diagnostic::refusal(DiagnosticCode::SplitGroup, text).help(format!(
        "two existing tables cannot be joined, because each may hold items that the other does not have. To keep both, {forget} removes one from this stack without deleting it; then remove it from the configuration. To keep one, copy the items that only the other one has, delete the other one by hand, and apply: it joins the group again"
    ))
}
