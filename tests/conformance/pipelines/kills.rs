//! Runners that die in the middle of an apply or a drill, and the others that go on from there.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::ci_server::Kind;
use crate::pipelines::github::{Event, JobEnd, run_again, run_one};
use crate::pipelines::machine::Machine;
use crate::pipelines::site::Site;
use crate::pipelines::{AT_HOME, balancer, is_settled, planned};
use crate::stores::proxy::{FaultProxy, HoldPoint};

/// Runs a job until the clouds see its request of this number, and pulls the plug; whether it came so far.
fn killed_at(machine: &Machine<'_>, event: &Event, point: HoldPoint) -> bool {
    let proxy = FaultProxy::before(&machine.site.sandbox.address);
    let direct =
        std::mem::replace(&mut *machine.site.linode.lock().unwrap(), proxy.address().into());
    let held = proxy.hold(point);
    let end = std::thread::scope(|scope| {
        let job = scope.spawn(|| run_one(machine, event));
        loop {
            if held.recv_timeout(Duration::from_millis(20)).is_ok() {
                machine.dies();
            }
            if job.is_finished() {
                return job.join().unwrap();
            }
        }
    });
    *machine.site.linode.lock().unwrap() = direct;
    end.code.is_none()
}

/// Requests of an apply of the whole stack, which has more than thirty: it reads what there is, makes it, and waits for it.
const POINTS: [HoldPoint; 6] = [
    HoldPoint::Before(12),
    HoldPoint::After(15),
    HoldPoint::After(18),
    HoldPoint::Before(21),
    HoldPoint::After(24),
    HoldPoint::After(28),
];

/// What there is, by name: also a machine that a firewall stands before.
fn names(site: &Site) -> Vec<String> {
    let world = site.world();
    let lines = world.lines().map(|it| it.trim().trim_start_matches("- "));
    let names = lines.filter(|it| it.starts_with("label: ") || it.starts_with("name: "));
    let mut names: Vec<String> = names.map(Into::into).collect();
    names.sort_unstable();
    names
}

/// The first apply of a stack: planned, merged, and not run yet.
fn merged(site: &Site) -> Event {
    let proposal = site.proposes(5, AT_HOME, &balancer(AT_HOME, "a"));
    planned(&Machine::new(site, "planner"), &proposal);
    Event::Push { commit: site.merges(&proposal) }
}

/// It is cut off at one request; the other runner runs the job again and finishes it.
fn finishes_after(point: HoldPoint, expected: &[String]) -> JobEnd {
    let site = Site::new(Kind::GitHub);
    let (one, two) = (Machine::new(&site, "one"), Machine::new(&site, "two"));
    let push = merged(&site);
    assert!(killed_at(&one, &push, point), "{point:?}: it ended before that");
    let end = run_again(&two, &push, 2);
    assert_eq!(end.code, Some(0), "{point:?}: {}", end.log);
    is_settled(&site);
    assert_eq!(names(&site), expected, "{point:?}: everything is there, and nothing twice");
    assert!(site.host.comment_of(5).contains("**first: applied**"), "{}", site.host.comment_of(5));
    // The one that died comes back with its job, and finds it done.
    let world = site.world();
    let back = Machine::new(&site, "back");
    run_again(&back, &push, 3).ends_with(0).says("nothing to do");
    assert_eq!(site.world(), world);
    end
}

#[test]
fn github_finishes_the_apply_of_a_runner_that_died() {
    let whole = Site::new(Kind::GitHub);
    run_one(&Machine::new(&whole, "one"), &merged(&whole)).ends_with(0);
    let expected = names(&whole);
    assert!(expected.len() > 12, "{expected:?}");
    let ends = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for point in POINTS {
            let (expected, ends) = (&expected, &ends);
            scope.spawn(move || {
                let end = finishes_after(point, expected);
                ends.lock().unwrap().push(end);
            });
        }
    });
    let ends = ends.into_inner().unwrap();
    let recovered = ends.iter().filter(|it| it.log.contains("adopt (recovered)")).count();
    assert!(recovered > 0, "one died between a call and its end: {ends:#?}");
}

/// What a drill made that died is deleted by the next one, on another machine, before it begins its own.
#[test]
fn github_cleans_up_the_drill_of_a_runner_that_died() {
    let site = Site::applied(Kind::GitHub);
    let (one, two) = (Machine::new(&site, "one"), Machine::new(&site, "two"));
    let before = site.world();
    let drill = Event::Dispatch {
        workflow: "lifeboat-drill.yml",
        commit: site.main(),
        branch: "main",
        inputs: json!({}),
    };
    site.sandbox_says(&[
        "fault",
        "hang",
        "--method",
        "POST",
        "--path",
        "/linode/instances",
        "--nth",
        "2",
    ]);
    let end = std::thread::scope(|scope| {
        let job = scope.spawn(|| run_one(&one, &drill));
        one.until_says("wall: created");
        one.until_says("standby_lb: created");
        one.dies();
        job.join().unwrap()
    });
    assert_eq!(end.code, None, "{}", end.log);
    site.sandbox_says(&["heal"]);
    assert!(site.world().contains("first-drill"), "it left something");
    let end = run_one(&two, &drill).ends_with(0);
    let (cleanup, rehearsal) = end.log.split_once("rehearses a failover").unwrap();
    assert!(
        cleanup.contains("wall: deleted") && cleanup.contains("no resources remain"),
        "{cleanup}"
    );
    assert!(rehearsal.contains("drill of first@drill to eu: complete"), "{rehearsal}");
    assert!(end.summary.contains("drill of first@drill to eu"), "{}", end.summary);
    assert_eq!(site.world(), before);
    is_settled(&site);
}
