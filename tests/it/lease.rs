//! One writer, with real processes: stopped ones that wake up, ones that are asked to stop, killed ones, many at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat::engine::state::journal::JournalEntry;
use lifeboat::engine::state::record::State;
use lifeboat::store::keep_alive::LeaseTimes;
use lifeboat::store::lease::Lease;
use lifeboat::store::preempt::SwitchCommand;
use lifeboat::store::state_store::StateStore;

use crate::converge::fired;
use crate::harness::{Home, Running, files};
use crate::unreachable::Cloud;

/// What who preempts waits for; the process that it preempts keeps the real times.
const SHORT: LeaseTimes =
    LeaseTimes { lease: Duration::from_millis(300), heartbeat: Duration::from_millis(50) };

const RECORDS: usize = 12;

/// A zone with records, one after another: a run that lasts a while.
fn stack(ttl: u32) -> String {
    let mut text = "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: tiny.example.com, soa_email: ops@example.com }\n".to_owned();
    for at in 0..RECORDS {
        let after = if at == 0 { String::new() } else { format!(", depends_on: [r{}]", at - 1) };
        text.push_str(&format!(
            "  r{at}: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: r{at}, target: 192.0.2.1, ttl_sec: {ttl}{after} }}\n"
        ));
    }
    text
}

/// Calls so far that change something, by what they are.
fn changes(home: &Home) -> BTreeMap<String, u64> {
    let mut counts = home.world.counts();
    counts.retain(|call, _| !call.starts_with("GET "));
    counts
}

fn lines(folder: &Path) -> usize {
    let journal = std::fs::read(folder.join("journal")).unwrap_or_default();
    journal.split(|it| *it == b'\n').count() - 1
}

fn state_of(folder: &Path) -> Vec<Vec<u8>> {
    ["state.snapshot", "journal"]
        .map(|it| std::fs::read(folder.join(it)).unwrap_or_default())
        .into()
}

/// What a failover does that means it.
fn preempt(store: &StateStore) -> (Lease, Option<State>) {
    let to = ["eu".to_owned()];
    let who = SwitchCommand {
        owner: "tester",
        command: "failover tiny",
        at: 0,
        to: &to,
        lost: &[],
        asks: false,
        promotes: false,
    };
    store.preempt(who, &mut |_| {}).unwrap()
}

/// Until the kernel says that every thread stands still.
fn stop(running: &mut Running<'_>) {
    running.signal("STOP");
    let status = format!("/proc/{}/stat", running.id());
    let stopped = || {
        let stat = std::fs::read_to_string(&status).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, it)| it.starts_with('T'))
    };
    assert!(running.until(stopped));
}

/// Everything is there once, under its own id.
fn check_whole(home: &Home, folder: &Path, said: &str) {
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    let state = StateStore::new(folder).load().unwrap().unwrap();
    assert!(state.pending.is_empty(), "{said}: {:?}", state.pending);
    assert_eq!(state.records.len(), RECORDS + 1, "{said}");
    let world = home.world.show().unwrap();
    let records = world["linode"]["domains"][0]["records"].as_array().unwrap().len();
    assert_eq!(records, RECORDS, "{said}: {}", home.shown());
}

/// Everything was recorded an hour ago: what is missing then is known to be gone.
fn age(folder: &Path) {
    let (mut lease, state) = StateStore::new(folder).lease("tester", "state", 0).unwrap();
    let mut state = state.unwrap();
    for record in state.records.values_mut() {
        record.since -= 3_600_000;
    }
    lease.save(&state).unwrap();
}

/// A holder that sleeps through its lease: whatever it was doing, it changes nothing when it wakes up.
///
/// It is stopped while an answer is under way, or while it waits before it asks again.
#[test]
fn apply_stopped_and_preempted_changes_nothing_when_it_wakes_up() {
    let cases = [
        ("apply", "POST slow ms=3000 nth=2 times=1", 2),
        ("apply", "POST slow ms=3000 nth=9 times=1", 9),
        ("apply", "POST 429 nth=5 times=1", 5),
        ("destroy", "DELETE slow ms=3000 nth=4 times=1", 4),
        ("destroy", "DELETE 429 nth=4 times=1", 4),
    ];
    for (command, fault, calls) in cases {
        let said = format!("{command} with {fault}");
        let cloud = Cloud::new(&stack(300));
        let home = &cloud.home;
        let folder = home.path("state/tiny");
        if command == "destroy" {
            home.run(&["apply", "tiny", "--yes"]).code(0).done();
            age(&folder);
        }
        home.fault(fault);
        let before: u64 = changes(home).values().sum();
        let mut running = home.start(&[command, "tiny", "--yes"]);
        let is_there = || changes(home).values().sum::<u64>() == before + calls;
        assert!(running.until(is_there), "{said}");
        stop(&mut running);

        let store = StateStore::new(&folder).with_times(SHORT);
        let status = store.lease_status().unwrap().unwrap();
        assert!(status.is_alive, "a stopped process is not a dead one");
        assert_eq!(status.command, format!("{command} tiny --yes"));
        home.run(&["apply", "tiny", "--yes"]).code(4).says(&["is locked by", command]).done();
        let (mut lease, state) = preempt(&store);
        assert!(!lease.preempted.as_ref().unwrap().has_answered, "{said}");
        assert!(lease.epoch > status.epoch);
        assert_eq!(state.unwrap().integrity(), Vec::<String>::new(), "{said}");
        let ours = JournalEntry::Bound { cloud: "another".into(), account: "x".into() };
        lease.append(&[ours]).unwrap();
        let (calls, bytes) = (changes(home), state_of(&folder));

        running.signal("CONT");
        running
            .end()
            .code(4)
            .says(&["the lease was lost", "tester (lifeboat failover tiny)"])
            .done();
        assert_eq!(changes(home), calls, "{said}: not one request more");
        assert_eq!(state_of(&folder), bytes, "{said}: not one byte of the new holder's");
        drop(lease);
        assert!(store.load().unwrap().unwrap().bound.contains_key("another"));

        home.world.heal(None).unwrap();
        home.run(&["apply", "tiny", "--yes"]).code(0).done();
        check_whole(home, &folder, &said);
    }
}

/// DynamoDB's outage of 2025-10-19: one of two enactors was delayed behind its check, wrote an older plan over a newer one, and the
/// clean-up of the newer one then removed what was live: an endpoint without an address. Here the late one writes nothing, whether it
/// wakes up or is given its plan again, and the addresses of the newer plan stay, all of them.
#[test]
fn october_2025_a_late_plan_neither_overwrites_nor_empties_a_newer_one() {
    let addresses = |generation: u32, names: &[&str]| {
        let mut text = "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: tiny.example.com, soa_email: ops@example.com }\n".to_owned();
        for (at, name) in names.iter().enumerate() {
            text.push_str(&format!(
                "  {name}: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: endpoint, target: 198.51.{generation}.{at} }}\n"
            ));
        }
        text
    };
    let live = |home: &Home| -> Vec<String> {
        let world = home.world.show().unwrap();
        let records = world["linode"]["domains"][0]["records"].as_array().unwrap();
        records.iter().map(|it| it["target"].as_str().unwrap().to_owned()).collect()
    };
    let cloud = Cloud::new(&addresses(100, &["a", "b"]));
    let home = &cloud.home;
    let folder = home.path("state/tiny");
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    age(&folder);

    // The older plan, delayed behind its checks.
    home.stack("tiny", addresses(101, &["a", "b"]));
    home.run(&["plan", "tiny", "--out", "older.plan"]).code(0).done();
    home.fault("PUT slow ms=3000 nth=1 times=1");
    let mut late = home.start(&["apply", "older.plan", "--yes"]);
    assert!(late.until(|| fired(home) > 0));
    stop(&mut late);

    // The newer one takes over, moves the endpoint, and cleans up what it does not need any more.
    let (lease, _) = preempt(&StateStore::new(&folder).with_times(SHORT));
    drop(lease);
    home.world.heal(None).unwrap();
    home.stack("tiny", addresses(102, &["a", "b", "c"]));
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    home.stack("tiny", addresses(103, &["b", "c"]));
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    let (calls, addresses) = (changes(home), live(home));
    assert_eq!(addresses.len(), 2, "{addresses:?}");

    late.signal("CONT");
    late.end().code(4).says(&["the lease was lost"]).done();
    home.run(&["apply", "older.plan", "--yes"]).code(3).says(&["stale"]).done();
    assert_eq!((changes(home), live(home)), (calls, addresses));
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// In good order: nothing new starts, what is in flight is recorded, and who preempts need not wait for long.
#[test]
fn apply_that_is_asked_to_stop_ends_in_good_order() {
    let cloud = Cloud::new(&stack(300));
    let home = &cloud.home;
    let folder = home.path("state/tiny");
    home.fault("POST slow ms=100");
    let mut running = home.start(&["apply", "tiny", "--yes"]);
    assert!(running.until(|| lines(&folder) >= 7));
    let store = StateStore::new(&folder);
    let began = Instant::now();
    let (lease, state) = preempt(&store);
    assert!(began.elapsed() < LeaseTimes::default().lease, "it did not sit the lease out");
    let holder = lease.preempted.clone().unwrap();
    assert!(
        holder.has_answered && holder.holder.contains("(lifeboat apply tiny --yes)"),
        "{holder}"
    );
    let state = state.unwrap();
    assert_eq!(state.integrity(), Vec::<String>::new());
    assert!(state.pending.is_empty(), "what was in flight is recorded: {:?}", state.pending);
    assert!(!state.records.is_empty() && state.records.len() <= RECORDS, "it was in the middle");
    let entries = format!("{:?}", store.entries(0).unwrap());
    assert!(entries.contains("which released it"), "{entries}");
    let calls = changes(home);
    running
        .end()
        .code(4)
        .says(&[
            "preempted by tester (lifeboat failover tiny): finishing in-flight calls, starting no new steps",
            "stopped: preempted by tester",
            "the run that preempted this one goes on: `lifeboat status tiny` tells how far it is",
        ])
        .done();
    assert_eq!(changes(home), calls);
    drop(lease);
    home.world.heal(None).unwrap();
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    check_whole(home, &folder, "asked");
}

/// What people type: a failover does not wait until an apply is done, and a second one to the same place waits for the first.
#[test]
fn failover_preempts_an_apply_and_waits_for_another_failover() {
    let home = Home::holding("tiny", stack(300));
    let run = |arguments: &[&str]| home.sandbox(arguments);
    // One after another, so that the first switch lasts until the second has begun, also on a busy machine.
    home.overlay(
        "tiny",
        "eu",
        "resources:\n  r0: { target: 198.51.100.1 }\n  r1: { target: 198.51.100.2 }\n",
    );
    run(&["apply", "tiny", "--yes"]).code(0).done();
    home.stack("tiny", stack(3600));
    // Long enough for two more processes to start meanwhile, on any machine; a request is given up after five seconds.
    home.fault("PUT slow ms=4000");
    let folder = home.state_folder("tiny");
    let mut applying = home.start(&["apply", "tiny", "--yes", "--sandbox"]);
    assert!(applying.until(|| fired(&home) > 0));
    let failover = ["failover", "tiny", "--to", "eu", "--planned", "--yes"];
    let mut first = home.start(&[&failover[..], &["--sandbox"]].concat());
    let store = StateStore::new(&folder);
    assert!(first.until(|| store.lease_status().unwrap().is_some_and(|it| it.is_firm)));
    let second = run(&failover).code(0).says(&["the switch to eu was already made by"]);
    assert!(!second.stderr.contains("asked to stop"), "{second}");
    first
        .end()
        .code(0)
        .says(&[
            "apply tiny --yes --sandbox) holds the lease",
            "asking it to stop",
            "which released it",
        ])
        .done();
    applying.end().code(4).says(&["stopped: preempted by", "(lifeboat failover tiny"]).done();
    home.world.heal(None).unwrap();
    let state = home.state("tiny").unwrap();
    assert_eq!(state.active, ["eu"]);
    run(&["apply", "tiny", "--yes"]).code(0).done();
    run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// The heartbeat sees it where no call would: a run that waits gives up its wait.
#[test]
fn apply_that_only_waits_sees_the_stop_flag_at_its_heartbeat() {
    let home = Home::holding(
        "tiny",
        "stack: tiny
resources:
  web:
    kind: linode.instance
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: tiny
    authorized_users: [someone]
    ready: { http: 'http://${self.ipv4}/', expect: 418, within: 24h }
",
    );
    let mut running = home.start(&["apply", "tiny", "--yes", "--sandbox"]);
    let store = StateStore::new(&home.state_folder("tiny"));
    let is_made = || store.load().unwrap().is_some_and(|it| !it.records.is_empty());
    assert!(running.until(is_made));
    let (lease, state) = preempt(&store);
    assert!(lease.preempted.as_ref().unwrap().has_answered);
    assert!(state.unwrap().pending.is_empty());
    running.end().code(4).says(&["stopped: preempted by tester (lifeboat failover tiny)"]).done();
}

#[test]
fn apply_that_was_killed_holds_no_lease() {
    let cloud = Cloud::new(&stack(300));
    let folder = cloud.home.path("state/tiny");
    cloud.home.fault("POST slow ms=50");
    let mut running = cloud.home.start(&["apply", "tiny", "--yes"]);
    assert!(running.until(|| lines(&folder) >= 6));
    running.kill();
    let store = StateStore::new(&folder);
    let left = store.lease_status().unwrap().unwrap();
    assert!(!left.is_alive && left.command == "apply tiny --yes", "{left:?}");
    let (lease, _) = store.lease("tester", "apply tiny", 0).unwrap();
    assert_eq!((lease.epoch, lease.preempted.clone()), (left.epoch + 1, None));
}

/// Ten runners start at once: each is done or told to wait, and what they made is there once.
#[test]
fn apply_of_ten_at_once_works_one_at_a_time() {
    let cloud = Cloud::new(&stack(300));
    let home = &cloud.home;
    let folder = home.path("state/tiny");
    let running: Vec<_> = (0..10).map(|_| home.start(&["apply", "tiny", "--yes"])).collect();
    let codes: Vec<Option<i32>> = running.into_iter().map(|it| it.end().code).collect();
    assert!(codes.iter().all(|it| matches!(it, Some(0 | 4))), "{codes:?}");
    assert!(codes.contains(&Some(0)), "{codes:?}");
    check_whole(home, &folder, "ten at once");
    let calls = changes(home);
    let made: u64 =
        calls.iter().filter(|(call, _)| call.ends_with("/records")).map(|it| *it.1).sum();
    assert_eq!(usize::try_from(made).unwrap(), RECORDS, "{calls:?}");

    // Another TTL, so that the winners of a second race have something to write, too.
    home.stack("tiny", stack(3600));
    let running: Vec<_> = (0..10).map(|_| home.start(&["apply", "tiny", "--yes"])).collect();
    let codes: Vec<Option<i32>> = running.into_iter().map(|it| it.end().code).collect();
    assert!(codes.iter().all(|it| matches!(it, Some(0 | 4))), "{codes:?}");
    check_whole(home, &folder, "ten more");
    let mut epochs = Vec::new();
    let found = regex::Regex::new(r#""leased":\{"epoch":(\d+)"#).unwrap();
    for journal in files(&folder.join("history"), "journal") {
        let text = std::fs::read_to_string(journal).unwrap();
        epochs.extend(found.captures_iter(&text).map(|it| it[1].parse::<u64>().unwrap()));
    }
    assert!(epochs.len() >= 2 && epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}
