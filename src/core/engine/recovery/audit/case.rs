//! One switch under audit: home, the recovery, what is lost, what directs users, and what then stands behind it.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::packets::Family;
use crate::engine::plan::traffic::balancer_firewalls::family_of;
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::state::record::State;

/// A switch as rules see it.
pub struct AuditCase<'a> {
    pub overlay: &'a str,
    pub home: &'a Side<'a>,
    pub recovery: &'a Side<'a>,
    pub state: Option<&'a State>,
    pub facts: &'a AuditFacts,
    pub lost: BTreeSet<String>,
    /// Living objects that direct users to what is lost, or elsewhere than at home.
    pub moving: Vec<Address>,
    /// What users are directed to at home, of that which moves.
    pub home_targets: Vec<Address>,
    /// What users are directed to after the switch.
    pub targets: Vec<Address>,
    /// The serving closure of what users are directed to at home.
    pub home_closure: BTreeSet<Address>,
    /// The serving closure after the switch, and what directs users to it.
    pub closure: BTreeSet<Address>,
}

impl<'a> AuditCase<'a> {
    pub fn new(
        overlay: &'a str,
        home: &'a Side<'a>,
        recovery: &'a Side<'a>,
        state: Option<&'a State>,
        facts: &'a AuditFacts,
    ) -> Self {
        let lost = recovery.stack.assumes_lost.iter().map(|(name, _)| name.clone()).collect();
        let mut case = Self {
            overlay,
            home,
            recovery,
            state,
            facts,
            lost,
            moving: Vec::new(),
            home_targets: Vec::new(),
            targets: Vec::new(),
            home_closure: BTreeSet::new(),
            closure: BTreeSet::new(),
        };
        case.find_traffic();
        case
    }

    fn find_traffic(&mut self) {
        let mut kinds = BTreeSet::new();
        // A backend that keeps its machine and only counts otherwise is part of whatever holds it.
        let mut weighed: Vec<Address> = Vec::new();
        for item in self.home.items().chain(self.recovery.items()) {
            if item.kind.traffic.is_empty() || self.is_lost(item.address) {
                continue;
            }
            let before = targets(self.home, item.address);
            let is_hit = before.iter().any(|it| self.home.is_in(it, &self.lost));
            let leads = is_hit || before != targets(self.recovery, item.address);
            if (leads || self.is_changed(item)) && !self.moving.contains(item.address) {
                self.moving.push(item.address.clone());
                kinds.insert(item.kind.kind.clone());
                let is_held =
                    !leads && item.kind.contains_in.is_some() && item.kind.drain.is_none();
                if is_held { &mut weighed } else { &mut self.home_targets }.extend(before);
            }
        }
        if self.home_targets.is_empty() {
            self.home_targets = weighed;
        }
        let directing = self.recovery.items().filter(|it| {
            kinds.contains(&it.kind.kind) && !self.recovery.is_in(it.address, &self.lost)
        });
        let mut roots: Vec<Address> = Vec::new();
        for item in directing {
            roots.push(item.address.clone());
            self.targets.extend(targets(self.recovery, item.address));
        }
        self.targets.retain(|it| !self.recovery.is_in(it, &self.lost));
        for all in [&mut self.targets, &mut self.home_targets] {
            all.sort();
            all.dedup();
        }
        self.home_closure = self.home.wanted.closure(&self.home_targets);
        roots.extend(self.targets.iter().cloned());
        self.closure = self.recovery.wanted.closure(&roots);
    }

    /// Whether it goes with what is lost; what the overlay removes is where it was.
    fn is_lost(&self, address: &Address) -> bool {
        let is_kept = self.recovery.stack.instances.contains_key(address);
        let side = if is_kept { self.recovery } else { self.home };
        side.is_in(address, &self.lost)
    }

    /// Whether a traffic attribute that names no resource has another value than at home.
    fn is_changed(&self, item: SideItem<'_>) -> bool {
        let (Some(home), Some(recovery)) =
            (self.home.item(item.address), self.recovery.item(item.address))
        else {
            return false;
        };
        item.kind.traffic.iter().any(|it| {
            let (before, after) = (home.value(it), recovery.value(it));
            before != after && after.is_some_and(|it| !it.has_open())
        })
    }

    /// What moves, as it is after the switch.
    pub fn moved(&self) -> impl Iterator<Item = SideItem<'_>> {
        self.moving.iter().filter_map(|it| self.recovery.item(it))
    }

    /// Objects that the recovery needs and that live.
    pub fn living(&self) -> impl Iterator<Item = SideItem<'_>> {
        self.closure
            .iter()
            .filter(|it| !self.recovery.is_in(it, &self.lost))
            .filter_map(|it| self.recovery.item(it))
    }

    /// The addresses under which users come by what moves: at home, or after the switch.
    pub fn families(&self, is_home: bool) -> Vec<Option<Family>> {
        let side = if is_home { self.home } else { self.recovery };
        let moving = self.moving.iter().filter_map(|it| side.item(it));
        let names = moving.filter(|it| it.kind.drain.is_some());
        let mut families: Vec<Option<Family>> =
            names.map(|it| family_of(it.kind, it.attributes())).collect();
        if families.is_empty() {
            families.push(None);
        }
        families
    }

    /// What stands behind a target at home, or after the switch: the targets and all they contain.
    pub fn behind(&self, is_home: bool) -> impl Iterator<Item = SideItem<'_>> {
        let (side, targets) =
            if is_home { (self.home, &self.home_targets) } else { (self.recovery, &self.targets) };
        side.wanted.contained(targets).into_iter().filter_map(move |it| side.item(&it))
    }
}

/// What the traffic attributes of an object name.
pub fn targets(side: &Side<'_>, address: &Address) -> Vec<Address> {
    let item = side.item(address);
    item.map(|it| side.wanted.targets(it.kind, it.instance)).unwrap_or_default()
}
