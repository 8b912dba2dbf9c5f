//! Runs that are killed with -9 at a request: what tests of switches and drills cut them with.
//!
//! A switch makes some 80 requests and each is a place to be killed at: `LIFEBOAT_CUTS=all cargo test --test it crash::` kills
//! at all of them. Without it one in three is drawn, with `PROPTEST_RNG_SEED` others; at every change a run is killed anyway.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use lifeboat::sandbox::requests::received::Received;

use crate::converge::{fired, in_parallel};
use crate::harness::Home;

/// Longer than any test waits.
const FOR_EVER: &str = "slow ms=600000 times=1";

/// No run of these tests makes more requests.
const REQUESTS_MAX: usize = 500;

/// Of so many requests in a row one is drawn.
const DRAWN: usize = 3;

/// Whether a run is to be killed after its k-th request; the first and those past the usual length always.
pub(crate) fn is_drawn(k: usize, least: usize) -> bool {
    let number = |name| std::env::var(name).ok()?.parse::<usize>().ok();
    let seed = number("PROPTEST_RNG_SEED").unwrap_or_default();
    let all = std::env::var("LIFEBOAT_CUTS").is_ok_and(|it| it == "all");
    all || k == 1 || k >= least || k % DRAWN == seed % DRAWN
}

/// Where a run is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its k-th request was carried out and not answered, and no later one is carried out.
    After(usize),
    /// A request, as faults name it, was carried out and not answered.
    Unanswered(String),
    /// A request, as faults name it, has left and was not carried out.
    Unheard(String),
}

impl Cut {
    fn faults(&self) -> Vec<String> {
        match self {
            Self::After(k) => {
                vec![format!("{FOR_EVER} nth={k}"), format!("hang times=0 nth={}", k + 1)]
            }
            Self::Unanswered(request) => vec![format!("{request} {FOR_EVER}")],
            Self::Unheard(request) => vec![format!("{request} hang times=0")],
        }
    }

    /// Runs it and kills it there. False: it was over before, and done.
    pub(crate) fn kills(&self, home: &Home, command: &[&str]) -> bool {
        for it in self.faults() {
            home.fault(&it);
        }
        let mut running = home.start(&[command, &["--yes", "--sandbox"]].concat());
        let length = Cell::new(0);
        let struck = running.until(|| {
            let now = home.log_length();
            now != length.replace(now) && fired(home) > 0
        });
        if struck {
            running.kill();
        } else {
            running.end().code(0).done();
        }
        home.world.end_faults().unwrap();
        struck
    }
}

/// Kills a run after each of its requests, or each that is drawn, one more each time, until it is over before; every time in a copy of this home.
/// `check` is told where it was cut; the log of requests begins with the run.
pub(crate) fn after_each_request(
    home: &Home,
    command: &[&str],
    check: impl Fn(&Home, &str) + Sync,
) {
    let least = requests_of(home, command).len();
    assert!(least > 12, "it makes more than {least} requests");
    let is_over = AtomicBool::new(false);
    let all: Vec<usize> = (1..REQUESTS_MAX).collect();
    in_parallel(&all, |k| {
        if !is_drawn(*k, least) || *k > least && is_over.load(SeqCst) {
            return;
        }
        let home = home.copy();
        home.log_requests();
        let struck = Cut::After(*k).kills(&home, command);
        is_over.fetch_or(!struck && *k > least, SeqCst);
        let said = format!("{} killed after request {k} of about {least}", command[0]);
        let asked = home.requests();
        assert!(!struck || asked.len() >= *k, "{said}: {asked}");
        // What hangs because it is lost hangs before that as well, and is not counted.
        let answered = asked.0.iter().filter(|it| !it.to_string().ends_with("hung")).count();
        assert!(answered <= *k, "{said}: {asked}");
        check(&home, &said);
    });
    assert!(is_over.load(SeqCst), "every request was followed by a kill");
}

/// Kills a run at each of its requests that change something: when it has left, and when it was carried out.
pub(crate) fn at_each_change(home: &Home, command: &[&str], check: impl Fn(&Home, &str) + Sync) {
    let mut cuts = Vec::new();
    let all = requests_of(home, command);
    for (at, it) in all.iter().enumerate().filter(|(_, it)| it.is_mutating()) {
        // Which of two objects that are made at once gets which id differs from run to run.
        let path = it.path.trim_end_matches(|it: char| it.is_ascii_digit());
        let meets = |other: &&Received| match &it.operation {
            Some(operation) => other.operation.as_ref() == Some(operation),
            None => other.method == it.method && other.path.starts_with(path),
        };
        let nth = all[..at].iter().filter(meets).count() + 1;
        let name = match &it.operation {
            Some(operation) => operation.clone(),
            None => format!("{} {}", it.method, path.trim_start_matches("/v4")),
        };
        cuts.push(Cut::Unheard(format!("{name} nth={nth}")));
        cuts.push(Cut::Unanswered(format!("{name} nth={nth}")));
    }
    in_parallel(&cuts, |cut| {
        let home = home.copy();
        home.log_requests();
        let said = format!("{} killed, {cut:?}", command[0]);
        assert!(cut.kills(&home, command), "{said}: it was over before");
        check(&home, &said);
    });
}

/// What a run that nobody disturbs asks of the clouds.
fn requests_of(home: &Home, command: &[&str]) -> Vec<Received> {
    let home = home.copy();
    home.log_requests();
    home.sandbox(&[command, &["--yes"]].concat()).code(0).done();
    home.requests().0
}
