//! Holds what needs something that is not there, or has to reach what did not answer: said before, instead of failing on the way.

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::Instance;
use crate::engine::plan::draft::plan_builder::{Missing, PlanBuilder};
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Change, DeferReason};
use crate::engine::schema::Kind;
use crate::engine::text::diagnostic::Span;
use crate::engine::value::Attributes;

/// Of what only a list of all regions shows.
const UNSEEN: &str = "it could not be read where it is, so no change is planned for it";

impl Missing {
    /// Why something cannot be made without it.
    fn words(self) -> &'static str {
        match self {
            Self::Lost => "which waits until its fault domain has recovered",
            Self::Unseen => "which could not be read",
            Self::InDoubt => "which an interrupted operation may have created",
            Self::Held => "which is itself deferred",
        }
    }

    /// What waits for something that waits.
    fn follows(self) -> Self {
        match self {
            Self::Lost => Self::Lost,
            Self::Unseen | Self::InDoubt | Self::Held => Self::Held,
        }
    }
}

impl PlanBuilder<'_> {
    /// What needs an object that is not there waits with it. A switch cannot wait for what is lost.
    pub fn hold_without(&mut self, instance: &Instance, change: &mut Change) {
        if change.action == Action::NoOp || self.unavailable.is_empty() {
            return;
        }
        let Some((need, span, missing)) = self.missing(instance, change) else { return };
        if missing == Missing::Lost && self.carried.is_some() {
            let theirs = self.worlds.stack.instances.get(&need).map(|it| it.resource.span);
            self.diagnostics.push(rules::never_recorded(instance, &need, span, theirs));
            return;
        }
        let wait = if missing == Missing::Lost { DeferReason::Lost } else { DeferReason::Unknown };
        let why = format!("it depends on `{need}`, {}", missing.words());
        self.hold_making(instance, change, wait, why, missing.follows());
    }

    /// What is not there and has to be: for a create all that it needs, for everything else the values that it would get.
    fn missing(&self, instance: &Instance, change: &Change) -> Option<(Address, Span, Missing)> {
        let is_made = change.action == Action::Create;
        let open = change.attributes.iter().filter(|it| it.after.has_open());
        let used = open.clone().flat_map(|it| named_by(self.worlds.stack, instance, &it.name));
        let used: Vec<Address> = used.collect();
        let is_open = open.count() > 0;
        instance.needs.iter().find_map(|(need, span)| {
            let missing = *self.unavailable.get(need)?;
            let waits = match missing {
                // An edge to what is lost counts as satisfied; only values are missed.
                Missing::Lost => is_open,
                Missing::Unseen | Missing::InDoubt | Missing::Held => {
                    is_made || used.contains(need)
                }
            };
            waits.then(|| (need.clone(), *span, missing))
        })
    }

    /// What is made inside something, or joins a group, is made through others: who does not answer cannot do it.
    pub fn hold_beyond_reach(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        desired: &Attributes,
        change: &mut Change,
    ) {
        if !matches!(change.action, Action::Create | Action::Replace { .. }) {
            return;
        }
        let containers = declared_containers(self.worlds.stack, instance, kind);
        if let Some(holder) = containers.iter().find(|it| self.is_silent(it)) {
            let why = format!("it belongs to `{holder}`, which could not be read");
            self.hold_making(instance, change, DeferReason::Unknown, why, Missing::Held);
            return;
        }
        // Allowed or not: without a living member a new table would be another group of the same name.
        let away = self.groups.away(kind, desired);
        let away = away
            .filter(|_| !(self.options.allowed.group_changes && self.groups.lives(kind, desired)));
        let Some(away) = away.cloned() else { return };
        let (wait, who) = if away.is_lost {
            (DeferReason::Group, "is lost")
        } else {
            (DeferReason::Unknown, "could not be read")
        };
        let mut why = format!("it would join its group, but the member in {} {who}", away.region);
        if self.groups.lives(kind, desired) {
            why.push_str("; --allow-group-changes allows it");
        }
        self.hold_making(instance, change, wait, why, Missing::Held);
    }

    /// What is called where nobody answers would fail as well, also where a list that comes from elsewhere shows it. What such a
    /// list shows unchanged was not seen there either.
    pub fn hold_in_silence(&mut self, instance: &Instance, change: &mut Change) {
        if change.action == Action::NoOp && change.is_plain() && change.id.is_some() {
            change.unknown = self.silent.unread(&change.address);
            if change.unknown.is_some() {
                change.reason = UNSEEN.into();
            }
        }
        if matches!(change.action, Action::NoOp | Action::Move | Action::Adopt | Action::Forget) {
            return;
        }
        if let Some(why) = self.silence(&change.address) {
            self.hold_making(instance, change, DeferReason::Unknown, why, Missing::Held);
        }
    }

    /// Why nothing can be called there.
    pub fn silence(&self, address: &Address) -> Option<String> {
        self.silent.why(address)
    }

    /// Holds a change; what was to be made by it is not there for others either.
    fn hold_making(
        &mut self,
        instance: &Instance,
        change: &mut Change,
        wait: DeferReason,
        why: String,
        missing: Missing,
    ) {
        if change.action == Action::Create {
            self.unavailable.insert(instance.address.clone(), missing);
        }
        Self::hold_whole(change, wait, why);
    }
}
