//! stdout is data, stderr is talk; a closed stdout ends the command without a word.
//!
//! Where a command writes one document for programs, that is all its data: what it shows people besides goes to stderr.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget};
use rustix::fs::{Stat, fstat};
use terminal_size::{Width, terminal_size_of};

use crate::cli::echo;
use crate::engine::text::advice::in_world;
use crate::engine::text::plain::{colored, json, lines};
use crate::engine::text::redact::redactor;
use crate::ops::notify::TellProblem;

/// From now on stdout is for one document alone.
pub fn keep_for_document() {
    ONE_DOCUMENT.store(true, Relaxed);
}

static ONE_DOCUMENT: AtomicBool = AtomicBool::new(false);

fn is_for_document() -> bool {
    ONE_DOCUMENT.load(Relaxed)
}

/// Writes data. A reader that went away (`plan | head`) is no mistake.
pub fn data(text: &str) {
    let text = redactor().hide(text);
    if is_for_document() {
        return write_above(shown(&text).trim_end_matches('\n'));
    }
    // JSON has escapes of its own; no text of ours for people begins so.
    write_data(&if text.starts_with(['{', '[']) { json(&text) } else { shown(&text) });
}

/// Writes the one document for which stdout was kept.
pub fn document(text: &str) {
    write_data(&json(&redactor().hide(text)));
}

fn write_data(text: &str) {
    let mut out = std::io::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{ended}").and_then(|()| out.flush());
    CLOSED.fetch_or(written.is_err(), Relaxed);
    if let Err(why) = written
        && why.kind() != std::io::ErrorKind::BrokenPipe
        && !UNWRITTEN.swap(true, Relaxed)
    {
        talk(&format!("error: cannot write to stdout: {why}"));
    }
}

/// Whether the screen of stdout can be drawn anew.
pub fn can_redraw() -> bool {
    is_able() && std::io::stdout().is_terminal()
}

/// Draws the screen anew: the cursor goes to its first place, and what stood there and below is erased.
pub fn redraw(text: &str) {
    let text = shown(&redactor().hide(text)).replace('\n', "\x1b[K\n");
    let mut out = std::io::stdout().lock();
    // A terminal that has gone ends the command by its signal.
    write!(out, "\x1b[H{text}\x1b[K\n\x1b[J").and_then(|()| out.flush()).ok();
}

/// Whether the reader of stdout went away.
pub fn is_closed() -> bool {
    CLOSED.load(Relaxed)
}

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether some data could not be written, for another reason than a reader that went away.
pub fn is_unwritten() -> bool {
    UNWRITTEN.load(Relaxed)
}

static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// The bars that are on the screen now: whatever is said stands above them.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Flags that say where this command acts: those that messages tell to type get them as well.
static WORLD: RwLock<(bool, Option<String>)> = RwLock::new((false, None));

/// Notes where this command acts from now on, before anything is said; returns where it did.
pub fn act_in(sandbox: bool, directory: Option<String>) -> (bool, Option<String>) {
    let mut world = WORLD.write().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *world, (sandbox, directory))
}

/// Whether this command acts in the sandbox.
pub fn is_in_sandbox() -> bool {
    WORLD.read().unwrap_or_else(PoisonError::into_inner).0
}

/// The text with its commands as they are to be typed here.
pub fn typed_here(text: &str) -> Cow<'_, str> {
    let world = WORLD.read().unwrap_or_else(PoisonError::into_inner);
    in_world(text, world.0, world.1.as_deref())
}

/// Writes talk; above the bars, where there are some.
pub fn talk(text: &str) {
    write_above(&told(&typed_here(text)));
}

/// Who is told what could not be posted to a webhook.
pub fn problems() -> TellProblem {
    Arc::new(talk)
}

/// Writes a line of the log, as talk.
pub fn log(text: &str) {
    write_above(&told(text));
}

fn write_above(text: &str) {
    let write = || {
        let mut out = std::io::stderr().lock();
        writeln!(out, "{text}").ok();
    };
    // Not held while it is written: a bar that is drawn says something, too.
    let bars = BARS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// From now on these bars are on the screen.
pub fn show_bars(bars: &MultiProgress) {
    end_bars();
    echo::hide();
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = Some(bars.clone());
}

/// Takes the bars off the screen, whoever still holds them: a call that was given up draws no more.
pub fn end_bars() {
    let bars = BARS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(bars) = bars {
        bars.clear().ok();
        bars.set_draw_target(ProgressDrawTarget::hidden());
        echo::restore();
    }
}

/// Whether the terminal can do more than print one line after the other (`TERM=dumb` in editors and logs).
fn is_able() -> bool {
    std::env::var_os("TERM").is_none_or(|it| it != "dumb")
}

/// Whether colours are forbidden (no-color.org: by any value that is not empty), or would only show as codes.
fn is_plain() -> bool {
    !is_able() || std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
}

/// A message as it may be read: no secret in it, and nothing that acts on the terminal but colors of ours.
pub fn told(text: &str) -> String {
    shown(&redactor().redact(text))
}

fn shown(text: &str) -> String {
    let text = if COLORED.load(Relaxed) { colored(text) } else { lines(text) };
    text.into_owned()
}

static COLORED: AtomicBool = AtomicBool::new(false);

/// Color, unless it is switched off or nobody would see it.
pub fn wants_color(off: bool) -> bool {
    let is_seen = if is_for_document() {
        std::io::stderr().is_terminal()
    } else {
        std::io::stdout().is_terminal()
    };
    let wanted = !off && !is_plain() && is_seen;
    COLORED.fetch_or(wanted, Relaxed);
    wanted
}

/// Whether messages may be coloured, where colour was not switched off.
pub fn talks_in_color() -> bool {
    !is_plain() && std::io::stderr().is_terminal()
}

/// Whether bars can move on stderr.
pub fn can_move() -> bool {
    is_able() && std::io::stderr().is_terminal()
}

/// The width in columns where no terminal tells its own. A guess: most viewers of CI logs show 100 columns without wrapping.
const WIDTH: usize = 100;
/// The narrowest layout, in columns: below this the columns of a table no longer fit, so lines wrap instead.
const WIDTH_MIN: usize = 40;

/// How wide data may be.
pub fn width() -> usize {
    if is_for_document() {
        return talk_width();
    }
    wide(terminal_size_of(std::io::stdout()).map(|it| it.0))
}

/// How wide data may be whose lines programs look through: only a terminal has a width, 0 is none.
pub fn terminal_width() -> usize {
    terminal_size_of(std::io::stdout()).map_or(0, |it| wide(Some(it.0)))
}

/// How wide messages may be.
pub fn talk_width() -> usize {
    wide(terminal_size_of(std::io::stderr()).map(|it| it.0))
}

fn wide(terminal: Option<Width>) -> usize {
    terminal.map_or(WIDTH, |it| usize::from(it.0).max(WIDTH_MIN))
}

/// Whether someone can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line.
pub fn ask(question: &str) -> Option<String> {
    let question = told(&typed_here(question));
    let mut out = std::io::stderr().lock();
    write!(out, "{question} ").and_then(|()| out.flush()).ok()?;
    drop(out);
    let (answer, answered) = std::sync::mpsc::channel();
    // A signal ends the question, and a thread that reads cannot be stopped: it ends with the process.
    std::thread::spawn(move || {
        let mut line = String::new();
        answer.send(std::io::stdin().read_line(&mut line).ok().map(|_| line)).ok();
    });
    while !INTERRUPTED.load(Relaxed) {
        match answered.recv_timeout(ASKED) {
            Ok(line) => return Some(line?.trim().to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

/// How soon a question ends after a signal. A guess: nobody notices a tenth of a second.
const ASKED: Duration = Duration::from_millis(100);

/// A signal has arrived: who is asked need not answer any more.
pub fn interrupt() {
    INTERRUPTED.store(true, Relaxed);
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether data and messages go to one place, where a reader sees both: a terminal, one log of a CI job.
pub fn is_one_screen() -> bool {
    let place = |it: Stat| (it.st_dev, it.st_ino);
    let places = (fstat(std::io::stdout()).map(place), fstat(std::io::stderr()).map(place));
    is_for_document() || matches!(places, (Ok(out), Ok(err)) if out == err)
}
