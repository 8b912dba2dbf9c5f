//! What accepted changes have still to bring about: the API says yes before anything happens, and its events lag behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::normalize::normalise;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// The values that objects were told to take on in this run, by the path of the object.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingAttributes(Arc<Mutex<BTreeMap<String, Attributes>>>);

impl PendingAttributes {
    /// Remembers what a change of a group that takes time will bring about.
    pub(crate) fn expect(
        &self,
        kind: &Kind,
        object: &str,
        group: &str,
        changed: &[String],
        wanted: &Attributes,
    ) {
        let groups = kind.rest.as_ref().map(|it| &it.groups);
        if !groups.and_then(|it| it.get(group)).is_some_and(|it| it.settles) {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let awaited = all.entry(object.to_owned()).or_default();
        for name in changed {
            let Some(attribute) = kind.attribute(name) else { continue };
            if attribute.is_unset_by(group) {
                awaited.insert(name.clone(), Value::Null);
            } else if attribute.via == group
                && let Some(value) = wanted.get(name).filter(|it| !it.is_null())
            {
                awaited.insert(name.clone(), value.clone());
            }
        }
    }

    /// What is awaited of an object.
    pub(crate) fn of(&self, object: &str) -> Attributes {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(object).cloned().unwrap_or_default()
    }

    /// Forgets an object, because all of it arrived or it is gone.
    pub(crate) fn forget(&self, object: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

/// The first awaited value that has not arrived, in words.
pub(crate) fn missing(kind: &Kind, awaited: &Attributes, seen: &Attributes) -> Option<String> {
    let normal = |name: &str, it: &Value| normalise(kind, name, it, seen);
    awaited.iter().find_map(|(name, value)| {
        let now = seen.get(name)?;
        let differs = normal(name, value) != normal(name, now);
        differs.then(|| format!("its {name} is still {}", now.json()))
    })
}

#[cfg(test)]
mod tests {
    use super::{PendingAttributes, missing};
    use crate::engine::value::{Attributes, Value};
    use crate::kinds::builtin;

    #[test]
    fn missing_awaits_null_of_an_unset_and_the_value_of_a_set() {
        let kind = builtin().kinds["linode.volume"].clone();
        let on = |it: Value| Attributes::from([("linode".to_owned(), it)]);
        let changed = ["linode".to_owned()];
        let told = |group: &str, wanted: Value, seen: Value| {
            let pending = PendingAttributes::default();
            pending.expect(&kind, "/volumes/7", group, &changed, &on(wanted));
            missing(&kind, &pending.of("/volumes/7"), &on(seen)).unwrap_or_default()
        };
        assert_eq!(told("detach", Value::Null, "1".into()), "its linode is still \"1\"");
        assert_eq!(told("detach", Value::Null, Value::Null), "");
        assert_eq!(told("attach", "2".into(), Value::Null), "its linode is still null");
        assert_eq!(told("attach", "2".into(), "2".into()), "");
        assert_eq!(told("resize", "2".into(), "1".into()), "", "not the business of this group");
    }
}
