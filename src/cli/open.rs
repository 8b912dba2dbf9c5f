//! Opens what commands work with: the place, the variables, the session, who is asking.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;

use crate::cli::args::{AllowArgs, Arguments, LayerArgs, LossArgs, WorldArgs};
use crate::cli::out;
use crate::engine::address::{Address, NotAnAddress};
use crate::engine::lang::merge::variables::{GivenValue, GivenVariable, SAID, SURROUNDINGS};
use crate::engine::lang::yaml::reader::parse;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::planner::Intent;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::{Severity, Sources};
use crate::engine::text::names::OverlayNames;
use crate::engine::value::Value;
use crate::ops::contained;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::{StackRef, root};
use crate::ops::load::switch_target::Losses;
use crate::sandbox::SandboxOptions;
use crate::store::lease::Lease;
use crate::store::lock_record::LockRecord;
use crate::store::preempt::{Contention, SwitchCommand};

/// The largest file of variables. A guess: four times the largest file that an expression reads, which is 1 MiB.
const VARIABLE_BYTES_MAX: u64 = 4 << 20;

/// Where the command works.
pub fn directory(arguments: &Arguments) -> Result<PathBuf, OpsError> {
    let given = arguments.directory.clone();
    let here = std::env::current_dir();
    let here = here.map_err(|source| OpsError::File { file: PathBuf::from("."), source })?;
    let folder = given.map_or_else(|| here.clone(), |it| here.join(it));
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(OpsError::input(
            format!("{} is not a folder", folder.display()),
            "set a folder with -C",
        ))
    }
}

pub fn root_of(from: &Path) -> Result<PathBuf, OpsError> {
    root(from).ok_or_else(|| {
        OpsError::input(
            format!("no `stacks` folder found in {} or its parents", from.display()),
            format!("run {}, or set the folder with -C", AdvisedCommand::Init),
        )
    })
}

/// Variables from the environment, then files, then `--var`: later ones win.
pub fn variables(layers: &LayerArgs) -> Result<Vec<GivenVariable>, OpsError> {
    let mut given = Vec::new();
    let mut from_env: Vec<(String, String)> = Vec::new();
    // Names that are not UTF-8 cannot be variables of a stack, and are nobody's business here.
    for (from, value) in std::env::vars_os() {
        let Some(from) = from.to_str().filter(|it| it.starts_with(SURROUNDINGS)) else {
            continue;
        };
        let value = value.into_string().map_err(|_| {
            OpsError::input(format!("the value of {from} is not UTF-8"), "encode it as UTF-8")
        })?;
        from_env.push((from.to_owned(), value));
    }
    from_env.sort();
    for (from, value) in from_env {
        let name = from.strip_prefix(SURROUNDINGS).unwrap_or(&from).to_owned();
        given.push(GivenVariable { name, from, value: GivenValue::Text(value) });
    }
    for file in &layers.variable_files {
        for (name, value) in variable_file(file)? {
            let value = GivenValue::Value(Value::from_json(&value));
            given.push(GivenVariable { name, from: file.display().to_string(), value });
        }
    }
    for text in &layers.variables {
        // What stands there instead may be a secret whose name was forgotten.
        let Some((name, value)) = text.split_once('=') else {
            return Err(OpsError::usage("a `--var` argument has no `=`", "write --var NAME=VALUE"));
        };
        let value = GivenValue::Text(value.into());
        given.push(GivenVariable { name: name.into(), from: SAID.into(), value });
    }
    Ok(given)
}

/// The names and values of a file. What is wrong with it is told by its place: its text may be secret.
fn variable_file(file: &Path) -> Result<Map<String, serde_json::Value>, OpsError> {
    let wrong = |why: String| {
        OpsError::input(
            format!("{}: {why}", file.display()),
            "a variable file is a YAML map of names to values",
        )
    };
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let root = root(&absolute).filter(|it| absolute.starts_with(it.join("stacks")));
    // What comes with a stack is read as its layers are: a link in it leads nowhere else.
    let bytes = if let Some(root) = root {
        let below = absolute.strip_prefix(root.join("stacks")).unwrap_or(&absolute);
        contained::read(&root, Path::new("stacks"), below, VARIABLE_BYTES_MAX)
            .map_err(|why| wrong(why.to_string()))?
    } else {
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file)
            .and_then(|it| it.take(VARIABLE_BYTES_MAX + 1).read_to_end(&mut bytes));
        opened.map_err(|source| OpsError::File { file: file.to_owned(), source })?;
        bytes
    };
    if bytes.len() as u64 > VARIABLE_BYTES_MAX {
        return Err(wrong(format!("it is larger than {} MiB", VARIABLE_BYTES_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
    let mut sources = Sources::default();
    let (node, mistakes) = parse("", text.as_bytes(), &mut sources);
    if let Some(it) = mistakes.iter().find(|it| it.severity == Severity::Error) {
        let line = it.labels.first().map_or(1, |it| it.span.line);
        return Err(wrong(format!("line {line}: {}", it.summary)));
    }
    match node.map(|it| it.value().json()) {
        Some(serde_json::Value::Object(map)) => Ok(map),
        _ => Err(wrong("it is not a map".into())),
    }
}

/// What the flags say is lost.
pub fn losses(losing: &LossArgs) -> Losses {
    match (losing.planned, losing.lost.as_slice()) {
        (true, _) => Losses::Planned,
        (false, []) => Losses::Assumed,
        (false, lost) => Losses::Also(lost.to_vec()),
    }
}

/// What the layers and flags ask for.
pub fn ask(
    directory: &Path,
    layers: &LayerArgs,
    allow: &AllowArgs,
    intent: Intent,
) -> Result<PlanRequest, OpsError> {
    let place = StackRef::find(&layers.stack, directory)?;
    Ok(PlanRequest {
        overlays: (!layers.overlays.is_empty()).then(|| layers.overlays.clone()),
        intent,
        allowed: allowed(allow)?,
        ..PlanRequest::to_apply(&place, &variables(layers)?)
    })
}

/// What flags name.
pub fn addresses(texts: &[String]) -> Result<Vec<Address>, OpsError> {
    let parsed: Result<Vec<_>, _> = texts.iter().map(|it| it.parse()).collect();
    parsed.map_err(|why: NotAnAddress| {
        OpsError::usage(why.to_string(), "write an address as the plan prints it, in quotes")
    })
}

fn allowed(allow: &AllowArgs) -> Result<Allowances, OpsError> {
    Ok(Allowances {
        delete: addresses(&allow.allow_delete)?,
        replace: addresses(&allow.allow_replace)?,
        revert: addresses(&allow.revert_drift)?,
        destroys: allow.allow_destroys,
        absent: allow.allow_absent,
        outage: allow.allow_outage,
        group_changes: allow.allow_group_changes,
        skip_gates: skipped(allow)?,
    })
}

/// The longest reason that is kept: some lines. A longer one is a file by mistake.
const BECAUSE_BYTES_MAX: usize = 1_000;

/// Which gates are skipped, and the one reason for all of them: a person gives it, on the command line or when asked.
fn skipped(allow: &AllowArgs) -> Result<BTreeMap<Address, String>, OpsError> {
    let all = addresses(&allow.skip_gate)?;
    let said = match &allow.because {
        None if !all.is_empty() && out::can_ask() => {
            let gates = allow.skip_gate.join(", ");
            out::ask(&format!(
                "Why is the gate of {gates} skipped? The journal and the report keep the reason:"
            ))
        }
        given => given.clone(),
    };
    let because = said.as_deref().unwrap_or_default().trim();
    if !all.is_empty() && (because.is_empty() || because.len() > BECAUSE_BYTES_MAX) {
        return Err(OpsError::usage(
            "a gate is skipped without a reason, or with one that is too long; nothing was changed",
            format!("add --because with up to {BECAUSE_BYTES_MAX} bytes that say why"),
        ));
    }
    Ok(all.into_iter().map(|it| (it, because.to_owned())).collect())
}

/// The clouds or the sandbox, as the flags say.
pub async fn session(root: &Path, world: &WorldArgs) -> Result<Arc<Session>, OpsError> {
    let who = who();
    if world.sandbox {
        let options = sandbox_options(&world.sandbox_clock)?;
        return Ok(Arc::new(Session::sandbox(root, options, &who).await?));
    }
    Ok(Arc::new(Session::clouds(|name| std::env::var(name).ok(), &who)))
}

pub fn sandbox_options(clock: &str) -> Result<SandboxOptions, OpsError> {
    let wrong = || {
        OpsError::usage(
            format!("`{clock}` is not a valid clock speed"),
            "write `manual` or a number such as 100",
        )
    };
    let mut options = SandboxOptions::default();
    if clock == "manual" {
        options.manual = true;
    } else {
        let speed: f64 = clock.parse().map_err(|_| wrong())?;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(wrong());
        }
        options.speed = speed;
    }
    Ok(options)
}

/// The right to change this state, and the state.
pub fn lease(
    session: &Session,
    place: &StackRef,
    command: &str,
) -> Result<(Lease, Option<State>), OpsError> {
    let store = session.store(place);
    let mut tell = |it: &LockRecord| {
        let seconds = store.times().lease.as_secs();
        out::talk(&format!(
            "{} holds the lease, and nothing here tells whether it still runs: waiting up to {seconds} s for its next heartbeat",
            it.holder()
        ));
    };
    Ok(store.lease_telling(&session.who, command, session.clock.now(), &mut tell)?)
}

/// Where a switch goes.
#[derive(Debug, Clone, Copy)]
pub struct Going<'a> {
    pub to: &'a [String],
    /// What it assumes lost.
    pub lost: &'a [String],
    /// Somebody is asked before it begins.
    pub asks: bool,
    /// A person declared the loss.
    pub promotes: bool,
}

/// What a switch has when it may begin.
pub struct Taken {
    pub lease: Lease,
    pub state: Option<State>,
    /// Another made the same switch meanwhile, and was waited for.
    pub waited: bool,
}

/// The same for a switch, which may take it from another; that is told here and there.
pub fn preempt(
    session: &Session,
    place: &StackRef,
    command: &str,
    going: Going<'_>,
) -> Result<Taken, OpsError> {
    let store = session.store(place);
    let seconds = store.times().lease.as_secs();
    let mut waited = false;
    let mut tell = |met: Contention| match met {
        Contention::Stops { holder, to } => {
            let aim =
                to.map(|it| format!(", a switch to {}", OverlayNames(&it))).unwrap_or_default();
            out::talk(&format!(
                "{holder} holds the lease{aim}; asking it to stop, waiting up to {seconds} s"
            ));
        }
        Contention::Same { holder } => {
            waited = true;
            out::talk(&format!(
                "{holder} is already making this switch; waiting for it to finish; Ctrl-C stops only the waiting"
            ));
        }
    };
    let Going { to, lost, asks, promotes } = going;
    let (owner, at) = (&*session.who, session.clock.now());
    let who = SwitchCommand { owner, command, at, to, lost, asks, promotes };
    let (lease, state) = store.preempt(who, &mut tell)?;
    if let Some(preempted) = &lease.preempted {
        out::talk(&format!("took over the lease from {preempted}"));
    }
    Ok(Taken { lease, state, waited })
}

/// `user@host, process 123`.
pub fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let host = std::env::var("HOSTNAME")
        .ok()
        .filter(|it| !it.is_empty())
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok().map(|it| it.trim().to_owned()));
    let run = pipeline_run(|it| std::env::var(it).ok().filter(|it| !it.is_empty()));
    format!(
        "{}@{}, process {}{}",
        user.unwrap_or_else(|_| "someone".into()),
        host.unwrap_or_else(|| "somewhere".into()),
        std::process::id(),
        run.map(|it| format!(", {it}")).unwrap_or_default()
    )
}

/// The address of the run of a pipeline, where it says so: GitHub and those that imitate it, and GitLab.
fn pipeline_run(read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let github = || {
        let (server, repository) = (read("GITHUB_SERVER_URL")?, read("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", read("GITHUB_RUN_ID")?))
    };
    read("CI_JOB_URL").or_else(github)
}
