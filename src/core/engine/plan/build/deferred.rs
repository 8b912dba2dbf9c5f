//! Holds changes back: those of frozen objects, those that a switch does not carry, those that would reach a lost member.

use crate::engine::address::Address;
use crate::engine::lang::model::{Instance, Scope as _};
use crate::engine::lang::resolve::Resolved;
use crate::engine::plan::diff::action::{ResourceState, action_of, decide};
use crate::engine::plan::diff::attributes::{DiffSides, Difference, diff};
use crate::engine::plan::diff::drift::{refused_by_drift, replaces_by_drift};
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::switch_scope::SwitchScope;
use crate::engine::plan::model::change::{Action, AttributeChange, Change, DeferReason, Deferred};
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;
use crate::engine::value::Attributes;

/// Whether one text is another, or that with a port behind it.
fn is_address(text: &str, host: &str) -> bool {
    let rest = text.strip_prefix(host).filter(|_| !host.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

const CHANGED_OUTSIDE: &str =
    "it was changed outside of lifeboat, and a switch does not replace resources because of drift";
const NOT_OF_THIS_SWITCH: &str = "it was already pending and is not part of this switch";

/// Why an attribute is not changed now; of several, the last one here is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AttributeHold {
    Pending,
    Drift,
    Group,
}

impl PlanBuilder<'_> {
    /// What is planned for an object in a lost fault domain: nothing; what would be is held.
    pub fn freeze(
        &self,
        instance: &Instance,
        kind: &Kind,
        resolved: &Resolved,
        record: Option<&Record>,
        domain: &str,
    ) -> Change {
        let mut change = self.undecided(instance, kind, record);
        change.frozen = Some(domain.to_owned());
        change.reason = format!("{domain} is lost");
        let sides = DiffSides {
            kind,
            desired: resolved,
            record,
            observed: None,
            key: self.key(),
            ignore: &instance.resource.lifecycle.ignore_changes,
        };
        let difference = diff(&sides, |name| resolved.span(name).map(|it| self.place(it)));
        let standing = ResourceState { record, gone: false, not_ready: false };
        let mut would = change.clone();
        decide(&mut would, kind, standing, difference, instance);
        if would.action != Action::NoOp {
            change.place = would.place;
            let why = match (would.action, record) {
                (Action::Replace { .. }, Some(_)) => {
                    format!("{domain} is lost; it will be replaced once {domain} has recovered")
                }
                _ if record.is_some_and(|it| it.deposed.is_some()) => {
                    format!(
                        "an interrupted replacement will be finished once {domain} has recovered"
                    )
                }
                _ => format!("it waits until {domain} has recovered"),
            };
            let (action, attributes) = (would.action, would.attributes);
            change.deferred = Some(Deferred { action, wait: DeferReason::Lost, why, attributes });
        }
        change
    }

    /// Takes out of a difference what is not to be changed now. Where several reasons hold, the one is told that asks most of
    /// whoever reads it.
    pub fn hold_back(
        &self,
        instance: &Instance,
        kind: &Kind,
        record: &Record,
        difference: &mut Difference,
    ) -> Option<Deferred> {
        let away = self.away(kind, &record.attributes);
        let mut held: Vec<AttributeChange> = Vec::new();
        let mut told: Option<AttributeHold> = None;
        difference.changes.retain(|it| {
            let object = (instance, kind, record);
            let Some(hold) = self.attribute_hold(object, away.is_some(), it) else { return true };
            held.push(it.clone());
            told = told.max(Some(hold));
            false
        });
        let (wait, why) = match (told?, away) {
            (AttributeHold::Group, Some((wait, who))) => (
                wait,
                format!(
                    "it would change every member of the group, but {who}; --allow-group-changes allows it"
                ),
            ),
            (AttributeHold::Drift, _) => (DeferReason::Pending, CHANGED_OUTSIDE.to_owned()),
            (AttributeHold::Group | AttributeHold::Pending, _) => {
                (DeferReason::Pending, NOT_OF_THIS_SWITCH.to_owned())
            }
        };
        Some(Deferred { action: action_of(&held, instance), wait, why, attributes: held })
    }

    /// Why one attribute is not to be changed now, if so. In this order:
    ///
    /// - the name of what an interrupted replace left goes in any case: the replace is finished, which nothing holds back;
    /// - a switch takes nothing back that was changed outside, where that would replace something or move users (law 8);
    /// - what was pending before a switch is not part of it, unless it follows from what the switch makes anew;
    /// - what would reach a member that is lost or unknown waits for it.
    fn attribute_hold(
        &self,
        (instance, kind, record): (&Instance, &Kind, &Record),
        is_member_away: bool,
        it: &AttributeChange,
    ) -> Option<AttributeHold> {
        if record.deposed.is_some() && kind.identity.by.contains(&it.name) {
            return None;
        }
        let is_drift = replaces_by_drift(kind, record, it) || refused_by_drift(kind, record, it);
        if self.options.is_switch() && is_drift {
            return Some(AttributeHold::Drift);
        }
        let was_pending = |scope: &SwitchScope| {
            scope.holds_attribute(&instance.address, kind, record, it)
                && !self.follows(instance, kind, it)
        };
        if self.carried.is_some_and(was_pending) {
            return Some(AttributeHold::Pending);
        }
        let is_group_wide = kind.attribute(&it.name).is_some_and(|it| it.group_wide);
        (is_member_away && is_group_wide).then_some(AttributeHold::Group)
    }

    /// Whether a difference comes from something that a switch makes again, or has made again before it was stopped.
    fn follows(&self, instance: &Instance, kind: &Kind, difference: &AttributeChange) -> bool {
        let Some(carried) = self.carried else { return false };
        if difference.after.has_open() {
            return self.needs_something_new(instance);
        }
        let Some(after) = difference.after.as_text().filter(|_| kind.directs(&difference.name))
        else {
            return false;
        };
        carried.needs(&instance.address)
            && instance.needs.iter().any(|(need, _)| {
                let object = self.known.object(need);
                let mut outputs = object.iter().flat_map(|it| it.values());
                outputs.any(|it| it.as_text().is_some_and(|it| is_address(after, it)))
            })
    }

    /// Whether something that it needs is made, or made again, by this plan.
    fn needs_something_new(&self, instance: &Instance) -> bool {
        let is_new = |need: &Address| {
            let found = self.planned.iter().rev().find(|it| it.change.address == *need);
            found.is_some_and(|it| {
                matches!(it.change.action, Action::Create | Action::Replace { .. })
            })
        };
        instance.needs.iter().any(|(need, _)| is_new(need))
    }

    /// Who of its group cannot take part in a change that reaches every member, unless such changes are allowed.
    pub fn away(&self, kind: &Kind, attributes: &Attributes) -> Option<(DeferReason, String)> {
        if self.options.allowed.group_changes {
            return None;
        }
        let away = self.groups.away(kind, attributes)?;
        let region = &away.region;
        Some(if away.is_lost {
            (DeferReason::Group, format!("the member in {region} is lost"))
        } else {
            (DeferReason::Unknown, format!("the member in {region} could not be read"))
        })
    }

    /// Holds a whole change that must wait for something else than its own object.
    pub fn hold_whole(change: &mut Change, wait: DeferReason, why: String) {
        let mut attributes = std::mem::take(&mut change.attributes);
        attributes.extend(change.deferred.take().into_iter().flat_map(|it| it.attributes));
        let action = std::mem::replace(&mut change.action, Action::NoOp);
        change.reason = String::new();
        change.deferred = Some(Deferred { action, wait, why, attributes });
    }

    /// What a switch leaves out as a whole: creations and waits that were pending before it.
    pub fn hold_pending(&self, change: &mut Change) {
        if self.carried.is_some_and(|it| it.holds(change))
            && matches!(change.action, Action::Create | Action::Await | Action::Delete)
        {
            Self::hold_whole(change, DeferReason::Pending, NOT_OF_THIS_SWITCH.into());
        }
    }
}
