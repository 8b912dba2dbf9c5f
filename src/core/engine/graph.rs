//! The dependency graph of instances: its order, its cycles with a place for every edge, and its picture.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use crate::engine::address::Address;
use crate::engine::fast_map::FastSet;
use crate::engine::lang::model::Stack;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::topological::topological_order;

/// A directed graph without cycles; an edge leads from what is needed to what needs it.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Each at the index of its node.
    addresses: FastSet<Address>,
    edges: Edges,
    order: Vec<NodeIndex<u32>>,
}

type Edges = DiGraph<(), Span, u32>;

impl Graph {
    /// The graph of a stack's instances, or every cycle in it once.
    pub fn new(stack: &Stack) -> Result<Self, Vec<Diagnostic>> {
        let needs = stack.instances.values().map(|it| (&it.address, it.needs.as_slice()));
        Self::of(needs, |span| stack.sources.line(span))
    }

    /// The graph of any addresses with what they need; what is needed but not there has no edge.
    pub fn of<'a>(
        needs: impl Iterator<Item = (&'a Address, &'a [(Address, Span)])>,
        line: impl Fn(Span) -> String,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (addresses, needs): (FastSet<Address>, Vec<_>) =
            needs.map(|(address, needs)| (address.clone(), needs)).unzip();
        let mut edges = Edges::with_capacity(needs.len(), needs.iter().map(|it| it.len()).sum());
        let nodes: Vec<NodeIndex<u32>> = needs.iter().map(|_| edges.add_node(())).collect();
        for (to, needs) in nodes.iter().zip(needs) {
            for (need, span) in needs {
                if let Some(from) = addresses.get_index_of(need) {
                    edges.add_edge(nodes[from], *to, *span);
                }
            }
        }
        let order = order(&edges);
        if order.len() < edges.node_count() {
            return Err(cycles(&addresses, &edges, &order, line));
        }
        Ok(Self { addresses, edges, order })
    }

    /// Every address after all that it needs; otherwise in the order of the stack.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = &Address> {
        self.order.iter().map(|it| self.at(*it))
    }

    fn at(&self, node: NodeIndex<u32>) -> &Address {
        &self.addresses[node.index()]
    }

    /// What an address needs directly, with the place that says so, in the order of addresses.
    pub fn dependencies(&self, address: &Address) -> Vec<(&Address, Span)> {
        let Some(index) = self.addresses.get_index_of(address) else { return Vec::new() };
        let needs = self.edges.edges_directed(NodeIndex::new(index), Direction::Incoming);
        let mut found: Vec<_> = needs.map(|it| (self.at(it.source()), *it.weight())).collect();
        found.sort();
        found
    }

    /// The graph in the language of Graphviz; `dashed` are edges that rules derived, `tasks` are what switches do beside it, each
    /// with what its values are read from.
    pub fn dot(&self, dashed: &[(Address, Address)], tasks: &[(Address, Vec<Address>)]) -> String {
        let mut text = String::from("digraph {\n  rankdir = LR\n  node [shape = box]\n");
        let name = |it: &Address| {
            format!("\"{}\"", it.to_string().replace('\\', "\\\\").replace('"', "\\\""))
        };
        for address in self.order() {
            let _ = writeln!(text, "  {}", name(address));
        }
        for (task, _) in tasks {
            let _ = writeln!(text, "  {} [shape = ellipse]", name(task));
        }
        for address in self.order() {
            for (need, _) in self.dependencies(address) {
                let _ = writeln!(text, "  {} -> {}", name(need), name(address));
            }
        }
        for (task, needs) in tasks {
            for need in needs {
                let _ = writeln!(text, "  {} -> {}", name(need), name(task));
            }
        }
        for (from, to) in dashed {
            let _ = writeln!(text, "  {} -> {} [style = dashed]", name(from), name(to));
        }
        text.push_str("}\n");
        text
    }
}

fn order(edges: &Edges) -> Vec<NodeIndex<u32>> {
    let leads_to = |it| edges.neighbors(NodeIndex::new(it)).map(NodeIndex::index);
    let order = topological_order(edges.node_count(), leads_to);
    order.into_iter().map(NodeIndex::new).collect()
}

/// A shortest cycle through the first node that is left, and so on with the rest, until no cycle is untold.
fn cycles(
    addresses: &FastSet<Address>,
    edges: &Edges,
    order: &[NodeIndex<u32>],
    line: impl Fn(Span) -> String,
) -> Vec<Diagnostic> {
    /// How many cycles are told: fixing one often breaks others open. A guess at what people read.
    const TOLD_MAX: usize = 10;
    let mut is_left = vec![true; edges.node_count()];
    for node in order {
        is_left[node.index()] = false;
    }
    let mut told = Vec::new();
    for start in edges.node_indices() {
        if told.len() >= TOLD_MAX {
            break;
        }
        if !is_left[start.index()] {
            continue;
        }
        if let Some(cycle) = shortest(edges, start, &is_left) {
            for (node, _) in &cycle {
                is_left[node.index()] = false;
            }
            told.push(diagnostic(addresses, &cycle, &line));
        }
    }
    told
}

/// The shortest way from a node to itself against the edges: each node with the place where it needs the next.
fn shortest(
    edges: &Edges,
    start: NodeIndex<u32>,
    is_left: &[bool],
) -> Option<Vec<(NodeIndex<u32>, Span)>> {
    let mut came: BTreeMap<NodeIndex<u32>, (NodeIndex<u32>, Span)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut needs: Vec<_> = edges.edges_directed(node, Direction::Incoming).collect();
        needs.sort_by_key(petgraph::graph::EdgeReference::source);
        for edge in needs {
            let need = edge.source();
            if !is_left[need.index()] {
                continue;
            }
            if need == start {
                let mut way = vec![(node, *edge.weight())];
                let mut at = node;
                while at != start {
                    let (before, span) = came[&at];
                    way.push((before, span));
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            came.entry(need).or_insert_with(|| {
                queue.push_back(need);
                (node, *edge.weight())
            });
        }
    }
    None
}

fn diagnostic(
    addresses: &FastSet<Address>,
    cycle: &[(NodeIndex<u32>, Span)],
    line: &impl Fn(Span) -> String,
) -> Diagnostic {
    /// How many members of one cycle are named; a longer one is cut in the middle of its line. A guess at what people read.
    const SHOWN_MAX: usize = 12;
    let name = |position: usize| addresses[cycle[position % cycle.len()].0.index()].to_string();
    let mut way: Vec<String> = (0..=cycle.len().min(SHOWN_MAX)).map(name).collect();
    if cycle.len() > SHOWN_MAX {
        way.push(format!("… {} more … → {}", cycle.len() - SHOWN_MAX, name(0)));
    }
    let mut made = Diagnostic::error(
        DiagnosticCode::Cycle,
        format!("Resources need each other: {}", way.join(" → ")),
    );
    for (position, (_, span)) in cycle.iter().enumerate().take(SHOWN_MAX) {
        let text = format!("`{}` needs `{}` ({})", name(position), name(position + 1), line(*span));
        made = made.at(*span, text);
    }
    made.help("remove one of these references, or split one of the resources")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::engine::address::Address;
    use crate::engine::graph::Graph;
    use crate::engine::text::diagnostic::Span;

    type Needs = Vec<(Address, Vec<(Address, Span)>)>;

    fn needs(list: &[(&str, &[&str])]) -> Needs {
        let mut line = 0;
        list.iter()
            .map(|(name, needs)| {
                let needs = needs.iter().map(|it| {
                    line += 1;
                    (Address::one(*it), Span { line, start: line, ..Span::default() })
                });
                (Address::one(*name), needs.collect())
            })
            .collect()
    }

    fn graph(needs: &Needs) -> Result<Graph, Vec<crate::engine::text::diagnostic::Diagnostic>> {
        Graph::of(needs.iter().map(|(it, needs)| (it, needs.as_slice())), |it| {
            format!("x:{}", it.line)
        })
    }

    #[test]
    fn order_follows_dependencies_then_the_stack() {
        let graph =
            graph(&needs(&[("d", &["b"]), ("a", &[]), ("b", &["c", "a"]), ("c", &[])])).unwrap();
        let order: Vec<String> = graph.order().map(ToString::to_string).collect();
        assert_eq!(order, ["a", "c", "b", "d"]);
        insta::assert_snapshot!(graph.dot(&[(Address::one("d"), Address::one("a"))], &[(Address::one("t"), vec![Address::one("b")])]), @r#"
        digraph {
          rankdir = LR
          node [shape = box]
          "a"
          "c"
          "b"
          "d"
          "t" [shape = ellipse]
          "a" -> "b"
          "c" -> "b"
          "b" -> "d"
          "b" -> "t"
          "d" -> "a" [style = dashed]
        }
        "#);
    }

    #[test]
    fn graph_reports_each_cycle_by_its_shortest_path() {
        let list = [
            ("a", &["b"][..]),
            ("b", &["c", "d"]),
            ("c", &["d"]),
            ("d", &["a"]),
            ("e", &["e"]),
            ("f", &["a"]),
        ];
        let told = graph(&needs(&list)).unwrap_err();
        let text: Vec<String> = told
            .iter()
            .map(|it| {
                let labels: Vec<&str> = it.labels.iter().map(|it| it.text.as_str()).collect();
                format!("{}: {}", it.summary, labels.join("; "))
            })
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        Resources need each other: a → b → d → a: `a` needs `b` (x:1); `b` needs `d` (x:3); `d` needs `a` (x:5)
        Resources need each other: e → e: `e` needs `e` (x:6)
        "#);
    }

    #[test]
    fn graph_handles_deep_chains_without_deep_recursion() {
        let names: Vec<String> = (0..100_000).map(|it| format!("n{it}")).collect();
        let list: Needs = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let before =
                    at.checked_sub(1).map(|it| (Address::one(names[it].clone()), Span::default()));
                (Address::one(name.clone()), before.into_iter().collect())
            })
            .collect();
        let graph = graph(&list).unwrap();
        assert_eq!(graph.order().count(), 100_000);
        let mut closed = list;
        let last = Address::one(names[names.len() - 1].clone());
        closed[0].1.push((last, Span::default()));
        assert_eq!(self::graph(&closed).unwrap_err().len(), 1);
    }

    proptest! {
        #[test]
        fn graph_orders_acyclic_needs_and_reports_cycles(edges in proptest::collection::vec((0_usize..6, 0_usize..6), 0..12)) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let list: Vec<(&str, Vec<&str>)> = names
                .iter()
                .enumerate()
                .map(|(at, name)| (*name, edges.iter().filter(|it| it.0 == at).map(|it| names[it.1]).collect()))
                .collect();
            let list: Vec<(&str, &[&str])> = list.iter().map(|(name, needs)| (*name, needs.as_slice())).collect();
            match graph(&needs(&list)) {
                Ok(graph) => {
                    let order: Vec<&Address> = graph.order().collect();
                    for (name, needs) in &list {
                        let at = |name: &str| order.iter().position(|it| it.name == name).unwrap();
                        prop_assert!(needs.iter().all(|it| at(it) < at(name)));
                    }
                }
                Err(told) => {
                    // Each told edge is one of the graph's.
                    for label in told.iter().flat_map(|it| &it.labels) {
                        let words: Vec<&str> = label.text.split('`').collect();
                        let at = |name: &str| names.iter().position(|it| *it == name).unwrap();
                        prop_assert!(edges.contains(&(at(words[1]), at(words[3]))));
                    }
                    prop_assert!(!told.is_empty());
                }
            }
        }
    }
}
