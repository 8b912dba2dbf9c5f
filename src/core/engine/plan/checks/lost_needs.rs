//! A switch to a site that lives and needs what is lost: said before users are sent there.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::availability::replica_group::{GroupName, group_name};
use crate::engine::plan::draft::destination::leads_elsewhere;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// The first name whose users would come to what depends on something frozen. A lost member of a group is no loss where the site
/// uses another one, which lives.
pub fn lost_needs(it: &PlanBuilder<'_>) -> Option<Diagnostic> {
    if !it.options.is_switch() || it.options.lost.is_empty() {
        return None;
    }
    let wanted = DesiredTopology::new(it.worlds.catalog, it.worlds.stack);
    let frozen = it.planned.iter();
    let frozen = frozen.filter_map(|it| Some((&it.change.address, it.change.frozen.as_deref()?)));
    let frozen: BTreeMap<&Address, &str> = frozen.collect();
    let groups = it.planned.iter().filter_map(|it| Some((&it.change.address, group(it)?)));
    let groups: BTreeMap<&Address, GroupName> = groups.collect();
    let (name, target, need, domain) = it.planned.iter().find_map(|planned| {
        planned.kind.drain.as_ref().filter(|_| leads_elsewhere(planned.kind, &planned.change))?;
        let targets = wanted.targets(planned.kind, planned.instance?);
        // Who would be led into what is lost is told another way.
        let target = targets.first().filter(|it| !frozen.contains_key(it))?.clone();
        let closure = wanted.closure(&targets);
        let lives = |group: &GroupName| {
            closure.iter().any(|it| !frozen.contains_key(it) && groups.get(it) == Some(group))
        };
        let lacks = |at: &&Address| groups.get(at).is_none_or(|it| !lives(it));
        let need = closure.iter().filter(|it| frozen.contains_key(it)).find(lacks)?;
        Some((&planned.change.address, target, need.clone(), frozen[need]))
    })?;
    let text = format!(
        "users of `{name}` will be sent to `{target}`, which needs `{need}` in {domain}, and that is declared lost: it may fail without it"
    );
    let goes_home = it.worlds.state.is_some_and(|state| state.home == it.worlds.stack.overlays);
    let help = if goes_home {
        let stack = it.name();
        let home = AdvisedCommand::Failback { stack: &stack, lost: Vec::new() };
        format!("make sure that it serves without it, or wait until {domain} is up again: {home}")
    } else {
        "make sure that it serves without it".to_owned()
    };
    Some(Diagnostic::warning(DiagnosticCode::LostDependency, text).help(help))
}

fn group(it: &PlannedChange<'_>) -> Option<GroupName> {
    let recorded = || it.record.and_then(|record| group_name(it.kind, &record.attributes));
    it.desired.as_deref().and_then(|desired| group_name(it.kind, desired)).or_else(recorded)
}
