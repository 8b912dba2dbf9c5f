//! Keeps the terminal from echoing `^C` while bars are drawn.
//!
//! It would stand at the end of the last one and wrap, and whatever is drawn next would leave a dead line behind.

use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// How the terminal was before.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// From now on control characters are not shown.
pub(super) fn hide() {
    let Ok(before) = tcgetattr(std::io::stderr()) else { return };
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ECHOCTL);
    if tcsetattr(std::io::stderr(), OptionalActions::Now, &now).is_ok() {
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    }
}

/// As it was.
pub(super) fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        tcsetattr(std::io::stderr(), OptionalActions::Now, &before).ok();
    }
}
