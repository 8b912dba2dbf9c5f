//! The clock that waits, deadlines and polls run on: the wall, or the sandbox's world.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
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

/// On the wall, between two looks of one wait at a world that runs fast.
const GRAIN: Duration = Duration::from_millis(25);

/// Real time.
#[derive(Debug, Clone, Copy)]
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Time that runs `speed` times as fast as the wall, from an anchor.
#[derive(Debug, Clone, Copy)]
pub struct Scaled {
    /// World time, in milliseconds, at the wall's `since`.
    pub anchor: i64,
    pub since: i64,
    pub speed: f64,
}

impl Clock for Scaled {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "milliseconds of centuries fit"
    )]
    fn now(&self) -> i64 {
        self.anchor + ((Wall.now() - self.since) as f64 * self.speed) as i64
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration.div_f64(self.speed)))
    }

    fn grain(&self) -> Duration {
        GRAIN.mul_f64(self.speed)
    }
}
