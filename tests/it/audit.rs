//! Audits as people and code hosts run them: which overlays are looked at, what is printed, how it ends, and that nothing is written.

use serde_json::Value;

use crate::harness::{Home, Output};

/// A report of a drill that has just passed.
fn drilled(home: &Home, states: &str) {
    // 2100-01-01, so that the rehearsal is never too long ago.
    let none = serde_json::json!({ "objective": null });
    let report = serde_json::json!({
        "version": 1, "kind": "drill", "stack": "woocommerce", "instance": "drill", "target": "sandbox",
        "from": [], "to": ["failover_eu"], "lost": [], "who": "ops@host", "command": "lifeboat drill woocommerce",
        "began_at": 4_102_444_700_000_i64, "run_began_at": 4_102_444_700_000_i64, "ended_at": 4_102_444_800_000_i64,
        "complete": true, "objectives": { "rto": none, "rpo": none }, "earlier": null, "steps": [],
    });
    let report = report.to_string();
    home.write(&format!("{states}/woocommerce@drill/reports/1.json"), report);
}

fn edit(home: &Home, file: &str, from: &str, to: &str) {
    let path = home.path(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} holds `{from}`");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Line and rule of every finding, in the order in which they are told.
fn told(output: &Output) -> Vec<String> {
    let json = output.json();
    let sections = json["sections"].as_array().unwrap();
    let findings = sections.iter().flat_map(|it| it["findings"].as_array().unwrap());
    let shown = |it: &Value| {
        format!("{}:{} {}", it["file"].as_str().unwrap(), it["line"], it["rule"].as_str().unwrap())
    };
    findings.map(shown).collect()
}

const STACK: &str = "stacks/woocommerce/stack.yaml";
const OVERLAY: &str = "stacks/woocommerce/overlays/failover_eu.yaml";

#[test]
fn audit_passes_the_example_before_and_after_apply() {
    let home = Home::woocommerce();
    drilled(&home, "state");
    // What the sandbox may leave off is off where data would be, until its switch is given.
    let open = home.run(&["audit", "woocommerce", "--strict"]).code(1);
    open.shows(&["data-unprotected", "(variable `protect`, which has its default)"]).done();
    let audit = home.run(&["audit", "woocommerce", "--strict", "--var", "protect=true"]).code(0);
    audit.shows(&["no findings", "failover_eu", "0 errors, 0 warnings, 0 notes", "50 s"]).done();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    drilled(&home, "state/sandbox/states");
    let before = home.state("woocommerce").unwrap();
    let audit = home.sandbox(&["audit", "woocommerce", "--strict", "--online"]).code(0);
    audit.shows(&["0 errors, 0 warnings, 0 notes", "serial 1"]).done();
    assert_eq!(home.state("woocommerce").unwrap(), before, "an audit writes nothing");
}

#[test]
fn audit_notes_a_missing_drill_and_tells_a_broken_report() {
    let home = Home::woocommerce();
    let audit = home.run(&["audit", "woocommerce", "--strict", "--var", "protect=true"]).code(0);
    audit.shows(&["note [drill-never]", &format!("{OVERLAY}:1")]).done();
    home.write("state/woocommerce/reports/1.json", "{");
    home.write("state/woocommerce/reports/2.json", r#"{ "kind": "failover" }"#);
    home.write("state/other/reports/1.json", "{");
    let audit = home
        .run(&["audit", "woocommerce", "--var", "protect=true"])
        .code(0)
        .shows(&["report: cannot be read: state/woocommerce/reports/1.json", "drill-never"])
        .shows(&["report: cannot be read: state/woocommerce/reports/2.json"]);
    assert!(!audit.stdout.contains("other"), "{audit}");
}

/// What only looking shows: somebody changed the standby, and a table is not there any more.
#[test]
fn audit_online_tells_drift_and_offline_says_it_did_not_look() {
    let home = Home::woocommerce();
    drilled(&home, "state/sandbox/states");
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let state = home.state("woocommerce").unwrap();
    let id = &state.records[&"standby_lb".parse().unwrap()].id;
    let label = serde_json::json!({ "label": "somebody-elses" });
    home.linode("PUT", &format!("/nodebalancers/{id}"), &label);
    home.sandbox(&["audit", "woocommerce"])
        .code(0)
        .shows(&["not checked: drift and replication, because the clouds were not called"])
        .done();
    let online = ["audit", "woocommerce", "--online", "--format", "json"];
    let audit = home.sandbox(&online).code(1);
    let [one] = told(&audit).try_into().expect("one finding");
    assert!(one.starts_with(STACK) && one.ends_with("standby-drifted"), "{one}");
}

/// Of a plan that its region does not have nothing is told before somebody asks the cloud.
#[test]
fn audit_online_tells_a_standby_that_cannot_be_had() {
    let home = Home::woocommerce();
    drilled(&home, "state/sandbox/states");
    let larger = "resources:\n  standby: { type: g7-premium-2 }\n";
    edit(&home, OVERLAY, "resources:\n", larger);
    let online = ["audit", "woocommerce", "--online", "--format", "json"];
    for is_made in [false, true] {
        if is_made {
            home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
        }
        home.sandbox(&["audit", "woocommerce"]).code(0).done();
        let audit = home.sandbox(&online).code(1);
        assert_eq!(told(&audit), [format!("{OVERLAY}:8 not-offered")], "{audit}");
        audit.shows(&["`g7-premium-2` is not available in `eu-central`", "de-fra-2"]).done();
    }
    // What home itself could not get ends no audit: it is a finding like the others.
    edit(
        &home,
        STACK,
        "    region: us-east\n    type: '${vars.plan}'",
        "    region: us-east\n    type: g7-premium-2",
    );
    let audit = home.sandbox(&online).code(1);
    assert!(
        told(&audit).iter().any(|it| it.starts_with(STACK) && it.ends_with("not-offered")),
        "{audit}"
    );
}

/// A quota that the API tells is compared with what all tables of a region ask for together.
#[test]
fn audit_online_tells_a_quota_that_is_too_small() {
    let table = |name: &str, units: u32| {
        format!(
            "  {name}: {{ kind: dynamodb.table, region: us-east-1, name: {name}_items, attributes: {{ id: S }}, hash_key: id, billing_mode: PROVISIONED, read_capacity: {units}, write_capacity: 1 }}\n"
        )
    };
    let stack = |units: u32| {
        let tables: String = ["one", "two", "three"].map(|it| table(it, units)).concat();
        format!("stack: wide\nresources:\n{tables}")
    };
    let home = Home::holding("wide", stack(30_000));
    home.sandbox(&["audit", "wide"]).code(0).done();
    let told = home.sandbox(&["audit", "wide", "--online"]).code(1);
    told.shows(&[
        "error [quota-exceeded]",
        "the total `read_capacity` in aws:us-east-1 is 90000, but the account's maximum is 80000",
    ])
    .done();
    home.stack("wide", stack(20_000));
    home.sandbox(&["audit", "wide", "--online"]).code(0).done();
}

#[test]
fn audit_exit_code_follows_the_severity() {
    let home = Home::woocommerce();
    drilled(&home, "state");
    edit(&home, STACK, "ttl_sec: 300", "ttl_sec: 250");
    home.run(&["audit", "woocommerce"]).code(0).shows(&["warning [ttl-rounded]"]).done();
    home.run(&["audit", "woocommerce", "--strict"]).code(1).done();
    edit(&home, STACK, "ttl_sec: 250", "ttl_sec: 3600");
    let audit = home.run(&["audit", "woocommerce"]).code(1);
    audit.shows(&["error [ttl-too-long]", "write `ttl_sec: 300`"]).done();
}

#[test]
fn audit_covers_overlays_that_assume_a_loss_and_no_drills() {
    let home = Home::woocommerce();
    drilled(&home, "state");
    home.overlay(
        "woocommerce",
        "drill_eu",
        "overlay: drill_eu\nworkspace: drill\nrehearses: failover_eu\nassumes_lost: [linode:us-east]\n",
    );
    home.overlay(
        "woocommerce",
        "other",
        "overlay: other\nassumes_lost: [aws:us-east-1]\nresources: { shop: { ttl_sec: 30 } }\n",
    );
    let names = |output: &Output| -> Vec<String> {
        let json = output.json();
        let sections = json["sections"].as_array().unwrap().iter();
        sections.filter_map(|it| Some(it["overlay"].as_str()?.to_owned())).collect()
    };
    let audit = home.run(&["audit", "woocommerce", "--format", "json"]);
    assert_eq!(names(&audit), ["failover_eu", "other"], "{audit}");
    let audit =
        home.run(&["audit", "woocommerce", "--to", "failover_eu", "--format", "json"]).code(0);
    assert_eq!(names(&audit), ["failover_eu"], "{audit}");
    let typo = home
        .run(&["audit", "woocommerce", "--to", "failover_ue"])
        .code(1)
        .says(&["did you mean `failover_eu`?"]);
    assert_eq!(typo.stdout, "", "{typo}");
    std::fs::remove_file(home.path(OVERLAY)).unwrap();
    std::fs::remove_file(home.path("stacks/woocommerce/overlays/other.yaml")).unwrap();
    home.run(&["audit", "woocommerce"]).code(0).shows(&["warning [no-recovery]"]).done();
}

/// The mistakes of `validate` are findings too, wherever they are: a pull request shows them on their lines.
#[test]
fn audit_reports_mistakes_of_validate_as_findings() {
    let home = Home::woocommerce();
    drilled(&home, "state");
    edit(&home, OVERLAY, "shop:", "shpo:");
    let audit =
        home.run(&["audit", "woocommerce", "--var", "protect=true", "--format", "json"]).code(1);
    let [one] = told(&audit).try_into().expect("one finding");
    assert!(one.starts_with(OVERLAY) && one.ends_with(" invalid"), "{one}");
    audit.shows(&["did you mean `shop`?"]).done();
    edit(&home, STACK, "check_timeout: 5", "check_timeout: 15");
    let audit = home.run(&["audit", "woocommerce"]).code(1);
    audit.shows(&["error [invalid]", "must be less than `check_interval`", STACK]).done();
}

#[test]
fn audit_looks_at_the_environment_where_the_clouds_are_real() {
    let mut home = Home::woocommerce();
    drilled(&home, "state");
    drilled(&home, "state/sandbox/states");
    home.set("AWS_REGION", "us-east-1");
    let audit = home.run(&["audit", "woocommerce"]).code(0);
    audit.shows(&["warning [setting-lost]", "AWS_REGION is us-east-1"]).done();
    home.sandbox(&["audit", "woocommerce", "--strict"]).code(0).done();
    for (name, value, said) in [
        ("AWS_DEFAULT_REGION", "us-east-1", "AWS_DEFAULT_REGION is us-east-1"),
        ("AWS_CONFIG_FILE", "aws-config", "the region of the AWS profile is us-east-1"),
        (
            "AWS_ENDPOINT_URL_STS",
            "https://sts.us-east-1.amazonaws.com:443/",
            "the region in AWS_ENDPOINT_URL_STS is us-east-1",
        ),
    ] {
        let mut home = Home::woocommerce();
        drilled(&home, "state");
        home.write("aws-config", "[profile shop]\nregion = us-east-1\n");
        home.set("AWS_PROFILE", "shop");
        home.set(name, value);
        let audit = home.run(&["audit", "woocommerce"]).code(0);
        audit.shows(&["warning [setting-lost]", said]).done();
    }
    // A login goes through a region of its own, and what a profile builds on is a part of it.
    let corp = "[sso-session corp]\nsso_region = us-east-1\n";
    for (profile, login) in [
        (format!("sso_session = corp\n{corp}"), "`shop`"),
        ("sso_region = us-east-1\n".into(), "`shop`"),
        (format!("source_profile = base\n[profile base]\nsso_session = corp\n{corp}"), "`base`"),
    ] {
        let mut home = Home::woocommerce();
        drilled(&home, "state");
        home.write("aws-config", format!("[profile shop]\nregion = eu-west-1\n{profile}"));
        home.set("AWS_PROFILE", "shop");
        home.set("AWS_CONFIG_FILE", "aws-config");
        let audit = home.run(&["audit", "woocommerce"]).code(0);
        let said = format!("the region of the login of the AWS profile {login} is us-east-1");
        audit.shows(&["warning [setting-lost]", &said]).done();
        home.set("AWS_ACCESS_KEY_ID", "AKIA");
        home.set("AWS_SECRET_ACCESS_KEY", "x");
        let audit = home.run(&["audit", "woocommerce"]).code(0);
        assert!(!audit.to_string().contains("setting-lost"), "{audit}");
    }
    let here = ["audit", "woocommerce", "--here", "linode:us-east"];
    let audit = home.sandbox(&here).code(1);
    audit.shows(&["error [state-lost]", "state/sandbox/states/woocommerce"]).done();
    home.sandbox(&["audit", "woocommerce", "--here", "eu"]).code(64).says(&["--here"]).done();
    home.run(&["audit"]).code(64).done();
}

#[test]
fn audit_lists_its_rules() {
    let rules = Home::new().run(&["audit", "--rules"]).code(0);
    rules.shows(&["target-lost (error)", "drill-never (note)", "help:"]).done();
}

/// The parts of SARIF 2.1.0 that an audit uses, as the standard describes them.
fn sarif_schema() -> Value {
    let text = serde_json::json!({
        "type": "object", "required": ["text"], "additionalProperties": false,
        "properties": { "text": { "type": "string", "minLength": 1 } },
    });
    let level = serde_json::json!({ "enum": ["none", "note", "warning", "error"] });
    let natural = serde_json::json!({ "type": "integer", "minimum": 1 });
    let location = serde_json::json!({
        "type": "object", "required": ["physicalLocation"], "additionalProperties": false,
        "properties": { "physicalLocation": {
            "type": "object", "required": ["artifactLocation", "region"], "additionalProperties": false,
            "properties": {
                "artifactLocation": {
                    "type": "object", "required": ["uri"], "additionalProperties": false,
                    "properties": {
                        "uri": { "type": "string", "pattern": "^[A-Za-z0-9._~@%/-]+$", "not": { "pattern": "^(/|[a-z]+:)" } },
                        "uriBaseId": { "type": "string" },
                    },
                },
                "region": {
                    "type": "object", "required": ["startLine"], "additionalProperties": false,
                    "properties": { "startLine": natural, "startColumn": natural },
                },
            },
        } },
    });
    let rule = serde_json::json!({
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "minLength": 1 },
            "shortDescription": text, "help": text,
            "defaultConfiguration": { "type": "object", "properties": { "level": level } },
        },
    });
    serde_json::json!({
        "type": "object", "required": ["version", "runs"],
        "additionalProperties": false,
        "properties": {
            "$schema": { "type": "string", "format": "uri" },
            "version": { "const": "2.1.0" },
            "runs": { "type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["tool", "results"], "additionalProperties": false,
                "properties": {
                    "tool": { "type": "object", "required": ["driver"], "properties": { "driver": {
                        "type": "object", "required": ["name"], "additionalProperties": false,
                        "properties": {
                            "name": { "type": "string" }, "version": { "type": "string" },
                            "semanticVersion": { "type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+" },
                            "rules": { "type": "array", "uniqueItems": true, "items": rule },
                        },
                    } } },
                    "automationDetails": { "type": "object", "properties": { "id": { "type": "string" } } },
                    "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
                    "results": { "type": "array", "items": {
                        "type": "object", "required": ["message", "ruleId", "locations"], "additionalProperties": false,
                        "properties": {
                            "ruleId": { "type": "string" },
                            "ruleIndex": { "type": "integer", "minimum": 0 },
                            "level": level, "message": text,
                            "locations": { "type": "array", "minItems": 1, "items": location },
                        },
                    } },
                },
            } },
        },
    })
}

#[test]
fn audit_sarif_is_valid_and_points_at_the_lines() {
    let home = Home::woocommerce();
    edit(&home, STACK, "ttl_sec: 300", "ttl_sec: 7200");
    edit(&home, STACK, "check_path: /healthcheck.php", "check_path: /");
    let audit =
        home.run(&["audit", "woocommerce", "--var", "protect=true", "--format", "sarif"]).code(1);
    let sarif = audit.json();
    let validator = jsonschema::validator_for(&sarif_schema()).expect("the schema is a schema");
    let wrong: Vec<String> =
        validator.iter_errors(&sarif).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(wrong.is_empty(), "{}\n{audit}", wrong.join("\n"));
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let text = std::fs::read_to_string(home.path(STACK)).unwrap();
    let mut seen = Vec::new();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"], "the index is that of the rule");
        let physical = &result["locations"][0]["physicalLocation"];
        let (file, region) = (&physical["artifactLocation"]["uri"], &physical["region"]);
        assert!(home.path(file.as_str().unwrap()).is_file(), "{file} is below the root");
        if file == STACK {
            let line = usize::try_from(region["startLine"].as_u64().unwrap()).unwrap();
            let column = usize::try_from(region["startColumn"].as_u64().unwrap()).unwrap();
            let line = text.lines().nth(line - 1).unwrap();
            seen.push(format!("{}: {}", result["ruleId"].as_str().unwrap(), &line[column - 1..]));
        }
    }
    seen.sort();
    assert_eq!(seen, ["check-shallow: check_path: /", "ttl-too-long: ttl_sec: 7200"]);
    assert!(!sarif.to_string().contains(home.path("").to_str().unwrap()), "paths are relative");
}

/// A private key stands beside a certificate; neither a finding nor a fact repeats it.
#[test]
fn audit_shows_no_secret() {
    let mut home = Home::woocommerce();
    edit(
        &home,
        STACK,
        "    protocol: http\n",
        "    protocol: https\n    ssl_cert: '${vars.cert}'\n    ssl_key: '${vars.key}'\n",
    );
    edit(
        &home,
        STACK,
        "variables:\n",
        "variables:\n  cert: { type: string, sensitive: true }\n  key: { type: string, sensitive: true }\n",
    );
    let read = |home: &Home, code: i32, rule: &str, secrets: &[&str]| {
        for format in ["text", "json", "sarif"] {
            let audit = home.run(&["audit", "woocommerce", "--format", format]).code(code);
            let audit = audit.shows(&[rule]);
            for secret in secrets {
                assert!(
                    !audit.stdout.contains(secret) && !audit.stderr.contains(secret),
                    "{audit}"
                );
            }
        }
    };
    // PEM of something that is no certificate, and no PEM at all.
    let (cert, key) = ("MBdjZXJ0aWZpY2F0ZS1pbi1kaXNndWlzZQ==", "MBNzd29yZGZpc2gtYW5kLWNoaXBz");
    let pem = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    home.set("LIFEBOAT_VAR_cert", &pem("CERTIFICATE", cert));
    home.set("LIFEBOAT_VAR_key", &pem("PRIVATE KEY", key));
    read(&home, 0, "certificate-unreadable", &[cert, key]);
    home.set("LIFEBOAT_VAR_cert", "certificate-in-disguise");
    home.set("LIFEBOAT_VAR_key", "swordfish-and-chips");
    read(&home, 1, "wrong_form", &["certificate-in-disguise", "swordfish"]);
}
