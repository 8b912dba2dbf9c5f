//! What a status is told from, for people and for programs.

use crate::engine::plan::model::change::Plan;
use crate::engine::recovery::report::journaled::JournaledSwitch;
use crate::engine::recovery::user_routes::UserRoute;
use crate::engine::recovery::ways_out::FirstMove;
use crate::engine::state::record::State;
use crate::engine::text::names::OverlayNames;
use crate::render::words::{duration, escape_control, moment};

/// Everything a status is told from.
pub struct StatusFacts<'a> {
    /// `woocommerce@drill`.
    pub name: String,
    /// In milliseconds since the Unix epoch.
    pub now: i64,
    pub state: &'a State,
    /// Where users are sent.
    pub ways: Vec<UserRoute>,
    /// What the layers would have done if everything is as recorded.
    pub plan: Option<&'a Plan>,
    /// Why there is no such plan.
    pub trouble: Option<&'a str>,
    /// The store of the state, where it is not its folder.
    pub store: Option<String>,
    /// Who may write at the moment.
    pub lease: Option<String>,
    /// The run that goes on.
    pub run: Option<&'a JournaledSwitch>,
    /// How long the stack lets a recovery take, in seconds.
    pub objective: Option<u64>,
    /// How long the rest of a switch will take, in seconds.
    pub estimate: Option<u64>,
    /// What each fault domain answers now; `None`: nobody asked.
    pub online: Option<&'a [(String, OnlineAnswer)]>,
    /// What to type first, as far as fault domains were asked.
    pub first: Option<&'a FirstMove>,
    /// A command as it is to be typed here.
    pub typed: &'a dyn Fn(&str) -> String,
}

/// Whether a fault domain answers, the worst for who reads it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Answers,
    NotAsked,
    Silent,
    /// It is reachable, and said no or nonsense.
    Denied,
}

impl Health {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::NotAsked => "not asked",
            Self::Silent => "silent",
            Self::Denied => "denied",
        }
    }
}

/// What a fault domain answered when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineAnswer {
    pub health: Health,
    pub why: Option<String>,
    /// Somebody declared it lost.
    pub is_lost: bool,
}

/// Overlays as people name them.
pub(super) fn named(overlays: &[String]) -> String {
    escape_control(&OverlayNames(overlays).to_string())
}

/// A time, and how long ago that is.
pub(super) fn age(facts: &StatusFacts<'_>, since: i64) -> String {
    let seconds = u64::try_from((facts.now - since) / 1_000).unwrap_or(0);
    format!("{}, {} ago", moment(since), duration(seconds))
}
