//! The stores that a stack declares together: a copy has to be lost with something else than what it is a copy of.

use crate::engine::state::stores_record::NamedStores;
use crate::store::remote::location::{DeclaredStores, LocationError, StoreLocation, wrong};

impl DeclaredStores {
    /// One store, and no copy.
    pub fn alone(primary: StoreLocation) -> Self {
        Self { primary, mirror: None, witness: None }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &StoreLocation> {
        [Some(&self.primary), self.mirror.as_ref(), self.witness.as_ref()].into_iter().flatten()
    }

    /// As a state records them.
    pub fn named(&self) -> NamedStores {
        let identity = |it: &Option<StoreLocation>| it.as_ref().map(StoreLocation::identity);
        NamedStores {
            primary: self.primary.identity(),
            mirror: identity(&self.mirror),
            witness: identity(&self.witness),
        }
    }

    /// A copy has to be lost with something else, and no store may be two.
    pub fn check(&self) -> Result<(), LocationError> {
        let words = ["the primary store", "`mirror`", "`witness`"];
        let stores = [Some(&self.primary), self.mirror.as_ref(), self.witness.as_ref()];
        let all: Vec<(&str, &StoreLocation)> =
            words.into_iter().zip(stores).filter_map(|(word, it)| Some((word, it?))).collect();
        for (at, (word, it)) in all.iter().enumerate() {
            for (other_word, other) in &all[..at] {
                if it.identity() == other.identity() {
                    let what =
                        "one store is named twice: a copy of a state in the same place is none";
                    return Err(wrong(
                        what,
                        "name another bucket or table, in another fault domain",
                    ));
                }
                if it.fault_domain == other.fault_domain {
                    let what = format!(
                        "{other_word} and {word} are both in the fault domain {}, so they are lost together",
                        it.fault_domain
                    );
                    return Err(wrong(
                        what,
                        format!("choose a store in another region for {word}"),
                    ));
                }
            }
        }
        if self.witness.is_some() && self.mirror.is_none() {
            let what = "there is a `witness` and no `mirror`: a witness decides between two copies";
            return Err(wrong(what, "add `mirror`, or leave out `witness`"));
        }
        Ok(())
    }
}
