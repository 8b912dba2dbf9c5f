//! Tokens of restricted users: whoever holds one sees what is named here, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::linode::account::access::called;
use crate::linode::data::restricted::{GLOBAL, RestrictedToken};
use crate::shared::{Sandbox, SandboxError};

/// What a token is good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restriction {
    /// The name of its user.
    pub user: String,
    /// Labels of what it may change; names of zones.
    pub changes: Vec<String>,
    /// The same of what it may only look at.
    pub reads: Vec<String>,
    /// Account-wide grants: `add_linodes`.
    pub may: Vec<String>,
}

impl Sandbox {
    /// From now on this token is one of a restricted user; of one who sees everything again, without a restriction.
    pub fn restrict(
        &self,
        token: &str,
        restriction: Option<&Restriction>,
    ) -> Result<(), SandboxError> {
        self.with(|world, _| {
            let Some(it) = restriction else {
                world.linode.restricted.remove(&token.to_owned());
                return Ok(());
            };
            let wrong = |what: String| Err(SandboxError::World(what));
            if let Some(unknown) = it.may.iter().find(|it| !GLOBAL.contains(&it.as_str())) {
                return wrong(format!(
                    "unknown grant `{unknown}`; use one of: {}",
                    GLOBAL.join(", ")
                ));
            }
            let mut objects: BTreeMap<String, BTreeMap<u64, bool>> = BTreeMap::new();
            let reads = it.reads.iter().map(|it| (it, false));
            for (label, write) in reads.chain(it.changes.iter().map(|it| (it, true))) {
                let found = called(&world.linode, label);
                if found.is_empty() {
                    return wrong(format!(
                        "there is no instance, NodeBalancer, firewall, or zone named `{label}`"
                    ));
                }
                for (entity, id) in found {
                    objects.entry(entity.to_owned()).or_default().insert(id, write);
                }
            }
            let may: BTreeSet<String> = it.may.iter().cloned().collect();
            let user = RestrictedToken { name: it.user.clone(), objects, may };
            world.linode.restricted.put(token.to_owned(), user);
            Ok(())
        })?
    }
}
