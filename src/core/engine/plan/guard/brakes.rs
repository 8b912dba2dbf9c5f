//! Brakes: what no plan does to so many resources at once without being told to.

use std::collections::BTreeMap;

use crate::engine::plan::model::change::Action;
use crate::engine::plan::model::options::Allowances;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::state::record::State;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// What the plan deletes or replaces; what lifeboat is deleting already is no news.
fn going<'p, 'a>(
    planned: &'p [PlannedChange<'a>],
) -> impl Iterator<Item = &'p PlannedChange<'a>> + Clone {
    let is_leaving = |it: &PlannedChange<'_>| it.record.is_some_and(|it| it.leaving);
    planned.iter().filter(move |it| it.change.action.destroys() && !is_leaving(it))
}

/// More than three resources and more than 30 % of them. A guess, low on purpose: one or two are daily work, while a wrong overlay
/// or a renamed key touches most of a stack.
fn destroys_limit(state: Option<&State>) -> usize {
    let records = state.map_or(0, |it| it.records.len());
    (records * 3 / 10).max(3)
}

/// What is deleted or replaced, where that is more than goes without a word; else nothing.
pub fn many_going<'p, 'a>(
    planned: &'p [PlannedChange<'a>],
    state: Option<&State>,
) -> Vec<&'p PlannedChange<'a>> {
    let going = going(planned);
    if going.clone().count() > destroys_limit(state) { going.collect() } else { Vec::new() }
}

/// Refuses to delete or replace so many without an allowance.
pub fn many_destroys(
    planned: &[PlannedChange<'_>],
    state: Option<&State>,
    allowed: &Allowances,
) -> Option<Diagnostic> {
    let count = many_going(planned, state).len();
    if count == 0 || allowed.destroys.is_some_and(|it| count <= it) {
        return None;
    }
    let (records, limit) = (state.map_or(0, |it| it.records.len()), destroys_limit(state));
    Some(
        Diagnostic::refusal(DiagnosticCode::ManyDestroys, format!("this plan deletes or replaces {count} of {records} resources; more than {limit} at once require confirmation"))
            .help(format!("to allow this: --allow-destroys {count}")),
    )
}

/// What is recorded of one provider, and what of it does not exist.
#[derive(Default)]
pub struct AbsentRecords<'p, 'a> {
    all: usize,
    pub absent: Vec<&'p PlannedChange<'a>>,
}

/// By provider, where more are absent than is believed without a word: more than two and more than half of its resources. A guess:
/// a lost region rarely holds more.
pub fn many_absent_records<'p, 'a>(
    planned: &'p [PlannedChange<'a>],
) -> BTreeMap<&'p str, AbsentRecords<'p, 'a>> {
    let mut records: BTreeMap<&str, AbsentRecords<'_, '_>> = BTreeMap::new();
    for it in planned {
        let Some(record) = it.record else { continue };
        let of = records.entry(&it.kind.provider).or_default();
        of.all += 1;
        // What lifeboat itself deleted is no surprise.
        if !record.leaving && matches!(it.change.action, Action::Create | Action::Forget) {
            of.absent.push(it);
        }
    }
    records.retain(|_, it| it.absent.len() > (it.all / 2).max(2));
    records
}

/// Refuses to believe that so many are absent: a wrong account or token is likelier than a catastrophe, and recreating everything
/// would be one.
pub fn many_absent(planned: &[PlannedChange<'_>], allowed: &Allowances) -> Vec<Diagnostic> {
    let records = many_absent_records(planned).into_iter();
    records
        .map(|(provider, it)| (provider, it.all, it.absent.len()))
        .filter(|(_, _, absent)| allowed.absent.is_none_or(|it| *absent > it))
        .map(|(provider, all, absent)| {
            Diagnostic::refusal(
                DiagnosticCode::ManyAbsent,
                format!("{absent} of {all} recorded {provider} resources do not exist"),
            )
            .help(format!(
                "check the account and the token; if the resources really were deleted: --allow-absent {absent}"
            ))
        })
        .collect()
}
