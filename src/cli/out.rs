//! stdout is data, stderr is talk; a closed stdout ends the command without a word.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Writes data. A reader that went away (`plan | head`) is no mistake.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{ended}").and_then(|()| out.flush());
    if let Err(why) = written
        && why.kind() != std::io::ErrorKind::BrokenPipe
        && !UNWRITTEN.swap(true, Relaxed)
    {
        talk(&format!("error: cannot write to stdout: {why}"));
    }
}

/// Whether some data could not be written, for another reason than a reader that went away.
pub fn is_unwritten() -> bool {
    UNWRITTEN.load(Relaxed)
}

static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// Writes talk.
pub fn talk(text: &str) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{text}").ok();
}

/// Colour, unless it is switched off or nobody would see it.
pub fn wants_color(off: bool) -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    !off && !forbidden && std::io::stdout().is_terminal()
}

/// Whether someone can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line.
pub fn ask(question: &str) -> Option<String> {
    let mut out = std::io::stderr().lock();
    write!(out, "{question} ").and_then(|()| out.flush()).ok()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}
