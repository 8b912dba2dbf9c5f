//! `sandbox app`: how the application on the sandbox's machines behaves.

use crate::cli::args::{AppCommand, HowBroken};
use crate::cli::commands::sandbox::mistakes::{seconds, wrong};
use crate::cli::out;
use crate::ops::error::OpsError;
use crate::sandbox::Sandbox;
use crate::sandbox::linode::data::apps::{App, BrokenApp};

pub(super) fn run(sandbox: &Sandbox, what: Option<AppCommand>) -> Result<(), OpsError> {
    match what {
        None => {}
        Some(AppCommand::Start { delay, of }) => {
            let delay = i64::try_from(seconds(&delay)?.saturating_mul(1_000)).unwrap_or(i64::MAX);
            sandbox.set_app(&of, |it| it.start = Some(delay)).map_err(wrong)?;
        }
        Some(AppCommand::Ports { ports, of }) => {
            let ports = (!ports.is_empty()).then(|| ports.into_iter().collect());
            sandbox.set_app(&of, |it| it.ports = ports).map_err(wrong)?;
        }
        Some(AppCommand::Break { text, how }) => {
            let how = match how {
                HowBroken::Errors => BrokenApp::Errors,
                HowBroken::Closed => BrokenApp::Closed,
            };
            let found = sandbox.set_app(&text, |it| it.broken = Some(how)).map_err(wrong)?;
            if found.is_empty() {
                out::talk(&format!("no instance contains `{text}` right now"));
            } else {
                out::talk(&format!("broken now: {}", found.join(", ")));
            }
        }
        Some(AppCommand::Mend { text: Some(text) }) => {
            if sandbox.apps().map_err(wrong)?.get(&text).is_none_or(|it| it.broken.is_none()) {
                out::talk(&format!("`{text}` was not broken"));
            }
            sandbox.set_app(&text, |it| it.broken = None).map_err(wrong)?;
        }
        Some(AppCommand::Mend { text: None }) => {
            for text in sandbox.apps().map_err(wrong)?.into_keys() {
                sandbox.set_app(&text, |it| it.broken = None).map_err(wrong)?;
            }
        }
    }
    tell(sandbox)
}

/// How it behaves now.
fn tell(sandbox: &Sandbox) -> Result<(), OpsError> {
    let apps = sandbox.apps().map_err(wrong)?;
    if apps.is_empty() {
        out::data("the application answers on every port as soon as its instance has booted");
    }
    for (text, app) in apps {
        let place = if text.is_empty() {
            "everywhere".to_owned()
        } else {
            format!("on instances that contain `{text}`")
        };
        out::data(&format!("{place}: {}", words(&app)));
    }
    Ok(())
}

fn words(app: &App) -> String {
    let mut words = Vec::new();
    if let Some(delay) = app.start {
        words.push(format!("it answers {} s after its instance has booted", delay / 1_000));
    }
    if let Some(ports) = &app.ports {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        words.push(format!("it listens on {}", ports.join(", ")));
    }
    match app.broken {
        Some(BrokenApp::Errors) => words.push("it answers 503".into()),
        Some(BrokenApp::Closed) => words.push("it does not listen".into()),
        None => {}
    }
    words.join("; ")
}
