//! References inside lists and maps: they are checked, followed, and become ids as those of an attribute itself do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::model::Scope;
use crate::engine::lang::resolve::resolve;
use crate::engine::lang::tests::{load_with, say};
use crate::engine::schema::Catalog;
use crate::engine::value::{Attributes, Value};

/// No kind that is shipped has such attributes yet.
const CLUSTER: &str = r"
kind: linode.cluster
summary: A made-up kind.
provider: linode
cloud: linode
fault_domain: { global: linode }
identity: { by: [label] }
attributes:
  label: { type: text, default_from: address }
  walls: { type: list, of: { type: reference, to: linode.firewall } }
  pools:
    type: list
    of:
      type: map
      members:
        machine: { type: reference, to: linode.instance, required: true }
        weight: { type: int, default: 1 }
  routes: { type: map, of: { type: reference, to: linode.nodebalancer } }
";

const REST: &str = "  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, label: 'web-${each.index}' }
  wall: { kind: linode.firewall, inbound_policy: DROP, outbound_policy: ACCEPT }
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
";

fn catalog() -> Catalog {
    let mut catalog = crate::kinds::builtin();
    let kind = crate::kinds::parse(CLUSTER).unwrap();
    catalog.kinds.insert(kind.kind.clone(), kind);
    catalog
}

fn stack(cluster: &str) -> String {
    format!("stack: s\nresources:\n{REST}  c:\n    kind: linode.cluster\n{cluster}")
}

fn told(cluster: &str) -> String {
    let loaded = load_with(&catalog(), &[("", &stack(cluster))], &[]);
    say(&loaded.sources, &loaded.diagnostics)
}

/// Only ids are known, as in a run that has just created these; of `lb` not even that.
struct OnlyIds;

impl Scope for OnlyIds {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        let id = match address.to_string().as_str() {
            "web[0]" => "11",
            "web[1]" => "12",
            "wall" => "13",
            _ => return None,
        };
        let known = [("id".to_owned(), Value::text(id))];
        Some(Arc::new(BTreeMap::from(known).into_iter().collect()))
    }
}

const GOOD: &str = "    walls: ['${wall}']
    pools:
      - { machine: '${web[0]}' }
      - { machine: '${[web[1]][0]}', weight: 2 }
    routes: { eu: '${lb}' }
";

#[test]
fn needs_follows_references_in_lists_and_maps() {
    let loaded = load_with(&catalog(), &[("", &stack(GOOD))], &[]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let stack = loaded.stack.unwrap();
    let cluster = stack.instances.values().find(|it| it.address.name == "c").unwrap();
    let needs: Vec<String> = cluster.needs.iter().map(|(need, _)| need.to_string()).collect();
    assert_eq!(needs, ["wall", "web[0]", "web[1]", "lb"]);
}

#[test]
fn resolve_makes_ids_of_references_in_lists_and_maps() {
    let catalog = catalog();
    let loaded = load_with(&catalog, &[("", &stack(GOOD))], &[]);
    let stack = loaded.stack.unwrap();
    let cluster = stack.instances.values().find(|it| it.address.name == "c").unwrap();
    let resolved = resolve(&stack, &catalog, cluster, &OnlyIds).unwrap();
    let shown = |name: &str| resolved.attributes[name].json().to_string();
    assert_eq!(shown("walls"), r#"["13"]"#);
    assert_eq!(shown("pools"), r#"[{"machine":"11","weight":1},{"machine":"12","weight":2}]"#);
    let Value::Map(routes) = &resolved.attributes["routes"] else { panic!("a map") };
    assert_eq!(routes["eu"], Value::Open, "only an apply tells the id of what it creates");
}

#[test]
fn needs_refuses_what_is_no_resource_of_the_right_kind_in_lists_and_maps() {
    insta::assert_snapshot!(told(
        "    walls: ['${lb}', '${web}', '${wall.id}', '${vars.x}', wall]\n"
    ));
    insta::assert_snapshot!(told(
        "    pools: [{ machine: '${lb}' }, { machine: '${web}' }, { machine: '${web[0].id}' }, { machine: web }, { weight: 2 }, { machine: '${web[7]}' }]\n"
    ));
    insta::assert_snapshot!(told("    routes: { a: '${web[0]}', b: '${each.value}', c: 7 }\n"));
    assert_eq!(
        told("    walls: '${[wall]}'\n"),
        "",
        "a list that is computed is checked when it is known"
    );
}
