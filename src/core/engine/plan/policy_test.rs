//! Tests of policies: which of a file's policies speak of a plan that a test gives, beside those that it expects.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::fast_map::FastMap;
use crate::engine::lang::lower::policy_file::PolicyTest;
use crate::engine::lang::model::Policy;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::policy::{
    PolicySubject, PolicyVerdict, seen_cost, seen_plan, unseen_change, verdict,
};
use crate::engine::value::{Attributes, Value};

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTestResult {
    pub name: String,
    /// Why it failed, a line each; none: it passed.
    pub wrong: Vec<String>,
}

impl PolicyTestResult {
    pub fn has_passed(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Runs a test over this plan.
pub fn run_test(
    test: &PolicyTest,
    policies: &FastMap<String, Policy>,
    plan: Value,
) -> PolicyTestResult {
    let cost = over(seen_cost(None), test.cost.as_ref());
    let stack = match plan.as_map().and_then(|it| it.get("stack")).and_then(Value::as_text) {
        Some(stack) => stack.to_owned(),
        None => String::new(),
    };
    let subject = PolicySubject { plan, cost, stack: &stack, variables: &BTreeMap::new() };
    let expected: BTreeSet<&str> = test.expect.iter().map(|(it, _)| it.as_str()).collect();
    let mut wrong = Vec::new();
    for (name, policy) in policies {
        match (verdict(policy, &subject), expected.contains(name.as_str())) {
            (PolicyVerdict::Silent, false) | (PolicyVerdict::Speaks { .. }, true) => {}
            (PolicyVerdict::Silent, true) => {
                wrong.push(format!("expected `{name}`, which finds nothing wrong"));
            }
            (PolicyVerdict::Speaks { message, of }, false) => {
                let of =
                    if of.is_empty() { String::new() } else { format!(" ({})", of.join(", ")) };
                wrong.push(format!("did not expect `{name}`: {message}{of}"));
            }
            (PolicyVerdict::Failed(why), _) => {
                let what = why.labels.first().map_or(&why.summary, |it| &it.text);
                wrong.push(format!("`{name}` cannot be evaluated: {what}"));
            }
        }
    }
    PolicyTestResult { name: test.name.clone(), wrong }
}

/// A plan of which only that is written that a test is about: all else is as in a plan without changes.
pub fn written_plan(written: &Value) -> Value {
    let plan = over(seen_plan(&Plan::default(), None), Some(written));
    let Value::Map(mut plan) = plan else { return plan };
    if let Some(Value::List(changes)) = plan.get_mut("changes") {
        for change in changes {
            *change = over(unseen_change(), Some(change));
        }
    }
    Value::Map(plan)
}

/// The one map, with the entries of the other one in it.
fn over(base: Value, patch: Option<&Value>) -> Value {
    match (base, patch) {
        (Value::Map(mut base), Some(Value::Map(patch))) => {
            let patch: Attributes = patch.clone();
            base.extend(patch);
            Value::Map(base)
        }
        (_, Some(other)) => other.clone(),
        (base, None) => base,
    }
}
