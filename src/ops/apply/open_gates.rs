//! Finds what a serving gate looks at, and tells the gates that wait what the run adds to that.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::containment::{container, declared_containers, find_record};
use crate::engine::lang::model::Instance;
use crate::engine::lang::resolve::resolve;
use crate::engine::packets::Family;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::traffic::balancer_firewalls::{family_of, port_of, shut_through};
use crate::engine::schedule::StepState;
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;
use crate::ops::apply::executor::Executor;
use crate::ops::apply::step_inputs::{StepInputs, StepWait};
use crate::ops::apply::watched_resources::{Front, OpenGate, WatchedMembers, WatchedResource};

impl Executor<'_> {
    /// From now on, what this run adds to what a gate watches is told to the gate.
    pub fn open_gate(&mut self, job: &StepInputs) {
        let StepWait::Serving { of, .. } = &job.wait else { return };
        let watched = of.iter().filter(|it| it.kind.serves_when.is_some());
        let gates: Vec<OpenGate> = watched
            .map(|it| OpenGate {
                kind: it.kind.kind.clone(),
                id: it.record.id.clone(),
                members: it.members.clone(),
                coming: self.adding_to(&it.address, job.step.id),
            })
            .collect();
        for gate in &gates {
            gate.members.expect_more(gate.coming.len());
        }
        if !gates.is_empty() {
            self.open_gates.insert(job.step.id, gates);
        }
    }

    /// Steps that create backends inside an object and have not ended; what is created only behind the gate cannot open it.
    fn adding_to(&self, holder: &Address, gate: usize) -> Vec<usize> {
        let behind = self.schedule.behind(gate);
        let adds = |step: &&Step| {
            let is_create = matches!(step.call, StepCall::Create { .. });
            is_create && self.is_to_come(step.id) && !behind.contains(&step.id) && {
                let instance = self.stack.instances.get(&step.address);
                let kind = self.session.catalog.get(&step.kind).filter(|it| it.serves.is_some());
                instance.zip(kind).is_some_and(|(instance, kind)| {
                    declared_containers(self.stack, instance, kind).contains(holder)
                })
            }
        };
        self.plan.steps.iter().filter(adds).map(|it| it.id).collect()
    }

    fn is_to_come(&self, step: usize) -> bool {
        matches!(self.schedule.standing(step), StepState::Waiting | StepState::Running)
    }

    /// Tells every gate that waits what has become of a step that ended.
    pub fn tell_open_gates(&mut self, ended: usize) {
        let mut gates = std::mem::take(&mut self.open_gates);
        gates.remove(&ended);
        let address = &self.plan.steps[ended].address;
        let record = self.state.records.get(address);
        for gate in gates.values_mut().flatten() {
            let member = record.and_then(|it| self.member(address, it, (&gate.kind, &gate.id)));
            match member {
                Some(member) => gate.members.put(member),
                None => gate.members.remove(address),
            }
            while gate.coming.last().is_some_and(|it| !self.is_to_come(*it)) {
                gate.coming.pop();
            }
            gate.members.expect_more(gate.coming.len());
        }
        self.open_gates = gates;
    }

    /// Tells every gate that waits to give up when its time is over.
    pub fn expect_nothing_more(&self) {
        self.open_gates.values().flatten().for_each(|it| it.members.expect_more(0));
    }

    /// A record as a member of an object, by kind and id, if it is inside that and may serve.
    fn member(
        &self,
        address: &Address,
        record: &Record,
        (kind, id): (&str, &str),
    ) -> Option<WatchedResource> {
        let own = self.session.catalog.get(&record.kind).filter(|it| it.serves.is_some())?;
        // What goes when users have moved serves none of them.
        if self.leaving.contains(address) {
            return None;
        }
        let within = container(own, &record.attributes)?;
        (within.kind == kind && within.id == id).then(|| WatchedResource {
            address: address.clone(),
            kind: own.clone(),
            record: record.clone(),
            count: 1,
            members: WatchedMembers::default(),
            front: None,
        })
    }

    /// What has to serve before a step goes on. Where it sends users to they have to be let in; what was only disturbed has to
    /// be as it was.
    pub fn serving(
        &self,
        step: &Step,
        kind: &Kind,
        instance: Option<&Instance>,
        (of, serves): (&[Address], &BTreeMap<Address, usize>),
    ) -> Result<Vec<WatchedResource>, String> {
        let sends_users = kind.drain.is_some();
        let family = self.family(step, instance);
        let watched = |address: &Address| {
            let watched = self.watched(address)?;
            let front = sends_users.then(|| self.front(&watched, family)).flatten();
            let count = serves.get(address).copied().unwrap_or(1);
            Ok(WatchedResource { front: front.map(Box::new), count, ..watched })
        };
        of.iter().map(watched).collect()
    }

    pub fn watched(&self, address: &Address) -> Result<WatchedResource, String> {
        let record = self.state.records.get(address);
        let found = record.and_then(|it| Some((it, self.session.catalog.get(&it.kind)?)));
        let (record, kind) = found.ok_or_else(|| format!("`{address}` is not recorded"))?;
        let members = WatchedMembers::default();
        if kind.serves_when.is_some() {
            let holder = (&*kind.kind, &*record.id);
            let inside = self.state.records.iter();
            inside
                .filter_map(|(address, record)| self.member(address, record, holder))
                .for_each(|it| members.put(it));
        }
        Ok(WatchedResource {
            address: address.clone(),
            kind: kind.clone(),
            record: record.clone(),
            count: 1,
            members,
            front: None,
        })
    }

    /// The addresses under which users come by what a step directs.
    fn family(&self, step: &Step, instance: Option<&Instance>) -> Option<Family> {
        let kind = self.session.catalog.get(&step.kind)?;
        let resolved = instance
            .and_then(|it| resolve(self.stack, &self.session.catalog, it, &self.known).ok());
        let recorded = || Some(self.state.records.get(&step.address)?.attributes.clone());
        family_of(kind, &resolved.map(|it| it.attributes).or_else(recorded)?)
    }

    /// Where users come to something, if that may stand behind filters.
    fn front(&self, of: &WatchedResource, family: Option<Family>) -> Option<Front> {
        let catalog = &self.session.catalog;
        let port = port_of(&of.kind, &of.record.attributes)?;
        let within = container(&of.kind, &of.record.attributes)?;
        let record = find_record(&self.state, within)?.1.clone();
        let kind = catalog.get(within.kind)?.clone();
        let wall = shut_through(&kind, catalog)?.1.clone();
        Some(Front { kind, record, wall, port, family })
    }
}
