//! Describes: every kind of resource as data, one folder each, built into one catalog.

use crate::engine::schema::{Catalog, Kind};

/// Folder, `kind.yaml`, `example.yaml` and `life.yaml` of every kind.
pub const FOLDERS: &[(&str, &str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/kinds.rs"));

/// The kinds that lifeboat was built with.
pub fn builtin() -> Catalog {
    let mut catalog = Catalog::default();
    for (folder, kind, _, _) in FOLDERS {
        let kind = parse(kind)
            .unwrap_or_else(|why| panic!("{folder}/kind.yaml is part of the program: {why}"));
        catalog.kinds.insert(kind.kind.clone(), kind);
    }
    catalog.shipped = serde_yaml::from_str(include_str!("shipped.yaml"))
        .unwrap_or_else(|why| panic!("shipped.yaml is part of the program: {why}"));
    catalog.prices = serde_yaml::from_str(include_str!("prices.yaml"))
        .unwrap_or_else(|why| panic!("prices.yaml is part of the program: {why}"));
    catalog
}

/// One description. It goes through JSON because the YAML library wants tags for enums.
pub fn parse(text: &str) -> Result<Kind, String> {
    let json: serde_json::Value = serde_yaml::from_str(text).map_err(|why| why.to_string())?;
    serde_json::from_value(json).map_err(|why| why.to_string())
}

/// The smallest stack that uses a kind.
pub fn example(kind: &str) -> Option<&'static str> {
    let suffix = kind.replace('.', "/");
    FOLDERS.iter().find(|(folder, ..)| folder.ends_with(&suffix)).map(|(_, _, example, _)| *example)
}

#[cfg(test)]
mod tests {
    use super::{FOLDERS, builtin, example};
    use crate::engine::lang::validate::kind_rules::{READY, far};
    use crate::engine::schema::charge::PriceBy;
    use crate::engine::schema::{FaultDomain, GrantRoutes, Kind};

    #[test]
    fn builtin_has_a_kind_for_every_folder() {
        let catalog = builtin();
        assert_eq!(catalog.kinds.len(), FOLDERS.len());
        for name in catalog.kinds.keys() {
            assert!(example(name).is_some(), "{name} has an example under its own name");
        }
    }

    /// What is not billed says so; of what is, each attribute and each price is there.
    #[test]
    fn builtin_kinds_say_what_they_cost() {
        let catalog = builtin();
        for kind in catalog.kinds.values() {
            let charges = kind.cost.as_ref().unwrap_or_else(|| panic!("{} is free?", kind.kind));
            for charge in charges {
                let is_regional = matches!(kind.fault_domain, FaultDomain::Region(_));
                assert!(is_regional, "{}: a price is one of a region", kind.kind);
                let named = charge.times.iter().chain(charge.when.iter().map(|it| &it.0));
                for name in named.filter(|it| !it.contains('.')) {
                    assert!(kind.attribute(name).is_some(), "{}: `{name}`", kind.kind);
                }
                let priced = |table: &str, item: &str| {
                    let regions = &catalog.prices[table].regions;
                    assert!(!regions.is_empty(), "{table}");
                    assert!(regions.values().all(|it| it.contains_key(item)), "{table}: {item}");
                };
                match &charge.by {
                    PriceBy::Listed { .. } => {}
                    PriceBy::Table { table, item } => priced(table, item),
                    PriceBy::Use { table, units } => units.keys().for_each(|it| priced(table, it)),
                }
            }
        }
    }

    /// What a kind.yaml names must be there: a typo would silently switch a rule off.
    #[test]
    fn builtin_kinds_name_only_what_exists() {
        for kind in builtin().kinds.values() {
            let known = |name: &str| {
                let (base, carried) =
                    name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
                let attribute = kind.attributes.get(base);
                let found = match carried {
                    None => attribute.is_some(),
                    Some(it) => attribute.is_some_and(|a| a.carries.iter().any(|c| c == it)),
                };
                assert!(found, "{}: `{name}` is no attribute", kind.kind);
            };
            named_attributes(kind).into_iter().for_each(known);
            let groups = kind.rest.as_ref().map(|it| &it.groups);
            for (name, attribute) in kind.settable() {
                if let Some(groups) = groups.filter(|_| !attribute.via.is_empty()) {
                    assert!(groups.contains_key(&attribute.via), "{}.{name}: via", kind.kind);
                    let unset = attribute.unset_via.as_ref();
                    assert!(unset.is_none_or(|it| groups.contains_key(it)), "{}.{name}", kind.kind);
                }
            }
        }
    }

    /// What a rule asks for over references, and what a sample or a value depends on, has to be there as well.
    #[test]
    fn builtin_kinds_lead_only_to_what_exists() {
        let catalog = builtin();
        for kind in catalog.kinds.values() {
            for name in kind.rules.iter().flat_map(|it| far(&it.check)) {
                let (way, last) = name.rsplit_once('.').expect("it has a dot");
                let at = way.split('.').fold(kind, |at, step| {
                    let attribute = &at.attributes[step];
                    let leads = attribute.leads_to.as_ref().map(|it| &it.kind);
                    &catalog.kinds[leads.or(attribute.to.as_ref()).expect("it leads somewhere")]
                });
                assert!(at.attributes.contains_key(last), "{}: {name}", kind.kind);
            }
            for (name, attribute) in &kind.attributes {
                for by in attribute.leads_to.iter().flat_map(|it| &it.by) {
                    let to = &catalog.kinds[&attribute.leads_to.as_ref().expect("it leads").kind];
                    assert!(to.attributes.contains_key(by), "{}.{name}: {by}", kind.kind);
                }
                if let Some(with) = &attribute.made_with {
                    assert!(kind.attributes.contains_key(&with.attribute), "{}.{name}", kind.kind);
                }
                assert!(attribute.like.is_none() || attribute.computed, "{}.{name}", kind.kind);
            }
        }
    }

    /// Who is not told what a restricted user sees would take what is hidden for absent.
    #[test]
    fn builtin_kinds_with_routes_declare_grants() {
        for kind in builtin().kinds.values() {
            let grants = kind.rest.as_ref().map(|it| it.grants.as_ref());
            assert!(grants.is_none_or(|it| it.is_some()), "{}: grants", kind.kind);
            if let Some(Some(GrantRoutes::Inside { id, .. })) = grants {
                let of = id.split_once('.').map_or(id.as_str(), |it| it.0);
                assert!(kind.attributes.contains_key(of), "{}: {id}", kind.kind);
                assert!(kind.contains_in.is_some(), "{}", kind.kind);
            }
        }
    }

    fn named_attributes(kind: &Kind) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        names.extend(kind.mark.iter().map(String::as_str));
        names.extend(kind.contains_in.iter().map(String::as_str));
        for list in [&kind.identity.by, &kind.traffic, &kind.serving_set, &kind.serialise_by] {
            names.extend(list.iter().map(String::as_str));
        }
        names.extend(kind.drain.iter().map(|it| it.ttl.as_str()));
        names.extend(kind.serving_alike.iter().map(|it| it.attribute.as_str()));
        if let Some(it) = &kind.serves {
            names.push(&it.attribute);
            names.extend(it.healthy.iter().map(|it| it.attribute.as_str()));
        }
        names.extend(kind.leaves.iter().map(|it| it.attribute.as_str()));
        if let Some(it) = &kind.excludes {
            names.extend(it.by.iter().chain([&it.attribute]).map(String::as_str));
        }
        if let Some(it) = &kind.serves_when {
            names.extend([it.attribute.as_str(), it.unless.0.as_str()]);
        }
        if let Some(it) = &kind.health_check {
            names.extend(
                [&it.method, &it.path, &it.interval, &it.timeout, &it.attempts].map(String::as_str),
            );
        }
        if let Some(it) = &kind.packets {
            names.extend([&it.rules, &it.policy, &it.off.0].map(String::as_str));
        }
        names.extend(kind.directs_nobody.iter().map(|it| it.0.as_str()));
        names.extend(kind.listens.iter().map(String::as_str));
        names.extend(kind.capacity.iter().map(|it| it.attribute.as_str()));
        match &kind.fault_domain {
            FaultDomain::Region(it) | FaultDomain::Of(it) => names.push(it),
            FaultDomain::Global(_) => {}
        }
        for attribute in kind.attributes.values() {
            names.extend(attribute.opened_by.iter().chain(&attribute.together).map(String::as_str));
        }
        names.extend(kind.rules.iter().map(|it| it.at.as_str()).filter(|it| *it != READY));
        names
    }
}
