//! The audit: the stack at home first, then each switch; what is true of both is told once.

use std::collections::BTreeSet;

use crate::engine::lang::model::Stack;
use crate::engine::plan::checks::offers::OfferRequest;
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::checks::backends;
use crate::engine::recovery::audit::checks::certificate;
use crate::engine::recovery::audit::checks::copies;
use crate::engine::recovery::audit::checks::cost;
use crate::engine::recovery::audit::checks::data;
use crate::engine::recovery::audit::checks::health_page;
use crate::engine::recovery::audit::checks::independence;
use crate::engine::recovery::audit::checks::offers;
use crate::engine::recovery::audit::checks::practice;
use crate::engine::recovery::audit::checks::recorded;
use crate::engine::recovery::audit::checks::standby;
use crate::engine::recovery::audit::checks::tasks;
use crate::engine::recovery::audit::checks::traffic;
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::finding::{Audit, AuditSection, Finding, FindingPlace};
use crate::engine::recovery::audit::rules::INVALID;
use crate::engine::recovery::audit::side::Side;
use crate::engine::schema::Catalog;
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::{Diagnostic, Severity, Sources};

/// One switch to look at: the overlay, and the stack under it.
pub struct ExaminedSwitch<'a> {
    pub overlay: &'a str,
    pub stack: &'a Stack,
}

/// Looks at everything; `has_broken`: there are overlays beside these that cannot be read.
pub fn audit(
    catalog: &Catalog,
    home: &Stack,
    switches: &[ExaminedSwitch<'_>],
    state: Option<&State>,
    facts: &AuditFacts,
    has_broken: bool,
) -> Audit {
    let side = Side::new(catalog, home);
    let is_helpless = switches.is_empty() && !has_broken;
    let mut sections = vec![at_home(&side, is_helpless, state, facts)];
    for switch in switches {
        let recovery = Side::new(catalog, switch.stack);
        let case = AuditCase::new(switch.overlay, &side, &recovery, state, facts);
        let section = after(&case, &sections[0]);
        sections.push(section);
    }
    let home = home.overlays.clone();
    Audit { stack: side.stack.name.clone(), home, sections, at: facts.now }
}

/// Which lists of the clouds have to be read before [`audit`] can say whether they offer what is yet to be made.
pub fn sources(
    catalog: &Catalog,
    home: &Stack,
    switches: &[ExaminedSwitch<'_>],
    state: Option<&State>,
) -> BTreeSet<OfferRequest> {
    let stacks = [home].into_iter().chain(switches.iter().map(|it| it.stack));
    let sides: Vec<Side<'_>> = stacks.map(|it| Side::new(catalog, it)).collect();
    let mut sources = offers::sources(sides.iter(), state);
    sources.extend(cost::sources(sides.iter()));
    sources
}

fn at_home(
    side: &Side<'_>,
    is_helpless: bool,
    state: Option<&State>,
    facts: &AuditFacts,
) -> AuditSection {
    let mut out = AuditSection::default();
    for why in &facts.unread {
        out.fact("report", format!("cannot be read: {why}"));
    }
    if is_helpless {
        let why = "no overlay has `assumes_lost`";
        out.findings.push(Finding::new(&practice::NO_RECOVERY, Some(side.top()), why));
    }
    traffic::check_stack(side, &mut out);
    backends::check_side(side, &mut out);
    data::check(side, facts, &mut out);
    offers::check(side, state, &BTreeSet::new(), facts, &mut out);
    recorded::check_others(side, facts, &mut out);
    certificate::check(side, facts.now, &mut out);
    tasks::check(side, facts, &mut out);
    tidy(&mut out);
    out
}

fn after(case: &AuditCase<'_>, home: &AuditSection) -> AuditSection {
    let lost = case.lost.iter().cloned().collect();
    let overlay = case.overlay.to_owned();
    let active = case.state.filter(|it| it.active.contains(&overlay)).map(|it| it.phase);
    let overlay = Some(overlay);
    let mut out = AuditSection { overlay, lost, active, ..AuditSection::default() };
    independence::check(case, &mut out);
    copies::check(case, &mut out);
    backends::check(case, &mut out);
    traffic::check(case, &mut out);
    health_page::check(case, &mut out);
    standby::check(case, &mut out);
    cost::check(case, &mut out);
    recorded::check(case, &mut out);
    practice::check(case, &mut out);
    // What only an overlay brings.
    traffic::check_numbers(case.recovery, &mut out);
    backends::check_side(case.recovery, &mut out);
    data::check(case.recovery, case.facts, &mut out);
    offers::check(case.recovery, case.state, &case.lost, case.facts, &mut out);
    certificate::check(case.recovery, case.facts.now, &mut out);
    tasks::check(case.recovery, case.facts, &mut out);
    tidy(&mut out);
    out.findings.retain(|it| !home.findings.contains(it));
    out.facts.retain(|it| !home.facts.contains(it));
    out
}

/// In the order of the files; what one line brings to several objects is told once.
fn tidy(out: &mut AuditSection) {
    out.findings.sort_by(|a, b| (&a.place, a.rule.id).cmp(&(&b.place, b.rule.id)));
    let mut kept: Vec<(Finding, BTreeSet<String>)> = Vec::new();
    for it in std::mem::take(&mut out.findings) {
        let subject = it.subject.clone();
        match kept.last_mut() {
            Some((last, others)) if (last.rule, &last.place) == (it.rule, &it.place) => {
                others.extend(subject.filter(|it| Some(it) != last.subject.as_ref()));
            }
            _ => kept.push((it, BTreeSet::new())),
        }
    }
    out.findings = kept
        .into_iter()
        .map(|(it, others)| match others.len() {
            0 => it,
            more => Finding { why: format!("{} (and {more} more like it)", it.why), ..it },
        })
        .collect();
    let mut seen = BTreeSet::new();
    out.facts.retain(|it| seen.insert((it.name, it.text.clone())));
}

/// Layers that cannot be read as a stack: their mistakes are the findings.
pub fn invalid(
    overlay: Option<&str>,
    diagnostics: &[Diagnostic],
    sources: &Sources,
) -> AuditSection {
    let told = diagnostics.iter().filter(|it| it.severity > Severity::Warning);
    let findings = told.map(|it| {
        let label = it.labels.first();
        let place = label.map(|label| FindingPlace::of(sources, label.span));
        let why = match label {
            Some(label) => format!("{}: {} ({})", it.summary, label.text, it.code),
            None => format!("{} ({})", it.summary, it.code),
        };
        let finding = Finding::new(&INVALID, place, why);
        match &it.help {
            Some(help) => finding.remedy(help.clone()),
            None => finding,
        }
    });
    let overlay = overlay.map(str::to_owned);
    AuditSection { overlay, findings: findings.collect(), ..AuditSection::default() }
}
