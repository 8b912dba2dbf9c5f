//! `audit`: whether a recovery would work, as text, JSON or SARIF.

use crate::cli::args::{AuditArgs, AuditFormat, LayerArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::lang::lower::recovery_keys::is_fault_domain;
use crate::engine::recovery::audit::finding::{Audit, Level};
use crate::ops::audit::{AuditQuestion, audit as ask};
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::render::audit::{json, rules, text};
use crate::render::sarif::sarif;

pub async fn audit(context: &CommandContext, arguments: &AuditArgs) -> Result<Exit, OpsError> {
    let Some(stack) = arguments.stack.clone().filter(|_| !arguments.rules) else {
        out::data(&rules());
        return Ok(Exit::Done);
    };
    let mut question = question(context, arguments, stack)?;
    let session = open::session(&question.place.root, &arguments.world).await?;
    if !arguments.world.sandbox {
        question.settings = session.provider.surroundings().await;
    }
    let audit = ask(&session, &question).await?;
    out::data(&match arguments.format {
        AuditFormat::Text => out::typed_here(&text(&audit, context.color)).into_owned(),
        AuditFormat::Json => json(&audit),
        AuditFormat::Sarif => sarif(&audit),
    });
    Ok(exit(&audit, arguments.strict))
}

fn question(
    context: &CommandContext,
    arguments: &AuditArgs,
    stack: String,
) -> Result<AuditQuestion, OpsError> {
    if let Some(here) = arguments.here.as_ref().filter(|it| !is_fault_domain(it)) {
        return Err(OpsError::usage(
            format!("`--here {here}` is not a fault domain"),
            "write a fault domain such as --here linode:us-east or --here aws:us-east-1",
        ));
    }
    let layers = LayerArgs {
        stack,
        overlays: Vec::new(),
        variables: arguments.variables.clone(),
        variable_files: arguments.variable_files.clone(),
    };
    Ok(AuditQuestion {
        place: StackRef::find(&layers.stack, &context.directory)?,
        to: arguments.to.clone(),
        given: open::variables(&layers)?,
        settings: Vec::new(),
        here: arguments.here.clone(),
        online: arguments.online,
    })
}

/// Errors are 1; warnings, too, where that is asked for.
fn exit(audit: &Audit, strict: bool) -> Exit {
    let least = if strict { Level::Warning } else { Level::Error };
    if audit.worst().is_some_and(|it| it >= least) { Exit::Failed } else { Exit::Done }
}
