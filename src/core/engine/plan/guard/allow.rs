//! The `allow:` blocks of the layers: which of them are in force, and what a plan uses them for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::address::Address;
use crate::engine::allowance::{Exemption, UsedAllowance};
use crate::engine::lang::model::LayerAllowance;
use crate::engine::plan::diff::attributes::drift;
use crate::engine::plan::draft::plan_builder::PlanInputs;
use crate::engine::plan::guard::brakes::{many_absent_records, many_going};
use crate::engine::plan::model::change::Action;
use crate::engine::plan::model::options::{Allowances, AllowancesInForce, Intent, PlanOptions};
use crate::engine::plan::model::planned_allowance::PlannedAllowance;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::state::record::{Record, State};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// How far ahead an allowance may end, in days: longer ones are forgotten, and let go what nobody thought of. DESIGN §3.
const DAYS_AHEAD_MAX: i64 = 30;
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Which allowances of the layers count, and a word about those that do not. An allowance is reviewed for what was there then:
/// once a run has begun with it, it lets go that, until it is gone, and nothing that came after it.
pub fn in_force(worlds: &PlanInputs<'_>, options: &PlanOptions) -> AllowancesInForce {
    let mut found = AllowancesInForce::default();
    // A destroy is itself the intent.
    if options.intent == Intent::Destroy {
        return found;
    }
    for it in &worlds.stack.allowances {
        match judged(it, worlds, options.now) {
            Ok(lets) => {
                found.allowed = found.allowed.and(&lets);
                let place = worlds.stack.sources.line(it.span);
                found.each.push(PlannedAllowance::new(it.allowance.clone(), place));
            }
            Err(told) => found.told.push(told),
        }
    }
    found
}

/// A word about an allowance whose day is over, or too far ahead.
pub fn out_of_time(it: &LayerAllowance, now: i64) -> Option<Diagnostic> {
    let (exempts, until) = (&it.allowance.exempts, &it.allowance.until);
    if it.ends <= now {
        return Some(
            Diagnostic::warning(
                DiagnosticCode::AllowanceExpired,
                format!("the allowance `{exempts}` ended on {until}"),
            )
            .at(it.span, "this no longer allows anything")
            .help("remove it; where it is still meant, have another day reviewed"),
        );
    }
    // A day counts until its end.
    if it.ends > now + (DAYS_AHEAD_MAX + 1) * DAY {
        return Some(
            Diagnostic::error(
                DiagnosticCode::AllowanceTooLong,
                format!("the allowance `{exempts}` ends more than {DAYS_AHEAD_MAX} days from now"),
            )
            .at(it.span, format!("it would count until {until}"))
            .help("choose an earlier day for `until`"),
        );
    }
    None
}

/// What it lets through now, in the words of the guards.
fn judged(
    it: &LayerAllowance,
    worlds: &PlanInputs<'_>,
    now: i64,
) -> Result<Allowances, Diagnostic> {
    if let Some(told) = out_of_time(it, now) {
        return Err(told);
    }
    let exempts = &it.allowance.exempts;
    let used = worlds.state.and_then(|state| used(state, it));
    let spent = || {
        Diagnostic::warning(
            DiagnosticCode::AllowanceUsed,
            format!("the allowance `{exempts}` has been used"),
        )
        .at(it.span, "what it was for is done, and it allows nothing else")
        .help("remove it")
    };
    let one = |address: &Address| -> Result<Vec<Address>, Diagnostic> {
        if used.is_some_and(|used| !is_left(used, address, worlds)) {
            return Err(spent());
        }
        if used.is_none() && !is_known(address, worlds) {
            return Err(unknown(it, address, worlds));
        }
        Ok(vec![address.clone()])
    };
    let most = |count: usize| -> Result<Option<usize>, Diagnostic> {
        let Some(used) = used else { return Ok(Some(count)) };
        let left = used.lets_go.keys().filter(|it| is_left(used, it, worlds)).count();
        if left == 0 { Err(spent()) } else { Ok(Some(count.min(left))) }
    };
    let nothing = Allowances::default();
    Ok(match exempts {
        Exemption::Delete(it) => Allowances { delete: one(it)?, ..nothing },
        Exemption::Replace(it) => Allowances { replace: one(it)?, ..nothing },
        Exemption::RevertDrift(it) => Allowances { revert: one(it)?, ..nothing },
        Exemption::Destroys(count) => Allowances { destroys: most(*count)?, ..nothing },
        Exemption::Absent(count) => Allowances { absent: most(*count)?, ..nothing },
    })
}

fn used<'s>(state: &'s State, it: &LayerAllowance) -> Option<&'s UsedAllowance> {
    state.used_allowances.iter().find(|used| used.allowance == it.allowance)
}

/// Whether what a run was to let go at this address is still there.
fn is_left(used: &UsedAllowance, address: &Address, worlds: &PlanInputs<'_>) -> bool {
    let (Some(it), Some(state)) = (used.lets_go.get(address), worlds.state) else { return false };
    let Some(record) = state.records.get(address) else { return false };
    if let Exemption::RevertDrift(_) = used.allowance.exempts {
        return seen_drift(address, record, worlds).as_ref() == Some(it);
    }
    if is_another(address, record, worlds) {
        return false;
    }
    match &record.deposed {
        // Of what an interrupted replacement left behind nobody recorded when it was made.
        Some(old) => it.starts_with(&format!("{}{MADE}", old.id)),
        None => *it == incarnation(record),
    }
}

/// Whether somebody has made another object in the place of what is recorded: what the cloud makes up for each is another.
fn is_another(address: &Address, record: &Record, worlds: &PlanInputs<'_>) -> bool {
    let kind = worlds.catalog.get(&record.kind);
    let Some((kind, seen)) = kind.zip(worlds.observed.get(address)) else { return false };
    let is_made_up = |name: &str| kind.attribute(name).is_some_and(|it| it.computed);
    drift(kind, record, seen).iter().any(|it| is_made_up(&it.name))
}

/// Between an ID and the time.
const MADE: &str = ", made ";

/// What goes, told from all that stood at its address before and may come after it: a table made anew has the ID of the one before.
fn incarnation(record: &Record) -> String {
    if let Some(old) = &record.deposed {
        return format!("{}{MADE}earlier", old.id);
    }
    let since = Timestamp::from_millisecond(record.since).unwrap_or_default();
    format!("{}{MADE}{since}", record.id)
}

fn is_known(address: &Address, worlds: &PlanInputs<'_>) -> bool {
    worlds.stack.instances.contains_key(address)
        || worlds.state.is_some_and(|it| it.records.contains_key(address))
}

fn unknown(it: &LayerAllowance, address: &Address, worlds: &PlanInputs<'_>) -> Diagnostic {
    let declared = worlds.stack.instances.keys();
    let recorded = worlds.state.into_iter().flat_map(|it| it.records.keys());
    let names: BTreeSet<String> = declared.chain(recorded).map(ToString::to_string).collect();
    Diagnostic::warning(DiagnosticCode::UnknownAddress, format!("`{address}` does not exist"))
        .at(it.span, "nothing is declared or recorded at this address, so this allows nothing")
        .help("write an address as the plan prints it")
        .nearest(&address.to_string(), names.iter().map(String::as_str))
}

/// What was changed outside, as one text: another change is not what was reviewed.
fn seen_drift(address: &Address, record: &Record, worlds: &PlanInputs<'_>) -> Option<String> {
    let kind = worlds.catalog.get(&record.kind)?;
    if !kind.directs_users(|name| record.attributes.get(name)) {
        return None;
    }
    let all = drift(kind, record, worlds.observed.get(address)?);
    let seen = all.iter().filter(|it| kind.directs(&it.name));
    let seen: Vec<String> = seen.map(|it| format!("{}: {}", it.name, it.observed.json())).collect();
    (!seen.is_empty()).then(|| seen.join(", "))
}

/// What the plan uses of what is in force.
pub fn uses(
    in_force: &[PlannedAllowance],
    planned: &[PlannedChange<'_>],
    worlds: &PlanInputs<'_>,
) -> Vec<PlannedAllowance> {
    if in_force.is_empty() {
        return Vec::new();
    }
    let by_address: BTreeMap<&Address, &PlannedChange<'_>> =
        planned.iter().map(|it| (&it.change.address, it)).collect();
    let id = |it: &PlannedChange<'_>| Some((it.change.address.clone(), incarnation(it.record?)));
    let lets_go = |exempts: &Exemption| -> BTreeMap<Address, String> {
        let change = |address: &Address| by_address.get(address).copied();
        let all = |changes: Vec<&PlannedChange<'_>>| changes.into_iter().filter_map(id).collect();
        match exempts {
            Exemption::Delete(it) | Exemption::Replace(it) => {
                all(change(it).filter(|it| it.change.action.destroys()).into_iter().collect())
            }
            Exemption::RevertDrift(it) => {
                let changed = |it: &&PlannedChange<'_>| {
                    it.change.action == Action::Update || it.change.action.destroys()
                };
                let record = change(it).filter(changed).and_then(|it| it.record);
                let seen = record.and_then(|record| seen_drift(it, record, worlds));
                seen.map(|seen| (it.clone(), seen)).into_iter().collect()
            }
            Exemption::Destroys(_) => all(many_going(planned, worlds.state)),
            Exemption::Absent(_) => {
                all(many_absent_records(planned).into_values().flat_map(|it| it.absent).collect())
            }
        }
    };
    let with = |it: &PlannedAllowance| PlannedAllowance {
        lets_go: lets_go(&it.allowance.exempts),
        ..it.clone()
    };
    in_force.iter().map(with).collect()
}
