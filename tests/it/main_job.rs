//! The main job as people type it: apply, plan, save, show, apply the saved plan, switch, explain, destroy; a process each.

use std::process::{Command, Stdio};

use crate::harness::Home;

#[test]
fn apply_to_destroy_takes_a_shop_through_its_whole_life() {
    let home = Home::woocommerce();
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"]).code(2).done();
    assert!(home.is_untouched(), "a plan writes nothing");

    let apply = home.sandbox(&["apply", "woocommerce", "--yes"]).code(0);
    assert!(apply.stdout.contains("url = http://shop.example.com/"), "{apply}");
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"])
        .code(0)
        .shows(&["No changes"])
        .done();

    let layers = ["plan", "woocommerce", "-o", "scale_up"];
    let place = line_of("stacks/woocommerce/overlays/scale_up.yaml", "web: {");
    let plan = home.sandbox(&[&layers[..], &["--detailed-exitcode"]].concat()).code(2);
    plan.shows(&["web[2]", "web[0]", &format!("overlays/scale_up.yaml:{place}")]).done();
    home.sandbox(&[&layers[..], &["--out", "p.json"]].concat())
        .code(0)
        .says(&["lifeboat apply p.json"])
        .done();

    dresses(&home);
    refused_switch(&home);
    home.sandbox(&["apply", "p.json", "--yes"]).code(0).done();
    home.sandbox(&["apply", "p.json", "--yes"]).code(3).says(&["stale", "plan"]).done();
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"])
        .code(0)
        .shows(&["No changes"])
        .done();
    home.sandbox(&["explain", "woocommerce", "web[0].user_data"])
        .code(0)
        .shows(&["files/cloud-init.yaml", "stacks/woocommerce/stack.yaml:"])
        .done();

    let destroy = home.sandbox(&["destroy", "woocommerce", "--yes"]).code(0);
    destroy.says(&["products", "dynamodb.table"]).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
    home.run(&["sandbox", "show"]).code(0).shows(&["the sandbox is empty"]).done();
}

fn line_of(file: &str, start: &str) -> usize {
    let text = std::fs::read_to_string(crate::harness::repository().join(file)).unwrap();
    let at = text.lines().position(|it| it.trim_start().starts_with(start));
    at.unwrap() + 1
}

/// One plan in four dresses.
fn dresses(home: &Home) {
    home.run(&["show", "p.json"]).code(0).shows(&["web[2]"]).done();
    let cut = ["show", "p.json", "--format", "markdown", "--max-bytes", "60000"];
    let markdown = home.run(&cut).code(0).shows(&["web[2]", "```diff\n"]);
    assert!(markdown.stdout.len() <= 60_000);
    let json = home.run(&["show", "p.json", "--format", "json"]).code(0);
    let saved = std::fs::read_to_string(home.path("p.json")).unwrap();
    assert_eq!(json.stdout, saved, "the JSON dress is the saved plan");
    home.run(&["show", "p.json", "--format", "html"])
        .code(0)
        .shows(&["<!doctype html>", "web[2]"])
        .done();
}

/// Another overlay than the active one is a switch, and a switch is asked for.
fn refused_switch(home: &Home) {
    let before = home.shown();
    home.sandbox(&["apply", "woocommerce", "-o", "scale_up", "--yes"])
        .code(3)
        .says(&["is active, and this apply would switch to scale_up", "--switch"])
        .done();
    assert_eq!(home.shown(), before, "nothing was changed");
}

#[test]
fn validate_render_and_graph_work_without_a_world() {
    let home = Home::woocommerce();
    home.run(&["validate", "woocommerce"]).code(0).says(&["is valid"]).done();
    home.run(&["validate", "woocommerce", "-o", "scale_up"]).code(0).says(&["scale_up"]).done();
    home.run(&["validate", "stacks/woocommerce"]).code(0).done();
    home.run(&["render", "woocommerce", "-o", "scale_up"])
        .code(0)
        .shows(&["g6-standard-4", "leastconn"])
        .done();
    let graph = home.run(&["graph", "woocommerce"]).code(0);
    graph.shows(&["digraph", "lb_node[0]", "->"]).done();
    let kinds = home.run(&["kinds"]).code(0).shows(&["linode.instance", "dynamodb.replica"]);
    for line in kinds.stdout.lines() {
        let kind = line.split_whitespace().next().unwrap();
        home.run(&["kinds", kind]).code(0).shows(&[kind, "Attributes:", "Example:"]).done();
    }
    let page = home.run(&["kinds", "linode.instance"]).code(0);
    page.shows(&["decreasing it forces replacement: Linode does not shrink a disk"]).done();
    home.run(&["kinds", "linode.instanc"])
        .code(1)
        .says(&["did you mean `linode.instance`?"])
        .done();
    assert!(home.run(&["schema"]).code(0).json().is_object());
    home.run(&["completions", "bash"]).code(0).shows(&["lifeboat"]).done();
    home.run(&["man"]).code(0).shows(&[".TH"]).done();
    assert!(home.is_untouched());
}

#[test]
fn init_makes_a_stack_that_runs_at_once() {
    let home = Home::new();
    let init = home.run(&["init", "new"]).code(0);
    let next: Vec<&str> = init.stdout.lines().filter(|it| it.starts_with("lifeboat")).collect();
    assert_eq!(next.len(), 3, "{init}");
    for command in next {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        home.run(&[&["-C", "new"], words.as_slice()].concat()).code(0).done();
    }
    home.run(&["init", "new"]).code(1).says(&["already exists", "nothing was written"]).done();
}

#[test]
fn apply_without_a_terminal_or_yes_is_a_usage_error() {
    let home = Home::woocommerce();
    for command in ["apply", "destroy"] {
        home.sandbox(&[command, "woocommerce"]).code(64).says(&["not a terminal", "--yes"]).done();
    }
    home.run(&["plan"]).code(64).says(&["STACK"]).done();
    home.run(&["fly"]).code(64).done();
    home.run(&["plan", "woocommerce", "--var", "x"]).code(64).says(&["NAME=VALUE"]).done();
    home.run(&["--version"]).code(0).shows(&["lifeboat"]).done();
    assert!(home.is_untouched());
}

#[test]
fn plan_and_kinds_do_not_panic_when_their_reader_goes_away() {
    let home = Home::woocommerce();
    for command in [&["plan", "woocommerce", "--sandbox"][..], &["kinds"], &["schema"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(command)
            .current_dir(home.path(""))
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
        assert_eq!(output.status.code(), Some(0), "{command:?}: {stderr}");
    }
}

#[test]
fn plan_uses_the_sandbox_when_the_environment_says_so() {
    let mut home = Home::woocommerce();
    home.set("LIFEBOAT_SANDBOX", "1");
    home.run(&["plan", "woocommerce", "--detailed-exitcode"]).code(2).done();
    home.set("LIFEBOAT_SANDBOX", "0");
    home.run(&["plan", "woocommerce"]).code(1).says(&["--sandbox"]).done();
}

#[test]
fn explain_shows_the_order_of_variables_and_suggests_names() {
    let mut home = Home::woocommerce();
    let origin = |home: &Home, more: &[&str], value: &str| {
        let explain = ["explain", "woocommerce", "zone.domain"];
        home.sandbox(&[&explain, more].concat()).code(0).shows(&[value]).done();
    };
    origin(&home, &[], "example.com");
    home.set("LIFEBOAT_VAR_domain", "environment.example.com");
    home.write("vars.yaml", "domain: file.example.com\n");
    origin(&home, &[], "environment.example.com");
    origin(&home, &["--var-file", "vars.yaml"], "file.example.com");
    let both = ["--var-file", "vars.yaml", "--var", "domain=flag.example.com"];
    origin(&home, &both, "flag.example.com");
    home.run(&["validate", "woocommerc"]).code(1).says(&["did you mean `woocommerce`?"]).done();
    home.run(&["validate", "woocommerce", "-o", "scale"])
        .code(1)
        .says(&["did you mean `scale_up`?"])
        .done();
    home.run(&["plan", "woocommerce", "--sandbox", "-o", "p.json"])
        .code(1)
        .says(&["did you mean --out?"])
        .done();
    home.run(&["validate", "woocommerce", "--var", "domian=x"])
        .code(1)
        .says(&["did you mean `domain`?"])
        .done();
}

/// Law 9: not in a plan, not in state or its journal, not on the screen.
#[test]
fn apply_leaves_no_secret_in_plan_state_or_output() {
    const SECRET: &str = "correct-horse-battery-9";
    let stack = "stack: safe
variables: { password: { type: string, sensitive: true } }
resources:
  web:
    kind: linode.instance
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: safe-web
    root_pass: '${vars.password}'
    user_data: 'password: ${vars.password}'
outputs: { password: '${vars.password}' }
";
    let mut home = Home::holding("safe", stack);
    home.set("LIFEBOAT_VAR_password", SECRET);
    let runs = [
        home.sandbox(&["plan", "safe", "--out", "p.json"]).code(0),
        home.run(&["show", "p.json", "--format", "html"]).code(0),
        home.run(&["show", "p.json", "--format", "markdown"]).code(0),
        home.sandbox(&["apply", "safe", "--yes"]).code(0),
        home.sandbox(&["plan", "safe", "--detailed-exitcode"]).code(0),
        home.sandbox(&["explain", "safe", "web.root_pass"]).code(0),
        home.sandbox(&["explain", "safe", "web.user_data"]).code(0),
        home.run(&["render", "safe"]).code(0),
        home.sandbox(&["state", "show", "safe", "web"]).code(0),
        home.sandbox(&["state", "log", "safe", "--entries"]).code(0),
        home.sandbox(&["state", "pull", "safe"]).code(0),
        home.sandbox(&["plan", "safe", "--var", "password=another-secret-77"]).code(0),
    ];
    for run in &runs {
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(!text.contains(SECRET) && !text.contains("another-secret"), "{run}");
    }
    let changed =
        home.sandbox(&["plan", "safe", "--detailed-exitcode", "--var", "password=other-secret-1"]);
    changed.code(2).shows(&["root_pass", "(sensitive)"]).done();
    let mut kept = vec![home.path("p.json")];
    kept.extend(everything(&home.path("state/sandbox/states")));
    assert!(kept.len() > 2, "{kept:?}");
    for file in kept {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(SECRET), "{} holds the secret", file.display());
    }
}

fn everything(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.flat_map(|it| if it.is_dir() { everything(&it) } else { vec![it] }).collect()
}

/// Nodes are named after their machines: they must not see the name that a replacement has for a while.
#[test]
fn apply_of_a_new_revision_replaces_every_machine() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.sandbox(&["apply", "woocommerce", "--yes", "--var", "revision=v2"]).code(0).done();
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"])
        .code(0)
        .shows(&["No changes"])
        .done();
    home.sandbox(&["destroy", "woocommerce", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// Linode enlarges a machine in place and does not shrink it: the way back makes smaller ones beside the large ones.
#[test]
fn failback_makes_the_shop_as_small_as_before() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let sale = ["apply", "woocommerce", "-o", "scale_up", "--switch", "--yes"];
    home.sandbox(&sale).code(0).shows(&["web[0] linode.instance: type differs"]).done();
    let place = line_of("stacks/woocommerce/stack.yaml", "type: '${vars.plan}'");
    let why = format!("stack.yaml:{place}, forces replacement: Linode does not shrink a disk");
    home.sandbox(&["failback", "woocommerce", "--yes"])
        .code(0)
        .shows(&["switch scale_up → base", "2 to replace", &why])
        .done();
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"]).code(0).done();
    let world = home.world.show().unwrap();
    let machines = world["linode"]["instances"].as_array().unwrap();
    let plans: Vec<_> = machines.iter().map(|it| &it["type"]).collect();
    assert_eq!(plans, ["g6-standard-2"; 3], "two at home and one on standby");
}

/// What was allowed when a plan was saved need not be allowed again; what was not allowed stays refused.
#[test]
fn apply_of_a_saved_plan_keeps_what_was_allowed() {
    let home = Home::woocommerce();
    home.overlay("woocommerce", "lean", "overlay: lean\nresources: { sessions_eu: null }\n");
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let plan = ["plan", "woocommerce", "-o", "lean", "--out", "lean.json"];
    home.sandbox(&plan).code(3).says(&["cannot be applied"]).done();
    home.sandbox(&["apply", "lean.json", "--yes"]).code(3).done();
    home.sandbox(&[&plan[..], &["--allow-delete", "sessions_eu"]].concat()).code(0).done();
    home.sandbox(&["apply", "lean.json", "--yes"]).code(0).done();
}

/// Neither a full disk nor a reader that went away may look like success to a script.
#[test]
fn kinds_fails_when_its_data_cannot_be_written() {
    let home = Home::woocommerce();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["kinds"])
        .current_dir(home.path("."))
        .stdout(Stdio::from(full))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
