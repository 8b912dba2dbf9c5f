//! Groups without a primary: who lives, whom a new member joins, and members that have lost each other.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::observed::Observation;
use crate::engine::plan::frozen::Frozen;
use crate::engine::schema::{Catalog, Kind, Membership};
use crate::engine::state::record::State;
use crate::engine::value::{Attributes, Value};

/// A recorded member that was seen.
#[derive(Debug, Clone)]
struct Member {
    address: Address,
    region: String,
    others: Vec<String>,
    ready: bool,
}

/// The living members of every group, by provider and name.
#[derive(Debug, Default)]
pub struct Groups {
    members: BTreeMap<(String, String), Vec<Member>>,
    /// Regions of members that are frozen.
    lost: BTreeMap<(String, String), String>,
}

fn text(attributes: &Attributes, name: &str) -> Option<String> {
    attributes.get(name).and_then(Value::as_text).map(Into::into)
}

impl Groups {
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
                groups.lose(kind, group, &record.attributes);
                continue;
            }
            let Some(Observation::Exists { attributes, ready }) = observed.get(address) else {
                continue;
            };
            let name = text(&record.attributes, &group.name);
            let region = text(&record.attributes, &group.region);
            if let (Some(name), Some(region)) = (name, region) {
                let others = match attributes.get(&group.others) {
                    Some(Value::List(items)) => {
                        items.iter().filter_map(Value::as_text).map(Into::into).collect()
                    }
                    _ => Vec::new(),
                };
                let member = Member { address: address.clone(), region, others, ready: *ready };
                groups.members.entry((kind.provider.clone(), name)).or_default().push(member);
            }
        }
        groups
    }

    fn lose(&mut self, kind: &Kind, group: &Membership, attributes: &Attributes) {
        let name = text(attributes, &group.name);
        if let (Some(name), Some(region)) = (name, text(attributes, &group.region)) {
            self.lost.insert((kind.provider.clone(), name), region);
        }
    }

    /// The region of a frozen member of the same group.
    pub fn lost_member(&self, kind: &Kind, attributes: &Attributes) -> Option<&str> {
        let name = text(attributes, &kind.group.as_ref()?.name)?;
        self.lost.get(&(kind.provider.clone(), name)).map(String::as_str)
    }

    /// The attribute and region with which a new member joins its living group.
    pub fn join(&self, kind: &Kind, desired: &Attributes) -> Option<(String, String)> {
        let group = kind.group.as_ref()?;
        let join_as = group.join_as.as_ref()?;
        let key = (kind.provider.clone(), text(desired, &group.name)?);
        let region = text(desired, &group.region)?;
        let living = self.members.get(&key)?.iter().find(|it| it.region != region && it.ready)?;
        Some((join_as.clone(), living.region.clone()))
    }

    /// Members that are there and do not list each other: never repaired by itself.
    pub fn split(&self) -> Vec<Diagnostic> {
        let mut refusals = Vec::new();
        for ((_, name), members) in &self.members {
            for (at, one) in members.iter().enumerate() {
                for other in &members[at + 1..] {
                    let apart =
                        !one.others.contains(&other.region) || !other.others.contains(&one.region);
                    if apart && one.ready && other.ready {
                        refusals.push(lost_each_other(name, one, other));
                    }
                }
            }
        }
        refusals
    }
}

fn lost_each_other(name: &str, one: &Member, other: &Member) -> Diagnostic {
    let text = format!(
        "the group `{name}` is split: `{}` in {} and `{}` in {} no longer replicate to each other",
        one.address, one.region, other.address, other.region
    );
    Diagnostic::refusal("split_group", text).help(
        "decide which member holds the truth, save and delete the other table by hand, `lifeboat state rm` its address, and apply again: it is then joined anew",
    )
}
