//! The words of what must not be overlooked: a line of how much there is, and one for each concern, as the engine ranks them.

use crate::engine::address::Address;
use crate::engine::plan::ranking::{Concern, ConcernGroup, ConcernSays, Rank, Ranking, Subject};
use crate::render::words::{cut, duration, escape_control, rank};

/// How many addresses are named at once; they have to fit into the first screen of a pull request. A guess.
const NAMED_MAX: usize = 3;
/// How many characters of each: three of them fill a line.
const NAME_MAX: usize = 30;
/// How many characters of an option: one with a long address.
const OPTION_MAX: usize = 80;
/// How many options are named: more are rare, and a comment has room for them.
const OPTIONS_MAX: usize = 10;
/// How many concerns are listed one by one: with heading and verdict they stand in the first fifteen lines of a comment.
const LISTED_MAX: usize = 7;
/// How many characters tell what happens: two lines of a comment.
const SAYS_MAX: usize = 200;

/// One line of what must not be overlooked; every text in it is clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedConcern {
    pub rank: Rank,
    /// How many it is about.
    pub count: usize,
    /// Some of them, and how many more there are.
    pub subjects: String,
    /// What happens; empty where it differs from one to the next.
    pub says: String,
}

/// Each concern, or where there are too many to list, each rank.
pub fn listed(ranking: &Ranking<'_>) -> Vec<RenderedConcern> {
    let groups = ranking.groups();
    if groups.len() > LISTED_MAX {
        let ranks = ranking.subjects();
        let all = ranks.iter().map(|(rank, subjects)| RenderedConcern {
            rank: *rank,
            count: subjects.len(),
            subjects: named(subjects.iter().copied()),
            says: String::new(),
        });
        return all.collect();
    }
    let all = groups.iter().map(|ConcernGroup { concern, subjects }| RenderedConcern {
        rank: concern.rank,
        count: subjects.len(),
        subjects: named(subjects),
        says: cut(&says(&concern.says), SAYS_MAX),
    });
    all.collect()
}

/// What is to be said of one address.
pub fn concerns(ranking: &Ranking<'_>, address: &Address) -> Vec<(Rank, String)> {
    let all = ranking.of(address).iter();
    all.map(|Concern { rank, says: it }| (*rank, says(it))).collect()
}

/// `DATA LOSS ×1: orders; TRAFFIC ×2: shop, www`, and whether it is a danger.
pub fn heading(ranking: &Ranking<'_>) -> Option<(String, bool)> {
    let ranks = ranking.subjects();
    let worst = ranks.first()?.0;
    let told = ranks.iter().map(|(it, subjects)| {
        format!("{} ×{}: {}", rank(*it), subjects.len(), named(subjects.iter().copied()))
    });
    Some((told.collect::<Vec<_>>().join("; "), worst.is_danger()))
}

/// Addresses as far as a line has room, and how many more there are. Options are few, and each has to be read.
fn named<'a>(subjects: impl IntoIterator<Item = &'a Subject<'a>>) -> String {
    let (mut shown, mut more) = (Vec::new(), 0);
    for it in subjects {
        match it {
            Subject::Option(option) if shown.len() < OPTIONS_MAX => {
                shown.push(cut(&escape_control(option), OPTION_MAX));
            }
            Subject::Resource(address) if shown.len() < NAMED_MAX => {
                shown.push(cut(&escape_control(&address.to_string()), NAME_MAX));
            }
            Subject::Option(_) | Subject::Resource(_) => more += 1,
        }
    }
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &more
}

fn says(it: &ConcernSays<'_>) -> String {
    match it {
        ConcernSays::Text(text) => escape_control(text),
        ConcernSays::LosesData => "its data will be permanently deleted".into(),
        ConcernSays::GateSkipped { because } => {
            format!("its gate is not waited for: {}", escape_control(because))
        }
        ConcernSays::Allowed { is_used: true } => {
            "this option lets through what lifeboat would refuse or leave out".into()
        }
        ConcernSays::Allowed { is_used: false } => {
            "this option changes nothing in this plan".into()
        }
        ConcernSays::AllowedByLayer { place, until, because } => format!(
            "{} lets through what lifeboat would refuse, until {}: {}",
            escape_control(place),
            escape_control(until),
            escape_control(because)
        ),
        ConcernSays::Replaced { loses, away } => {
            let lost: Vec<String> = loses
                .iter()
                .map(|(name, was)| format!("`{}` {}", escape_control(name), escape_control(was)))
                .collect();
            let away = match away {
                0 => "the new one is made before the old one is deleted".to_owned(),
                seconds => format!("it is away for about {}", duration(*seconds)),
            };
            match lost.as_slice() {
                [] => away,
                lost => format!("{} will change; {away}", lost.join(" and ")),
            }
        }
    }
}
