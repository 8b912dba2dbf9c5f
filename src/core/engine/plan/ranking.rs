//! What of a plan a reader must not overlook, in one order for every rendering: the worst first, what says the same together.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::allowance::ReviewedAllowance;
use crate::engine::plan::model::change::{Action, Change, Danger, Plan};
use crate::engine::plan::model::replacement::Replacement;
use crate::engine::plan::model::step_phase::{StepPhase, role};
use crate::engine::schema::Sort;

/// How much something matters to who reviews a plan; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Data is lost for good.
    Data,
    /// A copy of data is lost, and others stay.
    Copy,
    /// Users are sent elsewhere, or are served by fewer.
    Traffic,
    /// Somebody gets in who could not.
    Exposure,
    /// Something that would prevent or notice harm is switched off, or a gate is not waited for.
    Protection,
    /// A guard would have refused the plan, and was told not to.
    Allowance,
    /// Something is made anew: its addresses change, or it is away for a while.
    Replacement,
}

impl Rank {
    pub const ALL: [Self; 7] = [
        Self::Data,
        Self::Copy,
        Self::Traffic,
        Self::Exposure,
        Self::Protection,
        Self::Allowance,
        Self::Replacement,
    ];

    /// Whether it is a danger, and not only worth a look.
    pub fn is_danger(self) -> bool {
        self < Self::Replacement
    }

    fn of(danger: &Danger) -> Self {
        match danger.sort {
            Sort::Data if danger.stays.is_empty() => Self::Data,
            Sort::Data => Self::Copy,
            Sort::Traffic => Self::Traffic,
            Sort::Exposure => Self::Exposure,
            Sort::Protection => Self::Protection,
        }
    }
}

/// One thing that must not be overlooked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Concern<'a> {
    pub rank: Rank,
    pub says: ConcernSays<'a>,
}

/// What happens, as far as it can be said without the words of a medium.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConcernSays<'a> {
    /// In a sentence.
    Text(&'a str),
    /// A plan of an older lifeboat says only whether it loses data.
    LosesData,
    /// Its gate is not waited for, and why.
    GateSkipped { because: &'a str },
    /// This option lets through what a guard would refuse; or would, if the plan did what it is for.
    Allowed { is_used: bool },
    /// A layer lets through what a guard would refuse.
    AllowedByLayer { place: &'a str, until: &'a str, because: &'a str },
    /// It is made anew.
    Replaced { loses: Vec<(&'a str, &'a str)>, away: u64 },
}

/// What it is about: an address of the plan, or an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject<'a> {
    Resource(&'a Address),
    Option(String),
}

/// The same concern of several subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcernGroup<'a> {
    pub concern: Concern<'a>,
    /// In the order of the plan.
    pub subjects: Vec<Subject<'a>>,
}

/// All that must not be overlooked of one plan.
pub struct Ranking<'a> {
    of: BTreeMap<&'a Address, Vec<Concern<'a>>>,
    groups: Vec<ConcernGroup<'a>>,
    shifts: BTreeSet<&'a Address>,
}

impl<'a> Ranking<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let mut of: BTreeMap<&Address, Vec<Concern<'_>>> = BTreeMap::new();
        for it in &plan.dangers {
            of.entry(&it.address).or_default().push(told(it));
        }
        for it in &plan.replacements {
            of.entry(&it.address).or_default().push(replaced(it));
        }
        for it in plan.changes.iter().filter(|it| loses_data(it)) {
            let known = of.entry(&it.address).or_default();
            if known.iter().all(|it| it.rank > Rank::Copy) {
                known.push(Concern { rank: Rank::Data, says: ConcernSays::LosesData });
            }
        }
        // Those of one rank stay in the order in which they were found.
        for concerns in of.values_mut() {
            concerns.sort_by_key(|it| it.rank);
        }
        let groups = groups(plan, &of);
        let is_new = |it: &&Change| matches!(it.action, Action::Create | Action::NoOp);
        let changes = plan.changes.iter().filter(|it| !is_new(it)).map(|it| &it.address);
        let changes: BTreeSet<&Address> = changes.collect();
        let directing = plan.steps.iter().filter(|it| role(it, &plan.steps) == StepPhase::Traffic);
        let shifts = directing.map(|it| &it.address).filter(|it| changes.contains(it)).collect();
        Self { of, groups, shifts }
    }

    /// Whether a change sends users elsewhere. What is only created has none yet.
    pub fn shifts(&self, address: &Address) -> bool {
        self.shifts.contains(address)
    }

    pub fn count_shifts(&self) -> usize {
        self.shifts.len()
    }

    /// What is to be said of one address, the worst first.
    pub fn of(&self, address: &Address) -> &[Concern<'a>] {
        self.of.get(address).map_or(&[], Vec::as_slice)
    }

    /// The worst that is to be said of one address.
    pub fn worst(&self, address: &Address) -> Option<Rank> {
        self.of(address).first().map(|it| it.rank)
    }

    /// Everything, the worst first, what says the same together.
    pub fn groups(&self) -> &[ConcernGroup<'a>] {
        &self.groups
    }

    /// Of each rank whom it is about, each once, in the order of the plan.
    pub fn subjects(&self) -> Vec<(Rank, Vec<&Subject<'a>>)> {
        let of = |rank: Rank| {
            let groups = self.groups.iter().filter(move |it| it.concern.rank == rank);
            let mut subjects: Vec<&Subject<'_>> = Vec::new();
            let mut seen = BTreeSet::new();
            for it in groups.flat_map(|it| &it.subjects) {
                if seen.insert(it) {
                    subjects.push(it);
                }
            }
            (rank, subjects)
        };
        Rank::ALL.into_iter().map(of).filter(|(_, subjects)| !subjects.is_empty()).collect()
    }
}

fn loses_data(change: &Change) -> bool {
    change.action.destroys() && change.loses_data
}

fn told(danger: &Danger) -> Concern<'_> {
    Concern { rank: Rank::of(danger), says: ConcernSays::Text(&danger.says) }
}

fn replaced(it: &Replacement) -> Concern<'_> {
    let loses = it.loses.iter().map(|(name, was)| (name.as_str(), was.as_str())).collect();
    Concern { rank: Rank::Replacement, says: ConcernSays::Replaced { loses, away: it.away } }
}

/// What concerns the changes of the plan, in their order, then gates and options that belong to none of them.
fn groups<'a>(
    plan: &'a Plan,
    of: &BTreeMap<&'a Address, Vec<Concern<'a>>>,
) -> Vec<ConcernGroup<'a>> {
    let mut all: Vec<(Concern<'_>, Subject<'_>)> = Vec::new();
    for change in &plan.changes {
        for it in of.get(&change.address).into_iter().flatten() {
            all.push((it.clone(), Subject::Resource(&change.address)));
        }
    }
    for it in &plan.skipped_gates {
        let says = ConcernSays::GateSkipped { because: &it.because };
        all.push((Concern { rank: Rank::Protection, says }, Subject::Resource(&it.address)));
    }
    let allowed = options(plan).into_iter().map(|(option, is_used)| {
        let says = ConcernSays::Allowed { is_used };
        (Concern { rank: Rank::Allowance, says }, Subject::Option(option))
    });
    all.extend(allowed);
    all.extend(plan.allowances.iter().filter(|it| it.is_used()).map(|it| {
        let ReviewedAllowance { exempts, until, because } = &it.allowance;
        let says = ConcernSays::AllowedByLayer {
            place: it.place.as_str(),
            until: until.as_str(),
            because: because.as_str(),
        };
        (Concern { rank: Rank::Allowance, says }, Subject::Option(format!("allow: {exempts}")))
    }));
    let mut places: BTreeMap<Concern<'_>, usize> = BTreeMap::new();
    let mut groups: Vec<ConcernGroup<'_>> = Vec::new();
    for (concern, subject) in all {
        let at = *places.entry(concern.clone()).or_insert_with(|| {
            groups.push(ConcernGroup { concern, subjects: Vec::new() });
            groups.len() - 1
        });
        groups[at].subjects.push(subject);
    }
    groups.sort_by_key(|it| it.concern.rank);
    groups
}

/// What let a plan through guards, as it is typed, and whether the plan does what it is for: a saved plan carries it, so that
/// who reviews one sees it.
fn options(plan: &Plan) -> Vec<(String, bool)> {
    let it = &plan.allowed;
    let actions: BTreeMap<&Address, Action> =
        plan.changes.iter().map(|it| (&it.address, it.action)).collect();
    let named = |flag: &'static str, all: &[Address], is_meant: fn(Action) -> bool| {
        let option = |it: &Address| {
            let is_used = actions.get(it).is_some_and(|it| is_meant(*it));
            (format!("{flag} '{it}'"), is_used)
        };
        all.iter().map(option).collect::<Vec<_>>()
    };
    let mut options = named("--allow-delete", &it.delete, Action::destroys);
    options.extend(named("--allow-replace", &it.replace, Action::destroys));
    options.extend(named("--revert-drift", &it.revert, |it| it == Action::Update));
    let destroys = plan.changes.iter().any(|it| it.action.destroys());
    options.extend(it.destroys.map(|it| (format!("--allow-destroys {it}"), destroys)));
    let flags = [
        it.absent.map(|it| format!("--allow-absent {it}")),
        it.outage.then(|| "--allow-outage".to_owned()),
        it.group_changes.then(|| "--allow-group-changes".to_owned()),
        plan.include_pending.then(|| "--include-pending".to_owned()),
    ];
    // Of these a plan does not say what it would be without them.
    options.extend(flags.into_iter().flatten().map(|it| (it, true)));
    options
}
