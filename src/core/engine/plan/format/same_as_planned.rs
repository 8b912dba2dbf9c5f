//! What is shown is what is run: whether the steps of a plan are those of its changes, and in what two plans differ.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Action, Change, Plan, Step, StepCall};
use crate::engine::task::TASK;
use crate::engine::value::{Attributes, Value};

/// How many differences are told: enough to see what they have in common. A guess.
const TOLD_MAX: usize = 12;

/// The first step that no shown change asks for, or the first change that no step carries out; `None`: they agree.
pub fn discord(plan: &Plan) -> Option<String> {
    let mut changes: BTreeMap<&Address, &Change> = BTreeMap::new();
    for it in &plan.changes {
        if changes.insert(&it.address, it).is_some() {
            return Some(format!("`{}` appears twice", it.address));
        }
    }
    if let Some(why) = discord_of_tasks(plan) {
        return Some(why);
    }
    let of_resources = plan.steps.iter().filter(|it| !matches!(it.call, StepCall::Task { .. }));
    let astray = of_resources.into_iter().find_map(|step| {
        let change = changes.get(&step.address).filter(|it| it.kind == step.kind);
        let why = change
            .map_or_else(|| Some("no change to it is shown".into()), |it| astray(step, it, plan));
        why.map(|why| {
            format!("step {} would {} `{}`: {why}", step.id, verb(&step.call), step.address)
        })
    });
    astray.or_else(|| undone(plan))
}

/// A step that runs no shown task, or a shown task that no step runs.
fn discord_of_tasks(plan: &Plan) -> Option<String> {
    let mut steps: BTreeMap<&Address, bool> = BTreeMap::new();
    for step in &plan.steps {
        let StepCall::Task { undo } = step.call else { continue };
        if step.kind != TASK || steps.insert(&step.address, undo).is_some() {
            return Some(format!("the task `{}` appears twice", step.address));
        }
    }
    let mut names = BTreeSet::new();
    for task in &plan.tasks {
        if !names.insert(&task.name) {
            return Some(format!("the task `{}` is shown twice", task.name));
        }
        let wanted = task.fate.has_step().then(|| task.is_undo());
        if steps.remove(&task.name) != wanted {
            return Some(format!("its steps do not run the task `{}` as it is shown", task.name));
        }
    }
    let (left, _) = steps.first_key_value()?;
    Some(format!("step by step it would run the task `{left}`, which is not shown"))
}

fn verb(call: &StepCall) -> &'static str {
    match call {
        StepCall::Move { .. } | StepCall::Rename { .. } => "rename",
        StepCall::Forget => "forget",
        StepCall::Create { .. } => "create",
        StepCall::Update { .. } => "change",
        StepCall::Delete { .. } => "delete",
        _ => "wait for",
    }
}

/// Why this step is not one of this change.
fn astray(step: &Step, change: &Change, plan: &Plan) -> Option<String> {
    let action = change.action;
    let makes = matches!(action, Action::Create | Action::Replace { .. });
    // What an interrupted replace put beside is deleted when the update that finishes it is made.
    let finishes = action == Action::Update;
    let belongs = match &step.call {
        StepCall::Move { from } => change.moved_from.as_ref() == Some(from),
        StepCall::Forget => action == Action::Forget,
        StepCall::Create { .. } => makes,
        StepCall::Update { .. } => makes || finishes,
        StepCall::Delete { deposed } | StepCall::Gone { deposed } => {
            action.destroys() || (*deposed && finishes)
        }
        StepCall::Rename { .. } => finishes || matches!(action, Action::Replace { .. }),
        StepCall::Ready
        | StepCall::Gate
        | StepCall::Serving { .. }
        | StepCall::Replication { .. }
        | StepCall::Drain { .. } => true,
        StepCall::Task { .. } => false,
    };
    if !belongs {
        return Some(format!("the change shown is `{}`", action.word()));
    }
    match &step.call {
        StepCall::Create { attributes, label } => unshown(change, attributes, |_, sent| {
            label.is_some() && sent.as_text() == label.as_deref()
        }),
        StepCall::Update { changed, attributes, .. } => {
            let shown = |name: &String| change.attributes.iter().any(|it| it.name == *name);
            let hidden = changed.iter().find(|it| !makes && !shown(it));
            hidden.map(|it| format!("its `{it}` is not shown")).or_else(|| {
                unshown(change, attributes, |name, sent| {
                    sent.is_null() && is_set_later(plan, step, name)
                })
            })
        }
        _ => None,
    }
}

/// Whether a later step gives an attribute another value than this one.
fn is_set_later(plan: &Plan, step: &Step, name: &str) -> bool {
    let own = plan.steps.iter().filter(|it| it.id > step.id && it.address == step.address);
    own.into_iter().any(|it| match &it.call {
        StepCall::Update { changed, attributes, .. } => {
            changed.iter().any(|it| it == name)
                && attributes.get(name).is_some_and(|it| !it.is_null())
        }
        _ => false,
    })
}

/// A shown value that is not the one that would be sent. `for_a_while`: a value that something has until a later step.
fn unshown(
    change: &Change,
    sent: &Attributes,
    for_a_while: impl Fn(&str, &Value) -> bool,
) -> Option<String> {
    let differs = |name: &str, after: &Value| {
        let sent = sent.get(name).unwrap_or(&Value::Null);
        sent != after && !for_a_while(name, sent)
    };
    let other = change.attributes.iter().find(|it| differs(&it.name, &it.after));
    other.map(|it| format!("its `{}` is shown with another value", it.name))
}

/// A change whose call is not among the steps.
fn undone(plan: &Plan) -> Option<String> {
    let mut made = BTreeSet::new();
    let mut deleted = BTreeSet::new();
    let mut forgotten = BTreeSet::new();
    for it in &plan.steps {
        match it.call {
            StepCall::Create { .. } => made.insert(&it.address),
            StepCall::Delete { deposed: false } => deleted.insert(&it.address),
            StepCall::Delete { deposed: true } | StepCall::Forget => forgotten.insert(&it.address),
            _ => false,
        };
    }
    let is_made = |it: &Change| match it.action {
        Action::Create => made.contains(&it.address),
        Action::Replace { .. } => {
            let goes = deleted.contains(&it.address) || forgotten.contains(&it.address);
            made.contains(&it.address) && goes
        }
        Action::Delete => deleted.contains(&it.address),
        Action::Forget => forgotten.contains(&it.address),
        Action::NoOp | Action::Await | Action::Move | Action::Adopt | Action::Update => true,
    };
    let undone = plan.changes.iter().find(|it| !is_made(it))?;
    Some(format!(
        "it shows {} of `{}`, but has no step for it",
        undone.action.word(),
        undone.address
    ))
}

/// In what a saved plan differs from the one that is made now; empty when both do the same, and now nothing more is to be
/// said of it.
pub fn differences(saved: &Plan, now: &Plan) -> Vec<String> {
    let mut told = changed_changes(saved, now);
    if told.is_empty() && saved.changes != now.changes {
        told.push("the observed values of its resources have changed".into());
    }
    let calls = |it: &Plan| -> BTreeMap<(String, &'static str), usize> {
        let mut calls = BTreeMap::new();
        for step in &it.steps {
            *calls.entry((step.address.to_string(), step.call.word())).or_default() += 1;
        }
        calls
    };
    let (theirs, ours) = (calls(saved), calls(now));
    if told.is_empty() && theirs != ours {
        let all: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
        let other = all.into_iter().filter(|it| theirs.get(*it) != ours.get(*it));
        told.extend(other.map(|(address, word)| {
            let count =
                |it: &BTreeMap<_, usize>| it.get(&(address.clone(), *word)).copied().unwrap_or(0);
            format!("`{address}`: {} × {word} in the plan, {} now", count(&theirs), count(&ours))
        }));
    }
    let parts = [
        ("the order of its steps", saved.steps == now.steps),
        ("its outputs", saved.outputs == now.outputs),
        ("its tasks", saved.tasks == now.tasks),
        ("the changes made outside of lifeboat", saved.drift == now.drift),
        ("the switch", saved.switch == now.switch),
        (
            "the fault domains declared lost",
            (&saved.lost, &saved.recovered) == (&now.lost, &now.recovered),
        ),
        ("its stale values", saved.stale == now.stale),
    ];
    let other = parts.iter().filter(|(_, same)| !same && told.is_empty());
    let other: Vec<String> =
        other.map(|(what, _)| format!("{what} would be different now")).collect();
    told.extend(other);
    let known: Vec<&str> = saved.notes.iter().map(|it| it.text.as_str()).collect();
    let new = now.notes.iter().filter(|it| !known.contains(&it.text.as_str()));
    told.extend(new.map(|it| it.text.clone()));
    // What was warned of then and is no more, or was only assumed then and is said now, changes nothing of what is done.
    let bare = |it: &Plan| Plan { notes: Vec::new(), ..it.clone() };
    if told.is_empty() && bare(saved) != bare(now) {
        told.push("a new plan would read differently".into());
    }
    let left = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if left > 0 {
        told.push(format!("and {left} more"));
    }
    told
}

/// Addresses to which something else would be done now.
fn changed_changes(saved: &Plan, now: &Plan) -> Vec<String> {
    let of = |it: &Plan| -> BTreeMap<String, Change> {
        it.changes.iter().map(|it| (it.address.to_string(), it.clone())).collect()
    };
    let (theirs, ours) = (of(saved), of(now));
    let word = |it: Option<&Change>| it.map_or(Action::NoOp, |it| it.action).word();
    let addresses: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let mut told = Vec::new();
    for address in addresses {
        let (their, our) = (theirs.get(address), ours.get(address));
        if their.map(|it| it.action) != our.map(|it| it.action) {
            told.push(format!("`{address}`: {} in the plan, {} now", word(their), word(our)));
        } else if let (Some(their), Some(our)) = (their, our)
            && their.attributes != our.attributes
        {
            let other = |it: &&String| {
                let value = |of: &Change| of.attributes.iter().find(|at| at.name == **it).cloned();
                value(their) != value(our)
            };
            let names: BTreeSet<&String> =
                their.attributes.iter().chain(&our.attributes).map(|it| &it.name).collect();
            let names: Vec<&str> =
                names.iter().filter(|it| other(it)).map(|it| it.as_str()).collect();
            told.push(format!("`{address}`: different values of {}", names.join(", ")));
        }
    }
    told
}

/// The first value that is not what the plan knew of it: its name, the planned one, and the one that would be sent.
///
/// Of what it refers to an object knows some values as well (`table.stream`). Where the plan knew none, the cloud may have made
/// one since: a table has a stream as soon as its first replica joins.
pub fn changed<'a>(
    planned: &'a Attributes,
    now: &'a Attributes,
) -> Option<(&'a str, &'a Value, &'a Value)> {
    static NULL: Value = Value::Null;
    let pairs = planned.iter().map(|(name, it)| (&**name, it, now.get(name).unwrap_or(&NULL)));
    let is_left_open = |name: &str, planned: &Value| name.contains('.') && *planned == Value::Null;
    pairs
        .into_iter()
        .find(|(name, planned, now)| !is_left_open(name, planned) && !agrees(planned, now))
}

/// Open parts and unfingerprinted secrets may be anything.
pub fn agrees(planned: &Value, now: &Value) -> bool {
    match (planned, now) {
        (Value::Open, _) => true,
        (Value::Fingerprint(it), Value::Fingerprint(_)) if it.is_empty() => true,
        (Value::List(planned), Value::List(now)) => {
            planned.len() == now.len() && planned.iter().zip(now).all(|(a, b)| agrees(a, b))
        }
        (Value::Map(planned), Value::Map(now)) => {
            planned.len() == now.len()
                && planned.iter().all(|(name, a)| now.get(name).is_some_and(|b| agrees(a, b)))
        }
        (planned, now) => planned == now,
    }
}

#[cfg(test)]
mod tests {
    use super::{changed, differences, discord};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{Action, Plan, Step, StepCall};
    use crate::engine::plan::tests::sample::{CREATE, change, plan};
    use crate::engine::value::{Attributes, Value};

    fn step(id: usize, address: &str, kind: &str, call: StepCall) -> Step {
        Step {
            id,
            address: Address::one(address),
            kind: kind.into(),
            call,
            waits: Vec::new(),
            lane: None,
            segment: 1,
            weight: 1,
            shift: None,
            quorums: Vec::new(),
        }
    }

    const DELETE: StepCall = StepCall::Delete { deposed: false };

    /// A table that stays, and a zone that is made.
    fn honest() -> Plan {
        let table = change("sessions", "dynamodb.table", Action::NoOp, "");
        let zone = change("zone", "linode.domain", CREATE, "new").with(
            "domain",
            Value::Null,
            "example.com",
        );
        let mut plan = plan().of(vec![table, zone]);
        let attributes = Attributes::from([("domain".into(), "example.com".into())]);
        let call = StepCall::Create { attributes, label: None };
        plan.steps = vec![step(0, "zone", "linode.domain", call)];
        plan
    }

    #[track_caller]
    fn check(tamper: impl FnOnce(&mut Plan), expected: &str) {
        let mut plan = honest();
        tamper(&mut plan);
        assert_eq!(discord(&plan).as_deref(), Some(expected));
    }

    #[test]
    fn discord_finds_steps_that_belong_to_no_shown_change() {
        assert_eq!(discord(&honest()), None);
        check(
            |it| it.steps.push(step(1, "sessions", "dynamodb.table", DELETE)),
            "step 1 would delete `sessions`: the change shown is `no-op`",
        );
        check(
            |it| it.steps.push(step(1, "orders", "dynamodb.table", DELETE)),
            "step 1 would delete `orders`: no change to it is shown",
        );
        check(
            |it| it.steps.push(step(1, "zone", "dynamodb.table", DELETE)),
            "step 1 would delete `zone`: no change to it is shown",
        );
        check(
            |it| it.steps.push(step(1, "zone", "linode.domain", DELETE)),
            "step 1 would delete `zone`: the change shown is `create`",
        );
        check(
            |it| it.steps.push(step(1, "sessions", "dynamodb.table", StepCall::Forget)),
            "step 1 would forget `sessions`: the change shown is `no-op`",
        );
        check(
            |it| {
                let attributes = Attributes::from([("domain".into(), "evil.example".into())]);
                it.steps[0].call = StepCall::Create { attributes, label: None };
            },
            "step 0 would create `zone`: its `domain` is shown with another value",
        );
        check(
            |it| {
                let (group, changed) = ("update".into(), vec!["deletion_protection".into()]);
                let attributes = Attributes::new();
                let call = StepCall::Update { group, changed, attributes, or_create: false };
                it.changes[0].action = Action::Update;
                it.steps.push(step(1, "sessions", "dynamodb.table", call));
            },
            "step 1 would change `sessions`: its `deletion_protection` is not shown",
        );
        check(|it| it.steps.clear(), "it shows create of `zone`, but has no step for it");
        check(|it| it.changes.push(it.changes[0].clone()), "`sessions` appears twice");
    }

    #[test]
    fn differences_name_what_changed_since_the_saved_plan() {
        let (saved, mut now) = (honest(), honest());
        assert!(differences(&saved, &now).is_empty());
        now.changes[0].action = Action::Update;
        now.changes[1].attributes[0].after = "example.org".into();
        assert_eq!(
            differences(&saved, &now),
            ["`sessions`: no-op in the plan, update now", "`zone`: different values of domain"]
        );
        let mut now = honest();
        now.steps[0].call = DELETE;
        assert_eq!(
            differences(&saved, &now),
            ["`zone`: 1 × create in the plan, 0 now", "`zone`: 0 × delete in the plan, 1 now"]
        );
        let mut now = honest();
        now.steps[0].weight = 7;
        assert_eq!(differences(&saved, &now), ["the order of its steps would be different now"]);
    }

    #[test]
    fn changed_compares_what_is_sent_with_what_was_planned() {
        let attributes = |given: &[(&str, Value)]| -> Attributes {
            given.iter().map(|(name, it)| ((*name).into(), it.clone())).collect()
        };
        let check = |planned: Value, now: Value| {
            let (planned, now) = (attributes(&[("a", planned)]), attributes(&[("a", now)]));
            changed(&planned, &now).map(|(name, _, _)| name.to_owned())
        };
        let list = |items: &[Value]| Value::List(items.to_vec());
        let sealed = |it: &str| Value::Fingerprint(it.into());
        for (planned, now) in [
            (Value::Open, "198.18.0.1".into()),
            ("x".into(), "x".into()),
            (list(&["x".into(), Value::Open]), list(&["x".into(), 7.into()])),
            (sealed(""), sealed("abc")),
            (sealed("abc"), sealed("abc")),
        ] {
            assert_eq!(check(planned, now), None);
        }
        for (planned, now) in [
            ("198.18.0.1".into(), Value::from("198.18.0.2")),
            ("x".into(), Value::Null),
            (list(&["x".into(), Value::Open]), list(&["y".into(), 7.into()])),
            (list(&[Value::Open]), list(&[])),
            (sealed("abc"), sealed("abd")),
            (sealed("abc"), "plain".into()),
            (
                Value::Map(attributes(&[("b", 1.into())])),
                Value::Map(attributes(&[("b", 2.into())])),
            ),
        ] {
            assert_eq!(
                check(planned.clone(), now.clone()),
                Some("a".into()),
                "{planned:?} {now:?}"
            );
        }
        let of_another = |it: Value| attributes(&[("table.stream", it)]);
        let (none, some) = (of_another(Value::Null), of_another("NEW_IMAGE".into()));
        assert!(changed(&none, &some).is_none(), "a table gets its stream with its first replica");
        assert!(changed(&some, &none).is_some());
        let known = attributes(&[("gone", "x".into())]);
        assert!(changed(&known, &Attributes::new()).is_some(), "one that is left out differs");
    }
}
