//! The words of what must not be overlooked: one line of how much there is, and what is said of each change.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Change, Danger, Plan};
use crate::engine::schema::Sort;
use crate::render::words::{cut, danger, escape_control};

/// How many addresses the heading names; it has to fit into the first screen of a pull request. A guess.
const NAMED_MAX: usize = 3;
/// How many characters of each: three of them fill a line.
const NAME_MAX: usize = 30;

/// The dangers of each address.
pub type Risky<'a> = BTreeMap<&'a Address, Vec<&'a Danger>>;

/// Sorted by whose they are.
pub fn risky(plan: &Plan) -> Risky<'_> {
    let mut risky = Risky::new();
    for it in &plan.dangers {
        risky.entry(&it.address).or_default().push(it);
    }
    risky
}

/// What is lost where another copy of it stays: less than data, and more than all else.
const COPY_LOSS: &str = "COPY LOSS";

/// The words of a change's dangers. A plan of an older lifeboat says only whether it loses data.
pub fn dangers_of(risky: &Risky<'_>, change: &Change) -> Vec<(&'static str, String)> {
    let said = risky.get(&change.address).into_iter().flatten();
    let mut dangers: Vec<(Sort, &'static str, String)> =
        said.map(|it| (it.sort, word(it), escape_control(&it.says))).collect();
    let loses = change.action.destroys() && change.loses_data;
    if loses && dangers.iter().all(|it| it.0 != Sort::Data) {
        let says = "its data will be permanently deleted".into();
        dangers.push((Sort::Data, danger(Sort::Data), says));
    }
    dangers.sort_by_key(|it| rank(it.1));
    dangers.into_iter().map(|(_, word, says)| (word, says)).collect()
}

fn word(it: &Danger) -> &'static str {
    if it.sort == Sort::Data && !it.stays.is_empty() { COPY_LOSS } else { danger(it.sort) }
}

/// The worst first.
fn words() -> impl Iterator<Item = &'static str> {
    let sorts = Sort::ALL.iter().map(|it| danger(*it));
    sorts.flat_map(|it| [Some(it), (it == danger(Sort::Data)).then_some(COPY_LOSS)]).flatten()
}

/// Where it stands among the dangers.
pub fn rank(word: &str) -> usize {
    words().position(|it| it == word).unwrap_or(usize::MAX)
}

/// Data that is lost is named, as far as a heading has room; of the rest it is told how much.
pub fn dangers(plan: &Plan) -> Option<String> {
    let risky = risky(plan);
    let mut of: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for change in &plan.changes {
        for (word, _) in dangers_of(&risky, change) {
            of.entry(rank(word)).or_default().insert(escape_control(&change.address.to_string()));
        }
    }
    let told = of.into_iter().filter_map(|(rank, addresses)| {
        let word = words().nth(rank)?;
        let shown: Vec<String> =
            addresses.iter().take(NAMED_MAX).map(|it| cut(it, NAME_MAX)).collect();
        let more = match addresses.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!("{word} ×{}: {}{more}", addresses.len(), shown.join(", ")))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}
