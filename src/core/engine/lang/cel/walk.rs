//! Turns paths, files and templates in an expression's tree into leaves, and notes how much of each can be seen.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::operators::{INDEX, OPT_SELECT};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, SourceInfo,
};

use crate::engine::lang::cel::code::{Cel, Code, CodePath, ExpressionError, Leaf, Slice};
use crate::engine::lang::cel::functions::{ITEMS, NAMES, NAMESPACES};
use crate::engine::lang::cel::path::{self, Segment};
use crate::engine::lang::cel::syntax::{
    Link, chain, children, index_of, leaf_of, named, nth, nth_mut, root_of, small, token,
};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::plain::counted;

/// How deep comprehensions may be nested: each level multiplies the steps by the length of its list. Three are enough for a
/// list in a list in a list.
const COMPREHENSIONS_MAX: usize = 3;

/// Compiles a parsed expression, or a part of one.
pub fn finish(
    mut tree: IdedExpr,
    info: &Arc<SourceInfo>,
    text: &str,
    types_are_names: bool,
) -> Result<Code, ExpressionError> {
    let (leaves, bound) = (Vec::new(), Vec::new());
    let mut walk = TreeWalk { text, info, leaves, bound, comprehensions: 0, types_are_names };
    walk.expr(&mut tree)?;
    Ok(Code::Cel(Box::new(Cel { tree, leaves: walk.leaves, info: Arc::clone(info) })))
}

/// A name that a comprehension binds, and the leaf that it runs over.
struct Bound {
    name: String,
    leaf: Option<usize>,
}

struct TreeWalk<'a> {
    text: &'a str,
    info: &'a Arc<SourceInfo>,
    leaves: Vec<Leaf>,
    bound: Vec<Bound>,
    comprehensions: usize,
    types_are_names: bool,
}

impl TreeWalk<'_> {
    fn expr(&mut self, expr: &mut IdedExpr) -> Result<(), ExpressionError> {
        if let Some((root, links)) = chain(expr) {
            return self.chain(expr, &root, &links);
        }
        let range = self.token(expr.id);
        match &mut expr.expr {
            Expr::Call(_) => self.call(expr),
            Expr::Select(select) => self.select(select),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|it| self.expr(it)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|it| match &mut it.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expr(&mut entry.key)?;
                    self.expr(&mut entry.value)
                }
                EntryExpr::StructField(field) => self.expr(&mut field.value),
            }),
            Expr::Comprehension(it) => self.comprehension(it, range),
            Expr::Struct(_) => Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "structures are not supported",
            )
            .help("write a map: {'key': value}")),
            Expr::Unspecified => Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "the expression is incomplete here",
            )),
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    /// A name with steps: becomes a leaf unless a comprehension binds the name.
    fn chain(
        &mut self,
        expr: &mut IdedExpr,
        root: &str,
        links: &[Link],
    ) -> Result<(), ExpressionError> {
        if root.starts_with('@')
            || (links.is_empty() && path::is_type(root) && !self.types_are_names)
        {
            return Ok(());
        }
        if let Some(bound) = self.bound.iter().rposition(|it| it.name == root) {
            let field = match links.first() {
                Some(Link::Name(name)) => Some(name.clone()),
                _ => None,
            };
            self.sees(self.bound[bound].leaf, field);
            return self.indexes(expr);
        }
        let (start, mut end) = self.token(root_of(expr).id);
        let mut steps = Vec::new();
        for (position, link) in links.iter().enumerate() {
            let node = nth(expr, links.len() - 1 - position);
            end = self.step_end(node).max(end);
            let step = match link {
                Link::Name(name) => Segment::Name(name.as_str().into()),
                Link::Index(index) => Segment::Index(*index),
                Link::Other if self.uses_bound(index_of(node)) => {
                    // Which one is only known while evaluating: lend all of them, with what is seen of each.
                    let fields = match links.get(position + 1) {
                        Some(Link::Name(name)) => Slice::Elements(BTreeSet::from([name.clone()])),
                        _ => Slice::Whole,
                    };
                    let path = CodePath { root: root.into(), steps, start, end };
                    let leaf = self.leaf(Leaf::Path { path, slice: fields });
                    nth_mut(expr, links.len() - position).expr = leaf;
                    return self.indexes(expr);
                }
                Link::Other => {
                    let node = nth_mut(expr, links.len() - 1 - position);
                    let Expr::Call(call) = &mut node.expr else { return Ok(()) };
                    let index = mem::take(&mut call.args[1]);
                    Segment::Computed(Box::new(finish(
                        index,
                        self.info,
                        self.text,
                        self.types_are_names,
                    )?))
                }
            };
            steps.push(step);
        }
        let path = CodePath { root: root.into(), steps, start, end };
        expr.expr = self.leaf(Leaf::Path { path, slice: Slice::Whole });
        Ok(())
    }

    /// Walks what stands in the brackets of a chain that stays in the tree.
    fn indexes(&mut self, expr: &mut IdedExpr) -> Result<(), ExpressionError> {
        match &mut expr.expr {
            Expr::Select(select) => self.indexes(&mut select.operand),
            Expr::Call(call) if call.func_name == INDEX => {
                let [operand, index] = call.args.as_mut_slice() else { return Ok(()) };
                self.indexes(operand)?;
                self.expr(index)
            }
            _ => Ok(()),
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Expr {
        self.leaves.push(leaf);
        Expr::Ident(format!("@{}", self.leaves.len() - 1))
    }

    /// A comprehension variable over a leaf is used: with one of its members, or as it is.
    fn sees(&mut self, leaf: Option<usize>, member: Option<String>) {
        let Some(Leaf::Path { slice, .. }) = leaf.and_then(|it| self.leaves.get_mut(it)) else {
            return;
        };
        match (slice, member) {
            (Slice::Elements(members), Some(member)) => {
                members.insert(member);
            }
            (slice, _) => *slice = Slice::Whole,
        }
    }

    fn uses_bound(&self, expr: &IdedExpr) -> bool {
        let mut left = vec![expr];
        while let Some(expr) = left.pop() {
            match &expr.expr {
                Expr::Ident(name)
                    if name.starts_with('@') || self.bound.iter().any(|it| it.name == *name) =>
                {
                    return true;
                }
                // Nothing in an index needs a comprehension; treat one as bound, which is always right.
                Expr::Comprehension(_) => return true,
                _ => left.extend(children(expr)),
            }
        }
        false
    }

    fn select(&mut self, select: &mut SelectExpr) -> Result<(), ExpressionError> {
        self.expr(&mut select.operand)?;
        if select.test {
            self.narrow(&select.operand, Slice::Members(BTreeSet::from([select.field.clone()])));
        }
        Ok(())
    }

    /// The expression is a leaf of which only a slice can be seen.
    fn narrow(&mut self, expr: &IdedExpr, narrower: Slice) {
        if let Some(Leaf::Path { slice, .. }) = leaf_of(expr).and_then(|it| self.leaves.get_mut(it))
        {
            *slice = narrower;
        }
    }

    fn call(&mut self, expr: &mut IdedExpr) -> Result<(), ExpressionError> {
        let range = self.token(expr.id);
        let Expr::Call(call) = &mut expr.expr else { return Ok(()) };
        self.known_function(call, range)?;
        if call.target.is_none() && matches!(call.func_name.as_str(), "file" | "template") {
            let call = mem::take(call);
            expr.expr = self.reader(call, range)?;
            return Ok(());
        }
        if let Some(target) = &mut call.target {
            let is_namespace = matches!(&target.expr, Expr::Ident(name)
                if NAMESPACES.contains(&name.as_str()) && !self.bound.iter().any(|it| it.name == *name));
            if !is_namespace {
                self.expr(target)?;
            }
        }
        call.args.iter_mut().try_for_each(|it| self.expr(it))?;
        match call.func_name.as_str() {
            "size" => {
                if let Some(counted) = call.target.as_deref().or(call.args.first()) {
                    self.narrow(counted, Slice::Shape);
                }
            }
            OPT_SELECT => {
                if let [
                    operand,
                    IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. },
                ] = call.args.as_slice()
                {
                    self.narrow(
                        operand,
                        Slice::Members(BTreeSet::from([field.inner().to_owned()])),
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn known_function(&self, call: &CallExpr, range: (u32, u32)) -> Result<(), ExpressionError> {
        let name = call.func_name.as_str();
        if name == "range" {
            let range = (named(self.text, range.0, name), range.1);
            return Err(ExpressionError::new(
                DiagnosticCode::UnknownFunction,
                range,
                "`lists.range` is not available",
            )
            .help("use `count`, or write the list"));
        }
        let is_word = name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
            && name.starts_with(|it: char| it.is_ascii_alphabetic());
        if !is_word || NAMES.contains(&name) {
            return Ok(());
        }
        let start = named(self.text, range.0, name);
        let range = (start, start + small(name.len()));
        let wrong = ExpressionError::new(
            DiagnosticCode::UnknownFunction,
            range,
            format!("there is no function `{name}`"),
        );
        Err(match nearest(name, NAMES) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong,
        })
    }

    /// `file(path)` and `template(path, map)` become leaves.
    fn reader(&mut self, call: CallExpr, range: (u32, u32)) -> Result<Expr, ExpressionError> {
        let name = call.func_name;
        let start = named(self.text, range.0, &name);
        let end = self.closing(range.0 as usize).unwrap_or(range.1);
        let range = (start, end);
        if call.args.iter().any(|it| self.uses_bound(it)) {
            return Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                format!("`{name}` cannot use the variable of a `map` or `filter`"),
            )
            .help("read the file once, outside"));
        }
        let wanted: usize = if name == "file" { 1 } else { 2 };
        if call.args.len() != wanted {
            let form =
                if name == "file" { "file('path')" } else { "template('path', {'name': value})" };
            return Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                format!("`{name}` takes {}", counted(wanted, "argument")),
            )
            .help(format!("write {form}")));
        }
        let mut codes =
            call.args.into_iter().map(|it| finish(it, self.info, self.text, self.types_are_names));
        let (Some(path), map) = (codes.next().transpose()?, codes.next().transpose()?) else {
            return Ok(Expr::Unspecified);
        };
        Ok(self.leaf(match map {
            None => Leaf::File { path, start, end },
            Some(map) => Leaf::Template { path, map, start, end },
        }))
    }

    fn comprehension(
        &mut self,
        it: &mut ComprehensionExpr,
        range: (u32, u32),
    ) -> Result<(), ExpressionError> {
        if it.iter_var2.is_some() {
            return Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                "comprehensions have one variable",
            ));
        }
        self.comprehensions += 1;
        if self.comprehensions > COMPREHENSIONS_MAX {
            return Err(ExpressionError::new(
                DiagnosticCode::BadExpression,
                range,
                format!("more than {COMPREHENSIONS_MAX} comprehensions inside each other"),
            ));
        }
        self.expr(&mut it.iter_range)?;
        let leaf =
            leaf_of(&it.iter_range).filter(|it| matches!(self.leaves[*it], Leaf::Path { .. }));
        if leaf.is_some() {
            self.narrow(&it.iter_range, Slice::Elements(BTreeSet::new()));
        }
        let id = it.iter_range.id;
        let range = mem::take(&mut it.iter_range);
        let ordered = CallExpr { func_name: ITEMS.to_owned(), target: None, args: vec![range] };
        it.iter_range = IdedExpr { id, expr: Expr::Call(ordered) };
        self.expr(&mut it.accu_init)?;
        self.bound.push(Bound { name: it.accu_var.clone(), leaf: None });
        self.bound.push(Bound { name: it.iter_var.clone(), leaf });
        let inside = [&mut it.loop_cond, &mut it.loop_step, &mut it.result]
            .into_iter()
            .try_for_each(|it| self.expr(it));
        self.bound.truncate(self.bound.len() - 2);
        self.comprehensions -= 1;
        inside
    }

    /// The range of a node's token.
    fn token(&self, id: u64) -> (u32, u32) {
        token(self.info, self.text, id)
    }

    /// Where a step of a chain ends: after the field's name or the closing bracket.
    fn step_end(&self, node: &IdedExpr) -> u32 {
        let (start, end) = self.token(node.id);
        match &node.expr {
            Expr::Select(select) => {
                let from = start as usize;
                let rest = self.text.get(from..).unwrap_or_default();
                rest.find(select.field.as_str())
                    .map_or(end, |at| small(from + at + select.field.len()))
            }
            _ => self.closing(start as usize).unwrap_or(end),
        }
    }

    /// The end of the bracket that opens at or after `from`; quotes are minded.
    fn closing(&self, from: usize) -> Option<u32> {
        let mut depth = 0_usize;
        let mut quote = None;
        for (at, it) in self.text.get(from..)?.char_indices() {
            match (quote, it) {
                (Some(open), _) => quote = (it != open).then_some(open),
                (None, '\'' | '"') => quote = Some(it),
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(small(from + at + 1));
                    }
                }
                _ => {}
            }
        }
        None
    }
}
