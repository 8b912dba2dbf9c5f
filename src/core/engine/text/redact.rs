//! The one redactor: what is secret in this run, in every form in which it may come back in a text from outside.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, HEXLOWER, HEXLOWER_PERMISSIVE, HEXUPPER};
use regex::Regex;

use crate::engine::text::decoded::{DecodedView, Decoder};
use crate::engine::value::Value;

/// What stands where a secret stood.
const HIDDEN: &str = "(sensitive)";
/// The shortest secret that is hidden, in bytes: a shorter one protects nothing, and hiding it would take ordinary words out
/// of every message.
const TEXT_MIN: usize = 5;
/// Up to this length a secret is only recognized as a word of its own, since it may be part of ordinary words.
const WORD_MAX: usize = 7;
/// A line of a longer secret, such as a key, is a secret itself if it has this many bytes: 16 characters of Base64 hold 96
/// bits, and the lines of a PEM file have 64 characters (RFC 7468).
const LINE_MIN: usize = 16;
/// The shortest number that is hidden, in digits: shorter ones are ports and sizes.
const DIGITS_MIN: usize = 5;
/// The shortest encoded form that is hidden: shorter pieces of Base64 and hexadecimal occur by chance.
const ENCODED_MIN: usize = 7;
/// How many encodings on top of each other are undone. A guess: a URL in JSON is two, and each layer multiplies the work.
const LAYERS_MAX: usize = 3;
/// How much longer the longest form of a secret is: `\u0061` in JSON for one byte.
const GROWTH_MAX: usize = 6;
/// What is known by its looks alone, such as a token in a header or a private key, is shorter than this, in bytes: an RSA key of
/// 16,384 bits has 12.6 KB in PEM.
const REACH_MIN: usize = 16 * 1024;
/// A text that is longer than this, in bytes, is a document of our own, whose parts were redacted when they came: it is
/// searched in one encoding only.
const LONG: usize = 256 * 1024;

/// All that is known to be secret, and where it is found.
#[derive(Debug, Default)]
pub struct Redactor {
    known: RwLock<KnownSecrets>,
}

#[derive(Default)]
struct KnownSecrets {
    secrets: BTreeSet<String>,
    has_blank: bool,
    /// Made when first needed after something was learnt.
    finder: Option<Arc<Finder>>,
}

impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.secrets.len())
    }
}

/// The forms of all secrets.
struct Finder {
    forms: AhoCorasick,
    /// Of each form: only where no letter or digit stands beside it.
    is_word: Vec<bool>,
    has_blank: bool,
}

/// The one of this process: whatever learns of a secret tells it, and whatever leaves passes it.
pub fn redactor() -> &'static Redactor {
    static ALL: LazyLock<Redactor> = LazyLock::new(Redactor::default);
    &ALL
}

impl Redactor {
    /// Every secret inside a value.
    pub fn learn(&self, value: &Value) {
        match value {
            Value::Secret(secret) => self.learn_all(secret.expose()),
            Value::List(items) => items.iter().for_each(|it| self.learn(it)),
            Value::Map(map) => map.values().for_each(|it| self.learn(it)),
            _ => {}
        }
    }

    /// A value that is secret as a whole.
    fn learn_all(&self, value: &Value) {
        match value {
            Value::Text(text) => self.learn_text(text),
            Value::Int(number) => self.learn_number(&number.to_string()),
            Value::Float(number) => self.learn_number(&number.to_string()),
            Value::List(items) => items.iter().for_each(|it| self.learn_all(it)),
            // Keys are words such as `password`: errors do not quote them, and to hide them everywhere would say more.
            Value::Map(map) => map.values().for_each(|it| self.learn_all(it)),
            Value::Secret(secret) => self.learn_all(secret.expose()),
            Value::Null | Value::Bool(_) | Value::Open | Value::Fingerprint(_) => {}
        }
    }

    fn learn_number(&self, digits: &str) {
        if digits.trim_start_matches('-').len() >= DIGITS_MIN {
            self.insert(digits);
        }
    }

    /// A text that is secret.
    pub fn learn_text(&self, text: &str) {
        let trimmed = text.trim();
        self.insert(text);
        self.insert(trimmed);
        if trimmed.contains('\n') {
            let line = |it: &&str| it.len() >= LINE_MIN && !it.contains([' ', '\t']);
            trimmed.lines().map(str::trim).filter(line).for_each(|it| self.insert(it));
        }
    }

    fn insert(&self, text: &str) {
        if text.chars().count() < TEXT_MIN {
            return;
        }
        let is_known = |it: &KnownSecrets| it.secrets.contains(text);
        if is_known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.has_blank |= text.contains(' ');
        known.secrets.insert(text.to_owned());
        known.finder = None;
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.secrets.is_empty() || known.finder.is_some() {
            return known.finder.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let made = Finder::new(&known.secrets, known.has_blank).map(Arc::new);
        known.finder.clone_from(&made);
        made
    }

    /// A text that may be shown and kept: no known secret in any form, no credentials by their looks, no private key.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = self.known(text);
        found.extend(by_looks(text));
        hidden(text, found)
    }

    /// Without what is known, and nothing else changed: for documents of ours, whose texts were redacted when they came.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        hidden(text, self.known(text))
    }

    /// How many bytes may be one secret in any of its forms: so much of a text has to be there beside the place where it is cut, or
    /// a part of a secret is left that nobody knows for one.
    pub fn reach(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let longest = known.secrets.iter().map(String::len).max().unwrap_or_default();
        REACH_MIN.max(longest.saturating_mul(GROWTH_MAX))
    }

    /// The beginning of a text, of which at most so many bytes are kept, redacted. A secret that would be cut is left out.
    pub fn head(&self, text: &str, bytes: usize) -> String {
        if text.len() <= bytes {
            return self.redact(text).into_owned();
        }
        let at = text.floor_char_boundary(bytes);
        self.redact(&text[..self.secret_around(text, at).start]).into_owned()
    }

    /// The end of a text, likewise, and where it begins.
    pub fn tail(&self, text: &str, bytes: usize) -> (usize, String) {
        let Some(at) = text.len().checked_sub(bytes).filter(|it| *it > 0) else {
            return (0, self.redact(text).into_owned());
        };
        let at = self.secret_around(text, text.ceil_char_boundary(at)).end;
        (at, self.redact(&text[at..]).into_owned())
    }

    /// What is hidden around a place of a text; nothing: the place itself.
    fn secret_around(&self, text: &str, at: usize) -> Range<usize> {
        let mut found = self.known(text);
        found.extend(by_looks(text));
        let mut around = at..at;
        // Several may overlap: whatever reaches over the place is left out whole.
        for it in found.into_iter().filter(|it| it.start < at && at < it.end) {
            let (start, end) =
                (text.floor_char_boundary(it.start), text.ceil_char_boundary(it.end));
            around = around.start.min(start)..around.end.max(end);
        }
        around
    }

    fn known(&self, text: &str) -> Vec<Range<usize>> {
        let Some(finder) = self.finder() else { return Vec::new() };
        // Long texts are documents of ours, whose parts were redacted when they came.
        finder.everywhere(text, if text.len() > LONG { 1 } else { LAYERS_MAX })
    }
}

fn hidden(text: &str, mut found: Vec<Range<usize>>) -> Cow<'_, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_by_key(|it| (it.start, it.end));
    let mut told = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
        if range.start >= at {
            told.push_str(&text[at..range.start]);
            told.push_str(HIDDEN);
        }
        at = at.max(range.end);
    }
    told.push_str(&text[at..]);
    Cow::Owned(told)
}

impl Finder {
    fn new(secrets: &BTreeSet<String>, has_blank: bool) -> Option<Self> {
        let mut all: Vec<(String, bool)> = Vec::new();
        for secret in secrets {
            all.push((secret.clone(), secret.chars().count() <= WORD_MAX));
            all.extend(encoded(secret.as_bytes()).into_iter().map(|it| (it, false)));
        }
        let (forms, is_word): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let mut builder = AhoCorasick::builder();
        // A run learns secrets one by one and reads short texts: to build the DFA would cost more than all its searches.
        builder.kind(Some(AhoCorasickKind::ContiguousNFA)).match_kind(MatchKind::LeftmostLongest);
        let forms = builder.build(forms).ok()?;
        Some(Self { forms, is_word, has_blank })
    }

    /// In the text, and in what it is when so many layers of encoding are undone.
    fn everywhere(&self, text: &str, layers: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut views = vec![DecodedView::of(text)];
        for layer in 0..=layers {
            for view in &views {
                found.extend(self.find(view));
                if layers > 1 {
                    found.extend(self.packed(view, layers - 1));
                }
            }
            if layer < layers {
                let decoders = || Decoder::all(self.has_blank);
                views = views
                    .iter()
                    .flat_map(|it| decoders().filter_map(|how| it.decoded(how)))
                    .collect();
            }
        }
        found
    }

    /// Whole runs of Base64 or hexadecimal in which, unpacked, a secret stands in any form.
    fn packed(&self, view: &DecodedView<'_>, layers: usize) -> Vec<Range<usize>> {
        static RUN: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{16,}").expect("this pattern is right"));
        let holds = |run: &str| unpacked(run).any(|it| !self.everywhere(&it, layers).is_empty());
        let runs = RUN.find_iter(view.text()).filter(|it| holds(it.as_str()));
        runs.map(|it| view.origin(it.range())).collect()
    }

    fn find(&self, view: &DecodedView<'_>) -> Vec<Range<usize>> {
        let text = view.text();
        let is_part = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
        let alone = |range: Range<usize>| {
            !is_part(text[..range.start].chars().next_back())
                && !is_part(text[range.end..].chars().next())
        };
        let found = self.forms.find_iter(text);
        let found = found.filter(|it| !self.is_word[it.pattern().as_usize()] || alone(it.range()));
        found.map(|it| view.origin(it.range())).collect()
    }
}

/// What a run of letters may stand for; where it begins within its first bytes is not known.
fn unpacked(run: &str) -> impl Iterator<Item = String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let plain = run.replace('-', "+").replace('_', "/");
    let base64 = (0..4_usize).filter_map(move |from| {
        let part = &plain.as_bytes()[from..];
        let decode = |length: usize| BASE64_NOPAD.decode(&part[..length]).ok();
        decode(part.len()).or_else(|| decode(part.len() / 4 * 4)).map(text)
    });
    let hex = HEXLOWER_PERMISSIVE.decode(&run.as_bytes()[..run.len() / 2 * 2]).ok();
    base64.chain(hex.map(text))
}

/// Hexadecimal, and the part of Base64 that does not depend on what stands before and behind.
fn encoded(bytes: &[u8]) -> Vec<String> {
    let mut forms = BTreeSet::from([HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)]);
    for before in 0..3_usize {
        let mut padded = vec![0; before];
        padded.extend(bytes);
        // Six bits a character: the first and last ones also hold bits of the neighbours.
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for encoding in [&BASE64, &BASE64URL] {
            forms.insert(encoding.encode(&padded)[start..end].to_owned());
        }
    }
    forms.into_iter().filter(|it| it.len() >= ENCODED_MIN).collect()
}

/// Credentials that are known by what stands around them.
fn by_looks(text: &str) -> Vec<Range<usize>> {
    static LOOKS: LazyLock<Vec<(&[&str], Regex)>> = LazyLock::new(|| {
        let body = r"(?:\s|\\+[nr])*[A-Za-z0-9+/=]{16,}(?:[A-Za-z0-9+/=\s:,-]|\\+[nr])*";
        let key = format!(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----({body})");
        let looks: [(&[&str], &str); 5] = [
            (&["://"], r#"[a-zA-Z][a-zA-Z0-9+.-]*://([^\s/?#"'<>`]+)@"#),
            (
                &["uthorization", "UTHORIZATION"],
                r#"(?i)authorization(?:\\*["'])?\s*[:=]\s*(?:\\*["'])?([^"'\\\r\n]+)"#,
            ),
            (&["earer ", "EARER "], r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{8,})"),
            (&["PRIVATE KEY"], &key),
            (
                &["aws_se", "AWS_SE"],
                r#"(?i)(?:aws_secret_access_key|aws_session_token)(?:\\*["'])?\s*[:=]\s*(?:\\*["'])?([^\s"'\\,;]+)"#,
            ),
        ];
        let made = |look: &str| Regex::new(look).expect("these patterns are right");
        looks.map(|(signs, look)| (signs, made(look))).into_iter().collect()
    });
    let seen = LOOKS.iter().filter(|(signs, _)| signs.iter().any(|it| text.contains(it)));
    seen.flat_map(|(_, look)| look.captures_iter(text).filter_map(|it| it.get(1)))
        .map(|it| it.range())
        .collect()
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL_NOPAD, HEXUPPER};

    use super::Redactor;
    use crate::engine::value::{Secret, Value};

    const SECRET: &str = "Grün \"zwölf\"/7+% & <x>\\s3cret-canary";

    fn knows(secret: &str) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(&Value::List(vec![Value::Secret(Secret::new(secret.into()))]));
        redactor
    }

    fn url(text: &str, keep: impl Fn(u8) -> bool) -> String {
        let byte =
            |it: u8| if keep(it) { char::from(it).to_string() } else { format!("%{it:02X}") };
        text.bytes().map(byte).collect()
    }

    /// A part of a secret is not known for one: it is left out with the rest of it.
    #[test]
    fn head_and_tail_leave_no_part_of_a_secret_that_is_cut() {
        let secret = "first part\nsecond part\nthird part";
        let redactor = knows(secret);
        let text = format!("before {secret} behind");
        for bytes in 0..=text.len() + 1 {
            let head = redactor.head(&text, bytes);
            let (at, tail) = redactor.tail(&text, bytes);
            assert!(!head.contains("part") && !tail.contains("part"), "{bytes}: {head:?} {tail:?}");
            assert!(at <= text.len() && text.is_char_boundary(at), "{bytes}: {at}");
        }
        assert_eq!(redactor.head(&text, 20), "before ");
        assert_eq!(redactor.tail(&text, 20), (7 + secret.len(), " behind".into()));
        assert_eq!(redactor.head(&text, 99), "before (sensitive) behind");
        assert!(redactor.reach() >= 6 * secret.len());
    }

    #[test]
    fn redact_finds_a_secret_in_every_form() {
        let redactor = knows(SECRET);
        let json = |it: &str| serde_json::to_string(it).unwrap();
        let ascii: Vec<String> = SECRET.encode_utf16().map(|it| format!("\\u{it:04x}")).collect();
        let ascii = ascii.concat();
        let html = SECRET
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
            .replace('>', "&#62;");
        let forms = [
            SECRET.to_owned(),
            json(SECRET),
            json(&json(SECRET)),
            json(&json(&json(SECRET))),
            json(SECRET).replace('/', "\\/"),
            ascii,
            format!("{SECRET:?}"),
            url(SECRET, |it| it.is_ascii_alphanumeric()),
            url(SECRET, |it| it.is_ascii_alphanumeric()).to_lowercase().replace("gr%c3", "Gr%c3"),
            url(SECRET, |it| it.is_ascii_graphic() && it != b'%'),
            url(SECRET, |it| it.is_ascii_alphanumeric() || it == b' ').replace(' ', "+"),
            url(&url(SECRET, |it| it.is_ascii_alphanumeric()), |it| it.is_ascii_alphanumeric()),
            json(&url(SECRET, |it| it.is_ascii_alphanumeric())),
            url(&json(SECRET), |it| it.is_ascii_alphanumeric()),
            html.clone(),
            json(&html),
            BASE64.encode(SECRET.as_bytes()),
            BASE64.encode(format!("a{SECRET}b").as_bytes()),
            BASE64.encode(format!("ab{SECRET}").as_bytes()),
            BASE64URL_NOPAD.encode(format!("abc{SECRET}abcd").as_bytes()),
            json(&BASE64.encode(SECRET.as_bytes())).replace('/', "\\/"),
            url(&BASE64.encode(SECRET.as_bytes()), |it| it.is_ascii_alphanumeric()),
            HEXUPPER.encode(SECRET.as_bytes()),
            // A whole body, in which it stood escaped, or packed already.
            BASE64.encode(format!("{{\"a\":{}}}", json(SECRET)).as_bytes()),
            BASE64URL_NOPAD
                .encode(format!("{{\"u\":\"{}\"}}", BASE64.encode(SECRET.as_bytes())).as_bytes()),
            HEXUPPER.encode(json(SECRET).as_bytes()),
        ];
        for form in forms {
            let text = format!("400: root_pass ({form}) is weak");
            let told = redactor.redact(&text);
            assert!(told.contains("(sensitive)"), "{form}");
            let rest = told.replace("(sensitive)", "");
            assert!(!rest.contains("canary") && !rest.contains("zw"), "{form}: {told}");
            assert!(told.starts_with("400: root_pass (") && told.ends_with(" is weak"), "{told}");
        }
    }

    #[track_caller]
    fn looks(text: &str, expected: &str) {
        assert_eq!(Redactor::default().redact(text), expected);
    }

    #[test]
    fn redact_knows_credentials_by_their_looks() {
        looks("at https://ann:p@ss@h.example/v4?x", "at https://(sensitive)@h.example/v4?x");
        looks(
            "https://h.example/a@b http://127.0.0.1:80/",
            "https://h.example/a@b http://127.0.0.1:80/",
        );
        looks("Authorization: Bearer abc.def\r\nHost: x", "Authorization: (sensitive)\r\nHost: x");
        looks(
            r#"{"authorization":"Basic YTpi","a":1}"#,
            r#"{"authorization":"(sensitive)","a":1}"#,
        );
        looks(
            r#"{\"Authorization\":\"token t\",\"a\"}"#,
            r#"{\"Authorization\":\"(sensitive)\",\"a\"}"#,
        );
        looks("sent bearer abcdefgh12", "sent bearer (sensitive)");
        looks("a token without the scope", "a token without the scope");
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc=\n-----END RSA PRIVATE KEY-----";
        let told = Redactor::default().redact(key).into_owned();
        assert!(
            told.starts_with("-----BEGIN RSA PRIVATE KEY-----(sensitive)")
                && !told.contains("MIIE")
        );
        let escaped = key.replace('\n', "\\n");
        assert!(!Redactor::default().redact(&escaped).contains("MIIE"));
        looks("AWS_SECRET_ACCESS_KEY=abc/def x", "AWS_SECRET_ACCESS_KEY=(sensitive) x");
    }

    #[test]
    fn redact_keeps_short_and_ordinary_values() {
        let redactor = knows("shop1");
        assert_eq!(redactor.redact("shop1 shop10 x-shop1"), "(sensitive) shop10 x-(sensitive)");
        let redactor = knows("abcd");
        assert_eq!(redactor.redact("abcd"), "abcd");
        let redactor = Redactor::default();
        redactor.learn(&Value::Secret(Secret::new(8080.into())));
        redactor.learn(&Value::Secret(Secret::new(471_147.into())));
        redactor.learn(&"not secret at all".into());
        assert_eq!(
            redactor.redact("8080 471147 not secret at all"),
            "8080 (sensitive) not secret at all"
        );
    }

    #[test]
    fn redact_hides_parts_and_lines_of_a_secret() {
        let redactor = Redactor::default();
        let map = Value::from_json(
            &serde_json::json!({ "password": ["pass-canary", { "x": "deep-canary" }] }),
        );
        redactor.learn(&Value::Secret(Secret::new(map)));
        redactor.learn_text("first line is prose\nMIIEpAIBAAKCAQEA7abc\n");
        let told = redactor.redact("password pass-canary deep-canary MIIEpAIBAAKCAQEA7abc prose");
        assert_eq!(told, "password (sensitive) (sensitive) (sensitive) prose");
        assert!(!format!("{redactor:?}").contains("canary"));
    }

    #[test]
    fn hide_removes_what_is_known_and_nothing_else() {
        let redactor = knows("s3cret-canary");
        let text = "{\"a\": \"http://a:b@c/\", \"b\": \"s3cret-canary\"}";
        assert_eq!(redactor.hide(text), "{\"a\": \"http://a:b@c/\", \"b\": \"(sensitive)\"}");
    }
}
