//! What a plan says of one address, and the sections that such entries stand in.

use crate::engine::plan::ranking::Rank;
use crate::render::lines::RenderedLine;

#[derive(Debug, Clone, PartialEq)]
pub struct RenderedSection {
    pub title: &'static str,
    /// What destroys is shown whatever there is room for.
    pub destroys: bool,
    pub entries: Vec<RenderedEntry>,
    /// Lines that belong to no entry.
    pub lines: Vec<RenderedLine>,
}

/// One change of one address, or the drift of one.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedEntry {
    pub symbol: &'static str,
    pub address: String,
    pub kind: String,
    pub reason: String,
    /// What of it must not be overlooked, the worst first, and what happens.
    pub concerns: Vec<(Rank, String)>,
    /// It sends users elsewhere.
    pub shifts: bool,
    /// Others of which all the same is said, and their kinds.
    pub also: Vec<(String, String)>,
    /// The names of the attributes that change.
    pub attributes: Vec<String>,
    pub place: Option<String>,
    pub lines: Vec<RenderedLine>,
}

impl RenderedEntry {
    /// Whether something of it is a danger.
    pub fn is_risky(&self) -> bool {
        self.concerns.iter().any(|it| it.0.is_danger())
    }
}
