//! Rounds of three processes that want one lease, some of them killed, some stopped past it: at every moment at most one epoch changes the clouds, and nothing acknowledged is lost.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat::engine::state::journal::JournalEntry;
use lifeboat::engine::value::LineageKey;
use lifeboat::store::backend::Backend;
use lifeboat::store::error::StoreError;
use lifeboat::store::keep_alive::LeaseTimes;
use lifeboat::store::lease::Lease;
use lifeboat::store::state_store::StateStore;

use crate::process::{ACCESS_KEY, Root, SECRET_KEY};
use crate::stores::servers::StoreServer;
use crate::stores::worker::{Heard, Worker, opened, say};

/// How many rounds each store is put through, and how many processes want its lease in each.
const ROUNDS: u64 = 20;
const WRITERS: usize = 3;

/// The file that stands for the clouds, and who writes to it.
const CLOUD: &str = "LIFEBOAT_STORE_CLOUD";
const NAME: &str = "LIFEBOAT_STORE_WRITER";

/// Short, so that a round takes seconds; the proportions are those of a real lease.
const TIMES: LeaseTimes =
    LeaseTimes { lease: Duration::from_millis(1_200), heartbeat: Duration::from_millis(200) };

/// Longer than a lease, so that somebody else may take it.
const STOPPED_FOR: Duration = Duration::from_millis(1_600);

fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()
}

/// What a writer does: twice a lease, calls under it, and a snapshot.
pub(crate) fn hold(backend: Arc<dyn Backend>) {
    let cloud = PathBuf::from(std::env::var(CLOUD).unwrap());
    let name = std::env::var(NAME).unwrap();
    let store = StateStore::over(backend).with_times(TIMES);
    for run in 0..2 {
        match store.lease(&name, "apply shop", 0) {
            Ok((lease, state)) => match act(&store, lease, state.is_none(), &cloud, (&name, run)) {
                Ok(()) => say("over"),
                Err(why) => say(&format!("ended: {why}")),
            },
            Err(why) => say(&format!("refused: {why}")),
        }
    }
}

fn act(
    store: &StateStore,
    mut lease: Lease,
    is_new: bool,
    cloud: &Path,
    (name, run): (&str, usize),
) -> Result<(), StoreError> {
    if is_new {
        lease.append(&[JournalEntry::Founded {
            stack: "shop".into(),
            instance: None,
            target: "clouds".into(),
            lineage: "rounds".into(),
            key: LineageKey(vec![1, 2]),
            overlays: Vec::new(),
        }])?;
    }
    for step in 0..3 {
        let began = format!("{name}-{run}-{step}");
        lease.append(&[JournalEntry::Bound { cloud: began.clone(), account: "x".into() }])?;
        say(&format!("acknowledged {began}"));
        let looked = now();
        if lease.pulse().ensure_fenced().is_err() {
            return Ok(());
        }
        let line = format!("{} {looked} {}\n", lease.epoch, now());
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(cloud).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    let Some(mut state) = store.load()? else { return Ok(()) };
    state.serial += 1;
    lease.save(&state)
}

/// What becomes of one writer of a round.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lives,
    KilledAfter(usize),
    StoppedAfter(usize),
}

/// Drawn from the number of the round, so that all stores see the same.
fn fates(round: u64) -> [Fate; WRITERS] {
    let mut dice = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::array::from_fn(|_| {
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        let lines = usize::try_from(dice >> 8 & 3).unwrap();
        match dice % 3 {
            0 => Fate::Lives,
            1 => Fate::KilledAfter(lines),
            _ => Fate::StoppedAfter(lines),
        }
    })
}

/// One round; what was acknowledged.
fn round(store: &str, cloud: &Path, round: u64) -> Vec<String> {
    let path = cloud.display().to_string();
    std::thread::scope(|scope| {
        let writers: Vec<_> = fates(round)
            .into_iter()
            .enumerate()
            .map(|(at, fate)| {
                let (name, path) = (format!("{round}-{at}"), path.clone());
                scope.spawn(move || {
                    let environment = [
                        ("CARGO_PKG_NAME", ACCESS_KEY),
                        ("CARGO_PKG_REPOSITORY", SECRET_KEY),
                        (CLOUD, &path),
                        (NAME, &name),
                    ];
                    watched(Worker::start_in("hold", store, &environment), fate)
                })
            })
            .collect();
        writers.into_iter().flat_map(|it| it.join().unwrap()).collect()
    })
}

fn watched(mut worker: Worker, fate: Fate) -> Vec<String> {
    let mut said = Vec::new();
    let mut was_stopped = false;
    loop {
        match worker.hear_soon() {
            Heard::Ended => break,
            Heard::Said(words) => said.push(words),
            Heard::Nothing => {}
        }
        match fate {
            Fate::KilledAfter(lines) if said.len() > lines => {
                worker.kill();
                said.extend(worker.rest());
                break;
            }
            Fate::StoppedAfter(lines) if !was_stopped && said.len() > lines => {
                was_stopped = true;
                worker.signal("STOP");
                // The passing of time is what is tested: the lease has to run out.
                std::thread::sleep(STOPPED_FOR);
                worker.signal("CONT");
            }
            Fate::Lives | Fate::KilledAfter(_) | Fate::StoppedAfter(_) => {}
        }
    }
    let acknowledged = said.iter().filter_map(|it| it.strip_prefix("acknowledged "));
    acknowledged.map(str::to_owned).collect()
}

/// Law 4: who looked at its lease after another had called under a newer one was told so.
fn check_calls(cloud: &Path) -> usize {
    let text = std::fs::read_to_string(cloud).unwrap_or_default();
    let calls: Vec<[u128; 3]> = text
        .lines()
        .map(|it| {
            let numbers: Vec<u128> = it.split(' ').map(|it| it.parse().unwrap()).collect();
            numbers.try_into().unwrap()
        })
        .collect();
    let mut first: BTreeMap<u128, u128> = BTreeMap::new();
    for [epoch, _, called] in &calls {
        let at = first.entry(*epoch).or_insert(*called);
        *at = (*at).min(*called);
    }
    for [epoch, looked, _] in &calls {
        for (newer, called) in first.range(epoch + 1..) {
            assert!(looked <= called, "epoch {epoch} calls after epoch {newer}:\n{text}");
        }
    }
    calls.len()
}

fn survives_rounds(store: &str) {
    let root = Root::new();
    let mut acknowledged = Vec::new();
    let mut calls = 0;
    for number in 1..=ROUNDS {
        // Epochs go on from round to round; the clouds of each are looked at by themselves.
        let cloud = root.folder("clouds").join(format!("{number:02}"));
        acknowledged.extend(round(store, &cloud, number));
        calls += check_calls(&cloud);
        let state = StateStore::over(opened(store)).load().unwrap();
        let held = state.map(|it| it.bound).unwrap_or_default();
        for name in &acknowledged {
            assert!(held.contains_key(name), "`{name}` is lost after round {number}");
        }
    }
    let least = usize::try_from(ROUNDS).unwrap();
    assert!(calls > least && acknowledged.len() >= calls, "{calls} calls");
}

#[test]
fn folder_survives_rounds_of_processes() {
    let root = Root::new();
    survives_rounds(&root.folder("state").display().to_string());
}

#[test]
fn versitygw_survives_rounds_of_processes() {
    survives_rounds(&StoreServer::versitygw().location().to_string());
}

#[test]
fn dynamodb_of_the_sandbox_survives_rounds_of_processes() {
    survives_rounds(&StoreServer::sandbox_table().location().to_string());
}

#[test]
fn dynamodb_of_ministack_survives_rounds_of_processes() {
    survives_rounds(&StoreServer::ministack_table().location().to_string());
}

/// A bucket and a table, each with a server of its own.
#[test]
fn bucket_with_a_mirror_in_a_table_survives_rounds_of_processes() {
    let (primary, mirror) = (StoreServer::versitygw(), StoreServer::sandbox_table());
    let mirror = mirror.location().to_string().replace("fault_domain=local", "fault_domain=away");
    survives_rounds(&format!("{} {mirror}", primary.location()));
}
