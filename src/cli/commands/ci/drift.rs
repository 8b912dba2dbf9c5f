//! `ci drift`: looks for drift and at the audit, and keeps one issue about what there is to do.

use std::sync::Arc;

use crate::cli::args::AllowArgs;
use crate::cli::args::ci::CiDriftArgs;
use crate::cli::commands::ci::teller::{Teller, write};
use crate::cli::commands::plan::warn;
use crate::cli::commands::runner::has_state;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::code_host::issue::KeptIssue;
use crate::engine::lang::check::gate::parse_duration;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::audit::finding::{Audit, Level};
use crate::ops::audit::{AuditQuestion, audit, last_passed_drill};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::plan::make::{Proposed, plan};
use crate::render::ci::annotations::Annotation;
use crate::render::ci::issue::{DriftReport, DrillAge};
use crate::render::sarif::sarif;
use crate::store::lock_record::wall;

pub(super) async fn drift(
    context: &CommandContext,
    arguments: &CiDriftArgs,
) -> Result<Exit, OpsError> {
    let teller = Teller::new(&arguments.told)?;
    let most_seconds = arguments.drill_max_age.as_deref().map(age).transpose()?;
    let allow = AllowArgs::default();
    let ask = open::ask(&context.directory, &arguments.layers, &allow, Intent::Apply)?;
    let session = open::session(&ask.place.root, &arguments.world).await?;
    has_state(&session, &ask.place)?;
    let (planned, mistakes) = looked(&session, &ask).await?;
    if let Some(it) = &planned {
        warn(it, context.color);
    }
    let audit = audited(&session, &ask, arguments).await?;
    let drill = match most_seconds {
        Some(most_seconds) => Some(drill_age(&session, &ask, most_seconds)?),
        None => None,
    };
    let plan = planned.as_ref().map(|it| &it.plan);
    let unread = plan.map_or(0, |it| it.changes.iter().filter(|it| it.unknown.is_some()).count());
    let name = ask.place.name();
    let url = teller.run_url();
    let report = DriftReport { stack: &name, plan, audit: &audit, drill, url, at: wall(), unread };
    let found = audit.findings().filter(|it| it.level > Level::Note);
    teller.annotate(&found.map(Annotation::of_finding).collect::<Vec<_>>());
    if let Some(file) = &arguments.sarif {
        write(context, file, &sarif(&audit))?;
    }
    teller.summary(&|most| report.text(most));
    out::talk(&report.says());
    let is_told = told(&teller, &report).await;
    match mistakes {
        Some(why) => Err(why),
        None if !is_told => Ok(Exit::Failed),
        None if unread > 0 => Ok(Exit::Unseen),
        None if report.is_well() => Ok(Exit::Done),
        None => Ok(Exit::Changes),
    }
}

fn age(text: &str) -> Result<u64, OpsError> {
    parse_duration(text).filter(|it| *it > 0).ok_or_else(|| {
        OpsError::usage(
            format!("`--drill-max-age {text}` is not a duration"),
            "write days or hours such as 30d or 12h",
        )
    })
}

/// What an apply would do now; mistakes in the layers are findings of the audit, and how the command ends.
async fn looked(
    session: &Session,
    ask: &PlanRequest,
) -> Result<(Option<Proposed>, Option<OpsError>), OpsError> {
    match plan(session, ask).await {
        Ok(proposed) => Ok((Some(proposed), None)),
        Err(why @ OpsError::Mistakes { .. }) => Ok((None, Some(why))),
        Err(why) => Err(why),
    }
}

async fn audited(
    session: &Arc<Session>,
    ask: &PlanRequest,
    arguments: &CiDriftArgs,
) -> Result<Audit, OpsError> {
    let settings =
        if arguments.world.sandbox { Vec::new() } else { session.provider.surroundings().await };
    let question = AuditQuestion {
        place: ask.place.clone(),
        layers: None,
        to: Vec::new(),
        given: ask.given.clone(),
        settings,
        here: None,
        online: arguments.online,
    };
    audit(session, &question).await
}

fn drill_age(
    session: &Session,
    ask: &PlanRequest,
    most_seconds: u64,
) -> Result<DrillAge, OpsError> {
    let last = last_passed_drill(session, &ask.place)?;
    let since = |at: i64| u64::try_from((session.clock.now() - at) / 1000).unwrap_or_default();
    Ok(DrillAge { seconds: last.map(since), most_seconds })
}

/// Whether the issue is as it should be. A look that was not whole closes none, and opens none by itself.
async fn told(teller: &Teller, report: &DriftReport<'_>) -> bool {
    if teller.is_printing() {
        return true;
    }
    let well = report.is_well().then(|| report.says());
    if report.unread > 0 && well.is_some() {
        out::talk("the issue stays as it is: part of the infrastructure could not be read");
        return true;
    }
    match teller.issue(report.stack, &|most| report.text(most), well.as_deref()).await {
        Ok(KeptIssue::Opened(number)) => out::talk(&format!("opened the issue #{number}")),
        Ok(KeptIssue::Updated(number)) => out::talk(&format!("updated the issue #{number}")),
        Ok(KeptIssue::Closed(number)) => out::talk(&format!("closed the issue #{number}")),
        Ok(KeptIssue::None) => {}
        Err(why) => {
            out::talk(&format!("error: the issue was not written: {why}"));
            return false;
        }
    }
    true
}
