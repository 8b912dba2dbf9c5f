//! Reads YAML into nodes; everything wrong above syntax is told in one pass.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};
use indexmap::map::Entry as Slot;

use crate::engine::fast_map::FoldHash;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node, Style};
use crate::engine::lang::yaml::scalar::{self, Scalar};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};

/// The longest YAML file that is read, in bytes: four times a generated stack of 40,000 resources (15 MB).
pub const BYTES_MAX: usize = 64 << 20;
/// The deepest nesting of lists and maps. Attributes need fewer than ten levels; code that recurses over nodes, among it their
/// drop, stays far from the end of the stack.
const DEPTH_MAX: usize = 64;
/// Room for the members of most maps, so that few have to grow.
const MEMBERS_MOSTLY: usize = 7;
/// How many nodes all aliases of a file may stand for. Nested aliases grow exponentially ("billion laughs"); with this budget
/// such a file is refused within 60 ms and 14 MiB (measured).
const ALIASED_NODES_MAX: usize = 100_000;

/// How many bytes of text all aliases of a file may stand for, and all that is kept for them: the same attack with long texts.
const ALIASED_BYTES_MAX: usize = 8 << 20;
/// After this many mistakes reading stops: whoever has more fixes the first ones first.
pub const MISTAKES_MAX: usize = 200;

/// Reads one file: its node, if there is one, and every mistake in it.
pub fn parse(name: &str, bytes: &[u8], sources: &mut Sources) -> (Option<Node>, Vec<Diagnostic>) {
    if bytes.len() > BYTES_MAX {
        let source = sources.add(name, "");
        let wrong = Diagnostic::error(DiagnosticCode::FileTooLarge, "The file is too large")
            .at(
                Span { source, line: 1, column: 1, ..Span::default() },
                format!("`{name}` is {} MiB long", bytes.len() >> 20),
            )
            .help("at most 64 MiB are read");
        return (None, vec![wrong]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return (None, vec![not_utf8(name, bytes, error.valid_up_to(), sources)]),
    };
    let source = sources.add(name, text);
    let mut loader = Loader::new(text, source);
    loader.run();
    if loader.root.is_none() && loader.mistakes.is_empty() {
        let span = Span { source, line: 1, column: 1, ..Span::default() };
        loader.mistakes.push(
            Diagnostic::error(DiagnosticCode::EmptyFile, "The file is empty")
                .at(span, "there is nothing in this file but comments or blanks")
                .help("a stack begins with `stack: NAME`, an overlay with `overlay: NAME`, and a file of policies with `policies:`"),
        );
    }
    (loader.root, loader.mistakes)
}

fn not_utf8(name: &str, bytes: &[u8], at: usize, sources: &mut Sources) -> Diagnostic {
    let source = sources.add(name, &String::from_utf8_lossy(bytes));
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |it| it.chars().count()) + 1;
    let span =
        Span { source, start: small(at), end: small(at), line: small(line), column: small(column) };
    Diagnostic::error(DiagnosticCode::NotUtf8, "The file is not UTF-8")
        .at(span, format!("byte {:#04x} cannot stand here", bytes[at]))
        .help("save the file as UTF-8")
}

/// A collection that is being read.
enum OpenNode {
    List { at: Span, anchor: usize, items: Vec<Node> },
    Map { at: Span, anchor: usize, map: Map, key: Option<(Box<str>, Span)> },
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    size: usize,
    bytes: usize,
    depth: usize,
}

struct Loader<'a> {
    text: &'a str,
    source: u32,
    open: Vec<OpenNode>,
    anchors: BTreeMap<usize, Anchored>,
    budget: usize,
    budget_bytes: usize,
    root: Option<Node>,
    mistakes: Vec<Diagnostic>,
    documents: usize,
    over: bool,
}

impl<'a> Loader<'a> {
    fn new(text: &'a str, source: u32) -> Self {
        Self {
            text,
            source,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            budget: ALIASED_NODES_MAX,
            budget_bytes: ALIASED_BYTES_MAX,
            root: None,
            mistakes: Vec::new(),
            documents: 0,
            over: false,
        }
    }

    fn run(&mut self) {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, at)) => {
                    let span = self.span(&at);
                    self.event(event, span);
                }
                Err(error) => {
                    self.root = None;
                    let wrong = self.syntax(&error);
                    self.mistakes.push(wrong);
                    return;
                }
            }
            if self.over || self.mistakes.len() > MISTAKES_MAX {
                self.root = None;
                return;
            }
        }
    }

    fn event(&mut self, event: Event<'_>, at: Span) {
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    self.tag(&tag.original(), at);
                }
                let is_key = matches!(self.open.last(), Some(OpenNode::Map { key: None, .. }));
                if is_key {
                    self.key(&text, style, at);
                    if anchor > 0 {
                        self.anchor(
                            anchor,
                            &Node { data: Data::Text(text.into()), span: at, style: Style::Plain },
                        );
                    }
                } else {
                    let node = self.scalar(&text, style, at);
                    self.close(node, anchor);
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(
                    OpenNode::List { at, anchor, items: Vec::new() },
                    tag.map(|it| it.original()),
                    at,
                );
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(
                    OpenNode::Map { at, anchor, map: empty_map(), key: None },
                    tag.map(|it| it.original()),
                    at,
                );
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(id) => self.alias(id, at),
            _ => {}
        }
    }

    fn document(&mut self, at: Span) {
        self.documents += 1;
        if self.documents > 1 {
            self.mistakes.push(
                Diagnostic::error(DiagnosticCode::SecondDocument, "A file holds one document")
                    .at(at, "a second document begins here")
                    .help("remove the `---`, or move what follows into a file of its own"),
            );
            self.over = true;
        }
    }

    fn tag(&mut self, tag: &str, at: Span) {
        self.mistakes.push(
            Diagnostic::error(DiagnosticCode::YamlTag, "YAML tags are not used in stacks")
                .at(at, format!("tagged `{tag}`"))
                .help("to make something text, quote it: '…'"),
        );
    }

    fn begin(&mut self, open: OpenNode, tag: Option<String>, at: Span) {
        if let Some(tag) = tag {
            self.tag(&tag, at);
        }
        if matches!(self.open.last(), Some(OpenNode::Map { key: None, .. })) {
            let wrong = Diagnostic::error(DiagnosticCode::ComplexKey, "A key must be plain text")
                .at(at, "this list or map stands where a key is expected");
            self.mistakes.push(self.unquoted(wrong, at.line));
            self.over = true;
        } else if self.open.len() >= DEPTH_MAX {
            self.too_deep(at);
        } else {
            self.open.push(open);
        }
    }

    fn too_deep(&mut self, at: Span) {
        self.mistakes.push(
            Diagnostic::error(DiagnosticCode::TooDeep, "Lists and maps are nested too deeply")
                .at(at, format!("more than {DEPTH_MAX} levels")),
        );
        self.over = true;
    }

    fn key(&mut self, text: &str, style: ScalarStyle, at: Span) {
        if style == ScalarStyle::Plain && matches!(text, "" | "~") {
            self.mistakes.push(
                Diagnostic::error(DiagnosticCode::MissingKey, "A key is missing")
                    .at(at, "nothing before the `:`"),
            );
        }
        if let Some(OpenNode::Map { key, .. }) = self.open.last_mut() {
            *key = Some((text.into(), at));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let resolved = if style == Style::Plain { scalar::resolve(text) } else { Scalar::Text };
        let data = match resolved {
            Scalar::Null => Data::Null,
            Scalar::Bool(it) => Data::Bool(it),
            Scalar::Int(it) => Data::Int(it),
            Scalar::Float(it) => Data::Float(it),
            Scalar::Text => Data::Text(text.into()),
            Scalar::ZeroLed(it) => {
                self.mistakes.push(
                    Diagnostic::warning(DiagnosticCode::LeadingZero, "A number with leading zeros")
                        .at(span, format!("YAML reads this as the number {it}"))
                        .help(format!("if text is meant, quote it: '{text}'")),
                );
                Data::Int(it)
            }
            Scalar::TooBig => {
                self.mistakes.push(
                    Diagnostic::error(
                        DiagnosticCode::IntegerTooBig,
                        "An integer that fits nowhere",
                    )
                    .at(span, "beyond 64 bits")
                    .help(format!("if text is meant, quote it: '{text}'")),
                );
                Data::Null
            }
            Scalar::NotFinite => {
                self.mistakes.push(
                    Diagnostic::error(DiagnosticCode::NotFinite, "A number must be finite")
                        .at(span, "not a finite number")
                        .help(format!("if text is meant, quote it: '{text}'")),
                );
                Data::Null
            }
        };
        Node { data, span, style }
    }

    fn alias(&mut self, id: usize, at: Span) {
        let Some(anchored) = self.anchors.get(&id) else {
            self.mistakes.push(
                Diagnostic::error(DiagnosticCode::EndlessAlias, "An alias inside its own anchor")
                    .at(at, "this would contain itself"),
            );
            self.close(Node { data: Data::Null, span: at, style: Style::Plain }, 0);
            return;
        };
        if anchored.size > self.budget || anchored.bytes > self.budget_bytes {
            self.alias_bomb(at);
            return;
        }
        if self.open.len() + anchored.depth > DEPTH_MAX {
            self.too_deep(at);
            return;
        }
        self.budget -= anchored.size;
        self.budget_bytes -= anchored.bytes;
        if matches!(self.open.last(), Some(OpenNode::Map { key: None, .. })) {
            let text = anchored.node.as_text().map(str::to_owned);
            if let Some(text) = text {
                self.key(&text, ScalarStyle::SingleQuoted, at);
                return;
            }
            self.mistakes.push(
                Diagnostic::error(DiagnosticCode::ComplexKey, "A key must be plain text")
                    .at(at, "this alias does not stand for text"),
            );
            self.over = true;
            return;
        }
        // Offsets inside an aliased text belong to its definition; `Collection` keeps expression places at the alias.
        let node = Node { span: at, style: Style::Collection, ..anchored.node.clone() };
        self.close(node, 0);
    }

    fn alias_bomb(&mut self, at: Span) {
        let most = format!(
            "more than {ALIASED_NODES_MAX} values or {} MiB in all",
            ALIASED_BYTES_MAX >> 20
        );
        self.mistakes.push(
            Diagnostic::error(DiagnosticCode::AliasBomb, "Aliases stand for too much")
                .at(at, most)
                .help("write less with aliases; `count` and `for_each` repeat resources"),
        );
        self.over = true;
    }

    fn end(&mut self, at: Span) {
        let (node, anchor) = match self.open.pop() {
            Some(OpenNode::List { at: start, anchor, items }) => {
                let end = items.last().map_or(at.end, |it| it.span.end.max(start.end));
                let span = Span { end: closing(end, at), ..start };
                (Node { data: Data::List(items), span, style: Style::Collection }, anchor)
            }
            Some(OpenNode::Map { at: start, anchor, map, .. }) => {
                let end = map.last().map_or(at.end, |(_, it)| it.node.span.end.max(start.end));
                let span = Span { end: closing(end, at), ..start };
                (Node { data: Data::Map(Box::new(map)), span, style: Style::Collection }, anchor)
            }
            None => return,
        };
        self.close(node, anchor);
    }

    fn close(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchor(anchor, &node);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(OpenNode::List { items, .. }) => items.push(node),
            Some(OpenNode::Map { map, key, .. }) => {
                let Some((name, at)) = key.take() else { return };
                if &*name == "<<" {
                    self.mistakes.push(
                        Diagnostic::error(
                            DiagnosticCode::MergeKey,
                            "Merge keys are not part of YAML 1.2",
                        )
                        .at(at, "`<<` merges nothing here")
                        .help("overlays merge maps; `count` and `for_each` repeat resources"),
                    );
                    return;
                }
                match map.entry(name) {
                    Slot::Vacant(slot) => {
                        slot.insert(MapEntry { key: at, node });
                    }
                    Slot::Occupied(slot) => {
                        let first = slot.get().key;
                        self.mistakes.push(
                            Diagnostic::error(
                                DiagnosticCode::DuplicateKey,
                                format!("`{}` is given twice", slot.key()),
                            )
                            .at(at, "given again here")
                            .at(first, "first given here")
                            .help("keep one of them"),
                        );
                    }
                }
            }
        }
    }

    fn anchor(&mut self, anchor: usize, node: &Node) {
        let (size, depth, bytes) = measure(node);
        // What is kept for an alias counts as well: anchors may stand inside each other.
        if bytes > self.budget_bytes {
            self.alias_bomb(node.span);
            return;
        }
        self.budget_bytes -= bytes;
        self.anchors.insert(anchor, Anchored { node: node.clone(), size, bytes, depth });
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let end = self.text.len();
        let start = at.start.byte_offset().unwrap_or(0).min(end);
        let stop = at.end.byte_offset().unwrap_or(start).clamp(start, end);
        Span {
            source: self.source,
            start: small(start),
            end: small(stop),
            line: small(at.start.line()),
            column: small(at.start.col() + 1),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let marker = error.marker();
        let last = self.text.lines().count().max(1);
        let said = marker.line().clamp(1, last);
        let (line, start) = self
            .tab_behind(said)
            .unwrap_or_else(|| (said, marker.byte_offset().unwrap_or(0).min(self.text.len())));
        let stop = self.text[start..].chars().next().map_or(start, |it| start + it.len_utf8());
        let column = if line == marker.line() {
            marker.col() + 1
        } else {
            1 + self.text[..start].chars().rev().take_while(|it| *it != '\n').count()
        };
        let span = Span {
            source: self.source,
            start: small(start),
            end: small(stop),
            line: small(line),
            column: small(column),
        };
        let wrong = Diagnostic::error(DiagnosticCode::BrokenYaml, "This is not YAML")
            .at(span, error.info());
        self.unquoted(wrong, span.line)
    }

    /// The most frequent mistake of a newcomer: `${…}` without quotes on this line.
    fn unquoted(&self, wrong: Diagnostic, line: u32) -> Diagnostic {
        let text = self.text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        let is_bare = |at: usize| {
            let before = &text[..at];
            ['\'', '"'].iter().all(|it| before.matches(*it).count().is_multiple_of(2))
        };
        let mut opened = text.match_indices("${").map(|(at, _)| at).peekable();
        if opened.peek().is_none() {
            let is_indented_by_tab = text.trim_start_matches(' ').starts_with('\t');
            return if is_indented_by_tab { wrong.help("indent with spaces") } else { wrong };
        }
        if opened.any(is_bare) { wrong.help("quote the expression: '${…}'") } else { wrong }
    }

    /// A line that a tab indents is read as the end of the one before: line and place of the tab.
    fn tab_behind(&self, line: usize) -> Option<(usize, usize)> {
        let mut start = 0;
        let mut lines = self.text.split_inclusive('\n').enumerate().skip_while(|(at, text)| {
            let is_before = at + 1 < line;
            start += if is_before { text.len() } else { 0 };
            is_before
        });
        let (_, said) = lines.next()?;
        let (_, next) = lines.next()?;
        let spaces = |text: &str| text.len() - text.trim_start_matches(' ').len();
        let has_tab = |text: &str| text[spaces(text)..].starts_with('\t');
        (!has_tab(said) && has_tab(next)).then(|| (line + 1, start + said.len() + spaces(next)))
    }
}

fn empty_map() -> Map {
    Map::with_capacity_and_hasher(MEMBERS_MOSTLY, FoldHash::default())
}

fn closing(end: u32, at: Span) -> u32 {
    if at.end > at.start { at.end.max(end) } else { end }
}

/// How many nodes it has, how deep it is, and how much text. Depth is bounded by [`DEPTH_MAX`].
fn measure(node: &Node) -> (usize, usize, usize) {
    let mut size = 0;
    let mut depth = 0;
    let mut bytes = 0;
    let mut left = vec![(node, 1)];
    while let Some((node, level)) = left.pop() {
        size += 1;
        depth = depth.max(level);
        match &node.data {
            Data::List(items) => left.extend(items.iter().map(|it| (it, level + 1))),
            Data::Map(map) => {
                bytes += map.keys().map(|it| it.len()).sum::<usize>();
                left.extend(map.values().map(|it| (&it.node, level + 1)));
            }
            Data::Text(text) => bytes += text.len(),
            _ => {}
        }
    }
    (size, depth, bytes)
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
