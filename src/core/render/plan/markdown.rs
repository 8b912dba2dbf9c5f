//! A plan as Markdown for a pull request: within a budget of bytes, and never without its destroys.

use crate::engine::plan::format::codec::plan_digest;
use crate::engine::plan::model::change::Plan;
use crate::render::escape::{code, fence, prose, quiet, span};
use crate::render::lines::{LineLimits, RenderedLine, Sign};
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold::whose;
use crate::render::plan::outline::{Detail, Notice, Outline, ShownPlan, name, outline};
use crate::render::words::{count, cut, digest};

/// The smallest budget in bytes; a smaller one counts as this. It holds the heading, the number of refusals, the digest of the
/// plan, and number and digest of everything that is cut.
pub const MIN_BYTES: usize = 8000;
/// Bytes that are kept free for the two sentences about what is cut.
const NOTICE_BYTES: usize = 800;
/// How many characters tell what is switched and lost: room for the names of a dozen fault domains.
const SWITCH_MAX: usize = 300;
/// How many characters of one sentence or address the heading has: most titles are shown on one line up to there. A guess.
const HEADING_MAX: usize = 60;

/// What is too long for `max_bytes` is cut from the least to the most dangerous: details first, then lines.
/// Deletions and replacements are listed by address; if not even these fit, their count and digest are told.
pub fn markdown<'a>(shown: impl Into<ShownPlan<'a>>, max_bytes: Option<usize>) -> String {
    let shown = shown.into();
    let plan = shown.plan;
    let outline = outline(shown, Detail { limits: LineLimits::BRIEF, all: false });
    let budget = max_bytes.map_or(usize::MAX, |it| it.max(MIN_BYTES));
    let head = head(plan, &outline);
    let mut blocks = blocks(&outline);
    let whole = head.len() + blocks.iter().map(MarkdownBlock::longest).sum::<usize>();
    let room =
        if whole <= budget { usize::MAX } else { budget.saturating_sub(head.len() + NOTICE_BYTES) };
    fit(&mut blocks, room);
    let mut text = head;
    for block in &blocks {
        text.push_str(block.chosen());
    }
    text.push_str(&farewell(&blocks));
    text
}

/// Marker, heading, where, digest, verdict: bounded, whatever the plan.
fn head(plan: &Plan, outline: &Outline) -> String {
    // Nothing ends an HTML comment early, and CI finds the comment by its first line.
    let marker: String = name(plan)
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() || "_.@-".contains(it) { it } else { '_' })
        .take(HEADING_MAX)
        .collect();
    let marker = marker.replace("--", "__");
    let mut head = format!("<!-- lifeboat:plan {marker} -->\n");
    head.push_str(&format!("## {}\n\n", prose(&cut(&outline.summary, 4 * HEADING_MAX))));
    let header: Vec<String> = outline
        .header
        .splitn(2, ", ")
        .zip([HEADING_MAX, SWITCH_MAX])
        .map(|(it, most)| cut(it, most))
        .collect();
    head.push_str(&format!("**{}**", prose(&header.join(", "))));
    head.push_str(&format!(" · {} · plan `{}`\n\n", outline.steps, plan_digest(plan)));
    if let Some(dangers) = &outline.dangers {
        head.push_str(&format!("> 🔴 **Danger:** {}\n\n", prose(dangers)));
    }
    if let Some(forecast) = &outline.forecast {
        head.push_str(&format!("{}\n\n", prose(&cut(forecast, 8 * HEADING_MAX))));
    }
    if let Some(verdict) = &outline.verdict {
        head.push_str(&format!("> ⛔ **{}**\n\n", prose(verdict)));
    }
    head
}

/// A part of the page in up to three lengths; the shortest is nothing.
struct MarkdownBlock {
    /// Cut last when lowest.
    rank: usize,
    /// From the longest to the shortest.
    forms: Vec<String>,
    /// Index into `forms`; their number: nothing is shown.
    chosen: usize,
    /// The address of what it destroys.
    destroys: Option<String>,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Title,
    Notice,
    Change,
    Lines,
}

impl MarkdownBlock {
    fn new(what: What, rank: usize, forms: Vec<String>) -> Self {
        Self { rank, chosen: forms.len(), forms, destroys: None, what }
    }

    fn longest(&self) -> usize {
        self.forms.first().map_or(0, String::len)
    }

    fn chosen(&self) -> &str {
        self.forms.get(self.chosen).map_or("", String::as_str)
    }

    fn is_gone(&self) -> bool {
        self.chosen == self.forms.len()
    }
}

const DESTROYS: usize = 0;
const NOTICES: usize = 1;

/// Every part in reading order.
fn blocks(outline: &Outline) -> Vec<MarkdownBlock> {
    let mut blocks = Vec::new();
    for it in &outline.notices {
        blocks.push(MarkdownBlock::new(What::Notice, NOTICES, vec![notice(it)]));
    }
    for (at, section) in outline.sections.iter().enumerate() {
        let is_risky = section.entries.iter().any(|it| !it.dangers.is_empty());
        let usual = NOTICES + 1 + at;
        let rank = if section.destroys { DESTROYS } else { usual };
        // Above what is dangerous its title stays as well.
        let title_rank = if is_risky { rank.min(NOTICES) } else { rank };
        let title = format!("\n### {}\n\n", section.title);
        blocks.push(MarkdownBlock::new(What::Title, title_rank, vec![title]));
        blocks.extend(section.entries.iter().map(|it| {
            let rank = if it.dangers.is_empty() { rank } else { rank.min(NOTICES) };
            entry(it, section, rank)
        }));
        if !section.lines.is_empty() {
            let form = format!("{}\n", fenced(&section.lines));
            blocks.push(MarkdownBlock::new(What::Lines, rank, vec![form]));
        }
    }
    blocks
}

/// Chooses the longest forms that fit: addresses of destroys, notices, destroys in a line, every other
/// address, every other line; then details in the same order.
fn fit(blocks: &mut [MarkdownBlock], mut room: usize) {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|at| blocks[*at].rank);
    let mut grow = |longer: usize, belongs: fn(usize) -> bool| {
        for at in &order {
            let block = &mut blocks[*at];
            if !belongs(block.rank) {
                continue;
            }
            let form = block.forms.len().checked_sub(1 + longer);
            if let (Some(form), true) = (form, longer == 0 || !block.is_gone()) {
                choose(block, form, &mut room);
            }
        }
    };
    grow(0, |rank| rank <= NOTICES);
    grow(1, |rank| rank <= NOTICES);
    grow(0, |rank| rank > NOTICES);
    grow(1, |rank| rank > NOTICES);
    grow(2, |_| true);
    hide_titles(blocks);
}

/// Takes a form if there is room for it.
fn choose(block: &mut MarkdownBlock, form: usize, room: &mut usize) {
    let now = block.chosen().len();
    let wanted = block.forms[form].len();
    if wanted <= now.saturating_add(*room) {
        *room = room.saturating_add(now).saturating_sub(wanted);
        block.chosen = form;
    }
}

/// A title without anything under it says nothing.
fn hide_titles(blocks: &mut [MarkdownBlock]) {
    let mut is_bare = true;
    for at in (0..blocks.len()).rev() {
        if blocks[at].what == What::Title {
            if is_bare {
                blocks[at].chosen = blocks[at].forms.len();
            }
            is_bare = true;
        } else if !blocks[at].is_gone() {
            is_bare = false;
        }
    }
}

/// What is not shown: count and digest; destroys apart from everything else.
fn farewell(blocks: &[MarkdownBlock]) -> String {
    let mut text = String::new();
    let hidden: Vec<&str> =
        blocks.iter().filter(|it| it.is_gone()).filter_map(|it| it.destroys.as_deref()).collect();
    if !hidden.is_empty() {
        text.push_str(&format!(
            "\n> ⚠️ **{} not listed**; SHA-256 of their addresses, one per line: `{}`\n",
            count(hidden.len(), "destroy"),
            digest(&hidden.join("\n")),
        ));
    }
    let cut: Vec<&MarkdownBlock> =
        blocks.iter().filter(|it| it.chosen > 0 && it.what != What::Title).collect();
    if cut.is_empty() {
        return text;
    }
    let gone = |what: What| cut.iter().filter(|it| it.is_gone() && it.what == what).count();
    let brief = cut.iter().filter(|it| !it.is_gone()).count();
    let parts = [
        (gone(What::Change), "change"),
        (gone(What::Notice), "notice"),
        (gone(What::Lines), "output block"),
        (brief, "detail block"),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, noun)| count(number, noun)).collect();
    let whole: String = cut.iter().map(|it| it.forms[0].as_str()).collect();
    let all =
        if hidden.is_empty() { " Every deletion and replacement is listed above." } else { "" };
    text.push_str(&format!(
        "\n> ✂️ **Cut to fit:** {} ({}, `{}`).{all} Run `show` on the saved plan to see all of it\n",
        parts.join(", "),
        count(whole.len(), "byte"),
        digest(&whole),
    ));
    text
}

fn notice(notice: &Notice) -> String {
    let sign = if notice.word == "Warning" { "⚠️" } else { "⛔" };
    let text = said(&notice.text);
    let mut text = format!("> {sign} **{}** {}: {text}", notice.word, span(&notice.code));
    for place in &notice.places {
        text.push_str(&format!(" · {}", span(place)));
    }
    if let Some(help) = &notice.help {
        text.push_str(&format!("<br>help: {}", said(help)));
    }
    text + "\n\n"
}

/// A sentence in which what stands between backticks is code, as it is meant.
fn said(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // One without its other half is a character like any other.
    if parts.len().is_multiple_of(2) {
        return prose(text);
    }
    let part = |(at, it): (usize, &&str)| match at % 2 {
        1 if !it.is_empty() => code(it),
        _ => prose(it),
    };
    parts.iter().enumerate().map(part).collect()
}

/// With its attributes, on one line, or by nothing but its address.
fn entry(entry: &RenderedEntry, section: &RenderedSection, rank: usize) -> MarkdownBlock {
    let (addresses, kinds) = whose(entry);
    let words: Vec<&str> = entry.dangers.iter().map(|it| it.0).collect();
    let alarm =
        if words.is_empty() { String::new() } else { format!("🔴 <b>{}</b> ", words.join(", ")) };
    let head = |text: &str| format!("{alarm}{} {}", code(entry.symbol), code(text));
    let mut line = format!("{} {}", head(&addresses), quiet(&kinds));
    for (_, says) in &entry.dangers {
        line.push_str(&format!("; <b>{}</b>", quiet(says)));
    }
    if !entry.reason.is_empty() {
        line.push_str(&format!(": {}", quiet(&entry.reason)));
    }
    if let Some(place) = &entry.place {
        line.push_str(&format!(" · {}", code(place)));
    }
    let item = |line: &str| format!("<div>{line}</div>\n");
    let mut forms = Vec::new();
    if !entry.lines.is_empty() {
        let lines = fenced(&entry.lines);
        forms.push(format!("<details><summary>{line}</summary>\n\n{lines}</details>\n"));
    }
    forms.push(item(&line));
    forms.push(item(&head(&addresses)));
    MarkdownBlock {
        destroys: section.destroys.then(|| entry.address.clone()),
        ..MarkdownBlock::new(What::Change, rank, forms)
    }
}

/// Lines of a diff, in a fence longer than any run of backticks inside.
fn fenced(lines: &[RenderedLine]) -> String {
    let mut body = String::new();
    for line in lines {
        let sign = match line.sign {
            // What changes in place is coloured by `!`.
            Sign::Change => '!',
            other => other.symbol(),
        };
        body.push_str(&format!("{sign} {}{}", "  ".repeat(line.depth), line.text));
        if let Some(comment) = &line.comment {
            body.push_str(&format!("  # {comment}"));
        }
        body.push('\n');
    }
    let fence = fence(&body, 3);
    format!("{fence}diff\n{body}{fence}\n")
}
