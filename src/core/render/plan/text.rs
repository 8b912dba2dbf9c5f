//! A plan for a terminal or a log; colour only underlines what the words say.

use crate::render::lines::{LineLimits, RenderedLine, Sign};
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold::whose;
use crate::render::plan::outline::{Detail, Notice, Outline, ShownPlan, outline};
use crate::render::words::{rank, wrap};

#[derive(Debug, Clone, Copy)]
pub struct TextOptions {
    pub color: bool,
    /// Sentences are wrapped at so many characters; 0: never.
    pub width: usize,
    /// Also what stays as it is, every step, and long values uncut.
    pub verbose: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
/// What must not be overlooked: bold and red.
const ALARM: &str = "1;31";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

pub fn text<'a>(shown: impl Into<ShownPlan<'a>>, options: &TextOptions) -> String {
    let limits = if options.verbose { LineLimits::WIDE } else { LineLimits::BRIEF };
    let outline = outline(shown.into(), Detail { limits, all: options.verbose });
    let mut page = TextPage { text: String::new(), options: *options };
    page.plan(&outline);
    page.text
}

struct TextPage {
    text: String,
    options: TextOptions,
}

impl TextPage {
    fn plan(&mut self, outline: &Outline) {
        self.paragraph(&outline.header, "", Some(BOLD));
        self.paragraph(&outline.summary, "", Some(BOLD));
        if let Some(heading) = &outline.heading {
            let color = if heading.is_danger { ALARM } else { YELLOW };
            self.paragraph(&format!("{}: {}", heading.word(), heading.text), "  ", Some(color));
        }
        if let Some(forecast) = &outline.forecast {
            self.paragraph(forecast, "", None);
        }
        if let Some(cost) = &outline.cost {
            self.paragraph(cost, "  ", None);
        }
        if let Some(verdict) = &outline.verdict {
            self.paragraph(verdict, "", Some(RED));
        }
        for notice in &outline.notices {
            self.text.push('\n');
            self.notice(notice);
        }
        for section in &outline.sections {
            self.text.push('\n');
            self.section(section);
        }
        self.text.push('\n');
        self.paragraph(&outline.steps, "", None);
    }

    fn notice(&mut self, notice: &Notice) {
        let color = if notice.word == "Warning" { YELLOW } else { RED };
        let head = format!("{} [{}]: {}", notice.word, notice.code, notice.text);
        self.paragraph(&head, "  ", Some(color));
        for place in &notice.places {
            let place = self.paint(DIM, &format!("at {place}"));
            self.line(&format!("  {place}"));
        }
        if let Some(help) = &notice.help {
            self.paragraph(&format!("  help: {help}"), "    ", None);
        }
    }

    fn section(&mut self, section: &RenderedSection) {
        let title = self.paint(BOLD, section.title);
        self.line(&title);
        for entry in &section.entries {
            self.entry(entry);
        }
        for line in &section.lines {
            self.value(2, line);
        }
    }

    /// `-/+ web[0] linode.instance: why  # where`, on several lines when it is long.
    fn entry(&mut self, entry: &RenderedEntry) {
        let color = match entry.symbol {
            _ if entry.is_risky() => ALARM,
            "+" => GREEN,
            "-" | "-/+" | "+/-" => RED,
            "=" => DIM,
            "~" => YELLOW,
            _ => CYAN,
        };
        let place = entry.place.as_ref().map(|it| format!("# {it}")).unwrap_or_default();
        let colon = if entry.reason.is_empty() { "" } else { ":" };
        let (addresses, kinds) = whose(entry);
        let plain = [&addresses, " ", &kinds, colon].concat();
        let head = format!(
            "  {} {}",
            self.paint(color, &format!("{:<3}", entry.symbol)),
            self.paint(BOLD, &plain)
        );
        let length = 6
            + [&plain, &entry.reason, &place].iter().map(|it| it.chars().count()).sum::<usize>()
            + 3;
        let dim = self.paint(DIM, &place);
        if self.options.width == 0 || length <= self.options.width {
            let line = format!("{head} {}  {dim}", entry.reason);
            let line = if place.is_empty() { format!("{head} {}", entry.reason) } else { line };
            self.line(line.trim_end());
        } else {
            for (at, line) in
                wrap(&plain, "        ", width_behind(self.options.width)).iter().enumerate()
            {
                let bold = self.paint(BOLD, line);
                let symbol = self.paint(color, &format!("{:<3}", entry.symbol));
                let line = if at == 0 { format!("  {symbol} {bold}") } else { bold };
                self.line(&line);
            }
            if !entry.reason.is_empty() {
                self.paragraph(&format!("        {}", entry.reason), "        ", None);
            }
            if !place.is_empty() {
                self.line(&format!("        {dim}"));
            }
        }
        for (it, says) in &entry.concerns {
            let color = if it.is_danger() { ALARM } else { YELLOW };
            self.paragraph(&format!("        {}: {says}", rank(*it)), "          ", Some(color));
        }
        for line in &entry.lines {
            self.value(8, line);
        }
    }

    fn value(&mut self, margin: usize, line: &RenderedLine) {
        let color = match line.sign {
            Sign::Add => Some(GREEN),
            Sign::Remove => Some(RED),
            Sign::Change => Some(YELLOW),
            Sign::Aside => Some(DIM),
            Sign::Same => None,
        };
        let text = format!("{} {}", line.sign.symbol(), line.text);
        let text = color.map_or_else(|| text.clone(), |it| self.paint(it, text.trim_end()));
        let indent = " ".repeat(margin + 2 * line.depth);
        let comment = line.comment.as_ref();
        let comment = comment.map(|it| format!("  {}", self.paint(DIM, &format!("# {it}"))));
        let line = format!("{indent}{text}{}", comment.unwrap_or_default());
        self.line(line.trim_end());
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A sentence, wrapped between words.
    fn paragraph(&mut self, sentence: &str, hanging: &str, color: Option<&str>) {
        for line in wrap(sentence, hanging, self.options.width) {
            let line = color.map_or_else(|| line.clone(), |it| self.paint(it, &line));
            self.line(&line);
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.options.color && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What is left of a line behind a symbol.
fn width_behind(width: usize) -> usize {
    width.saturating_sub(6)
}
