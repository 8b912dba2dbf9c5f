//! `reports`: what switches and drills took, from the files beside the state; and what a switch says of itself at its end.

use std::sync::Arc;

use crate::cli::args::{ReportsArgs, Words};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::recovery::report::summary::{SeenHeartbeat, SwitchReport};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::ops::apply::finish::RunResult;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::Proposed;
use crate::ops::recovery_reports::{self, Switching};
use crate::render;
use crate::store::reports::{DamagedReport, StoredReport};

pub async fn reports(context: &CommandContext, arguments: &ReportsArgs) -> Result<Exit, OpsError> {
    let ReportsArgs { state: args, name, format } = arguments;
    let (name, format) = (name.as_deref(), *format);
    let place = StackRef::find(&args.stack, &context.directory)?;
    let session = open::session(&place.root, &args.world).await?;
    let past = recovery_reports::past(&session, &place)?;
    warn(&place, &past.damaged);
    let Some(name) = name else {
        let all: Vec<(&str, &SwitchReport)> =
            past.kept.iter().map(|it| (it.name.as_str(), &it.report)).collect();
        match format {
            Words::Text if all.is_empty() => {
                out::data(&format!(
                    "{} has no reports, because no switch has been made yet",
                    place.name()
                ));
            }
            Words::Text => {
                out::data(&render::report::list(&all));
                if let Some((name, _)) = all.last() {
                    let (stack, report) = (&place.name(), *name);
                    let one = AdvisedCommand::Report { stack, report };
                    out::talk(&format!("to see one of them with its steps: {one}"));
                }
            }
            Words::Json => out::data(&render::report::json(&all)),
            Words::Markdown => out::data(&render::report::markdown_list(&all)),
        }
        return Ok(Exit::Done);
    };
    let kept = named(&place, &past.kept, name)?;
    out::data(
        match format {
            Words::Text => render::report::text(&kept.report),
            Words::Json => crate::engine::recovery::report::codec::encode(&kept.report),
            Words::Markdown => render::report::markdown(&kept.report),
        }
        .trim_end(),
    );
    Ok(Exit::Done)
}

/// By its name, or by the beginning of it that only one has.
fn named<'a>(
    place: &StackRef,
    kept: &'a [StoredReport],
    name: &str,
) -> Result<&'a StoredReport, OpsError> {
    let name = name.strip_suffix(".json").unwrap_or(name);
    if let Some(exact) = kept.iter().find(|it| it.name == name) {
        return Ok(exact);
    }
    let alike: Vec<&StoredReport> = kept.iter().filter(|it| it.name.starts_with(name)).collect();
    match alike.as_slice() {
        [one] => Ok(one),
        [] => {
            let help = nearest(name, kept.iter().map(|it| it.name.as_str())).map_or_else(
                || format!("{} lists them", AdvisedCommand::Reports { stack: &place.name() }),
                |it| format!("did you mean `{it}`?"),
            );
            Err(OpsError::input(format!("{} has no report `{name}`", place.name()), help))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|it| it.name.as_str()).collect();
            let what =
                format!("the name `{name}` is ambiguous: {} reports start with it", names.len());
            Err(OpsError::input(what, format!("write one of {}", names.join(", "))))
        }
    }
}

/// What cannot be read is named and left alone.
pub fn warn(place: &StackRef, damaged: &[DamagedReport]) {
    for it in damaged {
        let file = place.shown(&it.file);
        out::talk(&format!("warning: skipped {file}: {}", it.why));
    }
}

/// How long the switch in a plan is expected to take; nothing for what is no switch.
pub fn forecast(session: &Session, place: &StackRef, proposed: &Proposed) -> Option<Forecast> {
    let (forecast, damaged) = recovery_reports::forecast(session, place, proposed);
    warn(place, &damaged);
    forecast
}

/// What is known of a switch beside its steps.
pub struct SeenFromOutside {
    /// The first good answer after users had moved, in milliseconds since the Unix epoch.
    pub answered: Option<i64>,
    /// How far the data of groups that lost a member is known to go.
    pub heartbeats: Vec<SeenHeartbeat>,
}

/// What a switch took, said and kept.
pub fn conclude(
    context: &CommandContext,
    session: &Arc<Session>,
    place: &StackRef,
    switching: &Switching,
    run: &RunResult,
    seen: SeenFromOutside,
) {
    let mut report = recovery_reports::report(session, place, switching, &context.command, run);
    report.take_answers(seen.answered.as_slice());
    report.heartbeats = seen.heartbeats;
    tell_and_keep(context, session, place, &report);
}

/// A report that cannot be kept does not undo what was done.
pub fn tell_and_keep(
    context: &CommandContext,
    session: &Session,
    place: &StackRef,
    report: &SwitchReport,
) {
    context.note(|it| it.report = Some(report.clone()));
    out::talk(&render::report::paragraph(report));
    match recovery_reports::keep(session, place, report) {
        Ok(file) => out::talk(&format!("  saved in {}", place.shown(&file))),
        Err(why) => out::talk(&format!("warning: the report was not saved: {why}")),
    }
}
