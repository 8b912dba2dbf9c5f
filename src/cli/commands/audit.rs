//! `audit`: whether a recovery would work, as text, JSON or SARIF.

use serde_json::{Value as Json, json};

use crate::cli::args::{AuditArgs, AuditFormat, LayerArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::lang::lower::recovery_keys::is_fault_domain;
use crate::engine::lang::model::NotifyTopic;
use crate::engine::recovery::audit::finding::{Audit, Level};
use crate::ops::audit::{AuditQuestion, audit as ask};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::notify::Notifier;
use crate::render::audit::{json, rules, text};
use crate::render::sarif::sarif;
use crate::render::watch::time;

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
    let exit = exit(&audit, arguments.strict);
    if exit == Exit::Failed {
        post(&session, &question, &audit).await;
    }
    Ok(exit)
}

/// Posts a failure to webhooks: how many findings, and each of them that is more than a note.
async fn post(session: &Session, question: &AuditQuestion, audit: &Audit) {
    let ask = PlanRequest::to_apply(&question.place, &question.given);
    let Some(hooks) = Notifier::read(session, &ask, &out::problems()) else { return };
    let findings = audit.findings().filter(|it| it.level > Level::Note);
    let findings: Vec<Json> = findings
        .map(|it| json!({ "rule": it.rule.id, "level": it.level.word(), "address": it.subject, "why": it.why }))
        .collect();
    let line = json!({
        "time": time(audit.at),
        "event": "audit-failed",
        "stack": question.place.name(),
        "errors": audit.count(Level::Error),
        "warnings": audit.count(Level::Warning),
        "findings": findings,
    });
    if let Json::Object(line) = line {
        hooks.post(NotifyTopic::Audit, &line);
    }
    hooks.finish().await;
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
        layers: None,
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
