//! The switch itself: a child process, and what its end means.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::cloud::settings::CREDENTIALS;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::watch::{Active, WatchOutcome};

/// What is done when it is down.
#[derive(Debug, Clone)]
pub enum Act {
    /// Nothing: somebody else reads the events.
    Report,
    /// A command for the shell, and the secrets of the environment that it is given by name.
    Exec { line: String, pass: Vec<String> },
    /// `lifeboat failover`, by this program.
    Failover { program: PathBuf, lost: Vec<String> },
}

/// What the child is told.
#[derive(Debug, Clone)]
pub struct SwitchFacts {
    pub root: PathBuf,
    pub directory: PathBuf,
    pub stack: String,
    pub overlay: String,
    pub url: String,
    pub sandbox: bool,
    /// When it went down, as in the events.
    pub since: String,
    /// When it last answered well, in the same words; empty where nobody knows.
    pub last_good: String,
    /// What the last probe met.
    pub detail: String,
    pub attempt: u32,
}

/// The pause between two checks of whether the child has ended: short against any switch, and a check costs one system call.
const POLL: Duration = Duration::from_millis(20);

/// How the child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    /// Something else than its own end: why.
    Other(String),
}

impl Act {
    fn command(&self, facts: &SwitchFacts) -> Option<Command> {
        match self {
            Self::Report => None,
            Self::Exec { line, pass } => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(line).current_dir(&facts.directory);
                let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
                for name in names.filter(|it| is_secret(it) && !pass.contains(it)) {
                    command.env_remove(name);
                }
                command
                    .env("LIFEBOAT_ROOT", &facts.root)
                    .env("LIFEBOAT_STACK", &facts.stack)
                    .env("LIFEBOAT_OVERLAY", &facts.overlay)
                    .env("LIFEBOAT_URL", &facts.url)
                    .env("LIFEBOAT_SINCE", &facts.since)
                    .env("LIFEBOAT_LAST_GOOD", &facts.last_good)
                    .env("LIFEBOAT_DETAIL", &facts.detail)
                    .env("LIFEBOAT_ATTEMPT", facts.attempt.to_string());
                if facts.sandbox {
                    // A lifeboat that it calls acts in the same world.
                    command.env("LIFEBOAT_SANDBOX", "1");
                }
                Some(command)
            }
            Self::Failover { program, lost } => {
                let mut command = Command::new(program);
                command.args(failover_arguments(facts, lost));
                Some(command)
            }
        }
    }

    /// Runs it to its end, or for so long. Its words go to stderr: stdout is for events.
    pub async fn run(&self, facts: &SwitchFacts, within: Duration) -> End {
        let Some(mut command) = self.command(facts) else {
            return End::Other("there is no command to run".into());
        };
        command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
        // Its own group: what it starts ends with it, and the terminal's Ctrl-C is for the watch.
        command.process_group(0);
        match command.spawn() {
            Ok(child) => wait(child, within).await,
            Err(why) => {
                let program = command.get_program().to_string_lossy().into_owned();
                End::Other(format!("cannot start {program}: {why}"))
            }
        }
    }

    /// What the end means; `active` is what state says after it, and `users` what became of them as far as anybody saw.
    pub fn meaning(&self, end: &End, (active, users): (Active, UsersAre)) -> WatchOutcome {
        let exit = match end {
            End::Exit(code) => Some(*code),
            End::Other(_) => None,
        };
        let why = match (self, end) {
            (Self::Report | Self::Exec { .. }, End::Exit(code)) => {
                format!("the command: exit {code}")
            }
            (Self::Report | Self::Exec { .. }, End::Other(why)) => format!("the command: {why}"),
            (Self::Failover { .. }, End::Exit(code)) => {
                format!("the failover: exit {code}, {}", meaning(*code))
            }
            (Self::Failover { .. }, End::Other(why)) => format!("the failover: {why}"),
        };
        if exit == Some(4) {
            return WatchOutcome::Held { active };
        }
        if !matches!(self, Self::Failover { .. }) {
            let failed = || WatchOutcome::Failed { why, exit, moved: true };
            return if exit == Some(0) { WatchOutcome::Ran } else { failed() };
        }
        // State has the last word: it is done when it says so, and not before.
        match active {
            Active::There if users == UsersAre::Stayed => WatchOutcome::MovedNobody { why: None },
            Active::Degraded if users == UsersAre::Stayed => {
                WatchOutcome::MovedNobody { why: Some(why) }
            }
            Active::There => WatchOutcome::Done,
            Active::Degraded => WatchOutcome::Degraded { why },
            Active::Underway => {
                let why = format!("{why}; the switch has begun but is not complete");
                WatchOutcome::Failed { why, exit, moved: true }
            }
            Active::Elsewhere => WatchOutcome::Failed {
                why: format!("{why}; nothing was switched"),
                exit,
                moved: false,
            },
        }
    }
}

/// Exactly what a person would type, with the root spelt out.
fn failover_arguments(facts: &SwitchFacts, lost: &[String]) -> Vec<String> {
    let mut arguments = vec!["failover".to_owned(), facts.stack.clone()];
    arguments.extend(["--to".into(), facts.overlay.clone(), "--yes".into()]);
    arguments.push("--unattended".into());
    if !facts.last_good.is_empty() {
        arguments.extend(["--last-good".into(), facts.last_good.clone()]);
    }
    for fault_domain in lost {
        arguments.extend(["--lost".into(), fault_domain.clone()]);
    }
    if facts.sandbox {
        arguments.push("--sandbox".into());
    }
    arguments.extend(["-C".into(), facts.root.display().to_string()]);
    arguments
}

async fn wait(mut child: Child, within: Duration) -> End {
    let begun = tokio::time::Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return end(status),
            Ok(None) => {}
            Err(why) => return End::Other(format!("cannot wait for it: {why}")),
        }
        if begun.elapsed() >= within {
            kill_group(&child);
            // It may have ended by itself a moment ago; either way it is collected.
            child.kill().ok();
            child.wait().ok();
            return End::Other(format!("it timed out after {} s and was killed", within.as_secs()));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Ends a child with everything that it has started, as long as that has not left its group.
fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // Nobody of it is left: then there is nothing to end.
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
}

/// Credentials of the clouds, and variables of stacks.
fn is_secret(name: &str) -> bool {
    CREDENTIALS.contains(&name) || name.starts_with("LIFEBOAT_VAR_")
}

fn end(status: ExitStatus) -> End {
    match status.code() {
        Some(code) => End::Exit(code),
        None => End::Other(format!("ended by {status}")),
    }
}

fn meaning(code: i32) -> &'static str {
    match code {
        0 => "done",
        1 => "the input is invalid, or a step or gate failed",
        3 => "refused before the first call",
        5 => "part of the infrastructure could not be read, or some users are sent elsewhere",
        64 => "usage error",
        70 => "a bug in lifeboat",
        129 | 130 | 143 => "stopped by a signal",
        _ => "not done",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Act, End, SwitchFacts, failover_arguments, is_secret};
    use crate::engine::recovery::users_moved::UsersAre;
    use crate::engine::recovery::watch::{Active, WatchOutcome};

    fn facts(sandbox: bool) -> SwitchFacts {
        SwitchFacts {
            root: PathBuf::from("/srv/shop"),
            directory: std::env::temp_dir(),
            stack: "shop@blue".into(),
            overlay: "eu".into(),
            url: "http://x/".into(),
            sandbox,
            since: String::new(),
            last_good: if sandbox { "2026-11-26T03:04:05Z".into() } else { String::new() },
            detail: String::new(),
            attempt: 1,
        }
    }

    #[test]
    fn failover_arguments_are_what_a_person_would_type_but_for_one() {
        let plain = failover_arguments(&facts(false), &[]).join(" ");
        assert_eq!(plain, "failover shop@blue --to eu --yes --unattended -C /srv/shop");
        let lost = ["linode:us-east".to_owned(), "aws:us-east-1".to_owned()];
        assert_eq!(
            failover_arguments(&facts(true), &lost).join(" "),
            "failover shop@blue --to eu --yes --unattended --last-good 2026-11-26T03:04:05Z --lost linode:us-east --lost aws:us-east-1 --sandbox -C /srv/shop"
        );
    }

    #[test]
    fn is_secret_covers_credentials_and_variables_of_the_stack() {
        for name in
            ["LINODE_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LIFEBOAT_VAR_pw"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "AWS_REGION", "LIFEBOAT_SANDBOX", "HOME"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn meaning_of_a_failover_follows_the_state() {
        let failover = Act::Failover { program: PathBuf::new(), lost: Vec::new() };
        let moved = |end, active| match failover.meaning(&end, (active, UsersAre::Moved)) {
            WatchOutcome::Failed { moved, .. } => Some(moved),
            WatchOutcome::Done
            | WatchOutcome::Degraded { .. }
            | WatchOutcome::Ran
            | WatchOutcome::MovedNobody { .. }
            | WatchOutcome::Held { .. }
            | WatchOutcome::Turned { .. } => None,
        };
        assert_eq!(
            failover.meaning(&End::Exit(5), (Active::There, UsersAre::Moved)),
            WatchOutcome::Done
        );
        assert_eq!(moved(End::Exit(0), Active::Elsewhere), Some(false));
        assert_eq!(moved(End::Exit(1), Active::Underway), Some(true));
        let degraded = failover.meaning(&End::Exit(1), (Active::Degraded, UsersAre::Moved));
        assert!(
            matches!(degraded, WatchOutcome::Degraded { why } if why.contains("a step or gate failed"))
        );
        let nobody = |end, active| failover.meaning(&end, (active, UsersAre::Stayed));
        let none = WatchOutcome::MovedNobody { why: None };
        assert_eq!(nobody(End::Exit(0), Active::There), none, "its overlay shifts no traffic");
        assert!(matches!(
            nobody(End::Exit(1), Active::Degraded),
            WatchOutcome::MovedNobody { why: Some(why) } if why.contains("a step or gate failed")
        ));
        let held = WatchOutcome::Held { active: Active::There };
        assert_eq!(failover.meaning(&End::Exit(4), (Active::There, UsersAre::Moved)), held);
        let exec = Act::Exec { line: String::new(), pass: Vec::new() };
        assert_eq!(
            exec.meaning(&End::Exit(0), (Active::Elsewhere, UsersAre::Moved)),
            WatchOutcome::Ran
        );
        assert!(matches!(
            exec.meaning(&End::Exit(3), (Active::There, UsersAre::Moved)),
            WatchOutcome::Failed { exit: Some(3), moved: true, .. }
        ));
    }

    #[tokio::test]
    async fn run_kills_what_takes_too_long_and_says_what_cannot_start() {
        let exec = |line: &str| Act::Exec { line: line.into(), pass: Vec::new() };
        let hour = Duration::from_secs(3600);
        assert_eq!(exec("exit 7").run(&facts(false), hour).await, End::Exit(7));
        let all = "test $LIFEBOAT_STACK$LIFEBOAT_OVERLAY$LIFEBOAT_URL$LIFEBOAT_ATTEMPT$LIFEBOAT_SANDBOX = shop@blueeuhttp://x/11";
        assert_eq!(exec(all).run(&facts(true), hour).await, End::Exit(0));
        let late = exec("exec sleep 600").run(&facts(false), Duration::ZERO).await;
        assert!(matches!(late, End::Other(why) if why.contains("killed")));
        // What it has started in the meantime goes with it: nobody is left who would write the second line.
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("alive");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let line = format!("(exec 3>'{0}'; sleep 600) & exec 3>'{0}'; sleep 600", pipe.display());
        let reader = std::thread::spawn(move || std::fs::read(pipe).unwrap());
        let late = exec(&line).run(&facts(false), Duration::from_millis(300)).await;
        assert!(matches!(late, End::Other(why) if why.contains("killed")));
        assert!(reader.join().unwrap().is_empty(), "the last writer is gone");
        let program = PathBuf::from("/nowhere/lifeboat");
        let missing = Act::Failover { program, lost: Vec::new() };
        let missing = missing.run(&facts(false), hour).await;
        assert!(matches!(missing, End::Other(why) if why.contains("cannot start /nowhere")));
    }
}
