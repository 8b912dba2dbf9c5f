//! `ready` and `gate` blocks, and durations.

use crate::engine::lang::check::probe_address::{no_address, no_page};
use crate::engine::lang::model::{Gate, GateProbe, Gates, ServingQuorum};
use crate::engine::lang::term::Terms;
use crate::engine::lang::yaml::node::{Data, Map, Node};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

const KEYS: [&str; 9] =
    ["tcp", "http", "replication", "health", "expect", "body", "times", "within", "serves"];
/// More gates on one resource are a mistake of whatever wrote them.
const GATES_MAX: usize = 16;
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

/// Reads a `ready` condition.
pub fn gate(node: &Node, of: Use<'_>, terms: &mut Terms<'_>) -> Option<Gate> {
    let mut read = one(node, of, terms);
    if read.len() > 1 || read.first().is_some_and(|it| is_health(&it.probe)) {
        return None;
    }
    read.pop()
}

fn is_health(probe: &GateProbe) -> bool {
    matches!(probe, GateProbe::Health | GateProbe::NoHealth)
}

/// Reads the gates of a resource: one map, or a list of them, each of which has to hold.
pub fn gates(node: &Node, of: Use<'_>, terms: &mut Terms<'_>) -> Gates {
    let Data::List(items) = &node.data else { return Gates(one(node, of, terms)) };
    if items.is_empty() || items.len() > GATES_MAX {
        let label = format!("a list of gates has from 1 to {GATES_MAX}");
        terms.out.push(
            Diagnostic::error(DiagnosticCode::WrongGate, "Not a list of gates")
                .at(node.span, label)
                .help("to wait for nothing, write `gate: { health: false }`"),
        );
        return Gates::default();
    }
    let gates = Gates(items.iter().flat_map(|it| one(it, of, terms)).collect());
    one_of_each(&gates, terms.out);
    gates
}

/// The health checks are set once, and the group is asked once.
fn one_of_each(gates: &Gates, out: &mut Vec<Diagnostic>) {
    let mut twice = |is_so: fn(&GateProbe) -> bool, what: &str| {
        let mut of = gates.0.iter().filter(|it| is_so(&it.probe));
        if let (Some(first), Some(second)) = (of.next(), of.next()) {
            out.push(
                Diagnostic::error(DiagnosticCode::WrongGate, format!("{what} is set twice"))
                    .at(second.span, "here again")
                    .at(first.span, "it is set here")
                    .help("keep one of them"),
            );
        }
    };
    twice(is_health, "The gate of the health checks");
    twice(|it| matches!(it, GateProbe::Replication), "The replication gate");
}

/// Reads one map: what it probes itself, and what it says of the health checks.
fn one(node: &Node, of: Use<'_>, terms: &mut Terms<'_>) -> Vec<Gate> {
    read(node, of, terms).unwrap_or_default()
}

fn read(node: &Node, of: Use<'_>, terms: &mut Terms<'_>) -> Option<Vec<Gate>> {
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
    let times = u32::try_from(times).unwrap_or(1);
    let own = match probe(node.span, map, what, terms) {
        OwnProbe::Wrong => return None,
        OwnProbe::Nothing => None,
        OwnProbe::At(at, probe) => Some((at, probe)),
    };
    if let Some((at, probe)) = &own {
        of.check(*at, probe, terms.out);
    }
    let is_replication = matches!(own, Some((_, GateProbe::Replication)));
    let health = health(map, of, is_replication, terms.out);
    if own.is_none()
        && let Some((probe, _)) = &health
    {
        of.check(node.span, probe, terms.out);
    }
    let gate = |probe, serves| Gate { span: node.span, probe, times, within_seconds, serves };
    let own = own.map(|(_, probe)| gate(probe, None));
    Some(own.into_iter().chain(health.map(|(probe, serves)| gate(probe, serves))).collect())
}

/// What a map says of the health checks, if anything: that they count, how many of them, or that they do not.
fn health(
    map: &Map,
    of: Use<'_>,
    is_replication: bool,
    out: &mut Vec<Diagnostic>,
) -> Option<(GateProbe, Option<ServingQuorum>)> {
    let wrong = |span: Span, label: &str, help: &str, out: &mut Vec<Diagnostic>| {
        let wrong = Diagnostic::error(DiagnosticCode::WrongGate, "This gate has no health checks");
        out.push(wrong.at(span, label.to_owned()).help(help.to_owned()));
    };
    let given = map.get("health");
    if let Some(it) = given.filter(|_| matches!(of, Use::Ready) || is_replication) {
        let help = "write it under the `gate` of a DNS record or a node";
        wrong(it.key, "`health` is about the backends that users are sent to", help, out);
        return None;
    }
    let is_on = match given.map(|it| (&it.node.data, it.node.span)) {
        None => None,
        Some((Data::Bool(is_on), _)) => Some(*is_on),
        Some((_, span)) => {
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                    .at(span, "`health` takes true or false"),
            );
            None
        }
    };
    let serves = serves(map, of, is_replication, out);
    match (is_on, map.get("serves")) {
        (Some(false), Some(it)) => {
            let help = "remove `serves`, or `health: false`";
            wrong(it.key, "`serves` counts nothing while `health` is false", help, out);
            None
        }
        (Some(false), None) => Some((GateProbe::NoHealth, None)),
        (Some(true), _) | (None, Some(_)) => Some((GateProbe::Health, serves)),
        (None, None) => None,
    }
}

/// `serves: 2` or `serves: '50%'`: how many backends have to serve, where users are sent to several.
fn serves(
    map: &Map,
    of: Use<'_>,
    is_replication: bool,
    out: &mut Vec<Diagnostic>,
) -> Option<ServingQuorum> {
    let it = map.get("serves")?;
    let wrong = |summary: &str, span: Span, label: String| {
        Diagnostic::error(DiagnosticCode::WrongGate, summary.to_owned()).at(span, label)
    };
    let counts = matches!(of, Use::Gate { kind, .. } if kind.drain.is_some());
    if !counts || is_replication {
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

/// What a map tries itself.
enum OwnProbe {
    At(Span, GateProbe),
    /// It is about the health checks alone.
    Nothing,
    /// Told already.
    Wrong,
}

/// What is tried, and where that is said.
fn probe(span: Span, map: &Map, what: &str, terms: &mut Terms<'_>) -> OwnProbe {
    match (map.get("tcp"), map.get("http"), map.get("replication")) {
        (Some(tcp), None, None) => {
            only_http(map, terms.out);
            let why = tcp.node.as_text().and_then(no_address);
            terms.out.extend(why.map(|why| wrong_form(&tcp.node, why)));
            OwnProbe::At(tcp.key, GateProbe::Tcp(terms.term(&tcp.node)))
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
            OwnProbe::At(replication.key, GateProbe::Replication)
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
            OwnProbe::At(http.key, GateProbe::Http { url, expect, body })
        }
        (None, None, None)
            if what == "gate" && (map.contains_key("serves") || map.contains_key("health")) =>
        {
            only_http(map, terms.out);
            OwnProbe::Nothing
        }
        _ => {
            let some = [map.get("tcp"), map.get("http"), map.get("replication")];
            let is_list = what == "gate" && some.iter().any(Option::is_some);
            let (has, several) = if is_list {
                ("more than one check", "; for several gates, write a list")
            } else if what == "gate" {
                ("no check", ", or `health` or `serves` for the health checks alone")
            } else {
                ("no check", "")
            };
            terms.out.push(
                Diagnostic::error(DiagnosticCode::MissingKey, format!("`{what}` has {has}"))
                    .at(span, format!("set one of `tcp`, `http`, and `replication`{several}")),
            );
            OwnProbe::Wrong
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
