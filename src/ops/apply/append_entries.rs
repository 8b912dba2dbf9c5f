//! Makes the entries of a run durable; in builds for tests it can be killed right after any one of them.

use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::error::StoreError;
use crate::store::lease::Lease;

/// Appends them, all at once.
#[cfg(not(debug_assertions))]
pub fn append(lease: &mut Lease, entries: &[JournalEntry]) -> Result<(), StoreError> {
    lease.append(entries).map(|_| ())
}

/// Appends the last entries of a run, and saves the state that they lead to.
#[cfg(not(debug_assertions))]
pub fn append_and_save(
    lease: &mut Lease,
    entries: &[JournalEntry],
    state: &State,
) -> Result<(), StoreError> {
    lease.append_and_save(entries, state)
}

/// The same, with the entries one by one where a test has asked for the process to be killed after so many of them.
#[cfg(debug_assertions)]
pub fn append_and_save(
    lease: &mut Lease,
    entries: &[JournalEntry],
    state: &State,
) -> Result<(), StoreError> {
    if killed_after::last().is_none() {
        return lease.append_and_save(entries, state);
    }
    append(lease, entries)?;
    lease.save(state)
}

/// Appends them: all at once, or one by one where a test has asked for the process to be killed after so many of them. No release
/// has this.
#[cfg(debug_assertions)]
pub fn append(lease: &mut Lease, entries: &[JournalEntry]) -> Result<(), StoreError> {
    let Some(last) = killed_after::last() else { return lease.append(entries).map(|_| ()) };
    for entry in entries {
        lease.append(std::slice::from_ref(entry))?;
        killed_after::count(last);
    }
    Ok(())
}

/// The end that a test has asked for.
#[cfg(debug_assertions)]
mod killed_after {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;

    use rustix::process::{Signal, getpid, kill_process};

    /// After how many entries; `None`: never.
    pub(super) fn last() -> Option<usize> {
        std::env::var("LIFEBOAT_TEST_DIES_AFTER_ENTRY").ok()?.parse().ok()
    }

    /// One more entry is durable.
    pub(super) fn count(last: usize) {
        static DURABLE: AtomicUsize = AtomicUsize::new(0);
        if DURABLE.fetch_add(1, SeqCst) + 1 == last {
            kill_process(getpid(), Signal::KILL).ok();
            // The signal is on its way; nothing else may happen before it is here.
            loop {
                std::thread::park();
            }
        }
    }
}
