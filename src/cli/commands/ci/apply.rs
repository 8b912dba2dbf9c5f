//! `ci apply`: runs what was reviewed, and says in its pull request what became of it.

use crate::cli::args::ci::CiApplyArgs;
use crate::cli::commands::ci::outcome::CiOutcome;
use crate::cli::commands::ci::teller::Teller;
use crate::cli::commands::reviewed;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::code_host::comment::PostedComment;
use crate::engine::plan::model::change::Note;
use crate::engine::recovery::audit::finding::Level;
use crate::engine::recovery::completion::Unfinished;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::render::ci::annotations::Annotation;
use crate::render::ci::mark::{CiResult, PullHead};
use crate::render::run::{RunFacts, StepBecame};

pub(super) async fn apply(
    context: &CommandContext,
    arguments: &CiApplyArgs,
) -> Result<Exit, OpsError> {
    let teller = Teller::new(&arguments.told)?;
    // Its plan counts as reviewed once it is merged, and not before.
    if teller.pull().is_some_and(|it| !it.is_merged) {
        return Err(OpsError::refused(
            "this job is of a pull request that is not merged, and nothing of one is applied; nothing was changed",
            "run `ci apply` in a job of the main branch, and `ci plan` in those of pull requests",
        ));
    }
    let name = StackRef::find(&arguments.layers.stack, &context.directory)?.name();
    let (context, document) = context.gathering("apply", &name);
    let mut shown = None;
    let ended = reviewed::run(&context, &arguments.layers, &arguments.world, &mut shown).await;
    let facts = document.facts();
    let mut outcome = outcome(&ended, &facts);
    if let Some((plan, envelope)) = &shown {
        outcome.show(plan, envelope);
    }
    annotate(&teller, &outcome);
    teller.summarize(&name, &outcome, PullHead::Unknown);
    if !teller.is_printing() {
        told(&teller, &name, &outcome).await;
    }
    // Whatever the code host says: this is what became of the infrastructure.
    ended
}

/// What became of the run.
fn outcome(ended: &Result<Exit, OpsError>, facts: &RunFacts) -> CiOutcome {
    let was_done = facts.steps.iter().any(|it| it.became == StepBecame::Done);
    let mut outcome = match ended {
        Ok(Exit::Done) => CiOutcome::new(CiResult::Applied),
        Ok(Exit::Held) if !was_done => CiOutcome::new(CiResult::Held),
        Ok(_) if was_done => CiOutcome::new(CiResult::Partial),
        Ok(_) => CiOutcome::new(CiResult::Failed),
        Err(why) => CiOutcome::of_error(why),
    };
    outcome.steps.clone_from(&facts.steps);
    outcome.problems.extend(
        facts.problems.iter().filter(|it| is_new(it, &outcome)).cloned().collect::<Vec<_>>(),
    );
    if let Some(why) = &facts.stopped {
        outcome.say(why);
    }
    for it in facts.open.iter().map(Unfinished::sentence) {
        outcome.say(&it);
    }
    if outcome.result == CiResult::Applied && !was_done {
        outcome.say("nothing to do");
    }
    outcome
}

/// What was not done, in the list of the job.
fn annotate(teller: &Teller, outcome: &CiOutcome) {
    if outcome.result == CiResult::Applied {
        return;
    }
    let mut told: Vec<Annotation> = outcome.problems.iter().map(Annotation::of_note).collect();
    let failed = outcome.steps.iter().filter_map(|it| {
        Some(format!("{} {} {}: {}", it.address, it.call, it.became.word(), it.became.why()?))
    });
    let said = outcome.says.first().cloned().into_iter().chain(failed);
    told.extend(said.map(|text| Annotation { level: Level::Error, place: None, text }));
    teller.annotate(&told);
}

fn is_new(it: &Note, outcome: &CiOutcome) -> bool {
    !outcome.problems.iter().any(|other| other.code == it.code && other.places == it.places)
}

/// Posts it in the pull request by which the commit came. What cannot be posted changes nothing about what was applied.
async fn told(teller: &Teller, name: &str, outcome: &CiOutcome) {
    let number = match teller.merged_pull().await {
        Ok(Some(number)) => number,
        Ok(None) => {
            return out::talk(
                "not posted: no merged pull request brought this commit; see the summary of the job",
            );
        }
        Err(why) => {
            return out::talk(&format!(
                "warning: not posted: the pull request of this commit cannot be found: {why}"
            ));
        }
    };
    match teller.comment(name, number, outcome, PullHead::Unknown).await {
        Ok(PostedComment::Created) => out::talk(&format!("commented in #{number}")),
        Ok(PostedComment::Updated) => out::talk(&format!("updated the comment in #{number}")),
        Ok(PostedComment::LeftAlone(why)) => out::talk(&format!("not posted in #{number}: {why}")),
        Err(why) => out::talk(&format!(
            "warning: the comment in #{number} was not written: {why}; what was applied stays as it is"
        )),
    }
}
