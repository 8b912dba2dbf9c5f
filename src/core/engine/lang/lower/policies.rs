//! Lowers `policies`: what a project forbids its plans, or wants to be told of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::is_name;
use crate::engine::fast_map::FastMap;
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::path::{Segment, is_taken};
use crate::engine::lang::lower::resources::{section, unknown_keys};
use crate::engine::lang::model::{InstanceShape, Policy, PolicyLevel, Variable};
use crate::engine::lang::term::{Terms, expressions};
use crate::engine::lang::yaml::node::{Map, MapEntry, Node};
use crate::engine::lang::yaml::reader::MISTAKES_MAX;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};

/// The key of a layer, and of a file of policies.
pub const POLICIES: &str = "policies";
pub const POLICY_KEYS: [&str; 5] = ["deny", "warn", "in_switch", "message", "description"];
/// What the expressions of a policy may look at.
const ROOTS: [&str; 4] = ["plan", "cost", "vars", "stack"];
/// What they see of a plan.
pub const PLAN_KEYS: [&str; 14] = [
    "stack",
    "workspace",
    "overlays",
    "intent",
    "is_switch",
    "target",
    "lost",
    "summary",
    "changes",
    "dangers",
    "allowed",
    "allowances",
    "replace",
    "drift",
];
/// What they see of its cost, in US dollars; null where it is not known.
pub const COST_KEYS: [&str; 3] = ["monthly", "hourly", "unknown"];
/// More policies are a mistake of whatever wrote them: each is evaluated for each plan.
const POLICIES_MAX: usize = 200;

/// Lowers the `policies` of the merged layers, or of one file.
pub fn policies(
    node: Option<&Node>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> FastMap<String, Policy> {
    let mut found = FastMap::default();
    let Some(map) = section(node, POLICIES, out) else { return found };
    for (name, it) in map {
        if out.len() > MISTAKES_MAX {
            break;
        }
        if found.len() == POLICIES_MAX {
            out.push(
                Diagnostic::error(DiagnosticCode::BadPolicy, "Too many policies")
                    .at(it.key, format!("`policies` takes at most {POLICIES_MAX}")),
            );
            break;
        }
        found.extend(policy(name, it, sources, out).map(|it| (it.name.clone(), it)));
    }
    found
}

fn policy(
    name: &str,
    entry: &MapEntry,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Option<Policy> {
    if !is_name(name) || is_taken(name) {
        out.push(
            Diagnostic::error(DiagnosticCode::BadName, "Invalid name")
                .at(entry.key, "a policy is named like a resource")
                .help("write lowercase letters, digits and `_`, and no word of the language"),
        );
    }
    let map = section(Some(&entry.node), name, out)?;
    unknown_keys(map, &POLICY_KEYS, "a policy", out);
    let (level, rule) = rule(map, entry.key, out)?;
    let in_switch = map.get("in_switch").map(|it| level_of(it, out));
    let rule = expression(rule, sources, out);
    let Some(message) = map.get("message") else {
        out.push(
            Diagnostic::error(DiagnosticCode::MissingKey, "Missing `message` key")
                .at(entry.key, "this policy has no `message`")
                .help("say what is wrong and what to do, for whoever wrote the change"),
        );
        return None;
    };
    let message = Terms { sources, out }.term(&message.node);
    if !matches!(message.shape, InstanceShape::Text(_) | InstanceShape::Expression(_))
        && !matches!(&message.shape, InstanceShape::Literal(it) if it.as_text().is_some())
    {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                .at(message.span, "`message` takes text"),
        );
    }
    let in_switch = in_switch.unwrap_or(PolicyLevel::Warn);
    let name = name.to_owned();
    Some(Policy { name, span: entry.key, level, in_switch, rule: rule?, message })
}

/// The level, and the node of its expression: one of the two keys.
fn rule<'a>(
    map: &'a Map,
    span: Span,
    out: &mut Vec<Diagnostic>,
) -> Option<(PolicyLevel, &'a Node)> {
    let wrong = |span, text: &str| {
        Diagnostic::error(DiagnosticCode::BadPolicy, "A policy has one rule")
            .at(span, text)
            .help("write `deny` or `warn`, with an expression that yields true or a list of what is wrong")
    };
    match (map.get("deny"), map.get("warn")) {
        (Some(it), None) => Some((PolicyLevel::Deny, &it.node)),
        (None, Some(it)) => Some((PolicyLevel::Warn, &it.node)),
        (Some(_), Some(it)) => {
            out.push(wrong(it.key, "it has `deny` and `warn`"));
            None
        }
        (None, None) => {
            out.push(wrong(span, "it has neither `deny` nor `warn`"));
            None
        }
    }
}

fn level_of(it: &MapEntry, out: &mut Vec<Diagnostic>) -> PolicyLevel {
    let levels = [PolicyLevel::Warn, PolicyLevel::Deny];
    let text = it.node.as_text().unwrap_or_default();
    levels.into_iter().find(|it| it.word() == text).unwrap_or_else(|| {
        out.push(
            Diagnostic::error(DiagnosticCode::NotOneOf, "Unknown level")
                .at(it.node.span, "`in_switch` takes warn or deny")
                .nearest(text, levels.map(PolicyLevel::word)),
        );
        PolicyLevel::Warn
    })
}

/// A scalar that is one expression.
fn expression(
    node: &Node,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Option<Arc<Expression>> {
    let before = out.len();
    match (Terms { sources, out }).term(node).shape {
        InstanceShape::Expression(it) => Some(it),
        _ if out.len() > before => None,
        _ => {
            out.push(
                Diagnostic::error(DiagnosticCode::BadPolicy, "Not an expression")
                    .at(node.span, "the rule of a policy is one expression")
                    .help(
                        "write it in quotes: '${plan.changes.filter(it, it.action == \"delete\")}'",
                    ),
            );
            None
        }
    }
}

/// Policies look at the plan, its cost, and variables that are no secrets; those of a project at none, since each stack has its own.
pub fn check_references(
    policies: &FastMap<String, Policy>,
    variables: Option<&BTreeMap<String, Variable>>,
    out: &mut Vec<Diagnostic>,
) {
    for policy in policies.values() {
        let mut all = vec![&policy.rule];
        expressions(&policy.message, &mut all);
        for expression in all {
            for path in expression.paths() {
                let span = expression.place(path.start, path.end);
                let root = &*path.root;
                let name = path.steps.first();
                match (root, name) {
                    ("plan", Some(Segment::Name(name))) => seen(&PLAN_KEYS, (root, name), span, out),
                    ("cost", Some(Segment::Name(name))) => seen(&COST_KEYS, (root, name), span, out),
                    ("stack", Some(Segment::Name(name))) => seen(&["name"], (root, name), span, out),
                    ("vars", Some(Segment::Name(name))) if let Some(all) = variables => {
                        variable(name, span, all, out);
                    }
                    ("vars", _) if variables.is_none() => out.push(
                        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
                            .at(span, "a policy of the project has no variables")
                            .help("each stack has its own: look at `plan`, or write the policy into the stack"),
                    ),
                    ("vars", _) => out.push(
                        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
                            .at(span, "a policy looks at one variable")
                            .help("write `vars.NAME`"),
                    ),
                    (root, _) if ROOTS.contains(&root) => {}
                    _ => out.push(
                        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
                            .at(span, format!("a policy cannot look at `{root}`"))
                            .help("it has `plan`, `cost`, `vars` and `stack.name`")
                            .nearest(root, ROOTS),
                    ),
                }
            }
        }
    }
}

/// One of the members that there are.
fn seen(known: &[&str], (root, name): (&str, &str), span: Span, out: &mut Vec<Diagnostic>) {
    if !known.contains(&name) {
        out.push(
            Diagnostic::error(DiagnosticCode::UnknownAttribute, "Unknown attribute")
                .at(span, format!("`{root}` has no `{name}`"))
                .help(format!("it has {}", known.join(", ")))
                .nearest(name, known.iter().copied()),
        );
    }
}

fn variable(
    name: &str,
    span: Span,
    variables: &BTreeMap<String, Variable>,
    out: &mut Vec<Diagnostic>,
) {
    match variables.get(name) {
        None => out.push(
            Diagnostic::error(DiagnosticCode::UnknownVariable, "Unknown variable")
                .at(span, format!("there is no variable `{name}`"))
                .nearest(name, variables.keys().map(String::as_str)),
        ),
        Some(it) if it.is_secret() => out.push(
            Diagnostic::error(DiagnosticCode::WrongReference, "A policy cannot read a secret")
                .at(span, format!("`{name}` is sensitive"))
                .help("what a policy says is shown in comments and logs"),
        ),
        Some(_) => {}
    }
}
