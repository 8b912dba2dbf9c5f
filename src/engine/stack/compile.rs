//! Compiles the text of an expression: paths natively, all else by CEL, whose paths, files and templates become leaves.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use cel::common::ast::operators::{INDEX, OPT_SELECT};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, SourceInfo,
};
use cel::{IdedExpr, ParseErrors};

use crate::engine::diagnostic::nearest;
use crate::engine::stack::code::{Cel, Code, Leaf, Path, Slice, Trouble};
use crate::engine::stack::functions::{ENV, ITEMS, NAMES, NAMESPACES};
use crate::engine::stack::path::{self, Step};

/// The longest expression; a longer one could exhaust the stack by its depth.
pub const BYTES_MAX: usize = 4096;
/// How deep parentheses may be nested.
const DEPTH_MAX: u16 = 48;
/// How deep comprehensions may be nested: the steps of evaluation grow by a power for each.
const COMPREHENSIONS_MAX: usize = 3;

/// Compiles an expression.
pub fn compile(text: &str) -> Result<Code, Trouble> {
    if text.len() > BYTES_MAX {
        let all = (0, small(text.len()));
        let wrong = Trouble::new("bad_expression", all, format!("longer than {BYTES_MAX} bytes"));
        return Err(
            wrong.help("move long text into a file and read it with `file(…)` or `template(…)`")
        );
    }
    match path::parse(text) {
        Some(path) => Ok(Code::Path(path)),
        None => compile_cel(text),
    }
}

/// Compiles with CEL even what would be a path.
pub fn compile_cel(text: &str) -> Result<Code, Trouble> {
    compile_with(text, false)
}

/// Compiles a kind's rule or a template's part, in which `type` and the like are names.
pub fn compile_rule(text: &str) -> Result<Code, Trouble> {
    compile_with(text, true)
}

fn compile_with(text: &str, types_are_names: bool) -> Result<Code, Trouble> {
    if text.trim().is_empty() {
        return Err(Trouble::new(
            "bad_expression",
            (0, small(text.len())),
            "nothing is written here",
        ));
    }
    let parser = ENV.parser().max_recursion_depth(DEPTH_MAX);
    let (tree, info) = parser.parse_with_source_info(text).map_err(|it| reworded(&it, text))?;
    finish(tree, &Arc::new(info), text, types_are_names)
}

fn finish(
    mut tree: IdedExpr,
    info: &Arc<SourceInfo>,
    text: &str,
    types_are_names: bool,
) -> Result<Code, Trouble> {
    let (leaves, bound) = (Vec::new(), Vec::new());
    let mut walk = Walk { text, info, leaves, bound, comprehensions: 0, types_are_names };
    walk.expr(&mut tree)?;
    Ok(Code::Cel(Box::new(Cel { tree, leaves: walk.leaves, info: Arc::clone(info) })))
}

/// A name that a comprehension binds, and the leaf that it runs over.
struct Bound {
    name: String,
    leaf: Option<usize>,
}

struct Walk<'a> {
    text: &'a str,
    info: &'a Arc<SourceInfo>,
    leaves: Vec<Leaf>,
    bound: Vec<Bound>,
    comprehensions: usize,
    types_are_names: bool,
}

/// A step of a chain, from its root outwards.
enum Link {
    Name(String),
    Index(u32),
    /// The index is not constant.
    Other,
}

impl Walk<'_> {
    fn expr(&mut self, expr: &mut IdedExpr) -> Result<(), Trouble> {
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
            Expr::Struct(_) => {
                Err(Trouble::new("bad_expression", range, "there are no structures here")
                    .help("write a map: {'key': value}"))
            }
            Expr::Unspecified => {
                Err(Trouble::new("bad_expression", range, "something is missing here"))
            }
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    /// A name with steps: becomes a leaf unless a comprehension binds the name.
    fn chain(&mut self, expr: &mut IdedExpr, root: &str, links: &[Link]) -> Result<(), Trouble> {
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
                Link::Name(name) => Step::Name(name.as_str().into()),
                Link::Index(index) => Step::Index(*index),
                Link::Other if self.uses_bound(index_of(node)) => {
                    // Which one is only known while evaluating: lend all of them, with what is seen of each.
                    let fields = match links.get(position + 1) {
                        Some(Link::Name(name)) => Slice::Elements(BTreeSet::from([name.clone()])),
                        _ => Slice::Whole,
                    };
                    let path = Path { root: root.into(), steps, start, end };
                    let leaf = self.leaf(Leaf::Path { path, slice: fields });
                    nth_mut(expr, links.len() - position).expr = leaf;
                    return self.indexes(expr);
                }
                Link::Other => {
                    let node = nth_mut(expr, links.len() - 1 - position);
                    let Expr::Call(call) = &mut node.expr else { return Ok(()) };
                    let index = mem::take(&mut call.args[1]);
                    Step::Computed(Box::new(finish(
                        index,
                        self.info,
                        self.text,
                        self.types_are_names,
                    )?))
                }
            };
            steps.push(step);
        }
        let path = Path { root: root.into(), steps, start, end };
        expr.expr = self.leaf(Leaf::Path { path, slice: Slice::Whole });
        Ok(())
    }

    /// Walks what stands in the brackets of a chain that stays in the tree.
    fn indexes(&mut self, expr: &mut IdedExpr) -> Result<(), Trouble> {
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

    fn select(&mut self, select: &mut SelectExpr) -> Result<(), Trouble> {
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

    fn call(&mut self, expr: &mut IdedExpr) -> Result<(), Trouble> {
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

    fn known_function(&self, call: &CallExpr, range: (u32, u32)) -> Result<(), Trouble> {
        let name = call.func_name.as_str();
        if name == "range" {
            let range = (named(self.text, range.0, name), range.1);
            return Err(Trouble::new("unknown_function", range, "`lists.range` is not available")
                .help("use `count`, or write the list"));
        }
        let is_word = name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
            && name.starts_with(|it: char| it.is_ascii_alphabetic());
        if !is_word || NAMES.contains(&name) {
            return Ok(());
        }
        let start = named(self.text, range.0, name);
        let range = (start, start + small(name.len()));
        let wrong =
            Trouble::new("unknown_function", range, format!("there is no function `{name}`"));
        Err(match nearest(name, NAMES) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong,
        })
    }

    /// `file(path)` and `template(path, map)` become leaves.
    fn reader(&mut self, call: CallExpr, range: (u32, u32)) -> Result<Expr, Trouble> {
        let name = call.func_name;
        let start = named(self.text, range.0, &name);
        let end = self.closing(range.0 as usize).unwrap_or(range.1);
        let range = (start, end);
        if call.args.iter().any(|it| self.uses_bound(it)) {
            return Err(Trouble::new(
                "bad_expression",
                range,
                format!("`{name}` cannot use the variable of a `map` or `filter`"),
            )
            .help("read the file once, outside"));
        }
        let wanted = if name == "file" { 1 } else { 2 };
        if call.args.len() != wanted {
            let form =
                if name == "file" { "file('path')" } else { "template('path', {'name': value})" };
            return Err(Trouble::new(
                "bad_expression",
                range,
                format!("`{name}` takes {wanted} argument(s)"),
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
    ) -> Result<(), Trouble> {
        if it.iter_var2.is_some() {
            return Err(Trouble::new("bad_expression", range, "comprehensions have one variable"));
        }
        self.comprehensions += 1;
        if self.comprehensions > COMPREHENSIONS_MAX {
            return Err(Trouble::new(
                "bad_expression",
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
                (Some(open), _) if it == open => quote = None,
                (Some(_), _) => {}
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

/// The range of bytes of a node's token.
pub fn token(info: &SourceInfo, text: &str, id: u64) -> (u32, u32) {
    let length = small(text.len());
    let (start, stop) = info.offset_for(id).unwrap_or((0, length));
    let start = floor(text, start.min(length));
    (start, floor(text, stop.saturating_add(1).clamp(start, length)).max(start))
}

fn floor(text: &str, mut at: u32) -> u32 {
    while !text.is_char_boundary(at as usize) {
        at -= 1;
    }
    at
}

/// The token of a call is its parenthesis; a function's name stands before it.
pub fn named(text: &str, parenthesis: u32, name: &str) -> u32 {
    let before = text.get(..parenthesis as usize).unwrap_or_default().trim_end();
    if before.ends_with(name) { small(before.len() - name.len()) } else { parenthesis }
}

/// The leaf that an expression is, if it is one.
pub fn leaf_of(expr: &IdedExpr) -> Option<usize> {
    match &expr.expr {
        Expr::Ident(name) => name.strip_prefix('@')?.parse().ok(),
        _ => None,
    }
}

/// The direct parts of an expression.
pub fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|it| match &it.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        Expr::Comprehension(it) => {
            vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result]
        }
        Expr::Struct(it) => it
            .entries
            .iter()
            .filter_map(|it| match &it.expr {
                EntryExpr::StructField(field) => Some(&field.value),
                EntryExpr::MapEntry(_) => None,
            })
            .collect(),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

/// The root's name and the steps, if an expression is a name followed by fields and indexes.
fn chain(expr: &IdedExpr) -> Option<(String, Vec<Link>)> {
    let mut links = Vec::new();
    let mut at = expr;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                links.reverse();
                return Some((name.clone(), links));
            }
            Expr::Select(select) if !select.test => {
                links.push(Link::Name(select.field.clone()));
                at = &select.operand;
            }
            Expr::Call(call) if call.func_name == INDEX => {
                let [operand, index] = call.args.as_slice() else { return None };
                links.push(match &index.expr {
                    Expr::Literal(LiteralValue::String(key)) => Link::Name(key.inner().to_owned()),
                    Expr::Literal(LiteralValue::Int(index)) => {
                        u32::try_from(*index.inner()).map_or(Link::Other, Link::Index)
                    }
                    _ => Link::Other,
                });
                at = operand;
            }
            _ => return None,
        }
    }
}

/// The node `depth` levels towards the root of a chain.
fn nth(mut expr: &IdedExpr, depth: usize) -> &IdedExpr {
    for _ in 0..depth {
        expr = match &expr.expr {
            Expr::Select(select) => &select.operand,
            Expr::Call(call) => &call.args[0],
            _ => return expr,
        };
    }
    expr
}

fn nth_mut(mut expr: &mut IdedExpr, depth: usize) -> &mut IdedExpr {
    for _ in 0..depth {
        expr = match &mut expr.expr {
            Expr::Select(select) => &mut select.operand,
            Expr::Call(call) => &mut call.args[0],
            _ => unreachable!("`chain` counted the levels"),
        };
    }
    expr
}

fn root_of(expr: &IdedExpr) -> &IdedExpr {
    nth(expr, usize::MAX)
}

fn index_of(node: &IdedExpr) -> &IdedExpr {
    match &node.expr {
        Expr::Call(call) => call.args.get(1).unwrap_or(node),
        _ => node,
    }
}

/// CEL's first error in words for people. Its own Display panics for far columns and speaks of grammar.
fn reworded(errors: &ParseErrors, text: &str) -> Trouble {
    let Some(error) = errors.errors.first() else {
        return Trouble::new("bad_expression", (0, small(text.len())), "this cannot be read");
    };
    let at = offset(text, error.pos);
    let quoted = error.msg.split('\'').nth(1).unwrap_or_default();
    let next = text[at..].chars().next().map_or(at, |it| at + it.len_utf8());
    let range = (small(at), small(next));
    let trouble = |message: String| Trouble::new("bad_expression", range, message);
    if error.msg.contains("'<EOF>'") && at >= text.trim_end().len() {
        return trouble("the expression ends too early".to_owned());
    }
    if let Some(word) = error.msg.strip_prefix("reserved identifier: ") {
        return trouble(format!("`{word}` is a reserved word"));
    }
    if error.msg.contains("recursion") {
        return trouble("nested too deeply".to_owned());
    }
    if error.msg.contains("argument must be a simple name") {
        return trouble("the first argument must be a name".to_owned());
    }
    let found = if error.msg.contains("token recognition") && !quoted.is_empty() {
        quoted
    } else {
        &text[at..next]
    };
    match found {
        "" => trouble("the expression ends too early".to_owned()),
        it if it.starts_with(['\'', '"']) => trouble("this text has no closing quote".to_owned()),
        it if it.starts_with('=') => {
            trouble("`=` compares nothing".to_owned()).help("to compare, write `==`")
        }
        it => trouble(format!("`{}` cannot stand here", it.chars().take(20).collect::<String>())),
    }
}

/// The byte offset of a line and a column in characters, both from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let mut start = 0;
    for it in text.split_inclusive('\n').take(line - 1) {
        start += it.len();
    }
    text[start..].char_indices().nth(column - 1).map_or(text.len(), |(at, _)| start + at)
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
