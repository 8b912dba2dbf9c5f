//! What a reviewed plan allows: a plan that is made later with the same inputs may do as much or less, and nothing else.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::format::same_as_planned::agrees;
use crate::engine::plan::model::change::{Action, AttributeChange, Bindings, Change, Plan};
use crate::engine::value::Value;

/// What the plan that is made now would do and the reviewed one does not show, a sentence for each; empty: it may run.
///
/// Whoever reviewed a plan has agreed to its effects: to each address, action, attribute and value. Fewer of them are left where some
/// were made meanwhile. That nothing else than these inputs was read is for the bindings to say.
pub fn beyond(reviewed: &Plan, now: &Plan) -> Vec<String> {
    let shown: BTreeMap<&Address, &Change> =
        reviewed.changes.iter().map(|it| (&it.address, it)).collect();
    let mut told: Vec<String> = now
        .changes
        .iter()
        .filter(|it| !matches!(it.action, Action::NoOp | Action::Await))
        .filter_map(|it| unreviewed(shown.get(&it.address).copied(), it))
        .collect();
    told.extend(other_objects(reviewed, now));
    let tasks = now.tasks.iter().filter(|it| it.fate.has_step());
    let is_shown = |name: &Address| reviewed.tasks.iter().find(|it| it.name == *name);
    told.extend(tasks.filter_map(|task| match is_shown(&task.name) {
        None => Some(format!("the task `{}` was not reviewed", task.name)),
        Some(it) if it.is_undo() != task.is_undo() || it.spec != task.spec => {
            Some(format!("the task `{}` would run in another way", task.name))
        }
        Some(_) => None,
    }));
    let dangers = now.dangers.iter().filter(|it| {
        !reviewed
            .dangers
            .iter()
            .any(|known| (&known.address, &known.says) == (&it.address, &it.says))
    });
    told.extend(dangers.map(|it| format!("`{}`: {}", it.address, it.says)));
    let gates = now
        .skipped_gates
        .iter()
        .filter(|it| !reviewed.skipped_gates.iter().any(|known| known.address == it.address));
    told.extend(gates.map(|it| format!("the gate of `{}` would be skipped", it.address)));
    if reviewed.switch != now.switch {
        told.push("it would switch between other overlays".into());
    }
    let domains =
        |it: &Plan| -> Vec<String> { it.lost.iter().map(|it| it.fault_domain.clone()).collect() };
    if (domains(reviewed), &reviewed.recovered) != (domains(now), &now.recovered) {
        told.push("other fault domains would be taken as lost or recovered".into());
    }
    told
}

/// What would be deleted and is not as it was shown: another object may stand in its place, with the same ID.
fn other_objects(reviewed: &Plan, now: &Plan) -> Vec<String> {
    let drift_of = |plan: &Plan, address: &Address| {
        plan.drift.iter().find(|it| it.address == *address).map(|it| it.attributes.clone())
    };
    let going = now.changes.iter().filter(|it| it.action.destroys() && it.loses_data);
    let other = going.filter(|it| {
        let seen = drift_of(now, &it.address);
        seen.is_some() && seen != drift_of(reviewed, &it.address)
    });
    let told = |it: &Change| {
        let word = it.action.word();
        format!(
            "`{}`: {word} was reviewed, and it was changed outside of lifeboat since",
            it.address
        )
    };
    other.map(told).collect()
}

/// Why a change is more than what was shown of its address.
fn unreviewed(shown: Option<&Change>, now: &Change) -> Option<String> {
    let address = &now.address;
    let word = now.action.word();
    let does =
        |it: &&Change| it.kind == now.kind && !matches!(it.action, Action::NoOp | Action::Await);
    let Some(shown) = shown.filter(does) else {
        return Some(format!("`{address}`: {word} was not reviewed"));
    };
    // What an apply has made that was cut off is taken over as it is: less than to create it.
    let is_made =
        shown.action == Action::Create && now.action == Action::Adopt && now.attributes.is_empty();
    if is_made {
        return None;
    }
    if (shown.action, &shown.moved_from) != (now.action, &now.moved_from) {
        return Some(format!("`{address}`: {} was reviewed, {word} now", shown.action.word()));
    }
    if now.action.destroys() && shown.id != now.id {
        let id = |it: &Change| it.id.clone().unwrap_or_else(|| "nothing".into());
        return Some(format!(
            "`{address}`: {word} of {} was reviewed, of {} now",
            id(shown),
            id(now)
        ));
    }
    let reviewed = |name: &str| shown.attributes.iter().find(|it| it.name == name);
    let is_other = |it: &&AttributeChange| {
        // What stands there now is what was to be changed: a newer change is not taken back by an older review.
        reviewed(&it.name).is_none_or(|shown| {
            !agrees(&shown.after, &it.after) || !agrees(&shown.before, &it.before)
        })
    };
    let mut names: Vec<&str> =
        now.attributes.iter().filter(is_other).map(|it| it.name.as_str()).collect();
    // A new object with fewer attributes is another one; a change of fewer is a smaller change.
    if matches!(now.action, Action::Create | Action::Replace { .. }) {
        let is_left_out = |it: &&AttributeChange| {
            it.after != Value::Null && !now.attributes.iter().any(|at| at.name == it.name)
        };
        names.extend(shown.attributes.iter().filter(is_left_out).map(|it| it.name.as_str()));
    }
    let names: Vec<String> = names.into_iter().map(|it| format!("`{it}`")).collect();
    (!names.is_empty())
        .then(|| format!("`{address}`: {word} with other values of {}", names.join(", ")))
}

/// The bindings of a reviewed plan as they have to hold now: the state may have moved on, in the same life. A plan from before the
/// first apply knows no life yet: the one that began since may be its own, cut off in the middle.
#[must_use]
pub fn moved_on(reviewed: &Bindings, now: &Bindings) -> Bindings {
    let of = if reviewed.lineage.is_empty() { now } else { reviewed };
    Bindings {
        serial: now.serial,
        sequence: now.sequence,
        lineage: of.lineage.clone(),
        ..reviewed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{beyond, moved_on};
    use crate::engine::plan::model::change::{Action, Bindings, Danger, Plan};
    use crate::engine::plan::tests::sample::{CREATE, REPLACE, change, plan, task};
    use crate::engine::schema::Sort;
    use crate::engine::value::Value;

    /// A web server that is resized, a table that is deleted, a record that is made.
    fn reviewed() -> Plan {
        let mut web = change("web", "linode.instance", Action::Update, "changed")
            .with("type", "g6-nanode-1", "g6-standard-1")
            .with("tags", Value::Null, "shop");
        web.id = Some("7".into());
        let mut old = change("old", "dynamodb.table", Action::Delete, "gone");
        old.id = Some("shop-old".into());
        let www = change("www", "linode.domain_record", CREATE, "new")
            .with("name", Value::Null, "www")
            .with("target", Value::Null, Value::Open);
        let zone = change("zone", "linode.domain", Action::NoOp, "");
        let mut plan = plan().of(vec![web, old, www, zone]);
        plan.tasks = vec![task("purge")];
        plan
    }

    #[track_caller]
    fn check(alter: impl FnOnce(&mut Plan), expected: &[&str]) {
        let mut now = reviewed();
        alter(&mut now);
        assert_eq!(beyond(&reviewed(), &now), expected);
    }

    #[test]
    fn beyond_lets_the_same_and_less_through() {
        check(|_| {}, &[]);
        check(|it| it.changes[2].attributes[1].after = "192.0.2.1".into(), &[]);
        check(|it| it.changes.truncate(1), &[]);
        check(|it| it.changes[0].attributes.truncate(1), &[]);
        check(|it| it.changes[1].action = Action::NoOp, &[]);
        check(|it| it.tasks.clear(), &[]);
        // The record was made by a run that was cut off before it knew.
        let made = |it: &mut Plan| {
            it.changes[2].action = Action::Adopt;
            it.changes[2].attributes.clear();
        };
        check(made, &[]);
    }

    #[test]
    fn beyond_names_what_was_not_reviewed() {
        check(
            |it| {
                let mut more = it.changes[1].clone();
                more.address = "sessions".parse().unwrap();
                it.changes.push(more);
            },
            &["`sessions`: delete was not reviewed"],
        );
        check(
            |it| it.changes[2].action = Action::Adopt,
            &["`www`: create was reviewed, adopt now"],
        );
        check(|it| it.changes[0].action = REPLACE, &["`web`: update was reviewed, replace now"]);
        check(
            |it| it.changes[1].id = Some("shop-new".into()),
            &["`old`: delete of shop-old was reviewed, of shop-new now"],
        );
        check(
            |it| it.changes[0].attributes[0].after = "g6-standard-2".into(),
            &["`web`: update with other values of `type`"],
        );
        check(
            |it| it.changes[0].attributes[0].before = "g6-standard-2".into(),
            &["`web`: update with other values of `type`"],
        );
        check(
            |it| it.changes[2].attributes.truncate(1),
            &["`www`: create with other values of `target`"],
        );
        check(
            |it| {
                let zone = change("zone", "linode.domain", Action::Update, "drift");
                it.changes[3] = zone.with("soa_email", "dns@example.com", "ops@example.com");
            },
            &["`zone`: update was not reviewed"],
        );
        check(
            |it| it.changes[2].kind = "linode.domain".into(),
            &["`www`: create was not reviewed"],
        );
        check(
            |it| it.tasks[0].spec.work.within = 1,
            &["the task `purge` would run in another way"],
        );
        check(|it| it.tasks.push(task("page")), &["the task `page` was not reviewed"]);
        check(
            |it| it.switch = Some((Vec::new(), vec!["eu".into()])),
            &["it would switch between other overlays"],
        );
        check(
            |it| it.recovered = vec!["linode:us-east".into()],
            &["other fault domains would be taken as lost or recovered"],
        );
        check(
            |it| {
                let (address, says) = ("web".parse().unwrap(), "it takes the last backend away");
                let (sort, says) = (Sort::Traffic, says.into());
                it.dangers.push(Danger { address, sort, says, stays: Vec::new() });
            },
            &["`web`: it takes the last backend away"],
        );
    }

    #[test]
    fn moved_on_leaves_the_serial_open_and_nothing_else() {
        let reviewed = Bindings { serial: 3, lineage: "l".into(), ..Bindings::default() };
        let now =
            Bindings { serial: 5, sequence: 9, lineage: "other".into(), ..Bindings::default() };
        let held = moved_on(&reviewed, &now);
        assert_eq!((held.serial, held.sequence, held.lineage.as_str()), (5, 9, "l"));
        let first = moved_on(&Bindings::default(), &now);
        assert_eq!((first.serial, first.lineage.as_str()), (5, "other"));
    }
}
