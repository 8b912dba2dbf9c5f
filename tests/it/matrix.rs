//! Nine faults at each call, once, six times and for ever, over failover, failback, apply and drill: who is served stays served,
//! and nothing is called over that is not.
//!
//! `LIFEBOAT_MATRIX=all cargo test --release --test it matrix::` runs all of it, which takes an hour or two; without it a sample is
//! drawn. `LIFEBOAT_MATRIX_SEED=N` draws another one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lifeboat::engine::state::record::Phase;

use crate::converge::in_parallel;
use crate::harness::{Home, Output};
use crate::two_sites::{self, leads, served_by, state};

const FAULTS: [&str; 9] =
    ["429", "500", "503", "lost_reply", "slow", "html502", "truncated", "empty200", "hang"];

/// The name that users ask for.
const NAME: &str = "shop.duo.example.com";

/// 0: for ever.
const TIMES: [u64; 3] = [1, 6, 0];

/// So many are drawn, and none is begun any more when this is over.
const SAMPLE: usize = 40;
const SAMPLE_WITHIN: Duration = Duration::from_secs(200);

const REHEARSAL: &str = "overlay: rehearsal
workspace: drill
borrow: [zone]
rehearses: eu
resources:
  table: { name: duo_drill }
  web: { label: 'drill-us-${each.index}' }
  lb: { label: drill-us }
  eu: { label: 'drill-eu-${each.index}' }
  eu_lb: { label: drill-eu }
  shop: { name: shop-drill }
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Failover,
    Failback,
    Apply,
    Drill,
}

const RUNS: [Run; 4] = [Run::Failover, Run::Failback, Run::Apply, Run::Drill];

impl Run {
    /// Everything that has to be there before it.
    fn home(self) -> Home {
        let home = two_sites::home();
        home.overlay("duo", "rehearsal", REHEARSAL);
        // What is younger may be missing from lists for a while.
        home.world.advance(Duration::from_secs(61)).unwrap();
        match self {
            Self::Failover => two_sites::lose(&home),
            Self::Failback => {
                two_sites::lose(&home);
                two_sites::failover(&home).code(0).done();
                home.world.heal(None).unwrap();
                home.world.advance(Duration::from_secs(61)).unwrap();
            }
            Self::Apply | Self::Drill => {}
        }
        home.log_requests();
        home
    }

    fn run(self, home: &Home) -> Output {
        let words: &[&str] = match self {
            Self::Failover => &["failover", "duo", "--to", "eu"],
            Self::Failback => &["failback", "duo"],
            Self::Apply => &["apply", "duo", "--var", "standby=2"],
            Self::Drill => &["drill", "duo", "--to", "rehearsal"],
        };
        home.sandbox(&[words, &["--yes"]].concat())
    }

    /// Which overlays are active, and where `shop` leads, when it is over.
    fn aim(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Failover => (&["eu"], "eu"),
            Self::Failback | Self::Apply | Self::Drill => (&[], "us"),
        }
    }

    /// The calls that it makes when nothing is wrong, each once.
    fn calls(self) -> BTreeSet<String> {
        let home = self.home();
        self.run(&home).code(0).done();
        let call = |it: &lifeboat::sandbox::requests::received::Received| {
            it.operation.clone().unwrap_or_else(|| {
                let path = it.path.trim_start_matches("/v4beta").trim_start_matches("/v4");
                let object = path.rsplit_once('/').filter(|it| it.1.parse::<u64>().is_ok());
                format!("{} {}", it.method, object.map_or(path, |it| it.0))
            })
        };
        home.requests().0.iter().map(call).collect()
    }
}

/// One square of the matrix.
#[derive(Debug, Clone)]
struct Square {
    run: Run,
    call: String,
    fault: &'static str,
    times: u64,
}

impl Square {
    fn check(&self) {
        let said = format!("{self:?}");
        let home = self.run.home();
        let (active, site) = self.run.aim();
        home.fault(&format!("{} {} times={} ms=200", self.call, self.fault, self.times));
        let first = self.run.run(&home);
        served_by(&home, is_real, &said);
        home.users().unharmed(&[NAME], &said);
        if self.times > 0 {
            home.served_if_anything_serves(NAME, &said);
        }
        self.is_honest(&home, &first, &said);
        // Elsewhere users are served all the while.
        if self.times > 0 && self.run == Run::Failover {
            assert_eq!(leads(&home), [site], "{said}: what passes is outlasted\n{first}");
        }
        home.world.heal(None).unwrap();
        home.world.advance(Duration::from_secs(61)).unwrap();
        for attempt in 0..4 {
            if self.run == Run::Drill && first.code != Some(0) {
                let cleanup = ["drill", "duo", "--to", "rehearsal", "--cleanup", "--yes"];
                home.sandbox(&cleanup).code(0).done();
                break;
            }
            let again = self.run.run(&home);
            self.is_honest(&home, &again, &said);
            if again.code == Some(0) {
                break;
            }
            assert!(attempt < 3, "{said}: it never ends\n{again}");
        }
        assert_eq!(leads(&home), [site], "{said}");
        let state = state(&home);
        assert_eq!(
            (state.active.iter().map(String::as_str).collect::<Vec<_>>(), state.phase),
            (active.to_vec(), Phase::Settled)
        );
        assert!(state.pending.is_empty(), "{said}: {:?}", state.pending);
        home.sandbox(&["plan", "duo", "--detailed-exitcode"]).code(0).done();
        served_by(&home, is_real, &said);
    }

    /// It is over, or neither its words nor its exit say so.
    fn is_honest(&self, home: &Home, told: &Output, said: &str) {
        let (active, site) = self.run.aim();
        let complete = told.stderr.lines().any(|it| it.contains(": complete"));
        let done = told.code == Some(0);
        if complete || done {
            let state = state(home);
            assert_eq!(
                (leads(home), state.phase),
                (vec![site.to_owned()], Phase::Settled),
                "{said}\n{told}"
            );
            assert_eq!(state.active, active, "{said}\n{told}");
        }
        assert!(!complete || done, "{said}\n{told}");
        let code = told.code.unwrap_or_default();
        assert!([0, 1, 3, 5].contains(&code), "{said}\n{told}");
    }
}

/// The names of a rehearsal come and go.
fn is_real(name: &str) -> bool {
    !name.contains("drill")
}

/// A generator of its own, so that a seed draws the same sample everywhere.
fn draw(seed: &mut u64, below: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap() % below
}

#[test]
fn failover_apply_and_drill_keep_users_served_whatever_fails() {
    let all = std::env::var("LIFEBOAT_MATRIX").is_ok_and(|it| it == "all");
    let seed = std::env::var("LIFEBOAT_MATRIX_SEED").ok().and_then(|it| it.parse().ok());
    let mut squares = Vec::new();
    for run in RUNS {
        for call in run.calls() {
            for fault in FAULTS {
                squares.extend(TIMES.map(|times| Square { run, call: call.clone(), fault, times }));
            }
        }
    }
    assert!(squares.len() > 1_000, "{}", squares.len());
    if !all {
        let mut seed = seed.unwrap_or(7);
        squares =
            (0..SAMPLE).map(|_| squares.swap_remove(draw(&mut seed, squares.len()))).collect();
    }
    let begun = Instant::now();
    in_parallel(&squares, |it| {
        if all || begun.elapsed() < SAMPLE_WITHIN {
            it.check();
        }
    });
}
