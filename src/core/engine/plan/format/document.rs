//! The plan as plain serde structs: the names and the order of every field of its JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::plan::format::calls::{Malformed, StepJson};
use crate::engine::plan::model::change::{
    Action, AttributeChange, Bindings, Change, Danger, DeferReason, Deferred, Drift, Foreign,
    LossDeclaration, Note, OutputChange, Plan, StaleReport, Stray, Summary,
};
use crate::engine::schema::Sort;
use crate::engine::state::record::Allowances;
use crate::engine::value::Value;

/// Everything under `plan`: what the digest is over.
#[derive(Serialize, Deserialize)]
pub struct PlanJson {
    stack: String,
    instance: Option<String>,
    switch: Option<SwitchJson>,
    overlays: Vec<String>,
    #[serde(default)]
    lost: Vec<LossJson>,
    #[serde(default)]
    thaws: Vec<String>,
    #[serde(with = "BindingsJson")]
    bindings: Bindings,
    #[serde(default, skip_serializing_if = "Allowances::is_nothing")]
    allowed: Allowances,
    #[serde(default, skip_serializing_if = "is_false")]
    include_pending: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replace: Vec<Address>,
    notes: Vec<NoteJson>,
    changes: Vec<ChangeJson>,
    /// Since 1.3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dangers: Vec<DangerJson>,
    outputs: Vec<OutputJson>,
    #[serde(default)]
    stale: Vec<StaleJson>,
    drift: Vec<DriftJson>,
    /// Since 1.4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    foreign: Vec<ForeignJson>,
    /// Since 1.5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strays: Vec<Stray>,
    steps: Vec<StepJson>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(it: &bool) -> bool {
    !it
}

#[derive(Serialize, Deserialize)]
struct SwitchJson {
    from: Vec<String>,
    to: Vec<String>,
}

/// `since` and `by` are absent where the plan itself assumes the loss.
#[derive(Serialize, Deserialize)]
struct LossJson {
    fault_domain: String,
    since: Option<i64>,
    by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StaleJson {
    what: String,
    from: String,
    fault_domain: String,
    since: Option<i64>,
}

/// `danger` is `data`, `traffic`, `exposure` or `protection`.
#[derive(Serialize, Deserialize)]
struct DangerJson {
    address: String,
    danger: String,
    says: String,
}

#[derive(Serialize, Deserialize)]
struct ForeignJson {
    address: Address,
    kind: String,
    id: String,
    leads_to: String,
    misleads: bool,
}

/// What would be done and has to wait: `wait` is `lost`, `pending`, `group`, `unseen` or `retained`.
#[derive(Serialize, Deserialize)]
struct HeldJson {
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_first: Option<bool>,
    wait: String,
    why: String,
    attributes: Vec<AttributeJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Bindings")]
struct BindingsJson {
    version: String,
    kinds: String,
    files: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    lineage: String,
    serial: u64,
    sequence: u64,
    active: Vec<String>,
    lost: Vec<String>,
    target: String,
    accounts: BTreeMap<String, String>,
    intent: String,
}

#[derive(Serialize, Deserialize)]
struct NoteJson(#[serde(with = "NoteFields")] Note);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Note")]
struct NoteFields {
    severity: String,
    code: String,
    text: String,
    places: Vec<String>,
    help: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ChangeJson {
    address: String,
    kind: String,
    action: String,
    /// Of a replace: whether the new one is made before the old one is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    create_first: Option<bool>,
    reason: String,
    place: Option<String>,
    id: Option<String>,
    moved_from: Option<String>,
    unseen: Option<String>,
    /// `unclear`, `throttled`, `unreachable`, `malformed` or `denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unseen_reason: Option<String>,
    frozen: Option<String>,
    held: Option<HeldJson>,
    loses_data: bool,
    attributes: Vec<AttributeJson>,
}

/// An open value is `{"$open": true}`, a secret `{"$sensitive": "FINGERPRINT"}`.
#[derive(Serialize, Deserialize)]
struct AttributeJson(#[serde(with = "AttributeFields")] AttributeChange);

#[derive(Serialize, Deserialize)]
#[serde(remote = "AttributeChange")]
struct AttributeFields {
    name: String,
    before: Value,
    after: Value,
    replaces: Option<String>,
    place: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct OutputJson(#[serde(with = "OutputFields")] OutputChange);

#[derive(Serialize, Deserialize)]
#[serde(remote = "OutputChange")]
struct OutputFields {
    name: String,
    before: Value,
    after: Value,
}

#[derive(Serialize, Deserialize)]
struct DriftJson {
    address: String,
    kind: String,
    absent: bool,
    attributes: Vec<DriftedJson>,
}

#[derive(Serialize, Deserialize)]
struct DriftedJson {
    name: String,
    recorded: Value,
    observed: Value,
}

/// Counts for readers; decoding compares them with the changes.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub struct SummaryJson {
    create: usize,
    update: usize,
    replace: usize,
    delete: usize,
    forget: usize,
    #[serde(rename = "move")]
    moved: usize,
    #[serde(rename = "await")]
    await_: usize,
    unseen: usize,
    #[serde(default)]
    frozen: usize,
    #[serde(default)]
    held: usize,
    #[serde(default)]
    left_behind: usize,
    unchanged: usize,
    outputs: usize,
    drift: usize,
    refusals: usize,
    steps: usize,
}

impl SummaryJson {
    pub fn of(plan: &Plan) -> Self {
        let Summary {
            create,
            update,
            replace,
            delete,
            forget,
            moved,
            await_,
            unseen,
            frozen,
            held,
            left_behind,
            drift,
            outputs,
            unchanged,
        } = plan.summary();
        Self {
            create,
            update,
            replace,
            delete,
            forget,
            moved,
            await_,
            unseen,
            frozen,
            held,
            left_behind,
            unchanged,
            outputs,
            drift,
            refusals: plan.refusals().count(),
            steps: plan.steps.len(),
        }
    }
}

impl From<&Plan> for PlanJson {
    fn from(plan: &Plan) -> Self {
        Self {
            stack: plan.stack.clone(),
            instance: plan.instance.clone(),
            switch: plan
                .switch
                .as_ref()
                .map(|(from, to)| SwitchJson { from: from.clone(), to: to.clone() }),
            overlays: plan.overlays.clone(),
            lost: plan.lost.iter().map(Into::into).collect(),
            thaws: plan.thaws.clone(),
            bindings: plan.bindings.clone(),
            allowed: plan.allowed.clone(),
            include_pending: plan.include_pending,
            replace: plan.replace.clone(),
            notes: plan.notes.iter().cloned().map(NoteJson).collect(),
            changes: plan.changes.iter().map(Into::into).collect(),
            dangers: plan.dangers.iter().map(Into::into).collect(),
            outputs: plan.outputs.iter().cloned().map(OutputJson).collect(),
            stale: plan.stale.iter().map(Into::into).collect(),
            drift: plan.drift.iter().map(Into::into).collect(),
            foreign: plan.foreign.iter().cloned().map(ForeignJson::from).collect(),
            strays: plan.strays.clone(),
            steps: plan.steps.iter().map(Into::into).collect(),
        }
    }
}

impl PlanJson {
    pub fn into_plan(self) -> Result<Plan, Malformed> {
        let count = self.steps.len();
        let steps = self.steps.into_iter().enumerate().map(|(at, it)| it.into_step(at, count));
        Ok(Plan {
            stack: self.stack,
            instance: self.instance,
            switch: self.switch.map(|it| (it.from, it.to)),
            overlays: self.overlays,
            lost: self.lost.into_iter().map(LossJson::into_loss).collect(),
            thaws: self.thaws,
            bindings: self.bindings,
            allowed: self.allowed,
            include_pending: self.include_pending,
            replace: self.replace,
            changes: each(self.changes, ChangeJson::into_change)?,
            dangers: each(self.dangers, DangerJson::into_danger)?,
            drift: each(self.drift, DriftJson::into_drift)?,
            foreign: self.foreign.into_iter().map(Foreign::from).collect(),
            strays: self.strays,
            stale: each(self.stale, StaleJson::into_stale)?,
            outputs: self.outputs.into_iter().map(|it| it.0).collect(),
            steps: steps.collect::<Result<_, _>>()?,
            notes: self.notes.into_iter().map(|it| it.0).collect(),
        })
    }
}

impl From<Foreign> for ForeignJson {
    fn from(it: Foreign) -> Self {
        let Foreign { address, kind, id, leads_to, misleads } = it;
        Self { address, kind, id, leads_to, misleads }
    }
}

impl From<ForeignJson> for Foreign {
    fn from(it: ForeignJson) -> Self {
        let ForeignJson { address, kind, id, leads_to, misleads } = it;
        Self { address, kind, id, leads_to, misleads }
    }
}

fn each<T, U>(from: Vec<T>, read: impl Fn(T) -> Result<U, Malformed>) -> Result<Vec<U>, Malformed> {
    from.into_iter().map(read).collect()
}

impl From<&Change> for ChangeJson {
    fn from(it: &Change) -> Self {
        Self {
            address: it.address.to_string(),
            kind: it.kind.clone(),
            action: it.action.word().into(),
            create_first: create_first(it.action),
            reason: it.reason.clone(),
            place: it.place.clone(),
            id: it.id.clone(),
            moved_from: it.moved_from.as_ref().map(ToString::to_string),
            unseen: it.unseen.as_ref().map(|it| it.why.clone()),
            unseen_reason: it.unseen.as_ref().map(|it| it.reason.word().to_owned()),
            frozen: it.frozen.clone(),
            held: it.held.as_ref().map(Into::into),
            loses_data: it.loses_data,
            attributes: it.attributes.iter().cloned().map(AttributeJson).collect(),
        }
    }
}

impl ChangeJson {
    fn into_change(self) -> Result<Change, Malformed> {
        // Plans of before the reasons knew only silence.
        let reason = self.unseen_reason.as_deref();
        let reason =
            reason.and_then(UnknownReason::from_word).unwrap_or(UnknownReason::Unreachable);
        Ok(Change {
            address: self.address.parse()?,
            kind: self.kind,
            action: action(&self.action, self.create_first)?,
            reason: self.reason,
            place: self.place,
            attributes: self.attributes.into_iter().map(|it| it.0).collect(),
            loses_data: self.loses_data,
            unseen: self.unseen.map(|why| Unreadable::new(reason, why)),
            frozen: self.frozen,
            held: self.held.map(HeldJson::into_held).transpose()?,
            id: self.id,
            moved_from: self.moved_from.map(|it| it.parse()).transpose()?,
        })
    }
}

impl From<&Deferred> for HeldJson {
    fn from(it: &Deferred) -> Self {
        Self {
            action: it.action.word().into(),
            create_first: create_first(it.action),
            wait: wait_word(it.wait).into(),
            why: it.why.clone(),
            attributes: it.attributes.iter().cloned().map(AttributeJson).collect(),
        }
    }
}

impl HeldJson {
    fn into_held(self) -> Result<Deferred, Malformed> {
        let waits = [
            DeferReason::Lost,
            DeferReason::Pending,
            DeferReason::Group,
            DeferReason::Unseen,
            DeferReason::Retained,
        ];
        let wait = waits.into_iter().find(|it| wait_word(*it) == self.wait);
        Ok(Deferred {
            action: action(&self.action, self.create_first)?,
            wait: wait.ok_or(Malformed::Action(self.wait))?,
            why: self.why,
            attributes: self.attributes.into_iter().map(|it| it.0).collect(),
        })
    }
}

fn wait_word(wait: DeferReason) -> &'static str {
    match wait {
        DeferReason::Lost => "lost",
        DeferReason::Pending => "pending",
        DeferReason::Group => "group",
        DeferReason::Unseen => "unseen",
        DeferReason::Retained => "retained",
    }
}

impl From<&LossDeclaration> for LossJson {
    fn from(it: &LossDeclaration) -> Self {
        let (since, by) = it.recorded.clone().unzip();
        Self { fault_domain: it.fault_domain.clone(), since, by }
    }
}

impl LossJson {
    fn into_loss(self) -> LossDeclaration {
        LossDeclaration { fault_domain: self.fault_domain, recorded: self.since.zip(self.by) }
    }
}

impl From<&Danger> for DangerJson {
    fn from(it: &Danger) -> Self {
        let (address, danger) = (it.address.to_string(), it.sort.word().into());
        Self { address, danger, says: it.says.clone() }
    }
}

impl DangerJson {
    fn into_danger(self) -> Result<Danger, Malformed> {
        let sort = Sort::ALL.into_iter().find(|it| it.word() == self.danger);
        let sort = sort.ok_or(Malformed::Action(self.danger))?;
        Ok(Danger { address: self.address.parse()?, sort, says: self.says })
    }
}

impl From<&StaleReport> for StaleJson {
    fn from(it: &StaleReport) -> Self {
        let from = it.from.to_string();
        let (what, fault_domain) = (it.what.clone(), it.fault_domain.clone());
        Self { what, from, fault_domain, since: it.since }
    }
}

impl StaleJson {
    fn into_stale(self) -> Result<StaleReport, Malformed> {
        let from = self.from.parse()?;
        Ok(StaleReport {
            what: self.what,
            from,
            fault_domain: self.fault_domain,
            since: self.since,
        })
    }
}

fn create_first(action: Action) -> Option<bool> {
    match action {
        Action::Replace { create_first } => Some(create_first),
        _ => None,
    }
}

fn action(word: &str, create_first: Option<bool>) -> Result<Action, Malformed> {
    let plain = [
        Action::NoOp,
        Action::Await,
        Action::Move,
        Action::Adopt,
        Action::Create,
        Action::Update,
        Action::Delete,
        Action::Forget,
    ];
    match (word, create_first) {
        ("replace", Some(create_first)) => Ok(Action::Replace { create_first }),
        (word, None) => plain
            .into_iter()
            .find(|it| it.word() == word)
            .ok_or_else(|| Malformed::Action(word.into())),
        (word, Some(_)) => Err(Malformed::Action(word.into())),
    }
}

impl From<&Drift> for DriftJson {
    fn from(it: &Drift) -> Self {
        let drifted = |(name, recorded, observed): &(String, Value, Value)| DriftedJson {
            name: name.clone(),
            recorded: recorded.clone(),
            observed: observed.clone(),
        };
        Self {
            address: it.address.to_string(),
            kind: it.kind.clone(),
            absent: it.absent,
            attributes: it.attributes.iter().map(drifted).collect(),
        }
    }
}

impl DriftJson {
    fn into_drift(self) -> Result<Drift, Malformed> {
        let attributes = self.attributes.into_iter();
        Ok(Drift {
            address: self.address.parse()?,
            kind: self.kind,
            absent: self.absent,
            attributes: attributes.map(|it| (it.name, it.recorded, it.observed)).collect(),
        })
    }
}
