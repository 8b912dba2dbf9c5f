//! `ci plan`: validates, plans, stores what a merge lets run, and posts it in the pull request.

use std::sync::Arc;

use crate::cli::args::ci::CiPlanArgs;
use crate::cli::args::{Format, ShapeArgs};
use crate::cli::commands::ci::base::{audited, changes, kept_in};
use crate::cli::commands::ci::outcome::CiOutcome;
use crate::cli::commands::ci::stranger::validated;
use crate::cli::commands::ci::teller::{Teller, write};
use crate::cli::commands::plan::{FreshPlan, asked, exit, fresh, print};
use crate::cli::commands::runner::has_state;
use crate::cli::commands::stored::store;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::code_host::comment::PostedComment;
use crate::engine::plan::model::change::Note;
use crate::engine::recovery::audit::finding::{Audit, Finding, Level};
use crate::engine::recovery::audit::rules::INVALID;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::Severity;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::render::ci::annotations::Annotation;
use crate::render::ci::mark::{CiResult, PullHead};
use crate::render::ci::widget::widget;
use crate::render::sarif::sarif;

/// Why a plan is made and kept nowhere.
enum Unstored {
    /// It comes from elsewhere, or that cannot be told.
    Stranger(String),
    /// The pull request has another commit by now, or is over.
    Outdated(String),
    /// Nobody would read it before it runs.
    NoPull,
}

/// The pull request as far as it decides what is done.
struct Review {
    number: Option<u64>,
    /// The commit that it has by now; `None`: that is not known.
    head: Option<String>,
    is_head: bool,
    /// It is merged or closed: its comment says what became of it.
    is_over: bool,
    unstored: Option<Unstored>,
}

impl Review {
    fn head(&self) -> PullHead<'_> {
        match &self.head {
            Some(_) if self.is_head => PullHead::This,
            Some(head) => PullHead::Newer(head),
            None => PullHead::Unknown,
        }
    }
}

pub(super) async fn plan(
    context: &CommandContext,
    arguments: &CiPlanArgs,
) -> Result<Exit, OpsError> {
    let teller = Teller::new(&arguments.told)?;
    let CiPlanArgs { layers, allow, losing, .. } = arguments;
    let ask = asked(context, layers, allow, losing, &arguments.replace)?;
    let session = open::session(&ask.place.root, &arguments.world).await?;
    // Of a stranger nothing is stored, wherever the state is.
    let is_strange = teller.pull().is_some_and(|it| it.stranger.is_some());
    let planned = match has_state(&session, &ask.place) {
        Err(why) if !is_strange => Err(why),
        _ => fresh(context, &session, &ask).await,
    };
    let audit = audited(&session, &ask, None).await;
    let audit = audit.inspect_err(|why| out::talk(&format!("warning: not audited: {why}"))).ok();
    let review = review(&teller).await;
    let of_pull = || teller.pull().and_then(|it| it.base.clone());
    let changes = match arguments.base.clone().or_else(of_pull) {
        Some(base) => changes(&session, &ask, &base, audit.as_ref()).await,
        None => Vec::new(),
    };
    let name = ask.place.name();
    let (mut outcome, ended) = outcome(&session, &ask, planned, audit.as_ref(), &review);
    for it in &changes {
        out::talk(it);
        outcome.say(it);
    }
    annotate(&teller, &outcome, audit.as_ref());
    if !teller.is_printing()
        && let Some((plan, envelope)) = &outcome.plan
    {
        let shape = ShapeArgs { format: Format::Text, max_bytes: None };
        print(plan, envelope, &shape, context.color);
    }
    let written = files(context, arguments, &outcome, audit.as_ref());
    if let Err(why) = &written {
        outcome.say(&why.to_string());
    }
    teller.summarize(&name, &outcome, review.head());
    let is_read = told(&teller, &name, &outcome, &review).await;
    let exit = ended?;
    written?;
    Ok(if exit == Exit::Done && !is_read { Exit::Failed } else { exit })
}

async fn review(teller: &Teller) -> Review {
    let Some(pull) = teller.pull() else {
        let unstored = (!teller.is_printing()).then_some(Unstored::NoPull);
        return Review { number: None, head: None, is_head: false, is_over: false, unstored };
    };
    let mut review =
        Review { number: pull.number, head: None, is_head: false, is_over: false, unstored: None };
    match teller.pull_now().await {
        Some(Ok(now)) => {
            review.is_head = teller.is_head(&now);
            review.is_over = !now.is_open;
            review.unstored = match (review.is_head, now.is_open) {
                (false, _) => Some(Unstored::Outdated(format!(
                    "the pull request is at the commit {} by now",
                    now.head
                ))),
                (true, false) => {
                    Some(Unstored::Outdated("the pull request is merged or closed".to_owned()))
                }
                (true, true) => None,
            };
            review.head = Some(now.head);
        }
        // Who cannot be asked is not believed to have a newer one: then nobody could store anything.
        Some(Err(why)) => out::talk(&format!("warning: the pull request cannot be read: {why}")),
        None => {}
    }
    if let Some(why) = &pull.stranger {
        review.unstored = Some(Unstored::Stranger(why.clone()));
    }
    review
}

/// What is told, and how the command ends if all of it can be told.
fn outcome(
    session: &Arc<Session>,
    ask: &PlanRequest,
    planned: Result<FreshPlan, OpsError>,
    audit: Option<&Audit>,
    review: &Review,
) -> (CiOutcome, Result<Exit, OpsError>) {
    let FreshPlan { proposed, envelope } = match planned {
        Ok(planned) => planned,
        Err(why) => return unplanned(why, ask, review),
    };
    let invalid: Vec<&Finding> =
        audit.into_iter().flat_map(Audit::findings).filter(|it| *it.rule == INVALID).collect();
    let exit = exit(&proposed.plan, false);
    let result = match exit {
        _ if !invalid.is_empty() => CiResult::Invalid,
        Exit::Refused => CiResult::Refused,
        _ => CiResult::Planned,
    };
    let mut outcome = CiOutcome::new(result);
    outcome.problems = invalid.into_iter().map(mistake).collect();
    outcome.show(&proposed.plan, &envelope);
    match (result, &review.unstored) {
        (CiResult::Invalid, _) => {
            outcome.say("not stored: an overlay has mistakes, so a failover to it would not work");
            for it in &outcome.problems {
                out::talk(&format!("error: {}: {}", it.places.join(", "), it.text));
            }
            return (outcome, Ok(Exit::Failed));
        }
        (CiResult::Refused, _) => {
            outcome.say("not stored: a guard refused it, so it cannot be applied");
        }
        (_, Some(Unstored::Stranger(why))) => {
            outcome.say(&format!(
                "not stored: {why}; once it is merged, its plan waits for an approval"
            ));
        }
        (_, Some(Unstored::Outdated(why))) => outcome.say(&format!("not stored: {why}")),
        (_, Some(Unstored::NoPull)) => {
            let plan = AdvisedCommand::PlanStore { stack: &ask.place.name() };
            outcome.say(&format!(
                "not stored: this job is of no pull request, where somebody would read it; to store it by hand: {plan}"
            ));
        }
        (_, None) => match store(session, &ask.place, &proposed, &envelope) {
            Ok(digest) => {
                let apply = AdvisedCommand::CiApply { stack: &ask.place.name() };
                outcome.say(&format!(
                    "stored for review as `{}` in `{}`; once it is merged, {apply} runs as much of it or less",
                    digest.unwrap_or_default(),
                    kept_in(session.target.is_sandbox(), &ask.place, &ask.place)
                ));
            }
            Err(why) => {
                outcome.result = CiResult::Failed;
                outcome.say(&format!("not stored: {why}"));
                return (outcome, Err(why));
            }
        },
    }
    if exit == Exit::Unseen {
        outcome
            .say("part of the infrastructure could not be read: what it would change is not known");
    }
    (outcome, Ok(exit))
}

/// There is no plan. A fork has no credentials: whether its layers are valid is all that can be said.
fn unplanned(
    why: OpsError,
    ask: &PlanRequest,
    review: &Review,
) -> (CiOutcome, Result<Exit, OpsError>) {
    let is_strange = matches!(review.unstored, Some(Unstored::Stranger(_)));
    let is_mistake = matches!(why, OpsError::Mistakes { .. } | OpsError::Input { .. });
    if !is_strange || is_mistake {
        return (CiOutcome::of_error(&why), Err(why));
    }
    // Where the state could not be read nobody has looked at the layers yet.
    if let Err(wrong) = validated(ask) {
        return (CiOutcome::of_error(&wrong), Err(wrong));
    }
    let mut outcome = CiOutcome::of_error(&why);
    outcome.says.insert(0, "validated, and not planned: a fork gets no secrets".to_owned());
    out::talk(&format!("validated, and not planned: {why}"));
    (outcome, Ok(Exit::Done))
}

fn mistake(it: &Finding) -> Note {
    let places = it.place.iter().map(|it| format!("{}:{}:{}", it.file, it.line, it.column));
    Note {
        severity: Severity::Error,
        code: it.rule.id.into(),
        text: it.why.clone(),
        places: places.collect(),
        help: Some(it.remedy.clone()),
    }
}

/// Mistakes and refusals, and what the audit found beside them.
fn annotate(teller: &Teller, outcome: &CiOutcome, audit: Option<&Audit>) {
    let of_plan = outcome.plan.iter().flat_map(|(plan, _)| plan.refusals());
    let told = outcome.problems.iter().chain(of_plan).map(Annotation::of_note);
    let found = audit.into_iter().flat_map(Audit::findings);
    let found = found.filter(|it| it.level > Level::Note && *it.rule != INVALID);
    teller.annotate(&told.chain(found.map(Annotation::of_finding)).collect::<Vec<_>>());
}

/// The files that were asked for.
fn files(
    context: &CommandContext,
    arguments: &CiPlanArgs,
    outcome: &CiOutcome,
    audit: Option<&Audit>,
) -> Result<(), OpsError> {
    if let (Some(file), Some(audit)) = (&arguments.sarif, audit) {
        write(context, file, &sarif(audit))?;
    }
    match (&arguments.gitlab_report, &outcome.plan) {
        (Some(file), Some((plan, _))) => write(context, file, &widget(plan)),
        _ => Ok(()),
    }
}

/// Whether people can read it where they review.
async fn told(teller: &Teller, name: &str, outcome: &CiOutcome, review: &Review) -> bool {
    let Some(number) = review.number else {
        if !teller.is_printing() {
            let why = if teller.pull().is_some() {
                "the number of the pull request is not known"
            } else {
                "this job is of no pull request"
            };
            out::talk(&format!("not posted: {why}"));
        }
        return true;
    };
    if review.is_over {
        out::talk(&format!("not posted: #{number} is merged or closed"));
        return true;
    }
    match teller.comment(name, number, outcome, review.head()).await {
        Ok(PostedComment::Created) => out::talk(&format!("commented in #{number}")),
        Ok(PostedComment::Updated) => out::talk(&format!("updated the comment in #{number}")),
        Ok(PostedComment::LeftAlone(why)) => out::talk(&format!("not posted in #{number}: {why}")),
        Err(why) if matches!(review.unstored, Some(Unstored::Stranger(_))) => {
            out::talk(&format!("not posted in #{number}: {why}"));
        }
        Err(why) => {
            out::talk(&format!(
                "error: the comment in #{number} was not written, so nobody can review this there: {why}"
            ));
            return false;
        }
    }
    true
}
