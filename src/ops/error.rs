//! Why an operation did not do what was asked.

use std::path::PathBuf;

use crate::cloud::error::ProviderError;
use crate::engine::text::diagnostic::{Diagnostic, Sources};
use crate::store::error::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The user's text is wrong; every mistake at once.
    #[error("the stack has errors")]
    Mistakes { diagnostics: Vec<Diagnostic>, sources: Sources },
    /// A guard said no: exit 3, nothing was called.
    #[error("{what}")]
    Refused { what: String, help: String },
    #[error("{what}")]
    Input { what: String, help: String },
    /// The command was not given what it needs: exit 64.
    #[error("{what}")]
    Usage { what: String, help: String },
    /// It was asked what to do, and this is it; which of it is for a person to say: exit 64.
    #[error("{what}")]
    Unsaid { what: String, help: String },
    #[error("cannot read {}: {source}", file.display())]
    File { file: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the sandbox: {0}")]
    Sandbox(String),
}

impl OpsError {
    /// What to do, where the error itself knows.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Input { help, .. }
            | Self::Usage { help, .. }
            | Self::Unsaid { help, .. }
            | Self::Refused { help, .. } => Some(help.clone()),
            Self::Store(why) => Some(why.advice()),
            Self::Mistakes { .. } | Self::File { .. } | Self::Provider(_) | Self::Sandbox(_) => {
                None
            }
        }
    }

    pub fn input(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Input { what: what.into(), help: help.into() }
    }

    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), help: help.into() }
    }

    pub fn refused(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), help: help.into() }
    }
}
