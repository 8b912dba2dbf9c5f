//! `ready` and `gate` blocks, and durations.

use crate::engine::diagnostic::{Diagnostic, Span};
use crate::engine::stack::model::{Gate, GateProbe};
use crate::engine::stack::node::{Data, Map, Node};
use crate::engine::stack::term::Terms;

const KEYS: [&str; 6] = ["tcp", "http", "expect", "body", "times", "within"];
const WITHIN_SECONDS: u64 = 300;
/// The longest time that anything may wait.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Reads a gate.
pub fn gate(node: &Node, what: &str, terms: &mut Terms<'_>) -> Option<Gate> {
    let Some(map) = node.as_map() else {
        terms.out.push(
            Diagnostic::error("wrong_type", format!("`{what}` must be a map"))
                .at(node.span, format!("this is {}", node.word()))
                .help(format!(
                    "write `{what}: {{ tcp: '${{self.ipv4}}:22', within: 5m }}` or one with `http`"
                )),
        );
        return None;
    };
    for (name, it) in map {
        if !KEYS.contains(&name.as_ref()) {
            let wrong = Diagnostic::error("unknown_key", "Unknown key")
                .at(it.key, format!("`{what}` has no such key"))
                .help(format!("it has {}", KEYS.join(", ")));
            terms.out.push(wrong.nearest(name, KEYS));
        }
    }
    let within_seconds = map
        .get("within")
        .map_or(Some(WITHIN_SECONDS), |it| duration(&it.node, "within", terms.out))?;
    let times = int(map, "times", 1, (1, 1000), terms.out);
    let probe = probe(node.span, map, what, terms)?;
    Some(Gate { span: node.span, probe, times: u32::try_from(times).unwrap_or(1), within_seconds })
}

fn probe(span: Span, map: &Map, what: &str, terms: &mut Terms<'_>) -> Option<GateProbe> {
    match (map.get("tcp"), map.get("http")) {
        (Some(tcp), None) => {
            for name in ["expect", "body"] {
                if let Some(it) = map.get(name) {
                    terms.out.push(
                        Diagnostic::error("unknown_key", "Unknown key")
                            .at(it.key, format!("`{name}` goes with `http` only")),
                    );
                }
            }
            Some(GateProbe::Tcp(terms.term(&tcp.node)))
        }
        (None, Some(http)) => {
            let expect = int(map, "expect", 200, (100, 599), terms.out);
            let body = map.get("body").and_then(|it| {
                if it.node.as_text().is_none() {
                    terms.out.push(
                        Diagnostic::error("wrong_type", "`body` must be text")
                            .at(it.node.span, format!("this is {}", it.node.word())),
                    );
                }
                it.node.as_text().map(str::to_owned)
            });
            let url = terms.term(&http.node);
            Some(GateProbe::Http { url, expect: u16::try_from(expect).unwrap_or(200), body })
        }
        _ => {
            terms.out.push(
                Diagnostic::error("missing_key", format!("`{what}` says what to try"))
                    .at(span, "give either `tcp` or `http`"),
            );
            None
        }
    }
}

fn int(map: &Map, name: &str, default: i64, range: (i64, i64), out: &mut Vec<Diagnostic>) -> i64 {
    let Some(it) = map.get(name) else { return default };
    match it.node.data {
        Data::Int(number) if (range.0..=range.1).contains(&number) => number,
        _ => {
            out.push(Diagnostic::error("out_of_range", "Out of range").at(
                it.node.span,
                format!("`{name}` is an integer from {} to {}", range.0, range.1),
            ));
            default
        }
    }
}

/// A duration such as `90s`, `5m`, `1h30m`, in seconds.
pub fn duration(node: &Node, what: &str, out: &mut Vec<Diagnostic>) -> Option<u64> {
    let wrong = |label: String| {
        Diagnostic::error("bad_duration", "Not a duration")
            .at(node.span, label)
            .help("write `90s`, `5m` or `1h30m`")
    };
    let parsed = match &node.data {
        Data::Text(text) => parse_duration(text),
        _ => None,
    };
    match parsed {
        Some(seconds) if (1..=SECONDS_MAX).contains(&seconds) => Some(seconds),
        Some(_) => {
            out.push(wrong(format!("`{what}` is from 1s to 7d")));
            None
        }
        None => {
            out.push(wrong(format!("`{what}` takes a number with a unit")));
            None
        }
    }
}

/// `1h30m` in seconds.
pub fn parse_duration(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86_400)] {
            assert_eq!(parse_duration(text), Some(seconds), "{text}");
        }
        for text in ["", "5", "m", "5 m", "5x", "-5m", "5mm", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
