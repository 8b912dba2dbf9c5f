//! How a job ended, as it is told: a result, sentences, mistakes, steps, and a plan.

use crate::cli::commands::plan::typed_here;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::engine::plan::format::codec::PlanEnvelope;
use crate::engine::plan::model::change::{Note, Plan};
use crate::engine::text::diagnostic::{Diagnostic, Sources};
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;
use crate::render::ci::mark::CiResult;
use crate::render::run::RunStep;

/// What is told of a job.
pub(super) struct CiOutcome {
    pub(super) result: CiResult,
    pub(super) says: Vec<String>,
    pub(super) problems: Vec<Note>,
    pub(super) steps: Vec<RunStep>,
    pub(super) plan: Option<(Plan, PlanEnvelope)>,
}

impl CiOutcome {
    pub(super) fn new(result: CiResult) -> Self {
        Self { result, says: Vec::new(), problems: Vec::new(), steps: Vec::new(), plan: None }
    }

    /// What kept a job from its end, as far as that is known.
    pub(super) fn of_error(why: &OpsError) -> Self {
        if let OpsError::Mistakes { diagnostics, sources } = why {
            let is_refused = Exit::from(why) == Exit::Refused;
            let result = if is_refused { CiResult::Refused } else { CiResult::Invalid };
            let mut outcome = Self::new(result);
            outcome.problems = diagnostics.iter().map(|it| mistake(it, sources)).collect();
            outcome.say("nothing was changed");
            return outcome;
        }
        let result = match Exit::from(why) {
            Exit::Refused => CiResult::Refused,
            Exit::Held => CiResult::Held,
            _ => CiResult::Failed,
        };
        let mut outcome = Self::new(result);
        outcome.say(&why.to_string());
        if let Some(help) = why.help() {
            outcome.say(&format!("help: {help}"));
        }
        outcome
    }

    /// Adds a sentence, with its commands as they are typed here.
    pub(super) fn say(&mut self, text: &str) {
        self.says.push(redactor().redact(&out::typed_here(text)).into_owned());
    }

    /// Adds the plan that is shown below.
    pub(super) fn show(&mut self, plan: &Plan, envelope: &PlanEnvelope) {
        self.plan = Some((typed_here(plan).into_owned(), envelope.clone()));
    }
}

/// A diagnostic on one line: what is wrong, with the words of its place.
fn mistake(it: &Diagnostic, sources: &Sources) -> Note {
    let label = it.labels.first().map(|it| format!(": {}", it.text)).unwrap_or_default();
    let said = |text: &str| redactor().redact(&out::typed_here(text)).into_owned();
    Note {
        severity: it.severity,
        code: it.code.as_str().into(),
        text: said(&format!("{}{label}", it.summary)),
        places: it.labels.iter().map(|it| sources.place(it.span)).collect(),
        help: it.help.as_deref().map(said),
    }
}
