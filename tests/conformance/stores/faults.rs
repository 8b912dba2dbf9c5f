//! Whatever happens on the way to a server, a verb ends as it would without it, or says that it could not be done.

use std::sync::Arc;
use std::time::Duration;

use lifeboat::store::backend::{Backend, PutCondition, PutOutcome};
use lifeboat::store::error::{RemoteFault, StoreError};
use lifeboat::store::open::open;

use crate::stores::proxy::{FaultProxy, ProxyFault, ProxyPlan};
use crate::stores::servers::{ServerKind, StoreServer};
use crate::stores::worker::{check_written, key, write};

/// What passes at once. What hangs takes seconds each, and is tried where it matters.
const QUICK: [ProxyFault; 7] = [
    ProxyFault::LoseReply,
    ProxyFault::HalfReply,
    ProxyFault::CutBefore,
    ProxyFault::Fail,
    ProxyFault::FailAfter,
    ProxyFault::SlowDown(None),
    ProxyFault::SendTwice,
];

/// Draws the faults of this many whole runs.
const SEEDS: u64 = 6;

/// One server, and what stands before it.
struct FaultyStore {
    server: StoreServer,
    proxy: FaultProxy,
    states: std::cell::Cell<u32>,
}

impl FaultyStore {
    fn of(server: StoreServer) -> Self {
        let proxy = FaultProxy::before(server.server.address());
        Self { server, proxy, states: std::cell::Cell::new(0) }
    }

    /// A new state, through the proxy; and the same without it.
    fn state(&self) -> (Arc<dyn Backend>, Arc<dyn Backend>) {
        let name = format!("shop{}", self.states.replace(self.states.get() + 1));
        let through = self.server.through(self.proxy.address());
        (open(&through, &name), open(self.server.location(), &name))
    }

    /// A whole run of a writer under a plan, and how many requests it took.
    fn run(&self, plan: ProxyPlan) -> usize {
        let (through, direct) = self.state();
        self.proxy.plan(plan);
        write(&*through, &mut |_| {});
        let seen = self.proxy.seen();
        self.proxy.plan(ProxyPlan::Pass);
        check_written(&*direct, &["removed".to_owned()]);
        assert_eq!(direct.get(&key("doc")).unwrap().unwrap(), b"two", "{plan:?}");
        seen
    }

    fn heals_each_fault(&self) {
        let requests = self.run(ProxyPlan::Pass);
        assert!(requests >= 8, "{requests}");
        // Each request meets every third fault, and each fault every third request.
        for (number, fault) in QUICK.into_iter().enumerate() {
            for at in (number % 3..requests).step_by(3) {
                println!("{fault:?} at {at}");
                self.run(ProxyPlan::At(at, fault));
            }
        }
        for seed in 0..SEEDS {
            println!("seed {seed}");
            self.run(ProxyPlan::Some(seed));
        }
        self.never_loses_against_itself();
    }

    /// Whatever happens to a put that nobody contends, it is told that it was written.
    fn never_loses_against_itself(&self) {
        let slow = [ProxyFault::SlowDown(Some(1)), ProxyFault::Hang, ProxyFault::HangAfter];
        for fault in QUICK.into_iter().chain(slow) {
            let (through, direct) = self.state();
            through.put(&key("a"), b"0", PutCondition::Always).unwrap();
            self.proxy.plan(ProxyPlan::At(0, fault));
            let PutOutcome::Written(first) =
                through.put(&key("doc"), b"one", PutCondition::Absent).unwrap()
            else {
                panic!("{fault:?}: it lost against itself")
            };
            self.proxy.plan(ProxyPlan::At(0, fault));
            let second = through.put(&key("doc"), b"two", PutCondition::Version(&first)).unwrap();
            assert!(second.is_written(), "{fault:?}: it lost against itself");
            self.proxy.plan(ProxyPlan::Pass);
            assert_eq!(direct.get(&key("doc")).unwrap().unwrap(), b"two");
        }
    }

    /// Law 4, also while replies are lost: never are two told that they were first.
    fn has_one_winner_under_faults(&self) {
        const RACERS: usize = 16;
        for seed in 0..SEEDS {
            let (through, direct) = self.state();
            through.put(&key("a"), b"0", PutCondition::Always).unwrap();
            self.proxy.plan(ProxyPlan::Some(seed + 100));
            let put = |at: usize| {
                through.put(&key("raced"), format!("{at}").as_bytes(), PutCondition::Absent)
            };
            let ended: Vec<Result<PutOutcome, StoreError>> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..RACERS).map(|at| scope.spawn(move || put(at))).collect();
                all.into_iter().map(|it| it.join().unwrap()).collect()
            });
            self.proxy.plan(ProxyPlan::Pass);
            let won = |it: &Result<PutOutcome, StoreError>| matches!(it, Ok(it) if it.is_written());
            let won: Vec<usize> = (0..RACERS).filter(|at| won(&ended[*at])).collect();
            let found = direct.get(&key("raced")).unwrap().unwrap();
            let found: usize = String::from_utf8(found).unwrap().parse().unwrap();
            match won[..] {
                [only] => assert_eq!(found, only, "seed {seed}"),
                [] => assert!(ended[found].is_err(), "seed {seed}: {ended:?}"),
                _ => panic!("seed {seed}: {won:?} were told that they were first"),
            }
        }
    }

    /// What lasts is told for what it is.
    fn tells_what_lasts(&self) {
        for (fault, class) in [
            (ProxyFault::LoseReply, RemoteFault::Unreachable),
            (ProxyFault::CutBefore, RemoteFault::Unreachable),
            (ProxyFault::Fail, RemoteFault::Unreachable),
            (ProxyFault::Hang, RemoteFault::Unreachable),
            (ProxyFault::SlowDown(Some(3600)), RemoteFault::Throttled),
        ] {
            let (through, _) = self.state();
            self.proxy.plan(ProxyPlan::All(fault));
            let read = through.read(&key("doc")).unwrap_err();
            let put = through.put(&key("doc"), b"one", PutCondition::Absent).unwrap_err();
            for why in [read, put] {
                match &why {
                    StoreError::Remote(it) if it.fault == class => {}
                    StoreError::Remote(it)
                        if fault == ProxyFault::SlowDown(Some(3600))
                            && it.words.contains("503") => {}
                    _ => panic!("{fault:?}: {why:?}"),
                }
            }
        }
        self.proxy.plan(ProxyPlan::Pass);
    }
}

#[test]
fn versitygw_heals_each_fault_on_the_way() {
    FaultyStore::of(StoreServer::versitygw()).heals_each_fault();
}

#[test]
fn dynamodb_heals_each_fault_on_the_way() {
    FaultyStore::of(StoreServer::sandbox_table()).heals_each_fault();
}

#[test]
fn puts_through_faults_have_one_winner() {
    FaultyStore::of(StoreServer::versitygw()).has_one_winner_under_faults();
    FaultyStore::of(StoreServer::sandbox_table()).has_one_winner_under_faults();
}

#[test]
fn versitygw_tells_a_fault_that_lasts() {
    FaultyStore::of(StoreServer::versitygw()).tells_what_lasts();
}

#[test]
fn dynamodb_tells_a_fault_that_lasts() {
    FaultyStore::of(StoreServer::sandbox_table()).tells_what_lasts();
}

/// As long as there is patience, a store that returns is as good as one that never went.
#[test]
fn verbs_outlast_a_store_that_dies_and_returns() {
    let mut server = StoreServer::versitygw();
    let state = open(server.location(), "shop");
    let put = state.put(&key("doc"), b"one", PutCondition::Absent).unwrap();
    let PutOutcome::Written(first) = put else { panic!("nothing is there") };
    let buckets = server.buckets();
    let ServerKind::Peer(peer) = &mut server.server else { panic!("it is one") };
    peer.kill();
    let gone = state.read(&key("doc")).unwrap_err();
    assert!(
        matches!(&gone, StoreError::Remote(it) if it.fault == RemoteFault::Unreachable),
        "{gone}"
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| state.put(&key("doc"), b"two", PutCondition::Version(&first)));
        std::thread::sleep(Duration::from_millis(200));
        peer.restart_versitygw(&buckets);
        assert!(waiting.join().unwrap().unwrap().is_written());
    });
    assert_eq!(state.get(&key("doc")).unwrap().unwrap(), b"two");
}

/// Whoever calls need not know of runtimes: a thread of one that has no other sleeps, and nothing panics.
#[test]
fn verbs_are_called_from_a_thread_of_a_runtime() {
    let server = StoreServer::versitygw();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let state = open(server.location(), "shop");
        state.put(&key("doc"), b"one", PutCondition::Absent).unwrap();
        assert_eq!(state.get(&key("doc")).unwrap().unwrap(), b"one");
    });
}
