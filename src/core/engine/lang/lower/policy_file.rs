//! Lowers a file of policies: what holds for every stack of a project, with tests of it.

use crate::engine::fast_map::FastMap;
use crate::engine::lang::lower::policies::{COST_KEYS, PLAN_KEYS, POLICIES, policies};
use crate::engine::lang::lower::resources::{section, unknown_keys};
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::Policy;
use crate::engine::lang::yaml::node::{Data, Node};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};
use crate::engine::value::Value;

const FILE_KEYS: [&str; 3] = ["description", POLICIES, "tests"];
const TEST_KEYS: [&str; 5] = ["name", "plan", "plan_file", "cost", "expect"];
/// More tests are a mistake of whatever wrote them.
const TESTS_MAX: usize = 1_000;

/// What one file says.
#[derive(Debug, Default)]
pub struct PolicyFile {
    pub policies: FastMap<String, Policy>,
    pub tests: Vec<PolicyTest>,
}

/// A plan, and which policies of the file speak of it.
#[derive(Debug)]
pub struct PolicyTest {
    pub name: String,
    pub span: Span,
    pub plan: TestedPlan,
    /// As `cost` is seen; `None`: nothing that is billed changes.
    pub cost: Option<Value>,
    pub expect: Vec<(String, Span)>,
}

/// The plan of a test.
#[derive(Debug)]
pub enum TestedPlan {
    /// As much of it as the policies look at.
    Written(Value),
    /// What `plan --out` wrote, beside the file of the policies.
    File(String, Span),
}

/// Reads a file of policies.
pub fn policy_file(node: &Node, sources: &Sources, out: &mut Vec<Diagnostic>) -> PolicyFile {
    let Some(map) = section(Some(node), "a file of policies", out) else {
        return PolicyFile::default();
    };
    unknown_keys(map, &FILE_KEYS, "a file of policies", out);
    let policies = policies(map.get(POLICIES).map(|it| &it.node), sources, out);
    let tests = map.get("tests").map(|it| tests(&it.node, out)).unwrap_or_default();
    for test in &tests {
        for (name, span) in test.expect.iter().filter(|(it, _)| !policies.contains_key(it)) {
            out.push(
                Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown policy")
                    .at(*span, format!("this file has no policy `{name}`"))
                    .nearest(name, policies.keys().map(String::as_str)),
            );
        }
    }
    PolicyFile { policies, tests }
}

fn tests(node: &Node, out: &mut Vec<Diagnostic>) -> Vec<PolicyTest> {
    let Data::List(items) = &node.data else {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "`tests` must be a list")
                .at(node.span, format!("this is {}", node.word()))
                .help("write `tests: [{ name: …, plan: { changes: […] }, expect: [POLICY] }]`"),
        );
        return Vec::new();
    };
    if items.len() > TESTS_MAX {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongLength, "Too many tests")
                .at(node.span, format!("`tests` takes at most {TESTS_MAX}")),
        );
        return Vec::new();
    }
    items.iter().filter_map(|it| test(it, out)).collect()
}

fn test(node: &Node, out: &mut Vec<Diagnostic>) -> Option<PolicyTest> {
    let map = section(Some(node), "a test", out)?;
    unknown_keys(map, &TEST_KEYS, "a test", out);
    let missing = |key: &str| {
        Diagnostic::error(DiagnosticCode::MissingKey, format!("Missing `{key}` key"))
            .at(node.span, format!("this test has no `{key}`"))
    };
    let text =
        |key: &str| Some((map.get(key)?.node.as_text()?.to_owned(), map.get(key)?.node.span));
    let name = text("name");
    let plan = match (map.get("plan"), text("plan_file")) {
        (Some(it), None) => {
            Some(TestedPlan::Written(written(&it.node, (&PLAN_KEYS, "a plan"), out)))
        }
        (None, Some((path, span))) => Some(TestedPlan::File(path, span)),
        _ => None,
    };
    for (key, is_there) in [("name", name.is_some()), ("expect", map.contains_key("expect"))] {
        if !is_there {
            out.push(missing(key));
        }
    }
    if plan.is_none() {
        out.push(
            Diagnostic::error(DiagnosticCode::BadPolicy, "A test has one plan")
                .at(node.span, "it takes either `plan` or `plan_file`")
                .help("`plan` holds what the policies look at; `plan_file` names what `plan --out` wrote"),
        );
    }
    let cost = map.get("cost").map(|it| written(&it.node, (&COST_KEYS, "a cost"), out));
    let expect = texts(&map.get("expect")?.node, "expect", out);
    Some(PolicyTest { name: name?.0, span: node.span, plan: plan?, cost, expect })
}

fn written(node: &Node, (known, what): (&[&str], &str), out: &mut Vec<Diagnostic>) -> Value {
    if let Some(map) = section(Some(node), what, out) {
        unknown_keys(map, known, what, out);
    }
    node.value()
}
