//! stdout is data, stderr is talk; a closed stdout ends the command without a word.

use std::io::{IsTerminal as _, Write as _};

/// Writes data. A reader that went away (`plan | head`) is no mistake.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{ended}").and_then(|()| out.flush()).ok();
}

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
