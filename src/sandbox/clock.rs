//! World time: an anchor plus a speed times the time on the wall, the same for every process that shares the world.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::http::Millis;

/// How much faster than the wall a world runs unless it is told otherwise: a failover of some minutes takes seconds, and one
/// second of this machine's delays looks like less than two minutes.
pub const DEFAULT_SPEED: f64 = 100.0;

/// Where a manual world begins (2026-01-01T00:00:00Z), so that tests see the same times every day.
pub const MANUAL_BIRTH: Millis = 1_767_225_600_000;

/// One row of the world; `now` is a pure function of it and of the wall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldClock {
    anchor_world: Millis,
    anchor_wall: Millis,
    speed: f64,
    manual: bool,
}

impl WorldClock {
    /// A clock that starts at the wall's time and runs `speed` times as fast.
    pub fn running(wall: Millis, speed: f64) -> Self {
        Self { anchor_world: wall, anchor_wall: wall, speed, manual: false }
    }

    /// A clock that only [`Self::advance`] moves.
    pub fn manual() -> Self {
        Self { anchor_world: MANUAL_BIRTH, anchor_wall: 0, speed: DEFAULT_SPEED, manual: true }
    }

    pub fn now(&self, wall: Millis) -> Millis {
        if self.manual {
            return self.anchor_world;
        }
        self.anchor_world + scaled((wall - self.anchor_wall).max(0), self.speed)
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    pub fn is_manual(&self) -> bool {
        self.manual
    }

    /// Jumps ahead; a running clock goes on running from there.
    pub fn advance(&mut self, by: Duration) {
        self.anchor_world += Millis::try_from(by.as_millis()).unwrap_or(Millis::MAX / 4);
    }

    /// Runs on at another speed without a jump.
    pub fn set_speed(&mut self, wall: Millis, speed: f64) {
        *self = Self { anchor_world: self.now(wall), anchor_wall: wall, speed, manual: false };
    }

    /// Stands still from now on.
    pub fn stop(&mut self, wall: Millis) {
        self.anchor_world = self.now(wall);
        self.manual = true;
    }
}

/// Milliseconds since the epoch on the wall.
pub fn wall() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "world time stays far below 2^53 ms; the fraction of a millisecond is not wanted"
)]
fn scaled(wall: Millis, speed: f64) -> Millis {
    (wall as f64 * speed) as Millis
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MANUAL_BIRTH, WorldClock};

    #[test]
    fn now_runs_at_its_speed_and_jumps_when_advanced() {
        let mut clock = WorldClock::running(1_000, 100.0);
        assert_eq!(clock.now(1_000), 1_000);
        assert_eq!(clock.now(1_010), 2_000);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(1_010), 7_000);
        clock.set_speed(1_010, 1.0);
        assert_eq!(clock.now(1_020), 7_010, "a change of speed is no jump");
        clock.stop(1_020);
        assert_eq!(clock.now(9_999), 7_010);
    }

    #[test]
    fn advance_alone_moves_a_manual_clock() {
        let mut clock = WorldClock::manual();
        assert_eq!(clock.now(5), MANUAL_BIRTH);
        clock.advance(Duration::from_mins(1));
        assert_eq!(clock.now(500), MANUAL_BIRTH + 60_000);
    }
}
