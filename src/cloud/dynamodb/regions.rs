//! The regions of one run: which it has had business in, which are lost, and how each is reached.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::cloud::error::ProviderError;
use crate::engine::retry::ErrorClass;

/// What kinds call the cloud: its fault domains are this and a region.
pub(crate) const AWS: &str = "aws";

/// What a run knows of regions.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// Those that questions or changes named, for finding a living member of a group.
    used: Mutex<BTreeSet<String>>,
    /// Those that are declared lost: no connection is ever made to them.
    lost: Mutex<BTreeSet<String>>,
}

impl Regions {
    /// From now on those of these fault domains that are ours, and only these, are left alone.
    pub(crate) fn lose(&self, fault_domains: &[String]) {
        let ours = |it: &String| {
            let (cloud, region) = it.split_once(':')?;
            (cloud == AWS).then(|| region.to_owned())
        };
        if let Ok(mut lost) = self.lost.lock() {
            *lost = fault_domains.iter().filter_map(ours).collect();
        }
    }

    pub(crate) fn is_lost(&self, region: &str) -> bool {
        self.lost.lock().is_ok_and(|it| it.contains(region))
    }

    pub(crate) fn use_also(&self, region: &str) {
        if let Ok(mut used) = self.used.lock() {
            used.insert(region.to_owned());
        }
    }

    /// Those that this run has had business in.
    pub(crate) fn used(&self) -> Vec<String> {
        self.used.lock().map(|used| used.iter().cloned().collect()).unwrap_or_default()
    }
}

/// What is lost together with a region.
pub(crate) fn fault_domain(region: &str) -> String {
    format!("{AWS}:{region}")
}

/// Said instead of a connection.
pub(crate) fn declared_lost(region: &str, endpoint: &str) -> ProviderError {
    let words =
        format!("{} is declared lost, so lifeboat does not connect to it", fault_domain(region));
    ProviderError::new(ErrorClass::Unreachable, endpoint, words)
}
