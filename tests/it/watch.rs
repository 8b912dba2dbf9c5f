//! `lifeboat watch`: sites that answer as a script says, watchers that run beside each other, are killed and come back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::engine::state::record::Phase;
use lifeboat::sandbox::SandboxOptions;
use lifeboat::sandbox::faults::state::LostHow;
use lifeboat::store::folder::machine;
use lifeboat::store::lock_record::{LockRecord, wall};
use lifeboat::store::preempt::SwitchCommand;
use lifeboat::store::state_store::StateStore;
use serde_json::Value;

use crate::guards::served;
use crate::harness::{Home, Output};

/// A site on loopback: request by request it answers as its script says; the last line holds on.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    script: Arc<Mutex<Vec<&'static str>>>,
    over: Arc<AtomicBool>,
}

impl Site {
    /// `200`, `503`, `200:a body`, `hang`.
    fn of(script: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            script: Arc::new(Mutex::new(script.to_vec())),
            over: Arc::default(),
        };
        let (asked, lines, over) =
            (Arc::clone(&site.asked), Arc::clone(&site.script), Arc::clone(&site.over));
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let line = {
                    let mut lines = lines.lock().unwrap();
                    if lines.len() > 1 { lines.remove(0) } else { lines[0] }
                };
                let mut stream = stream.unwrap();
                read_head(&mut stream);
                asked.fetch_add(1, SeqCst);
                if line == "hang" {
                    hanging.push(stream);
                } else {
                    let (status, body) = line.split_once(':').unwrap_or((line, ""));
                    let length = body.len();
                    // A prober that went away is none of the site's business.
                    write!(
                        stream,
                        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    )
                    .ok();
                }
            }
        });
        site
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn now(&self, script: &[&'static str]) {
        *self.script.lock().unwrap() = script.to_vec();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // Wakes the thread up, so that it sees it.
        TcpStream::connect(self.address).ok();
    }
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it == 1) {
        head.push(byte[0]);
    }
}

/// An address on loopback where nobody listens: no port that the system gives away, where another test's server would answer a
/// moment later.
fn nobody() -> &'static str {
    "http://127.0.0.1:1/"
}

/// A home with an overlay that can be switched to; `speed` world seconds per second.
fn home(speed: f64) -> Home {
    let home = Home::with(&SandboxOptions { speed, ..SandboxOptions::default() });
    home.stack("tiny", "stack: tiny\nresources: {}\n");
    home.overlay("tiny", "eu", "overlay: eu\n");
    home
}

/// With every default.
fn plain(url: &str) -> [&str; 7] {
    ["watch", "tiny", "--to", "eu", "--url", url, "--sandbox"]
}

/// Watches with short rounds: two of three is down, two in a row is up.
fn words<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let rules = ["--interval", "1s", "--timeout", "1s", "--down", "2/3", "--up", "2"];
    [&plain(url)[..], &rules, more].concat()
}

fn watch(home: &Home, url: &str, more: &[&str]) -> Output {
    home.run(&words(url, more))
}

fn events(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// The names of its events, without the first and the last, which must be what they are.
fn names(output: &Output) -> String {
    let events = events(output);
    let names: Vec<&str> = events.iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"started"), Some(&"stopped")), "{output}");
    names[1..names.len() - 1].join(" ")
}

/// What each run of a command left behind.
fn ran(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.path("ran")).unwrap_or_default();
    text.lines().map(Into::into).collect()
}

const RUN: &str = "echo $LIFEBOAT_ATTEMPT >>ran";
const REMEMBERED: &str = "watch-eu.json";

#[test]
fn watch_reports_down_and_up_in_events() {
    let home = home(200.0);
    let site = Site::of(&["200:Welcome", "500", "200:Maintenance", "200:Welcome"]);
    let url = site.url();
    let output = watch(&home, &url, &["--body", "Welcome", "--rounds", "5"]).code(0);
    assert_eq!(names(&output), "probe-failed probe-failed down probe-ok up");
    assert_eq!(site.asked(), 5, "one request a round");
    let events = events(&output);
    for event in &events {
        assert_eq!((&event["stack"], &event["overlay"]), (&"tiny".into(), &"eu".into()));
        assert_eq!(event["url"], url.as_str());
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["detail"].is_string());
    }
    assert_eq!(events[1]["detail"], "HTTP 500 instead of 200; 1 of the last 3 probes failed");
    assert_eq!(
        events[2]["detail"],
        "the body does not contain `Welcome`; 2 of the last 3 probes failed"
    );
    assert_eq!(events[3]["since"], events[1]["time"]);
    output.says(&["only reports"]).done();
}

#[test]
fn watch_refuses_a_target_that_never_answered() {
    let home = home(200.0);
    let says = "more likely a typo than an outage";
    let site = Site::of(&["404"]);
    watch(&home, &site.url(), &["--once"]).code(1).says(&["HTTP 404 instead of 200", says]).done();
    watch(&home, nobody(), &["--once"]).code(1).says(&["refused", says]).done();
    watch(&home, "http://nobody.example.com/", &["--once"]).code(1).says(&["no zone", says]).done();
    let https = site.url().replace("http:", "https:");
    let output = watch(&home, &https, &["--once"]).code(1).says(&[says]);
    assert_eq!(output.stdout, "", "nothing has begun");
    assert!(!home.state_folder("tiny").join(REMEMBERED).exists());
    // One that has answered before is watched even when it is down at the start.
    site.now(&["200", "404"]);
    watch(&home, &site.url(), &["--once"]).code(0).done();
    let output = watch(&home, &site.url(), &["--once"]).code(0);
    assert_eq!(names(&output), "probe-failed");
    // That is no word about another target.
    watch(&home, &site.url(), &["--once", "--expect", "201"]).code(1).says(&[says]).done();
}

#[test]
fn watch_refuses_wrong_flags_before_it_looks() {
    let home = home(200.0);
    let site = Site::of(&["200"]);
    let url = site.url();
    let control = format!("tcp://{}", site.address);
    for (more, code, says) in [
        (&["--down", "4/3"][..], 64, "--down 4/3 can never be"),
        (&["--down", "0/3"], 64, "would mean down without a failure"),
        (&["--interval", "soon"], 64, "--interval soon is not a valid duration"),
        (&["--timeout", "31s"], 64, "--timeout 31s is longer than --interval 30s"),
        (&["--up", "0"], 64, "--up"),
        (&["--exec", " "], 64, "--exec is empty"),
        (&["--exec", "true", "--failover"], 64, "cannot be used with"),
        (&["--lost", "linode:us-east"], 64, "--failover"),
        (&["--once", "--rounds", "2"], 64, "cannot be used with"),
        (&["--control", &control], 64, "is on the host that is watched"),
        (&["--failover"], 1, "tiny has not been applied yet"),
    ] {
        home.run(&[&plain(&url)[..], more].concat()).code(code).says(&[says]).done();
    }
    home.run(&["watch", "tiny", "--to", "us", "--url", &url, "--sandbox"])
        .code(1)
        .says(&["the overlay `us` does not exist", "the overlays of tiny are: eu"])
        .done();
    assert_eq!(site.asked(), 0);
    assert!(home.is_untouched());
}

#[test]
fn watch_once_decides_as_a_watch_that_runs_on() {
    let script = ["200", "500", "200", "500", "500", "200", "200", "500", "500", "500"];
    let flags = ["--exec", RUN, "--cooldown", "1h"];
    let home = |speed| {
        let home = home(speed);
        (home, Site::of(&script))
    };
    let (whole, site) = home(200.0);
    let output = watch(&whole, &site.url(), &[&flags[..], &["--rounds", "10"]].concat()).code(0);
    let expected = names(&output);
    assert!(expected.contains("switched") && expected.contains("cooldown"), "{expected}");
    let (cut, site) = home(1.0);
    let url = site.url();
    let rounds = script
        .iter()
        .map(|_| names(&watch(&cut, &url, &[&flags[..], &["--once"]].concat()).code(0)));
    let rounds: Vec<String> = rounds.filter(|it| !it.is_empty()).collect();
    assert_eq!(rounds.join(" "), expected);
    assert_eq!((ran(&whole), ran(&cut)), (vec!["1".to_owned()], vec!["1".to_owned()]));
}

#[test]
fn watch_decides_nothing_without_a_control_that_answers() {
    let home = home(200.0);
    let site = Site::of(&["200", "500"]);
    let control = Site::of(&["404", "502", "502", "502", "200"]);
    let (url, control) = (site.url(), control.url());
    let dead = nobody();
    let flags = ["--control", dead, "--control", &control, "--exec", RUN, "--rounds", "6"];
    let output = watch(&home, &url, &flags).code(0);
    assert_eq!(
        names(&output),
        "undecided undecided undecided probe-failed probe-failed down switching switched"
    );
    let undecided = &events(&output)[1]["detail"];
    assert!(undecided.as_str().unwrap().contains("HTTP 502), so this host may be offline"));
    assert_eq!(ran(&home), ["1"]);
}

#[test]
fn watch_exec_runs_once_with_the_facts_and_after_the_cooldown() {
    let home = home(1.0);
    let site = Site::of(&["200", "500"]);
    let url = site.url();
    let facts = "echo $LIFEBOAT_STACK $LIFEBOAT_OVERLAY $LIFEBOAT_URL $LIFEBOAT_SANDBOX \"$LIFEBOAT_DETAIL\" >>ran; echo talk";
    let once = |cooldown| watch(&home, &url, &["--exec", facts, "--once", "--cooldown", cooldown]);
    for expected in ["", "probe-failed", "probe-failed down switching switched"] {
        assert_eq!(names(&once("24h").code(0)), expected);
    }
    assert_eq!(ran(&home), [format!("tiny eu {url} 1 HTTP 500 instead of 200")]);
    let output = once("24h").code(0).says(&["warning: without --control"]);
    assert_eq!(names(&output), "probe-failed cooldown");
    assert_eq!(names(&once("24h").code(0)), "probe-failed", "said once");
    home.world.advance(Duration::from_secs(24 * 3600)).unwrap();
    // What was seen yesterday is no evidence.
    assert_eq!(names(&once("24h").code(0)), "probe-failed");
    let output = once("24h").code(0).says(&["talk"]);
    assert_eq!(names(&output), "probe-failed switching switched");
    assert_eq!(ran(&home).len(), 2);
}

#[test]
fn watch_exec_that_fails_is_tried_again_and_exits_with_1() {
    let home = home(200.0);
    let site = Site::of(&["200", "500"]);
    let fails = format!("{RUN}; exit 3");
    let flags = ["--exec", &fails, "--down", "1/1", "--interval", "40s", "--rounds", "5"];
    let output = home.run(&[&plain(&site.url())[..], &flags].concat()).code(1);
    let (mut again, mut tried) = (String::new(), 0);
    for event in events(&output) {
        let time = event["time"].as_str().unwrap();
        match event["event"].as_str().unwrap() {
            "switching" => {
                assert!(time >= again.as_str(), "not before {again}: {output}");
                tried += 1;
                assert_eq!(event["attempt"], tried);
            }
            "switch-failed" => {
                assert_eq!(event["exit"], 3);
                let detail = event["detail"].as_str().unwrap();
                assert!(
                    detail.starts_with("the command: exit 3; the next attempt is at"),
                    "{detail}"
                );
                event["again"].as_str().unwrap().clone_into(&mut again);
                assert!(again[..17] > time[..17], "at least a minute later: {output}");
            }
            _ => {}
        }
    }
    assert!(tried >= 2, "{output}");
    assert_eq!(ran(&home).len(), tried);
}

#[test]
fn watch_leaves_a_held_lease_and_an_active_overlay_alone() {
    let home = home(1.0);
    let site = Site::of(&["200", "500"]);
    let url = site.url();
    let once = |exec| watch(&home, &url, &["--exec", exec, "--once", "--cooldown", "1h"]).code(0);
    for expected in ["", "probe-failed", "probe-failed down switching switch-held"] {
        assert_eq!(names(&once("exit 4")), expected);
    }
    assert_eq!(names(&once("exit 4")), "probe-failed switching switch-held");
    home.sandbox(&["apply", "tiny", "-o", "eu", "--yes"]).code(0).done();
    assert_eq!(names(&once(RUN)), "probe-failed already-switched");
    assert_eq!(names(&once(RUN)), "probe-failed");
    assert_eq!(ran(&home), [""; 0]);
}

/// A command that says that it runs, and ends when something is written into the pipe.
struct Gate<'a> {
    home: &'a Home,
    command: String,
}

impl<'a> Gate<'a> {
    fn new(home: &'a Home) -> Self {
        let made = Command::new("mkfifo").arg(home.path("gate")).status().unwrap();
        assert!(made.success());
        Self { home, command: format!("{RUN}; read line <gate") }
    }

    fn open(&self) {
        std::fs::write(self.home.path("gate"), "go\n").unwrap();
    }
}

#[test]
fn watch_by_two_at_once_makes_one_switch() {
    let home = home(200.0);
    let site = Site::of(&["200", "500"]);
    let url = site.url();
    watch(&home, &url, &["--once"]).code(0).done();
    let gate = Gate::new(&home);
    let flags = ["--exec", &gate.command, "--rounds", "4"];
    let mut one = home.start(&words(&url, &flags));
    assert!(one.until(|| !ran(&home).is_empty()));
    let other = watch(&home, &url, &["--exec", RUN, "--rounds", "2"]).code(0);
    assert!(names(&other).ends_with("switch-held"), "{other}");
    gate.open();
    let one = one.end().code(0);
    assert!(names(&one).contains("switching switched"), "{one}");
    let later = watch(&home, &url, &["--exec", RUN, "--rounds", "3"]).code(0);
    assert_eq!(names(&later), "probe-failed probe-failed probe-failed");
    assert_eq!(ran(&home), ["1"]);
}

#[test]
fn watch_killed_while_it_switches_goes_on_with_the_same_switch() {
    let home = home(200.0);
    let site = Site::of(&["200", "500"]);
    let url = site.url();
    let gate = Gate::new(&home);
    let mut one = home.start(&words(&url, &["--exec", &gate.command]));
    assert!(one.until(|| !ran(&home).is_empty()));
    one.kill();
    // The command outlives its watcher.
    gate.open();
    let flags = ["--exec", RUN, "--rounds", "62"];
    let output = watch(&home, &url, &flags).code(0);
    let names = names(&output);
    assert!(names.starts_with("switch-failed probe-failed"), "{output}");
    assert_eq!(names.matches("switching switched").count(), 1, "{output}");
    let switching = events(&output).into_iter().find(|it| it["event"] == "switching").unwrap();
    assert_eq!(switching["attempt"], 2);
    assert_eq!(ran(&home), ["1", "2"]);
}

#[test]
fn watch_stops_on_a_signal_while_it_waits_looks_or_switches() {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let home = home(1.0);
        let site = Site::of(&["200"]);
        let url = site.url();
        let mut waiting = home.start(&[&plain(&url)[..], &["--interval", "30d"]].concat());
        assert!(waiting.until(|| home.state_folder("tiny").join(REMEMBERED).exists()));
        waiting.signal(signal);
        let output = waiting.end().code(code);
        assert_eq!(names(&output), "");
        let stopped = events(&output).pop().unwrap();
        assert_eq!(stopped["detail"], format!("SIG{signal}"));
    }
    let home = home(200.0);
    let site = Site::of(&["200", "hang"]);
    let url = site.url();
    let slow = [&plain(&url)[..], &["--interval", "1h", "--timeout", "1h"]].concat();
    home.run(&[&slow[..], &["--once"]].concat()).code(0).done();
    let mut looking = home.start(&slow);
    assert!(looking.until(|| site.asked() == 2));
    looking.signal("TERM");
    assert_eq!(looking.end().code(143).stdout.lines().count(), 1);
    site.now(&["200", "500"]);
    let gate = Gate::new(&home);
    let mut switching = home.start(&words(&url, &["--exec", &gate.command]));
    assert!(switching.until(|| !ran(&home).is_empty()));
    switching.signal("TERM");
    gate.open();
    let output = switching.end().code(143);
    assert!(names(&output).ends_with("switching switched"), "it is seen to its end: {output}");
}

#[test]
fn watch_reports_a_damaged_memory_and_leaves_it_alone() {
    let home = home(200.0);
    let site = Site::of(&["200"]);
    watch(&home, &site.url(), &["--once"]).code(0).done();
    let file = home.state_folder("tiny").join(REMEMBERED);
    let whole = std::fs::read_to_string(&file).unwrap();
    let damaged = whole.replacen("\"good\":true", "\"good\":false", 1);
    assert_ne!(whole, damaged);
    std::fs::write(&file, &damaged).unwrap();
    let output = watch(&home, &site.url(), &["--once"]).code(1);
    output
        .says(&["watch-eu.json cannot be read: its checksum does not match", "move it away"])
        .done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged);
    assert_eq!(site.asked(), 1);
}

#[test]
fn watch_asks_the_sandbox_about_its_addresses() {
    let home = home(1.0);
    home.stack("tiny", served("linode/debian12", ""));
    home.world.set_speed(200.0).unwrap();
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.world.advance(Duration::from_secs(600)).unwrap();
    home.world.set_speed(1.0).unwrap();
    let shown = home.world.show().unwrap();
    let front = shown["linode"]["nodebalancers"][0]["ipv4"].as_str().unwrap();
    let url = format!("http://{front}/");
    let once = || names(&watch(&home, &url, &["--once"]).code(0));
    assert_eq!(once(), "");
    home.world.lose("linode:us-east", LostHow::Hang).unwrap();
    assert_eq!((once(), once()), ("probe-failed".into(), "probe-failed down".into()));
    home.world.heal(None).unwrap();
    assert_eq!((once(), once()), ("probe-ok".into(), "up".into()));
}

const SHOP: &str = "http://shop.example.com/";

/// The example, applied, and watched once while it was well.
fn shop() -> Home {
    let home = Home::woocommerce();
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let output = watch_shop(&home, SHOP, &["--once"]).code(0);
    assert_eq!(names(&output), "");
    home
}

fn shop_words<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let head = ["watch", "woocommerce", "--to", "failover_eu", "--url", url, "--failover"];
    let rules = ["--down", "2/3", "--up", "2", "--sandbox"];
    [&head[..], &rules, more].concat()
}

fn watch_shop(home: &Home, url: &str, more: &[&str]) -> Output {
    home.run(&shop_words(url, more))
}

fn lose_home(home: &Home) {
    home.world.lose("linode:us-east", LostHow::Hang).unwrap();
    home.world.lose("aws:us-east-1", LostHow::Hang).unwrap();
}

fn active(home: &Home) -> Vec<String> {
    home.state("woocommerce").unwrap().active
}

#[test]
fn watch_fails_over_a_lost_site_once_and_never_back() {
    let home = shop();
    lose_home(&home);
    let output = watch_shop(&home, SHOP, &["--rounds", "6"]).code(0);
    let told = "probe-failed probe-failed down switching switched answered probe-ok up";
    assert_eq!(names(&output), told);
    assert_eq!(active(&home), ["failover_eu"]);
    let run = home.state("woocommerce").unwrap().last_run.unwrap();
    let root = home.path("").canonicalize().unwrap();
    let expected = format!(
        "failover woocommerce --to failover_eu --yes --unattended --sandbox -C {}",
        root.display()
    );
    // Users were without their site since it was last seen good, which is where the report begins.
    let (before, rest) = run.command.split_once(" --last-good ").unwrap();
    let command = format!("{before}{}", rest.trim_start_matches(|it| it != ' '));
    assert_eq!(command.trim_end_matches('/'), expected.trim_end_matches('/'));
    let reports = home.sandbox(&["reports", "woocommerce", "--format", "json"]).code(0).json();
    let report = &reports["reports"][0];
    assert!(report["phases"]["detection"].as_f64().is_some_and(|it| it > 0.0), "{report:#}");
    assert!(report["began_at"].as_i64() < report["recorded_at"].as_i64(), "{report:#}");
    // … and the first good answer after users had moved is where it ends.
    let answered = report["answered"].as_f64().unwrap();
    assert!(answered >= report["shifted"].as_f64().unwrap() - 0.1, "{report:#}");
    let (seen, ended) = (report["answered_at"].as_i64(), report["ended_at"].as_i64());
    assert!(seen < ended, "it is looked for while the rest is made: {report:#}");
    let shown = home.sandbox(&["reports", "woocommerce", report["name"].as_str().unwrap()]);
    shown.code(0).shows(&["first good answer from outside: after "]).done();
    home.world.heal(None).unwrap();
    assert_eq!(names(&watch_shop(&home, SHOP, &["--rounds", "3"]).code(0)), "");
    assert_eq!(active(&home), ["failover_eu"], "never back");
    home.world.lose("linode:eu-central", LostHow::Hang).unwrap();
    let output = watch_shop(&home, SHOP, &["--rounds", "3"]).code(0);
    assert_eq!(names(&output), "probe-failed probe-failed down already-switched probe-failed");
    assert_eq!(home.state("woocommerce").unwrap().last_run.unwrap().command, run.command);
}

#[test]
fn watch_by_two_at_once_makes_one_failover() {
    let home = shop();
    lose_home(&home);
    let serial = home.state("woocommerce").unwrap().serial;
    let words = shop_words(SHOP, &["--rounds", "6"]);
    let both = [home.start(&words), home.start(&words)].map(|it| it.end().code(0));
    let said = both.each_ref().map(names).join(" ");
    assert_eq!(
        said.matches("switched").count() - said.matches("already-switched").count(),
        1,
        "{said}"
    );
    assert!(!said.contains("switch-failed"), "{said}");
    let state = home.state("woocommerce").unwrap();
    assert_eq!((state.active, state.serial), (vec!["failover_eu".to_owned()], serial + 1));
}

#[test]
fn watch_waits_for_the_next_round_when_the_lease_is_held() {
    let home = shop();
    lose_home(&home);
    let store = StateStore::new(&home.state_folder("woocommerce"));
    // A lifeboat from before switches told where they go.
    let claims = store.claims();
    let epoch = claims.newest().unwrap().unwrap().epoch + 1;
    let lease = claims.take(&LockRecord {
        epoch,
        owner: "somebody else".into(),
        command: "failover shop --to eu".into(),
        machine: machine(),
        is_locked: true,
        is_firm: true,
        aim: None,
        since: wall(),
    });
    let lease = lease.unwrap().unwrap();
    let output = watch_shop(&home, SHOP, &["--rounds", "3"]).code(0);
    let held = "switching switch-held";
    assert_eq!(
        names(&output),
        format!("probe-failed probe-failed down {held} probe-failed {held}")
    );
    drop(lease);
    let output = watch_shop(&home, SHOP, &["--once"]).code(0);
    assert_eq!(names(&output), "probe-failed switching switched answered");
    assert_eq!(active(&home), ["failover_eu"]);
}

/// A site that answers only later ends the report of its switch later, also for a watch that was started again meanwhile.
#[test]
fn watch_completes_a_report_in_a_later_round() {
    let home = shop();
    let site = Site::of(&["200", "503"]);
    let url = site.url();
    watch_shop(&home, &url, &["--once"]).code(0).done();
    lose_home(&home);
    let output = watch_shop(&home, &url, &["--rounds", "2"]).code(0);
    assert_eq!(names(&output), "probe-failed probe-failed down switching switched");
    let report = || {
        let reports = home.sandbox(&["reports", "woocommerce", "--format", "json"]).code(0);
        reports.json()["reports"][0].clone()
    };
    assert_eq!(report()["answered"], Value::Null);
    site.now(&["200"]);
    let output = watch_shop(&home, &url, &["--once"]).code(0);
    assert_eq!(names(&output), "answered probe-ok");
    let answered = &events(&output)[1];
    assert!(answered["seconds"].as_u64().unwrap() > 0, "{answered}");
    let first = report()["answered_at"].clone();
    assert!(first.is_i64(), "{first}");
    assert_eq!(names(&watch_shop(&home, &url, &["--once"]).code(0)), "up");
    assert_eq!(report()["answered_at"], first, "the first one counts");
}

/// A person who switches knows more: the watch neither turns that, nor turns it back later.
#[test]
fn watch_preempts_no_switch_of_a_person() {
    let home = shop();
    lose_home(&home);
    let store = StateStore::new(&home.state_folder("woocommerce"));
    let (owner, command) = ("somebody else", "failback shop");
    let who =
        SwitchCommand { owner, command, at: 0, to: &[], lost: &[], asks: false, promotes: false };
    let (lease, _) = store.preempt(who, &mut |_| {}).unwrap();
    let output = watch_shop(&home, SHOP, &["--rounds", "3"]).code(0);
    let said = "probe-failed probe-failed down switch-held probe-failed switch-held";
    assert_eq!(names(&output), said);
    output.shows(&["somebody else (lifeboat failback shop) is switching elsewhere"]).done();
    assert_eq!(store.lease_status().unwrap().unwrap().asked_by, None);
    drop(lease);
    assert!(active(&home).is_empty());

    // What it runs is stopped by a failback.
    let turned = "touch begun; until test -e turned; do sleep 0.1; done; exit 4";
    let head = ["watch", "woocommerce", "--to", "failover_eu", "--url", SHOP, "--exec", turned];
    let rules = ["--down", "2/3", "--up", "2", "--rounds", "3", "--sandbox"];
    let mut watch = home.start(&[&head[..], &rules].concat());
    assert!(watch.until(|| home.path("begun").exists()));
    let who = SwitchCommand { command: "failback shop --yes", ..who };
    drop(store.preempt(who, &mut |_| {}).unwrap());
    std::fs::write(home.path("turned"), "").unwrap();
    let output = watch.end().code(0);
    assert_eq!(
        names(&output),
        "probe-failed switching switch-held probe-failed cooldown probe-failed"
    );
    output
        .shows(&["it was superseded: ", "(lifeboat failback shop --yes) is switching elsewhere"])
        .done();
}

#[test]
fn watch_finishes_half_a_failover() {
    let home = shop();
    lose_home(&home);
    let failover = ["failover", "woocommerce", "--to", "failover_eu", "--yes", "--sandbox"];
    let mut cut = home.start(&failover);
    assert!(cut.until(|| home.state("woocommerce").unwrap().phase == Phase::Switching));
    cut.kill();
    let output = watch_shop(&home, SHOP, &["--rounds", "4"]).code(0);
    assert!(
        names(&output).starts_with("probe-failed probe-failed down switching switched"),
        "{output}"
    );
    let state = home.state("woocommerce").unwrap();
    assert_eq!((state.active, state.phase), (vec!["failover_eu".to_owned()], Phase::Settled));
}

#[test]
fn watch_says_as_it_begins_what_would_stop_the_failover() {
    let home = shop();
    let typo = ["--once", "--lost", "linode:us-eest"];
    let other = "http://shop.example.com/other";
    let says =
        ["this stack has no resources in `linode:us-eest`", "did you mean `linode:us-east`?"];
    watch_shop(&home, other, &typo).code(1).says(&says).done();
    // A watch that comes back may come back in the disaster: it says so and watches on.
    let output = watch_shop(&home, SHOP, &typo).code(0);
    assert_eq!(names(&output), "unready");
    let up = ["watch", "woocommerce", "--to", "scale_up", "--url", SHOP, "--once", "--failover"];
    home.sandbox(&up).code(64).says(&["has no `assumes_lost`", "add --lost"]).done();
    let global = ["--once", "--lost", "linode:us-east", "--lost", "linode:global"];
    watch_shop(&home, other, &global).code(3).says(&["would be refused", "linode:global"]).done();
}
