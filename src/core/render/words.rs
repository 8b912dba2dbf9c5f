//! Words that are said once: plurals, durations, symbols, and values that are safe to print.

use sha2::{Digest, Sha256};

use crate::engine::plan::model::change::Action;
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::plan::ranking::Rank;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::RecordedFailure;
use crate::engine::text::advice::{AdvisedCommand, restored, unbroken};
pub use crate::engine::text::plain::escape_control;
use crate::engine::value::Value;

pub const SENSITIVE: &str = "(sensitive)";
pub const OPEN: &str = "(known after apply)";

/// `1 change`, `2 changes`.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

/// `45 s`, `2 min 5 s`, `3 h 10 min`.
pub fn duration(seconds: u64) -> String {
    let pair = |large: u64, name: &str, small: u64, part: &str| match small {
        0 => format!("{large} {name}"),
        small => format!("{large} {name} {small} {part}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `2026-11-24T11:05:09Z`.
pub fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .and_then(|it| it.round(jiff::Unit::Second))
        .map_or_else(|_| milliseconds.to_string(), |it| it.to_string())
}

/// Why a step failed, and what that counts as: `no image of that name (refused by the cloud)`.
pub fn failed(it: &RecordedFailure) -> String {
    let class = it.class.map_or_else(String::new, |it| format!(" ({})", it.word()));
    format!("{}{class}", escape_control(&it.why))
}

/// Who did something, for people: which process it was helps nobody who reads of it later.
pub fn person(who: &str) -> String {
    let parts = who.split(", ").filter(|it| {
        let number = it.strip_prefix("process ");
        !number.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
    });
    escape_control(&parts.collect::<Vec<_>>().join(", "))
}

/// Where the users of a switch are whose other steps are not all done.
pub fn users_are(it: UsersAre) -> &'static str {
    match it {
        UsersAre::Moved => "users have moved",
        UsersAre::NotMoved => "no users have moved",
        UsersAre::PartlyMoved => "users have not all moved",
        UsersAre::Stayed => "no traffic was to be shifted, so users are sent where they were",
        UsersAre::Unconfirmed => "users could not be confirmed where they are wanted",
    }
}

/// What a person agrees to who declares these lost; `answering`: those that answered a moment ago all the same. `planned`: the
/// command that leaves them in good order instead.
pub fn loss_declared(lost: &[&str], answering: &[&str], planned: Option<String>) -> String {
    let listed = |all: &[&str]| all.join(" and ");
    let mut told = format!(
        "this declares {} lost: nothing there is read or changed, and writes of the last moments there may be missing",
        listed(lost)
    );
    match (answering, planned) {
        ([], None) => {}
        ([], Some(planned)) => {
            told.push_str(&format!("; if it is up, {planned} waits for replication instead"));
        }
        (these, planned) => {
            let verb = if these.len() == 1 { "answers" } else { "answer" };
            told.push_str(&format!("; BUT {} {verb} now", listed(these)));
            if let Some(planned) = planned {
                told.push_str(&format!(": {planned} waits for replication, this does not"));
            }
        }
    }
    told
}

/// Why a gate stays closed, and what to do. `is_there`: by a name that is not there yet nobody comes.
pub fn gate_closed(why: &str, stack: &str, address: &str, is_there: bool) -> String {
    let resume = AdvisedCommand::Apply { stack };
    let skip = AdvisedCommand::ApplySkippingGate { stack, address };
    let users = if is_there {
        format!("users of `{address}` stay where they are")
    } else {
        format!("`{address}` is not created")
    };
    format!(
        "{why}. Until this gate opens {users}. Repair what it checks, then {resume}; to go on without it, for a reason that is asked for and kept: {skip}"
    )
}

/// How sure an estimate is: `8 measured before (12 times in all), 2 are guesses`.
pub fn measured(it: &Forecast) -> String {
    let times =
        if it.samples == 1 { "once".into() } else { format!("{} times in all", it.samples) };
    let known = format!("{} measured before ({times})", it.measured);
    match it.steps.saturating_sub(it.measured) {
        0 => known,
        1 => format!("{known}, 1 is a guess"),
        more => format!("{known}, {more} are guesses"),
    }
}

/// What the clock of a switch counts, before the time itself: whoever plans a switch has nothing to recover from.
pub fn clock_of(under_loss: bool) -> &'static str {
    if under_loss { "recovery time" } else { "switch time" }
}

/// What a rank is called, before what is said of it.
pub fn rank(it: Rank) -> &'static str {
    match it {
        Rank::Data => "DATA LOSS",
        // Less than data: who sees the loss of data every week no longer reads it.
        Rank::Copy => "COPY LOSS",
        Rank::Traffic => "TRAFFIC",
        Rank::Exposure => "EXPOSURE",
        Rank::Protection => "PROTECTION OFF",
        Rank::Allowance => "ALLOWED",
        Rank::Replacement => "REPLACEMENT",
    }
}

/// What stands before an address.
pub fn symbol(action: Action) -> &'static str {
    match action {
        Action::NoOp => "=",
        Action::Await => "…",
        Action::Move => "→",
        Action::Adopt => "↻",
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace { create_first: false } => "-/+",
        Action::Replace { create_first: true } => "+/-",
        Action::Delete => "-",
        Action::Forget => "×",
    }
}

/// A clean text of at most so many characters; what is cut is told by length and digest.
pub fn cut(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit).collect();
    format!("{head}… ({}, {})", count(length, "character"), fingerprint(text))
}

/// A text's SHA-256.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

/// The first twelve digits of a text's SHA-256.
pub fn fingerprint(text: &str) -> String {
    digest(text).chars().take("sha256:".len() + 12).collect()
}

/// A value on one line, clean and uncut; secrets and open values in words.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Float(it) => format!("{it:?}"),
        Value::Text(text) => quoted(text),
        Value::List(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) if map.is_empty() => "{}".into(),
        Value::Map(map) => {
            let entries = map.iter().map(|(name, it)| format!("{}: {}", key(name), inline(it)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Open => OPEN.into(),
        Value::Secret(_) | Value::Fingerprint(_) => SENSITIVE.into(),
    }
}

/// The key of a map: bare when it reads like a word.
pub fn key(name: &str) -> String {
    let is_word = |it: char| it.is_ascii_alphanumeric() || "_-./".contains(it);
    if !name.is_empty() && name.chars().all(is_word) { name.into() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape_control(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Lines of at most `width` characters as far as words allow; all but the first begin with `hanging`.
pub fn wrap(sentence: &str, hanging: &str, width: usize) -> Vec<String> {
    if width == 0 || sentence.chars().count() <= width {
        return vec![sentence.trim_end().to_owned()];
    }
    let start = sentence.chars().take_while(|it| *it == ' ').count();
    let mut lines = Vec::new();
    let mut line = " ".repeat(start);
    let mut is_empty = true;
    // A command that is to be typed stays on one line.
    let sentence = unbroken(sentence);
    for word in sentence.split(' ').filter(|it| !it.is_empty()) {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, hanging.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines.into_iter().map(restored).collect()
}

#[cfg(test)]
mod tests {
    use super::{count, cut, duration, escape_control, inline, wrap};
    use crate::engine::value::{Attributes, Value};

    #[test]
    fn gate_closed_says_what_was_seen_where_users_are_and_what_to_do() {
        let told =
            |is_there| super::gate_closed("0 of 1 backends are healthy", "shop", "www", is_there);
        insta::assert_snapshot!([told(true), told(false)].join("\n"), @r#"
        0 of 1 backends are healthy. Until this gate opens users of `www` stay where they are. Repair what it checks, then `lifeboat apply shop`; to go on without it, for a reason that is asked for and kept: `lifeboat apply shop --skip-gate www`
        0 of 1 backends are healthy. Until this gate opens `www` is not created. Repair what it checks, then `lifeboat apply shop`; to go on without it, for a reason that is asked for and kept: `lifeboat apply shop --skip-gate www`
        "#);
    }

    /// Whoever declares lost what answers is told so before agreeing.
    #[test]
    fn loss_declared_says_what_answers_all_the_same() {
        let told = |answering: &[&str], planned: Option<&str>| {
            super::loss_declared(&["a:us", "b:us"], answering, planned.map(str::to_owned))
        };
        let all = [
            told(&[], Some("`failover --planned`")),
            told(&["a:us", "b:us"], Some("`failover --planned`")),
            told(&["a:us"], None),
            told(&[], None),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        this declares a:us and b:us lost: nothing there is read or changed, and writes of the last moments there may be missing; if it is up, `failover --planned` waits for replication instead
        this declares a:us and b:us lost: nothing there is read or changed, and writes of the last moments there may be missing; BUT a:us and b:us answer now: `failover --planned` waits for replication, this does not
        this declares a:us and b:us lost: nothing there is read or changed, and writes of the last moments there may be missing; BUT a:us answers now
        this declares a:us and b:us lost: nothing there is read or changed, and writes of the last moments there may be missing
        "#);
    }

    #[test]
    fn count_tells_one_from_many() {
        let said = [count(0, "change"), count(1, "change"), count(2, "reply"), count(2, "key")];
        assert_eq!(said, ["0 changes", "1 change", "2 replies", "2 keys"]);
    }

    #[test]
    fn duration_has_two_parts_at_most() {
        assert_eq!(
            [45, 60, 125, 11_400].map(duration),
            ["45 s", "1 min", "2 min 5 s", "3 h 10 min"]
        );
    }

    #[test]
    fn escape_control_leaves_nothing_that_acts_on_a_terminal() {
        assert_eq!(
            escape_control("a\u{1b}[2Jb\u{202e}c\r\n\u{9b}"),
            "a\\u{1b}[2Jb\\u{202e}c\\r\\n\\u{9b}"
        );
    }

    #[test]
    fn cut_says_what_was_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc… (4 characters, sha256:88d4266fd4e6)");
    }

    #[test]
    fn inline_writes_values_like_the_stack() {
        let map = Attributes::from([("a b".into(), Value::Open), ("c".into(), "d\"\\".into())]);
        assert_eq!(inline(&Value::Map(map)), r#"{ "a b": (known after apply), c: "d\"\\" }"#);
        assert_eq!(inline(&Value::List(vec![1.into(), Value::Float(2.0)])), "[1, 2.0]");
    }

    #[test]
    fn wrap_breaks_between_words_and_keeps_commands() {
        assert_eq!(wrap("a bb ccc dddd", "  ", 6), ["a bb", "  ccc", "  dddd"]);
        assert_eq!(wrap("a bb", "", 0), ["a bb"]);
        assert_eq!(
            wrap("do `lifeboat plan a -o b` now", "", 6),
            ["do", "`lifeboat plan a -o b`", "now"]
        );
    }
}
