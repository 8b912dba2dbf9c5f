//! There and back again over systems of many shapes, losses, destruction and kills, all drawn by chance.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::engine::state::record::Phase;
use proptest::prelude::{Strategy, prop};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::converge::in_parallel;
use crate::harness::Home;
use crate::kill_points::Cut;
use crate::two_sites::{self, AWS, LINODE, leads, settled, state};

/// As many as are drawn in one run.
const FATES: usize = 60;

/// A small system of some shape, and what befalls it.
#[derive(Debug, Clone)]
struct Fate {
    home: usize,
    standby: usize,
    grown: usize,
    gated: bool,
    tables: bool,
    /// A new machine is made before the old one is deleted.
    first: bool,
    /// The overlay gives the standby another image, so that its machines are replaced on both ways.
    renewed: bool,
    lost: Vec<&'static str>,
    destroyed: Option<(&'static str, &'static str)>,
    /// After which request each way is killed.
    killed: (Option<usize>, Option<usize>),
    /// The way home keeps the standby.
    kept: bool,
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
    let sizes = (1_usize..4, 0_usize..3, 1_usize..3);
    let coin = || proptest::bool::ANY;
    let coins = (coin(), coin(), coin(), prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    (sizes, coins, lost, destroyed, kill(), kill()).prop_map(
        |(sizes, coins, lost, destroyed, there, back)| {
            let (home, standby, grown) = sizes;
            let (gated, tables, first, renewed, kept) = coins;
            let destroyed = destroyed.filter(|it| tables || it.0 != AWS);
            let lost = lost.into_iter().filter(|it| tables || *it != AWS).collect();
            let killed = (there, back);
            Fate {
                home,
                standby,
                grown,
                gated,
                tables,
                first,
                renewed,
                lost,
                destroyed,
                killed,
                kept,
            }
        },
    )
}

/// A fate is told when its test fails, whatever it fails at.
struct Told<'a>(&'a Fate);

impl Drop for Told<'_> {
    #[expect(clippy::print_stderr, reason = "where a failing test tells its case")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what befell it: {:?}", self.0);
        }
    }
}

/// One way with a gate of its own.
fn gate(lb: &str) -> String {
    format!(
        "ttl_sec: 30, gate: {{ http: 'http://${{{lb}.ipv4}}/ok', expect: 200, times: 2, within: 5m }}"
    )
}

impl Fate {
    fn stack(&self) -> String {
        let mut stack = two_sites::STACK
            .replace(
                "web: { kind: linode.instance, count: 2",
                &format!("web: {{ kind: linode.instance, count: {}", self.home),
            )
            .replace(
                "standby: { type: int, default: 1 }",
                &format!("standby: {{ type: int, default: {} }}", self.standby),
            );
        if self.gated {
            stack = stack.replace("ttl_sec: 30", &gate("lb"));
        }
        if self.first {
            let first =
                "private_ip: true, lifecycle: { create_before_destroy: true }, authorized_users";
            stack = stack.replace("private_ip: true, authorized_users", first);
        }
        if !self.tables {
            let kept: Vec<&str> = stack.lines().filter(|it| !it.contains("dynamodb.")).collect();
            stack = kept
                .join("\n")
                .replace(", depends_on: [table]", "")
                .replace(", depends_on: [copy]", "");
        }
        stack
    }

    fn overlay(&self) -> String {
        let gate = if self.gated { gate("eu_lb") } else { "ttl_sec: 30".to_owned() };
        let image = if self.renewed { "  eu: { image: linode/ubuntu24.04 }\n" } else { "" };
        format!(
            "overlay: calm\nvariables: {{ standby: {} }}\nresources:\n  shop: {{ target: '${{eu_lb.ipv4}}', {gate} }}\n{image}",
            self.grown
        )
    }

    fn home(&self) -> Home {
        let home = Home::holding("duo", self.stack());
        home.overlay("duo", "calm", self.overlay());
        home.log_requests();
        two_sites::apply(&home).code(0).done();
        // What is younger may be missing from a list for a while, and is not made again.
        home.world.advance(Duration::from_secs(61)).unwrap();
        home
    }

    fn there_and_back(&self) {
        let _told = Told(self);
        let home = self.home();
        let before = self.managed(&home);
        let mut there = vec!["failover", "duo", "--to", "calm"];
        for it in &self.lost {
            home.lose(it);
            there.extend(["--lost", it]);
        }
        if self.lost.is_empty() {
            there.push("--planned");
        }
        carry_out(&home, &there, self.killed.0);
        assert_eq!(leads(&home), ["eu"]);
        settled(&home, &["calm"], "there");
        if let Some((fault_domain, object)) = self.destroyed {
            home.destroy(fault_domain, Some(object));
        }
        home.world.heal(None).unwrap();
        let mut back = vec!["failback", "duo"];
        back.extend(self.kept.then_some("--keep-standby"));
        carry_out(&home, &back, self.killed.1);
        assert_eq!(leads(&home), ["us"]);
        settled(&home, &[], "back");
        assert_eq!(self.managed(&home), before);
    }

    /// What people chose: everything but which object another one is, and what clouds gave it. A standby that is kept may stay
    /// as large as it was made.
    fn managed(&self, home: &Home) -> BTreeMap<String, BTreeMap<String, Value>> {
        let given = ["nodebalancer", "config", "domain", "table", "address", "target"];
        let chosen = |name: &str| !given.iter().any(|it| name.starts_with(it));
        let state = state(home);
        let grows = |name: &str| ["eu[", "eu_node["].iter().any(|it| name.starts_with(it));
        let records = state.records.iter().filter(|it| !(self.kept && grows(&it.0.to_string())));
        let records = records.map(|(address, it)| {
            let attributes = it.attributes.iter().filter(|(name, _)| chosen(name));
            let attributes = attributes.map(|(name, value)| (name.clone(), value.json()));
            // What was adopted after a kill has no word of what is not set and cannot be read.
            let attributes = attributes.filter(|(_, value)| !value.is_null());
            (format!("{address} {}", it.kind), attributes.collect())
        });
        records.collect()
    }
}

/// Carried out, also when it is killed on the way.
fn carry_out(home: &Home, command: &[&str], killed: Option<usize>) {
    // In so small a stack the way home deletes more than the brake lets through without a word.
    let command = [command, &["--allow-destroys", "9"]].concat();
    if let Some(k) = killed {
        if !Cut::After(k).kills(home, &command) {
            return;
        }
        if state(home).phase == Phase::Switching {
            // What was allowed for the switch holds for whoever finishes it.
            home.sandbox(&["apply", "duo", "--yes"]).code(0).done();
            return;
        }
    }
    home.sandbox(&[&command[..], &["--yes"]].concat()).code(0).done();
}

/// There and back again is where it began, wherever either way is cut.
#[test]
fn failover_then_failback_is_where_it_began() {
    let mut chance = TestRunner::new(Config::default());
    let fates: Vec<Fate> =
        (0..FATES).map(|_| fates().new_tree(&mut chance).unwrap().current()).collect();
    in_parallel(&fates, Fate::there_and_back);
}
