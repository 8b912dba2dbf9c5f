//! What a run became, as the one JSON document of `--format json` on the commands that run steps.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Note, SkippedGate};
use crate::engine::recovery::completion::Unfinished;
use crate::engine::recovery::report::codec;
use crate::engine::recovery::report::summary::SwitchReport;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::Phase;
use crate::engine::value::Value;

/// What is renamed or removed raises it, what is added does not.
const VERSION: u32 = 1;

/// All that is known of a run when it ends; what it did not come to is absent.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// `failover`.
    pub command: String,
    /// `woocommerce@drill`; as it was typed where that names no stack.
    pub stack: String,
    /// `sandbox` or `clouds`.
    pub target: Option<&'static str>,
    /// The overlays that a switch leads from and to.
    pub switch: Option<(Vec<String>, Vec<String>)>,
    pub lost: Vec<String>,
    /// What a failover declares lost, and answered a moment before.
    pub answering: Vec<String>,
    /// Of the last plan that was shown.
    pub plan: Option<String>,
    pub phase: Option<Phase>,
    /// `None`: there is no switch.
    pub users: Option<UsersAre>,
    pub steps: Vec<RunStep>,
    pub skipped_gates: Vec<SkippedGate>,
    pub open: Vec<Unfinished>,
    pub outputs: BTreeMap<String, Value>,
    /// What a drill did not delete.
    pub remaining: Vec<String>,
    /// Refusals of plans, and mistakes.
    pub problems: Vec<Note>,
    pub report: Option<SwitchReport>,
    /// What stopped the last run before its end: a signal, a lease that was taken, a store that cannot be written.
    pub stopped: Option<String>,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// Which part of a drill it belongs to.
    pub part: Option<&'static str>,
    pub address: Address,
    /// `create`, `run task`, …
    pub call: &'static str,
    pub became: StepBecame,
}

/// How a step of a run ended, with the reason where it did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepBecame {
    Done,
    Failed(String),
    /// A task that failed and that nothing waits for.
    PassedOver(String),
    InDoubt(String),
    NotDone,
}

impl StepBecame {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::PassedOver(_) => "passed over",
            Self::InDoubt(_) => "indeterminate",
            Self::NotDone => "not done",
        }
    }

    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Done | Self::NotDone => None,
            Self::Failed(why) | Self::PassedOver(why) | Self::InDoubt(why) => Some(why),
        }
    }
}

impl RunFacts {
    /// What kept the run from its end, in a sentence: a step that failed, else what could not be read.
    pub fn first_failure(&self) -> Option<String> {
        let bad =
            |it: &&RunStep| matches!(it.became, StepBecame::Failed(_) | StepBecame::InDoubt(_));
        let step = self.steps.iter().find(bad).and_then(|it| {
            Some(format!("{}: {} {}: {}", it.address, it.call, it.became.word(), it.became.why()?))
        });
        step.or_else(|| self.open.first().map(Unfinished::sentence))
    }

    /// Takes in what became of the steps of a run, or of one part of a drill. Of a step that an earlier run of the same command
    /// left open, the last word counts.
    pub fn ran(&mut self, steps: Vec<RunStep>) {
        let is_again = |it: &RunStep| {
            it.became != StepBecame::Done
                && steps.iter().any(|now| {
                    (now.part, &now.address, now.call) == (it.part, &it.address, it.call)
                })
        };
        self.steps.retain(|it| !is_again(it));
        self.steps.extend(steps);
    }
}

/// Why a command ended as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandEnding {
    pub code: u8,
    /// One word for the exit code.
    pub reason: &'static str,
    pub why: Option<String>,
    pub help: Option<String>,
}

/// The document, without its last line break.
pub fn json(facts: &RunFacts, ending: &CommandEnding) -> String {
    let step = |it: &RunStep| {
        json!({
            "part": it.part,
            "address": it.address.to_string(),
            "call": it.call,
            "result": it.became.word(),
            "why": it.became.why(),
        })
    };
    let skipped =
        |it: &SkippedGate| json!({ "address": it.address.to_string(), "because": it.because });
    let open = |it: &Unfinished| json!({ "address": it.address.to_string(), "why": it.why, "remedy": it.remedy });
    let problem = |it: &Note| {
        json!({
            "severity": it.severity.word(),
            "code": it.code,
            "text": it.text,
            "places": it.places,
            "help": it.help,
        })
    };
    let document = json!({
        "format": "lifeboat run",
        "version": VERSION,
        "command": facts.command,
        "stack": facts.stack,
        "target": facts.target,
        "switch": facts.switch.as_ref().map(|(from, to)| json!({ "from": from, "to": to })),
        "lost": facts.lost,
        "answering": facts.answering,
        "plan": facts.plan,
        "phase": facts.phase.map(Phase::word),
        "users": facts.users.map(UsersAre::word),
        "steps": facts.steps.iter().map(step).collect::<Vec<_>>(),
        "skipped_gates": facts.skipped_gates.iter().map(skipped).collect::<Vec<_>>(),
        "open": facts.open.iter().map(open).collect::<Vec<_>>(),
        "remaining": facts.remaining,
        "problems": facts.problems.iter().map(problem).collect::<Vec<_>>(),
        "outputs": facts.outputs.iter().map(|(name, it)| (name.clone(), it.json())).collect::<serde_json::Map<_, _>>(),
        "report": facts.report.as_ref().map(codec::value),
        "exit": {
            "code": ending.code,
            "reason": ending.reason,
            "why": ending.why,
            "help": ending.help,
        },
    });
    pretty(&document)
}

fn pretty(document: &Json) -> String {
    serde_json::to_string_pretty(document).expect("plain data serialises")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{CommandEnding, RunFacts, RunStep, StepBecame, UsersAre, json};
    use crate::engine::address::Address;
    use crate::engine::state::record::Phase;

    fn step(name: &str, became: StepBecame) -> RunStep {
        RunStep { part: None, address: Address::one(name), call: "update", became }
    }

    #[test]
    fn ran_lets_the_last_word_on_a_step_count() {
        let mut facts = RunFacts::default();
        facts.ran(vec![step("a", StepBecame::Done), step("b", StepBecame::Failed("no".into()))]);
        facts.ran(vec![step("a", StepBecame::Done), step("b", StepBecame::Done)]);
        let told: Vec<_> = facts.steps.iter().map(|it| it.address.to_string()).collect();
        assert_eq!(told, ["a", "a", "b"], "what was done twice was done twice");
        assert!(facts.steps.iter().all(|it| it.became == StepBecame::Done));
    }

    #[test]
    fn json_tells_what_is_known() {
        let facts = RunFacts {
            command: "failover".into(),
            stack: "shop".into(),
            target: Some("sandbox"),
            switch: Some((Vec::new(), vec!["eu".into()])),
            phase: Some(Phase::Degraded),
            users: Some(UsersAre::by(Phase::Degraded, true)),
            steps: vec![
                step("www", StepBecame::Done),
                step("web", StepBecame::Failed("the cloud said no".into())),
                step("lb", StepBecame::NotDone),
            ],
            ..RunFacts::default()
        };
        let ending = CommandEnding { code: 1, reason: "failed", why: None, help: None };
        assert_snapshot!(json(&facts, &ending), @r#"
        {
          "format": "lifeboat run",
          "version": 1,
          "command": "failover",
          "stack": "shop",
          "target": "sandbox",
          "switch": {
            "from": [],
            "to": [
              "eu"
            ]
          },
          "lost": [],
          "answering": [],
          "plan": null,
          "phase": "degraded",
          "users": "moved",
          "steps": [
            {
              "part": null,
              "address": "www",
              "call": "update",
              "result": "done",
              "why": null
            },
            {
              "part": null,
              "address": "web",
              "call": "update",
              "result": "failed",
              "why": "the cloud said no"
            },
            {
              "part": null,
              "address": "lb",
              "call": "update",
              "result": "not done",
              "why": null
            }
          ],
          "skipped_gates": [],
          "open": [],
          "remaining": [],
          "problems": [],
          "outputs": {},
          "report": null,
          "exit": {
            "code": 1,
            "reason": "failed",
            "why": null,
            "help": null
          }
        }
        "#);
    }
}
