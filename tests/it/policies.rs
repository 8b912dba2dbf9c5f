//! `policies`: rules of a stack and of the project over plans, and `policy test`.

use crate::harness::Home;

const STACK: &str = "stack: safe
variables:
  most: { type: int, default: 1 }
policies:
  few:
    deny: '${plan.summary.create > vars.most}'
    message: 'at most ${vars.most} at once in ${stack.name}'
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  mail: { kind: linode.domain, domain: example.org, soa_email: ops@example.org }
";

const PROJECT: &str = "policies:
  com_only:
    deny: '${plan.changes.filter(it, it.action != \"delete\" && !it.after.domain.endsWith(\".com\"))}'
    message: 'only .com'
  spends:
    warn: '${cost.monthly > 0}'
    message: '${cost.monthly} a month'
";

#[test]
fn apply_is_refused_by_a_policy_of_the_stack_before_any_call() {
    let home = Home::holding("safe", STACK);
    home.log_requests();
    let said =
        ["[policy_denies]: policy `few`: at most 1 at once in safe", "stacks/safe/stack.yaml:5"];
    home.sandbox(&["plan", "safe"]).code(3).shows(&said).done();
    home.sandbox(&["apply", "safe", "--yes"]).code(3).shows(&said).done();
    home.requests().mutating().none();
    home.sandbox(&["apply", "safe", "--yes", "--var", "most=2"]).code(0).done();
}

#[test]
fn apply_is_refused_by_a_policy_of_the_project_that_names_what_is_wrong() {
    let home = Home::holding("safe", STACK.replace("default: 1", "default: 9"));
    home.write("policies/names.yaml", PROJECT);
    home.sandbox(&["apply", "safe", "--yes"])
        .code(3)
        .shows(&["policy `com_only`: only .com (mail)", "policies/names.yaml:2"])
        .done();
    home.write(
        "policies/names.yaml",
        "policies: { x: { deny: '${plan.intent == \"destroy\"}', message: never } }\n",
    );
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.sandbox(&["destroy", "safe", "--yes"]).code(3).shows(&["policy `x`: never"]).done();
}

#[test]
fn validate_names_what_is_wrong_with_policies_where_it_stands() {
    let home = Home::holding("safe", STACK);
    home.write(
        "policies/a.yaml",
        "policies:
  few: { deny: '${true}', message: again }
  typo: { deny: '${plan.chnages.size() > 0}', message: no }
  both: { deny: '${true}', warn: '${true}', message: no }
  neither: { message: no }
  plain: { deny: true, message: no }
  silent: { deny: '${true}' }
  vars: { deny: '${vars.most > 1}', message: no }
  web: { deny: '${web.label == \"x\"}', message: no }
  late: { deny: '${true}', in_switch: perhaps, message: no }
",
    );
    let said = home.run(&["validate", "safe"]).code(1);
    insta::assert_snapshot!(said.stderr);
    home.write("policies/a.yaml", "policies: [");
    home.run(&["validate", "safe"]).code(1).says(&["policies/a.yaml:1"]).done();
    home.write("policies/a.yaml", "policies: {}\n");
    home.run(&["validate", "safe"]).code(0).done();
    home.write("policies/b.yml", "policies: {}\n");
    home.run(&["validate", "safe"]).code(1).says(&["policies/b.yml", "end with .yaml"]).done();
}

#[test]
fn plan_of_what_cannot_be_evaluated_is_refused() {
    let home = Home::holding("safe", STACK);
    home.write(
        "policies/a.yaml",
        "policies: { x: { deny: '${plan.changes.exists(it, it.after.region == \"x\")}', message: no } }\n",
    );
    home.sandbox(&["apply", "safe", "--yes", "--var", "most=2"])
        .code(3)
        .shows(&["policy `x` cannot be evaluated: `region` does not exist", "has(it.after.NAME)"])
        .done();
}

#[test]
fn failover_is_only_warned_by_a_policy_unless_that_says_so() {
    let overlay = "overlay: eu\nresources:\n  mail: { soa_email: eu@example.org }\n";
    let rule = "policies:\n  never: { deny: '${plan.summary.update > 0}', message: no updates }\n";
    let home = Home::holding("safe", STACK.replace("default: 1", "default: 9"));
    home.write("stacks/safe/overlays/eu.yaml", overlay);
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    let failover = ["failover", "safe", "--to", "eu", "--planned", "--yes"];
    home.write("policies/a.yaml", rule.replace("message", "in_switch: deny, message"));
    home.sandbox(&failover).code(3).shows(&["policy `never`: no updates"]).done();
    home.write("policies/a.yaml", rule);
    home.sandbox(&failover)
        .code(0)
        .shows(&["Warning [policy_warns]: policy `never`: no updates"])
        .done();
}

#[test]
fn policy_test_runs_what_stands_beside_the_policies() {
    let home = Home::holding("safe", STACK);
    home.run(&["policy", "test"]).code(1).says(&["there are no policies"]).done();
    home.write("policies/names.yaml", PROJECT);
    home.run(&["policy", "test"]).code(1).shows(&["no tests"]).done();
    home.sandbox(&["plan", "safe", "--out", "policies/plan.json"]).code(3).done();
    let tests = "tests:
  - name: a saved plan
    plan_file: plan.json
    expect: [com_only]
  - name: a wrong expectation
    plan: { changes: [{ address: a, after: { domain: example.com } }] }
    cost: { monthly: 3.5 }
    expect: [com_only]
  - name: what is not written
    plan: { changes: [{ address: a }] }
    expect: []
";
    home.write("policies/names.yaml", format!("{PROJECT}{tests}"));
    let printed = home.run(&["policy", "test"]).code(1);
    insta::assert_snapshot!(printed.stdout);
    let json =
        home.run(&["policy", "test", "--format", "json", "policies/names.yaml"]).code(1).json();
    assert_eq!(json["files"][0]["tests"][0]["passed"], true);
    assert_eq!(json["files"][0]["untested"], serde_json::json!(["spends"]));
    home.write(
        "policies/names.yaml",
        format!("{PROJECT}tests: [{{ name: x, plan: {{ chnages: [] }}, expect: [nobody] }}]\n"),
    );
    let said = ["`chnages`", "no policy `nobody`"];
    home.run(&["policy", "test"]).code(1).says(&said).done();
}

/// Who changes a policy has the plans reviewed again: the old ones were judged by other rules.
#[test]
fn apply_reviewed_takes_no_plan_that_other_policies_have_judged() {
    let home = Home::holding("safe", STACK.replace("default: 1", "default: 9"));
    home.write("policies/names.yaml", PROJECT);
    home.stack(
        "safe",
        STACK.replace("default: 1", "default: 9").replace("example.org", "example.com.com"),
    );
    home.sandbox(&["apply", "safe", "--yes"]).code(0).done();
    home.stack("safe", STACK.replace("default: 1", "default: 9"));
    home.write("policies/names.yaml", PROJECT.replace("deny", "warn"));
    home.sandbox(&["plan", "safe", "--store"]).code(0).says(&["stored for review"]).done();
    home.write("policies/names.yaml", PROJECT);
    home.sandbox(&["apply", "safe", "--reviewed"])
        .code(3)
        .says(&["no reviewed plan of the last 30 days was made from exactly these layers"])
        .done();
    home.write("policies/names.yaml", PROJECT.replace("deny", "warn"));
    home.sandbox(&["apply", "safe", "--reviewed"]).code(0).done();
}
