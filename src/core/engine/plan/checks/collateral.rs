//! What goes along uninvited when something is deleted: what others put inside of it, what they attached to it, who joined its group.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::Observation;
use crate::engine::plan::checks::offers::{OfferRequest, OfferSource, ReadOffers};
use crate::engine::plan::model::change::{Change, Plan};
use crate::engine::plan::model::options::{Allowances, Intent};
use crate::engine::schema::{Catalog, Kind, Lookup};
use crate::engine::state::record::{Record, State};
use crate::engine::text::advice::{AdvisedCommand, quoted};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::{Attributes, Value};

/// A collection inside of something that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub container: Address,
    /// The kind of what is in it.
    pub kind: String,
    /// What its path is made of.
    pub attributes: Attributes,
}

/// The objects of a collection with their ids, or why it could not be listed.
pub type CollateralListed = Result<Vec<(String, Attributes)>, String>;

/// What was found: of each collection the objects with their ids, of each list its rows; or why not.
#[derive(Debug, Default)]
pub struct CollateralFound {
    pub inside: Vec<(Collection, CollateralListed)>,
    pub lists: ReadOffers,
}

/// What goes, with what is recorded of it.
fn going<'a>(
    plan: &'a Plan,
    state: &'a State,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a Change, &'a Record, &'a Kind)> {
    plan.changes.iter().filter(|it| it.action.destroys()).filter_map(|it| {
        let record = state.records.get(it.moved_from.as_ref().unwrap_or(&it.address))?;
        Some((it, record, catalog.get(&record.kind)?))
    })
}

/// Where to look.
pub fn collections(plan: &Plan, state: &State, catalog: &Catalog) -> Vec<Collection> {
    let mut found = Vec::new();
    for (change, record, kind) in going(plan, state, catalog) {
        for inner in catalog.kinds.values().filter(|it| it.rest.is_some()) {
            let Some(name) = &inner.contains_in else { continue };
            let Some(of) = inner.attribute(name).filter(|it| it.to.as_ref() == Some(&kind.kind))
            else {
                continue;
            };
            let mut attributes = Attributes::from([(name.clone(), Value::text(&record.id))]);
            for carried in &of.carries {
                let value = record.attributes.get(carried).or(record.outputs.get(carried));
                attributes.insert(format!("{name}.{carried}"), value.cloned().unwrap_or_default());
            }
            found.push(Collection {
                container: change.address.clone(),
                kind: inner.kind.clone(),
                attributes,
            });
        }
    }
    found
}

/// The lists whose rows say to what something that goes is attached.
pub fn lists(plan: &Plan, state: &State, catalog: &Catalog) -> BTreeSet<OfferRequest> {
    let going = going(plan, state, catalog);
    let attaching = going.flat_map(|(_, _, kind)| attaching(kind, catalog));
    attaching.map(|(kind, it)| OfferRequest::new(kind, OfferSource::List, &it.list)).collect()
}

/// Kinds that are attached to this one, each with how a row of this one names them.
fn attaching<'a>(
    kind: &'a Kind,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a Kind, &'a Lookup)> {
    catalog.kinds.values().flat_map(move |other| {
        let to_it = other.attributes.values().filter(|it| it.to.as_ref() == Some(&kind.kind));
        to_it.filter_map(move |it| Some((other, it.read.as_ref()?.lookup.as_ref()?)))
    })
}

/// A refusal for each thing that would take along what is not of this stack, and was not allowed to.
pub fn uninvited(
    plan: &Plan,
    stack: &Stack,
    state: &State,
    catalog: &Catalog,
    observed: &BTreeMap<Address, Observation>,
    found: &CollateralFound,
    (intent, allowed): (Intent, &Allowances),
) -> Vec<Diagnostic> {
    let ids: BTreeSet<(&str, &str)> = state
        .records
        .values()
        .flat_map(|it| {
            let deposed = it.deposed.iter().map(|old| (it.kind.as_str(), old.id.as_str()));
            deposed.chain([(it.kind.as_str(), it.id.as_str())])
        })
        .collect();
    let mut out = Vec::new();
    for (change, record, kind) in going(plan, state, catalog) {
        if allowed.delete.contains(&change.address) {
            continue;
        }
        let mut others = inside(change, catalog, &ids, found);
        others.extend(attached(record, kind, catalog, &ids, found));
        others.extend(joined(change, record, kind, state, observed));
        if !others.is_empty() {
            out.push(refusal(change, stack, &others, intent, plan.switch.is_some()));
        }
    }
    out
}

fn inside(
    change: &Change,
    catalog: &Catalog,
    ids: &BTreeSet<(&str, &str)>,
    found: &CollateralFound,
) -> Vec<String> {
    let mut others = Vec::new();
    for (collection, rows) in found.inside.iter().filter(|(it, _)| it.container == change.address) {
        let Some(kind) = catalog.get(&collection.kind) else { continue };
        match rows {
            Ok(rows) => {
                let strange =
                    rows.iter().filter(|(id, _)| !ids.contains(&(kind.kind.as_str(), id.as_str())));
                others.extend(strange.map(|(id, it)| named(kind, id, it)));
            }
            Err(why) => {
                others.push(format!("its contents, which could not be listed ({why})"));
            }
        }
    }
    others
}

/// `linode.domain_record A www 192.0.2.1 (id 7)`
fn named(kind: &Kind, id: &str, attributes: &Attributes) -> String {
    let parts = kind.identity.by.iter().filter(|it| kind.contains_in.as_ref() != Some(*it));
    let shown = parts.filter_map(|name| match attributes.get(name)? {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.json().to_string()),
    });
    let mut words = vec![kind.kind.clone()];
    words.extend(shown);
    format!("{} (id {id})", words.join(" "))
}

/// What stands behind it, or in front of it, and is nobody's of this stack.
fn attached(
    record: &Record,
    kind: &Kind,
    catalog: &Catalog,
    ids: &BTreeSet<(&str, &str)>,
    found: &CollateralFound,
) -> Vec<String> {
    let kinds: Vec<(&Kind, &Lookup)> = attaching(kind, catalog).collect();
    let Some((attaching, first)) = kinds.first() else { return Vec::new() };
    let request = OfferRequest::new(attaching, OfferSource::List, &first.list);
    let rows = match found.lists.get(&request) {
        Some(Ok(rows)) => rows,
        Some(Err(why)) => {
            return vec![format!(
                "the resources attached to it, which could not be listed ({why})"
            )];
        }
        None => return Vec::new(),
    };
    let text =
        |it: Option<&Json>| it.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    let row = rows.iter().find(|row| text(row.get("id")).as_deref() == Some(&record.id));
    let entities = row.and_then(|it| it.get(&first.within)).and_then(Json::as_array);
    let mut others = Vec::new();
    for entity in entities.into_iter().flatten() {
        let (Some(sort), Some(id)) = (text(entity.get("type")), text(entity.get("id"))) else {
            continue;
        };
        let ours = kinds.iter().any(|(kind, lookup)| {
            lookup.entity == sort && ids.contains(&(kind.kind.as_str(), id.as_str()))
        });
        if !ours {
            let label = text(entity.get("label")).map(|it| format!(" {it}")).unwrap_or_default();
            others.push(format!("{sort}{label} (id {id}), which it protects"));
        }
    }
    others
}

/// Members of its group that nobody of this stack has made.
fn joined(
    change: &Change,
    record: &Record,
    kind: &Kind,
    state: &State,
    observed: &BTreeMap<Address, Observation>,
) -> Vec<String> {
    let Some(group) = &kind.group else { return Vec::new() };
    let Some(Observation::Exists { attributes, .. }) = observed.get(&change.address) else {
        return Vec::new();
    };
    let name =
        |it: &Record| it.attributes.get(&group.name).or(it.outputs.get(&group.name)).cloned();
    let mine = name(record);
    let ours: Vec<Option<&Value>> = state
        .records
        .values()
        .filter(|it| {
            it.kind == record.kind
                || name(it) == mine
                || it.attributes.values().any(|it| Some(it) == mine.as_ref())
        })
        .map(|it| it.attributes.get(&group.region))
        .collect();
    let Some(Value::List(members)) = attributes.get(&group.others) else { return Vec::new() };
    let strange = members.iter().filter(|it| !ours.contains(&Some(*it)));
    strange
        .map(|it| format!("the member of its group in {}", it.as_text().unwrap_or_default()))
        .collect()
}

/// How many resources a message names before it only counts the rest: more would not fit on a line.
const NAMED_MAX: usize = 5;

fn refusal(
    change: &Change,
    stack: &Stack,
    others: &[String],
    intent: Intent,
    is_switch: bool,
) -> Diagnostic {
    let address = &change.address;
    let named = others.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = others.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let text = format!(
        "to {} `{address}` would affect resources outside this stack: {named}{more}",
        change.action.word()
    );
    let (name, shown) = (stack.shown_name(), address.to_string());
    let stack_name = name.as_str();
    let word = match intent {
        Intent::Destroy => {
            AdvisedCommand::DestroyLetting { stack: stack_name, address: &shown }.to_string()
        }
        // A switch is not to be made by an apply.
        Intent::Apply if is_switch => {
            format!("the same command with --allow-delete {}", quoted(&shown))
        }
        Intent::Apply => {
            let flag = "--allow-delete";
            AdvisedCommand::ApplyLetting { stack: stack_name, flag, address: &shown }.to_string()
        }
    };
    let refusal = Diagnostic::refusal(DiagnosticCode::Uninvited, text)
        .help(format!("remove them from it first; to delete them with it: {word}"));
    match stack.instances.get(address) {
        Some(instance) => refusal.at(instance.resource.span, change.reason.clone()),
        None => refusal,
    }
}
