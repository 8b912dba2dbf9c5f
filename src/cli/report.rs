//! Mistakes as miette reports: the source line, a label on the exact span, what is wrong and what to do.

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, Report};

use crate::cli::excerpt::Excerpt;
use crate::cli::out::{talk, talk_width, talks_in_color};
use crate::engine::text::advice::{restored, unbroken};
use crate::engine::text::diagnostic::{Diagnostic, Severity, Sources};
use crate::engine::text::plain::escape_control;
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;

/// How many mistakes are printed: whoever has more fixes the first ones first, since later ones often follow from them.
const SHOWN_MAX: usize = 100;
/// The longest text of one label, in characters. A label may quote what a cloud sent; about 25 lines of a terminal.
const WORDS_MAX: usize = 2_000;

/// Says why a command did not do what was asked.
pub fn error(why: &OpsError, color: bool) {
    match why {
        OpsError::Mistakes { diagnostics, sources } => {
            all(diagnostics, sources, color);
            let count = diagnostics.iter().filter(|it| it.severity > Severity::Warning).count();
            let noun = if count == 1 { "error" } else { "errors" };
            talk(&format!("{count} {noun}; nothing was changed"));
        }
        OpsError::Input { what, help } | OpsError::Usage { what, help } => {
            talk(&format!("error: {what}\nhelp: {help}"));
        }
        OpsError::Unsaid { what, help } => talk(&format!("{what}\n{help}")),
        OpsError::Refused { what, help } => talk(&format!("refused: {what}\nhelp: {help}")),
        OpsError::Store(why) => {
            talk(&format!("error: {why}{}\nhelp: {}", causes(why), why.advice()));
        }
        OpsError::File { .. } | OpsError::Provider(_) | OpsError::Sandbox(_) => {
            talk(&format!("error: {why}"));
        }
    }
}

fn causes(why: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut cause = why.source();
    while let Some(it) = cause {
        let words = it.to_string();
        if !text.contains(&words) && !why.to_string().contains(&words) {
            text.push_str(&format!(": {words}"));
        }
        cause = it.source();
    }
    text
}

/// Every diagnostic, in the order of their places; of very many the first ones.
pub fn all(diagnostics: &[Diagnostic], sources: &Sources, color: bool) {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|it| it.labels.first().map(|it| it.span));
    for diagnostic in sorted.iter().take(SHOWN_MAX) {
        talk(render(diagnostic, sources, color).trim_end_matches('\n'));
    }
    if let Some(more) = sorted.len().checked_sub(SHOWN_MAX).filter(|it| *it > 0) {
        talk(&format!("… and {more} more"));
    }
}

/// One diagnostic as text.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let theme = if color && talks_in_color() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    // Words stay whole, and so do commands: what is typed stands on one line.
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(talk_width())
        .with_break_words(false)
        .with_word_separator(textwrap::WordSeparator::AsciiSpace)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation);
    let mut text = String::new();
    let report = report(diagnostic, sources);
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => restored(text),
        Err(_) => format!("error: {}", told(&diagnostic.summary)),
    }
}

/// What is said of somebody's text: on one line, and before it is wrapped, which could hide a secret from the redactor.
fn told(text: &str) -> String {
    let text = escape_control(&redactor().redact(text));
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn report(diagnostic: &Diagnostic, sources: &Sources) -> Report {
    let severity = match diagnostic.severity {
        Severity::Warning => miette::Severity::Warning,
        Severity::Error | Severity::Refusal => miette::Severity::Error,
    };
    let mut shown = MietteDiagnostic::new(unbroken(&told(&diagnostic.summary)))
        .with_code(diagnostic.code.as_str())
        .with_severity(severity);
    let subject = diagnostic.labels.first().map(|it| it.span);
    let source = subject.and_then(|it| sources.get(it));
    let excerpt = source.zip(subject).map(|(source, subject)| {
        let near = diagnostic.labels.iter().map(|it| it.span);
        Excerpt::new(source, subject, near.filter(|it| it.source == subject.source))
    });
    let mut help: Vec<String> = diagnostic.help.iter().map(|it| told(it)).collect();
    for label in &diagnostic.labels {
        // A report quotes one place of one file; a label elsewhere becomes words.
        let is_there = subject.is_some_and(|it| it.source == label.span.source);
        let range = excerpt.as_ref().filter(|_| is_there).and_then(|it| it.range(label.span));
        match range {
            Some(range) => {
                let label = LabeledSpan::new_with_span(Some(told(&label.text)), range);
                shown = shown.and_label(label);
            }
            None => help.push(format!("{}: {}", sources.place(label.span), told(&label.text))),
        }
    }
    if !help.is_empty() {
        shown = shown.with_help(unbroken(&help.join("\n")));
    }
    match excerpt {
        Some(excerpt) => Report::new(shown).with_source_code(excerpt),
        None => Report::new(shown),
    }
}
