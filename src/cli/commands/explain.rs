//! `explain`: which layer and line gave a value, and why an action was chosen.

use crate::cli::args::{AllowArgs, LayerArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::address::Address;
use crate::engine::lang::merge::overlay::NOTIFY;
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Stack;
use crate::engine::lang::origin;
use crate::engine::lang::webhook::resolve_webhook;
use crate::engine::plan::draft::refresh::KnownValues;
use crate::engine::plan::model::change::{Action, Change, DriftedAttribute, Plan};
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::audit::rules::RULES;
use crate::engine::schema::Catalog;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::explanations::{codes, explanation};
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::sides::overlays_of;
use crate::ops::plan::make::plan_on;
use crate::render::words::inline;

pub async fn explain(
    context: &CommandContext,
    layers: &LayerArgs,
    what: &str,
    world: &WorldArgs,
) -> Result<Exit, OpsError> {
    let ask = open::ask(&context.directory, layers, &AllowArgs::default(), Intent::Apply)?;
    let session = open::session(&ask.place.root, world).await?;
    let state = session.store(&ask.place).load()?;
    let overlays = overlays_of(ask.overlays.as_deref(), state.as_ref());
    let nothing = RememberedVariables::none();
    let remembered = state.as_ref().map_or(nothing, |it| it.remembered(&overlays));
    let loaded = layers::layers(&ask.place, &overlays, &ask.given, remembered, &session.catalog)?;
    if let Some(name) = what.strip_prefix("vars.") {
        let origin = origin::explain_variable(&loaded, name).map_err(|diagnostic| {
            let sources = loaded.sources.clone();
            OpsError::Mistakes { diagnostics: vec![*diagnostic], sources }
        })?;
        out::data(&origin.to_string());
        return Ok(Exit::Done);
    }
    // A resource may have this name, and is then what is meant.
    let stack = loaded.stack.as_ref().filter(|it| what == NOTIFY && it.spread(NOTIFY).is_none());
    if let Some(stack) = stack {
        out::data(&webhooks(stack, &session.catalog));
        return Ok(Exit::Done);
    }
    let (address, attribute) = parse(what)?;
    let mut text = String::new();
    let known = state.as_ref().map(KnownValues::recorded).unwrap_or_default();
    let key = attribute.as_deref().unwrap_or("on");
    let of_task = origin::explain_task(&loaded, &session.catalog, (&address.name, key), &known);
    if let Some(origin) = of_task {
        // What becomes of it is in the plan of a switch, and this is none.
        let origin = origin.map_err(|diagnostics| OpsError::Mistakes {
            diagnostics,
            sources: loaded.sources.clone(),
        })?;
        out::data(&origin.to_string());
        return Ok(Exit::Done);
    }
    if let Some(attribute) = &attribute {
        let origin =
            origin::explain(&loaded, &session.catalog, &address, attribute, &known).map_err(
                |diagnostics| OpsError::Mistakes { diagnostics, sources: loaded.sources.clone() },
            )?;
        text.push_str(&origin.to_string());
    }
    let proposed = plan_on(&session, &ask, state).await?;
    text.push_str(&reason(&proposed.plan, &address, attribute.as_deref())?);
    out::data(&text);
    Ok(Exit::Done)
}

/// What a code means that stands beside a mistake, a refusal, a warning, or a finding of an audit.
pub fn code(code: &str) -> Result<Exit, OpsError> {
    if let Some(text) = explanation(code) {
        out::data(&format!("{code}\n\n{}", text.trim_end()));
        return Ok(Exit::Done);
    }
    if let Some(it) = RULES.iter().find(|it| it.id == code) {
        out::data(&format!(
            "{} ({} of the audit)\n\n{}\n\n{}",
            it.id,
            it.level.word(),
            it.title,
            it.remedy
        ));
        return Ok(Exit::Done);
    }
    let known = codes().chain(RULES.iter().map(|it| it.id));
    let near = nearest(code, known).map(|it| format!("did you mean `{it}`? "));
    Err(OpsError::usage(
        format!("`{code}` is no code"),
        format!(
            "{}codes stand beside mistakes and findings; to explain a value of a stack, name its address as well",
            near.unwrap_or_default()
        ),
    ))
}

/// Each webhook: which line declares it, where it leads, what it is posted, and whether that is signed.
fn webhooks(stack: &Stack, catalog: &Catalog) -> String {
    let told = stack.notify.iter().map(|it| {
        let place = stack.sources.line(it.span);
        let topics: Vec<&str> = it.topics.iter().map(|it| it.word()).collect();
        let topics = topics.join(", ");
        let signed = if it.secret.is_some() { "signed" } else { "not signed" };
        match resolve_webhook(stack, catalog, it) {
            Ok(Some(hook)) => format!("{}: {topics}; {signed}  # {place}", hook.shown()),
            Ok(None) => format!("posts nothing: a sensitive variable was not given  # {place}"),
            Err(_) => format!("posts nothing: it has mistakes  # {place}"),
        }
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "this stack declares no webhooks".to_owned() } else { told.join("\n") }
}

/// `web[0].user_data` → address and attribute; a dot inside a key is part of the key.
fn parse(what: &str) -> Result<(Address, Option<String>), OpsError> {
    let wrong = |why: crate::engine::address::NotAnAddress| {
        OpsError::usage(why.to_string(), "write ADDRESS or ADDRESS.ATTRIBUTE, quoted for the shell")
    };
    if let Ok(address) = what.parse() {
        return Ok((address, None));
    }
    match what.rsplit_once('.') {
        Some((address, attribute)) => Ok((address.parse().map_err(wrong)?, Some(attribute.into()))),
        None => Err(wrong(what.parse::<Address>().expect_err("see the errors above"))),
    }
}

/// What the plan would do to it, and why.
fn reason(plan: &Plan, address: &Address, attribute: Option<&str>) -> Result<String, OpsError> {
    let Some(change) = plan.changes.iter().find(|it| it.address == *address) else {
        let names: Vec<String> = plan.changes.iter().map(|it| it.address.to_string()).collect();
        let help = nearest(&address.to_string(), names.iter().map(String::as_str)).map_or_else(
            || {
                format!(
                    "run {} to list the addresses",
                    AdvisedCommand::Graph { stack: &plan.stack }
                )
            },
            |it| format!("did you mean `{it}`?"),
        );
        return Err(OpsError::input(format!("`{address}` does not exist"), help));
    };
    let action = match change.action {
        Action::NoOp => "no changes",
        action => action.word(),
    };
    let mut text = format!("{address}: {action}");
    if !change.reason.is_empty() {
        text.push_str(&format!(", because {}", change.reason));
    }
    if let Some(place) = &change.place {
        text.push_str(&format!("\n  at {place}"));
    }
    text.push('\n');
    text.push_str(&attributes(change, attribute));
    let drifted =
        plan.drift.iter().filter(|it| it.address == *address).flat_map(|it| &it.attributes);
    for DriftedAttribute { name, recorded, observed } in drifted {
        text.push_str(&format!(
            "  {name} was changed outside of lifeboat: {} → {}\n",
            inline(recorded),
            inline(observed)
        ));
    }
    Ok(text)
}

fn attributes(change: &Change, only: Option<&str>) -> String {
    let mut text = String::new();
    for it in change.attributes.iter().filter(|it| only.is_none_or(|name| it.name == name)) {
        text.push_str(&format!("  {}: {} → {}", it.name, inline(&it.before), inline(&it.after)));
        if let Some(why) = &it.replaces {
            text.push_str(&format!("; forces replacement: {why}"));
        }
        if let Some(place) = &it.place {
            text.push_str(&format!("  # {place}"));
        }
        text.push('\n');
    }
    text
}
