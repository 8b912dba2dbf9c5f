//! A plan as Markdown for a pull request: within a budget of bytes, and never without its destroys.

use crate::engine::plan::format::codec::{inputs_digest, plan_digest};
use crate::engine::plan::model::change::Plan;
use crate::render::escape::{code, fence, prose, quiet, said, span};
use crate::render::lines::{LineLimits, RenderedLine, Sign};
use crate::render::plan::concerns::RenderedConcern;
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold::whose;
use crate::render::plan::outline::{Detail, Notice, Outline, ShownPlan, name, outline};
use crate::render::words::{count, cut, digest, escape_control, fingerprint, rank as word};

/// The smallest budget in bytes; a smaller one counts as this. It holds the heading, the number of refusals, the digest of the
/// plan, and number and digest of everything that is cut.
pub const MIN_BYTES: usize = 12_000;
/// Bytes that are kept free for the two sentences about what is cut.
const NOTICE_BYTES: usize = 800;
/// Bytes for what must not be overlooked: seven lines of usual length, twice over.
const CONCERNS_BYTES: usize = 3000;
/// How many characters tell what is switched and lost: room for the names of a dozen fault domains.
const SWITCH_MAX: usize = 300;
/// How many characters tell what it costs: what is known, and four reasons why the rest is not.
const COST_MAX: usize = 700;
/// How many characters of one sentence or address the heading has: most titles are shown on one line up to there. A guess.
const HEADING_MAX: usize = 60;

/// What is too long for `max_bytes` is cut from the least to the most dangerous: details first, then lines. Deletions,
/// replacements and traffic shifts are listed by address; if not even these fit, their count and digest are told.
pub fn markdown<'a>(shown: impl Into<ShownPlan<'a>>, max_bytes: Option<usize>) -> String {
    let shown = shown.into();
    let plan = shown.plan;
    let outline = outline(shown, Detail { limits: LineLimits::BRIEF, all: false });
    let budget = max_bytes.map_or(usize::MAX, |it| it.max(MIN_BYTES));
    let head = head(plan, &outline);
    let mut blocks = blocks(&outline);
    blocks.extend(inputs(plan));
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

/// Marker, heading, where, digests, what must not be overlooked, verdict: bounded, whatever the plan.
fn head(plan: &Plan, outline: &Outline) -> String {
    let mut head = format!("<!-- lifeboat:plan {} -->\n", marker(&name(plan)));
    let shifts = match outline.shifts {
        0 => String::new(),
        shifts => format!(" · {}", count(shifts, "traffic shift")),
    };
    head.push_str(&format!("## {}{shifts}\n\n", prose(&cut(&outline.summary, 4 * HEADING_MAX))));
    let header: Vec<String> = outline
        .header
        .splitn(2, ", ")
        .zip([HEADING_MAX, SWITCH_MAX])
        .map(|(it, most)| cut(it, most))
        .collect();
    head.push_str(&format!("**{}**", prose(&header.join(", "))));
    head.push_str(&format!(
        " · {} · plan `{}` · made from `{}`\n\n",
        outline.steps,
        plan_digest(plan),
        inputs_digest(plan)
    ));
    head.push_str(&concerns(&outline.concerns));
    if !outline.concerns.is_empty() {
        head.push('\n');
    }
    if let Some(forecast) = &outline.forecast {
        head.push_str(&format!("{}\n\n", prose(&cut(forecast, 8 * HEADING_MAX))));
    }
    if let Some(cost) = &outline.cost {
        head.push_str(&format!("{}\n\n", prose(&cut(cost, COST_MAX))));
    }
    if let Some(verdict) = &outline.verdict {
        head.push_str(&format!("> ⛔ **{}**\n\n", prose(verdict)));
    }
    head
}

/// By which CI finds the comment of this stack again: nothing ends an HTML comment early, and no two names have the same.
pub fn marker(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_.@-".contains(it);
    let cleaned: String = name.chars().filter(|it| is_plain(*it)).take(HEADING_MAX).collect();
    if cleaned == name && !name.contains("--") {
        return cleaned;
    }
    format!("{} {}", cleaned.replace("--", "__"), fingerprint(name))
}

/// `- 🔴 **TRAFFIC** ×2 shop, www: what happens`, as much of it as there is room for.
fn concerns(all: &[RenderedConcern]) -> String {
    let line = |it: &RenderedConcern, (named, says): (bool, bool)| {
        let sign = if it.rank.is_danger() { "🔴" } else { "🟠" };
        let times = if it.count > 1 { format!(" ×{}", it.count) } else { String::new() };
        let mut line = format!("- {sign} **{}**{times}", word(it.rank));
        if named {
            line.push_str(&format!(" {}", prose(&it.subjects)));
        }
        if says && !it.says.is_empty() {
            line.push_str(&format!(": {}", said(&it.says)));
        }
        line + "\n"
    };
    let forms = [(true, true), (true, false), (false, false)];
    let forms = forms.map(|form| all.iter().map(|it| line(it, form)).collect::<String>());
    let fits = forms.iter().find(|it| it.len() <= CONCERNS_BYTES);
    fits.unwrap_or(&forms[2]).clone()
}

/// A part of the page in up to three lengths; the shortest is nothing.
struct MarkdownBlock {
    /// Cut last when lowest.
    rank: usize,
    /// From the longest to the shortest.
    forms: Vec<String>,
    /// Index into `forms`; their number: nothing is shown.
    chosen: usize,
    /// What is never left out without a word, and its address.
    must: Option<(Must, String)>,
    what: What,
}

/// What is counted apart where there is no room for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Must {
    Deletion,
    Replacement,
    Shift,
}

impl Must {
    fn of(entry: &RenderedEntry, section: &RenderedSection) -> Option<Self> {
        match entry.symbol {
            "-" if section.destroys => Some(Self::Deletion),
            _ if section.destroys => Some(Self::Replacement),
            _ => entry.shifts.then_some(Self::Shift),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Replacement => "replacement",
            Self::Shift => "traffic shift",
        }
    }
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
        Self { rank, chosen: forms.len(), forms, must: None, what }
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

/// How much of a file's digest tells it from any other.
const DIGEST_SHOWN: usize = 19;

const MUST: usize = 0;
const NOTICES: usize = 1;

/// What the plan was made from, for who compares it with a commit: the last thing that is read, and the first that is cut.
fn inputs(plan: &Plan) -> Option<MarkdownBlock> {
    let it = &plan.bindings;
    if it.files.is_empty() {
        return None;
    }
    let line = |text: String| RenderedLine { sign: Sign::Same, depth: 0, text, comment: None };
    let files = it.files.iter().map(|(file, digest)| {
        let digest: String = digest.chars().take(DIGEST_SHOWN).collect();
        line(format!("{} {}", escape_control(file), escape_control(&digest)))
    });
    let mut lines: Vec<RenderedLine> = files.collect();
    let names: Vec<String> = it.variables.keys().map(|it| escape_control(it)).collect();
    lines.extend((!names.is_empty()).then(|| line(format!("variables: {}", names.join(", ")))));
    let made = match it.lineage.as_str() {
        "" => "no state".to_owned(),
        _ => format!("state serial {}", it.serial),
    };
    let whole = format!("{}, {made}", count(it.files.len(), "file"));
    lines.push(line(format!("{made}; lifeboat {}", escape_control(&it.version))));
    let folded =
        format!("<details><summary>Made from {whole}</summary>\n\n{}</details>\n", fenced(&lines));
    Some(MarkdownBlock::new(What::Lines, usize::MAX, vec![folded]))
}

/// Every part in reading order.
fn blocks(outline: &Outline) -> Vec<MarkdownBlock> {
    let mut blocks = Vec::new();
    for it in &outline.notices {
        blocks.push(MarkdownBlock::new(What::Notice, NOTICES, vec![notice(it)]));
    }
    for (at, section) in outline.sections.iter().enumerate() {
        let is_risky = section.entries.iter().any(|it| !it.concerns.is_empty() || it.shifts);
        let usual = NOTICES + 1 + at;
        let rank = if section.destroys { MUST } else { usual };
        // Above what is dangerous its title stays as well.
        let title_rank = if is_risky { rank.min(NOTICES) } else { rank };
        let title = format!("\n### {}\n\n", section.title);
        blocks.push(MarkdownBlock::new(What::Title, title_rank, vec![title]));
        blocks.extend(section.entries.iter().map(|it| {
            let rank = if it.concerns.is_empty() { rank } else { rank.min(NOTICES) };
            let rank = if it.shifts { MUST } else { rank };
            entry(it, section, rank)
        }));
        if !section.lines.is_empty() {
            let form = format!("{}\n", fenced(&section.lines));
            blocks.push(MarkdownBlock::new(What::Lines, rank, vec![form]));
        }
    }
    blocks
}

/// Chooses the longest forms that fit: addresses of destroys and shifts, notices, those in a line, every other
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

/// What is not shown: count and digest; what must not be left out apart from everything else.
fn farewell(blocks: &[MarkdownBlock]) -> String {
    let mut text = String::new();
    let hidden: Vec<&(Must, String)> =
        blocks.iter().filter(|it| it.is_gone()).filter_map(|it| it.must.as_ref()).collect();
    if !hidden.is_empty() {
        let of = |must: Must| match hidden.iter().filter(|it| it.0 == must).count() {
            0 => None,
            number => Some(count(number, must.noun())),
        };
        let all = [Must::Deletion, Must::Replacement, Must::Shift];
        let counted: Vec<String> = all.into_iter().filter_map(of).collect();
        let addresses: Vec<&str> = hidden.iter().map(|it| it.1.as_str()).collect();
        text.push_str(&format!(
            "\n> ⚠️ **{} not listed**; SHA-256 of their addresses, one per line: `{}`\n",
            counted.join(", "),
            digest(&addresses.join("\n")),
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
    let all = if hidden.is_empty() {
        " Every deletion, replacement and traffic shift is listed above."
    } else {
        ""
    };
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

/// With its attributes, on one line, or by nothing but its address.
fn entry(entry: &RenderedEntry, section: &RenderedSection, rank: usize) -> MarkdownBlock {
    let (addresses, kinds) = whose(entry);
    let mut words: Vec<&str> = entry.concerns.iter().map(|it| word(it.0)).collect();
    words.dedup();
    let sign = if entry.is_risky() { "🔴" } else { "🟠" };
    let alarm = if words.is_empty() {
        String::new()
    } else {
        format!("{sign} <b>{}</b> ", words.join(", "))
    };
    let head = |text: &str| format!("{alarm}{} {}", code(entry.symbol), code(text));
    let mut line = format!("{} {}", head(&addresses), quiet(&kinds));
    for (_, says) in &entry.concerns {
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
        must: Must::of(entry, section).map(|it| (it, entry.address.clone())),
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
