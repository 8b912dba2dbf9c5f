//! Why the copies of a state are not believed, or not written to.

use crate::engine::state::stores_record::{NamedStores, StoreRole, StoresRecord};

/// Why copies are not believed, or not written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopiesError {
    #[error(
        "the state went on in both of its stores, each without the other: {primary} and {mirror}"
    )]
    Diverged { primary: String, mirror: String },
    #[error(
        "the stack file names other stores than the state records (generation {generation}): it names {declared}, and the state is in {recorded}"
    )]
    Renamed { declared: Box<NamedStores>, recorded: Box<NamedStores>, generation: u64 },
    /// Only the copy that went on no more can be read.
    #[error("the state went on in {role}, which cannot be read: {why}")]
    Superseded { role: StoreRole, why: String },
    #[error("no store of the state can be read: {primary}; {mirror}")]
    NoneReadable {
        primary: String,
        mirror: String,
        /// One that answers, but is damaged.
        damaged: Option<StoreRole>,
    },
    #[error("{silent} cannot be reached, and nothing is written to {} alone: {why}", silent.other())]
    NotAlone { silent: StoreRole, why: String, is_witness_silent: bool },
    #[error("neither copy of the state is intact: {primary}; {mirror}")]
    BothDamaged { primary: String, mirror: String },
    #[error("the copy in {role} is damaged: {why}")]
    CopyDamaged { role: StoreRole, why: String },
    /// Somebody has said that the state goes on in it.
    #[error("the state goes on in {role} from now on, and the copy there is damaged: {why}")]
    KeptDamaged { role: StoreRole, why: String },
    #[error("{role} cannot be reached, so it cannot be caught up: {why}")]
    StillSilent { role: StoreRole, why: String },
    /// What it records of all stores cannot be read, and nobody else says that the state did not go on in it alone.
    #[error("it cannot be told whether the state went on in {role} alone: {why}")]
    Unknowable { role: StoreRole, why: String },
    /// What was declared lost is not asked, so nobody knows what it has.
    #[error("{role} is not asked, since its fault domain {domain} is declared lost")]
    KeptLost { role: StoreRole, domain: String },
    #[error("there is nothing to resolve: the copies of the state do not contradict each other")]
    NothingToResolve,
    #[error("there is nothing to suspend: the state went on in the mirror store")]
    NothingToSuspend,
}

impl CopiesError {
    /// Whether a store that answers would change it.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Superseded { .. }
                | Self::NoneReadable { .. }
                | Self::NotAlone { .. }
                | Self::StillSilent { .. }
        )
    }
}

/// Law 5: whether the stores that somebody names are those that the state records.
pub fn check_named(
    declared: &NamedStores,
    record: Option<&StoresRecord>,
) -> Result<(), CopiesError> {
    match record.filter(|it| it.named != *declared) {
        None => Ok(()),
        Some(record) => Err(CopiesError::Renamed {
            declared: Box::new(declared.clone()),
            recorded: Box::new(record.named.clone()),
            generation: record.generation,
        }),
    }
}
