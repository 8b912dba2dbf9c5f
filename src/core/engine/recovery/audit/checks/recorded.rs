//! Whether the standby is what state and the clouds say: made, ready, up to date, undrifted, a member of its group.

use crate::engine::observed::Observation;
use crate::engine::plan::checks::foreign::sentence;
use crate::engine::plan::diff::attributes::{DiffSides, diff};
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::checks::backends::FIREWALL_SHUTS;
use crate::engine::recovery::audit::checks::independence::group_name;
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::state::record::State;
use crate::engine::text::names::OverlayNames;
use crate::engine::text::plain::counted;

pub static STANDBY_UNMADE: AuditRule = AuditRule {
    id: "standby-unmade",
    level: Level::Error,
    title: "The standby is declared but does not exist",
    remedy: "apply the stack, and check that it becomes ready",
};
pub static STANDBY_STALE: AuditRule = AuditRule {
    id: "standby-stale",
    level: Level::Error,
    title: "The standby does not match the configuration",
    remedy: "apply the stack: a switch does not apply pending changes",
};
pub static STANDBY_DRIFTED: AuditRule = AuditRule {
    id: "standby-drifted",
    level: Level::Error,
    title: "The standby has drifted",
    remedy: "`plan` shows the differences; apply to revert them",
};
pub static STANDBY_UNSEEN: AuditRule = AuditRule {
    id: "standby-unseen",
    level: Level::Warning,
    title: "The standby could not be read",
    remedy: "find out why; you cannot fail over to a site that cannot be read",
};
pub static REPLICA_INACTIVE: AuditRule = AuditRule {
    id: "replica-inactive",
    level: Level::Error,
    title: "A data replica that must survive is missing or not active",
    remedy: "apply the stack and wait until the member is active: its items are copied first",
};
pub static REPLICA_SPLIT: AuditRule = AuditRule {
    id: "replica-split",
    level: Level::Error,
    title: "A copy of the data does not belong to its group",
    remedy: "decide which member has the authoritative data; `plan` explains the split",
};

pub static NAME_SHARED: AuditRule = AuditRule {
    id: "name-shared",
    level: Level::Error,
    title: "A record outside this stack with the same name receives some of the users",
    remedy: "remove it, or declare it in this stack, too: a switch moves only declared records",
};

/// What others have put beside the names of the stack and before what serves, whatever is switched to.
pub fn check_others(side: &Side<'_>, facts: &AuditFacts, out: &mut AuditSection) {
    for it in facts.online.iter().flat_map(|it| &it.foreign) {
        let place = side.item(&it.address).map(|it| side.place(it.instance.resource.span));
        let why = format!("`{}`: {}", it.address, sentence(it));
        out.findings.push(Finding::new(&NAME_SHARED, place, why).about(&it.address));
    }
    for why in facts.online.iter().flat_map(|it| &it.shut) {
        out.findings.push(Finding::new(&FIREWALL_SHUTS, None, why.clone()));
    }
}

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    if let Some(state) = case.state {
        out.fact(
            "state",
            format!(
                "serial {} in {}, {}",
                state.serial,
                case.facts.store.shown,
                counted(state.records.len(), "resource")
            ),
        );
        // As it is to be now: before the switch, or after it.
        let now =
            [case.home, case.recovery].into_iter().find(|it| it.stack.overlays == state.active);
        match now {
            Some(side) => {
                let items = case.living().filter_map(|it| side.item(it.address));
                items.for_each(|it| recorded(side, state, it, out));
            }
            None => out.fact(
                "state",
                format!(
                    "{} is active: the standby was not compared with home",
                    OverlayNames(&state.active)
                ),
            ),
        }
    } else {
        out.fact("state", "nothing is recorded yet: the standby was not checked");
    }
    if case.state.is_some() && case.facts.online.is_none() {
        out.fact(
            "clouds",
            "drift and replication, because the clouds were not called (`--online` calls them)",
        );
    }
    for item in case.living() {
        observed(case, item, out);
    }
}

fn recorded(side: &Side<'_>, state: &State, item: SideItem<'_>, out: &mut AuditSection) {
    let rule = if item.kind.group.is_some() { &REPLICA_INACTIVE } else { &STANDBY_UNMADE };
    let mut tell = |rule, why: String| {
        let place = side.place(item.instance.resource.span);
        out.findings.push(Finding::new(rule, Some(place), why).about(item.address));
    };
    let twin = item.address.zeroth_alias().and_then(|it| state.records.get(&it));
    let Some(record) = state.records.get(item.address).or(twin) else {
        tell(rule, format!("the state has no record of `{}`", item.address));
        return;
    };
    if !record.ready {
        tell(rule, format!("`{}` was created but has never been ready", item.address));
        return;
    }
    let sides = DiffSides {
        kind: item.kind,
        desired: item.object,
        record: Some(record),
        observed: None,
        key: Some(&state.key),
        ignore: &item.instance.resource.lifecycle.ignore_changes,
    };
    let difference = diff(&sides, |_| None);
    let changed: Vec<&str> = difference
        .changes
        .iter()
        // What refers to other objects is not known without looking at them.
        .filter(|it| !it.after.has_open())
        .map(|it| it.name.as_str())
        .collect();
    if let Some(first) = changed.first() {
        let why = format!(
            "`{}` was last applied with a different {}",
            item.address,
            changed.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
        );
        let place = side.place_of(item, first);
        out.findings.push(Finding::new(&STANDBY_STALE, Some(place), why).about(item.address));
    }
}

fn observed(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(online) = &case.facts.online else { return };
    let mut tell = |rule, why: String| {
        let place = case.recovery.place(item.instance.resource.span);
        out.findings.push(Finding::new(rule, Some(place), why).about(item.address));
    };
    if let Some(attributes) = online.drift.get(item.address) {
        let shown: Vec<String> = attributes.iter().map(|it| format!("`{it}`")).collect();
        tell(
            &STANDBY_DRIFTED,
            match shown.len() {
                0 => format!("`{}` no longer exists", item.address),
                _ => format!(
                    "{} of `{}` was changed outside of lifeboat",
                    shown.join(", "),
                    item.address
                ),
            },
        );
    }
    match online.observed.get(item.address) {
        Some(Observation::Unknown(unseen)) => {
            tell(&STANDBY_UNSEEN, format!("`{}`: {}", item.address, unseen.why));
        }
        Some(Observation::Exists { ready: false, .. }) if item.kind.group.is_some() => {
            tell(&REPLICA_INACTIVE, format!("`{}` is not active", item.address));
        }
        Some(Observation::Exists { .. }) => {
            if let Some(other) = apart(case, item) {
                tell(
                    &REPLICA_SPLIT,
                    format!("`{}` and {other} do not list each other", item.address),
                );
            }
        }
        _ => {}
    }
}

/// The lost member that a living one, as the clouds say, no longer shares a group with.
fn apart(case: &AuditCase<'_>, item: SideItem<'_>) -> Option<String> {
    let online = case.facts.online.as_ref()?;
    let group = item.kind.group.as_ref()?;
    let (name, region) = (group_name(item)?, item.text(&group.region)?);
    for other in case.home.items().filter(|it| it.address != item.address) {
        let Some(theirs) = other.kind.group.as_ref().filter(|_| group_name(other) == Some(name))
        else {
            continue;
        };
        let Some(their_region) = other.text(&theirs.region) else { continue };
        let mine = online.list(item.address, &group.others);
        let others = online.list(other.address, &theirs.others);
        let misses =
            |list: Option<Vec<&str>>, region: &str| list.is_some_and(|it| !it.contains(&region));
        if misses(mine, their_region) || misses(others, region) {
            return Some(format!("`{}`", other.address));
        }
    }
    None
}
