//! Texts with one kind of escape undone, and where each part of them stood before.

use std::borrow::Cow;
use std::ops::Range;

/// What may have been done to a text before it came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// `%2F`
    Url,
    /// The same, and `+` for a blank.
    Form,
    /// `\"`, `\n`, `\u00fc`, `\u{fc}`, `\xfc`
    Backslash,
    /// `&amp;`, `&#34;`, `&#x22;`
    Html,
}

impl Decoder {
    /// Forms are only worth a try where a blank is looked for.
    pub fn all(with_blanks: bool) -> std::iter::Copied<std::slice::Iter<'static, Self>> {
        const ALL: [Decoder; 4] = [Decoder::Url, Decoder::Backslash, Decoder::Html, Decoder::Form];
        ALL[..if with_blanks { 4 } else { 3 }].iter().copied()
    }

    fn sign(self) -> &'static [char] {
        match self {
            Self::Url => &['%'],
            Self::Form => &['+'],
            Self::Backslash => &['\\'],
            Self::Html => &['&'],
        }
    }

    /// What the text begins with, and how many of its bytes that takes. `None`: with no escape.
    fn escape(self, text: &str) -> Option<(Vec<u8>, usize)> {
        let bytes = text.as_bytes();
        match (self, bytes.first()?) {
            (Self::Form, b'+') => Some((vec![b' '], 1)),
            (Self::Url | Self::Form, b'%') => {
                Some((vec![hex(text.get(1..3)?)?.try_into().ok()?], 3))
            }
            (Self::Backslash, b'\\') => backslash(text),
            (Self::Html, b'&') => entity(text),
            _ => None,
        }
    }
}

fn hex(digits: &str) -> Option<u32> {
    let all = digits.bytes().all(|it| it.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| all)
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}

fn backslash(text: &str) -> Option<(Vec<u8>, usize)> {
    let one = match text.as_bytes().get(1)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'0' => 0,
        b'x' => return Some((utf8(hex(text.get(2..4)?)?)?, 4)),
        b'u' if text.as_bytes().get(2) == Some(&b'{') => {
            let end = text.get(3..11.min(text.len()))?.find('}')? + 3;
            return Some((utf8(hex(&text[3..end])?)?, end + 1));
        }
        b'u' => {
            let high = hex(text.get(2..6)?)?;
            if !(0xd800..0xdc00).contains(&high) {
                return Some((utf8(high)?, 6));
            }
            let low = hex(text.get(6..12)?.strip_prefix("\\u")?)?.checked_sub(0xdc00)?;
            return Some((utf8(0x1_0000 + ((high - 0xd800) << 10) + (low & 0x3ff))?, 12));
        }
        it if it.is_ascii_punctuation() => *it,
        _ => return None,
    };
    Some((vec![one], 2))
}

fn entity(text: &str) -> Option<(Vec<u8>, usize)> {
    let end = text.as_bytes().iter().take(12).position(|it| *it == b';')?;
    let name = text.get(1..end)?;
    let code = match name {
        "amp" => u32::from(b'&'),
        "lt" => u32::from(b'<'),
        "gt" => u32::from(b'>'),
        "quot" => u32::from(b'"'),
        "apos" => u32::from(b'\''),
        _ => match name.strip_prefix('#')?.strip_prefix(['x', 'X']) {
            Some(digits) => hex(digits)?,
            None => name.strip_prefix('#')?.parse().ok()?,
        },
    };
    Some((utf8(code)?, end + 1))
}

/// A text as it was before it was escaped.
pub struct DecodedView<'a> {
    text: Cow<'a, str>,
    /// For each byte of the text where it stood, and its end. Empty: just there.
    places: Vec<usize>,
}

impl<'a> DecodedView<'a> {
    pub fn of(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), places: Vec::new() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of it stood in the text that it was first made of.
    pub fn origin(&self, part: Range<usize>) -> Range<usize> {
        if self.places.is_empty() { part } else { self.places[part.start]..self.places[part.end] }
    }

    /// With one kind of escape undone; `None` where there is none.
    pub fn decoded(&self, how: Decoder) -> Option<DecodedView<'static>> {
        if !self.text.contains(how.sign()) {
            return None;
        }
        let mut bytes: Vec<u8> = Vec::with_capacity(self.text.len());
        let mut places = Vec::with_capacity(self.text.len() + 1);
        let origin = |at: usize| if self.places.is_empty() { at } else { self.places[at] };
        let (mut at, mut changed) = (0, false);
        while let Some(next) = self.text[at..].chars().next() {
            let found = if next.is_ascii() { how.escape(&self.text[at..]) } else { None };
            changed |= found.is_some();
            let (made, taken) = found.unwrap_or_else(|| {
                let taken = next.len_utf8();
                (self.text.as_bytes()[at..at + taken].to_vec(), taken)
            });
            // Within an escape everything stands where it begins.
            places.extend(std::iter::repeat_n(origin(at), made.len()));
            bytes.extend(made);
            at += taken;
        }
        places.push(origin(self.text.len()));
        if !changed {
            return None;
        }
        Some(Self::whole(bytes, places))
    }

    /// Bytes that are no text become blanks, one for one, so that places stay.
    fn whole(bytes: Vec<u8>, places: Vec<usize>) -> DecodedView<'static> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(std::iter::repeat_n('\0', chunk.invalid().len()));
        }
        DecodedView { text: Cow::Owned(text), places }
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodedView, Decoder};

    #[track_caller]
    fn check(how: Decoder, text: &str, needle: &str, expected: &str) {
        let view = DecodedView::of(text).decoded(how).unwrap();
        let at = view.text().find(needle).unwrap_or_else(|| panic!("{}", view.text()));
        assert_eq!(&text[view.origin(at..at + needle.len())], expected);
    }

    #[test]
    fn decoded_undoes_escapes_and_keeps_their_places() {
        check(Decoder::Url, "a%C3%BCb %zz", "üb", "%C3%BCb");
        check(Decoder::Form, "x+y%2b", " y+", "+y%2b");
        check(
            Decoder::Backslash,
            "ä\\\"b\\u00fc\\ud83d\\ude00\\u{fc}\\xfc\\q!",
            "b\u{fc}\u{1f600}\u{fc}\u{fc}",
            "b\\u00fc\\ud83d\\ude00\\u{fc}\\xfc",
        );
        check(Decoder::Html, "&lt;a&#98;&#x63;&nope;&", "<abc", "&lt;a&#98;&#x63;");
        check(Decoder::Url, "%ff%41", "A", "%41");
        assert!(DecodedView::of("plain\\q").decoded(Decoder::Backslash).is_none());
        for text in
            ["%", "%4", "\\", "\\u", "\\u{", "\\ud800\\u0000", "\\ud800", "&#xffffffff;", "&;"]
        {
            for how in Decoder::all(true) {
                assert!(
                    DecodedView::of(text)
                        .decoded(how)
                        .is_none_or(|it| it.text().len() <= text.len()),
                    "{text}"
                );
            }
        }
    }
}
