//! Calls the command line on a thread with room for deep expressions, and returns its exit code.

use std::process::ExitCode;

/// A plan is a graph of many small parts: the system's allocator spends a third of the time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The stack of the thread that does the work. Expressions of the longest allowed length need up to 4 MiB in a debug build
/// (measured); eight times that, of which the system only provides what is used.
const STACK_BYTES: usize = 32 * 1024 * 1024;

fn main() -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(lifeboat::cli::main);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => ExitCode::from(code),
        // The panic has told its own words; the journal is whole, since every entry is synced before it counts.
        Ok(Err(_)) | Err(_) => ExitCode::from(lifeboat::cli::exit::BUG),
    }
}
