//! The clock that leases are measured with: it counts while the machine is suspended, nobody sets it, and no two machines' are compared.

use std::fmt::Debug;
use std::time::Duration;

use crate::cloud::clock::steady;

/// A clock of one machine.
pub trait LeaseClock: Debug + Send + Sync {
    /// Since some moment that stays the same as long as the process lives.
    fn now(&self) -> Duration;

    /// Blocks the thread.
    fn sleep(&self, duration: Duration);
}

/// That of the machine this runs on.
#[derive(Debug, Clone, Copy)]
pub struct BootClock;

impl LeaseClock for BootClock {
    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(steady()).unwrap_or_default())
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
