//! SIGINT, SIGTERM and SIGHUP stop a run in good order.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::out::talk;
use crate::ops::error::OpsError;

/// What has arrived so far.
pub struct Signals {
    /// The name of the first signal, for who has to stop.
    pub stop: watch::Receiver<Option<String>>,
    number: watch::Receiver<Option<u8>>,
    again: watch::Receiver<bool>,
}

impl Signals {
    pub fn number(&self) -> Option<u8> {
        *self.number.borrow()
    }

    /// Returns at the second signal, for what goes on after the first.
    pub async fn second(&self) {
        let mut again = self.again.clone();
        if again.wait_for(|it| *it).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// For a run that makes calls.
pub fn listen() -> Result<Signals, OpsError> {
    listen_saying("received: finishing in-flight calls, starting no new steps")
}

/// For what only reads: nothing is in flight.
pub fn listen_reading() -> Result<Signals, OpsError> {
    listen_saying("received: stopped")
}

fn listen_saying(what: &'static str) -> Result<Signals, OpsError> {
    let (stop, stopped) = watch::channel(None);
    let (number, numbered) = watch::channel(None);
    let (second, again) = watch::channel(false);
    for (kind, name, code) in [
        (SignalKind::interrupt(), "SIGINT", 2),
        (SignalKind::terminate(), "SIGTERM", 15),
        (SignalKind::hangup(), "SIGHUP", 1),
    ] {
        let wrong = |source| OpsError::File { file: PathBuf::from(name), source };
        let mut arrived = signal(kind).map_err(wrong)?;
        let (stop, number, second) = (stop.clone(), number.clone(), second.clone());
        tokio::spawn(async move {
            while arrived.recv().await.is_some() {
                if number.borrow().is_some() {
                    second.send_replace(true);
                    continue;
                }
                talk(&format!("{name} {what}"));
                number.send_replace(Some(code));
                stop.send_replace(Some(name.to_owned()));
            }
        });
    }
    Ok(Signals { stop: stopped, number: numbered, again })
}
