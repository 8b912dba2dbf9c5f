//! Speaks: words, arguments, progress, reports and exit codes.

pub mod exit;
mod echo;
pub mod out;
pub mod events;
pub mod complete;
pub mod args;
mod command_groups;
mod logs;
pub mod excerpt;
pub mod report;
pub mod progress;
pub mod signals;
pub mod ending;
pub mod open;
pub mod run_document;
pub mod context;
pub mod commands;

use std::sync::Arc;

use clap::{CommandFactory as _, FromArgMatches as _};
use tracing::Instrument as _;

use crate::cli::args::Arguments;
use crate::cli::exit::{Exit, USAGE};
use crate::cli::run_document::RunDocument;
use crate::ops::error::OpsError;
use crate::ops::load::stores;
use crate::ops::tasks::supervise::{SUPERVISE, supervise};
use crate::render::copies::note;
use crate::store::keep_alive::is_any_held;

/// Reads the arguments, runs the command, says what went wrong.
pub fn main() -> u8 {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|it| it == SUPERVISE) {
        return supervise(&words.collect::<Vec<_>>());
    }
    // A shell that asks for completions gets them, and nothing else happens.
    clap_complete::CompleteEnv::with_factory(Arguments::command).complete();
    let typed = command_groups::grouped().try_get_matches();
    let arguments = match typed.and_then(|it| Arguments::from_arg_matches(&it)) {
        Ok(arguments) => arguments,
        Err(why) => {
            // Help and version are answers, not mistakes. What was typed is quoted in both.
            let text = why.render();
            if why.use_stderr() {
                out::talk(text.to_string().trim_end());
                return USAGE;
            }
            out::data(&text.to_string());
            return if out::is_unwritten() { Exit::Failed.code() } else { 0 };
        }
    };
    let document = RunDocument::wanted(&arguments.command).map(Arc::new);
    if let Err(why) = logs::begin(arguments.verbose) {
        report::error(&why, out::wants_color(arguments.no_color));
        let exit = Exit::from(&why);
        if let Some(document) = document {
            document.write(exit, Some(&why));
        }
        return exit.code();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(8 * 1024 * 1024)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            out::talk(&format!("error: cannot start: {why}"));
            return exit::BUG;
        }
    };
    let color = out::wants_color(arguments.no_color);
    let run = tracing::info_span!("run", command = context::typed());
    let ended = runtime.block_on(until_signal(arguments, document.clone()).instrument(run));
    out::end_bars();
    let exit = match &ended {
        Ok(exit) => *exit,
        Err(why) => {
            report::error(why, color);
            Exit::from(why)
        }
    };
    let exit = tell_copies(exit);
    if let Some(document) = document {
        document.write(exit, ended.as_ref().err());
    }
    let code = exit.code();
    let code = if code == 0 && out::is_unwritten() { Exit::Failed.code() } else { code };
    // Calls that were given up must not keep the process, which is about to end. Dropping the runtime would detach its threads one
    // by one, and glibc 2.36 seems to read the memory of one that ends meanwhile: a plan in our tests died in `pthread_detach`
    // after it had printed everything.
    std::mem::forget(runtime);
    code
}

/// What became of the copies of a state, beside everything else: a store that is silent, and that nobody declared lost, is a part of
/// the world that was not seen.
fn tell_copies(exit: Exit) -> Exit {
    let Some(standing) = stores::standing() else { return exit };
    if let Some(note) = note(&standing) {
        let word = if standing.is_unseen() { "warning" } else { "note" };
        out::talk(&format!("{word}: {note}"));
    }
    match exit {
        Exit::Done | Exit::Changes if standing.is_unseen() => Exit::Unseen,
        exit => exit,
    }
}

/// Runs the command, or gives it up at a signal that arrives before any step of it: then its lease is given back, and programs are
/// told as of every other end. Once steps run, they stop in good order by themselves.
#[expect(clippy::exit, reason = "a wait that blocks its thread cannot be given up in another way")]
async fn until_signal(
    arguments: Arguments,
    document: Option<Arc<RunDocument>>,
) -> Result<Exit, OpsError> {
    if arguments.command.run_of().is_none() {
        return commands::run(arguments, document).await;
    }
    let at_end = document.clone();
    let stopped = |document: &RunDocument| {
        document.note(|it| it.stopped = Some("a signal stopped it before any step".into()));
    };
    let signals = signals::begin(
        move |number| {
            let exit = Exit::Signal(number);
            if let Some(document) = &at_end {
                stopped(document);
                document.write(exit, None);
            }
            std::process::exit(i32::from(exit.code()));
        },
        is_any_held,
    )?;
    let told = document.clone();
    let number = tokio::select! {
        ended = commands::run(arguments, document) => {
            let is_first = signals::is_first_end();
            match signals.number() {
                // A question that a signal ended was not answered.
                Some(number) if is_first && matches!(ended, Ok(Exit::Refused)) => number,
                _ => return ended,
            }
        }
        number = signals.before_steps() => number,
    };
    if let Some(document) = &told {
        stopped(document);
    }
    Ok(Exit::Signal(number))
}
