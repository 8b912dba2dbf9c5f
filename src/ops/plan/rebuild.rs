//! Rebuilds a state that was lost: what the layers declare is looked for in the clouds, and what is ours for certain is recorded.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::provider::ReadResult;
use crate::engine::address::Address;
use crate::engine::containment::{container, find_record, referred};
use crate::engine::lang::merge::variables::remembered;
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::ownership_tag::is_of;
use crate::engine::plan::checks::unrecorded::{Looked, Unknown};
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::plan::model::change::OutputChange;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::State;
use crate::engine::value::Value;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::{DEPTH, inquiries, looked_on, prepare};
use crate::ops::plan::missing::recorded_elsewhere;
use crate::ops::plan::{refresh, unknown_objects};

/// What was read of a state that was lost.
#[derive(Debug)]
pub struct RebuiltState {
    /// With a record of everything that was found.
    pub state: State,
    /// Why each of them is taken for ours.
    pub found: BTreeMap<Address, String>,
    /// What is declared and not recorded, and why.
    pub undecided: BTreeMap<Address, String>,
    /// Kind and ID of what carries a tag of this stack, and stands in the place of nothing that is declared.
    pub left: Vec<(String, String)>,
}

/// Who somebody says that an address is.
pub type Choices = BTreeMap<Address, String>;

/// Reads the clouds, and records in this empty state what is there and ours. Nothing is changed.
pub async fn rebuild(
    session: &Session,
    ask: &PlanRequest,
    mut state: State,
    choices: &Choices,
) -> Result<RebuiltState, OpsError> {
    // What is in something of ours just as it was to stand is ours as well.
    state.is_restored = true;
    let mut prepared = prepare(session, ask, Some(state))?;
    let asked = inquiries(session, ask, &prepared);
    session.check_endpoints(&asked)?;
    let accounts = refresh::accounts(session, &asked, prepared.state.as_ref()).await?;
    let mut seen = refresh::observe(session, &asked).await;
    drop(asked);
    let elsewhere = recorded_elsewhere(session, &ask.place);
    let mut found = BTreeMap::new();
    let mut undecided = BTreeMap::new();
    for _ in 0..DEPTH {
        let Some(state) = &prepared.state else { break };
        let asked = inquiries(session, ask, &prepared);
        let (mut unknown, mut reasons) = (Vec::new(), BTreeMap::new());
        for it in asked.iter().filter(|it| it.id.is_none()) {
            let Some(kind) = session.catalog.get(&it.kind) else { continue };
            let seen = seen.objects.get(&it.address);
            let known = KnownBeside { state, place: &ask.place, elsewhere: &elsewhere, choices };
            match decide(session, (it, kind, seen), &known).await {
                Verdict::Ours(id, why) => {
                    undecided.remove(&it.address);
                    reasons.insert(it.address.clone(), why);
                    unknown.push(unknown_of(it, id));
                }
                Verdict::Undecided(why) => drop(undecided.insert(it.address.clone(), why)),
                Verdict::Inside | Verdict::Absent => {}
            }
        }
        look_at_chosen(session, &unknown, &mut seen).await;
        let looked = Looked {
            catalog: &session.catalog,
            state,
            stack: &prepared.sides.desired.stack,
            observed: &seen.objects,
            unknown: &unknown,
            is_older: true,
            now: session.clock.now(),
        };
        let adopted = looked.adopted(&asked);
        drop(asked);
        if adopted.is_empty() {
            break;
        }
        for it in adopted {
            let (address, at) = (it.address, session.clock.now());
            undecided.remove(&address);
            let outcome = StepOutcome::Recorded(Box::new(it.record));
            let entry = JournalEntry::Ended { address: address.clone(), step: 0, outcome, at };
            prepared.state.iter_mut().for_each(|state| fold(state, &entry));
            let why = reasons.get(&address).map_or(it.why, |why| (*why).to_owned());
            found.insert(address, why);
        }
        unknown_objects::look_on(session, inquiries(session, ask, &prepared), &mut seen).await;
    }
    for it in inquiries(session, ask, &prepared).iter().filter(|it| it.id.is_none()) {
        if let Some(why) = unrecorded(session, it, seen.objects.get(&it.address)) {
            undecided.entry(it.address.clone()).or_insert(why);
        }
    }
    let mut state = prepared.state.expect("it was given");
    state.bound = accounts;
    let left = left_over(seen.beside, &state, &ask.place, &elsewhere);
    Ok(RebuiltState { state, found, undecided, left })
}

/// What is decided by its ID, where its name alone did not tell which one it is.
async fn look_at_chosen(session: &Session, chosen: &[Unknown], seen: &mut refresh::Refreshed) {
    for it in chosen {
        if matches!(seen.objects.get(&it.address), Some(Observation::Exists { .. })) {
            continue;
        }
        let Some(kind) = session.catalog.get(&it.kind) else { continue };
        let look = session.provider.look(kind, &it.id, &it.attributes).await;
        if let Ok(ReadResult::Exists { attributes, ready, .. }) = look {
            seen.objects.insert(it.address.clone(), Observation::Exists { attributes, ready });
        }
    }
}

/// Kind and ID of what carries a tag of this stack, and is recorded nowhere.
fn left_over(
    beside: Vec<Neighbor>,
    state: &State,
    place: &StackRef,
    elsewhere: &BTreeSet<String>,
) -> Vec<(String, String)> {
    let is_ours = |it: &Neighbor| it.mark.as_ref().is_some_and(|it| is_of(it, &place.stack));
    let is_recorded =
        |id: &String| elsewhere.contains(id) || state.records.values().any(|it| it.id == *id);
    let left = beside.into_iter().filter(|it| is_ours(it) && !is_recorded(&it.id));
    let left: BTreeSet<(String, String)> = left.map(|it| (it.kind, it.id)).collect();
    left.into_iter().collect()
}

/// What decides beside the clouds.
struct KnownBeside<'a> {
    state: &'a State,
    place: &'a StackRef,
    /// IDs that other workspaces have recorded.
    elsewhere: &'a BTreeSet<String>,
    choices: &'a Choices,
}

/// What is known of one address.
enum Verdict {
    /// It has this ID, and why it is taken for ours.
    Ours(String, &'static str),
    /// Its kind carries no tag: what it is inside of decides.
    Inside,
    Absent,
    Undecided(String),
}

/// By tags, or by what somebody says.
async fn decide(
    session: &Session,
    (asked, kind, seen): (&ReadRequest<'_>, &Kind, Option<&Observation>),
    known: &KnownBeside<'_>,
) -> Verdict {
    let KnownBeside { state, place, elsewhere, choices } = known;
    if matches!(seen, None | Some(Observation::Absent)) {
        return Verdict::Absent;
    }
    let choice = choices.get(&asked.address);
    let is_seen = matches!(seen, Some(Observation::Exists { .. }));
    if kind.mark.is_none() && choice.is_none() && is_seen {
        return Verdict::Inside;
    }
    let mut alike = match session.provider.alike(kind, &asked.attributes).await {
        Ok(alike) => alike,
        Err(why) => return Verdict::Undecided(why.to_string()),
    };
    alike.retain(|it| !it.foreign && !elsewhere.contains(&it.id));
    let is_ours = |it: &&Candidate| it.mark.as_ref().is_some_and(|mark| is_of(mark, &place.stack));
    let tagged: Vec<String> = alike.iter().filter(is_ours).map(|it| it.id.clone()).collect();
    let ids = alike.iter().map(|it| it.id.as_str()).collect::<Vec<_>>().join(", ");
    match (choice, tagged.as_slice()) {
        (Some(chosen), _) if alike.iter().any(|it| it.id == *chosen) => {
            Verdict::Ours(chosen.clone(), "you said so")
        }
        (Some(chosen), _) => {
            Verdict::Undecided(format!("{chosen} is none of those that have its name: {ids}"))
        }
        (None, _) if kind.mark.is_none() && !alike.is_empty() => {
            Verdict::Undecided(format!("it may be any of: {ids}"))
        }
        (None, _) if kind.mark.is_none() => Verdict::Inside,
        (None, [one]) => Verdict::Ours(one.clone(), "it carries an ownership tag of this stack"),
        // Only one that joins the group of the table by that name is of its identity and not foreign.
        (None, []) if alike.len() == 1 && is_in_our_group(state, kind, asked) => {
            Verdict::Ours(alike.remove(0).id, "it is in a group of which a member is recorded")
        }
        (None, []) => Verdict::Undecided(format!(
            "{ids} has its name, and carries no ownership tag of this stack"
        )),
        (None, several) => Verdict::Undecided(format!("it may be any of: {}", several.join(", "))),
    }
}

/// Whether it is a member of a group that has a member of ours: such a group has one life, whoever tagged which member.
fn is_in_our_group(state: &State, kind: &Kind, asked: &ReadRequest<'_>) -> bool {
    let attributes = &asked.attributes;
    let mut others =
        kind.attributes.iter().filter_map(|(name, _)| referred(kind, name, attributes));
    kind.group.is_some() && others.any(|it| find_record(state, it).is_some())
}

fn unknown_of(asked: &ReadRequest<'_>, id: String) -> Unknown {
    Unknown {
        address: asked.address.clone(),
        kind: asked.kind.clone(),
        id,
        attributes: asked.attributes.clone().into_owned(),
    }
}

/// Why something that is there, or could not be looked at, is not recorded.
fn unrecorded(
    session: &Session,
    asked: &ReadRequest<'_>,
    seen: Option<&Observation>,
) -> Option<String> {
    let kind = session.catalog.get(&asked.kind)?;
    match seen? {
        Observation::Absent => None,
        Observation::Unknown(it) => Some(it.why.clone()),
        Observation::Exists { attributes, .. } => {
            let id = attributes.get("id").and_then(Value::as_text).unwrap_or("something");
            Some(if container(kind, &asked.attributes).is_some() {
                format!("{id} has its name there, with other settings than the layers say")
            } else {
                format!(
                    "{id} has its name, and nothing tells whose it is: its kind carries no ownership tag, and it is inside of nothing"
                )
            })
        }
    }
}

/// The same state with what a run that went through would have recorded beside resources: variables and outputs.
pub async fn complete(
    session: &Session,
    ask: &PlanRequest,
    mut state: State,
) -> Result<State, OpsError> {
    let (proposed, _) = looked_on(session, ask, Some(state.clone())).await?;
    state.variables = remembered(&proposed.desired.stack.variables);
    for OutputChange { name, after, .. } in &proposed.plan.outputs {
        if !after.has_open() && !after.is_null() {
            state.outputs.insert(name.clone(), after.sealed(&state.key));
        }
    }
    Ok(state)
}
