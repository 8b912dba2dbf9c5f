//! What switches took: the paragraph at their end, the reports beside the state, and what the next plan expects.

use serde_json::Value as Json;

use crate::harness::Home;

/// Two sites that both serve, and one record that names one of them.
const SITES: &str = "\
stack: shop
objectives: { rto: 30m, rpo: 1m }
resources:
  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: us-web, private_ip: true, authorized_users: [ops] }
  lb: { kind: linode.nodebalancer, region: us-east, label: site-us }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', check: http, check_path: /ok, check_timeout: 5 }
  node: { kind: linode.nodebalancer_node, config: '${http}', label: us-web, address: '${web.private_ipv4}:80' }
  web_eu: { kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, label: eu-web, private_ip: true, authorized_users: [ops] }
  lb_eu: { kind: linode.nodebalancer, region: eu-central, label: site-eu }
  http_eu: { kind: linode.nodebalancer_config, nodebalancer: '${lb_eu}', check: http, check_path: /ok, check_timeout: 5 }
  node_eu: { kind: linode.nodebalancer_node, config: '${http_eu}', label: eu-web, address: '${web_eu.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  record: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 100 }
";

/// The record is directed to the other site; what only home needs goes away.
pub(crate) const EU: &str = "\
assumes_lost: ['linode:us-east']
resources:
  more_eu: { kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, label: eu-more, private_ip: true, authorized_users: [ops] }
  node_more: { kind: linode.nodebalancer_node, config: '${http_eu}', label: eu-more, address: '${more_eu.private_ipv4}:80' }
  record: { target: '${lb_eu.ipv4}' }
";

pub(crate) fn shop() -> Home {
    let home = Home::holding("shop", SITES);
    home.overlay("shop", "eu", EU);
    home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
    home
}

/// The reports of the stack, the oldest first.
pub(crate) fn reports(home: &Home) -> Vec<Json> {
    let output = home.sandbox(&["reports", "shop", "--format", "json"]).code(0);
    let json: Json = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["version"], 2);
    json["reports"].as_array().unwrap().clone()
}

pub(crate) fn seconds(it: &Json) -> f64 {
    it.as_f64().unwrap_or_else(|| panic!("{it} is no number"))
}

/// All phases, which are the whole, up to their rounding.
pub(crate) fn add_up(report: &Json) {
    let phases = report["phases"].as_object().unwrap();
    let sum: f64 = phases.values().map(seconds).sum();
    let whole = report["ended_at"].as_i64().unwrap() - report["began_at"].as_i64().unwrap();
    let whole = f64::from(i32::try_from(whole).unwrap()) / 1_000.0;
    assert!((sum - whole).abs() < 0.4, "{report:#}");
}

#[test]
fn failover_and_failback_are_measured_and_reported() {
    let home = shop();
    let none = home.sandbox(&["reports", "shop"]).code(0);
    none.shows(&["shop has no reports, because no switch has been made yet"]).done();
    home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"])
        .code(0)
        .says(&[
            "failover of shop to eu: complete",
            "\n  prepare ",
            "\n  traffic ",
            // Linode stores 120 for 100.
            "\n  DNS caches         2 min  some users may be sent to base until 20",
            "\n  time to move all users: ",
            "; objective 30 min: met",
            "replication delay: not measured, the run had no replication gate; the objective is 1 min",
            "saved in state/sandbox/states/shop/reports/20",
        ])
        .done();
    home.sandbox(&["failback", "shop", "--yes"])
        .code(0)
        .says(&["failback of shop to base", "\n  drain "])
        .done();
    let all = reports(&home);
    assert_eq!(all.len(), 2);
    for report in &all {
        add_up(report);
        assert_eq!(report["dns_bound"], 120.0, "{report:#}");
        assert_eq!(
            (&report["planned"], &report["passed"], &report["complete"]),
            (&true.into(), &true.into(), &true.into())
        );
        let recovery = seconds(&report["shifted"]) + 120.0;
        assert!((seconds(&report["recovery"]) - recovery).abs() < 0.2, "{report:#}");
        assert_eq!(report["objectives"]["rto"]["verdict"], "met");
        assert_eq!(report["objectives"]["rpo"]["measured"], Json::Null);
    }
    let (failover, failback) = (&all[0], &all[1]);
    assert_eq!(
        (&failover["kind"], &failover["to"], &failover["from"]),
        (&"failover".into(), &serde_json::json!(["eu"]), &serde_json::json!([]))
    );
    assert_eq!((&failback["kind"], &failback["to"]), (&"failback".into(), &serde_json::json!([])));
    // The new instance is made, and then serves, before users are directed to it; nobody is sent home before 2 × 120 s are over.
    assert!(seconds(&failover["phases"]["prepare"]) > 10.0, "{failover:#}");
    // Counted from the reply of the update; until its end is durable, a busy machine takes seconds of this world.
    assert!(drained(failback) >= 230_000, "{failback:#}");
    in_three_dresses(&home, failover["name"].as_str().unwrap());
}

/// The milliseconds from the end of the record's update to the end of the wait for it: some of the 2 × TTL may pass in between.
fn drained(report: &Json) -> i64 {
    let ended = |call: &str| {
        let steps = report["steps"].as_array().unwrap().iter();
        let mut of_record = steps.filter(|it| it["address"] == "record" && it["call"] == call);
        of_record.next().unwrap()["ended_at"].as_i64().unwrap()
    };
    ended("drain gate") - ended("update")
}

fn in_three_dresses(home: &Home, name: &str) {
    let show = ["reports", "shop", name];
    home.sandbox(&show)
        .code(0)
        .shows(&[
            "failover of shop to eu: complete",
            "critical path (the steps that users waited for, one after another):",
            "create more_eu, ",
            "update record, ",
        ])
        .done();
    home.sandbox(&[&show[..], &["--format", "markdown"]].concat())
        .code(0)
        .shows(&[
            "## failover of shop to eu: complete",
            "| DNS caches | 2 min |",
            "| time to move all users | 30 min |",
            "| met |",
        ])
        .done();
    let json = home.sandbox(&[&show[..], &["--format", "json"]].concat()).code(0);
    let kept =
        std::fs::read_to_string(home.state_folder("shop").join(format!("reports/{name}.json")))
            .unwrap();
    assert_eq!(json.stdout, kept, "it is printed as it is kept");
    home.sandbox(&["reports", "shop"]).code(0).shows(&[name, "failback of shop to base"]).done();
    home.sandbox(&["reports", "shop", "--format", "markdown"])
        .code(0)
        .shows(&["| report |"])
        .done();
    let one = ["reports", "shop", "2"];
    home.sandbox(&one)
        .code(1)
        .says(&["the name `2` is ambiguous: 2 reports start with it", name])
        .done();
    let typo = name.replace("failover", "failovre");
    home.sandbox(&["reports", "shop", &typo]).code(1).says(&["did you mean", name]).done();
}

#[test]
fn reports_names_a_damaged_one_and_shows_the_others() {
    let home = shop();
    home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"]).code(0).done();
    let file = home.state_folder("shop").join("reports/20200101T000000Z-drill-eu.json");
    std::fs::write(&file, "{ \"version\": 1, \"kind\": ").unwrap();
    home.sandbox(&["reports", "shop"])
        .code(0)
        .shows(&["failover of shop to eu"])
        .says(&["warning: skipped state/sandbox/states/shop/reports/20200101T000000Z-drill-eu.json: it is not a report"])
        .done();
    home.sandbox(&["plan", "shop", "-o", "base"])
        .code(0)
        .says(&["skipped state/sandbox/states/shop/reports/20200101T000000Z-drill-eu.json"])
        .done();
    assert!(file.exists(), "it is left alone");
}

#[test]
fn failover_under_loss_counts_the_dns_bound_without_a_drain() {
    let home = shop();
    home.lose("linode:us-east");
    home.sandbox(&["failover", "shop", "--to", "eu", "--yes"])
        .code(0)
        .says(&["recovery time"])
        .done();
    let report = reports(&home).remove(0);
    add_up(&report);
    assert_eq!(
        (&report["planned"], &report["lost"]),
        (&false.into(), &serde_json::json!(["linode:us-east"]))
    );
    assert_eq!(report["dns_bound"], 120.0, "{report:#}");
    assert_eq!(report["phases"]["drain"], 0.0, "{report:#}");
}

/// A failover that is typed by a person looks itself, and waits neither for ever nor in the way of the run.
#[test]
fn failover_with_a_url_ends_its_report_with_the_first_good_answer() {
    let home = shop();
    home.lose("linode:us-east");
    let failover = ["failover", "shop", "--to", "eu", "--yes", "--url"];
    for wrong in ["shop.example.com", "tcp://shop.example.com:80"] {
        home.sandbox(&[&failover[..], &[wrong]].concat()).code(64).says(&["--url "]).done();
    }
    let url = "http://me:hush@shop.example.com/ok";
    let output = home.sandbox(&[&failover[..], &[url]].concat()).code(0);
    assert!(!output.stdout.contains("hush") && !output.stderr.contains("hush"), "{output}");
    output.says(&["\n  first good answer from outside: after "]).done();
    let report = reports(&home).remove(0);
    assert!(seconds(&report["answered"]) >= seconds(&report["shifted"]) - 0.1, "{report:#}");
    assert!(seconds(&report["answered"]) < seconds(&report["recovery"]), "{report:#}");
    assert!(!report["command"].as_str().unwrap().contains("hush"), "{report:#}");
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["failback", "shop", "--yes"]).code(0).done();
    // What never answers well fails nothing.
    let dead = ["--planned", "--url", "http://127.0.0.1:1/"];
    home.sandbox(&[&failover[..5], &dead].concat())
        .code(0)
        .says(&[
            "waiting up to 1 min for a healthy response from http://127.0.0.1:1/",
            "warning: no healthy response from http://127.0.0.1:1/ since users were moved: ",
            "failover of shop to eu: complete",
        ])
        .done();
    assert_eq!(reports(&home).pop().unwrap()["answered"], Json::Null);
}

/// Whoever finishes a switch whose users have moved looks at once, and what an earlier run has seen stays.
#[test]
fn failover_that_is_resumed_keeps_or_finds_the_first_good_answer() {
    for looks_first in [true, false] {
        let home = shop();
        home.lose("linode:us-east");
        home.fault("POST /linode/instances 503 times=100000");
        let failover = ["failover", "shop", "--to", "eu", "--yes"];
        let with_url = [&failover[..], &["--url", "http://shop.example.com/ok"]].concat();
        let first: &[&str] = if looks_first { &with_url } else { &failover };
        home.sandbox(first).code(1).says(&["degraded"]).done();
        home.world.heal(None).unwrap();
        home.world.end_faults().unwrap();
        home.lose("linode:us-east");
        home.sandbox(&with_url).code(0).says(&["first good answer from outside"]).done();
        let all = reports(&home);
        assert_eq!(all.len(), 2, "{all:#?}");
        let seen: Vec<Option<i64>> = all.iter().map(|it| it["answered_at"].as_i64()).collect();
        assert_eq!(seen[0].is_some(), looks_first, "{all:#?}");
        assert!(seen[1].is_some() && (!looks_first || seen[0] == seen[1]), "{seen:?}");
    }
}

#[test]
fn failover_that_fails_is_reported_and_resumed_from_its_begin() {
    let home = shop();
    home.run(&["sandbox", "fault", "unhealthy", "eu-web"]).code(0).done();
    home.run(&["sandbox", "fault", "unhealthy", "eu-more"]).code(0).done();
    home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"])
        .code(1)
        .says(&[
            "failover of shop to eu: incomplete",
            "\n  gate ",
            "time to move all users: not measured, traffic was not shifted; the objective is 30 min",
        ])
        .done();
    home.run(&["sandbox", "heal", "eu-web"]).code(0).done();
    home.run(&["sandbox", "heal", "eu-more"]).code(0).done();
    home.sandbox(&["apply", "shop", "--yes"])
        .code(0)
        .says(&["failover of shop to eu: complete", "\n  earlier "])
        .done();
    let all = reports(&home);
    assert_eq!(all.len(), 2);
    let (failed, resumed) = (&all[0], &all[1]);
    assert_eq!(
        (&failed["complete"], &failed["passed"], &failed["recovery"]),
        (&false.into(), &false.into(), &Json::Null)
    );
    assert!(seconds(&failed["phases"]["gate"]) > 250.0, "{failed:#}");
    assert_eq!(failed["began_at"], resumed["began_at"]);
    assert!(
        seconds(&resumed["recovery"]) > seconds(&failed["phases"]["gate"]) + 120.0,
        "{resumed:#}"
    );
    add_up(failed);
    add_up(resumed);
}

#[test]
fn plan_says_how_long_its_switch_takes_and_how_sure_that_is() {
    let home = shop();
    let plan = ["plan", "shop", "-o", "eu"];
    home.sandbox(&["plan", "shop"]).code(0).shows(&["No changes"]).done();
    home.sandbox(&plan)
        .code(0)
        .shows(&[
            "\nEstimated: ",
            "Estimated: traffic shifted after ",
            "(the TTL is 2 min)",
            "these are built-in defaults",
        ])
        .done();
    let switch = ["failover", "shop", "--to", "eu", "--planned", "--yes"];
    home.sandbox(&switch).code(0).shows(&["these are built-in defaults"]).done();
    home.sandbox(&["failback", "shop", "--yes"]).code(0).shows(&["\nEstimated: "]).done();
    let output =
        home.sandbox(&[&plan[..], &["--format", "json", "--out", "p.json"]].concat()).code(0);
    let json: Json = serde_json::from_str(&output.stdout).unwrap();
    let forecast = &json["envelope"]["forecast"];
    let all = forecast["steps"].as_u64().unwrap();
    assert!(all >= 2 && forecast["measured"] == all, "{forecast}");
    assert_eq!(forecast["shifted"]["dns_bound"], 120, "{forecast}");
    // Steps like these were made once on the way there: what is expected is about what it took. That switch was planned, so its
    // users waited for all that this one makes.
    let took = seconds(&reports(&home)[0]["shifted"]);
    let usual = seconds(&forecast["whole"]);
    assert!(usual > took / 3.0 && usual < took * 3.0, "{usual} is far from {took}");
    for format in ["text", "markdown", "html"] {
        home.run(&["show", "p.json", "--format", format])
            .code(0)
            .shows(&["Estimated: ", "depends"])
            .done();
    }
}

#[test]
fn drill_is_reported_for_the_overlay_that_it_rehearses() {
    let home = Home::woocommerce();
    // On a busy machine an item is looked for late, and the world's clock runs a hundred times as fast.
    let stack = std::fs::read_to_string(home.path("stacks/woocommerce/stack.yaml")).unwrap();
    let stack = stack.replace("rpo: 1m", "rpo: 4h");
    home.stack("woocommerce", stack.clone());
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.sandbox(&["audit", "woocommerce"]).shows(&["drill-never"]).done();
    let drill = ["drill", "woocommerce", "--to", "drill_eu", "--yes"];
    home.sandbox(&drill)
        .code(0)
        .says(&[
            "drill of woocommerce@drill to failover_eu: complete",
            "\n  cleanup ",
            "objective 15 min: met",
            "saved in state/sandbox/states/woocommerce@drill/reports/20",
        ])
        .done();
    let output = home.sandbox(&["reports", "woocommerce", "--format", "json"]).code(0);
    let json: Json = serde_json::from_str(&output.stdout).unwrap();
    let report = &json["reports"][0];
    add_up(report);
    assert_eq!(
        (&report["kind"], &report["to"], &report["passed"]),
        (&"drill".into(), &serde_json::json!(["failover_eu"]), &true.into())
    );
    assert_eq!(report["lost"], serde_json::json!(["aws:us-east-1", "linode:us-east"]));
    assert!(seconds(&report["phases"]["cleanup"]) > 0.0, "{report:#}");
    assert!(report["dns_bound"].as_f64().is_some(), "{report:#}");
    assert_eq!(report["arrivals"][0]["address"], "sessions_eu", "{report:#}");
    assert_eq!(report["objectives"]["rpo"]["verdict"], "met", "{report:#}");
    let audit = home.sandbox(&["audit", "woocommerce"]);
    assert!(
        !audit.stdout.contains("drill-never")
            && audit.stdout.contains("less than a day ago and passed"),
        "{audit}"
    );
    // What the drill measured is what the real switch is expected to take.
    home.sandbox(&["plan", "woocommerce", "-o", "failover_eu"])
        .shows(&["Estimated: ", "depends"])
        .done();

    // Both tables have a replication gate, whose own time is the measure.
    home.sandbox(&["failover", "woocommerce", "--to", "failover_eu", "--planned", "--yes"])
        .code(0)
        .says(&["failover of woocommerce to failover_eu: complete", "; objective 4 h: met"])
        .done();
    home.sandbox(&["failback", "woocommerce", "--yes"]).code(0).done();

    home.stack("woocommerce", stack.replace("rto: 15m", "rto: 10s"));
    home.sandbox(&drill)
        .code(1)
        .says(&["complete, but an objective was missed", "objective 10 s: MISSED"])
        .done();
    home.sandbox(&["audit", "woocommerce"]).shows(&["drill-failed"]).done();
}

#[test]
fn failover_that_misses_an_objective_has_the_same_exit_code() {
    let home = Home::holding("shop", SITES.replace("rto: 30m", "rto: 2m"));
    home.overlay("shop", "eu", EU);
    home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
    home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"])
        .code(0)
        .says(&[
            "failover of shop to eu: complete, but an objective was missed",
            "; objective 2 min: MISSED",
        ])
        .done();
    assert_eq!(reports(&home)[0]["passed"], false);
}

/// The folder serves predictions only.
#[test]
fn failover_goes_on_when_reports_cannot_be_listed() {
    let home = shop();
    home.write("state/sandbox/states/shop/reports", "not a folder");
    home.sandbox(&["plan", "shop", "-o", "eu"]).code(0).done();
    let told = home.sandbox(&["failover", "shop", "--to", "eu", "--planned", "--yes"]).code(0);
    let warnings = told.stderr.lines().filter(|it| it.starts_with("warning: "));
    let warnings: Vec<&str> = warnings.filter(|it| it.contains("skipped")).collect();
    assert_eq!(warnings.len(), 1, "{told}");
    assert!(warnings[0].contains("skipped state/sandbox/states/shop/reports"), "{told}");
    told.says(&["failover of shop to eu: complete", "the report was not saved"]).done();
    assert_eq!(home.state("shop").unwrap().active, ["eu"]);
}
