//! Files that are saved beside an encrypted state, plans and bundles: encrypted with the same key, under a name of their own.

use std::path::Path;

use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::{StateSite, site};
use crate::store::error::StoreError;
use crate::store::seal_error::SealError;
use crate::store::sealed::declared::StateEncryption;
use crate::store::sealed::seal::{OpenError, header, is_sealed, open, seal};
use crate::store::sealed::secret_key::{KeyRing, of_environment};

/// What is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedSort {
    Plan,
    Bundle,
    /// A state, as `state push` takes it.
    Document,
}

impl SavedSort {
    /// What the name begins with under which it is encrypted.
    fn opening(self) -> &'static str {
        match self {
            Self::Plan => "plan of ",
            Self::Bundle => "bundle of ",
            Self::Document => "document of ",
        }
    }
}

/// The bytes as they are saved: encrypted if the state of this stack is.
pub fn seal_for(
    place: &StackRef,
    is_sandbox: bool,
    sort: SavedSort,
    bytes: &[u8],
) -> Result<Vec<u8>, OpsError> {
    let Ok(StateSite::Sealed(_, declared)) = site(place, is_sandbox) else {
        return Ok(bytes.to_vec());
    };
    let name = format!("{}{}", sort.opening(), place.name());
    let keys = KeyRing::read(&declared, &name, of_environment).map_err(StoreError::from)?;
    Ok(seal(keys.current(), &name, bytes))
}

/// The bytes of a file that was saved, opened if they are encrypted. The keys are those that its stack declares, where there is a
/// checkout, else the one in the variable that the file names.
pub fn open_saved(
    file: &Path,
    from: &Path,
    sort: SavedSort,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, OpsError> {
    if !is_sealed(&bytes) {
        return Ok(bytes);
    }
    let wrong = |why: &dyn std::fmt::Display| {
        OpsError::input(
            format!("{} cannot be opened: {why}", file.display()),
            "nothing was changed; use a file that lifeboat saved, whole and unaltered",
        )
    };
    let found = header(&bytes).map_err(|why| wrong(&why))?;
    let Some(stack) = found.name.strip_prefix(sort.opening()) else {
        return Err(wrong(&format!("it is a {}", found.name)));
    };
    let place = StackRef::find(stack, from).ok();
    let declared = place.and_then(|it| site(&it, false).ok()?.encryption().cloned());
    let declared = match declared {
        Some(it) => it,
        None => StateEncryption::with(&found.key.variable).map_err(|why| wrong(&why.what))?,
    };
    let place = file.display().to_string();
    let keys = KeyRing::read(&declared, &place, of_environment).map_err(StoreError::from)?;
    open(&keys, &found.name, &bytes).map_err(|why| match why {
        OpenError::Damaged(why) => wrong(&why),
        OpenError::WrongKey(sealed) => {
            StoreError::from(SealError::WrongKey { place, sealed, held: keys.names() }).into()
        }
    })
}
