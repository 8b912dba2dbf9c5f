//! Switches that are killed: whatever was reached, the next run finishes them, and users are served all the while.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::engine::state::record::Phase;
use proptest::prelude::{Strategy, prop, proptest};
use proptest::test_runner::Config;
use serde_json::Value;

use crate::converge::{fired, in_parallel};
use crate::duo::{self, AWS, LINODE, failback, failover, leads, settled, state};
use crate::harness::Home;

/// Longer than any test waits.
const FOR_EVER: &str = "slow ms=600000 times=1";

/// Kills it when its `k`-th request was carried out and not yet answered. False: it was over before.
pub(crate) fn killed_at(home: &Home, command: &[&str], k: usize) -> bool {
    home.fault(&format!("{FOR_EVER} nth={k}"));
    let mut running = home.start(&[command, &["--yes", "--sandbox"]].concat());
    let struck = running.until(|| fired(home) > 0);
    running.kill();
    struck
}

/// How many requests a run makes, after which it is killed in as many tries as is bearable.
pub(crate) fn requests_of(home: &Home, run: impl Fn(&Home)) -> usize {
    let copy = home.copy();
    copy.log_requests();
    run(&copy);
    let probes = copy.probes().len();
    copy.requests().len() + probes
}

/// All of the last ones, which change things, and a spread of the first, which look.
fn spread(count: usize) -> Vec<usize> {
    assert!(count > 12, "a switch makes more than {count} requests");
    let mut chosen: Vec<usize> = (1..=count).rev().step_by(count.div_ceil(18)).collect();
    chosen.extend([count - 1, count]);
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[test]
fn a_killed_failover_is_finished_by_what_ci_runs() {
    let home = duo::home();
    duo::lose(&home);
    let count = requests_of(&home, |it| failover(it).code(0).done());
    in_parallel(&spread(count), |k| {
        let said = format!("failover killed after request {k} of {count}");
        let home = home.copy();
        home.log_requests();
        if !killed_at(&home, &["failover", "duo", "--to", "eu"], *k) {
            return;
        }
        if state(&home).active.is_empty() {
            // Nothing had begun: CI leaves everything as it is, and does not guess.
            duo::apply(&home).code(5).done();
            home.requests().mutating().none();
            failover(&home).code(0).done();
        } else {
            assert_eq!(state(&home).phase, Phase::Switching, "{said}");
            duo::apply(&home).code(0).done();
        }
        assert_eq!(leads(&home), ["eu"], "{said}");
        let asked = home.requests();
        asked.to_fault_domain(AWS).mutating().none();
        asked.to_fault_domain(LINODE).mutating().none();
        settled(&home, &["eu"], &said);
        assert_eq!(machines(&home), 4, "{said}: {}", home.shown());
    });
}

fn machines(home: &Home) -> usize {
    home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len()
}

/// On the way home something has to be made again, and a table of the other side is kept.
#[test]
fn a_killed_failback_is_finished_by_what_ci_runs() {
    let home = duo::home();
    let orders = "  orders: { kind: dynamodb.table, region: eu-west-1, name: orders, attributes: { id: S }, hash_key: id }\n";
    let eu = std::fs::read_to_string(home.path("stacks/duo/overlays/eu.yaml")).unwrap();
    let eu = eu.replace(
        "resources: { shop: { target: '${eu_lb.ipv4}' } }\n",
        &format!("resources:\n  shop: {{ target: '${{eu_lb.ipv4}}' }}\n{orders}"),
    );
    home.overlay("duo", "eu", eu);
    duo::lose(&home);
    failover(&home).code(0).done();
    home.destroy(AWS, Some("duo"));
    home.destroy(LINODE, Some("duo-us-1"));
    home.world.heal(None).unwrap();
    let count = requests_of(&home, |it| failback(it).code(0).done());
    in_parallel(&spread(count), |k| {
        let said = format!("failback killed after request {k} of {count}");
        let home = home.copy();
        home.log_requests();
        if !killed_at(&home, &["failback", "duo"], *k) {
            return;
        }
        if state(&home).phase == Phase::Switching {
            duo::apply(&home).code(0).done();
        } else {
            failback(&home).code(0).done();
        }
        assert_eq!(leads(&home), ["us"], "{said}");
        settled(&home, &[], &said);
        home.requests().with("CreateTable").none();
        home.requests().with("DeleteTable").none();
        let state = state(&home);
        assert!(state.records[&"orders".parse().unwrap()].retained, "{said}: {:?}", state.records);
        assert_eq!(machines(&home), 3, "{said}: {}", home.shown());
    });
}

/// What was asked for at the beginning holds for whoever finishes it.
#[test]
fn a_killed_failback_that_keeps_the_standby_keeps_it() {
    let home = duo::home();
    failover_calmly(&home);
    home.fault(&format!("PUT /domains {FOR_EVER}"));
    let mut running = home.start(&["failback", "duo", "--keep-standby", "--yes", "--sandbox"]);
    assert!(running.until(|| fired(&home) > 0));
    running.kill();
    assert_eq!(state(&home).phase, Phase::Switching);
    duo::apply(&home).code(0).shows(&["a failback kept it"]).done();
    assert_eq!((leads(&home), machines(&home)), (vec!["us".to_owned()], 4));
    settled(&home, &[], "kept");
}

fn failover_calmly(home: &Home) {
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
}

/// A further loss on the way does not turn a switch into an apply of everything.
#[test]
fn a_further_loss_on_the_way_is_the_same_switch() {
    let home = duo::home();
    let late =
        "  late: { kind: linode.nodebalancer, region: eu-central, label: duo-late }\noutputs:";
    home.stack("duo", duo::STACK.replace("outputs:", late));
    home.lose(LINODE);
    home.world.sicken("duo-eu-0").unwrap();
    home.world.sicken("duo-eu-1").unwrap();
    let to =
        |lost: &str| home.sandbox(&["failover", "duo", "--to", "calm", "--lost", lost, "--yes"]);
    to(LINODE).code(1).done();
    home.lose(AWS);
    home.world.heal(Some("duo-eu-0")).unwrap();
    home.world.heal(Some("duo-eu-1")).unwrap();
    to(AWS).code(0).shows(&["not part of this switch", "late"]).done();
    assert!(!home.shown().contains("duo-late"), "a merge is no part of it: {}", home.shown());
    let lost: Vec<String> = state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!((lost, leads(&home)), (vec![AWS.into(), LINODE.into()], vec!["eu".into()]));
}

/// A small system of some shape, and what befalls it.
#[derive(Debug, Clone)]
struct Fate {
    home: usize,
    standby: usize,
    grown: usize,
    gated: bool,
    tables: bool,
    lost: Vec<&'static str>,
    destroyed: Option<(&'static str, &'static str)>,
    killed: (Option<usize>, Option<usize>),
}

fn fates() -> impl Strategy<Value = Fate> {
    let lost = prop::sample::select(vec![vec![], vec![LINODE], vec![LINODE, AWS], vec![AWS]]);
    let destroyed = prop::sample::select(vec![
        None,
        Some((LINODE, "duo-us-0")),
        Some((LINODE, "duo-us")),
        Some((AWS, "duo")),
    ]);
    let kill = || prop::option::of(1_usize..60);
    let numbers = (1_usize..4, 0_usize..3, 1_usize..3, proptest::bool::ANY, proptest::bool::ANY);
    (numbers, lost, destroyed, kill(), kill()).prop_map(
        |(numbers, lost, destroyed, there, back)| {
            let (home, standby, grown, gated, tables) = numbers;
            let destroyed = destroyed.filter(|it| lost.contains(&it.0) && (tables || it.0 != AWS));
            let lost = lost.into_iter().filter(|it| tables || *it != AWS).collect();
            Fate { home, standby, grown, gated, tables, lost, destroyed, killed: (there, back) }
        },
    )
}

impl Fate {
    fn home(&self) -> Home {
        let mut stack = duo::STACK
            .replace(
                "web: { kind: linode.instance, count: 2",
                &format!("web: {{ kind: linode.instance, count: {}", self.home),
            )
            .replace(
                "standby: { type: int, default: 1 }",
                &format!("standby: {{ type: int, default: {} }}", self.standby),
            );
        let mut overlay = duo::CALM.replace("standby: 2", &format!("standby: {}", self.grown));
        if self.gated {
            let gate = |lb: &str| {
                format!(
                    "gate: {{ http: 'http://${{{lb}.ipv4}}/ok', expect: 200, times: 2, within: 5m }}"
                )
            };
            stack = stack.replace("ttl_sec: 30 }", &format!("ttl_sec: 30, {} }}", gate("lb")));
            overlay =
                overlay.replace("eu_lb.ipv4}' }", &format!("eu_lb.ipv4}}', {} }}", gate("eu_lb")));
        }
        if !self.tables {
            let kept = stack.lines().filter(|it| !it.contains("dynamodb."));
            stack = kept
                .collect::<Vec<_>>()
                .join("\n")
                .replace(", depends_on: [table]", "")
                .replace(", depends_on: [copy]", "");
        }
        let home = Home::holding("duo", stack);
        home.overlay("duo", "calm", overlay);
        home.log_requests();
        duo::apply(&home).code(0).done();
        // What is younger may be missing from a list for a while, and is not made again.
        home.world.advance(Duration::from_secs(61)).unwrap();
        home
    }

    /// Carried out, also when it is killed on the way.
    fn carry_out(&self, home: &Home, command: &[&str], killed: Option<usize>) {
        let said = format!("{self:?}: {}", command.join(" "));
        let was_killed = killed.is_some_and(|k| killed_at(home, command, k));
        if killed.is_some() && !was_killed {
            // It was over before, and the next run is not to meet the fault.
            let lost = home.world.lost().unwrap();
            home.world.heal(None).unwrap();
            for (name, _) in &lost {
                home.lose(name);
            }
        }
        let goes_on = was_killed && state(home).phase == Phase::Switching;
        let command = if goes_on { &["apply", "duo"][..] } else { command };
        // In so small a stack the way home deletes more than the brake lets through without a word.
        let output = home.sandbox(&[command, &["--allow-destroys", "9", "--yes"]].concat());
        assert_eq!(output.code, Some(0), "{said}: {output}");
    }
}

/// What people chose: everything but which object another one is, and what clouds gave it.
fn managed(home: &Home) -> BTreeMap<String, BTreeMap<String, Value>> {
    let given = ["nodebalancer", "config", "domain", "table", "address", "target"];
    let chosen = |name: &str| !given.iter().any(|it| name.starts_with(it));
    let state = state(home);
    let records = state.records.iter().map(|(address, it)| {
        let attributes = it.attributes.iter().filter(|(name, _)| chosen(name));
        let attributes = attributes.map(|(name, value)| (name.clone(), value.json()));
        (format!("{address} {}", it.kind), attributes.collect())
    });
    records.collect()
}

proptest! {
    #![proptest_config(Config { cases: 10, max_shrink_iters: 6, failure_persistence: None, ..Config::default() })]

    /// There and back again is where it began, wherever either way is cut.
    #[test]
    fn failover_then_failback_is_where_it_began(fate in fates()) {
        let home = fate.home();
        let before = managed(&home);
        let mut there = vec!["failover", "duo", "--to", "calm"];
        for it in &fate.lost {
            home.lose(it);
            there.extend(["--lost", it]);
        }
        if fate.lost.is_empty() {
            there.push("--planned");
        }
        let said = format!("{fate:?}");
        fate.carry_out(&home, &there, fate.killed.0);
        assert_eq!(leads(&home), ["eu"], "{said}");
        settled(&home, &["calm"], &said);
        if let Some((fault_domain, object)) = fate.destroyed {
            home.destroy(fault_domain, Some(object));
        }
        home.world.heal(None).unwrap();
        fate.carry_out(&home, &["failback", "duo"], fate.killed.1);
        assert_eq!(leads(&home), ["us"], "{said}");
        settled(&home, &[], &said);
        assert_eq!(managed(&home), before, "{said}");
    }
}
