//! Switches with a task that are killed with -9 right after any line of their journal: it is done once, or nobody knows, never twice.

use std::sync::{Arc, Mutex};

use crate::converge::in_parallel;
use crate::harness::{Home, Output, Running};
use crate::kill_points::is_drawn;
use crate::tasks::{RESUME, TO, phase, ran, script, server, site};

/// Names the entry of the journal after which a build for tests dies.
const DIES: &str = "LIFEBOAT_TEST_DIES_AFTER_ENTRY";

/// No switch of these writes more.
const ENTRIES_MAX: usize = 60;

/// What is stopped and started again, whatever became of it: the kind of a task, and how often it was done.
struct CutTask {
    does: Does,
    home: Home,
    /// What its server was asked.
    asked: Option<Arc<Mutex<Vec<String>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Exec,
    Http,
    Confirm,
}

impl Does {
    fn base(self) -> Home {
        let work = match self {
            Self::Exec => "exec: [./note.sh]",
            Self::Http => "http: { url: 'SERVER/purge' }",
            Self::Confirm => "confirm: Go?",
        };
        let home = site("");
        let stack = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
        home.stack(
            "site",
            format!(
                "{stack}  work: {{ on: [planned], before: [www], {work}, rerun: never, in_drill: skip }}\n"
            ),
        );
        home
    }

    /// A copy of the base with a server of its own.
    fn case(self, base: &Home) -> CutTask {
        let home = base.copy();
        script(&home, "note.sh", "echo work >> ran.log");
        let mut asked = None;
        if self == Self::Http {
            let (url, heard) = server(&[200]);
            let stack = std::fs::read_to_string(home.path("stacks/site/stack.yaml")).unwrap();
            home.stack("site", stack.replace("SERVER", &url));
            asked = Some(heard);
        }
        CutTask { does: self, home, asked }
    }
}

impl CutTask {
    /// How often it was done.
    fn times(&self) -> usize {
        match &self.asked {
            Some(asked) => asked.lock().unwrap().len(),
            None => ran(&self.home).len(),
        }
    }

    /// Waits for the end of a run, and gives a person's word where it is asked for.
    fn ended(&self, mut running: Running<'_>) -> Output {
        let is_asked = || {
            let state = self.home.state("site");
            let task = state.and_then(|it| it.tasks.get("work").cloned());
            task.is_some_and(|it| it.run.open_question().is_some())
        };
        while self.does == Does::Confirm && running.until(is_asked) {
            // Who died meanwhile is asked nothing any more, and who takes over asks anew.
            let approved = self.home.sandbox(&["approve", "site", "work"]);
            let is_given = approved.code == Some(0);
            approved.done();
            if is_given || !running.goes_on() {
                break;
            }
        }
        running.end()
    }
}

/// How many entries a switch that nobody disturbs makes durable.
fn entries_of(does: Does, base: &Home) -> usize {
    let count = |home: &Home| {
        let history = home.state_folder("site").join("history");
        let kept = std::fs::read_dir(history).into_iter().flatten().map(|it| it.unwrap().path());
        let journals = kept.chain([home.state_folder("site").join("journal")]);
        let texts = journals.filter_map(|it| std::fs::read_to_string(it).ok());
        texts.map(|it| it.lines().count()).sum::<usize>()
    };
    let case = does.case(base);
    let before = count(&case.home);
    let running = case.home.start(&[&TO[..], &["--sandbox"]].concat());
    case.ended(running).code(0).done();
    count(&case.home) - before
}

fn killed_after_each_entry(does: Does) {
    let base = does.base();
    let least = entries_of(does, &base);
    assert!((6..ENTRIES_MAX).contains(&least), "{does:?}: {least}");
    let cases: Vec<(usize, &[&str])> =
        (1..=least).flat_map(|k| RESUME.map(|again| (k, again))).collect();
    let struck = Mutex::new(0);
    in_parallel(&cases, |(k, again)| {
        if !is_drawn(*k, least) {
            return;
        }
        let said = format!("{does:?} killed after entry {k} of about {least}, {again:?}");
        let case = does.case(&base);
        let home = &case.home;
        let cut = (DIES, k.to_string());
        let running = home.start_with((cut.0, &cut.1), &[&TO[..], &["--sandbox"]].concat());
        let was_killed = case.ended(running).code.is_none();
        *struck.lock().unwrap() += usize::from(was_killed);
        // Cut before the switch was recorded there is none that `apply` could go on with.
        let has_begun = home.state("site").is_some_and(|it| it.active == ["eu"]);
        let again = if has_begun { *again } else { &TO };
        let resumed = case.ended(home.start(&[again, &["--sandbox"]].concat()));
        let times = case.times();
        assert!(times <= 1, "{said}: twice");
        if resumed.code == Some(0) {
            assert_eq!(times, usize::from(does != Does::Confirm), "{said}: {resumed}");
        } else {
            // The program, or the request, may have been on its way: a person looks, and says.
            assert_ne!(does, Does::Confirm, "{said}: {resumed}");
            resumed.code(1).says(&["indeterminate: work: run task: it was interrupted"]).done();
            let answer = if times == 1 { "done" } else { "not-done" };
            home.sandbox(&["state", "resolve", "site", "work", answer]).code(0).done();
            case.ended(home.start(&[again, &["--sandbox"]].concat())).code(0).done();
            assert_eq!(case.times(), 1, "{said}");
        }
        assert_eq!(phase(home), "settled", "{said}");
        home.sandbox(&["plan", "site", "--detailed-exitcode"]).code(0).done();
    });
    assert!(*struck.lock().unwrap() > 2, "it was killed");
}

#[test]
fn failover_killed_after_any_entry_of_its_journal_runs_a_program_once_or_says_so() {
    killed_after_each_entry(Does::Exec);
}

#[test]
fn failover_killed_after_any_entry_of_its_journal_sends_a_request_once_or_says_so() {
    killed_after_each_entry(Does::Http);
}

#[test]
fn failover_killed_after_any_entry_of_its_journal_moves_users_only_with_a_persons_word() {
    killed_after_each_entry(Does::Confirm);
}
