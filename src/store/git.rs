//! What git is asked about a repository: read, never changed, and never waited for at a prompt.

use std::path::Path;
use std::process::{Command, Stdio};

/// What git prints there; the error is what it complains of.
pub fn git(root: &Path, words: &[&str]) -> Result<Vec<u8>, String> {
    let told = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(words)
        // In a hook these name the repository of whoever runs it.
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE")
        // A partial clone would go and fetch, and may ask for a password.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("git cannot be run: {why}"))?;
    if told.status.success() {
        return Ok(told.stdout);
    }
    let why = String::from_utf8_lossy(&told.stderr);
    Err(format!("git {}: {}", words[0], why.trim().lines().next().unwrap_or("it failed")))
}
