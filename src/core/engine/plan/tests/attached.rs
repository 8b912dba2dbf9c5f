//! References that one group sets and another unsets, and numbers that only grow.

use super::{PlanCase, applied, check, plan, stack};
use crate::engine::observed::Observation;
use crate::engine::plan::diff::drift::refused_by_drift;
use crate::engine::plan::format::same_as_planned::discord;
use crate::engine::plan::model::change::{AttributeChange, StepCall};
use crate::engine::value::Value;
use crate::kinds::builtin;

/// Two machines, and a volume of this size that is on what is named.
fn site(size: u64, on: &str) -> String {
    let machine = |name: &str| {
        format!(
            "  {name}: {{ kind: linode.instance, region: us-east, type: g6-nanode-1, label: {name} }}\n"
        )
    };
    let on = if on.is_empty() { String::new() } else { format!(", linode: '${{{on}}}'") };
    let volume = format!(
        "  data: {{ kind: linode.volume, region: us-east, label: data, size: {size}{on} }}"
    );
    format!("{}{}{volume}", machine("one"), machine("two"))
}

fn said(before: (u64, &str), after: (u64, &str)) -> String {
    let (before, after) = (site(before.0, before.1), site(after.0, after.1));
    check(&PlanCase { before: &before, after: &after, ..PlanCase::default() })
}

#[test]
fn plan_moves_an_attachment_by_detach_and_attach() {
    insta::assert_snapshot!(said((20, ""), (20, "one")), @r#"
    update data: linode differs
      linode: null → "1"
    0: update attach data
    1: ready data after [0]
    "#);
    insta::assert_snapshot!(said((20, "one"), (20, "")), @r#"
    update data: linode differs
      linode: "1" → null
    0: update detach data
    1: ready data after [0]
    "#);
    insta::assert_snapshot!(said((20, "one"), (40, "two")), @r#"
    update data: size, linode differ
      size: 20 → 40
      linode: "1" → "2"
    0: update resize data
    1: ready data after [0]
    2: update detach data after [1]
    3: ready data after [2]
    4: update attach data after [3]
    5: ready data after [4]
    "#);
}

/// Between the two calls it is on nothing; a saved plan that leaves it so is not what is shown.
#[test]
fn plan_detaches_with_null_before_it_attaches() {
    let (before, after) = (site(20, "one"), site(20, "two"));
    let mut plan = plan(&PlanCase { before: &before, after: &after, ..PlanCase::default() });
    let sent: Vec<Value> = plan
        .steps
        .iter()
        .filter_map(|it| match &it.call {
            StepCall::Update { attributes, .. } => attributes.get("linode").cloned(),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [Value::Null, "2".into()]);
    assert_eq!(discord(&plan), None);
    plan.steps.truncate(2);
    let told = "step 0 would change `data`: its `linode` is shown with another value";
    assert_eq!(discord(&plan).as_deref(), Some(told));
}

#[test]
fn plan_refuses_to_shrink_a_number_that_only_grows() {
    assert!(said((20, ""), (40, "")).contains("update resize data"));
    insta::assert_snapshot!(said((40, ""), (20, "")), @r"
    update data: size differs
      size: 40 → 20
    0: update resize data
    1: ready data after [0]
    error unchangeable
    ");
    let (before, after) = (site(20, ""), site(20, ""));
    // Somebody has grown it.
    let case = PlanCase {
        before: &before,
        after: &after,
        change: &|_, observed| {
            let seen = observed.get_mut(&"data".parse().unwrap());
            if let Some(Observation::Exists { attributes, .. }) = seen {
                attributes.insert("size".into(), 30.into());
            }
        },
        ..PlanCase::default()
    };
    let plan = plan(&case);
    let note = plan.notes.iter().find(|it| it.code == "unchangeable").unwrap();
    let help = note.help.as_deref().unwrap_or_default();
    assert_eq!(
        format!("{}\n{help}", note.text),
        "`size` of `data` cannot be changed from 30 to 20\nto keep it as it is, set `size: 30`"
    );
}

/// A switch holds back what somebody else has done and nothing can undo; what the layers ask for themselves stays refused.
#[test]
fn refused_by_drift_is_true_only_of_what_grew_outside() {
    let catalog = builtin();
    let (state, _) = applied(&stack(&site(20, ""), &catalog), &catalog);
    let record = &state.records[&"data".parse().unwrap()];
    let by_drift = |before: i64, after: i64| {
        let (before, after) = (before.into(), after.into());
        let change =
            AttributeChange { name: "size".into(), before, after, replaces: None, place: None };
        refused_by_drift(&catalog.kinds["linode.volume"], record, &change)
    };
    assert!(by_drift(30, 20), "somebody has grown it");
    assert!(!by_drift(20, 10), "the layers want less than they wanted");
    assert!(!by_drift(30, 40), "nothing is refused");
}
