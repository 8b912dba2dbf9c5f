//! What this state has made and does not know: known by its ownership tag, or by standing in what is ours just as it was to stand.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::{Address, Key};
use crate::engine::containment::{container, find_record};
use crate::engine::lang::model::Stack;
use crate::engine::normalize::normalise;
use crate::engine::observed::{Neighbor, Observation};
use crate::engine::ownership_tag::{is_of, ownership_tag};
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, Secret, Value};

/// An object that carries the tag of an address of this very state, which does not know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    pub address: Address,
    pub kind: String,
    pub id: String,
    /// What its list tells of it.
    pub attributes: Attributes,
}

/// What is found to be ours, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Adopted {
    pub address: Address,
    pub record: Record,
    pub why: String,
}

/// How many instances a counted resource may have had: a tag holds only a digest of the address, so each index is tried. A
/// guess: larger counts are rare, and each index costs one SHA-256.
const COUNTED: u32 = 100;

/// Objects with the tag of one of these addresses, or of another instance of the same resource, that state does not know.
pub fn unknown<'a>(
    state: &'a State,
    addresses: impl Iterator<Item = &'a Address>,
    beside: &[Neighbor],
) -> Vec<Unknown> {
    let recorded: BTreeSet<(&str, &str)> = state
        .records
        .values()
        .flat_map(|it| {
            let old = it.deposed.as_ref().map(|old| (it.kind.as_str(), old.id.as_str()));
            [Some((it.kind.as_str(), it.id.as_str())), old].into_iter().flatten()
        })
        .collect();
    let tagged: Vec<(&Neighbor, &String)> = beside
        .iter()
        .filter(|it| !recorded.contains(&(it.kind.as_str(), it.id.as_str())))
        .filter_map(|it| Some((it, it.mark.as_ref().filter(|it| is_of(it, &state.stack))?)))
        .collect();
    if tagged.is_empty() {
        return Vec::new();
    }
    let mut known: BTreeSet<Address> = BTreeSet::new();
    let mut counted: BTreeSet<&str> = BTreeSet::new();
    for address in addresses.chain(state.records.keys()) {
        known.insert(address.clone());
        if matches!(address.key, Key::Index(_)) && counted.insert(&address.name) {
            known.extend((0..COUNTED).map(|it| Address::index(&address.name, it)));
        }
    }
    let of_mark: BTreeMap<String, Address> = known
        .into_iter()
        // What a step that began may have made is in doubt, and told as that.
        .filter(|it| !state.pending.contains_key(it))
        .map(|it| (ownership_tag(&state.stack, &state.lineage, &it), it))
        .collect();
    let found = tagged.into_iter().filter_map(|(it, mark)| {
        let (kind, id, attributes) = (it.kind.clone(), it.id.clone(), it.attributes.clone());
        Some(Unknown { address: of_mark.get(mark)?.clone(), kind, id, attributes })
    });
    found.collect()
}

/// Everything that is worked with.
pub struct Looked<'a> {
    pub catalog: &'a Catalog,
    pub state: &'a State,
    pub stack: &'a Stack,
    pub observed: &'a BTreeMap<Address, Observation>,
    /// Tagged by this state, and not known to it.
    pub unknown: &'a [Unknown],
    /// It was put together from what was left, or is older than what it has made.
    pub is_older: bool,
    /// In milliseconds since the Unix epoch.
    pub now: i64,
}

impl Looked<'_> {
    /// What is to be made, is there, and is ours.
    pub fn adopted(&self, inquiries: &[ReadRequest<'_>]) -> Vec<Adopted> {
        let new = inquiries.iter().filter(|it| it.id.is_none());
        new.filter_map(|it| self.one(it)).collect()
    }

    fn one(&self, asked: &ReadRequest<'_>) -> Option<Adopted> {
        let address = &asked.address;
        let Observation::Exists { attributes, ready } = self.observed.get(address)? else {
            return None;
        };
        let kind = self.catalog.get(&asked.kind)?;
        let instance = self.stack.instances.get(address)?;
        if self.state.pending.contains_key(address) {
            return None;
        }
        let told = attributes.get("id").and_then(Value::as_text);
        let is_it = |it: &&Unknown| it.address == *address && it.kind == kind.kind;
        let found = self.unknown.iter().find(is_it);
        let (id, why) = if kind.mark.is_some() || found.is_some() {
            let found = found?;
            // Where a list tells ids, the one that stands in its place has to be the tagged one.
            if kind.rest.is_some() && told != Some(&found.id) {
                return None;
            }
            (found.id.clone(), "it carries the ownership tag of this address".to_owned())
        } else {
            let within = container(kind, &asked.attributes)?;
            let (ours, _) = find_record(self.state, within)?;
            if !self.is_older || !is_as_asked(kind, &asked.attributes, attributes) {
                return None;
            }
            (told?.to_owned(), format!("it exists in `{ours}` with the planned settings"))
        };
        let since = self.now;
        let mut record = Record {
            kind: kind.kind.clone(),
            id: id.clone(),
            attributes: self.recorded(kind, &asked.attributes, attributes),
            outputs: Attributes::new(),
            needs: instance.needs.iter().map(|(need, _)| need.clone()).collect(),
            ready: *ready,
            protected: instance.resource.lifecycle.prevent_destroy.unwrap_or(false),
            retained: false,
            leaving: false,
            since,
            deposed: None,
            tried: Attributes::new(),
        };
        for (name, _) in kind.attributes.iter().filter(|(_, it)| it.computed && !it.live) {
            if let Some(value) = attributes.get(name) {
                record.outputs.insert(name.clone(), value.clone());
            }
        }
        let why =
            format!("adopt (recovered): {id} is treated as created by this stack, because {why}");
        Some(Adopted { address: address.clone(), record, why })
    }

    /// What is recorded of it: what it is, where that is told, and nothing of what no cloud tells.
    fn recorded(&self, kind: &Kind, asked: &Attributes, seen: &Attributes) -> Attributes {
        let mut recorded = Attributes::new();
        for (name, value) in asked.iter().filter(|(_, it)| !it.is_null() && !it.has_open()) {
            let attribute = kind.attribute(name);
            if attribute.is_some_and(|it| it.computed || it.write_only)
                || kind.join_as() == Some(name)
            {
                continue;
            }
            let is = match seen.get(name) {
                Some(seen) if value.has_secret() => Value::Secret(Secret::new(seen.clone())),
                Some(seen) => seen.clone(),
                None => value.clone(),
            };
            if !is.is_null() {
                recorded.insert(name.clone(), seal(&is, Some(&self.state.key)));
            }
        }
        recorded
    }
}

/// Whether it is in everything that can be seen what is asked for.
fn is_as_asked(kind: &Kind, asked: &Attributes, seen: &Attributes) -> bool {
    asked.iter().all(|(name, value)| {
        let told = kind.attribute(name).is_some_and(|it| !it.write_only && !it.computed);
        let normal = |it: &Value| normalise(kind, name, it, asked);
        match seen.get(name).filter(|_| told && !value.is_null()) {
            Some(seen) => !value.has_open() && normal(&value.exposed()) == normal(seen),
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Looked, unknown};
    use crate::engine::address::Address;
    use crate::engine::observed::Neighbor;
    use crate::engine::ownership_tag::ownership_tag;
    use crate::engine::plan::draft::refresh::read_requests;
    use crate::engine::plan::tests::{applied, order, stack};
    use crate::engine::value::Attributes;
    use crate::kinds::builtin;

    const SITE: &str = "  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, label: 'web-${each.index}' }";

    fn beside(kind: &str, id: &str, mark: Option<String>) -> Neighbor {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        Neighbor { kind, id, attributes: Attributes::new(), mark }
    }

    #[test]
    fn unknown_finds_only_tags_of_this_very_state() {
        let catalog = builtin();
        let stack = stack(SITE, &catalog);
        let (state, _) = applied(&stack, &catalog);
        let web = |index| Address::index("web", index);
        let own = |address: &Address| Some(ownership_tag(&state.stack, &state.lineage, address));
        let recorded = state.records[&web(0)].id.clone();
        let rows = [
            beside("linode.instance", "901", own(&web(7))),
            beside("linode.instance", "902", Some(ownership_tag(&state.stack, "another", &web(7)))),
            beside("linode.instance", "903", Some(ownership_tag("other", &state.lineage, &web(7)))),
            beside("linode.instance", "904", own(&Address::one("never"))),
            beside("linode.instance", &recorded, own(&web(0))),
            beside("linode.instance", "905", None),
        ];
        let found = unknown(&state, stack.instances.keys(), &rows);
        let told: Vec<String> =
            found.iter().map(|it| format!("{} {}", it.address, it.id)).collect();
        assert_eq!(told, ["web[7] 901"]);
    }

    #[test]
    fn adopted_takes_the_untagged_only_where_it_matches_and_is_missing() {
        let catalog = builtin();
        let stack = stack(SITE, &catalog);
        let (mut state, observed) = applied(&stack, &catalog);
        let http: Address = "http".parse().unwrap();
        state.records.remove(&http);
        let adopted = |is_older: bool, of: &str| {
            let stack = crate::engine::plan::tests::stack(&SITE.replace("port: 80", of), &catalog);
            let order = order(&stack);
            let inquiries = read_requests(&catalog, &stack, &order, Some(&state), &[]);
            let looked = Looked {
                catalog: &catalog,
                state: &state,
                stack: &stack,
                observed: &observed,
                unknown: &[],
                is_older,
                now: 1,
            };
            let found = looked.adopted(&inquiries);
            found.into_iter().map(|it| it.address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(adopted(true, "port: 80"), ["http"]);
        assert_eq!(adopted(false, "port: 80"), [""; 0]);
        assert_eq!(adopted(true, "port: 80, algorithm: source"), [""; 0]);
    }
}
