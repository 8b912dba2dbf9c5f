//! Two pull requests, two runners, and every order in which they are planned, merged and applied.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::ci_server::Kind;
use crate::pipelines::days::approved;
use crate::pipelines::github::{Event, run_again, run_one};
use crate::pipelines::machine::Machine;
use crate::pipelines::site::{Proposal, Site};
use crate::pipelines::{AT_HOME, AT_STANDBY, balancer, is_settled};

/// What happens to one of two pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Planned,
    Merged,
    Applied,
}

use Moment::{Applied, Merged, Planned};

/// Which records the layers have, beside those of the stack.
type Layers = BTreeSet<&'static str>;

const NAMES: [&str; 2] = ["a", "b"];

/// Every order in which the first one is planned first: the others are the same with other names.
fn orders() -> Vec<Vec<(usize, Moment)>> {
    let moments = [Planned, Merged, Applied];
    let mut orders = Vec::new();
    // Which of the five places behind the first are the second one's.
    for places in 0_u32..32 {
        if places.count_ones() != 3 {
            continue;
        }
        let mut next = [0, 0];
        let owners = (0..6_u32).map(|at| usize::from(at > 0 && places & (1 << (at - 1)) != 0));
        let order = owners.map(|it| {
            next[it] += 1;
            (it, moments[next[it] - 1])
        });
        orders.push(order.collect());
    }
    orders
}

/// What the laws of reviewed plans say: a plan runs for the layers that it was made of, and not after a newer one of others ran.
#[derive(Default)]
struct Expected {
    main: Layers,
    merged: [Layers; 2],
    /// Layers of stored plans, the oldest first.
    stored: Vec<Layers>,
    /// The youngest stored plan that ran, by its place.
    ran: Option<usize>,
    there: Layers,
}

impl Expected {
    fn plans(&mut self, who: usize) {
        let layers: Layers = self.main.iter().copied().chain([NAMES[who]]).collect();
        self.stored.push(layers);
    }

    fn merges(&mut self, who: usize) {
        self.main.insert(NAMES[who]);
        self.merged[who].clone_from(&self.main);
    }

    /// Whether the apply of that merge runs.
    fn applies(&mut self, who: usize) -> bool {
        let layers = self.merged[who].clone();
        let Some(own) = self.stored.iter().rposition(|it| *it == layers) else { return false };
        if self.ran.is_some_and(|ran| ran > own && self.stored[ran] != layers) {
            return false;
        }
        self.ran = self.ran.max(Some(own));
        self.there = layers;
        true
    }
}

/// One order from an applied stack to a state that is one.
struct Walk<'a> {
    machines: [Machine<'a>; 2],
    site: &'a Site,
    proposals: [Proposal; 2],
    commits: [String; 2],
    expected: Expected,
    told: String,
}

impl<'a> Walk<'a> {
    fn new(site: &'a Site) -> Self {
        let proposals = [
            site.proposes(5, AT_HOME, &balancer(AT_HOME, "a")),
            site.proposes(6, AT_STANDBY, &balancer(AT_STANDBY, "b")),
        ];
        Self {
            machines: [Machine::new(site, "one"), Machine::new(site, "two")],
            site,
            proposals,
            commits: Default::default(),
            expected: Expected::default(),
            told: String::new(),
        }
    }

    fn moves(&mut self, who: usize, moment: Moment) {
        let (machine, proposal) = (&self.machines[who], &self.proposals[who]);
        match moment {
            Planned => {
                let event = Event::pull(proposal, self.site.trial(proposal));
                run_one(machine, &event).ends_with(0);
                self.expected.plans(who);
            }
            Merged => {
                self.commits[who] = self.site.merges(proposal);
                self.expected.merges(who);
            }
            Applied => {
                let push = Event::Push { commit: self.commits[who].clone() };
                let end = run_one(machine, &push);
                let runs = self.expected.applies(who);
                assert_eq!(end.code, Some(if runs { 0 } else { 3 }), "{}\n{}", self.told, end.log);
                let comment = self.site.host.comment_of(proposal.number);
                let word = if runs { "**first: applied**" } else { "**first: refused**" };
                assert!(comment.contains(word), "{}\n{comment}", self.told);
            }
        }
        self.told.push_str(&format!("{} is {moment:?}; ", NAMES[who]));
        self.only_what_was_reviewed();
    }

    fn only_what_was_reviewed(&self) {
        let there: Layers = NAMES.into_iter().filter(|it| self.site.balancers(it) == 1).collect();
        assert_eq!(there, self.expected.there, "{}", self.told);
    }

    /// What is refused waits for a person; then everything that was merged is there, once.
    fn ends(&self) {
        let newest = usize::from(self.commits[1] == self.site.main());
        let push = Event::Push { commit: self.commits[newest].clone() };
        let other = &self.machines[1 - newest];
        let mut end = run_again(other, &push, 2);
        if end.code == Some(3) {
            approved(self.site, &end.log);
            end = run_again(other, &push, 3);
        }
        end.ends_with(0);
        is_settled(self.site);
        assert!(NAMES.iter().all(|it| self.site.balancers(it) == 1), "{}", self.site.world());
        // Whoever is late changes nothing any more.
        let (world, late) = (self.site.world(), self.commits[1 - newest].clone());
        run_again(&self.machines[newest], &Event::Push { commit: late }, 2);
        assert_eq!(self.site.world(), world, "{}", self.told);
        is_settled(self.site);
    }
}

#[test]
fn github_applies_what_was_reviewed_in_every_order_of_two_runners() {
    let all = orders();
    assert_eq!(all.len(), 10, "half of 6! / (3! 3!)");
    let (waiting, ran) = (Mutex::new(all.iter()), Mutex::new([0, 0]));
    let walk = |order: &Vec<(usize, Moment)>| {
        let site = Site::applied(Kind::GitHub);
        let mut walk = Walk::new(&site);
        for (who, moment) in order {
            walk.moves(*who, *moment);
        }
        ran.lock().unwrap()[usize::from(walk.expected.there == walk.expected.main)] += 1;
        walk.ends();
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(order) = waiting.lock().unwrap().next() else { return };
                    walk(order);
                }
            });
        }
    });
    let [refused, applied] = *ran.lock().unwrap();
    assert!(refused > 2 && applied > 2, "both are met: {refused} {applied}");
}
