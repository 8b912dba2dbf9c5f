//! Commands that messages tell to type: whole, on one line, filled in, and quoted as a shell wants it.
//!
//! Every command in a message is one of these, so that a test can parse them all.

use std::borrow::Cow;
use std::fmt;

/// A command to be typed; it is shown between backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdvisedCommand<'a> {
    Init,
    Kinds {
        kind: Option<&'a str>,
    },
    Graph {
        stack: &'a str,
    },
    Validate {
        stack: &'a str,
        overlays: &'a [String],
    },
    Plan {
        stack: &'a str,
        overlays: &'a [String],
        out: Option<&'a str>,
    },
    /// The same plan once more: with all that it was asked for.
    PlanAgain {
        stack: &'a str,
        overlays: &'a [String],
        options: Vec<String>,
        out: &'a str,
    },
    Apply {
        stack: &'a str,
    },
    /// With a flag that lets one thing through, and the address that it is about.
    ApplyLetting {
        stack: &'a str,
        flag: &'a str,
        address: &'a str,
    },
    /// Goes on without waiting at one gate. It asks for the reason: nobody else can give that.
    ApplySkippingGate {
        stack: &'a str,
        address: &'a str,
    },
    /// Makes other overlays the active ones, whatever that means for users.
    ApplySwitch {
        stack: &'a str,
        overlays: &'a [String],
    },
    /// With variables, each as `NAME=VALUE`.
    ApplyVariables {
        stack: &'a str,
        variables: Vec<String>,
    },
    ApplyPlan {
        file: &'a str,
    },
    /// Shows a saved plan.
    Show {
        file: &'a str,
    },
    Destroy {
        stack: &'a str,
    },
    /// Takes along what is not of the stack.
    DestroyLetting {
        stack: &'a str,
        address: &'a str,
    },
    /// Lists the overlays that can be switched to, and changes nothing.
    FailoverWhere {
        stack: &'a str,
    },
    Failover {
        stack: &'a str,
        to: &'a str,
        lost: Vec<&'a str>,
        planned: bool,
    },
    Failback {
        stack: &'a str,
        lost: Vec<&'a str>,
    },
    /// A switch that also carries what was pending before.
    FailoverWhole {
        stack: &'a str,
        to: &'a str,
        planned: bool,
    },
    /// From a bundle, without the store.
    FailoverFrom {
        stack: &'a str,
        from: &'a str,
        to: &'a str,
    },
    /// Home, with what was pending before.
    FailbackWhole {
        stack: &'a str,
    },
    Recovered {
        stack: &'a str,
        fault_domain: &'a str,
    },
    Drill {
        stack: &'a str,
        to: &'a str,
        cleanup: bool,
    },
    Status {
        stack: &'a str,
    },
    Reports {
        stack: &'a str,
    },
    /// One of them, with its steps.
    Report {
        stack: &'a str,
        report: &'a str,
    },
    StateList {
        stack: &'a str,
    },
    /// Who changed the state, when and why.
    StateLog {
        stack: &'a str,
    },
    /// Goes on from the newest state that is whole.
    StateRestore {
        stack: &'a str,
    },
    /// Goes on with the content of an earlier state.
    StateRestoreSerial {
        stack: &'a str,
        serial: u64,
    },
    /// From now on the state goes on in the primary store alone.
    StateMirrorSuspend {
        stack: &'a str,
    },
    /// The mirror store is written to again.
    StateMirrorResume {
        stack: &'a str,
    },
    /// Says in which of two stores the state goes on.
    StateKeep {
        stack: &'a str,
        role: &'a str,
    },
    /// Moves a state into another store, or from plain text into an encrypted one and back.
    StateMigrate {
        stack: &'a str,
        to: &'a str,
        /// The variable that holds the key; `None`: in plain text.
        encrypt: Option<&'a str>,
    },
    /// Moves a state into a store that every machine reaches.
    StateShare {
        stack: &'a str,
        to: &'a str,
    },
    /// Puts a document in place of a state from which it went on without the store.
    StatePush {
        stack: &'a str,
        file: &'a str,
        forked_at: u64,
    },
    /// Records what the clouds show of a stack whose state is lost.
    StateRebuild {
        stack: &'a str,
    },
    /// Encrypts a state with the newest key.
    StateRekey {
        stack: &'a str,
    },
    /// Forgets a record; what it is about stays as it is.
    StateForget {
        stack: &'a str,
        address: &'a str,
    },
    /// Takes `state rm` of a record back.
    StateRemember {
        stack: &'a str,
        address: &'a str,
    },
    StateUnprotect {
        stack: &'a str,
        address: &'a str,
    },
    /// Says that an operation without a known end made nothing.
    StateResolve {
        stack: &'a str,
        address: &'a str,
    },
    /// Says of a task without a known end whether it took effect.
    StateResolveTask {
        stack: &'a str,
        task: &'a str,
        is_done: bool,
    },
    /// A plan, kept for its review.
    PlanStore {
        stack: &'a str,
    },
    ApplyReviewed {
        stack: &'a str,
    },
    /// In a job of the main branch.
    CiApply {
        stack: &'a str,
    },
    ApprovePlan {
        stack: &'a str,
        digest: &'a str,
    },
    /// A task that waits for a person may go on.
    Approve {
        stack: &'a str,
        task: &'a str,
    },
    SandboxShow,
    SandboxLogOn,
    SandboxUnhealthy {
        label: &'a str,
    },
    /// Takes back what is wrong with one thing, or everything that is wrong.
    SandboxHeal {
        name: Option<&'a str>,
    },
}

impl AdvisedCommand<'_> {
    /// What is typed after `lifeboat`, word by word, before quoting.
    pub fn words(&self) -> Vec<String> {
        let overlays = |list: &[String]| flagged("-o", list.iter().map(String::as_str));
        let lost = |list: &[&str]| flagged("--lost", list.iter().copied());
        match self {
            Self::Init => plain(&["init"]),
            Self::Kinds { kind } => with(&["kinds"], kind.map(str::to_owned)),
            Self::Graph { stack } => plain(&["graph", stack]),
            Self::Validate { stack, overlays: list } => with(&["validate", stack], overlays(list)),
            Self::Plan { stack, overlays: list, out } => {
                let out = out.iter().flat_map(|it| ["--out".to_owned(), (*it).to_owned()]);
                with(&["plan", stack], overlays(list).into_iter().chain(out))
            }
            Self::PlanAgain { stack, overlays: list, options, out } => {
                let out = ["--out".to_owned(), (*out).to_owned()];
                let list = overlays(list).into_iter().chain(options.iter().cloned());
                with(&["plan", stack], list.chain(out))
            }
            Self::Apply { stack } => plain(&["apply", stack]),
            Self::ApplySwitch { stack, overlays: list } => {
                let base = ["base".to_owned()];
                let list = if list.is_empty() { &base[..] } else { list };
                let flags = overlays(list).into_iter().chain(["--switch".to_owned()]);
                with(&["apply", stack], flags)
            }
            Self::ApplyVariables { stack, variables: list } => {
                with(&["apply", stack], flagged("--var", list.iter().map(String::as_str)))
            }
            Self::Show { file } => plain(&["show", file]),
            Self::ApplyPlan { file } => plain(&["apply", file]),
            Self::ApplyLetting { stack, flag, address } => plain(&["apply", stack, flag, address]),
            Self::ApplySkippingGate { stack, address } => {
                plain(&["apply", stack, "--skip-gate", address])
            }
            Self::Destroy { stack } => plain(&["destroy", stack]),
            Self::DestroyLetting { stack, address } => {
                plain(&["destroy", stack, "--allow-delete", address])
            }
            Self::FailoverWhere { stack } => plain(&["failover", stack]),
            Self::Failover { stack, to, lost: list, planned } => {
                let planned = planned.then(|| "--planned".to_owned());
                with(&["failover", stack, "--to", to], lost(list).into_iter().chain(planned))
            }
            Self::Failback { stack, lost: list } => with(&["failback", stack], lost(list)),
            Self::FailoverWhole { stack, to, planned } => {
                let planned = planned.then(|| "--planned".to_owned());
                with(&["failover", stack, "--to", to, "--include-pending"], planned)
            }
            Self::FailoverFrom { stack, from, to } => {
                plain(&["failover", stack, "--from", from, "--to", to])
            }
            Self::FailbackWhole { stack } => plain(&["failback", stack, "--include-pending"]),
            Self::Recovered { stack, fault_domain } => plain(&["recovered", stack, fault_domain]),
            Self::Drill { stack, to, cleanup } => {
                with(&["drill", stack, "--to", to], cleanup.then(|| "--cleanup".to_owned()))
            }
            Self::Status { stack } => plain(&["status", stack]),
            Self::Reports { stack } => plain(&["reports", stack]),
            Self::Report { stack, report } => plain(&["reports", stack, report]),
            Self::PlanStore { stack } => plain(&["plan", stack, "--store"]),
            Self::ApplyReviewed { stack } => plain(&["apply", stack, "--reviewed"]),
            Self::CiApply { stack } => plain(&["ci", "apply", stack]),
            Self::ApprovePlan { stack, digest } => plain(&["approve", stack, digest]),
            Self::Approve { stack, task } => plain(&["approve", stack, task]),
            Self::SandboxShow => plain(&["sandbox", "show"]),
            Self::SandboxLogOn => plain(&["sandbox", "log", "on"]),
            Self::SandboxUnhealthy { label } => plain(&["sandbox", "fault", "unhealthy", label]),
            Self::SandboxHeal { name } => with(&["sandbox", "heal"], name.map(str::to_owned)),
            state => state.state_words(),
        }
    }

    /// Those of `state`; none for anything else.
    fn state_words(&self) -> Vec<String> {
        match self {
            Self::StateList { stack } => plain(&["state", "list", stack]),
            Self::StateLog { stack } => plain(&["state", "log", stack]),
            Self::StateRestore { stack } => plain(&["state", "restore", stack]),
            Self::StateRestoreSerial { stack, serial } => {
                with(&["state", "restore", stack, "--serial"], [serial.to_string()])
            }
            Self::StateMirrorSuspend { stack } => plain(&["state", "mirror", "suspend", stack]),
            Self::StateMirrorResume { stack } => plain(&["state", "mirror", "resume", stack]),
            Self::StateKeep { stack, role } => plain(&["state", "resolve", stack, "--keep", role]),
            Self::StateMigrate { stack, to, encrypt } => with(
                &["state", "migrate", stack, "--to", to],
                match encrypt {
                    Some(variable) => vec!["--encrypt".to_owned(), (*variable).to_owned()],
                    None => vec!["--no-encrypt".to_owned()],
                },
            ),
            Self::StateShare { stack, to } => plain(&["state", "migrate", stack, "--to", to]),
            Self::StatePush { stack, file, forked_at } => {
                with(&["state", "push", stack, file, "--forked-at"], [forked_at.to_string()])
            }
            Self::StateRebuild { stack } => plain(&["state", "rebuild", stack]),
            Self::StateRekey { stack } => plain(&["state", "rekey", stack]),
            Self::StateForget { stack, address } => plain(&["state", "rm", stack, address]),
            Self::StateRemember { stack, address } => {
                plain(&["state", "restore", stack, address, "--yes"])
            }
            Self::StateUnprotect { stack, address } => {
                plain(&["state", "unprotect", stack, address])
            }
            Self::StateResolve { stack, address } => {
                plain(&["state", "resolve", stack, address, "--nothing"])
            }
            Self::StateResolveTask { stack, task, is_done } => plain(&[
                "state",
                "resolve",
                stack,
                task,
                if *is_done { "done" } else { "not-done" },
            ]),
            _ => Vec::new(),
        }
    }
}

/// Each of them behind its flag.
fn flagged<'a>(flag: &str, values: impl Iterator<Item = &'a str>) -> Vec<String> {
    values.flat_map(|it| [flag.to_owned(), it.to_owned()]).collect()
}

fn plain(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

fn with(words: &[&str], more: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut words = plain(words);
    words.extend(more);
    words
}

impl fmt::Display for AdvisedCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPENING}")?;
        for (at, word) in self.words().iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        f.write_str("`")
    }
}

/// How a command begins in a text.
const OPENING: &str = "`lifeboat ";

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=@,+%".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Commands that act in a world, and so need to be told in which.
const IN_A_WORLD: [&str; 14] = [
    "approve",
    "plan",
    "apply",
    "ci",
    "destroy",
    "failover",
    "failback",
    "drill",
    "recovered",
    "status",
    "reports",
    "state",
    "explain",
    "audit",
];

/// The commands of a text with the flags that make them act where this one did.
pub fn in_world<'a>(text: &'a str, sandbox: bool, directory: Option<&str>) -> Cow<'a, str> {
    if (!sandbox && directory.is_none()) || !text.contains(OPENING) {
        return Cow::Borrowed(text);
    }
    let flags = |command: &str| {
        let verb = command.split(' ').next().unwrap_or_default();
        let mut flags = String::new();
        if sandbox && IN_A_WORLD.contains(&verb) && !command.contains(" --sandbox") {
            flags.push_str(" --sandbox");
        }
        if let Some(directory) = directory.filter(|_| !command.contains(" -C ")) {
            flags.push_str(&format!(" -C {}", quoted(directory)));
        }
        flags
    };
    Cow::Owned(each(text, |command| format!("{command}{}", flags(command))))
}

/// Stands for a space inside of a command while a text is wrapped: a character that nobody writes.
const STAND_IN: char = '\u{f8fe}';

/// The text with commands that no wrapping can break; [`restored`] gives the spaces back.
pub fn unbroken(text: &str) -> Cow<'_, str> {
    if !text.contains(OPENING) {
        return Cow::Borrowed(text);
    }
    let whole = each(text, |command| command.replace(' ', &STAND_IN.to_string()));
    Cow::Owned(whole.replace(OPENING, &OPENING.replace(' ', &STAND_IN.to_string())))
}

/// Gives the spaces of [`unbroken`] back.
pub fn restored(text: String) -> String {
    if text.contains(STAND_IN) { text.replace(STAND_IN, " ") } else { text }
}

/// Every command of a text, without its backticks and `lifeboat`, as something else.
fn each(text: &str, mut make: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        let (before, found) = rest.split_at(at + OPENING.len());
        out.push_str(before);
        let Some(end) = found.find('`') else {
            rest = found;
            break;
        };
        out.push_str(&make(&found[..end]));
        rest = &found[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{AdvisedCommand, in_world, restored, unbroken};

    #[test]
    fn advised_command_quotes_words_for_a_shell() {
        let unprotect =
            AdvisedCommand::StateUnprotect { stack: "shop@drill", address: "node[\"it's\"]" };
        assert_eq!(
            unprotect.to_string(),
            r#"`lifeboat state unprotect shop@drill 'node["it'\''s"]'`"#
        );
    }

    #[test]
    fn in_world_says_in_which_world_commands_act() {
        let text = format!(
            "see {}, or {}",
            AdvisedCommand::Kinds { kind: None },
            AdvisedCommand::Failover {
                stack: "s",
                to: "eu",
                lost: vec!["linode:x"],
                planned: false
            }
        );
        assert_eq!(
            in_world(&text, true, Some("my shop")),
            "see `lifeboat kinds -C 'my shop'`, or `lifeboat failover s --to eu --lost linode:x --sandbox -C 'my shop'`"
        );
        let again = in_world(&text, true, None).into_owned();
        assert_eq!(in_world(&again, true, None), again, "once is enough");
        assert_eq!(in_world(&text, false, None), text);
    }

    #[test]
    fn unbroken_keeps_commands_whole() {
        let text = format!("first {} and then `x y`, `lifeboat open", AdvisedCommand::Init);
        let whole = unbroken(&text);
        let words: Vec<&str> = whole.split(' ').collect();
        assert_eq!(words.len(), 6 + 1, "{words:?}");
        assert_eq!(restored(whole.into_owned()), text);
    }
}
