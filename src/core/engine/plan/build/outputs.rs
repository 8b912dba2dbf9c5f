//! Plans the outputs of a stack, and says which values come from what cannot be looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::uses;
use crate::engine::lang::model::{Instance, Term};
use crate::engine::lang::resolve::resolve_output;
use crate::engine::lang::term::expressions;
use crate::engine::plan::diff::attributes::{is_missing_secret, seal};
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::change::{OutputChange, StaleReport};
use crate::engine::plan::model::options::Intent;
use crate::engine::value::Value;

impl PlanBuilder<'_> {
    pub fn outputs(&mut self) -> Vec<OutputChange> {
        let mut after: BTreeMap<String, Value> = BTreeMap::new();
        let worlds = self.worlds;
        if self.options.intent == Intent::Apply {
            for (name, output) in &worlds.stack.outputs {
                match resolve_output(worlds.stack, worlds.catalog, output, &self.known) {
                    // Made of a secret that nobody gave, or of what is not there in a lost fault domain: as it was.
                    Ok(value)
                        if is_missing_secret(&value)
                            || self.is_unavailable(&value, &output.term) =>
                    {
                        let before = worlds.state.and_then(|it| it.outputs.get(name));
                        after.extend(before.map(|it| (name.clone(), it.clone())));
                    }
                    Ok(value) => {
                        after.insert(name.clone(), seal(&value, self.key()));
                    }
                    Err(mistakes) => self.diagnostics.extend(mistakes),
                }
            }
        }
        let empty = BTreeMap::new();
        let before = worlds.state.map_or(&empty, |it| &it.outputs);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        names
            .into_iter()
            .map(|name| OutputChange {
                name: name.clone(),
                before: before.get(name).cloned().unwrap_or_default(),
                after: after.get(name).cloned().unwrap_or_default(),
            })
            .filter(|it| it.before != it.after)
            .collect()
    }

    fn is_unavailable(&self, value: &Value, term: &Term) -> bool {
        value.has_open()
            && used(self, None, term)
                .iter()
                .any(|(address, _)| self.unavailable.contains_key(address))
    }

    /// Values of living changes and of outputs that come from frozen objects.
    pub fn stale(&self) -> Vec<StaleReport> {
        let mut stale = Vec::new();
        if !self.frozen.is_any() || self.options.intent == Intent::Destroy {
            return stale;
        }
        for it in self.planned.iter().filter(|it| it.change.frozen.is_none()) {
            let Some(instance) = it.instance else { continue };
            for changed in &it.change.attributes {
                let Some(given) = instance.resource.attributes.get(&changed.name) else { continue };
                let what = format!("{}.{}", it.change.address, changed.name);
                stale.extend(self.stale_value(&what, Some(instance), &given.term));
            }
        }
        for (name, output) in &self.worlds.stack.outputs {
            stale.extend(self.stale_value(&format!("output {name}"), None, &output.term));
        }
        stale
    }

    fn stale_value(
        &self,
        what: &str,
        instance: Option<&Instance>,
        term: &Term,
    ) -> Option<StaleReport> {
        used(self, instance, term).into_iter().find_map(|(from, attribute)| {
            let record = self.worlds.state?.records.get(&from)?;
            let kind = self.worlds.catalog.get(&record.kind)?;
            let fault_domain = self.frozen.of_record(&from, kind)?;
            // What the layers say of it is not stale; what the cloud made is.
            let made = attribute.as_ref().is_none_or(|it| {
                it == "id" || kind.attribute(it).is_none_or(|attribute| attribute.computed)
            });
            made.then(|| StaleReport {
                what: what.to_owned(),
                since: self.frozen.since(fault_domain),
                fault_domain: fault_domain.to_owned(),
                from,
            })
        })
    }
}

fn used(
    proposal: &PlanBuilder<'_>,
    instance: Option<&Instance>,
    term: &Term,
) -> Vec<(Address, Option<String>)> {
    let mut all = Vec::new();
    expressions(term, &mut all);
    uses(proposal.worlds.stack, instance, &all)
}
