//! Plans records that no layer declares any more: deleted, forgotten, kept, or left behind.

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::build::declared::is_leaving;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Change, DeferReason, Deferred};
use crate::engine::plan::model::options::{Intent, Keep};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;

impl PlanBuilder<'_> {
    pub fn leftovers(&mut self) {
        let Some(state) = self.worlds.state else { return };
        for (address, record) in &state.records {
            if self.taken.contains(&address) {
                continue;
            }
            let Some(kind) = self.worlds.catalog.get(&record.kind) else {
                self.diagnostics.push(rules::unknown_kind(address, &record.kind));
                continue;
            };
            let change = match self.frozen.of_record(address, kind).map(str::to_owned) {
                Some(domain) => left_behind(address, kind, record, &domain),
                None => self.living_leftover(address, kind, record),
            };
            let instance = self.worlds.stack.instances.get(address);
            self.planned.push(PlannedChange {
                change,
                kind,
                desired: None,
                record: Some(record),
                instance,
                not_ready: false,
            });
        }
    }

    fn living_leftover(&mut self, address: &Address, kind: &Kind, record: &Record) -> Change {
        let seen = self.seen(address, record);
        let seen = seen.as_deref();
        let mut change = blank(address, kind, record);
        let destroys = self.options.intent == Intent::Destroy;
        (change.action, change.reason, change.unknown) = match seen {
            Some(Observation::Absent) => {
                (Action::Forget, "it no longer exists and is no longer declared".into(), None)
            }
            Some(Observation::Unknown(unseen)) => (
                Action::NoOp,
                "it could not be read, so it is neither deleted nor forgotten".into(),
                Some(unseen.clone()),
            ),
            seen if is_leaving(kind, Some(record), seen) => {
                (Action::Delete, "its deletion is in progress".into(), None)
            }
            _ if destroys => (Action::Delete, "the stack is being destroyed".into(), None),
            _ => (Action::Delete, "it is no longer declared".into(), None),
        };
        if let (Some(seen), Intent::Apply, false) = (seen, self.options.intent, record.leaving) {
            self.note_drift(address, kind, record, seen);
        }
        if change.action == Action::Delete && self.frozen.needs(address) {
            let why = "a frozen resource still depends on it".to_owned();
            Self::hold_whole(&mut change, DeferReason::Lost, why);
        }
        if change.action == Action::Delete
            && let Some((wait, who)) = self.away(kind, &record.attributes)
        {
            let why = format!("leaving its group would change every member, but {who}");
            Self::hold_whole(&mut change, wait, why);
        }
        if let Some(why) = self.silence(address).filter(|_| change.action == Action::Delete) {
            Self::hold_whole(&mut change, DeferReason::Unknown, why);
        }
        let leaves = is_leaving(kind, Some(record), seen);
        if !destroys && !leaves {
            self.retain(&mut change, kind, record);
        }
        if !destroys {
            self.hold_pending(&mut change);
        }
        // What is being deleted was lost when that began.
        change.loses_data = kind.holds_data && change.action.destroys() && !leaves;
        change
    }

    /// A failback keeps what holds data; what was kept stays until its deletion is asked for by name.
    fn retain(&self, change: &mut Change, kind: &Kind, record: &Record) {
        let asked_for = self.options.allowed.delete.contains(&change.address);
        let kept_now = match self.options.keep {
            Keep::Nothing => false,
            Keep::Data => kind.holds_data,
            // A name is no capacity: kept, it would go on sending users to the standby.
            Keep::All => kind.drain.is_none(),
        };
        if change.action != Action::Delete || asked_for || !(kept_now || record.retained) {
            return;
        }
        let what = if kind.holds_data { "it holds data" } else { "it was kept by a failback" };
        let why = format!("{what}; to delete it: --allow-delete '{}'", change.address);
        Self::hold_whole(change, DeferReason::Retained, why);
    }
}

fn blank(address: &Address, kind: &Kind, record: &Record) -> Change {
    Change {
        address: address.clone(),
        kind: kind.kind.clone(),
        action: Action::NoOp,
        reason: String::new(),
        place: None,
        attributes: Vec::new(),
        loses_data: false,
        unknown: None,
        frozen: None,
        deferred: None,
        id: Some(record.id.clone()),
        moved_from: None,
    }
}

/// Kept in state and shown, and deleted after the recovery.
fn left_behind(address: &Address, kind: &Kind, record: &Record, domain: &str) -> Change {
    let why = format!("{domain} is lost; it will be deleted once {domain} has recovered");
    Change {
        reason: format!("{domain} is lost"),
        frozen: Some(domain.to_owned()),
        deferred: Some(Deferred {
            action: Action::Delete,
            wait: DeferReason::Lost,
            why,
            attributes: Vec::new(),
        }),
        ..blank(address, kind, record)
    }
}
