//! Switches that meet, with real processes: the same one is waited for, another one turns it, and users are served all the while.

use std::time::Duration;

use lifeboat::store::state_store::StateStore;

use crate::harness::{Home, Output, Running, files};
use crate::two_sites::{self, leads, settled, state};

/// Longer than any test waits: a drain of two days.
const LONG_TTL: &str = "ttl_sec: 86400";

/// A gate that waits for a day.
const PATIENT: &str = "shop: { target: '${eu_lb.ipv4}', gate: { http: 'http://${eu_lb.ipv4}/ok', expect: 200, times: 1, within: 24h } }";

/// At home, with overlays to the other site: `calm`, which waits at its gate for as long as that site is sick; `other`, which
/// wants the same and a balancer more; `lean`, which leaves the standby as it is; `move`, which shrinks home behind its users.
pub(crate) fn home() -> Home {
    home_of(&two_sites::STACK.replace("ttl_sec: 30", LONG_TTL))
}

pub(crate) fn home_of(stack: &str) -> Home {
    let home = two_sites::home_of(stack);
    let calm = two_sites::CALM.replace("shop: { target: '${eu_lb.ipv4}' }", PATIENT);
    assert_ne!(calm, two_sites::CALM);
    home.overlay("duo", "calm", calm);
    let other = two_sites::CALM.replace("calm", "other").replace(
        "resources: {",
        "resources: { extra: { kind: linode.nodebalancer, region: eu-central, label: duo-extra },",
    );
    home.overlay("duo", "other", other);
    home.overlay(
        "duo",
        "lean",
        "overlay: lean\nresources: { shop: { target: '${eu_lb.ipv4}' } }\n",
    );
    let shrunk = two_sites::CALM
        .replace("calm", "move")
        .replace("resources: {", "resources: { web: { count: 1 },");
    home.overlay("duo", "move", shrunk);
    home
}

pub(crate) fn to(overlay: &str) -> Vec<&str> {
    vec!["failover", "duo", "--to", overlay, "--planned", "--yes"]
}

pub(crate) fn start<'a>(home: &'a Home, words: &[&str]) -> Running<'a> {
    home.start(&[words, &["--sandbox"]].concat())
}

/// Neither of the other site's machines answers, until [`heal`].
fn sicken(home: &Home) {
    home.world.sicken("duo-eu-0").unwrap();
    home.world.sicken("duo-eu-1").unwrap();
}

pub(crate) fn heal(home: &Home) {
    home.world.heal(Some("duo-eu-0")).unwrap();
    home.world.heal(Some("duo-eu-1")).unwrap();
}

/// A failover that has made everything and waits before it moves users.
pub(crate) fn at_the_gate<'a>(home: &'a Home, words: &[&str]) -> Running<'a> {
    sicken(home);
    let mut running = start(home, words);
    let waits = || journal(home).contains("\"waiting\":");
    assert!(running.until(waits), "{}", journal(home));
    assert_eq!(machines(home), 4);
    assert_eq!(leads(home), ["us"]);
    running
}

/// A switch that has moved users and waits until nobody comes the old way.
pub(crate) fn draining<'a>(home: &'a Home, words: &[&str], site: &str) -> Running<'a> {
    let left = if site == "us" { "shop eu_lb" } else { "shop lb" };
    let mut running = start(home, words);
    // Others may still come elsewhere since an earlier switch.
    assert!(running.until(|| leads(home) == [site] && drains(home).contains(&left.to_owned())));
    running
}

fn journal(home: &Home) -> String {
    std::fs::read_to_string(home.state_folder("duo").join("journal")).unwrap_or_default()
}

/// How many switches were recorded in all.
fn switches(home: &Home) -> usize {
    let history = home.state_folder("duo").join("history");
    let kept = files(&history, "journal").into_iter();
    let kept = kept.map(|it| std::fs::read_to_string(it).unwrap()).chain([journal(home)]);
    kept.map(|it| it.matches("\"switched\":").count()).sum()
}

pub(crate) fn machines(home: &Home) -> usize {
    home.world.show().unwrap()["linode"]["instances"].as_array().unwrap().len()
}

/// What directs users away from where, while they may still come.
fn drains(home: &Home) -> Vec<String> {
    let draining = state(home).draining.into_iter();
    let mut drains: Vec<String> =
        draining.map(|it| format!("{} {}", it.address, it.was[0])).collect();
    drains.sort();
    drains
}

/// It was stopped as every preempted run is, and says by whom.
fn stopped(output: Output, by: &str) {
    let word = format!("(lifeboat {by}");
    let goes_on = "the run that preempted this one goes on: `lifeboat status ";
    let output = output.code(4);
    assert!(!output.stderr.contains("to resume"), "{output}");
    output.says(&["stopped: preempted by", &word, "incomplete", goes_on]).done();
}

/// Nobody goes the old way any more, and what waits for that is done by what CI runs.
fn finish(home: &Home) {
    home.world.advance(Duration::from_secs(3 * 86_400)).unwrap();
    two_sites::apply(home).code(0).done();
}

#[test]
fn failover_to_the_same_place_twice_makes_one_switch() {
    let home = home();
    let first = at_the_gate(&home, &to("calm"));
    let mut second = start(&home, &to("calm"));
    second.until_says("is already making this switch");
    let lease = || StateStore::new(&home.state_folder("duo")).lease_status().unwrap().unwrap();
    assert_eq!((lease().is_alive, lease().asked_by), (true, None));
    // CI meanwhile: it preempts nobody, and is told whom it met.
    let refused = two_sites::apply(&home).code(4);
    refused.says(&["lifeboat failover duo --to calm", "It is a switch to calm"]).done();
    home.sandbox(&["status", "duo"]).code(0).shows(&["lease: ", "a switch to calm"]).done();
    heal(&home);
    first.end().code(0).says(&["applied: "]).done();
    let second = second.end().code(0);
    assert!(second.stdout.is_empty(), "it has nothing to show: {second}");
    second.says(&["the switch to calm was already made by", "(lifeboat failover duo"]).done();
    assert_eq!((switches(&home), machines(&home), leads(&home)), (1, 4, vec!["eu".into()]));
    settled(&home, &["calm"], "one of two");
}

#[test]
fn failover_that_waits_goes_on_where_a_killed_one_stopped() {
    let home = home();
    let first = at_the_gate(&home, &to("calm"));
    let mut waiting = start(&home, &to("calm"));
    waiting.until_says("is already making this switch");
    first.kill();
    heal(&home);
    waiting.end().code(0).says(&["applied: "]).done();
    assert_eq!((switches(&home), machines(&home)), (1, 4), "it is the same switch");
    settled(&home, &["calm"], "taken over");
}

#[test]
fn failover_that_stops_waiting_stops_nothing_else() {
    let home = home();
    let first = at_the_gate(&home, &to("calm"));
    let mut waiting = start(&home, &to("calm"));
    waiting.until_says("is already making this switch");
    // Not SIGINT: who starts tests in the background of a shell has that ignored.
    waiting.signal("TERM");
    assert_ne!(waiting.end().code, Some(0));
    heal(&home);
    let first = first.end().code(0);
    assert!(!first.stderr.contains("stopped"), "{first}");
    settled(&home, &["calm"], "nobody else waits");
}

/// Before users moved: what was made for them is taken away again.
#[test]
fn failback_preempts_a_failover_that_has_moved_nobody() {
    let home = home();
    let first = at_the_gate(&home, &to("calm"));
    let back = two_sites::failback(&home).code(0);
    back.says(&["a switch to calm; asking it to stop", "which released it"]).done();
    stopped(first.end(), "failback duo");
    assert_eq!((machines(&home), leads(&home), drains(&home)), (3, vec!["us".into()], vec![]));
    heal(&home);
    settled(&home, &[], "turned at the gate");
    assert_eq!(switches(&home), 2);
}

/// After users moved: they move back, and what they may still come to stays until they do not.
#[test]
fn failback_preempts_a_failover_that_has_moved_users() {
    let home = home();
    let first = draining(&home, &to("move"), "eu");
    let back = draining(&home, &["failback", "duo", "--yes"], "us");
    stopped(first.end(), "failback duo");
    assert_eq!((machines(&home), drains(&home)), (4, vec!["shop eu_lb".into(), "shop lb".into()]));
    back.kill();
    finish(&home);
    assert_eq!((machines(&home), leads(&home), drains(&home)), (3, vec!["us".into()], vec![]));
    settled(&home, &[], "turned after its traffic step");
}

/// The home that was gone to is lost again while the other site still serves.
#[test]
fn failover_preempts_a_failback_that_drains() {
    let home = home();
    two_sites::lose(&home);
    two_sites::failover(&home).code(0).done();
    home.world.heal(None).unwrap();
    let back = draining(&home, &["failback", "duo", "--yes"], "us");
    two_sites::lose(&home);
    two_sites::failover(&home).code(0).shows(&["switch base → eu", "7 frozen"]).done();
    stopped(back.end(), "failover duo --to eu");
    let lost: Vec<String> = state(&home).lost.into_iter().map(|it| it.fault_domain).collect();
    assert_eq!(lost, [two_sites::AWS, two_sites::LINODE]);
    assert_eq!((machines(&home), leads(&home)), (4, vec!["eu".into()]));
    settled(&home, &["eu"], "turned while it drained");
}

/// The same without a loss: what home was to lose it keeps.
#[test]
fn failover_planned_preempts_a_failback_that_drains() {
    let home = home();
    home.sandbox(&to("calm")).code(0).done();
    let back = draining(&home, &["failback", "duo", "--yes"], "us");
    home.sandbox(&to("calm")).code(0).done();
    stopped(back.end(), "failover duo --to calm");
    assert_eq!((machines(&home), leads(&home)), (4, vec!["eu".into()]));
    assert_eq!(drains(&home), ["shop eu_lb", "shop lb"]);
    settled(&home, &["calm"], "there again");
}

/// What both want is what the second is asked for; what only the first wanted goes.
#[test]
fn failover_preempts_one_to_another_place() {
    for (overlay, count, extra) in [("other", 4, true), ("lean", 3, false)] {
        let home = home();
        let first = at_the_gate(&home, &to("calm"));
        let mut second = start(&home, &to(overlay));
        second.until_says("took over the lease from");
        heal(&home);
        stopped(first.end(), &format!("failover duo --to {overlay}"));
        second.end().code(0).says(&["a switch to calm; asking it to stop"]).done();
        assert_eq!((machines(&home), leads(&home)), (count, vec!["eu".to_owned()]), "{overlay}");
        assert_eq!(home.shown().contains("duo-extra"), extra);
        settled(&home, &[overlay], overlay);
    }
}

/// Who knows that a region is gone does not wait for one that asks it.
#[test]
fn failover_that_knows_of_a_loss_goes_on_with_the_same_switch() {
    let home = home();
    let first = at_the_gate(&home, &to("calm"));
    two_sites::lose(&home);
    let real = [
        "failover",
        "duo",
        "--to",
        "calm",
        "--lost",
        two_sites::LINODE,
        "--lost",
        two_sites::AWS,
        "--yes",
    ];
    let mut second = start(&home, &real);
    second.until_says("took over the lease from");
    stopped(first.end(), "failover duo --to calm");
    heal(&home);
    second.end().code(0).done();
    assert_eq!((machines(&home), leads(&home)), (4, vec!["eu".into()]));
    assert_eq!(state(&home).lost.len(), 2);
    settled(&home, &["calm"], "with a loss");
}

/// What a guard refuses stops nobody before it is refused.
#[test]
fn failover_that_is_refused_stops_no_other_run() {
    let home = home();
    let drop = "overlay: drop\nresources: { table: null, copy: null, web: { depends_on: [] }, eu: { depends_on: [] }, shop: { target: '${eu_lb.ipv4}' } }\n";
    home.overlay("duo", "drop", drop);
    let mut running = at_the_gate(&home, &to("calm"));
    let refused = home.sandbox(&to("drop")).code(3);
    assert!(!refused.stderr.contains("asking it to stop"), "{refused}");
    refused.shows(&["data_loss"]).done();
    assert!(running.goes_on());
    running.kill();
}
