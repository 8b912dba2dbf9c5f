//! What every command is given: where it works, how it may look, and how fast a run is to go.

use std::sync::Arc;

use crate::cli::args::Arguments;
use crate::cli::events::EventLog;
use crate::cli::out::wants_color;
use crate::cli::run_document::RunDocument;
use crate::cli::{open, out};
use crate::engine::retry::Pacing;
use crate::engine::text::plain::escape_control;
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;
use crate::ops::watch::target::{Targets, shown};
use crate::render::run::RunFacts;

/// What every command is given.
#[derive(Clone)]
pub struct CommandContext {
    pub directory: std::path::PathBuf,
    pub color: bool,
    /// As typed, without the values of variables.
    pub command: String,
    /// How fast a run is to go.
    pub pace: Pacing,
    /// Where its events are told.
    pub events: Option<Arc<EventLog>>,
    /// What is looked at from outside once users have moved.
    pub outside: Option<Targets>,
    /// What programs are told at the end.
    document: Option<Arc<RunDocument>>,
}

impl CommandContext {
    pub fn of(arguments: &Arguments, document: Option<Arc<RunDocument>>) -> Result<Self, OpsError> {
        let given = arguments.directory.as_ref().map(|it| it.display().to_string());
        out::act_in(arguments.command.is_in_sandbox(), given);
        Ok(Self {
            directory: open::directory(arguments)?,
            color: wants_color(arguments.no_color),
            command: typed(),
            pace: arguments.command.run_args().pace()?,
            events: arguments.command.run_args().log()?,
            outside: arguments.command.outside()?,
            document,
        })
    }

    /// The same, with a document that gathers what becomes of a run, whether or not one is wanted; and that document.
    pub fn gathering(&self, command: &str, stack: &str) -> (Self, Arc<RunDocument>) {
        let new = || Arc::new(RunDocument::unwritten(command, stack));
        let document = self.document.clone().unwrap_or_else(new);
        (Self { document: Some(Arc::clone(&document)), ..self.clone() }, document)
    }

    /// Notes something for the document, where one is wanted.
    pub fn note(&self, take: impl FnOnce(&mut RunFacts)) {
        if let Some(document) = &self.document {
            document.note(take);
        }
    }
}

/// A word without the name and the password of a URL that it may hold.
fn without_credentials(word: String) -> String {
    let (flag, text) = match word.split_once("=http") {
        Some((flag, rest)) => (format!("{flag}="), format!("http{rest}")),
        None => (String::new(), word.clone()),
    };
    match reqwest::Url::parse(&text) {
        Ok(url) if url.password().is_some() || !url.username().is_empty() => {
            format!("{flag}{}", shown(&url))
        }
        _ => word,
    }
}

/// The command line for the journal; what is behind `--var` may be secret.
pub fn typed() -> String {
    let mut words = Vec::new();
    let mut hide = false;
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy().into_owned();
        let given = if hide { Some(word.as_str()) } else { word.strip_prefix("--var=") };
        if let Some(given) = given {
            let name = given.split('=').next().unwrap_or_default();
            words.push(if hide { format!("{name}=…") } else { format!("--var={name}=…") });
            hide = false;
        } else {
            hide = word == "--var";
            words.push(without_credentials(word));
        }
    }
    escape_control(&redactor().redact(&words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn without_credentials_leaves_everything_else_as_typed() {
        for (typed, kept) in [
            ("http://me:hush@shop/x?y=1", "http://shop/x?y=1"),
            ("--url=https://hush@shop/", "--url=https://shop/"),
            ("--url=https://shop", "--url=https://shop"),
            ("http://shop", "http://shop"),
            ("a:b@c", "a:b@c"),
        ] {
            assert_eq!(without_credentials(typed.into()), kept);
        }
    }
}
