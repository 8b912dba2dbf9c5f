//! The jobs of a machine: one after the other, and the status they give it is a pure function of the time.

use serde::{Deserialize, Serialize};

use crate::http::Millis;

/// How long jobs take, in world milliseconds. Deploying and booting an image took 47 to 62 s in linodego's recordings; with
/// the boot below this is in the middle.
pub const DEPLOY: Millis = 28_000;
/// Creating a machine without an image: 3 to 5 s were recorded.
pub const PREPARE: Millis = 4_000;
/// A boot: 24 s were recorded.
pub const BOOT: Millis = 24_000;
/// A shutdown: 28 s were recorded.
pub const SHUTDOWN: Millis = 28_000;
/// A resize. A guess: none was recorded; Terraform's provider allows an hour.
pub const RESIZE: Millis = 120_000;
/// A rebuild, without the boot after it. A guess: about as long as deploying an image.
pub const REBUILD: Millis = 30_000;
/// How long a boot job goes on after the status is `running`; until then the Linode is busy. 3 to 7 s were recorded.
pub const TAIL: Millis = 5_000;

/// One job: what the machine shows while it runs and what it is afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinodeJob {
    pub starts: Millis,
    pub ends: Millis,
    pub during: String,
    pub then: String,
    /// Another job is refused until then.
    pub busy_until: Millis,
}

/// What the machine was before its latest jobs, and those jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    settled: String,
    jobs: Vec<LinodeJob>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { settled: "offline".into(), jobs: Vec::new() }
    }
}

impl Timeline {
    pub fn status(&self, now: Millis) -> &str {
        let mut status = self.settled.as_str();
        for job in self.jobs.iter().filter(|job| job.starts <= now) {
            status = if now < job.ends { &job.during } else { &job.then };
        }
        status
    }

    /// Since when it runs; `None` when it does not. What ran from the first is not known to have been booted.
    pub fn running_since(&self, now: Millis) -> Option<Millis> {
        if self.status(now) != "running" {
            return None;
        }
        let ended = self.jobs.iter().filter(|job| job.ends <= now).map(|job| job.ends).max();
        Some(ended.unwrap_or(0))
    }

    pub fn is_busy(&self, now: Millis) -> bool {
        self.jobs.iter().any(|job| now < job.busy_until)
    }

    /// When the last job will be over.
    pub fn over_at(&self) -> Option<Millis> {
        self.jobs.iter().map(|job| job.busy_until).max()
    }

    /// Appends a job behind those that still run and says when it starts and ends.
    pub fn add(
        &mut self,
        now: Millis,
        takes: Millis,
        during: &str,
        then: &str,
    ) -> (Millis, Millis) {
        if !self.is_busy(now) {
            self.settled = self.status(now).to_owned();
            self.jobs.clear();
        }
        let starts = self.jobs.last().map_or(now, |last| last.ends.max(now));
        let ends = starts + takes;
        let busy_until = if then == "running" { ends + TAIL } else { ends };
        self.jobs.push(LinodeJob {
            starts,
            ends,
            during: during.into(),
            then: then.into(),
            busy_until,
        });
        (starts, ends)
    }
}

#[cfg(test)]
mod tests {
    use super::{BOOT, DEPLOY, TAIL, Timeline};

    #[test]
    fn status_follows_from_the_time_alone() {
        let mut timeline = Timeline::default();
        timeline.add(0, DEPLOY, "provisioning", "offline");
        timeline.add(0, BOOT, "booting", "running");
        let running = DEPLOY + BOOT;
        let seen: Vec<&str> = [0, DEPLOY - 1, DEPLOY, running - 1, running, running * 9]
            .iter()
            .map(|now| timeline.status(*now))
            .collect();
        assert_eq!(
            seen,
            ["provisioning", "provisioning", "booting", "booting", "running", "running"]
        );
        assert!(timeline.is_busy(running + TAIL - 1), "busy for some seconds after running shows");
        assert!(!timeline.is_busy(running + TAIL));
    }
}
