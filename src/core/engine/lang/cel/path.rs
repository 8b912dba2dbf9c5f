//! Paths: the part of the expression language that needs no evaluator, `web[0].private_ipv4`, `vars.domain`, `node["fra"]`.

/// A way from a root to a value.
#[derive(Debug)]
pub struct Path<C> {
    pub root: Box<str>,
    pub steps: Vec<Segment<C>>,
    /// The range of bytes in the expression's text.
    pub start: u32,
    pub end: u32,
}

/// One step of a path; `C` is what computes a step that is not constant.
#[derive(Debug)]
pub enum Segment<C> {
    Name(Box<str>),
    Index(u32),
    Computed(C),
}

/// Words that CEL's lexer knows.
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];

/// Words that cannot be roots in CEL, so no resource may have such a name.
pub const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Names of CEL's libraries and types, and of lifeboat's own roots.
pub const TAKEN: [&str; 20] = [
    "lists", "math", "strings", "base64", "optional", "cel", "vars", "self", "each", "stack",
    "bool", "bytes", "double", "dyn", "int", "list", "map", "string", "type", "uint",
];

/// Whether no resource may have this name, though it is spelled like one.
pub fn is_taken(name: &str) -> bool {
    KEYWORDS.contains(&name) || RESERVED.contains(&name) || TAKEN.contains(&name)
}

/// Reads a text that is nothing but a path. `None`: it needs CEL, or is wrong.
pub fn parse<C>(text: &str) -> Option<Path<C>> {
    let trimmed = text.trim_matches([' ', '\n', '\t', '\r']);
    let offset = text.len() - text.trim_start_matches([' ', '\n', '\t', '\r']).len();
    let mut left = PathReader { text: trimmed, at: 0 };
    let root = left.word()?;
    if RESERVED.contains(&root) || is_type(root) {
        return None;
    }
    let opens_step = |it: &u8| matches!(it, b'.' | b'[');
    let mut steps = Vec::with_capacity(trimmed.bytes().filter(opens_step).count());
    while left.at < trimmed.len() {
        match left.byte()? {
            b'.' => steps.push(Segment::Name(left.word()?.into())),
            b'[' => steps.push(left.index()?),
            _ => return None,
        }
    }
    Some(Path {
        root: root.into(),
        steps,
        start: u32::try_from(offset).ok()?,
        end: u32::try_from(offset + trimmed.len()).ok()?,
    })
}

/// Names that CEL reads as types.
pub fn is_type(name: &str) -> bool {
    TAKEN[10..].contains(&name) || name == "null_type"
}

struct PathReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> PathReader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let length =
            rest.bytes().take_while(|it| it.is_ascii_alphanumeric() || *it == b'_').count();
        let word = &rest[..length];
        if word.is_empty() || word.as_bytes()[0].is_ascii_digit() || KEYWORDS.contains(&word) {
            return None;
        }
        self.at += length;
        Some(word)
    }

    fn index<C>(&mut self) -> Option<Segment<C>> {
        let rest = self.text.get(self.at..)?;
        let length = rest.find(']')?;
        let inside = &rest[..length];
        self.at += length + 1;
        if inside.bytes().all(|it| it.is_ascii_digit()) && (1..=9).contains(&inside.len()) {
            return inside.parse().ok().map(Segment::Index);
        }
        let quote = inside.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let key = inside.strip_prefix(quote)?.strip_suffix(quote)?;
        let is_plain = !key.contains(['"', '\'', '\\', '\n', '\r']) && !key.is_empty();
        is_plain.then(|| Segment::Name(key.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, parse};

    #[test]
    fn parse_reads_paths_and_leaves_the_rest_to_cel() {
        for text in ["a", "a.b", " a[0].b ", "a[\"k\"]", "a['k-1'].b", "vars.x", "a.package"] {
            assert!(parse::<()>(text).is_some(), "{text}");
        }
        for text in [
            "",
            "a.",
            "a..b",
            "a[",
            "a[]",
            "a[-1]",
            "a[b]",
            "a + b",
            "1",
            "a.in",
            "for.a",
            "int",
            "a[\"x\\n\"]",
            "f(x)",
            "a['x]",
        ] {
            assert!(parse::<()>(text).is_none(), "{text}");
        }
        let path: Path<()> = parse(" ab.c ").unwrap();
        assert_eq!((path.start, path.end), (1, 5));
    }
}
