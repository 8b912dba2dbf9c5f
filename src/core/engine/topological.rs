//! The one topological order: what needs nothing first, and among equals the one that comes first anyway.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The nodes `0..count`, each after all that lead to it; `leads_to` gives where a node leads, each as often as there are
/// edges. Members of cycles, and what comes after them, are left out.
///
/// Kahn's algorithm over a heap, since an order that depended on the order of edges would make every plan another one;
/// petgraph's `toposort` promises none.
pub fn topological_order<I>(count: usize, leads_to: impl Fn(usize) -> I) -> Vec<usize>
where
    I: IntoIterator<Item = usize>,
{
    let mut waits = vec![0_usize; count];
    for next in (0..count).flat_map(&leads_to) {
        waits[next] += 1;
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..count).filter(|it| waits[*it] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for next in leads_to(node) {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::topological_order;

    fn order(edges: &[&[usize]]) -> Vec<usize> {
        topological_order(edges.len(), |it| edges[it].iter().copied())
    }

    #[test]
    fn topological_order_is_that_of_the_nodes_where_nothing_else_says() {
        assert_eq!(order(&[&[], &[], &[]]), [0, 1, 2]);
        assert_eq!(order(&[&[], &[0], &[1]]), [2, 1, 0]);
        assert_eq!(order(&[&[3], &[3], &[], &[]]), order(&[&[3], &[3, 3], &[], &[]]));
    }

    #[test]
    fn topological_order_leaves_out_cycles_and_what_comes_after_them() {
        assert_eq!(order(&[&[], &[2], &[1, 3], &[], &[0]]), [4, 0]);
        assert_eq!(order(&[&[0]]), [0_usize; 0]);
    }
}
