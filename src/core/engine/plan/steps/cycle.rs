//! Steps that wait for each other: found, and told with the rule behind each wait that a rule made.

use std::collections::BTreeMap;

use crate::engine::plan::model::change::Step;
use crate::engine::topological::topological_order;

/// Why a step waits for another that it does not depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderingRule {
    /// Users are directed only to what serves.
    Serve,
    /// What served them stays until nobody comes the old way.
    Drain,
    /// What users can do without goes when they have come.
    Follow,
    /// A serving set is never emptied.
    Set,
    /// Siblings are disturbed one after another.
    Sibling,
    /// What was disturbed is seen to serve again.
    Seen,
    /// A name is given up before something else takes it.
    Name,
    /// The layers say what a task comes after and before.
    Task,
}

impl OrderingRule {
    fn words(self) -> &'static str {
        match self {
            Self::Serve => "traffic is shifted last, to a healthy target",
            Self::Drain => "the old target stays until DNS caches have expired",
            Self::Follow => "what the quorum can do without is changed once users have moved",
            Self::Set => "a serving set is never emptied",
            Self::Sibling => "siblings are changed one at a time",
            Self::Seen => "a sibling is changed only once the previous one is healthy again",
            Self::Name => "a name is released before another resource takes it",
            Self::Task => "`after` or `before` of the task says so",
        }
    }
}

/// Step → what it waits for → the rule that says so.
pub type OrderingRules = BTreeMap<(usize, usize), OrderingRule>;

/// Steps each of which waits for the next, and the last for the first; `None` when every step can be reached.
pub fn find(steps: &[Step]) -> Option<Vec<usize>> {
    let unreached = unreached(steps);
    let first = unreached.iter().position(|it| *it)?;
    let mut way = vec![first];
    loop {
        let last = way[way.len() - 1];
        // What cannot be reached waits for something that cannot be reached either.
        let next = steps[last].before().find(|it| unreached[*it])?;
        if let Some(at) = way.iter().position(|it| *it == next) {
            return Some(way.split_off(at));
        }
        way.push(next);
    }
}

/// The steps that no order reaches.
fn unreached(steps: &[Step]) -> Vec<bool> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for step in steps {
        for wait in step.before() {
            dependents[wait].push(step.id);
        }
    }
    let mut unreached = vec![true; steps.len()];
    for step in topological_order(steps.len(), |it| dependents[it].iter().copied()) {
        unreached[step] = false;
    }
    unreached
}

/// `delete lb → update shop (rule) → …`.
pub fn tell(steps: &[Step], cycle: &[usize], rules: &OrderingRules) -> String {
    let name = |id: usize| format!("{} `{}`", steps[id].call.word(), steps[id].address);
    let mut told = Vec::new();
    for (at, id) in cycle.iter().enumerate() {
        let next = cycle[(at + 1) % cycle.len()];
        let why = rules.get(&(*id, next)).map(|it| format!(" ({})", it.words()));
        told.push(format!("{} waits for {}{}", name(*id), name(next), why.unwrap_or_default()));
    }
    told.join("; ")
}
