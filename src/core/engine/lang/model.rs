//! The desired world: a stack, its declared resources and their instances, with a span for every part.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::allowance::ReviewedAllowance;
use crate::engine::fast_map::FastMap;
use crate::engine::lang::cel::budget::Spending;
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::lookup::LookupError;
use crate::engine::lang::cel::template::FileText;
use crate::engine::task::{TaskOccasion, TaskSpec};
use crate::engine::text::diagnostic::{Sources, Span};
use crate::engine::text::names::StackName;
use crate::engine::value::{Attributes, Value};

/// Everything the layers say, merged, checked and expanded.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    pub name: String,
    /// The overlays laid over it, in order.
    pub overlays: Vec<String>,
    pub sources: Sources,
    pub variables: BTreeMap<String, Variable>,
    /// Declared resources, in the order of the layers.
    pub resources: FastMap<String, Arc<Resource>>,
    /// Every instance after `count` and `for_each`, in the order of `resources`.
    pub instances: FastMap<Address, Instance>,
    pub outputs: FastMap<String, Output>,
    /// What switches do that is no resource, in the order of the layers.
    pub tasks: FastMap<String, Task>,
    /// How the resources are spread that are repeated, by name; [`Stack::spread`] knows all.
    pub spreads: FastMap<String, Spread>,
    /// Files that expressions read, by path relative to the stack's folder, with their digests.
    pub files: BTreeMap<String, String>,
    /// Files that could not be read, and why.
    pub unread: BTreeMap<String, LookupError>,
    /// What stands in those files.
    pub texts: BTreeMap<String, Arc<FileText>>,
    pub objectives: Objectives,
    /// Of the layers and of the project, in this order.
    pub policies: FastMap<String, Policy>,
    /// What its layers let through the guards, each for itself.
    pub allowances: Vec<LayerAllowance>,
    /// Who is posted events.
    pub notify: Vec<Webhook>,
    /// The fault domains that a switch to these overlays assumes lost.
    pub assumes_lost: Vec<(String, Span)>,
    pub instance: Option<String>,
    /// The overlays that a drill in this instance switches to.
    pub rehearses: Vec<(String, Span)>,
    /// The resources of the plain stack that this instance uses and does not make.
    pub borrow: Vec<(String, Span)>,
    /// Their objects, as the plain stack recorded them.
    pub lent: BTreeMap<Address, Arc<Attributes>>,
    /// What its expressions have cost while it was read.
    pub spending: Spending,
}

impl Stack {
    /// `NAME` or `NAME@WORKSPACE`, as commands take it.
    pub fn shown_name(&self) -> String {
        StackName { stack: &self.name, workspace: self.instance.as_deref() }.to_string()
    }

    /// How many instances a resource has; `None`: nobody declares it.
    pub fn spread(&self, name: &str) -> Option<&Spread> {
        let one = || self.resources.contains_key(name).then_some(&Spread::One);
        self.spreads.get(name).or_else(one)
    }
}

/// What a recovery may cost, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Objectives {
    /// Maximum time until users are served again.
    pub rto_seconds: Option<(u64, Span)>,
    /// Maximum age of the latest data that may be lost.
    pub rpo_seconds: Option<(u64, Span)>,
}

/// Something that a layer lets through the guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerAllowance {
    pub allowance: ReviewedAllowance,
    pub span: Span,
    /// In milliseconds since the Unix epoch.
    pub ends: i64,
}

/// An address that events are posted to, and which.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub span: Span,
    pub url: Term,
    /// What signs the bodies.
    pub secret: Option<Term>,
    pub topics: Vec<NotifyTopic>,
}

/// What events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifyTopic {
    /// A switch began, its users moved, it ended.
    Switch,
    /// The parts of a drill.
    Drill,
    /// What a watch decides.
    Watch,
    /// An audit that fails.
    Audit,
    /// The steps of a switch or a drill.
    Steps,
}

impl NotifyTopic {
    pub const ALL: [Self; 5] = [Self::Switch, Self::Drill, Self::Watch, Self::Audit, Self::Steps];

    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Drill => "drill",
            Self::Watch => "watch",
            Self::Audit => "audit",
            Self::Steps => "steps",
        }
    }
}

/// What a project forbids its plans, or wants to be told of.
#[derive(Debug, Clone)]
pub struct Policy {
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    pub level: PolicyLevel,
    /// Of the plan of a failover or a failback: nobody waits for a rule while users wait, unless it says so.
    pub in_switch: PolicyLevel,
    /// True, or a list of what is wrong: it speaks.
    pub rule: Arc<Expression>,
    pub message: Term,
}

/// What becomes of a plan of which a policy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyLevel {
    /// It is told.
    Warn,
    /// It is refused.
    Deny,
}

impl PolicyLevel {
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

/// How a resource is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// An object: neither `count` nor `for_each`.
    One,
    /// A list: `count`, or `for_each` over a list of resources.
    Count(u32),
    /// A map: `for_each`.
    Keys(Arc<[String]>),
}

/// One variable with its winning value.
#[derive(Debug, Clone)]
pub struct Variable {
    pub value: Value,
    pub sensitive: bool,
    /// Who won: `default`, `overlays/x.yaml:3`, `LIFEBOAT_VAR_x`, `--var`, …
    pub from: String,
    /// The topmost overlay that sets its default, whoever won.
    pub set_by: Option<String>,
    /// The overlay that declares it, where the stack file does not.
    pub declared_by: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

impl Variable {
    /// Whether somebody gave it from outside the layers, now or at an earlier apply.
    pub fn is_given(&self) -> bool {
        self.from != "default" && !self.from.contains(".yaml:")
    }

    /// Whether its value is shown nowhere.
    pub fn is_secret(&self) -> bool {
        self.sensitive || self.value.has_secret()
    }
}

/// One declared resource.
#[derive(Debug, Clone)]
pub struct Resource {
    pub name: String,
    /// The resource's key in the layer that introduced it.
    pub span: Span,
    pub kind: String,
    pub attributes: FastMap<String, GivenAttribute>,
    pub depends_on: Vec<Reference>,
    pub lifecycle: Lifecycle,
    /// Few have one, and it is large.
    pub ready: Option<Box<Gate>>,
    pub gates: Gates,
    /// Seconds per operation: `create`, `update`, `delete`.
    pub timeouts: BTreeMap<String, u64>,
    pub moved_from: Option<Address>,
}

/// An attribute as given: where, and what.
#[derive(Debug, Clone)]
pub struct GivenAttribute {
    pub key: Span,
    pub term: Term,
}

/// A value of a layer, with expressions in it.
#[derive(Debug, Clone)]
pub struct Term {
    pub span: Span,
    pub shape: InstanceShape,
}

#[derive(Debug, Clone)]
pub enum InstanceShape {
    Literal(Value),
    /// A scalar that is exactly one `${…}`; keeps its type.
    Expression(Arc<Expression>),
    /// Text with expressions inside.
    Text(Vec<TextPart>),
    List(Vec<Term>),
    Map(FastMap<String, GivenAttribute>),
}

#[derive(Debug, Clone)]
pub enum TextPart {
    Text(String),
    Expression(Arc<Expression>),
}

/// A use of another resource: all its instances or a certain one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    /// `None`: all instances.
    pub address: Option<Address>,
    pub span: Span,
}

/// How a resource may be changed.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    pub create_before_destroy: bool,
    /// `Some(false)` lifts a protection that state remembers.
    pub prevent_destroy: Option<bool>,
    pub ignore_changes: Vec<String>,
    pub span: Option<Span>,
}

/// A condition to wait for.
#[derive(Debug, Clone)]
pub struct Gate {
    pub span: Span,
    pub probe: GateProbe,
    /// How many times in a row it must hold.
    pub times: u32,
    pub within_seconds: u64,
    /// How many of the backends wanted have to serve before users come; `None`: what the kind of switch says.
    pub serves: Option<ServingQuorum>,
}

/// What has to hold before users are sent to a resource, or its group's data is relied on: each of these, and the health checks
/// behind what users are sent to, unless these are switched off.
#[derive(Debug, Clone, Default)]
pub struct Gates(pub Vec<Gate>);

impl Gates {
    /// Those that probe an address of the stack's own, in their order.
    pub fn probes(&self) -> impl Iterator<Item = &Gate> {
        let probes = |it: &&Gate| matches!(it.probe, GateProbe::Tcp(_) | GateProbe::Http { .. });
        self.0.iter().filter(probes)
    }

    /// What the stack says of the health checks: how many backends, how often, within which time.
    pub fn health(&self) -> Option<&Gate> {
        self.0.iter().find(|it| matches!(it.probe, GateProbe::Health))
    }

    /// Whether the health checks are not waited for.
    pub fn ignores_health(&self) -> bool {
        self.0.iter().any(|it| matches!(it.probe, GateProbe::NoHealth))
    }

    pub fn replication(&self) -> Option<&Gate> {
        self.0.iter().find(|it| matches!(it.probe, GateProbe::Replication))
    }

    /// How many backends have to serve, where the stack says that.
    pub fn serves(&self) -> Option<ServingQuorum> {
        self.health()?.serves
    }
}

/// How many of the backends wanted have to serve before users are sent to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingQuorum {
    All,
    /// At least 1.
    Count(u32),
    /// From 1 to 100.
    Percent(u8),
}

impl ServingQuorum {
    /// How many that is of so many; a count may be more than there are.
    pub fn of(self, wanted: usize) -> usize {
        match self {
            Self::All => wanted,
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (wanted * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

#[derive(Debug, Clone)]
pub enum GateProbe {
    /// Nothing of the stack's own: the health checks of the balancer that users are sent to.
    Health,
    /// `health: false`: those are not waited for.
    NoHealth,
    /// `host:port` accepts a connection.
    Tcp(Term),
    /// The URL answers so.
    Http { url: Term, expect: u16, body: Option<String> },
    /// What is written to one member of the group is read from another.
    Replication,
}

/// One instance of a resource.
#[derive(Debug, Clone)]
pub struct Instance {
    pub address: Address,
    pub resource: Arc<Resource>,
    /// Most stand for themselves alone.
    pub each: Option<Box<Each>>,
    /// What it needs, with the place that says so: from its own expressions and `depends_on`.
    pub needs: Vec<(Address, Span)>,
}

/// What `each` is for an instance.
#[derive(Debug, Clone)]
pub enum Each {
    Index(u32),
    Entry { key: String, value: EachValue },
}

#[derive(Debug, Clone)]
pub enum EachValue {
    Value(Value),
    /// `for_each` over another resource: that resource's instance.
    Instance(Address),
}

#[derive(Debug, Clone)]
pub struct Output {
    pub span: Span,
    pub term: Term,
    pub sensitive: bool,
}

/// A declared action of a switch.
#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    /// Its key in the layer that introduced it.
    pub span: Span,
    pub on: Vec<TaskOccasion>,
    /// Resources and tasks that it comes after and before; of a resource with several instances all of them, or one.
    pub after: Vec<Reference>,
    pub before: Vec<Reference>,
    pub spec: TaskSpec<Term>,
    pub in_drill: InDrill,
    /// What its expressions refer to, with the place of the first that does.
    pub needs: Vec<(Address, Span)>,
}

impl Task {
    /// What it does in a switch, or in the one that a drill rehearses; `None`: the drill goes without it.
    pub fn spec(&self, is_drill: bool) -> Option<&TaskSpec<Term>> {
        match &self.in_drill {
            _ if !is_drill => Some(&self.spec),
            InDrill::Run => Some(&self.spec),
            InDrill::Skip => None,
            InDrill::Instead(spec) => Some(spec),
        }
    }

    /// Every term of it.
    pub fn terms(&self) -> Vec<&Term> {
        let instead = match &self.in_drill {
            InDrill::Instead(spec) => spec.parts(),
            InDrill::Run | InDrill::Skip => Vec::new(),
        };
        self.spec.parts().into_iter().chain(instead).collect()
    }
}

/// What becomes of a task in a drill.
#[derive(Debug, Clone)]
pub enum InDrill {
    Run,
    Skip,
    /// It runs with other keys.
    Instead(Box<TaskSpec<Term>>),
}

/// What expressions may look at: the objects of other instances as far as they are known.
pub trait Scope {
    /// All known attributes of an instance (`id` among them); open ones are [`Value::Open`].
    fn object(&self, address: &Address) -> Option<Arc<Attributes>>;

    /// The same without a copy, where the scope holds its parts only.
    fn parts(&self, _address: &Address) -> Option<Parts<'_>> {
        None
    }
}

/// An object in parts: what the cloud made hides what was desired, and its id everything.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub attributes: &'a Attributes,
    pub outputs: &'a Attributes,
    pub id: &'a str,
}

impl<'a> Parts<'a> {
    pub fn member(&self, name: &str) -> Option<Cow<'a, Value>> {
        if name == "id" {
            return Some(Cow::Owned(Value::text(self.id)));
        }
        self.outputs.get(name).or_else(|| self.attributes.get(name)).map(Cow::Borrowed)
    }
}
