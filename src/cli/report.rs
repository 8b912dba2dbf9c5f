//! Mistakes as miette reports: the source line, a label on the exact span, what is wrong and what to do.

use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

use crate::cli::out::talk;
use crate::engine::diagnostic::{Diagnostic, Severity, Sources};
use crate::ops::error::OpsError;

/// Says why a command did not do what was asked.
pub fn error(why: &OpsError, color: bool) {
    match why {
        OpsError::Mistakes { diagnostics, sources } => {
            all(diagnostics, sources, color);
            let count = diagnostics.iter().filter(|it| it.severity > Severity::Warning).count();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            talk(&format!("{count} {noun}; nothing was changed"));
        }
        OpsError::Input { what, help } | OpsError::Usage { what, help } => {
            talk(&format!("error: {what}\nhint: {help}"));
        }
        OpsError::Refused { what, help } => talk(&format!("refused: {what}\nhint: {help}")),
        OpsError::Store(why) => {
            talk(&format!("error: {why}{}\nhint: {}", causes(why), why.advice()));
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

/// Every diagnostic, in the order of their places.
pub fn all(diagnostics: &[Diagnostic], sources: &Sources, color: bool) {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|it| it.labels.first().map(|it| it.span));
    for diagnostic in sorted {
        talk(render(diagnostic, sources, color).trim_end_matches('\n'));
    }
}

/// One diagnostic as text.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut text = String::new();
    let report = report(diagnostic, sources);
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_) => format!("error: {}", diagnostic.summary),
    }
}

fn report(diagnostic: &Diagnostic, sources: &Sources) -> Report {
    let severity = match diagnostic.severity {
        Severity::Warning => miette::Severity::Warning,
        Severity::Error | Severity::Refusal => miette::Severity::Error,
    };
    let mut shown = MietteDiagnostic::new(diagnostic.summary.clone())
        .with_code(diagnostic.code)
        .with_severity(severity);
    let subject = diagnostic.labels.first().map(|it| it.span);
    let mut help = diagnostic.help.clone();
    for label in &diagnostic.labels {
        let span = label.span;
        // A report quotes one file; a label in another becomes words.
        if subject.is_some_and(|it| it.source == span.source) {
            let range = span.start as usize..(span.end.max(span.start)) as usize;
            shown = shown.and_label(LabeledSpan::new_with_span(Some(label.text.clone()), range));
        } else {
            let place = format!("{}: {}", sources.place(span), label.text);
            help = Some(help.map_or_else(|| place.clone(), |it| format!("{it}\n{place}")));
        }
    }
    if let Some(help) = help {
        shown = shown.with_help(help);
    }
    match subject.and_then(|it| sources.get(it)) {
        Some(source) => {
            let text: Arc<str> = Arc::clone(&source.text);
            Report::new(shown).with_source_code(NamedSource::new(&*source.name, text))
        }
        None => Report::new(shown),
    }
}
