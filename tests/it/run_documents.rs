//! `--format json` of the commands that run steps: one document on stdout, whatever became of the run, and all else on stderr.

use lifeboat::store::state_store::StateStore;
use serde_json::Value;

use crate::harness::{Home, Output};
use crate::tasks::{DRILL, TO, site};

const JSON: [&str; 2] = ["--format", "json"];

/// Runs it for its document, which is all that stdout holds.
#[track_caller]
fn told(home: &Home, command: &[&str], code: i32) -> (Value, Output) {
    let output = home.sandbox(&[command, &JSON].concat()).code(code);
    let document = output.json();
    assert_eq!(document["format"], "lifeboat run", "{output}");
    assert_eq!(document["version"], 1);
    assert_eq!(document["command"], command[0]);
    assert_eq!(document["exit"]["code"], code, "{output}");
    (document, output)
}

/// The steps with this result, as `address: call`.
fn steps(document: &Value, result: &str) -> Vec<String> {
    let all = document["steps"].as_array().unwrap().iter();
    let those = all.filter(|it| it["result"] == result);
    those.map(|it| format!("{}: {}", it["address"], it["call"]).replace('"', "")).collect()
}

#[test]
fn runs_tell_as_json_what_they_did() {
    let home = site("  note: { on: [planned], exec: [./note.sh], in_drill: skip }\n");
    let (document, output) = told(&home, &TO, 0);
    assert_eq!(document["stack"], "site");
    assert_eq!(document["target"], "sandbox");
    assert_eq!(document["switch"], serde_json::json!({ "from": [], "to": ["eu"] }));
    assert_eq!((&document["phase"], &document["users"]), (&"settled".into(), &"moved".into()));
    assert_eq!(document["exit"]["reason"], "done");
    assert!(steps(&document, "done").contains(&"www: update".to_owned()), "{output}");
    assert!(steps(&document, "done").contains(&"note: run task".to_owned()), "{output}");
    assert!(document["plan"].as_str().unwrap().starts_with("sha256:"));
    output.says(&["1 to update", "www: updated target", "applied: "]).done();
    let reports = home.sandbox(&["reports", "site", "--format", "json"]).code(0);
    let mut kept = reports.json()["reports"][0].clone();
    kept.as_object_mut().unwrap().remove("name");
    assert_eq!(document["report"], kept, "the report is the one that is kept");
    reports.done();
    let (again, output) = told(&home, &TO, 0);
    assert_eq!((&again["users"], &again["report"]), (&"stayed".into(), &Value::Null));
    assert_eq!(again["steps"].as_array().unwrap().len(), 0);
    output.says(&["already active"]).done();
    let (back, _) = told(&home, &["failback", "site", "--yes"], 0);
    assert_eq!((&back["users"], &back["report"]["kind"]), (&"moved".into(), &"failback".into()));
    let (applied, _) = told(&home, &["apply", "site", "--yes"], 0);
    assert_eq!((&applied["users"], &applied["phase"]), (&Value::Null, &"settled".into()));
    let (destroyed, output) = told(&home, &["destroy", "site", "--yes"], 0);
    assert!(steps(&destroyed, "done").contains(&"zone: delete".to_owned()), "{output}");
    output.says(&["destroyed: "]).done();
}

#[test]
fn drill_tells_as_json_each_part_of_it() {
    let home = site("");
    home.overlay("site", "drill", DRILL);
    let (document, output) = told(&home, &["drill", "site", "--to", "drill", "--yes"], 0);
    assert_eq!(document["stack"], "site@drill");
    assert_eq!((&document["phase"], &document["users"]), (&"settled".into(), &"moved".into()));
    assert_eq!(document["report"]["kind"], "drill");
    let of = |part: &str, call: &str| {
        let steps = document["steps"].as_array().unwrap().iter();
        steps.filter(|it| it["part"] == part && it["call"] == call).count()
    };
    assert!(of("apply", "create") > 1 && of("switch", "update") == 1, "{output}");
    assert_eq!(of("cleanup", "delete"), of("apply", "create"), "{output}");
    assert_eq!(document["remaining"], serde_json::json!([]));
    output.says(&["Finally, in any case", "no resources remain"]).done();
    let (cleaned, output) =
        told(&home, &["drill", "site", "--to", "drill", "--cleanup", "--yes"], 0);
    assert_eq!(cleaned["report"], Value::Null, "{output}");
}

/// Users are safe and a part of the capacity is missing: exit 1, and each step says why it failed.
#[test]
fn failover_that_ends_degraded_tells_as_json_what_failed() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    home.fault("POST /linode/instances 503 times=100000");
    let failover = ["failover", "woocommerce", "--to", "failover_eu", "--yes"];
    let (document, output) = told(&home, &failover, 1);
    assert_eq!((&document["phase"], &document["users"]), (&"degraded".into(), &"moved".into()));
    assert_eq!(document["exit"]["reason"], "failed");
    assert_eq!(document["lost"], serde_json::json!(["aws:us-east-1", "linode:us-east"]));
    assert!(steps(&document, "done").contains(&"shop: update".to_owned()), "{output}");
    let failed = document["steps"].as_array().unwrap().iter().find(|it| it["result"] == "failed");
    let failed = failed.unwrap_or_else(|| panic!("{output}"));
    assert_eq!(failed["call"], "create");
    let why = document["exit"]["why"].as_str().unwrap();
    assert!(why.starts_with("standby[1]: create failed: ") && why.contains("503"), "{output}");
    assert!(failed["why"].as_str().unwrap().contains("503"), "{output}");
    assert!(!steps(&document, "not done").is_empty(), "{output}");
    assert_eq!(document["report"]["phase"], "degraded", "{output}");
    output.says(&["degraded: users have moved"]).done();
}

#[test]
fn refused_runs_tell_as_json_why() {
    let home =
        site("  note: { on: [planned], exec: [./no.sh], in_drill: { exec: [./note.sh] } }\n");
    home.log_requests();
    // Mistakes, each with its place.
    let (document, _) = told(&home, &TO, 1);
    let problem = &document["problems"][0];
    assert_eq!(problem["code"], "program_missing", "{document}");
    assert!(
        problem["places"][0].as_str().unwrap().starts_with("stacks/site/stack.yaml:9"),
        "{problem}"
    );
    assert_eq!((&document["users"], &document["phase"]), (&"not moved".into(), &"settled".into()));
    assert_eq!(document["exit"]["reason"], "failed");
    // A guard.
    let same = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
    home.stack("site", same.replace("./no.sh", "./note.sh"));
    home.overlay("site", "drill", DRILL);
    let (document, _) = told(&home, &["drill", "site", "--to", "drill", "--yes"], 3);
    assert_eq!(document["problems"][0]["code"], "drill_acts_on_plain", "{document}");
    assert_eq!(
        (&document["exit"]["reason"], &document["users"]),
        (&"refused".into(), &Value::Null)
    );
    // What was asked for.
    let (document, _) = told(&home, &["apply", "site", "-o", "eu", "--yes"], 3);
    let exit = &document["exit"];
    assert!(exit["why"].as_str().unwrap().contains("this apply would switch to eu"), "{exit}");
    assert!(exit["help"].as_str().unwrap().contains("--to eu --planned --sandbox`"), "{exit}");
    home.requests().mutating().none();
}

const NOTHING: &str = "stack: site
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
";

/// Nobody can be asked: the exit code stays, and stdout holds a document that says so.
#[test]
fn runs_without_a_terminal_and_without_yes_end_with_64_and_say_so_as_json() {
    let home = site("");
    home.overlay("site", "drill", DRILL);
    for command in [
        &["apply", "site"][..],
        &["destroy", "site"],
        &["failover", "site", "--to", "eu", "--planned"],
        &["drill", "site", "--to", "drill"],
        &["failback", "site"],
    ] {
        if command[0] == "failback" {
            let away = ["failover", "site", "--to", "eu", "--planned", "--yes"];
            home.sandbox(&away).code(0).done();
        }
        let before = home.shown();
        let (document, output) = told(&home, command, 64);
        assert_eq!(document["exit"]["reason"], "usage");
        let help = document["exit"]["help"].as_str().unwrap();
        assert!(help.contains("--yes"), "{output}");
        let preview = match command[0] {
            "apply" => "`lifeboat plan site --sandbox`",
            "destroy" => "`lifeboat state list site --sandbox`",
            _ => "",
        };
        assert!(help.contains(preview), "{output}");
        // What a switch would do no other command shows: it is part of the document.
        let is_planned = document["plan"].is_string();
        assert_eq!(is_planned, matches!(command[0], "failover" | "failback" | "drill"), "{output}");
        output.says(&["cannot prompt for approval"]).done();
        assert_eq!(home.shown(), before);
    }
    // Home may have overlays of its own: the plan that is shown has them as well.
    let home = Home::holding("site", NOTHING);
    home.overlay("site", "prod", "overlay: prod\n");
    home.overlay("site", "eu", "overlay: eu\n");
    home.sandbox(&["apply", "site", "-o", "prod", "--yes"]).code(0).done();
    let failover = ["failover", "site", "--to", "eu", "--planned"];
    home.sandbox(&failover).code(64).shows(&["switch prod → prod + eu"]).done();
    let (document, output) = told(&home, &["failover", "site"], 64);
    let why = document["exit"]["why"].as_str().unwrap();
    assert_eq!(why, "every fault domain answers; nothing was changed", "{output}");
}

/// Before any step a signal changes nothing, gives the lease back, and ends in a document like every other end.
#[test]
fn signal_before_any_step_leaves_a_document_and_no_lease() {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    home.lose("aws:us-east-1");
    let lease = StateStore::new(&home.state_folder("woocommerce"));
    let is_held = || lease.lease_status().unwrap().is_some_and(|it| it.is_alive);
    let arguments = ["apply", "woocommerce", "--yes", "--sandbox", "--format", "json"];
    let mut running = home.start(&arguments);
    assert!(running.until(is_held), "what is silent is waited for with the lease");
    running.signal("TERM");
    let output = running.end().code(143);
    let document = output.json();
    assert_eq!(document["exit"]["reason"], "interrupted", "{output}");
    assert_eq!(document["exit"]["why"], "a signal stopped it before any step", "{output}");
    assert!(!is_held(), "{output}");
    output.says(&["SIGTERM received: stopped before any step"]).done();
}

/// A name that is a slip is no switch and no workspace.
#[test]
fn apply_and_destroy_refuse_names_that_do_not_exist() {
    let home = site("");
    home.overlay("site", "drill", DRILL);
    let (document, _) = told(&home, &["apply", "site", "-o", "euu", "--yes"], 1);
    let exit = &document["exit"];
    assert!(exit["why"].as_str().unwrap().contains("the overlay `euu` does not exist"), "{exit}");
    assert_eq!(exit["help"], "did you mean `eu`?");
    let (document, _) = told(&home, &["destroy", "site@dril", "--yes"], 1);
    let exit = &document["exit"];
    assert!(exit["why"].as_str().unwrap().contains("the workspace `dril` of site"), "{exit}");
    assert_eq!(exit["help"], "did you mean `site@drill`?");
    let (_, nothing_there) = told(&home, &["destroy", "site@drill", "--yes"], 0);
    nothing_there.done();
}

/// The switch of a drill whose cleanup fails has moved its users: that something is left is another matter.
#[test]
fn drill_whose_cleanup_fails_reports_the_switch_that_it_rehearsed() {
    let home = site("");
    home.overlay("site", "drill", DRILL);
    home.fault("DELETE /nodebalancers 500 times=100000");
    let (document, output) = told(&home, &["drill", "site", "--to", "drill", "--yes"], 1);
    assert_eq!(document["users"], "moved", "{output}");
    assert_eq!(document["report"]["phase"], "degraded", "{output}");
    assert!(!output.stderr.contains("users have not all moved"), "{output}");
    output
        .says(&["incomplete: the switch was rehearsed, and something of the drill is left"])
        .done();
}

#[test]
fn validate_tells_as_json_what_is_wrong_where() {
    let home = site("");
    let good = home.run(&["validate", "site", "--format", "json"]).code(0).json();
    assert_eq!((&good["format"], &good["version"]), (&"lifeboat validate".into(), &1.into()));
    assert_eq!((&good["valid"], &good["problems"]), (&true.into(), &serde_json::json!([])));
    assert!(good["resources"].as_u64() > Some(0), "{good}");
    let same = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
    home.stack("site", format!("{same}resourcse: {{}}\n"));
    let bad = home.run(&["validate", "site", "-o", "eu", "--format", "json"]).code(1).json();
    assert_eq!((&bad["valid"], &bad["resources"]), (&false.into(), &Value::Null));
    assert_eq!(bad["overlays"], serde_json::json!(["eu"]));
    let problem = &bad["problems"][0];
    assert!(problem["places"][0].as_str().unwrap().starts_with("stacks/site/stack.yaml:"), "{bad}");
    let none = home.run(&["validate", "nope", "--format", "json"]).code(1).json();
    assert!(
        none["problems"][0]["text"].as_str().unwrap().contains("`nope` does not exist"),
        "{none}"
    );
}
