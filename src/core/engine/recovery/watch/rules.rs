//! When a URL counts as down or up, and how often it may be switched.

/// When a URL counts as down or up, and how often it may be switched. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRules {
    /// Down: so many failed …
    pub failed: usize,
    /// … of so many last rounds.
    pub of: usize,
    /// Up again: so many good rounds in a row.
    pub good: u32,
    /// From one switch to the next at least.
    pub cooldown: i64,
    /// Older rounds are no evidence: the watcher did not run in between.
    pub stale: i64,
    /// A certificate that ends earlier is worth a warning.
    pub certificate_days: i64,
}
