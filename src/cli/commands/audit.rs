//! `audit`: whether a recovery would work, as text, JSON or SARIF.

use std::collections::BTreeSet;

use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::{ProfileFileRegionProvider, load};

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

/// Variables of the environment that say through which region AWS credentials go.
const AWS_REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Variables that send calls, those for credentials among them, to a host that may name a region.
const ENDPOINTS: [&str; 5] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
];

/// Variables that hold credentials themselves.
const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub async fn audit(context: &CommandContext, arguments: &AuditArgs) -> Result<Exit, OpsError> {
    let Some(stack) = arguments.stack.clone().filter(|_| !arguments.rules) else {
        out::data(&rules());
        return Ok(Exit::Done);
    };
    let question = question(context, arguments, stack).await?;
    let session = open::session(&question.place.root, &arguments.world).await?;
    let audit = ask(&session, &question).await?;
    out::data(&match arguments.format {
        AuditFormat::Text => out::typed_here(&text(&audit, context.color)).into_owned(),
        AuditFormat::Json => json(&audit),
        AuditFormat::Sarif => sarif(&audit),
    });
    Ok(exit(&audit, arguments.strict))
}

async fn question(
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
    let settings = if arguments.world.sandbox { Vec::new() } else { settings().await };
    Ok(AuditQuestion {
        place: StackRef::find(&layers.stack, &context.directory)?,
        to: arguments.to.clone(),
        given: open::variables(&layers)?,
        settings,
        here: arguments.here.clone(),
        online: arguments.online,
    })
}

/// What leads into a fault domain, by where it is said: the environment, else the profile of AWS.
async fn settings() -> Vec<(String, String)> {
    let said = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let regions = AWS_REGION.iter().filter_map(|name| Some(((*name).to_owned(), said(name)?)));
    let mut found: Vec<(String, String)> = regions.collect();
    if found.is_empty() {
        let region = ProfileFileRegionProvider::new().region().await;
        found.extend(region.map(|it| ("the region of the AWS profile".to_owned(), it.to_string())));
    }
    for name in ENDPOINTS {
        found.extend(said(name).iter().flat_map(|url| in_address(name, url)));
    }
    // Keys in the environment come before any profile.
    if !KEYS.iter().all(|name| said(name).is_some()) {
        found.extend(logins().await);
    }
    found.into_iter().map(|(name, region)| (name, format!("aws:{region}"))).collect()
}

/// Only what is assumed lost counts, so that it does no harm to call each part of a host a region.
fn in_address(said_by: &str, url: &str) -> Vec<(String, String)> {
    let host = url.split("://").last().and_then(|it| it.split(['/', ':', '?']).next());
    let parts = host.unwrap_or_default().split('.');
    parts.map(|part| (format!("the region in {said_by}"), part.to_owned())).collect()
}

/// Where the profile of AWS, and those that it builds on, get their credentials from: a login goes through a region of its
/// own, whatever region calls go to.
#[expect(
    clippy::default_trait_access,
    reason = "their types are of crates that nothing else here needs"
)]
async fn logins() -> Vec<(String, String)> {
    let real = load(&Default::default(), &Default::default(), &Default::default(), None).await;
    let Ok(profiles) = real else { return Vec::new() };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(profiles.selected_profile());
    while let Some(name) = next.filter(|it| seen.insert(*it)) {
        let Some(profile) = profiles.get_profile(name) else { break };
        let session = profile.get("sso_session");
        let login = session.and_then(|it| profiles.sso_session(it)?.get("sso_region"));
        for region in login.into_iter().chain(profile.get("sso_region")) {
            let what = format!("the region of the login of the AWS profile `{name}`");
            found.push((what, region.to_owned()));
        }
        let said_by = format!("`endpoint_url` of the AWS profile `{name}`");
        found.extend(profile.get("endpoint_url").iter().flat_map(|it| in_address(&said_by, it)));
        next = profile.get("source_profile");
    }
    found
}

/// Errors are 1; warnings, too, where that is asked for.
fn exit(audit: &Audit, strict: bool) -> Exit {
    let least = if strict { Level::Warning } else { Level::Error };
    if audit.worst().is_some_and(|it| it >= least) { Exit::Failed } else { Exit::Done }
}
