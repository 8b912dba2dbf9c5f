//! Tasks of switches, end to end: programs, requests and people, killed, resumed, refused, rehearsed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use lifeboat::ops::tasks::program::hold_folder;

use crate::harness::{Home, copy, repository};
use crate::kill_points::Cut;

pub(crate) const TO: [&str; 6] = ["failover", "site", "--to", "eu", "--planned", "--yes"];
pub(crate) const BACK: [&str; 3] = ["failback", "site", "--yes"];

/// A name that a switch leads elsewhere, and nothing that takes time.
const SITE: &str = "stack: site
variables:
  host: { type: string, default: cache.example.com }
resources:
  far: { kind: linode.nodebalancer, region: us-east }
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1, ttl_sec: 30 }
tasks:
";

pub(crate) const ELSEWHERE: &str = "overlay: eu\nresources:\n  www: { target: 192.0.2.2 }\n";

/// The site, applied, with these tasks.
pub(crate) fn site(tasks: &str) -> Home {
    let home = Home::holding("site", format!("{SITE}{tasks}"));
    home.overlay("site", "eu", ELSEWHERE);
    script(&home, "note.sh", "echo \"$LIFEBOAT_TASK $*\" >> ran.log");
    home.sandbox(&["apply", "site", "--yes"]).code(0).done();
    home
}

pub(crate) fn script(home: &Home, name: &str, body: &str) {
    let file = format!("stacks/site/{name}");
    home.write(&file, format!("#!/bin/sh\n{body}\n"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.path(&file), mode).unwrap();
}

/// What the tasks of the site have noted.
pub(crate) fn ran(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.path("stacks/site/ran.log")).unwrap_or_default();
    text.lines().map(|it| it.trim().to_owned()).collect()
}

pub(crate) fn phase(home: &Home) -> String {
    let phase = home.state("site").unwrap().phase;
    serde_json::to_value(phase).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn failover_runs_each_task_once_in_its_order() {
    let home = site(
        "  first: { on: [planned], before: [www], exec: [./note.sh, one, '${vars.host}'], in_drill: skip }
  second: { on: [planned, failback], after: [www], exec: [./note.sh, two, '${www.id}'], in_drill: skip }
  never: { on: [failover], exec: [./note.sh], in_drill: skip }
",
    );
    let explained = home.sandbox(&["explain", "site", "first.exec"]).code(0);
    let told = "first.exec = [\"./note.sh\",\"one\",\"cache.example.com\"]\n  from stacks/site/stack.yaml:9: [./note.sh, one, '${vars.host}']\n  vars.host = \"cache.example.com\" (default)";
    explained.shows(&[told]).done();
    let graph = home.run(&["graph", "site"]).code(0);
    graph
        .shows(&[
            "\"first\" [shape = ellipse]",
            "\"www\" -> \"second\"\n",
            "\"first\" -> \"www\" [style = dashed]",
        ])
        .done();
    let plan = home.sandbox(&["plan", "site"]).code(0);
    plan.shows(&["No changes."]).done();
    home.sandbox(&TO)
        .code(0)
        .shows(&[
            "2 tasks to run",
            ">   first exec: before www",
            "exec: [\"./note.sh\", \"one\", \"cache.example.com\"], within 5 min",
        ])
        .says(&["first: task done", "second: task done"])
        .done();
    let noted = ran(&home);
    assert_eq!(noted[0], "first one cache.example.com");
    assert!(noted[1].starts_with("second two ") && noted.len() == 2, "{noted:?}");
    home.sandbox(&["plan", "site", "--detailed-exitcode"]).code(0).shows(&["No changes."]).done();
    home.sandbox(&TO).code(0).done();
    assert_eq!(ran(&home).len(), 2, "a switch that is made is not made again");
    home.sandbox(&BACK).code(0).says(&["second: task done"]).done();
    assert_eq!(ran(&home).len(), 3, "another switch runs it again");
    let reports = home.sandbox(&["reports", "site"]).code(0);
    reports.done();
}

#[test]
fn failover_is_refused_before_its_first_call_where_a_program_cannot_be_started() {
    let home = site(
        "  lost: { on: [planned], exec: [./no.sh], in_drill: skip }
  headless: { on: [planned], exec: [./headless.sh], in_drill: skip }
  dull: { on: [planned], exec: [./dull.sh], in_drill: skip }
  pathless: { on: [planned], exec: [no-such-program-anywhere], verify: { exec: [./gone.sh] }, in_drill: skip }
",
    );
    home.write("stacks/site/dull.sh", "#!/bin/sh\n");
    script(&home, "headless.sh", "");
    home.write("stacks/site/headless.sh", "#!/usr/bin/no-such-python\n");
    home.log_requests();
    home.sandbox(&TO)
        .code(1)
        .says(&[
            "program_missing",
            "stacks/site/stack.yaml:9:33",
            "./no.sh does not exist",
            "./dull.sh is not executable",
            "no-such-program-anywhere is not on the PATH",
            "./gone.sh does not exist",
            "./headless.sh is run by /usr/bin/no-such-python, which is not there",
            "5 errors; nothing was changed",
        ])
        .done();
    home.requests().mutating().none();
    assert!(home.state("site").unwrap().switch.is_none());
    let audit = home.sandbox(&["audit", "site", "--to", "eu"]).code(1);
    audit.shows(&["task-program-missing", "./no.sh does not exist"]).done();
}

#[test]
fn failover_stops_at_a_task_that_fails_and_goes_on_past_one_that_may() {
    let home = site(
        "  may: { on: [planned], before: [www], exec: [./fail.sh, may], on_failure: continue, in_drill: skip }
  must: { on: [planned], after: [may], before: [www], exec: [./fail.sh, must], rerun: safe, in_drill: skip }
",
    );
    script(&home, "fail.sh", "echo \"$1 cannot\" >&2; echo $1 >> ran.log; test -e mended");
    home.sandbox(&TO)
        .code(1)
        .says(&[
            "failed: must: run task: exit status 1: must cannot; the next run runs it again",
            "not done: www: update",
            "failed, and the run went on without it: may: run task",
        ])
        .done();
    assert_eq!(phase(&home), "switching");
    home.write("stacks/site/mended", "");
    home.sandbox(&["apply", "site", "--yes"]).code(0).says(&["must: task done"]).done();
    assert_eq!(ran(&home), ["may", "must", "must"], "what may fail has had its turn");
    assert_eq!(phase(&home), "settled");
}

/// Whatever a program does to stay: it ends when its time is over, and with it all that it has started.
#[test]
fn failover_ends_a_program_that_ignores_sigterm_and_all_that_it_forked() {
    let home = site(
        "  stubborn: { on: [planned], exec: [./stubborn.sh], within: 1s, in_drill: skip }
  after: { on: [planned], after: [stubborn], exec: [./note.sh], in_drill: skip }
",
    );
    script(
        &home,
        "stubborn.sh",
        "trap '' TERM; (trap '' TERM; sleep 600) & echo $! > child.pid; echo $$ > own.pid; while :; do sleep 600; done",
    );
    home.sandbox(&TO)
        .code(1)
        .says(&[
            "indeterminate: stubborn: run task: it did not end within 1 s and was stopped",
            "if it took effect: `lifeboat state resolve site stubborn done --sandbox`; if it did not: `lifeboat state resolve site stubborn not-done --sandbox`",
            "not done: after: run task",
        ])
        .done();
    for file in ["own.pid", "child.pid"] {
        let pid = std::fs::read_to_string(home.path(&format!("stacks/site/{file}"))).unwrap();
        assert!(!is_running(pid.trim()), "{file} is still there");
    }
    home.sandbox(&["apply", "site", "--yes"]).code(1).says(&["indeterminate: stubborn"]).done();
    home.sandbox(&["state", "resolve", "site", "stubborn", "done"]).code(0).done();
    home.sandbox(&["apply", "site", "--yes"]).code(0).says(&["after: task done"]).done();
    assert_eq!(ran(&home), ["after"]);
}

/// A process that is there and has not ended, as the kernel of Linux tells it.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Children that a program leaves behind end with it, and hold nobody up.
#[test]
fn failover_ends_what_a_program_leaves_behind() {
    let home = site("  fork: { on: [planned], exec: [./fork.sh], in_drill: skip }\n");
    script(&home, "fork.sh", "sleep 600 & echo $! > child.pid; echo forked");
    home.sandbox(&TO).code(0).says(&["fork: task done"]).done();
    let pid = std::fs::read_to_string(home.path("stacks/site/child.pid")).unwrap();
    assert!(!is_running(pid.trim()));
}

#[test]
fn failover_keeps_the_end_of_a_gigabyte_of_output_redacted() {
    let mut home =
        site("  loud: { on: [planned], exec: [./loud.sh], env: [CACHE_TOKEN], in_drill: skip }\n");
    home.set("CACHE_TOKEN", "hunter2hunter2");
    home.set("LINODE_TOKEN", "token-of-the-cloud");
    script(
        &home,
        "loud.sh",
        "head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; echo token $CACHE_TOKEN; env | grep -c LINODE_TOKEN; ls stack.yaml",
    );
    home.sandbox(&TO).code(0).says(&["loud: task done"]).done();
    let report = home.sandbox(&["reports", "site", "--format", "json"]).code(0);
    let steps = report.json()["reports"][0]["steps"].clone();
    let step = steps.as_array().unwrap().iter().find(|it| it["address"] == "loud").unwrap().clone();
    let output = step["output"].as_str().unwrap();
    assert!(output.len() < 70_000, "{}", output.len());
    assert_eq!(
        output,
        "(1000000001 bytes before this were not kept)\ntoken (sensitive)\n0\nstack.yaml\n"
    );
    report.done();
}

/// One task that does its work where and how the file `mode` says.
fn held(keys: &str) -> Home {
    let home = site(&format!(
        "  work: {{ on: [planned], before: [www], exec: [./work.sh], {keys}, in_drill: skip }}\n  next: {{ on: [planned], after: [www], exec: [./note.sh], in_drill: skip }}\n"
    ));
    script(
        &home,
        "work.sh",
        "echo $$ > work.pid
case \"$(cat mode)\" in
  before) touch reached; sleep 600;;
  after) echo work >> ran.log; touch reached; sleep 600;;
  ended) kill -STOP $(cut -d' ' -f4 /proc/$PPID/stat); echo work >> ran.log; touch reached;;
  *) echo work >> ran.log;;
esac",
    );
    script(&home, "seen.sh", "grep -q work ran.log");
    home
}

/// Kills the switch with -9 while, or right after, its task works.
fn killed(home: &Home, mode: &str) {
    home.write("stacks/site/mode", mode);
    let mut running = home.start(&[&TO[..], &["--sandbox"]].concat());
    assert!(running.until(|| home.path("stacks/site/reached").exists()), "{mode}: it ended");
    running.kill();
    let pid = std::fs::read_to_string(home.path("stacks/site/work.pid")).unwrap();
    while is_running(pid.trim()) {
        std::thread::yield_now();
    }
    home.write("stacks/site/mode", "");
}

pub(crate) const RESUME: [&[&str]; 2] = [&TO, &["apply", "site", "--yes"]];

#[test]
fn failover_killed_in_a_task_runs_it_again_where_that_is_safe() {
    for (mode, again) in
        RESUME.iter().flat_map(|it| ["before", "after", "ended"].map(|mode| (mode, it)))
    {
        let home = held("rerun: safe");
        killed(&home, mode);
        let resumed = home.sandbox(&[again, &EVENTS[..]].concat()).code(0);
        resumed.shows(&["resumed: it was interrupted; it runs again"]).done();
        assert!(!waited_for_its_end(&home), "it had ended before");
        let times = if mode == "before" { 1 } else { 2 };
        assert_eq!(ran(&home), [&vec!["work"; times][..], &["next"]].concat(), "{mode} {again:?}");
        assert_eq!(phase(&home), "settled");
    }
}

const EVENTS: [&str; 2] = ["--events", "events.jsonl"];

/// Whether a run waited for a program that another one had left.
fn waited_for_its_end(home: &Home) -> bool {
    let events = std::fs::read_to_string(home.path("events.jsonl")).unwrap_or_default();
    events.contains("until the interrupted program has ended")
}

/// What may still run is waited for: there are never two of a program at once.
#[test]
fn failover_waits_for_an_interrupted_program_that_still_runs() {
    let home = held("rerun: safe");
    killed(&home, "before");
    let runs = hold_folder(&home.path("stacks/site"));
    assert!(runs.is_some());
    let mut running = home.start(&[&TO[..], &EVENTS, &["--sandbox"]].concat());
    assert!(running.until(|| waited_for_its_end(&home)));
    assert!(ran(&home).is_empty(), "{:?}", ran(&home));
    drop(runs);
    running.end().code(0).says(&["work: task done"]).done();
    assert_eq!(ran(&home), ["work", "next"]);
}

#[test]
fn failover_killed_in_a_task_asks_verify_whether_it_took_effect() {
    for (mode, again) in
        RESUME.iter().flat_map(|it| ["before", "after", "ended"].map(|mode| (mode, it)))
    {
        let home = held("rerun: safe, verify: { exec: [./seen.sh] }");
        killed(&home, mode);
        home.sandbox(again).code(0).says(&["work: task done"]).done();
        assert_eq!(ran(&home), ["work", "next"], "{mode} {again:?}: exactly once");
    }
}

#[test]
fn failover_killed_in_a_task_never_runs_it_twice_where_that_is_not_safe() {
    for (mode, again) in
        RESUME.iter().flat_map(|it| ["before", "after", "ended"].map(|mode| (mode, it)))
    {
        let home = held("rerun: never");
        killed(&home, mode);
        let said = ["indeterminate: work: run task: it was interrupted", "not done: www: update"];
        home.sandbox(again).code(1).says(&said).done();
        let status = home.sandbox(&["status", "site"]).code(0);
        status
            .shows(&[
                "task work: not known to be done: it was interrupted; if it took effect: `lifeboat state resolve site work done --sandbox`",
            ])
            .done();
        home.sandbox(again).code(1).says(&said).done();
        let (answer, before) = if mode == "before" { ("not-done", 0) } else { ("done", 1) };
        assert_eq!(ran(&home).len(), before, "{mode}");
        home.sandbox(&["state", "resolve", "site", "work", answer]).code(0).done();
        home.sandbox(again).code(0).done();
        assert_eq!(ran(&home), ["work", "next"], "{mode} {again:?}: exactly once");
        let known = home.sandbox(&["state", "resolve", "site", "work", "done"]).code(1);
        known.says(&["the task `work` is done: its end is known"]).done();
    }
}

/// A cut at any request leaves every task done once: what has an end does not run again.
#[test]
fn failover_killed_at_any_request_runs_each_task_once() {
    for again in RESUME {
        for k in 1.. {
            let home = site(
                "  first: { on: [planned], before: [www], exec: [./note.sh], in_drill: skip }
  second: { on: [planned], after: [www], exec: [./note.sh], in_drill: skip }
",
            );
            home.log_requests();
            let struck = Cut::After(k).kills(&home, &TO[..5]);
            home.sandbox(again).code(0).done();
            // Cut before the switch was recorded there is none that `apply` could go on with.
            home.sandbox(&TO).code(0).done();
            assert_eq!(ran(&home), ["first", "second"], "cut after request {k}, {again:?}");
            assert_eq!(phase(&home), "settled");
            if !struck {
                assert!(k > 3, "it makes more requests than {k}");
                break;
            }
        }
    }
}

#[test]
fn failover_that_is_stopped_ends_its_task_and_says_so() {
    let home = held("rerun: never");
    home.write("stacks/site/mode", "before");
    let mut running = home.start(&[&TO[..], &["--sandbox"]].concat());
    assert!(running.until(|| home.path("stacks/site/reached").exists()));
    running.signal("TERM");
    let ended = running.end().code(143);
    ended.says(&["indeterminate: work: run task: it was stopped"]).done();
    let pid = std::fs::read_to_string(home.path("stacks/site/work.pid")).unwrap();
    assert!(!is_running(pid.trim()));
    let journaled = home.state("site").unwrap().tasks["work"].run.end.clone();
    assert!(format!("{journaled:?}").contains("it was stopped"), "{journaled:?}");
}

#[test]
fn failover_waits_for_a_person_and_takes_no_approval_of_another_switch_or_plan() {
    let home = site(
        "  go: { on: [planned], before: [www], confirm: 'Send users to ${vars.host}?', in_drill: skip }
  brief: { on: [failback], before: [www], confirm: 'Home?', within: 1s, in_drill: skip }
",
    );
    let approve = |more: &[&str]| home.sandbox(&[&["approve", "site", "go"], more].concat());
    approve(&[]).code(3).says(&["does not wait for an approval: no switch is under way"]).done();
    let mut running = home.start(&[&TO[..], &["--sandbox"]].concat());
    running.until_says(
        "go: Send users to cache.example.com? To approve it: `lifeboat approve site go --sandbox`",
    );
    approve(&["--plan", "sha256:0123456789abcdef"]).code(3).says(&["waits in another plan"]).done();
    home.sandbox(&["approve", "site", "stop"]).code(1).says(&["tasks that have begun: go"]).done();
    // Who is killed while it waits asks again, and what was said of the plan before is not meant for the next one.
    running.kill();
    approve(&[]).code(3).says(&["the run that asked has ended"]).done();
    let mut again = home.start(&["apply", "site", "--yes", "--sandbox"]);
    again.until_says("go: Send users to cache.example.com?");
    approve(&["--because", "the board is green"])
        .code(0)
        .says(&["approved `go` of plan sha256:"])
        .done();
    again.end().code(0).says(&["go: task done"]).done();
    home.sandbox(&["reports", "site"]).code(0).done();
    approve(&[]).code(3).says(&["no switch is under way"]).done();
    home.sandbox(&BACK)
        .code(1)
        .says(&["failed: brief: run task: nobody approved within 1 s"])
        .done();
    let mut back = home.start(&[&BACK[..], &["--sandbox"]].concat());
    back.until_says("brief: Home?");
    approve(&[])
        .code(3)
        .says(&["`go` does not wait for an approval: it was part of another switch"])
        .done();
    home.sandbox(&["approve", "site", "brief"]).code(0).done();
    back.end().code(0).done();
}

/// Another failover takes the lease from one that waits for a person.
#[test]
fn failover_preempts_one_that_waits_for_a_person() {
    let home = site("  go: { on: [planned], before: [www], confirm: Go?, in_drill: skip }\n");
    home.overlay("site", "us", "overlay: us\nresources:\n  www: { target: 192.0.2.3 }\n");
    let mut waiting = home.start(&[&TO[..], &["--sandbox"]].concat());
    waiting.until_says("go: Go?");
    let other = ["failover", "site", "--to", "us", "--planned", "--yes", "--sandbox"];
    let mut other = home.start(&other);
    other.until_says("go: Go?");
    let ended = waiting.end();
    assert!(ended.code != Some(0), "{ended}");
    home.sandbox(&["approve", "site", "go"]).code(0).done();
    other.end().code(0).done();
    assert_eq!(home.state("site").unwrap().active, ["us"]);
}

#[test]
fn failback_undoes_what_the_failover_did() {
    let home = site(
        "  stop: { on: [planned], before: [www], exec: [./note.sh, stop], undo: { exec: [./note.sh, start] }, in_drill: skip }
  idle: { on: [failover], exec: [./note.sh, idle], undo: { exec: [./note.sh, undo-idle] }, in_drill: skip }
",
    );
    home.sandbox(&TO).code(0).shows(&["undo: exec: [\"./note.sh\", \"start\"]"]).done();
    let back = home.sandbox(&BACK).code(0);
    back.shows(&["<   stop exec: undone on the way home; before www"])
        .says(&["stop: task undone"])
        .done();
    assert_eq!(ran(&home), ["stop stop", "stop start"], "what did not run is not undone");
    home.sandbox(&TO).code(0).done();
    home.sandbox(&BACK).code(0).done();
    assert_eq!(ran(&home), ["stop stop", "stop start", "stop stop", "stop start"]);
}

/// A server on loopback that answers each request with the next status, and then with the last; what it was asked.
pub(crate) fn server(answers: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        for (at, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut stream = stream;
            let mut bytes = [0_u8; 4096];
            let length = stream.read(&mut bytes).unwrap_or(0);
            heard.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            let status = answers[at.min(answers.len() - 1)];
            let reply = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsaid\n"
            );
            stream.write_all(reply.as_bytes()).ok();
        }
    });
    (url, asked)
}

#[test]
fn failover_sends_the_request_of_a_task_and_again_only_where_that_is_safe() {
    let (url, asked) = server(&[503, 503, 200]);
    let home = site(&format!(
        "  purge: {{ on: [planned], http: {{ url: '{url}/purge', headers: {{ X-Site: '${{vars.host}}' }}, body: all }}, rerun: safe, in_drill: skip }}
  once: {{ on: [failback], http: {{ method: DELETE, url: '{url}/once', expect: 503 }}, in_drill: skip }}
"
    ));
    home.sandbox(&TO).code(0).says(&["purge: task done"]).done();
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with("POST /purge HTTP/1.1") && first.ends_with("all"), "{first}");
    assert!(first.to_lowercase().contains("x-site: cache.example.com"), "{first}");
    assert!(!first.to_lowercase().contains("authorization"), "{first}");
    assert_eq!(asked.lock().unwrap().len(), 3);
    let back = home.sandbox(&BACK).code(1);
    back.says(&["failed: once: run task: the answer was 200: said"]).done();
    assert_eq!(asked.lock().unwrap().len(), 4, "nobody knows whether it may be sent again");
}

/// Who says no says no again; of what passes by itself another try is made.
#[test]
fn failover_repeats_no_request_of_a_task_that_got_a_definite_answer() {
    for (answers, code, asked_times) in
        [(&[404, 200], 1, 1), (&[429, 200], 0, 2), (&[408, 200], 0, 2), (&[301, 200], 1, 1)]
    {
        let (url, asked) = server(answers);
        let home = site(&format!(
            "  purge: {{ on: [planned], before: [www], http: {{ url: '{url}/purge' }}, rerun: safe, in_drill: skip }}\n"
        ));
        let run = home.sandbox(&TO).code(code);
        let says = format!("the answer was {}", answers[0]);
        assert_eq!(run.stderr.contains(&says), code == 1, "{run}");
        assert_eq!(asked.lock().unwrap().len(), asked_times, "{answers:?}: {run}");
    }
}

/// The lines of a key, each by itself nothing that anybody would know for a secret.
#[test]
fn failover_keeps_no_line_of_a_secret_that_is_cut() {
    let mut home =
        site("  loud: { on: [planned], exec: [./loud.sh], env: [CACHE_KEY], in_drill: skip }\n");
    let key = "alpha one\nbravo two\ncharlie 3\ndelta four";
    home.set("CACHE_KEY", key);
    script(
        &home,
        "loud.sh",
        "head -c 100000 /dev/zero | tr '\\0' 'x'; echo; echo \"$CACHE_KEY\"; head -c 65500 /dev/zero | tr '\\0' 'y'; echo; echo last",
    );
    home.sandbox(&TO).code(0).done();
    let report = home.sandbox(&["reports", "site", "--format", "json"]).code(0);
    assert!(report.stdout.contains("last"), "{report}");
    for line in key.lines() {
        assert!(!report.stdout.contains(line), "{line}: {report}");
    }
}

pub(crate) const DRILL: &str = "overlay: drill
workspace: drill
rehearses: eu
variables: { host: drill.example.com }
resources:
  zone: { domain: drill.example.com }
";

#[test]
fn drill_runs_tasks_as_they_say_and_refuses_those_that_act_on_the_plain_stack() {
    let home = site(
        "  as_is: { on: [planned], before: [www], exec: [./note.sh, '${vars.host}'], in_drill: run }
  other: { on: [planned], exec: [./note.sh, production], in_drill: { exec: [./note.sh, rehearsal] } }
  only: { on: [drill], exec: [./note.sh, drilled], in_drill: run }
  not: { on: [planned], exec: [./note.sh, never], in_drill: skip }
",
    );
    home.overlay("site", "drill", DRILL);
    let drill = ["drill", "site", "--to", "drill", "--yes"];
    home.sandbox(&drill)
        .code(0)
        .shows(&["=   not task: skipped: `in_drill: skip`", ">   only exec"])
        .done();
    let mut noted = ran(&home);
    noted.sort();
    assert_eq!(noted, ["as_is drill.example.com", "only drilled", "other rehearsal"]);
    let audit = home.sandbox(&["audit", "site", "--to", "eu"]).code(0);
    audit.shows(&["task-never-drilled", "`not` has `in_drill: skip`"]).done();
    home.sandbox(&TO).code(0).done();
    let mut noted = ran(&home).split_off(3);
    noted.sort();
    assert_eq!(noted, ["as_is cache.example.com", "not never", "other production"]);
    home.sandbox(&BACK).code(0).done();
    let stack = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
    let same = stack.replace("./note.sh, rehearsal", "./tell.sh, production");
    home.write("stacks/site/stack.yaml", same);
    script(&home, "tell.sh", "exit 1");
    home.log_requests();
    let refused = home.sandbox(&drill).code(3);
    let text = format!("{refused}");
    refused.done();
    assert!(
        text.contains("drill_acts_on_plain") && text.contains("`other` would act on"),
        "{text}"
    );
    home.requests().mutating().none();
    assert_eq!(ran(&home).len(), 6);
}

/// A planned switch that fails before users have moved takes back what its tasks did; the next run does it again.
#[test]
fn failover_that_fails_before_users_move_undoes_its_tasks() {
    let home = site(
        "  stop: { on: [planned, failover], before: [check], exec: [./note.sh, stop], undo: { exec: [./note.sh, start] }, in_drill: skip }
  slow: { on: [planned], before: [check], exec: [./note.sh, slow], in_drill: skip }
  check: { on: [planned, failover], before: [www], exec: [./check.sh], rerun: safe, in_drill: skip }
",
    );
    script(&home, "check.sh", "test -e ready");
    home.sandbox(&TO)
        .code(1)
        .says(&[
            "failed: check: run task: exit status 1",
            "undone, since the switch failed before users moved: `stop`",
            "users of `www` have NOT moved",
        ])
        .done();
    let noted = |home: &Home| {
        let mut noted = ran(home);
        noted.retain(|it| it != "slow slow");
        noted
    };
    assert_eq!(noted(&home), ["stop stop", "stop start"]);
    home.write("stacks/site/ready", "");
    home.sandbox(&["apply", "site", "--yes"]).code(0).says(&["stop: task done"]).done();
    assert_eq!(noted(&home), ["stop stop", "stop start", "stop stop"]);
    assert_eq!(ran(&home).iter().filter(|it| *it == "slow slow").count(), 1, "it was not undone");
    home.sandbox(&BACK).code(0).says(&["stop: task undone"]).done();
    // Under loss there is no way but on.
    std::fs::remove_file(home.path("stacks/site/ready")).unwrap();
    let lost = ["failover", "site", "--to", "eu", "--lost", "linode:us-east", "--yes"];
    home.sandbox(&lost).code(1).done();
    assert_eq!(noted(&home).len(), 5, "{:?}", ran(&home));
}

/// The example works as it is: under loss, as a planned move that a person approves, on the way home, and as a drill.
#[test]
fn landing_works_in_the_sandbox_as_it_is() {
    let home = Home::new();
    copy(&repository().join("stacks/landing"), &home.path("stacks/landing"));
    home.sandbox(&["apply", "landing", "--yes"]).code(0).done();
    let to = ["failover", "landing", "--to", "maintenance_eu", "--planned", "--yes", "--sandbox"];
    let mut running = home.start(&to);
    running.until_says("go_ahead: Send the visitors of landing.example.net to 198.18.");
    let stopped = home.path("stacks/landing/landing-db.stopped");
    assert!(!stopped.exists(), "nobody has said so yet");
    home.sandbox(&["approve", "landing", "go_ahead"]).code(0).done();
    running.end().code(0).says(&["stop_writers: task done", "purge_cache: task done"]).done();
    assert!(stopped.exists());
    let back = home.sandbox(&["failback", "landing", "--yes"]).code(0);
    back.says(&["stop_writers: task undone", "purge_cache: task done"]).done();
    assert!(!stopped.exists());
    home.sandbox(&["drill", "landing", "--to", "drill", "--yes"]).code(0).done();
    let purged = std::fs::read_to_string(home.path("stacks/landing/caches.log")).unwrap();
    let caches: Vec<&str> = purged.lines().filter_map(|it| it.split(' ').nth(2)).collect();
    assert_eq!(caches, ["cdn-zone-landing,", "cdn-zone-landing,", "drill-cache,"], "{purged}");
}

/// What a taking back that failed has left is not taken for done: the next run does not move users before somebody knows.
#[test]
fn failover_does_not_count_a_task_as_done_whose_undo_failed() {
    let home = site(
        "  stop: { on: [planned], before: [check], exec: [./note.sh, stop], undo: { exec: [./undo.sh] }, in_drill: skip }
  check: { on: [planned], before: [www], exec: [./check.sh], rerun: safe, in_drill: skip }
",
    );
    script(&home, "check.sh", "test -e ready");
    script(&home, "undo.sh", "exit 1");
    home.sandbox(&TO).code(1).says(&["undo task: exit status 1"]).done();
    home.write("stacks/site/ready", "");
    let doubt = ["indeterminate: stop: run task: its `undo` began", "not done: www: update"];
    home.sandbox(&TO).code(1).says(&doubt).done();
    assert_eq!(ran(&home), ["stop stop"]);
    // It is not in effect: it runs again.
    let resolve = ["state", "resolve", "site", "stop", "not-done"];
    home.sandbox(&resolve).code(0).done();
    home.sandbox(&TO).code(0).says(&["stop: task done", "www: updated target"]).done();
    assert_eq!(ran(&home), ["stop stop", "stop stop"]);
}

/// A loss that is over in the middle of a failover does not make a planned switch of it, with other tasks.
#[test]
fn apply_goes_on_with_the_tasks_of_the_failover_that_began() {
    let home = site(
        "  fence: { on: [failover], before: [www], exec: [./check.sh], rerun: safe, in_drill: skip }
  other: { on: [planned], before: [www], exec: [./note.sh], in_drill: skip }
",
    );
    script(&home, "check.sh", "test -e ready");
    let lost = ["failover", "site", "--to", "eu", "--lost", "linode:us-east", "--yes"];
    home.sandbox(&lost).code(1).says(&["failed: fence: run task"]).done();
    home.sandbox(&["recovered", "site", "linode:us-east"]).code(0).done();
    home.sandbox(&["apply", "site", "--yes"]).code(1).says(&["failed: fence: run task"]).done();
    home.write("stacks/site/ready", "");
    home.sandbox(&["apply", "site", "--yes"]).code(0).says(&["fence: task done"]).done();
    assert!(ran(&home).is_empty(), "{:?}", ran(&home));
}

/// Whoever rehearses in the sandbox purges no real cache.
#[test]
fn failover_in_the_sandbox_sends_no_request_elsewhere() {
    let home = site(
        "  purge: { on: [planned], before: [www], http: { method: POST, url: 'http://192.0.2.1/purge' }, rerun: never, in_drill: skip }
",
    );
    let refused = "the sandbox sends requests to loopback addresses only";
    home.sandbox(&TO).code(1).says(&["failed: purge", refused]).done();
}

/// Out of memory, say: what is left of the program is ended, and nobody knows how far it came, so it is not begun a second time.
#[test]
fn failover_ends_a_program_whose_supervisor_was_killed() {
    for (rerun, times) in [("never", 1), ("safe", 2)] {
        let task = format!(
            "  work: {{ on: [planned], after: [www], exec: [./work.sh], rerun: {rerun}, in_drill: skip }}\n"
        );
        let home = site(&task);
        let again = "test -e killed && exit 0\ntouch killed\n";
        script(
            &home,
            "work.sh",
            &format!(
                "echo work >> ran.log\n{again}echo $$ > pid\nkill -9 \"$PPID\"\nexec sleep 600"
            ),
        );
        let doubt = "indeterminate: work: run task: the process that watches over it was killed, and the program was ended";
        home.sandbox(&TO).code(1).says(&[doubt]).done();
        let pid = std::fs::read_to_string(home.path("stacks/site/pid")).unwrap();
        assert!(!is_running(pid.trim()), "nothing of it is left");
        let code = i32::from(rerun == "never");
        home.sandbox(&["apply", "site", "--yes"]).code(code).done();
        assert_eq!(ran(&home), vec!["work"; times]);
    }
}

/// Lifeboat and the process between are killed at once, and nobody is left who would end the program: no second one is started beside it.
#[test]
fn apply_starts_no_second_program_beside_one_that_nobody_watches() {
    let home = site(
        "  work: { on: [planned], after: [www], exec: [./work.sh], rerun: safe, in_drill: skip }\n",
    );
    script(
        &home,
        "work.sh",
        "trap '' TERM\necho work >> ran.log\ntest -e second && exit 0\ntouch second\necho $$ > pid\nread -r _ _ _ lifeboat _ < \"/proc/$PPID/stat\"\nkill -9 \"$lifeboat\" \"$PPID\"\nexec sleep 600",
    );
    let mut running = home.start(&[&TO[..], &["--sandbox"]].concat());
    assert!(!running.until(|| false), "it was killed");
    drop(running);
    let still = "still runs, in process group ";
    home.sandbox(&["apply", "site", "--yes"]).code(1).says(&["work", still]).done();
    assert_eq!(ran(&home), ["work"], "no second one");
    let pid = std::fs::read_to_string(home.path("stacks/site/pid")).unwrap();
    let ended = std::process::Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
    assert!(ended.success());
    home.sandbox(&["apply", "site", "--yes"]).code(0).says(&["work: task done"]).done();
    assert_eq!(ran(&home), ["work", "work"]);
}
