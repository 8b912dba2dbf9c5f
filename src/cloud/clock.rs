//! The clock that waits, deadlines and polls run on: the wall, or the sandbox's world.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

/// A clock whose durations are those of the world that is acted on.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64;
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Between two looks at something that goes on, no less: a world that runs faster is not asked more often.
    fn grain(&self) -> Duration {
        Duration::ZERO
    }
}

/// The shortest pause between two reads of one wait on the wall, for a world that runs fast: at 100 times the speed, a poll
/// every 5 s would be one every 50 ms, and each wait would keep a core busy.
const GRAIN: Duration = Duration::from_millis(25);

/// Real time, as it was when this process first asked, and from then on by a clock that nobody sets: a wait must not end
/// because the machine's clock was put forward, nor last an hour more because it was put back.
#[derive(Debug, Clone, Copy)]
pub struct WallClock;

/// What the machine's clock and the steady one said at the same moment.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: i64,
    steady: i64,
}

impl Anchor {
    fn now(self, steady: i64) -> i64 {
        self.wall + (steady - self.steady)
    }
}

/// Milliseconds of a clock that only goes forward, also while the machine is suspended where that can be had: Linux has a clock of
/// its own for it, and on macOS the monotonic one goes on.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn steady() -> i64 {
    #[cfg(target_os = "linux")]
    const COUNTS_SUSPENSION: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(target_os = "macos")]
    const COUNTS_SUSPENSION: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(COUNTS_SUSPENSION);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn steady() -> i64 {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Clock for WallClock {
    fn now(&self) -> i64 {
        static ANCHOR: LazyLock<Anchor> = LazyLock::new(|| Anchor {
            wall: jiff::Timestamp::now().as_millisecond(),
            steady: steady(),
        });
        // The anchor first: it is never later than the moment that is asked for.
        let anchor = *ANCHOR;
        anchor.now(steady())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Time that runs `speed` times as fast as the wall, from an anchor.
#[derive(Debug, Clone, Copy)]
pub struct Scaled {
    /// World time, in milliseconds since the Unix epoch, at the wall's `since`.
    pub anchor: i64,
    /// Likewise, on the wall.
    pub since: i64,
    /// Seconds of the world for each second on the wall.
    pub speed: f64,
}

impl Clock for Scaled {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "milliseconds of centuries fit"
    )]
    fn now(&self) -> i64 {
        self.anchor + ((WallClock.now() - self.since) as f64 * self.speed) as i64
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration.div_f64(self.speed)))
    }

    fn grain(&self) -> Duration {
        GRAIN.mul_f64(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Clock as _, WallClock, steady};

    #[test]
    fn now_goes_on_from_an_anchor_whatever_the_clock_is_set_to() {
        let anchor = Anchor { wall: 1_000_000, steady: 70 };
        assert_eq!(anchor.now(70), 1_000_000);
        assert_eq!(anchor.now(3_600_070), 4_600_000);
        let (before, began) = (WallClock.now(), steady());
        while steady() < began + 3 {}
        let (after, ended) = (WallClock.now(), steady());
        assert!((after - before - (ended - began)).abs() <= 2, "{before} {after} {began} {ended}");
    }
}
