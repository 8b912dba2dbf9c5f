//! Looks at a URL from outside beside a failover: when it first answered well after users had moved.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ops::load::session::Session;
use crate::ops::watch::target::Targets;

/// Between two looks, on the clock of the world. A guess: the report is told in seconds, and a site that is about to serve is not to be
/// kept busy by its observer.
const PAUSE: Duration = Duration::from_secs(5);
/// How long after the end of the run a good answer is waited for, on the clock of the world. A guess: who typed the failover waits for
/// this, and what takes longer is for `watch` to see.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LastLook {
    /// Users have not moved.
    Nothing,
    Good(i64),
    /// And why.
    Bad(String),
}

/// An observer of one run; it ends with this value.
#[derive(Debug)]
pub struct OutsideProbe {
    moved: watch::Sender<bool>,
    seen: watch::Receiver<LastLook>,
    _task: JoinSet<()>,
}

impl OutsideProbe {
    /// Waits until users have moved, then looks until the answer is good.
    pub fn begin(session: &Arc<Session>, targets: Targets) -> Self {
        let (moved, mut has_moved) = watch::channel(false);
        let (tell, seen) = watch::channel(LastLook::Nothing);
        let session = Arc::clone(session);
        let mut task = JoinSet::new();
        task.spawn(async move {
            if has_moved.wait_for(|it| *it).await.is_err() {
                return;
            }
            loop {
                let at = session.clock.now();
                match targets.look(&session.prober, at).await.target {
                    Ok(()) => {
                        tell.send_replace(LastLook::Good(at));
                        return;
                    }
                    Err(why) => tell.send_replace(LastLook::Bad(why)),
                };
                session.clock.sleep(PAUSE).await;
            }
        });
        Self { moved, seen, _task: task }
    }

    /// Who is told that users have moved.
    pub fn signal(&self) -> impl Fn() + Send + Sync + 'static {
        let moved = self.moved.clone();
        move || {
            moved.send_replace(true);
        }
    }

    /// Users have moved, and no answer was good so far.
    pub fn is_waiting(&self) -> bool {
        *self.moved.borrow() && !matches!(*self.seen.borrow(), LastLook::Good(_))
    }

    /// After the run: the first good answer, in milliseconds since the Unix epoch, or what was seen last; `None` where users have not
    /// moved. Waits for at most a minute, and not after a word to stop.
    pub async fn end(
        mut self,
        session: &Session,
        mut stop: watch::Receiver<Option<String>>,
    ) -> Option<Result<i64, String>> {
        if !*self.moved.borrow() {
            return None;
        }
        tokio::select! {
            biased;
            _ = self.seen.wait_for(|it| matches!(it, LastLook::Good(_))) => {}
            _ = stop.wait_for(Option::is_some) => {}
            () = session.clock.sleep(PATIENCE) => {}
        }
        Some(match &*self.seen.borrow() {
            LastLook::Good(at) => Ok(*at),
            LastLook::Bad(why) => Err(why.clone()),
            LastLook::Nothing => Err("no answer yet".into()),
        })
    }
}
