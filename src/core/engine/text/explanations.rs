//! What each code means, why there is such a rule, and what to do about it: the sections of one document.

use crate::engine::text::codes::DiagnosticCode;

/// `docs/codes.md` is a copy of it.
pub const DOCUMENT: &str = include_str!("codes.md");

/// What stands before each code.
const HEADING: &str = "\n## ";

/// The section of a code, without its heading; as Markdown, ending with a line break.
pub fn explanation(code: &str) -> Option<String> {
    let (_, text) = sections().find(|(name, _)| *name == code)?;
    Some(format!("{}\n", text.trim()))
}

/// Every section with its code, in the order of the document.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    DOCUMENT.split(HEADING).skip(1).filter_map(|it| it.split_once('\n'))
}

/// The codes, for whoever mistyped one.
pub fn codes() -> impl Iterator<Item = &'static str> {
    DiagnosticCode::ALL.iter().map(|it| it.as_str())
}

#[cfg(test)]
mod tests {
    use super::{codes, explanation, sections};

    #[test]
    fn explanation_is_there_for_every_code_and_no_other() {
        let explained: Vec<&str> = sections().map(|(name, _)| name).collect();
        assert_eq!(explained, codes().collect::<Vec<_>>());
        for (code, text) in sections() {
            let words = text.split_whitespace().count();
            assert!((20..=200).contains(&words), "{code} takes {words} words");
        }
        assert_eq!(explanation("no_such_code"), None);
    }
}
