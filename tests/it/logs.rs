//! Logs: what `-v`, `-vv` and `LIFEBOAT_LOG` show on stderr, that stdout stays as it is, and that no secret is in them.

use crate::harness::Home;

const SECRET: &str = "hunter2-hunter2-Hunter2!";

const STACK: &str = "stack: tiny
variables:
  password: { type: string, sensitive: true }
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-lb }
  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: tiny-web, root_pass: '${vars.password}' }
  table: { kind: dynamodb.table, region: us-east-1, name: tiny, attributes: { id: S }, hash_key: id }
outputs:
  address: { value: '${lb.ipv4}' }
";

fn apply(home: &Home, flags: &[&str]) -> crate::harness::Output {
    let given = format!("password={SECRET}");
    home.sandbox(&[&["apply", "tiny", "--yes", "--var", &given], flags].concat())
}

#[test]
fn apply_verbose_shows_steps_and_twice_each_request() {
    let home = Home::holding("tiny", STACK);
    home.fault("POST /nodebalancers 503 times=1");
    let steps = apply(&home, &["-v"]).code(0).says(&[
        "INFO run{command=\"apply tiny --yes --var password=…",
        "holds the lease epoch=",
        "step{address=\"lb\" call=\"create\"}: begins",
        "calls again after a pause attempt=1",
        "done step=",
    ]);
    assert!(!steps.stderr.contains("DEBUG"), "{steps}");
    let requests = apply(&home, &["-vv"]).code(0).says(&[
        "DEBUG run{command=\"apply tiny --yes --var password=… -vv --sandbox\"}: request ",
        "request method=\"GET\" url=\"http://127.0.0.1:",
        "/v4/nodebalancers",
        "status=200",
        "milliseconds=",
        "request operation=\"DescribeTable\" region=\"us-east-1\" is_ok=true",
        "request_id=",
    ]);
    // Data is what it is without a log.
    assert_eq!(requests.stdout, apply(&home, &[]).code(0).stdout);
}

#[test]
fn plan_logs_nothing_without_a_flag_or_the_variable() {
    let mut home = Home::holding("tiny", STACK);
    let silent = home.sandbox(&["plan", "tiny"]);
    assert!(!silent.stderr.contains("INFO"), "{silent}");
    home.set("LIFEBOAT_LOG", "lifeboat=info");
    home.sandbox(&["plan", "tiny"])
        .says(&["INFO run{command=\"plan tiny --sandbox\"}: read the clouds objects="])
        .done();
    home.set("LIFEBOAT_LOG", "lifeboat=loud");
    home.sandbox(&["plan", "tiny"])
        .code(64)
        .says(&["cannot parse `LIFEBOAT_LOG`", "lifeboat=debug"])
        .done();
}

#[test]
fn apply_logs_no_secret() {
    let home = Home::holding("tiny", STACK);
    home.fault("POST /linode/instances 500 times=1");
    let told = apply(&home, &["-vvv"]).code(0);
    assert!(told.stderr.contains("TRACE") || told.stderr.contains("DEBUG"), "{told}");
    let shown = [told.stdout.as_str(), &told.stderr].concat();
    assert!(!shown.contains(SECRET), "{}", shown.replace(SECRET, "(!)"));
}
