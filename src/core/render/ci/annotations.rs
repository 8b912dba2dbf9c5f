//! Workflow commands by which a code host marks lines: `::error file=…,line=…,col=…::text`.

use crate::engine::plan::model::change::Note;
use crate::engine::recovery::audit::finding::{Finding, FindingPlace, Level};
use crate::engine::text::diagnostic::Severity;
use crate::render::words::count;

/// How many of one kind a step may make that GitHub shows
/// (<https://docs.github.com/en/rest/checks/runs>: "10 warning annotations and 10 error annotations per step").
const SHOWN_MAX: usize = 10;
/// The longest text of one, in characters: it is shown beside a line of code, and the log has the rest. A guess.
const TEXT_MAX: usize = 1_000;

/// One line that is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub level: Level,
    pub place: Option<FindingPlace>,
    pub text: String,
}

impl Annotation {
    /// A finding of an audit.
    pub fn of_finding(it: &Finding) -> Self {
        let text = format!("{}: {}. To do: {}.", it.rule.title, it.why, it.remedy);
        Self { level: it.level, place: it.place.clone(), text }
    }

    /// A mistake in the layers, or a refusal.
    pub fn of_note(it: &Note) -> Self {
        let level = match it.severity {
            Severity::Warning => Level::Warning,
            Severity::Error | Severity::Refusal => Level::Error,
        };
        let help = it.help.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        let place = it.places.first().and_then(|it| place(it));
        Self { level, place, text: format!("{}{help} ({})", it.text, it.code) }
    }
}

/// `file:line:column`, or `file:line`.
fn place(text: &str) -> Option<FindingPlace> {
    let (rest, last) = text.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    let with_column = rest.rsplit_once(':').and_then(|(file, it)| Some((file, it.parse().ok()?)));
    let (file, line, column) = match with_column {
        Some((file, line)) => (file, line, last),
        None => (rest, last, 1),
    };
    Some(FindingPlace { file: file.to_owned(), line, column })
}

/// One command a line. Of very many of one kind the last one says how many there are.
pub fn annotations(all: &[Annotation]) -> String {
    let mut text = String::new();
    for (level, word) in
        [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "notice")]
    {
        let these: Vec<&Annotation> = all.iter().filter(|it| it.level == level).collect();
        let shown = if these.len() > SHOWN_MAX { SHOWN_MAX - 1 } else { these.len() };
        for it in &these[..shown] {
            text.push_str(&format!("::{word}{}::{}\n", properties(it), data(&it.text)));
        }
        if these.len() > shown {
            let more = count(these.len() - shown, level.word());
            text.push_str(&format!("::{word}::and {more} more, which the log shows\n"));
        }
    }
    text
}

fn properties(it: &Annotation) -> String {
    let Some(place) = &it.place else { return " title=lifeboat".to_owned() };
    let FindingPlace { file, line, column } = place;
    format!(" file={},line={line},col={column},title=lifeboat", property(file))
}

/// Nothing in it ends the line, or begins another command.
fn data(text: &str) -> String {
    let text: String = text.chars().take(TEXT_MAX).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for a property, which a colon or a comma would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{Annotation, annotations, place};
    use crate::engine::plan::model::change::Note;
    use crate::engine::recovery::audit::finding::{FindingPlace, Level};
    use crate::engine::text::diagnostic::Severity;

    fn note(text: &str, place: &str) -> Annotation {
        Annotation::of_note(&Note {
            severity: Severity::Error,
            code: "unknown_key".into(),
            text: text.into(),
            places: vec![place.into()],
            help: Some("did you mean `region`?".into()),
        })
    }

    #[test]
    fn annotations_name_the_line_and_end_with_it() {
        let all = [note("50%\r\n::set-output name=x::y", "stacks/a,b:c/stack.yaml:3:5")];
        insta::assert_snapshot!(annotations(&all), @"::error file=stacks/a%2Cb%3Ac/stack.yaml,line=3,col=5,title=lifeboat::50%25%0D%0A::set-output name=x::y; did you mean `region`? (unknown_key)");
    }

    #[test]
    fn annotations_are_ten_of_a_kind_and_count_the_rest() {
        let all: Vec<_> = (0..12).map(|_| note("x", "a.yaml:1:1")).collect();
        assert_eq!(annotations(&all[..10]).lines().count(), 10);
        let text = annotations(&all);
        assert_eq!(text.lines().count(), 10);
        assert!(text.ends_with("::error::and 3 errors more, which the log shows\n"), "{text}");
        let mut mixed = all.clone();
        mixed.push(Annotation { level: Level::Warning, place: None, text: "y".into() });
        assert!(annotations(&mixed).ends_with("::warning title=lifeboat::y\n"));
    }

    #[test]
    fn place_reads_lines_with_and_without_a_column() {
        let at = |line, column| Some(FindingPlace { file: "a:b.yaml".into(), line, column });
        assert_eq!(place("a:b.yaml:3:5"), at(3, 5));
        assert_eq!(place("a:b.yaml:3"), at(3, 1));
        assert_eq!(place("a.yaml"), None);
    }
}
