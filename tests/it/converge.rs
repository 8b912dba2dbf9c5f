//! What goes wrong on the way: faults of the clouds, kills, signals, two at once; afterwards one more apply makes it whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::{Strategy as _, prop, proptest};
use proptest::test_runner::Config;
use serde_json::Value;

use crate::guards::served;
use crate::harness::Home;

/// Every way of depending that the clouds know: nested, counted, in a group, with a wait and without.
const STACK: &str = "stack: small
resources:
  zone: { kind: linode.domain, domain: small.example.com, soa_email: ops@example.com }
  a: { kind: linode.domain_record, domain: '${zone}', type: A, name: a, target: '${lb.ipv4}', ttl_sec: 300 }
  b: { kind: linode.domain_record, domain: '${zone}', type: A, name: b, target: 192.0.2.1, ttl_sec: 300 }
  c: { kind: linode.domain_record, domain: '${zone}', type: TXT, name: c, target: said, ttl_sec: 300 }
  web:
    kind: linode.instance
    count: 2
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: 'small-${each.index}'
    authorized_users: [someone]
    private_ip: true
  lb: { kind: linode.nodebalancer, region: us-east, label: small-lb }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', address: '${each.value.private_ipv4}:80' }
  table: { kind: dynamodb.table, region: us-east-1, name: small, attributes: { id: S }, hash_key: id }
  copy: { kind: dynamodb.replica, table: '${table}', region: eu-west-1 }
  key: { kind: linode.ssh_key, label: small, ssh_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJvYmJv fixture' }
";

/// A run that cannot end well in so many attempts never will.
const RUNS_MAX: usize = 6;

fn home() -> Home {
    Home::holding("small", STACK)
}

fn apply(home: &Home) -> crate::harness::Output {
    home.sandbox(&["apply", "small", "--yes"])
}

/// Runs until it is done; how many runs it took.
fn converge(home: &Home, said: &str) -> usize {
    let mut last = String::new();
    for run in 1..=RUNS_MAX {
        let output = apply(home);
        match output.code {
            Some(0) => return run,
            Some(1 | 5) => last = output.to_string(),
            _ => panic!("{said}: {output}"),
        }
    }
    panic!("{said}: not done after {RUNS_MAX} runs; the last one: {last}");
}

/// The second plan is empty, and every object of the world is in state exactly once.
fn check_whole(home: &Home, said: &str) {
    let plan = home.sandbox(&["plan", "small", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{said}: {plan}");
    let state = home.state("small").unwrap();
    assert!(state.pending.is_empty(), "{said}: nothing is in doubt: {:?}", state.pending);
    let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in state.records.values().filter(|it| it.kind.starts_with("linode.")) {
        recorded.entry(record.kind.clone()).or_default().push(record.id.clone());
    }
    for ids in recorded.values_mut() {
        ids.sort();
    }
    assert_eq!(there(&home.world.show().unwrap()), recorded, "{said}: {}", home.shown());
    let tables = &home.world.show().unwrap()["dynamodb"];
    let regions: BTreeSet<&String> = tables.as_object().unwrap().keys().collect();
    assert_eq!(
        regions,
        BTreeSet::from([&"eu-west-1".to_owned(), &"us-east-1".to_owned()]),
        "{said}"
    );
    assert_eq!(state.records.len(), 13, "{said}");
}

/// Ids of what exists, by kind.
fn there(world: &Value) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |kind: &str, rows: &Value| -> Vec<Value> {
        let rows = rows.as_array().cloned().unwrap_or_default();
        for row in &rows {
            found.entry(format!("linode.{kind}")).or_default().push(row["id"].to_string());
        }
        rows
    };
    let linode = &world["linode"];
    add("instance", &linode["instances"]);
    add("ssh_key", &linode["sshkeys"]);
    for balancer in add("nodebalancer", &linode["nodebalancers"]) {
        for config in add("nodebalancer_config", &balancer["configs"]) {
            add("nodebalancer_node", &config["nodes"]);
        }
    }
    for zone in add("domain", &linode["domains"]) {
        add("domain_record", &zone["records"]);
    }
    for ids in found.values_mut() {
        ids.sort();
    }
    found
}

/// How often the first fault has struck.
pub(crate) fn fired(home: &Home) -> u64 {
    let world = home.world.show().unwrap();
    world["faults"]["requests"][0]["fired"].as_u64().unwrap_or_default()
}

fn survive(fault: &str) {
    let home = home();
    home.fault(fault);
    let runs = converge(&home, fault);
    assert!(fired(&home) > 0, "{fault}: it never struck");
    home.world.heal(None).unwrap();
    check_whole(&home, &format!("{fault}, {runs} runs"));
    home.sandbox(&["destroy", "small", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{fault}: {}", home.shown());
}

/// Calls that make something, and where a fault of each kind hurts most.
#[test]
fn apply_survives_every_fault_on_the_way() {
    let effects =
        ["429", "500", "503", "lost_reply", "html502", "truncated", "empty200", "slow ms=30"];
    let places = [
        "POST /linode/instances",
        "POST /nodebalancers",
        "POST /domains",
        "CreateTable",
        "UpdateTable",
        "GET",
    ];
    // Each effect meets two places, so that all places are met by several effects.
    let mut cases = Vec::new();
    for (at, effect) in effects.iter().enumerate() {
        for step in [0, 3] {
            let place = places[(at + step) % places.len()];
            let nth = if place.ends_with("Table") { 1 } else { 1 + at % 2 };
            cases.push(format!("{place} {effect} nth={nth} times=1"));
        }
    }
    in_parallel(&cases, |it| survive(it));
}

/// As many at once as there are processors for them; every failure is told.
pub(crate) fn in_parallel<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    let queue = std::sync::Mutex::new(cases.iter());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(it) = next() {
                        check(it);
                    }
                })
            })
            .collect();
        let broken = hands.into_iter().filter_map(|it| it.join().err()).count();
        assert_eq!(broken, 0, "the panics above say which");
    });
}

proptest! {
    #![proptest_config(Config { cases: 12, max_shrink_iters: 8, failure_persistence: None, ..Config::default() })]

    /// Faults and kills drawn by chance; what fails is printed as the text that `Home::fault` reads.
    #[test]
    fn apply_survives_faults_and_kills_drawn_by_chance(
        faults in prop::collection::vec(
            (
                prop::sample::select(vec!["429", "500", "503", "lost_reply", "html502", "truncated", "empty200"]),
                prop::sample::select(vec!["POST", "GET", "PUT", "POST /nodebalancers", "POST /domains", "POST /linode", "CreateTable", "UpdateTable", "DescribeTable"]),
                1_u64..6,
                1_u64..3,
            )
                .prop_map(|(effect, place, nth, times)| format!("{place} {effect} nth={nth} times={times}")),
            0..4,
        ),
        killed in prop::option::of(1_usize..30),
    ) {
        let home = home();
        for fault in &faults {
            home.fault(fault);
        }
        let said = format!("{}; killed at line {killed:?}", faults.join(" | "));
        if let Some(lines) = killed {
            let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
            running.until(|| journal_lines(&home) >= lines);
            running.kill();
        }
        converge(&home, &said);
        home.world.heal(None).unwrap();
        check_whole(&home, &said);
    }
}

/// Wherever a replace is cut, or whichever call of it goes wrong: one machine in the end, under its own name.
#[test]
fn apply_finishes_a_replace_that_was_cut() {
    let first = ", lifecycle: { create_before_destroy: true }";
    let stack = |image: &str| served(image, first).replace("stack: tiny", "stack: small");
    let mut cases: Vec<(String, usize)> =
        (2..20).step_by(2).map(|lines| (String::new(), lines)).collect();
    for fault in
        ["POST /linode lost_reply", "PUT lost_reply", "DELETE lost_reply", "PUT 500", "DELETE 500"]
    {
        cases.push((fault.into(), usize::MAX));
    }
    in_parallel(&cases, |(fault, lines)| {
        let said = format!("{fault} killed at line {lines}");
        let home = Home::holding("small", stack("linode/debian12"));
        assert_eq!(converge(&home, &said), 1);
        home.stack("small", stack("linode/ubuntu24.04"));
        if fault.is_empty() {
            let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
            running.until(|| journal_lines(&home) >= *lines);
            running.kill();
        } else {
            home.fault(fault);
        }
        converge(&home, &said);
        assert!(fault.is_empty() || fired(&home) > 0, "{said}: it never struck");
        home.world.heal(None).unwrap();
        home.sandbox(&["plan", "small", "--detailed-exitcode"]).code(0).done();
        let machines = home.world.show().unwrap()["linode"]["instances"].clone();
        assert_eq!(machines.as_array().unwrap().len(), 1, "{said}: {machines}");
        assert_eq!(machines[0]["label"], "tiny-web", "{said}");
        assert_eq!(machines[0]["image"], "linode/ubuntu24.04", "{said}");
        home.sandbox(&["destroy", "small", "--yes"]).code(0).done();
        assert!(home.world.is_empty().unwrap(), "{said}: {}", home.shown());
    });
}

fn journal_lines(home: &Home) -> usize {
    let journal = std::fs::read(home.state_folder("small").join("journal"));
    journal.map_or(0, |bytes| bytes.split(|it| *it == b'\n').count() - 1)
}

#[test]
fn apply_finishes_a_killed_apply() {
    in_parallel(&[1, 3, 6, 9, 12, 16, 20, 25, 30], |lines| {
        let home = home();
        let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
        running.until(|| journal_lines(&home) >= *lines);
        running.kill();
        let runs = converge(&home, &format!("killed at line {lines}"));
        assert!(runs <= 2, "killed at line {lines}: {runs} runs");
        check_whole(&home, &format!("killed at line {lines}"));
    });
}

/// The call that makes the object, for every kind; the second and third of a prefix are what lies within.
const MAKING: [&str; 9] = [
    "POST /linode/instances",
    "POST /nodebalancers nth=1",
    "POST /nodebalancers nth=2",
    "POST /nodebalancers nth=3",
    "POST /domains nth=1",
    "POST /domains nth=3",
    "POST /profile/sshkeys",
    "CreateTable",
    "UpdateTable",
];

/// The worst moment: the object is made and nobody has heard of it yet.
#[test]
fn apply_killed_between_call_and_answer_orphans_nothing() {
    in_parallel(&MAKING, |place| {
        let home = home();
        home.fault(&format!("{place} slow ms=3000"));
        let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
        assert!(running.until(|| fired(&home) > 0), "{place}: it never struck");
        running.kill();
        home.world.heal(None).unwrap();
        let runs = converge(&home, place);
        assert!(runs <= 2, "{place}: {runs} runs");
        check_whole(&home, place);
    });
}

/// What is made is missing from lists for nearly as long as lists are known to lag.
const LAGGING: [&str; 2] =
    ["GET stale_list ms=25000 times=0", "ListTables stale_list ms=25000 times=0"];

#[test]
fn apply_finds_a_create_with_a_lost_reply_while_lists_lag() {
    in_parallel(&MAKING, |place| {
        let home = home();
        home.fault(&format!("{place} lost_reply times=1"));
        for lagging in LAGGING {
            home.fault(lagging);
        }
        let runs = converge(&home, place);
        assert!(fired(&home) > 0, "{place}: it never struck");
        assert!(runs <= 2, "{place}: {runs} runs");
        check_whole(&home, place);
    });
}

/// Two look alike and none says whose it is: a person decides, and what does not depend on it goes on.
#[test]
fn state_resolve_ends_what_is_indeterminate() {
    let home = Home::holding(
        "small",
        "stack: small
resources:
  zone: { kind: linode.domain, domain: small.example.com, soa_email: ops@example.com }
  a: { kind: linode.domain_record, domain: '${zone}', type: A, name: a, target: 192.0.2.1, ttl_sec: 300 }
",
    );
    home.fault("POST /domains nth=2 slow ms=3000");
    let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
    assert!(running.until(|| fired(&home) > 0));
    running.kill();
    home.world.heal(None).unwrap();
    let ours = there(&home.world.show().unwrap())["linode.domain_record"][0].clone();
    let zone = there(&home.world.show().unwrap())["linode.domain"][0].clone();
    let stranger =
        serde_json::json!({ "type": "A", "name": "a", "target": "192.0.2.1", "ttl_sec": 300 });
    home.linode("POST", &format!("/domains/{zone}/records"), &stranger);
    let plan = home.sandbox(&["plan", "small"]).code(5);
    plan.shows(&["lifeboat state resolve small a --nothing", "`--id`"]).done();
    home.sandbox(&["apply", "small", "--yes"]).code(5).done();
    assert_eq!(there(&home.world.show().unwrap())["linode.domain_record"].len(), 2);
    home.sandbox(&["state", "resolve", "small", "a", "--id", &ours]).code(0).done();
    assert_eq!(converge(&home, "settled"), 1);
    home.sandbox(&["plan", "small", "--detailed-exitcode"]).code(0).done();
    assert_eq!(there(&home.world.show().unwrap())["linode.domain_record"].len(), 2);
}

#[test]
fn destroy_finishes_a_killed_destroy() {
    in_parallel(&[3, 8, 14], |lines| {
        let home = home();
        assert_eq!(converge(&home, "nothing is wrong"), 1);
        let mut running = home.start(&["destroy", "small", "--yes", "--sandbox"]);
        running.until(|| journal_lines(&home) >= *lines);
        running.kill();
        home.sandbox(&["destroy", "small", "--yes"]).code(0).done();
        assert!(home.world.is_empty().unwrap(), "killed at line {lines}: {}", home.shown());
    });
}

/// What changes by itself, or is never made, is no part of it that would be set anew at each look.
#[test]
fn apply_sets_an_output_of_a_whole_object_once() {
    let stack = "stack: tiny
resources:
  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [ops], label: tiny-web }
  t: { kind: dynamodb.table, region: us-east-1, name: tiny_table, attributes: { id: S }, hash_key: id }
outputs: { machine: '${web}', table: '${t}', inside: '${web.private_ipv4}' }
";
    let home = Home::holding("tiny", stack);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

#[test]
fn apply_of_two_at_once_tells_one_to_wait() {
    let home = home();
    // While its machines start, which takes a minute of the world: longer than two more processes need, on any machine.
    home.world.set_speed(2.0).unwrap();
    let mut first = home.start(&["apply", "small", "--yes", "--sandbox"]);
    assert!(first.until(|| journal_lines(&home) >= 1));
    for command in ["apply", "destroy"] {
        home.sandbox(&[command, "small", "--yes"]).code(4).says(&["is locked by", "wait"]).done();
    }
    // Looking needs no lease. What the other has made since the state was read may still look like a stranger's.
    let plan = home.sandbox(&["plan", "small"]);
    assert!(matches!(plan.code, Some(0 | 3)), "{plan}");
    home.world.advance(Duration::from_secs(600)).unwrap();
    first.end().code(0).done();
    check_whole(&home, "two at once");
}

#[test]
fn apply_leaves_a_whole_state_after_a_signal() {
    in_parallel(&[("INT", 130), ("TERM", 143), ("HUP", 129)], |(signal, code)| {
        let home = home();
        let mut running = home.start(&["apply", "small", "--yes", "--sandbox"]);
        assert!(running.until(|| journal_lines(&home) >= 5));
        running.signal(signal);
        running
            .end()
            .code(*code)
            .says(&["starting no new steps", "run `lifeboat apply small --sandbox` to resume"])
            .done();
        assert_eq!(home.state("small").unwrap().integrity(), Vec::<String>::new());
        assert_eq!(converge(&home, signal), 1);
        check_whole(&home, signal);
    });
}
