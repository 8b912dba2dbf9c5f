//! `ready` and `gate` blocks, and durations.

use crate::engine::lang::check::probe_address::{no_address, no_page};
use crate::engine::lang::model::{Gate, GateProbe, ServingQuorum};
use crate::engine::lang::term::Terms;
use crate::engine::lang::yaml::node::{Data, Map, Node};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

const KEYS: [&str; 8] =
    ["tcp", "http", "replication", "expect", "body", "times", "within", "serves"];
/// How long a gate waits unless `within` says otherwise. A guess: longer than an instance takes to boot and start its service
/// (it runs after about a minute in linodego's recordings), and short enough that a dead target is noticed.
const WITHIN_SECONDS: u64 = 300;
/// The longest time that anything may wait: a week. A longer one is a typing mistake.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Which block it is: that decides what may be tried.
#[derive(Clone, Copy)]
pub enum Use<'a> {
    /// `ready`: whether the object itself works.
    Ready,
    /// `gate`: whether users may be directed to it, or whether its group holds the same data.
    Gate { kind: &'a Kind, catalog: &'a Catalog },
}

impl Use<'_> {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Gate { .. } => "gate",
        }
    }

    /// Tells a probe that says nothing about such an object.
    fn check(self, at: Span, probe: &GateProbe, out: &mut Vec<Diagnostic>) {
        let wrong = |label: String| {
            Diagnostic::error(DiagnosticCode::WrongGate, "This gate does not apply to this kind")
                .at(at, label)
        };
        let is_replication = matches!(probe, GateProbe::Replication);
        match self {
            Self::Ready if is_replication => out.push(
                wrong("`replication` checks a group, but `ready` checks one resource".into())
                    .help("write it under `gate`"),
            ),
            Self::Gate { kind, catalog } if is_replication && kind.group.is_none() => {
                let having = catalog.kinds.values().filter(|it| it.group.is_some());
                let having: Vec<&str> = having.map(|it| it.kind.as_str()).collect();
                out.push(
                    wrong(format!("a `{}` has no replicas", kind.kind))
                        .help(format!("`replication` goes with {}", having.join(", "))),
                );
            }
            Self::Gate { kind, .. } if !is_replication && kind.traffic.is_empty() => {
                let help = if kind.group.is_some() {
                    "write `gate: { replication: true, within: 60s }`"
                } else {
                    "to wait until it works, use `ready`; `gate` belongs on resources that decide where users are sent"
                };
                out.push(
                    wrong(format!("a `{}` does not decide where users are sent", kind.kind))
                        .help(help),
                );
            }
            Self::Ready | Self::Gate { .. } => {}
        }
    }
}

/// Reads a gate.
pub fn gate(node: &Node, of: Use<'_>, terms: &mut Terms<'_>) -> Option<Gate> {
    let what = of.word();
    let Some(map) = node.as_map() else {
        terms.out.push(
            Diagnostic::error(DiagnosticCode::WrongType, format!("`{what}` must be a map"))
                .at(node.span, format!("this is {}", node.word()))
                .help(format!(
                    "write `{what}: {{ tcp: '${{self.ipv4}}:22', within: 5m }}` or one with `http`"
                )),
        );
        return None;
    };
    for (name, it) in map {
        if !KEYS.contains(&name.as_ref()) {
            let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
                .at(it.key, format!("`{what}` has no such key"))
                .help(format!("it has {}", KEYS.join(", ")));
            terms.out.push(wrong.nearest(name, KEYS));
        }
    }
    let within_seconds = map
        .get("within")
        .map_or(Some(WITHIN_SECONDS), |it| duration(&it.node, "within", terms.out))?;
    // More successes in a row than that are a typing mistake: at one probe a second they take a quarter of an hour.
    let times = int(map, "times", 1, (1, 1000), terms.out);
    let (at, probe) = probe(node.span, map, what, terms)?;
    of.check(at, &probe, terms.out);
    let serves = serves(map, of, &probe, terms.out);
    let times = u32::try_from(times).unwrap_or(1);
    Some(Gate { span: node.span, probe, times, within_seconds, serves })
}

/// `serves: 2` or `serves: '50%'`: how many backends have to serve, where users are sent to several.
fn serves(
    map: &Map,
    of: Use<'_>,
    probe: &GateProbe,
    out: &mut Vec<Diagnostic>,
) -> Option<ServingQuorum> {
    let it = map.get("serves")?;
    let wrong = |summary: &str, span: Span, label: String| {
        Diagnostic::error(DiagnosticCode::WrongGate, summary.to_owned()).at(span, label)
    };
    if matches!(of, Use::Ready) || matches!(probe, GateProbe::Replication) {
        let label = "`serves` counts the backends that users are sent to".to_owned();
        let wrong = wrong("This gate has no backends", it.key, label);
        out.push(wrong.help("write it under the `gate` of a DNS record"));
        return None;
    }
    let read = match &it.node.data {
        Data::Int(count) => {
            u32::try_from(*count).ok().filter(|it| *it > 0).map(ServingQuorum::Count)
        }
        Data::Text(text) => {
            let percent = text.strip_suffix('%').and_then(|it| it.trim().parse::<u8>().ok());
            percent.filter(|it| (1..=100).contains(it)).map(ServingQuorum::Percent)
        }
        _ => None,
    };
    if read.is_none() {
        let label = "`serves` is a number of backends, or a percentage of them".to_owned();
        let wrong = wrong("Not a number of backends", it.node.span, label);
        out.push(wrong.help("write `serves: 1` or `serves: '50%'`"));
    }
    read
}

/// What is tried, and where that is said.
fn probe(span: Span, map: &Map, what: &str, terms: &mut Terms<'_>) -> Option<(Span, GateProbe)> {
    match (map.get("tcp"), map.get("http"), map.get("replication")) {
        (Some(tcp), None, None) => {
            only_http(map, terms.out);
            let why = tcp.node.as_text().and_then(no_address);
            terms.out.extend(why.map(|why| wrong_form(&tcp.node, why)));
            Some((tcp.key, GateProbe::Tcp(terms.term(&tcp.node))))
        }
        (None, None, Some(replication)) => {
            only_http(map, terms.out);
            if replication.node.data != Data::Bool(true) {
                terms.out.push(
                    Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                        .at(replication.node.span, "`replication` takes only true")
                        .help("for no gate, remove it"),
                );
            }
            Some((replication.key, GateProbe::Replication))
        }
        (None, Some(http), None) => {
            let expect = int(map, "expect", 200, (100, 599), terms.out);
            let body = map.get("body").and_then(|it| {
                if it.node.as_text().is_none() {
                    terms.out.push(
                        Diagnostic::error(DiagnosticCode::WrongType, "`body` must be text")
                            .at(it.node.span, format!("this is {}", it.node.word())),
                    );
                }
                it.node.as_text().map(str::to_owned)
            });
            let why = http.node.as_text().and_then(no_page);
            terms.out.extend(why.map(|why| wrong_form(&http.node, why)));
            let url = terms.term(&http.node);
            let expect = u16::try_from(expect).unwrap_or(200);
            Some((http.key, GateProbe::Http { url, expect, body }))
        }
        (None, None, None) if map.get("serves").is_some() && what == "gate" => {
            only_http(map, terms.out);
            Some((span, GateProbe::Health))
        }
        _ => {
            terms.out.push(
                Diagnostic::error(DiagnosticCode::MissingKey, format!("`{what}` has no check"))
                    .at(span, "set one of `tcp`, `http`, and `replication`"),
            );
            None
        }
    }
}

/// What cannot be tried is told before the day on which users wait for it.
fn wrong_form(node: &Node, why: &str) -> Diagnostic {
    Diagnostic::error(DiagnosticCode::WrongForm, "Not a valid check address")
        .at(node.span, why.to_owned())
}

/// Tells keys that mean nothing where no page is asked for.
fn only_http(map: &Map, out: &mut Vec<Diagnostic>) {
    for name in ["expect", "body"] {
        if let Some(it) = map.get(name) {
            out.push(
                Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
                    .at(it.key, format!("`{name}` requires `http`")),
            );
        }
    }
}

fn int(map: &Map, name: &str, default: i64, range: (i64, i64), out: &mut Vec<Diagnostic>) -> i64 {
    let Some(it) = map.get(name) else { return default };
    match it.node.data {
        Data::Int(number) if (range.0..=range.1).contains(&number) => number,
        _ => {
            out.push(Diagnostic::error(DiagnosticCode::OutOfRange, "Out of range").at(
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
        Diagnostic::error(DiagnosticCode::BadDuration, "Not a duration")
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
    fn parse_duration_requires_units() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86_400)] {
            assert_eq!(parse_duration(text), Some(seconds), "{text}");
        }
        for text in ["", "5", "m", "5 m", "5x", "-5m", "5mm", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
