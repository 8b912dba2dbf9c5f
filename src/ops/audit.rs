//! Audits: gathers layers, state, reports and, if asked, the clouds, and lets the engine's rules look at them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::lang::merge::variables::{GivenVariable, RememberedVariables};
use crate::engine::lang::model::Stack;
use crate::engine::lang::yaml::node::{Data, Node};
use crate::engine::plan::traffic::filters::SHUT_BY_OTHERS;
use crate::engine::recovery::audit::examine::{ExaminedSwitch, audit as examine, invalid, sources};
use crate::engine::recovery::audit::facts::{AuditFacts, Drill, Online, Store};
use crate::engine::recovery::audit::finding::{Audit, AuditSection};
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::recovery::report::summary::SwitchKind;
use crate::engine::state::record::State;
use crate::engine::task::TASK;
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::session::Session;
use crate::ops::load::sides;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::ops::plan::make::looked;
use crate::ops::plan::refresh;
use crate::ops::plan::tasks_ahead::declared_programs_missing;

/// What is to be audited.
#[derive(Debug, Clone)]
pub struct AuditQuestion {
    pub place: StackRef,
    /// Whose layers are looked at, where they are not those of the place: another commit's.
    pub layers: Option<StackRef>,
    /// The overlays that are switched to; none: all that take something for lost.
    pub to: Vec<String>,
    pub given: Vec<GivenVariable>,
    /// Settings that lead into a fault domain: name, fault domain.
    pub settings: Vec<(String, String)>,
    /// The fault domain that this machine, and a state folder on it, are in.
    pub here: Option<String>,
    pub online: bool,
}

impl AuditQuestion {
    /// Where the layers are.
    fn layers(&self) -> &StackRef {
        self.layers.as_ref().unwrap_or(&self.place)
    }
}

/// Looks at everything; writes nothing, and calls no cloud unless asked to.
pub async fn audit(session: &Session, question: &AuditQuestion) -> Result<Audit, OpsError> {
    let place = &question.place;
    let store = session.store(place);
    let state = store.load()?;
    let mut facts = facts(session, question, state.as_ref()).await?;
    let home_overlays = state.as_ref().map(|it| it.home.clone()).unwrap_or_default();
    let home = match stack(session, question, &home_overlays, state.as_ref()) {
        Ok(home) => home,
        Err(why) => return refused(place, None, why, &facts),
    };
    let mut switches: Vec<(String, Stack)> = Vec::new();
    let mut broken = Vec::new();
    for overlay in overlays(session, question, &home_overlays)? {
        let mut layers = home_overlays.clone();
        layers.push(overlay.clone());
        match stack(session, question, &layers, state.as_ref()) {
            Ok(stack) => switches.push((overlay, stack)),
            Err(why) => broken.push(mistakes(Some(&overlay), why)?),
        }
    }
    let folder = question.layers().folder();
    for stack in switches.iter().map(|(_, it)| it).chain([&home]) {
        facts.missing_programs.extend(declared_programs_missing(stack, &folder));
    }
    let switches: Vec<ExaminedSwitch<'_>> =
        switches.iter().map(|(overlay, stack)| ExaminedSwitch { overlay, stack }).collect();
    if question.online {
        let sources = sources(&session.catalog, &home, &switches, state.as_ref());
        facts.offers = Some(refresh::offers(session, sources).await);
    }
    let has_broken = !broken.is_empty();
    let mut audit = examine(&session.catalog, &home, &switches, state.as_ref(), &facts, has_broken);
    audit.sections.extend(broken);
    Ok(audit)
}

fn stack(
    session: &Session,
    question: &AuditQuestion,
    overlays: &[String],
    state: Option<&State>,
) -> Result<Stack, OpsError> {
    let nothing = RememberedVariables::none();
    let remembered = state.map_or(nothing, |it| it.remembered(overlays));
    let desired = layers::desired(
        question.layers(),
        overlays,
        &question.given,
        remembered,
        &session.catalog,
    )?;
    Ok(desired.stack)
}

/// An audit that ends with the mistakes of the stack itself.
fn refused(
    place: &StackRef,
    overlay: Option<&str>,
    why: OpsError,
    facts: &AuditFacts,
) -> Result<Audit, OpsError> {
    let sections = vec![mistakes(overlay, why)?];
    Ok(Audit { stack: place.stack.clone(), sections, at: facts.now, ..Audit::default() })
}

/// Mistakes in layers are findings; everything else ends the audit.
fn mistakes(overlay: Option<&str>, why: OpsError) -> Result<AuditSection, OpsError> {
    match why {
        OpsError::Mistakes { diagnostics, sources } => Ok(invalid(overlay, &diagnostics, &sources)),
        other => Err(other),
    }
}

/// The asked overlays, else those that take something for lost and are no drill's.
fn overlays(
    session: &Session,
    question: &AuditQuestion,
    home: &[String],
) -> Result<Vec<String>, OpsError> {
    if !question.to.is_empty() {
        return Ok(question.to.clone());
    }
    let mut found = Vec::new();
    for name in layers::overlays(question.layers()) {
        let mut layers = home.to_vec();
        layers.push(name.clone());
        let nothing = RememberedVariables::none();
        let loaded =
            layers::layers(question.layers(), &layers, &question.given, nothing, &session.catalog)?;
        // One that cannot be read at all may be the one that matters.
        let is_whole = loaded.layers.len() > layers.len();
        let keys = loaded.layers.last().filter(|_| is_whole).and_then(Node::as_map);
        let is_recovery = keys.is_none_or(|it| {
            let lost = it.get("assumes_lost").map(|it| &it.node.data);
            let is_given = !matches!(lost, None | Some(Data::Null));
            is_given && !it.contains_key("workspace")
        });
        if is_recovery {
            found.push(name);
        }
    }
    Ok(found)
}

async fn facts(
    session: &Session,
    question: &AuditQuestion,
    state: Option<&State>,
) -> Result<AuditFacts, OpsError> {
    let store = session.store(&question.place);
    let (drills, unread) = drills(session, &question.place)?;
    let online = match (question.online, state) {
        (true, Some(_)) => Some(observe(session, question).await?),
        _ => None,
    };
    let (declared, has_witness) =
        stores::declared_at(question.layers(), session.target.is_sandbox());
    let mut declared =
        declared.into_iter().map(|(shown, domain)| Store { shown, fault_domain: Some(domain) });
    Ok(AuditFacts {
        now: session.clock.now(),
        in_sandbox: session.target.is_sandbox(),
        store: declared.next().unwrap_or_else(|| Store {
            shown: question.place.shown(store.folder()),
            fault_domain: question.here.clone(),
        }),
        mirror: declared.next(),
        has_witness,
        settings: question.settings.clone(),
        drills,
        rehearsals: rehearsals(question.layers()),
        unread,
        online,
        missing_programs: BTreeMap::new(),
        offers: None,
    })
}

/// What each overlay rehearses; one with mistakes is told of where it is laid.
fn rehearsals(place: &StackRef) -> BTreeMap<String, Vec<String>> {
    let names = layers::overlays(place).into_iter();
    let rehearsed = names.filter_map(|name| {
        let stack = layers::instance_of(place, &name).ok()?;
        let of: Vec<String> = stack.rehearses.into_iter().map(|(it, _)| it).collect();
        (!of.is_empty()).then_some((name, of))
    });
    rehearsed.collect()
}

/// What the clouds say of everything recorded, as a plan sees it.
async fn observe(session: &Session, question: &AuditQuestion) -> Result<Online, OpsError> {
    let ask = sides::PlanRequest::to_apply(&question.place, &question.given);
    let proposed = looked(session, &ask).await?;
    let drift = proposed.plan.drift.into_iter().map(|it| {
        let names = it.attributes.into_iter().map(|it| it.name);
        (it.address, if it.absent { Vec::new() } else { names.collect() })
    });
    let foreign = proposed.plan.foreign;
    let shut = proposed.plan.notes.into_iter().filter(|it| it.code == SHUT_BY_OTHERS.as_str());
    let shut = shut.map(|it| it.text).collect();
    Ok(Online { drift: drift.collect(), observed: proposed.observed, foreign, shut })
}

fn tasks_done(steps: &[StepTiming]) -> BTreeSet<String> {
    let done = steps.iter().filter(|it| it.kind == TASK && it.became == StepResult::Done);
    done.map(|it| it.address.name.clone()).collect()
}

/// When the last drill of a stack ended that passed, in milliseconds since the Unix epoch.
pub fn last_passed_drill(session: &Session, place: &StackRef) -> Result<Option<i64>, OpsError> {
    let (drills, _) = drills(session, place)?;
    Ok(drills.iter().filter(|it| it.passed).map(|it| it.at).max())
}

/// Reports of drills in every instance of the stack, and files that are none.
fn drills(session: &Session, place: &StackRef) -> Result<(Vec<Drill>, Vec<String>), OpsError> {
    let (mut drills, mut unread) = (Vec::new(), Vec::new());
    for instance in place.recorded(&session.store(place))? {
        let (kept, damaged) = session.store(&instance).reports().list()?;
        let rehearsed = kept.into_iter().map(|it| it.report);
        drills.extend(rehearsed.filter(|it| it.kind == SwitchKind::Drill).map(|it| Drill {
            at: it.span.ended,
            passed: it.passed(),
            tasks: tasks_done(&it.steps),
            overlays: it.to,
        }));
        unread.extend(damaged.iter().map(|it| format!("{}: {}", place.shown(&it.file), it.why)));
    }
    Ok((drills, unread))
}
