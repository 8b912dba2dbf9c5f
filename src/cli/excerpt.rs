//! The part of a file that a report quotes: few lines, short ones, and nothing in them that acts on a terminal.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::engine::text::diagnostic::{Source, Span};
use crate::engine::text::plain::{escape_control, is_invisible};

/// A longer excerpt is cut around its subject: a line may be a whole file of JSON. 4 KiB is about a screen of text.
const BYTES_MAX: usize = 4 * 1024;
/// How many characters of such a line stay before and after the subject; with the subject they fill about two lines.
const AROUND: usize = 60;
/// How many characters of a long subject are quoted: enough to recognize it, about two lines of a terminal.
const SUBJECT_MAX: usize = 200;

/// A part of a source, with the place where it begins.
#[derive(Debug)]
pub struct Excerpt {
    name: String,
    text: String,
    /// Of its first byte in the file.
    start: usize,
    /// Of its first character, from 0.
    line: usize,
    column: usize,
}

impl Excerpt {
    /// The lines of the subject and of what is named near it, and one before and behind.
    pub fn new(source: &Source, subject: Span, near: impl Iterator<Item = Span>) -> Self {
        let text = &*source.text;
        let from = floor(text, subject.start as usize);
        let to = floor(text, subject.end as usize).max(from);
        let (first, last) = near.fold((from, to), |(first, last), it| {
            (first.min(floor(text, it.start as usize)), last.max(floor(text, it.end as usize)))
        });
        let whole = lines(text, first, last);
        let range = if whole.len() <= BYTES_MAX { whole } else { lines(text, from, to) };
        let range = if range.len() <= BYTES_MAX {
            range
        } else {
            let end = to.min(from + SUBJECT_MAX);
            floor(text, from.saturating_sub(AROUND))..floor(text, (end + AROUND).min(text.len()))
        };
        let line_start = text[..range.start].rfind('\n').map_or(0, |it| it + 1);
        // The subject's line is known; counting from the start of a large file for each report is not needed.
        let between = text[range.start..from].matches('\n').count();
        Self {
            name: escape_control(&source.name),
            text: harmless(&text[range.clone()]),
            start: range.start,
            line: (subject.line as usize).saturating_sub(1 + between),
            column: text[line_start..range.start].chars().count(),
        }
    }

    /// Where a span lies in it; `None`: not in it.
    pub fn range(&self, span: Span) -> Option<std::ops::Range<usize>> {
        let start = (span.start as usize).checked_sub(self.start)?;
        let start = Some(start).filter(|it| *it <= self.text.len())?;
        let end = (span.end as usize).saturating_sub(self.start).clamp(start, self.text.len());
        Some(floor(&self.text, start)..floor(&self.text, end))
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let part = self.text.read_span(span, before, after)?;
        // In characters, as everywhere; miette counts bytes.
        let before = &self.text[..floor(&self.text, part.span().offset())];
        let column = match before.rsplit_once('\n') {
            Some((_, line)) => line.chars().count(),
            None => self.column + before.chars().count(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            part.data(),
            *part.span(),
            self.line + part.line(),
            column,
            part.line_count(),
        )))
    }
}

/// The lines of a range, and one before and behind.
fn lines(text: &str, from: usize, to: usize) -> std::ops::Range<usize> {
    let start = |at: usize| text[..at].rfind('\n').map_or(0, |it| it + 1);
    let end = |at: usize| text[at..].find('\n').map_or(text.len(), |it| at + it);
    let first = start(from);
    let last = end(to);
    start(first.saturating_sub(1))..end((last + 1).min(text.len()))
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// A text of as many bytes, so that places stay, in which nothing acts or hides.
fn harmless(text: &str) -> String {
    if !text.contains(|it| is_invisible(it) && it != '\n') {
        return text.to_owned();
    }
    let mut told = String::with_capacity(text.len());
    for it in text.chars() {
        match (it, it.len_utf8()) {
            ('\n' | '\t', _) => told.push(it),
            ('\r', _) => told.push(' '),
            (it, _) if !is_invisible(it) => told.push(it),
            (_, 1) => told.push('?'),
            (_, 2) => told.push('\u{bf}'),
            (_, 3) => told.push('\u{fffd}'),
            _ => told.push_str("\u{fffd}?"),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use crate::cli::report::render;
    use crate::engine::text::codes::DiagnosticCode;
    use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};
    use crate::engine::text::plain::is_invisible;

    fn said(text: &str, start: usize, end: usize) -> String {
        let mut sources = Sources::default();
        let source = sources.add("stack.yaml", text);
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let small = |it: usize| u32::try_from(it).unwrap();
        let span = Span {
            source,
            start: small(start),
            end: small(end),
            line: small(line),
            column: small(column),
        };
        let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key").at(span, "here");
        render(&wrong, &sources, false)
    }

    #[test]
    fn read_span_shows_a_mistake_far_to_the_right_of_a_line() {
        let text = format!(
            "{{\"a\": \"{}\", \"wrong\": 1, \"b\": \"{}\"}}",
            "x".repeat(200_000),
            "y".repeat(90_000)
        );
        let at = text.find("wrong").unwrap();
        let said = said(&text, at, at + 5);
        assert!(said.contains(&format!("stack.yaml:1:{}", at + 1)), "{said}");
        assert!(said.contains("wrong") && said.len() < 2_000, "{said}");
    }

    #[test]
    fn read_span_keeps_lines_and_columns_of_the_file() {
        let text = "one\ntwo\nthree\nfour ü five\nsix\nseven\n";
        let at = text.find("five").unwrap();
        let said = said(text, at, at + 4);
        assert!(said.contains("stack.yaml:4:8"), "{said}");
        for line in ["3 │ three", "4 │ four ü five", "5 │ six"] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains("two") && !said.contains("seven"), "{said}");
    }

    #[test]
    fn read_span_lets_nothing_act_on_the_terminal() {
        let text = "a: \u{1b}]0;x\u{7}\r\nb\u{9b}31m: \u{202e}c\u{e0041}\n";
        let at = text.find('c').unwrap();
        let said = said(text, at, at + 1);
        assert!(!said.contains(|it| is_invisible(it) && it != '\n'), "{said:?}");
    }
}
