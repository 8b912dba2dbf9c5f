//! A switch to a site that says nothing, or a planned one away from it: refused before it takes away what users may need.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::plan::model::options::fitting;
use crate::engine::schema::Kind;
use crate::engine::state::record::{Record, State};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::text::plain::listed;

/// A name that the switch leads elsewhere, and who says nothing where it leads and where it led.
struct Route<'a> {
    name: &'a Address,
    /// Where the layers lead it.
    target: Option<Address>,
    /// Fault domains of the serving closure there that say nothing.
    silent: BTreeSet<&'a str>,
    /// The target itself: its fault domain, if that says nothing or is lost.
    dead: Option<DeadSite<'a>>,
    /// Where it leads users now.
    from: Option<Address>,
    /// Fault domains of the serving closure that it leaves that say nothing.
    from_silent: BTreeSet<&'a str>,
}

/// Why nobody is served somewhere, as far as is known.
#[derive(Clone, Copy)]
enum DeadSite<'a> {
    Silent(&'a str),
    Lost(&'a str),
}

impl<'a> Route<'a> {
    /// Users are there already. Those whom the switch itself would lead there are the matter of other rules.
    fn stays_dead(&self) -> Option<DeadSite<'a>> {
        self.dead.filter(|_| self.from == self.target)
    }
}

/// Silence may be a loss, and only a person can say so: until then no switch begins that needs the site which is silent, and
/// none goes on that takes away the other one. Under a declared loss a failover does what it can.
pub fn silent_site(it: &PlanBuilder<'_>) -> Option<Diagnostic> {
    let (state, stack) = (it.worlds.state?, it.worlds.stack);
    if !it.options.is_switch() || (it.silent.is_empty() && it.options.lost.is_empty()) {
        return None;
    }
    let begins = state.active != stack.overlays;
    let goes_home = stack.overlays == state.home;
    let routes = routes(it, state);
    if begins && goes_home {
        if let Some(route) = routes.iter().find(|it| !it.silent.is_empty()) {
            return Some(silent_home(it, route));
        }
    } else if begins && it.options.lost.is_empty() {
        let silent: BTreeSet<&str> =
            routes.iter().flat_map(|it| it.silent.union(&it.from_silent)).copied().collect();
        if !silent.is_empty() {
            return Some(planned_without(it, &routes, &silent));
        }
    }
    takes_way_out(it, &routes)
}

fn routes<'a>(it: &'a PlanBuilder<'_>, state: &'a State) -> Vec<Route<'a>> {
    let (catalog, stack) = (it.worlds.catalog, it.worlds.stack);
    let (wanted, recorded) =
        (DesiredTopology::new(catalog, stack), RecordedTopology::new(catalog, state));
    let silent_in = |closure: BTreeSet<Address>| -> BTreeSet<&str> {
        closure.iter().filter_map(|at| it.silent.silent_at(at)).collect()
    };
    let dead_at = |address: &Address| {
        let frozen = it.planned.iter().find(|one| one.change.address == *address);
        let lost = frozen.and_then(|it| it.change.frozen.as_deref()).map(DeadSite::Lost);
        it.silent.silent_at(address).map(DeadSite::Silent).or(lost)
    };
    let leads =
        |kind: &Kind, record: &Record| kind.directs_users(|name| record.attributes.get(name));
    let routes = it.planned.iter().filter_map(|planned| {
        let address = &planned.change.address;
        let carried = it.carried.is_none_or(|it| it.redirects(address));
        planned.kind.drain.as_ref().filter(|_| carried || planned.instance.is_none())?;
        let before = planned.record.filter(|record| leads(planned.kind, record));
        let before =
            before.map(|record| recorded.leads_to(planned.kind, record)).unwrap_or_default();
        let targets = planned.instance.map(|one| wanted.targets(planned.kind, one));
        let targets = targets.unwrap_or_default();
        Some(Route {
            name: address,
            silent: silent_in(wanted.closure(&targets)),
            dead: targets.first().and_then(dead_at),
            from_silent: silent_in(recorded.closure(&before)),
            target: targets.into_iter().next(),
            from: before.into_iter().next(),
        })
    });
    routes.collect()
}

fn silent_home(it: &PlanBuilder<'_>, route: &Route<'_>) -> Diagnostic {
    let (name, silent) = (route.name, &route.silent);
    let target = route.target.as_ref().map_or_else(String::new, |it| format!(" to `{it}`"));
    let text = format!(
        "this switch would lead users of `{name}`{target}, but {}, and nobody declared that lost",
        unanswered(silent)
    );
    let now = match &route.from {
        from if *from == route.target => ways_out(it, silent),
        _ => "users stay where they are; ".to_owned(),
    };
    let without =
        AdvisedCommand::Failback { stack: &it.name(), lost: silent.iter().copied().collect() };
    // Into what is lost nobody goes home.
    let without = match route.dead {
        Some(_) => String::new(),
        None => format!(", or go home without it: {without}"),
    };
    refusal(text, format!("{now}run the same command again once {}{without}", answered(silent)))
}

/// Only what stays up can be waited for: a planned switch waits for the last writes of the site that it leaves.
fn planned_without(
    it: &PlanBuilder<'_>,
    routes: &[Route<'_>],
    silent: &BTreeSet<&str>,
) -> Diagnostic {
    let text =
        format!("both sites have to answer for a planned switch, but {}", unanswered(silent));
    let again = format!("run the same command again once {}", answered(silent));
    let goes_into = routes.iter().any(|it| it.dead.is_some());
    let to = it.worlds.stack.overlays.last().filter(|_| !goes_into);
    let Some(to) = to else {
        return refusal(text, format!("users stay where they are; {again}"));
    };
    let stack = it.name();
    let failover = under_loss(&stack, to, silent);
    let lost = if silent.len() == 1 { "it is lost" } else { "they are lost" };
    refusal(text, format!("if {lost}: {failover}; otherwise {again}"))
}

/// What no switch destroys: the only site that answers, while users are led to one that does not.
fn takes_way_out(it: &PlanBuilder<'_>, routes: &[Route<'_>]) -> Option<Diagnostic> {
    let dead = routes.iter().map(Route::stays_dead).collect::<Option<Vec<_>>>()?;
    let (route, dead) = (routes.first()?, *dead.first()?);
    let mut going = it.planned.iter().filter(|it| it.change.action.destroys());
    let first = going.next()?;
    let more = match going.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (code, why, domain) = match dead {
        DeadSite::Silent(domain) => {
            (DiagnosticCode::SilentSite, format!("{domain} is unreachable"), domain)
        }
        DeadSite::Lost(_) if it.options.allowed.outage => return None,
        DeadSite::Lost(domain) => (DiagnosticCode::LostTarget, format!("{domain} is lost"), domain),
    };
    let target = route.target.as_ref()?;
    let text = format!(
        "this would {} `{}`{more}, while `{}` sends users to `{target}`, and {why}",
        first.change.action.word(),
        first.change.address,
        route.name
    );
    let silent = BTreeSet::from([domain]);
    let out = ways_out(it, &silent);
    let is_recorded =
        |lost: &LossDeclaration| lost.fault_domain == domain && lost.recorded.is_some();
    let help = if it.options.lost.iter().any(is_recorded) {
        // Nobody asks what is recorded as lost, so that it never answers.
        let stack = it.name();
        let found = AdvisedCommand::Recovered { stack: &stack, fault_domain: domain };
        format!("{out}once {domain} answers, {found}, then run the same command again")
    } else {
        format!("{out}run the same command again once {domain} answers")
    };
    Some(Diagnostic::refusal(code, text).help(help))
}

/// How users get away from there.
fn ways_out(it: &PlanBuilder<'_>, silent: &BTreeSet<&str>) -> String {
    let stack = it.name();
    let ways = it.options.ways.iter();
    let out = fitting(ways, silent).map(|way| under_loss(&stack, &way.overlay, silent));
    let out = out.unwrap_or(AdvisedCommand::FailoverWhere { stack: &stack });
    format!(
        "users are sent there now; to move them to a site that answers: {out}; to go on with this, "
    )
}

fn under_loss<'a>(stack: &'a str, to: &'a str, silent: &BTreeSet<&'a str>) -> AdvisedCommand<'a> {
    let lost = silent.iter().copied().collect();
    AdvisedCommand::Failover { stack, to, lost, planned: false }
}

fn unanswered(silent: &BTreeSet<&str>) -> String {
    let verb = if silent.len() == 1 { "is" } else { "are" };
    format!("{} {verb} unreachable", listed(silent.iter().copied()))
}

fn answered(silent: &BTreeSet<&str>) -> String {
    let answers = if silent.len() == 1 { "answers" } else { "answer" };
    format!("{} {answers}", listed(silent.iter().copied()))
}

fn refusal(text: String, help: String) -> Diagnostic {
    Diagnostic::refusal(DiagnosticCode::SilentSite, text).help(help)
}
