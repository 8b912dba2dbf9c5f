//! SIGINT, SIGTERM and SIGHUP stop a run in good order.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::out::{interrupt, talk};
use crate::ops::error::OpsError;

/// What has arrived so far.
#[derive(Debug, Clone)]
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

    /// Returns at a signal that arrives before a run has begun to stop in good order by itself.
    pub async fn before_steps(&self) -> u8 {
        let mut number = self.number.clone();
        let arrived = number.wait_for(Option::is_some).await.ok().and_then(|it| *it);
        match arrived {
            Some(number) if !ARE_HANDLED.load(Relaxed) && is_first_end() => number,
            _ => std::future::pending().await,
        }
    }

    /// Returns at the second signal, for what goes on after the first.
    pub async fn second(&self) {
        let mut again = self.again.clone();
        if again.wait_for(|it| *it).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// For a run that makes calls: from now on whoever called stops in good order.
pub fn listen() -> Result<Signals, OpsError> {
    ARE_HANDLED.store(true, Relaxed);
    match HEARD.get() {
        Some(heard) => Ok(heard.clone()),
        None => listen_saying(|| IN_FLIGHT, |_| {}, |_| {}),
    }
}

/// For what only reads: nothing is in flight.
pub fn listen_reading() -> Result<Signals, OpsError> {
    listen_saying(|| "received: stopped", |_| {}, |_| {})
}

/// For a command that may come to run steps, from its first moment on: until it does, the first signal ends it with nothing
/// changed. What cannot be given up in good order, since a wait for a store blocks its thread, is left by `leave`: after
/// `waits_for_what_blocks`, or at the second signal. `holds`: whether a lease would be left behind.
pub fn begin(
    leave: impl Fn(u8) + Send + Sync + 'static,
    holds: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<Signals, OpsError> {
    let what = || {
        if ARE_HANDLED.load(Relaxed) { IN_FLIGHT } else { "received: stopped before any step" }
    };
    let leave = Arc::new(move |code| {
        if !ARE_HANDLED.load(Relaxed) && is_first_end() {
            leave(code);
        }
    });
    let late = Arc::clone(&leave);
    let holds = Arc::new(holds);
    let first = move |code| {
        let (late, holds) = (Arc::clone(&late), Arc::clone(&holds));
        tokio::spawn(async move {
            waits_for_what_blocks(|| holds(), tokio::time::sleep).await;
            late(code);
        });
    };
    let heard = listen_saying(what, first, move |code| leave(code))?;
    HEARD.set(heard.clone()).ok();
    Ok(heard)
}

/// How long a command that holds nothing may take to end. A guess: people who typed Ctrl-C do not wait for longer.
const GRACE: Duration = Duration::from_secs(1);

/// How long one may take that holds a lease, which others would have to wait out for 30 s: its request to a store ends by itself,
/// and then the lease is given back. Less than the 7.5 s after which GitHub Actions follows up with SIGTERM, as in
/// `ops::apply::executor`; whoever does not want to wait sends the signal again.
const GRACE_HOLDING: Duration = Duration::from_secs(6);

/// How often it is looked whether the lease is given back.
const POLL: Duration = Duration::from_millis(50);

/// Waits until what blocks its thread has had its time.
async fn waits_for_what_blocks<S: Future<Output = ()>>(
    holds: impl Fn() -> bool,
    sleep: impl Fn(Duration) -> S,
) {
    sleep(GRACE).await;
    let mut waited = GRACE;
    while holds() && waited < GRACE_HOLDING {
        sleep(POLL).await;
        waited += POLL;
    }
}

/// Whether nobody has ended this process so far: who is told so does, and nobody else.
pub fn is_first_end() -> bool {
    !IS_ENDING.swap(true, Relaxed)
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

const IN_FLIGHT: &str = "received: finishing in-flight calls, starting no new steps";

/// The signals of this process, where they are listened for from its begin.
static HEARD: OnceLock<Signals> = OnceLock::new();

/// A run has begun, which stops in good order by itself.
static ARE_HANDLED: AtomicBool = AtomicBool::new(false);

/// `first` and `again` are told of the first signal and of each later one.
fn listen_saying(
    what: impl Fn() -> &'static str + Send + Sync + 'static,
    first: impl Fn(u8) + Send + Sync + 'static,
    again: impl Fn(u8) + Send + Sync + 'static,
) -> Result<Signals, OpsError> {
    let (stop, stopped) = watch::channel(None);
    let (number, numbered) = watch::channel(None);
    let (second, seconded) = watch::channel(false);
    let told = Arc::new((what, first, again));
    for (kind, name, code) in [
        (SignalKind::interrupt(), "SIGINT", 2),
        (SignalKind::terminate(), "SIGTERM", 15),
        (SignalKind::hangup(), "SIGHUP", 1),
    ] {
        let wrong = |source| OpsError::File { file: PathBuf::from(name), source };
        let mut arrived = signal(kind).map_err(wrong)?;
        let (stop, number, second) = (stop.clone(), number.clone(), second.clone());
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            while arrived.recv().await.is_some() {
                if number.borrow().is_some() {
                    second.send_replace(true);
                    told.2(code);
                    continue;
                }
                talk(&format!("{name} {}", told.0()));
                interrupt();
                number.send_replace(Some(code));
                stop.send_replace(Some(name.to_owned()));
                told.1(code);
            }
        });
    }
    Ok(Signals { stop: stopped, number: numbered, again: seconded })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::{GRACE, GRACE_HOLDING, waits_for_what_blocks};

    /// Nobody else gets to a lease that is left behind before it has run out.
    #[tokio::test]
    async fn begin_leaves_a_command_that_holds_a_lease_later_and_not_for_ever() {
        for (held_for, left_after) in [
            (Duration::ZERO, GRACE),
            (Duration::from_secs(3), Duration::from_secs(3)),
            (Duration::MAX, GRACE_HOLDING),
        ] {
            let waited = Cell::new(Duration::ZERO);
            let sleep = |it| {
                waited.set(waited.get() + it);
                std::future::ready(())
            };
            waits_for_what_blocks(|| waited.get() < held_for, sleep).await;
            assert_eq!(waited.get(), left_after, "{held_for:?}");
        }
    }
}
