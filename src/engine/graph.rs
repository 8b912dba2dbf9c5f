//! The dependency graph of a stack's instances.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::stack::model::Stack;

#[derive(Debug)]
pub struct Graph {
    order: Vec<Address>,
}

impl Graph {
    pub fn new(stack: &Stack) -> Result<Self, Vec<Diagnostic>> {
        let mut left: BTreeMap<&Address, usize> = BTreeMap::new();
        let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for (address, it) in &stack.instances {
            left.insert(address, it.needs.len());
            for (need, _) in &it.needs {
                dependents.entry(need).or_default().push(address);
            }
        }
        let mut free: Vec<&Address> =
            left.iter().filter(|(_, n)| **n == 0).map(|(a, _)| *a).rev().collect();
        let mut order = Vec::new();
        while let Some(it) = free.pop() {
            order.push(it.clone());
            for dependent in dependents.get(it).into_iter().flatten() {
                let n = left.get_mut(dependent).expect("counted");
                *n -= 1;
                if *n == 0 {
                    free.push(dependent);
                }
            }
        }
        if order.len() == stack.instances.len() {
            Ok(Self { order })
        } else {
            Err(vec![Diagnostic::error("cycle", "a cycle")])
        }
    }

    pub fn order(&self) -> Vec<Address> {
        self.order.clone()
    }
}
