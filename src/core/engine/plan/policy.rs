//! Policies: what the project's rules say of a plan and its cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::fast_map::FastMap;
use crate::engine::lang::cel::code::Slice;
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep, cut, follow};
use crate::engine::lang::model::{InstanceShape, Policy, PolicyLevel, Stack, Term, Variable};
use crate::engine::lang::resolve::term;
use crate::engine::lang::term::expressions;
use crate::engine::plan::model::change::{Action, Change, Plan};
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::engine::state::record::State;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::{Attributes, Value};

/// How many of what is wrong are named.
const NAMED_MAX: usize = 5;

/// What policies look at.
pub struct PolicySubject<'a> {
    pub plan: Value,
    pub cost: Value,
    pub stack: &'a str,
    pub variables: &'a BTreeMap<String, Variable>,
}

/// What a policy says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyVerdict {
    Silent,
    /// It speaks; of these in particular.
    Speaks {
        message: String,
        of: Vec<String>,
    },
    /// Its expressions could not be computed: counted as if it spoke.
    Failed(Box<Diagnostic>),
}

/// Whether a policy of them looks at what a plan costs, which has to be asked for.
pub fn read_cost(policies: &FastMap<String, Policy>) -> bool {
    policies.values().any(|it| {
        let mut all = vec![&it.rule];
        expressions(&it.message, &mut all);
        all.iter().any(|it| it.paths().iter().any(|it| &*it.root == "cost"))
    })
}

/// What all policies of a stack say of a plan: warnings and refusals.
pub fn judge(
    stack: &Stack,
    plan: &Plan,
    state: Option<&State>,
    cost: Option<&PlanCost>,
) -> Vec<Diagnostic> {
    if stack.policies.is_empty() {
        return Vec::new();
    }
    let subject = PolicySubject {
        plan: seen_plan(plan, state),
        cost: seen_cost(cost),
        stack: &stack.name,
        variables: &stack.variables,
    };
    let is_switch = plan.switch.is_some();
    let told = stack.policies.values().filter_map(|policy| {
        let level = if is_switch { policy.level.min(policy.in_switch) } else { policy.level };
        diagnostic(policy, level, verdict(policy, &subject))
    });
    told.collect()
}

/// What one policy says.
pub fn verdict(policy: &Policy, subject: &PolicySubject<'_>) -> PolicyVerdict {
    let mut out = Vec::new();
    let rule =
        Term { span: policy.span, shape: InstanceShape::Expression(Arc::clone(&policy.rule)) };
    let found = term(&rule, subject, &mut out);
    let of = match found {
        _ if !out.is_empty() => return failed(out),
        Value::Bool(false) | Value::Null => return PolicyVerdict::Silent,
        Value::List(items) if items.is_empty() => return PolicyVerdict::Silent,
        Value::Bool(true) => Vec::new(),
        Value::List(items) => items.iter().map(named).collect(),
        _ => {
            let wrong = Diagnostic::error(DiagnosticCode::FailedExpression, "Wrong type")
                .at(policy.rule.span(), "the rule of a policy yields true, false or a list");
            return PolicyVerdict::Failed(Box::new(wrong));
        }
    };
    let message = term(&policy.message, subject, &mut out);
    match message {
        Value::Text(message) if out.is_empty() => PolicyVerdict::Speaks { message, of },
        _ => failed(out),
    }
}

fn failed(out: Vec<Diagnostic>) -> PolicyVerdict {
    let unsaid = || Diagnostic::error(DiagnosticCode::FailedExpression, "its message is no text");
    PolicyVerdict::Failed(Box::new(out.into_iter().next().unwrap_or_else(unsaid)))
}

/// What an element of a list is called: the address of a change, or the text itself.
fn named(item: &Value) -> String {
    match item {
        Value::Text(text) => text.clone(),
        Value::Map(map) => match map.get("address").and_then(Value::as_text) {
            Some(address) => address.to_owned(),
            None => item.json().to_string(),
        },
        other => other.json().to_string(),
    }
}

/// The first few, and how many there are beside them.
fn first_of(names: &[String]) -> String {
    let (shown, more) = names.split_at(names.len().min(NAMED_MAX));
    match more.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn diagnostic(policy: &Policy, level: PolicyLevel, verdict: PolicyVerdict) -> Option<Diagnostic> {
    let name = &policy.name;
    let (text, help) = match verdict {
        PolicyVerdict::Silent => return None,
        PolicyVerdict::Speaks { message, of } if of.is_empty() => {
            (format!("policy `{name}`: {message}"), None)
        }
        PolicyVerdict::Speaks { message, of } => {
            (format!("policy `{name}`: {message} ({})", first_of(&of)), None)
        }
        PolicyVerdict::Failed(why) => {
            let what = why.labels.first().map_or(&why.summary, |it| &it.text);
            let help = why.help.unwrap_or_else(|| {
                "an attribute that a kind does not have is an error: ask with `has(it.after.NAME)` first".into()
            });
            (format!("policy `{name}` cannot be evaluated: {what}"), Some(help))
        }
    };
    let found = match level {
        PolicyLevel::Warn => Diagnostic::warning(DiagnosticCode::PolicyWarns, text),
        PolicyLevel::Deny => Diagnostic::refusal(DiagnosticCode::PolicyDenies, text),
    };
    let found = found.at(policy.span, "this policy");
    Some(match (help, level) {
        (Some(help), _) => found.help(help),
        (None, PolicyLevel::Deny) => found.help(
            "change the resources that it names, or have the policy edited; nothing was changed",
        ),
        (None, PolicyLevel::Warn) => found,
    })
}

/// A plan as policies see it: each change with all attributes of its resource, before and after. What is known only after apply, and
/// what is sensitive, is null.
pub fn seen_plan(plan: &Plan, state: Option<&State>) -> Value {
    let changes = plan.changes.iter().map(|it| seen_change(it, state)).collect();
    let list = |it: &[String]| Value::List(it.iter().map(Value::text).collect());
    let json = |it: serde_json::Value| Value::from_json(&it);
    let data =
        |it: Result<serde_json::Value, serde_json::Error>| json(it.expect("plain data serialises"));
    let lost: Vec<String> = plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let replace: Vec<String> = plan.replace.iter().map(ToString::to_string).collect();
    let workspace = plan.instance.clone().map_or(Value::Null, Value::Text);
    hidden(map([
        ("stack", Value::text(&plan.stack)),
        ("workspace", workspace),
        ("overlays", list(&plan.overlays)),
        ("intent", data(serde_json::to_value(plan.bindings.intent))),
        ("is_switch", Value::Bool(plan.switch.is_some())),
        ("target", Value::text(&plan.bindings.target)),
        ("lost", list(&lost)),
        ("summary", data(serde_json::to_value(plan.summary()))),
        ("changes", Value::List(changes)),
        ("dangers", data(serde_json::to_value(&plan.dangers))),
        ("allowed", data(serde_json::to_value(&plan.allowed))),
        ("allowances", data(serde_json::to_value(&plan.allowances))),
        ("replace", list(&replace)),
        ("drift", data(serde_json::to_value(&plan.drift))),
    ]))
}

fn seen_change(change: &Change, state: Option<&State>) -> Value {
    let record = state.and_then(|it| {
        let moved = change.moved_from.as_ref().and_then(|from| it.records.get(from));
        it.records.get(&change.address).or(moved)
    });
    let mut before = record.map(|it| it.attributes.clone()).unwrap_or_default();
    let is_left = !matches!(change.action, Action::Delete | Action::Forget);
    let mut after = if is_left { before.clone() } else { Attributes::default() };
    let mut changed = Vec::new();
    for it in &change.attributes {
        changed.push(Value::text(&it.name));
        before.insert(it.name.clone(), it.before.clone());
        if is_left {
            after.insert(it.name.clone(), it.after.clone());
        }
    }
    let text = |it: &Option<String>| it.clone().map_or(Value::Null, Value::Text);
    map([
        ("address", Value::text(change.address.to_string())),
        ("name", Value::text(&change.address.name)),
        ("kind", Value::text(&change.kind)),
        ("action", Value::text(change.action.word())),
        ("reason", Value::text(&change.reason)),
        ("place", text(&change.place)),
        ("id", text(&change.id)),
        ("loses_data", Value::Bool(change.loses_data)),
        ("deferred", Value::Bool(change.deferred.is_some())),
        ("changed", Value::List(changed)),
        ("before", Value::Map(before)),
        ("after", Value::Map(after)),
    ])
}

/// A change of which nothing is said.
pub fn unseen_change() -> Value {
    map([
        ("address", Value::text("")),
        ("name", Value::text("")),
        ("kind", Value::text("")),
        ("action", Value::text(Action::NoOp.word())),
        ("reason", Value::text("")),
        ("place", Value::Null),
        ("id", Value::Null),
        ("loses_data", Value::Bool(false)),
        ("deferred", Value::Bool(false)),
        ("changed", Value::List(Vec::new())),
        ("before", Value::Map(Attributes::default())),
        ("after", Value::Map(Attributes::default())),
    ])
}

/// What the changes cost, in US dollars, as far as that is known.
pub fn seen_cost(cost: Option<&PlanCost>) -> Value {
    let rate = cost.map(|it| it.change).unwrap_or_default();
    let unknown = cost.map(|it| it.unknown.as_slice()).unwrap_or_default();
    let unknown = serde_json::to_value(unknown).expect("plain data serialises");
    map([
        ("monthly", Value::Float(rate.monthly.in_dollars())),
        ("hourly", Value::Float(rate.hourly.in_dollars())),
        ("unknown", Value::from_json(&unknown)),
    ])
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, it)| (name.to_owned(), it)).collect())
}

/// Without what is open or sensitive: a rule over it would be so as a whole.
fn hidden(value: Value) -> Value {
    match value {
        Value::Open | Value::Secret(_) | Value::Fingerprint(_) => Value::Null,
        Value::List(items) => Value::List(items.into_iter().map(hidden).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(name, it)| (name, hidden(it))).collect())
        }
        other => other,
    }
}

impl NameLookup for PolicySubject<'_> {
    fn look(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        let found = match (root, steps) {
            ("plan", steps) => follow(&self.plan, steps)?,
            ("cost", steps) => follow(&self.cost, steps)?,
            ("stack", [PathStep::Name(name)]) if name == "name" => Value::text(self.stack),
            ("vars", [PathStep::Name(name), rest @ ..]) => {
                match self.variables.get(name.as_ref()) {
                    Some(it) => follow(&it.value, rest)?,
                    None => return Err(unknown(&format!("vars.{name}"))),
                }
            }
            _ => return Err(unknown(root)),
        };
        Ok(cut(found, slice))
    }

    fn file(&self, _path: &str) -> Result<Arc<str>, LookupError> {
        Err(LookupError::new(DiagnosticCode::FailedExpression, "a policy reads no files"))
    }

    fn template(&self, _path: &str, _map: &Attributes) -> Result<String, LookupError> {
        Err(LookupError::new(DiagnosticCode::FailedExpression, "a policy reads no files"))
    }
}

fn unknown(what: &str) -> LookupError {
    LookupError::new(DiagnosticCode::UnknownReference, format!("a policy has no `{what}`"))
}

#[cfg(test)]
mod tests {
    use super::{judge, seen_cost, seen_plan, unseen_change};
    use crate::engine::lang::lower::policies::{COST_KEYS, PLAN_KEYS, check_references, policies};
    use crate::engine::lang::model::Stack;
    use crate::engine::lang::yaml::reader::parse;
    use crate::engine::plan::model::change::{Action, Plan};
    use crate::engine::plan::model::plan_cost::{Money, PlanCost, Rate};
    use crate::engine::plan::tests::sample::{CREATE, change, plan};
    use crate::engine::text::diagnostic::Sources;
    use crate::engine::value::{Secret, Value};

    /// A stack with these policies and nothing else.
    fn stack(text: &str) -> Stack {
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        let mut sources = Sources::default();
        let (node, mut out) = parse("policies/p.yaml", text.as_bytes(), &mut sources);
        stack.policies = policies(node.as_ref(), &sources, &mut out);
        check_references(&stack.policies, Some(&stack.variables), &mut out);
        assert_eq!(out, []);
        stack.sources = sources;
        stack
    }

    /// What is said of a plan, a line each.
    fn said(policies: &str, plan: &Plan, cost: Option<&PlanCost>) -> Vec<String> {
        let told = judge(&stack(policies), plan, None, cost);
        told.iter().map(|it| format!("{}: {}", it.severity.word(), it.summary)).collect()
    }

    fn creates() -> Plan {
        let web = |name: &str, region: &str| {
            change(name, "linode.instance", CREATE, "new")
                .with("region", Value::Null, Value::text(region))
                .with("ipv4", Value::Null, Value::Open)
                .with("root_pass", Value::Null, Value::Secret(Secret::new(Value::text("x"))))
        };
        let table = change("items", "dynamodb.table", Action::Delete, "gone");
        plan().of(vec![web("web", "us-west"), web("api", "eu-west"), table])
    }

    const EU_ONLY: &str = "
eu_only:
  deny: '${plan.changes.filter(it, it.action == \"create\" && it.after.region.startsWith(\"us-\"))}'
  message: 'customer data of ${stack.name} stays in the EU'
";

    #[test]
    fn judge_names_what_a_policy_is_about_and_refuses() {
        let expected = ["refusal: policy `eu_only`: customer data of shop stays in the EU (web)"];
        assert_eq!(said(EU_ONLY, &creates(), None), expected);
        assert_eq!(said(EU_ONLY, &plan().of(Vec::new()), None), [""; 0]);
    }

    #[test]
    fn judge_only_warns_of_a_switch_unless_the_policy_says_so() {
        let mut switch = creates();
        switch.switch = Some((Vec::new(), vec!["eu".into()]));
        let expected = ["warning: policy `eu_only`: customer data of shop stays in the EU (web)"];
        assert_eq!(said(EU_ONLY, &switch, None), expected);
        let strict = format!("{EU_ONLY}  in_switch: deny\n");
        let expected = ["refusal: policy `eu_only`: customer data of shop stays in the EU (web)"];
        assert_eq!(said(&strict, &switch, None), expected);
    }

    #[test]
    fn judge_refuses_what_cannot_be_evaluated() {
        let typo = "
x: { deny: '${plan.changes.exists(it, it.after.regoin == \"us-west\")}', message: no }
y: { warn: '${plan.changes[7].address == \"web\"}', message: no }
z: { warn: '${plan.stack}', message: no }
";
        insta::assert_snapshot!(said(typo, &creates(), None).join("\n"), @r"
        refusal: policy `x` cannot be evaluated: `regoin` does not exist
        warning: policy `y` cannot be evaluated: `[7]` does not exist; the list has 3 elements
        warning: policy `z` cannot be evaluated: the rule of a policy yields true, false or a list
        ");
    }

    #[test]
    fn judge_sees_what_is_open_or_secret_as_null() {
        let hidden = "
x: { warn: '${plan.changes.filter(it, has(it.after.ipv4) && it.after.ipv4 == null && it.after.root_pass == null)}', message: both }
";
        assert_eq!(said(hidden, &creates(), None), ["warning: policy `x`: both (web, api)"]);
    }

    #[test]
    fn judge_counts_money_and_the_rest() {
        let costly = "
a: { warn: '${cost.monthly > 100}', message: '${cost.monthly} a month' }
b: { deny: '${cost.hourly > 1.5 || size(cost.unknown) > 0}', message: an hour }
c: { warn: '${plan.summary.delete > 0 && plan.intent == \"apply\" && !plan.is_switch}', message: deletes }
";
        let change = Rate { monthly: Money::dollars(120.5).unwrap(), ..Rate::default() };
        let cost = PlanCost { change, ..PlanCost::default() };
        let expected = ["warning: policy `a`: 120.5 a month", "warning: policy `c`: deletes"];
        assert_eq!(said(costly, &creates(), Some(&cost)), expected);
        assert_eq!(said(costly, &creates(), None), ["warning: policy `c`: deletes"]);
    }

    #[test]
    fn judge_names_a_few_of_many() {
        let changes =
            (0..10_000).map(|it| change(&format!("w{it}"), "linode.instance", CREATE, "new"));
        let all =
            "x: { warn: '${plan.changes.filter(it, it.action == \"create\")}', message: many }";
        let expected = ["warning: policy `x`: many (w0, w1, w2, w3, w4 and 9995 more)"];
        assert_eq!(said(all, &plan().of(changes.collect()), None), expected);
    }

    #[test]
    fn what_is_seen_is_what_references_are_checked_against() {
        let keys = |it: &Value| it.as_map().unwrap().keys().cloned().collect::<Vec<_>>();
        let sorted = |it: &[&str]| {
            let mut all: Vec<String> = it.iter().map(ToString::to_string).collect();
            all.sort();
            all
        };
        let seen = seen_plan(&creates(), None);
        let mut plan_keys = keys(&seen);
        plan_keys.sort();
        assert_eq!(plan_keys, sorted(&PLAN_KEYS));
        let mut cost_keys = keys(&seen_cost(None));
        cost_keys.sort();
        assert_eq!(cost_keys, sorted(&COST_KEYS));
        let Some(Value::List(changes)) = seen.as_map().unwrap().get("changes") else { panic!() };
        assert_eq!(keys(&changes[0]), keys(&unseen_change()));
    }
}
