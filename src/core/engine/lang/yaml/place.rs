//! Places inside a scalar: from an offset in its decoded text to a span in the file, through quotes, escapes, folds and indentation.

use crate::engine::lang::yaml::node::{Node, Style};
use crate::engine::text::diagnostic::Span;

/// Where the bytes of an expression's text lie in the file.
#[derive(Debug, Clone)]
pub struct Places {
    base: Span,
    /// `None`: the bytes of the text lie side by side from `base.start`. Else an offset for each byte and for the end.
    map: Option<Box<[(u32, u32, u32)]>>,
    /// The whole scalar is the best that is known.
    is_vague: bool,
}

impl Places {
    /// All offsets are at one span.
    pub fn at(base: Span) -> Self {
        Self { base, map: None, is_vague: true }
    }

    /// The span of a range of the text.
    pub fn span(&self, text: &str, start: usize, end: usize) -> Span {
        if self.is_vague {
            return self.base;
        }
        let (start, end) = (start.min(text.len()), end.min(text.len()).max(start.min(text.len())));
        if let Some(map) = &self.map {
            let (from, line, column) = map[start.min(map.len() - 1)];
            let to = map[end.min(map.len() - 1)].0.max(from);
            return Span { start: from, end: to, line, column, ..self.base };
        }
        let before = text.get(..start).unwrap_or_default();
        let (line, column) = step(before, self.base.line, self.base.column);
        let at = |offset: usize| self.base.start + u32::try_from(offset).unwrap_or(0);
        Span { start: at(start), end: at(end), line, column, ..self.base }
    }
}

/// Line and column after a text that begins at the given ones.
fn step(text: &str, line: u32, column: u32) -> (u32, u32) {
    text.chars().fold(
        (line, column),
        |(line, column), it| {
            if it == '\n' { (line + 1, 1) } else { (line, column + 1) }
        },
    )
}

/// The places of a whole scalar: an offset into the file for each byte of its decoded text, if it can be told.
pub struct ScalarPlaces<'a> {
    span: Span,
    offsets: Offsets,
    /// As it stands in the file: line and column are counted from its start.
    raw: &'a str,
}

/// Where in the raw text each byte of the decoded one is, and its end.
enum Offsets {
    Unknown,
    /// Side by side, from here.
    Straight(usize),
    Each(Vec<u32>),
}

impl<'a> ScalarPlaces<'a> {
    /// `source` is the text of the file.
    pub fn new(node: &Node, decoded: &str, source: &'a str) -> Self {
        let span = node.span;
        let raw = source.get(span.start as usize..span.end as usize).unwrap_or_default();
        let offsets = match straight(raw, decoded, node.style) {
            Some(start) => Offsets::Straight(start),
            None => offsets(raw, decoded, node.style).map_or(Offsets::Unknown, Offsets::Each),
        };
        Self { span, offsets, raw }
    }

    /// The places of one part of the decoded text.
    pub fn part(&self, start: usize, end: usize) -> Places {
        let place = |offset: u32| {
            let before = self.raw.get(..offset as usize).unwrap_or_default();
            let (line, column) = step(before, self.span.line, self.span.column);
            (self.span.start + offset, line, column)
        };
        let base = |first: u32, last: u32| {
            let (from, line, column) = place(first);
            Span { start: from, end: self.span.start + last, line, column, ..self.span }
        };
        let offsets = match &self.offsets {
            Offsets::Unknown => return Places::at(self.span),
            Offsets::Straight(lead) => {
                let offset = |at: usize| u32::try_from(lead + at).unwrap_or(0);
                let base = base(offset(start), offset(end));
                return Places { base, map: None, is_vague: false };
            }
            Offsets::Each(offsets) => offsets,
        };
        let part = &offsets[start..=end];
        let base = base(part[0], part[part.len() - 1]);
        let is_straight = part.iter().zip(part[0]..).all(|(offset, expected)| *offset == expected);
        let map = (!is_straight).then(|| part.iter().map(|it| place(*it)).collect());
        Places { base, map, is_vague: false }
    }
}

/// Where the decoded text begins in the raw one, if it stands there on one line just as it is: most do.
fn straight(raw: &str, decoded: &str, style: Style) -> Option<usize> {
    let quote = match style {
        Style::Plain => return (raw == decoded && !raw.contains('\n')).then_some(0),
        Style::Single => '\'',
        Style::Double => '"',
        Style::Literal | Style::Folded | Style::Collection => return None,
    };
    let inside = raw.strip_prefix(quote)?.strip_suffix(quote)?;
    (inside == decoded && !inside.contains([quote, '\\', '\n'])).then_some(1)
}

/// For each byte of `decoded`, and its end, the offset in `raw`. `None` when the two do not match.
fn offsets(raw: &str, decoded: &str, style: Style) -> Option<Vec<u32>> {
    let mut walk = SpanWalk { raw: raw.as_bytes(), at: 0 };
    match style {
        Style::Collection => return None,
        Style::Single | Style::Double => walk.at = 1,
        Style::Plain | Style::Literal | Style::Folded => {}
    }
    let is_block = matches!(style, Style::Literal | Style::Folded);
    let mut found = Vec::with_capacity(decoded.len() + 1);
    let mut chars = decoded.char_indices().peekable();
    while let Some((index, it)) = chars.next() {
        if matches!(it, ' ' | '\n') && (is_block || walk.at_fold()) {
            if is_block {
                walk.line(it, decoded, index, &mut found)?;
                continue;
            }
            let breaks = walk.fold(style == Style::Double)?;
            let start = u32::try_from(breaks.0).ok()?;
            found.push(start);
            for _ in 1..breaks.1 {
                chars.next_if(|(_, it)| *it == '\n')?;
                found.push(start);
            }
            continue;
        }
        let (start, length) = walk.char(it, style)?;
        let start = u32::try_from(start).ok()?;
        // Within one character that is written as it is, bytes stay side by side; an escape is one place.
        found.extend((0..it.len_utf8()).map(|byte| {
            if length == it.len_utf8() { start + u32::try_from(byte).unwrap_or(0) } else { start }
        }));
    }
    found.push(u32::try_from(walk.at.min(raw.len())).ok()?);
    Some(found)
}

struct SpanWalk<'a> {
    raw: &'a [u8],
    at: usize,
}

impl SpanWalk<'_> {
    /// Whether blanks with a line break in them follow.
    fn at_fold(&self) -> bool {
        self.raw[self.at.min(self.raw.len())..]
            .iter()
            .find(|it| !matches!(it, b' ' | b'\t'))
            .is_some_and(|it| matches!(it, b'\n' | b'\r'))
    }

    /// Passes a fold of a flow scalar: where it began, and how many characters it became.
    fn fold(&mut self, is_double: bool) -> Option<(usize, usize)> {
        let start = self.at;
        let mut breaks = 0;
        while let Some(it) = self.raw.get(self.at) {
            match it {
                b'\n' => breaks += 1,
                b' ' | b'\t' | b'\r' => {}
                b'\\' if is_double && self.raw.get(self.at + 1) == Some(&b'\n') => return None,
                _ => break,
            }
            self.at += 1;
        }
        (breaks > 0).then_some((start, (breaks - 1_usize).max(1)))
    }

    /// A blank or a line end of a block scalar: after a raw line end the indentation is passed.
    fn line(&mut self, it: char, decoded: &str, index: usize, found: &mut Vec<u32>) -> Option<()> {
        let here = u32::try_from(self.at).ok()?;
        found.push(here);
        if it == ' ' && self.raw.get(self.at) == Some(&b' ') {
            self.at += 1;
            return Some(());
        }
        if self.raw.get(self.at) == Some(&b'\r') {
            self.at += 1;
        }
        if self.at < self.raw.len() {
            if self.raw[self.at] != b'\n' {
                return None;
            }
            self.at += 1;
        }
        let rest = decoded.get(index + 1..)?;
        let wanted = rest.len() - rest.trim_start_matches(' ').len();
        if rest.starts_with('\n') {
            return Some(());
        }
        let line = &self.raw[self.at.min(self.raw.len())..];
        let given = line.iter().take_while(|it| **it == b' ').count();
        self.at += given.checked_sub(wanted)?;
        Some(())
    }

    /// One character: where it is written, and in how many bytes.
    fn char(&mut self, it: char, style: Style) -> Option<(usize, usize)> {
        if style == Style::Double {
            // An escaped line end stands for nothing.
            while self.raw.get(self.at) == Some(&b'\\')
                && matches!(self.raw.get(self.at + 1), Some(b'\n' | b'\r'))
            {
                self.at += 1;
                while matches!(self.raw.get(self.at), Some(b'\n' | b'\r' | b' ' | b'\t')) {
                    self.at += 1;
                }
            }
        }
        let start = self.at;
        let length = match (style, self.raw.get(self.at)?) {
            (Style::Single, b'\'') if it == '\'' => 2,
            (Style::Double, b'\\') => match self.raw.get(self.at + 1)? {
                b'x' => 4,
                b'u' if it.len_utf16() == 2 => 12,
                b'u' => 6,
                b'U' => 10,
                _ => 2,
            },
            _ => {
                let mut bytes = [0; 4];
                let bytes = it.encode_utf8(&mut bytes).as_bytes();
                if !self.raw[self.at..].starts_with(bytes) {
                    return None;
                }
                bytes.len()
            }
        };
        self.at += length;
        Some((start, length))
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::lang::yaml::node::Data;
    use crate::engine::lang::yaml::place::ScalarPlaces;
    use crate::engine::lang::yaml::reader::parse;
    use crate::engine::text::diagnostic::Sources;

    /// What the file holds at the place of `needle` in the decoded value of the first key.
    #[track_caller]
    fn check(file: &str, needle: &str, expected: &str) {
        let mut sources = Sources::default();
        let (node, wrong) = parse("x", file.as_bytes(), &mut sources);
        assert!(wrong.is_empty(), "{wrong:?}");
        let node = node.unwrap();
        let value = &node.as_map().unwrap()[0].node;
        let Data::Text(text) = &value.data else { panic!("{value:?}") };
        let at = text.find(needle).unwrap();
        let places = ScalarPlaces::new(value, text, file).part(at, at + needle.len());
        let span = places.span(needle, 0, needle.len());
        assert_eq!(&file[span.start as usize..span.end as usize], expected, "{text:?}");
        let line = file[..span.start as usize].matches('\n').count() + 1;
        assert_eq!(span.line as usize, line);
        let column = file[..span.start as usize].rsplit('\n').next().unwrap().chars().count() + 1;
        assert_eq!(span.column as usize, column);
    }

    #[test]
    fn span_is_right_in_every_way_to_write_a_scalar() {
        check("a: b ${c} d\n", "${c}", "${c}");
        check("a: '${c}'\n", "${c}", "${c}");
        check("a: \"ü ${c}\" # d\n", "${c}", "${c}");
        check("ä: 'ünï ${c}'\n", "${c}", "${c}");
        check("a: 'it''s ${c[''k'']}'\n", "${c['k']}", "${c[''k'']}");
        check("a: \"\\u00e4 \\\"${c}\\\"\"\n", "${c}", "${c}");
        check("a: \"${c[\\\"k\\\"]}\"\n", "${c[\"k\"]}", "${c[\\\"k\\\"]}");
        check("a: |\n  one\n\n    two ${c}\n", "${c}", "${c}");
        check("a: >-\n  one\n  two\n  ${c}\n", "${c}", "${c}");
        check("a: 'one\n  two\n\n  ${c}'\n", "${c}", "${c}");
        check("a: one\n  two ${c}\n", "${c}", "${c}");
        check("a: |\r\n  one\r\n  ${c}\r\n", "${c}", "${c}");
    }
}
