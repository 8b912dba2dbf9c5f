//! What can go wrong with a store, and the way out of it.

use std::path::PathBuf;

use crate::engine::state::codec::CodecError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {verb} {}", file.display())]
    Io { verb: &'static str, file: PathBuf, source: std::io::Error },
    #[error("the state in {} is being changed by {by}", folder.display())]
    Held { folder: PathBuf, by: String },
    #[error("{} cannot be read: {source}", file.display())]
    Broken { file: PathBuf, source: CodecError },
    #[error("the state in {} contradicts itself: {}", folder.display(), wrong.join("; "))]
    Integrity { folder: PathBuf, wrong: Vec<String> },
    #[error("{} cannot be read: {why}", file.display())]
    Memory { file: PathBuf, why: String },
}

impl StoreError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { .. } => "check that the folder exists, is writable and has room".into(),
            Self::Held { .. } => "wait until it is done; the lock goes with its process".into(),
            Self::Broken { source: CodecError::Newer(_), .. } => {
                "use the lifeboat that wrote it, or a newer one; nothing was changed".into()
            }
            Self::Broken { file, .. } => {
                let folder = file.parent().map(|it| it.join("history").display().to_string());
                format!(
                    "nothing was changed; the file before it is in {}, or restore the folder from version control",
                    folder.unwrap_or_default()
                )
            }
            Self::Memory { .. } => {
                "nothing was changed; move it away to start anew: the history and the time of the last switch are then forgotten".into()
            }
            Self::Integrity { .. } => {
                "nothing was changed; restore an older snapshot from the folder's history/".into()
            }
        }
    }
}
