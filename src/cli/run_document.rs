//! `--format json` of a run: gathered while it goes on, and written as one document when it has ended, however that was.

use std::sync::{Mutex, PoisonError};

use crate::cli::args::{CliCommand, Plain};
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::engine::address::Address;
use crate::engine::plan::format::codec::plan_digest;
use crate::engine::plan::model::change::{Note, Plan, note};
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::journal::StepFailure;
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::Severity;
use crate::engine::text::plain::lines;
use crate::engine::text::redact::redactor;
use crate::ops::apply::finish::RunResult;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::render::run::{CommandEnding, RunFacts, RunStep, StepBecame, json};

/// What is known of a run so far.
pub struct RunDocument {
    facts: Mutex<RunFacts>,
}

impl RunDocument {
    /// The one of a command that runs steps and was asked for it; from then on stdout is kept for it.
    pub fn wanted(command: &CliCommand) -> Option<Self> {
        let (word, stack) = command.run_of()?;
        (command.run_args().format == Plain::Json).then(|| {
            out::keep_for_document();
            let (command, stack) = (word.to_owned(), stack.to_owned());
            Self { facts: Mutex::new(RunFacts { command, stack, ..RunFacts::default() }) }
        })
    }

    /// One that nobody wants written, for who tells others what became of a run.
    pub fn unwritten(command: &str, stack: &str) -> Self {
        let (command, stack) = (command.to_owned(), stack.to_owned());
        Self { facts: Mutex::new(RunFacts { command, stack, ..RunFacts::default() }) }
    }

    /// What is known by now.
    pub fn facts(&self) -> RunFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note(&self, take: impl FnOnce(&mut RunFacts)) {
        take(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes it.
    pub fn write(&self, exit: Exit, error: Option<&OpsError>) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ending =
            CommandEnding { code: exit.code(), reason: exit.word(), ..CommandEnding::default() };
        if let Some(error) = error {
            (ending.why, ending.help) = told(error);
            facts.problems.extend(mistakes(error));
        } else {
            let failure = || facts.first_failure().filter(|_| exit != Exit::Done);
            ending.why = facts.stopped.clone().or_else(failure);
        }
        for it in &mut facts.problems {
            it.help = it.help.as_deref().map(|help| out::typed_here(help).into_owned());
        }
        out::document(&json(&facts, &ending));
    }
}

/// What went wrong and what to do, as a person is told.
fn told(error: &OpsError) -> (Option<String>, Option<String>) {
    let said = |it: &str| redactor().redact(&out::typed_here(it)).into_owned();
    (Some(said(&error.to_string())), error.help().map(|it| said(&it)))
}

fn mistakes(error: &OpsError) -> Vec<Note> {
    let OpsError::Mistakes { diagnostics, sources } = error else { return Vec::new() };
    // Warnings keep nothing from being done.
    let wrong = diagnostics.iter().filter(|it| it.severity > Severity::Warning);
    wrong.map(|it| note(it, |span| sources.place(span))).collect()
}

/// Which stack it is about, and where that lives.
pub fn about(facts: &mut RunFacts, place: &StackRef, session: &Session) {
    facts.stack = place.name();
    facts.target = Some(session.target.word());
}

/// How far the state is before anything runs; `to`: where a switch is to lead.
pub fn found(facts: &mut RunFacts, state: Option<&State>, to: Option<&[String]>) {
    let Some(state) = state else { return };
    facts.phase = Some(state.phase);
    facts.lost = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
    facts.users = match to {
        Some(to) if state.active != to => Some(UsersAre::NotMoved),
        // Of a switch that is over nothing is left to move.
        Some(_) => Some(UsersAre::of(state).unwrap_or(UsersAre::Stayed)),
        None => UsersAre::of(state),
    };
}

/// A plan that is about to be carried out, or that is refused.
pub fn planned(facts: &mut RunFacts, plan: &Plan) {
    facts.plan = Some(plan_digest(plan));
    if plan.switch.is_some() {
        facts.switch.clone_from(&plan.switch);
    }
    if !plan.lost.is_empty() {
        facts.lost = plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
    }
    for refusal in plan.refusals() {
        if !facts.problems.contains(refusal) {
            facts.problems.push(refusal.clone());
        }
    }
}

/// What became of a run, or of one part of a drill; `is_switch`: users were to be moved by it.
pub fn ran(facts: &mut RunFacts, (part, is_switch): (Option<&'static str>, bool), run: &RunResult) {
    let step = |address: &Address, call: &'static str, became: StepBecame| RunStep {
        part,
        address: address.clone(),
        call,
        became,
    };
    // Who prints a value of the document prints what a program said.
    let why = |it: &StepFailure| lines(&out::typed_here(&it.why)).into_owned();
    let done = run.done.iter().map(|(it, call)| step(it, call, StepBecame::Done));
    let lifted = run.lifted.iter().map(|it| step(it, "undo task", StepBecame::Done));
    let failed =
        run.failed.iter().map(|(it, call, how)| step(it, call, StepBecame::Failed(why(how))));
    let passed_over = run
        .passed_over
        .iter()
        .map(|(it, call, how)| step(it, call, StepBecame::PassedOver(why(how))));
    let in_doubt =
        run.in_doubt.iter().map(|(it, call, how)| step(it, call, StepBecame::InDoubt(why(how))));
    let not_done = run.not_done.iter().map(|(it, call)| step(it, call, StepBecame::NotDone));
    let all = done.chain(lifted).chain(failed).chain(passed_over).chain(in_doubt).chain(not_done);
    let steps = all.collect();
    facts.ran(steps);
    facts.stopped.clone_from(&run.stopped);
    facts.open.clone_from(&run.open);
    facts.skipped_gates.extend(run.skipped_gates.iter().cloned());
    facts.outputs.clone_from(&run.outputs);
    facts.phase = Some(run.phase);
    if is_switch {
        facts.users = run.users;
    }
}
