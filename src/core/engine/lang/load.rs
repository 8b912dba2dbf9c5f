//! From layers, variables and files to a stack: every mistake in one run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::{Address, Key};
use crate::engine::fast_map::{FastMap, FoldHash};
use crate::engine::lang::cel::evaluate::evaluate;
use crate::engine::lang::cel::lookup::LookupError;
use crate::engine::lang::cel::template::FileText;
use crate::engine::lang::lower::allow::{ALLOW, allowances};
use crate::engine::lang::lower::dependencies::of_instance;
use crate::engine::lang::lower::instances::{Repeat, expand};
use crate::engine::lang::lower::notify;
use crate::engine::lang::lower::policies::{POLICIES, check_references, policies};
use crate::engine::lang::lower::policy_file::policy_file;
use crate::engine::lang::lower::recovery_keys;
use crate::engine::lang::lower::references::{Site, needs};
use crate::engine::lang::lower::resources::{self, Lowered, unknown_keys};
use crate::engine::lang::lower::task_links::link;
use crate::engine::lang::lower::tasks;
use crate::engine::lang::merge::overlay::{NOTIFY, PARTS, lay};
use crate::engine::lang::merge::variables::{
    GivenVariable, RememberedVariables, VariableSources, variables,
};
use crate::engine::lang::model::{Instance, Stack, Task, Term};
use crate::engine::lang::term::expressions;
use crate::engine::lang::validate::dry_run::dry_run;
use crate::engine::lang::validate::undo_secrets::undo_secrets;
use crate::engine::lang::view::{ScopeView, Texts};
use crate::engine::lang::yaml::node::Node;
use crate::engine::lang::yaml::reader::{MISTAKES_MAX, parse};
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};
use crate::engine::value::Value;

/// The largest file that an expression reads. The largest attribute of any kind takes 64 KiB, so this is ample.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Where the state of a stack is kept. No overlay changes it, and what it says is decided where stores are opened.
pub const STATE: &str = "state";

const STACK_KEYS: [&str; 11] = [
    "stack",
    "description",
    STATE,
    "objectives",
    NOTIFY,
    "variables",
    "resources",
    "outputs",
    "tasks",
    POLICIES,
    ALLOW,
];
const OVERLAY_KEYS: [&str; 14] = [
    "overlay",
    "description",
    "assumes_lost",
    "workspace",
    "rehearses",
    "borrow",
    "objectives",
    NOTIFY,
    "variables",
    "resources",
    "outputs",
    "tasks",
    POLICIES,
    ALLOW,
];

/// Reads the files of a stack's folder; the engine has none of its own.
pub trait Files {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem>;

    /// The files of policies that hold for every stack of the project.
    fn policies(&self) -> &[Layer] {
        &[]
    }
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// It lies outside of the stack's folder.
    Outside,
    Missing,
    TooLarge,
    Other(String),
}

/// One file of the language: the stack's, or an overlay's.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The overlay's name; empty for the stack file.
    pub name: String,
    /// As shown to people.
    pub file: String,
    pub bytes: Vec<u8>,
}

/// What came of loading: sources always, a stack where anything usable came out.
#[derive(Debug, Default)]
pub struct Loaded {
    pub sources: Sources,
    pub stack: Option<Stack>,
    pub diagnostics: Vec<Diagnostic>,
    /// Each layer as it was read, for `explain`.
    pub layers: Vec<Node>,
    /// All layers in one, for `render`; absent when there is but one layer.
    pub merged: Option<Node>,
}

impl Loaded {
    /// All layers in one.
    pub fn merged(&self) -> Option<&Node> {
        self.merged.as_ref().or(self.layers.first())
    }
}

/// Reads, merges, checks and expands. The first layer is the stack file, the others are overlays in order.
pub fn load(
    stack_name: &str,
    layers: &[Layer],
    given: &[GivenVariable],
    remembered: RememberedVariables<'_>,
    files: &dyn Files,
    catalog: &Catalog,
) -> Loaded {
    let mut loaded = Loaded::default();
    let is_whole = read_layers(layers, &mut loaded);
    if is_whole {
        merge(stack_name, layers, &mut loaded);
        let overlays: Vec<(u32, &str)> = (layers.iter().zip(&loaded.layers).skip(1))
            .map(|(layer, node)| (node.span.source, layer.name.as_str()))
            .collect();
        let outside = VariableSources { remembered, given, overlays: &overlays };
        let mut stack = build(stack_name, &outside, files, catalog, &mut loaded);
        add_policies(files.policies(), &mut stack, &mut loaded);
        stack.overlays = layers.iter().skip(1).map(|it| it.name.clone()).collect();
        loaded.stack = Some(stack);
    }
    tidy(&mut loaded.diagnostics);
    loaded
}

/// Adds the policies of the project: no stack weakens them.
fn add_policies(files: &[Layer], stack: &mut Stack, loaded: &mut Loaded) {
    let out = &mut loaded.diagnostics;
    check_references(&stack.policies, Some(&stack.variables), out);
    for file in files {
        let (node, mistakes) = parse(&file.file, &file.bytes, &mut loaded.sources);
        out.extend(mistakes);
        let Some(node) = node else { continue };
        let found = policy_file(&node, &loaded.sources, out).policies;
        check_references(&found, None, out);
        for (name, policy) in found {
            if let Some(other) = stack.policies.get(&name) {
                out.push(
                    Diagnostic::error(DiagnosticCode::DuplicateKey, "Two policies of one name")
                        .at(other.span, format!("`{name}` is here"))
                        .at(policy.span, "and here")
                        .help("give one of them another name: no stack replaces a policy of the project"),
                );
                continue;
            }
            stack.policies.insert(name, policy);
        }
    }
    stack.sources = loaded.sources.clone();
}

/// In the order of the files, each place blamed once; what has no place comes first.
fn tidy(diagnostics: &mut Vec<Diagnostic>) {
    let place = |it: &Diagnostic| it.labels.first().map(|it| it.span);
    diagnostics.sort_by_key(|it| {
        (place(it).map(|it| (it.source, it.start, it.end)), std::cmp::Reverse(it.severity))
    });
    let mut last: Option<Span> = None;
    diagnostics.retain(|it| {
        let here = place(it);
        let is_new = here.is_none() || here != last;
        last = here;
        is_new
    });
}

/// Whether every layer could be read as YAML.
fn read_layers(layers: &[Layer], loaded: &mut Loaded) -> bool {
    for layer in layers {
        let (node, mistakes) = parse(&layer.file, &layer.bytes, &mut loaded.sources);
        loaded.diagnostics.extend(mistakes);
        loaded.layers.extend(node);
    }
    loaded.layers.len() == layers.len() && !layers.is_empty()
}

fn merge(stack_name: &str, layers: &[Layer], loaded: &mut Loaded) {
    let out = &mut loaded.diagnostics;
    for (layer, node) in layers.iter().zip(&loaded.layers) {
        let is_base = std::ptr::eq(node, &raw const loaded.layers[0]);
        let what = if is_base { "a stack" } else { "an overlay" };
        let opening = if is_base { "A stack" } else { "An overlay" };
        let Some(map) = node.as_map() else {
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, format!("{opening} must be a map"))
                    .at(node.span, format!("this is {}", node.word())),
            );
            continue;
        };
        let known: &[&str] = if is_base { &STACK_KEYS } else { &OVERLAY_KEYS };
        unknown_keys(map, known, what, out);
        let (key, expected) =
            if is_base { ("stack", stack_name) } else { ("overlay", layer.name.as_str()) };
        match map.get(key) {
            Some(it) if it.node.as_text() == Some(expected) => {}
            Some(it) => out.push(
                Diagnostic::error(
                    DiagnosticCode::WrongName,
                    format!(
                        "`{key}` does not match the name of the {}",
                        if is_base { "folder" } else { "file" }
                    ),
                )
                .at(it.node.span, format!("expected `{expected}`"))
                .help(format!("write `{key}: {expected}`")),
            ),
            None if is_base => out.push(
                Diagnostic::error(DiagnosticCode::MissingKey, "Missing `stack` key")
                    .at(Span { end: node.span.start, ..node.span }, "`stack` is missing")
                    .help(format!("write `stack: {expected}`")),
            ),
            None => {}
        }
    }
    if loaded.layers.len() > 1 {
        let mut merged = loaded.layers[0].clone();
        for overlay in &loaded.layers[1..] {
            lay(&mut merged, overlay, out);
        }
        loaded.merged = Some(merged);
    }
}

fn build(
    stack_name: &str,
    outside: &VariableSources<'_>,
    files: &dyn Files,
    catalog: &Catalog,
    loaded: &mut Loaded,
) -> Stack {
    let mut out = std::mem::take(&mut loaded.diagnostics);
    let mut stack = Stack { name: stack_name.to_owned(), ..Stack::default() };
    recovery_keys::overlay_keys(&loaded.layers, &mut stack, &mut out);
    let merged = loaded.merged();
    let [variables_of, resources_of, outputs_of, objectives_of, tasks_of, policies_of] =
        PARTS.map(|part| merged.and_then(Node::as_map)?.get(part).map(|it| &it.node));
    stack.variables = variables(variables_of, outside, &loaded.sources, &mut out);
    let lowered = resources::resources(resources_of, catalog, &loaded.sources, &mut out);
    stack.outputs = resources::outputs(outputs_of, &loaded.sources, &mut out);
    let tasks = tasks::tasks(tasks_of, &loaded.sources, &mut out);
    let notify_of = merged.and_then(Node::as_map).and_then(|it| it.get(NOTIFY));
    stack.notify = notify::webhooks(notify_of.map(|it| &it.node), &loaded.sources, &mut out);
    stack.objectives = recovery_keys::objectives(objectives_of, &mut out);
    stack.allowances = allowances(&loaded.layers, &mut out);
    stack.policies = policies(policies_of, &loaded.sources, &mut out);
    if out.len() > MISTAKES_MAX {
        // What follows would be told of a stack of which only a part was looked at.
        stack.sources = loaded.sources.clone();
        loaded.diagnostics = out;
        return stack;
    }
    let reading = LayerReading { files, read: RefCell::default() };
    finish(&mut stack, lowered, catalog, &reading, &mut out);
    link(tasks, &mut stack, catalog, &mut out);
    let of_tasks = stack.tasks.values().flat_map(Task::terms);
    read_files(of_tasks, (&stack, catalog), &reading, &mut out);
    // What is declared, but wrongly, is not unknown as well.
    let is_declared = |it: &Diagnostic| {
        let (section, what) = match it.code {
            DiagnosticCode::UnknownVariable => (variables_of, "variable"),
            DiagnosticCode::UnknownReference => (resources_of, "resource"),
            _ => return false,
        };
        let declared = section.and_then(Node::as_map);
        it.labels.first().is_some_and(|label| {
            let name = label.text.strip_prefix("there is no ").and_then(|it| it.strip_prefix(what));
            let name = name.and_then(|it| it.strip_prefix(" `")?.strip_suffix('`'));
            name.zip(declared).is_some_and(|(name, declared)| declared.contains_key(name))
        })
    };
    out.retain(|it| !is_declared(it));
    reading.keep(&mut stack);
    dry_run(&stack, catalog, &mut out);
    undo_secrets(&stack, &mut out);
    stack.spending.close();
    stack.sources = loaded.sources.clone();
    loaded.diagnostics = out;
    stack
}

fn finish(
    stack: &mut Stack,
    lowered: Lowered,
    catalog: &Catalog,
    reading: &LayerReading<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let Lowered { resources, repeats } = lowered;
    stack.resources = resources;
    let mut entries = expand(stack, &repeats, catalog, reading, out);
    recovery_keys::check_borrowed(stack, out);
    let once = || vec![(Key::One, None)];
    let count = stack.resources.len();
    let mut instances = FastMap::with_capacity_and_hasher(count, FoldHash::default());
    for (name, resource) in &stack.resources {
        if out.len() > MISTAKES_MAX {
            break;
        }
        let repeat = repeats.get(name);
        let needed = needs(resource, repeat, stack, catalog, out);
        let each_span = repeat.map_or(resource.span, Repeat::span);
        let mut all = Vec::new();
        for given in resource.attributes.values() {
            expressions(&given.term, &mut all);
        }
        for gate in resource.ready.as_deref().into_iter().chain(&resource.gates.0) {
            gate.target().into_iter().for_each(|it| expressions(it, &mut all));
        }
        all.retain(|it| !it.files().is_empty());
        for (key, each) in entries.get_mut(name).map_or_else(once, std::mem::take) {
            let address = Address { name: name.clone(), key };
            let view = ScopeView {
                stack,
                catalog,
                scope: None,
                instance: Some((&address, each.as_ref())),
                own: None,
                texts: reading,
            };
            reading.touch(&all, &view, out);
            let needs = of_instance(&needed, &address, each.as_ref(), each_span, stack);
            let instance = Instance {
                address: address.clone(),
                resource: Arc::clone(resource),
                each: each.map(Box::new),
                needs,
            };
            instances.insert(address, instance);
        }
    }
    stack.instances = instances;
    outputs(stack, catalog, reading, out);
    notify::check_references(stack, catalog, out);
}

fn outputs(
    stack: &Stack,
    catalog: &Catalog,
    reading: &LayerReading<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let site = Site { stack, catalog, owner: None, has_self: false };
    for output in stack.outputs.values() {
        let mut all = Vec::new();
        expressions(&output.term, &mut all);
        site.expressions(&all, &mut Vec::new(), out);
    }
    read_files(stack.outputs.values().map(|it| &it.term), (stack, catalog), reading, out);
}

/// Reads the files that terms name which belong to no instance.
fn read_files<'a>(
    terms: impl Iterator<Item = &'a Term>,
    (stack, catalog): (&Stack, &Catalog),
    reading: &LayerReading<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let view = ScopeView { stack, catalog, scope: None, instance: None, own: None, texts: reading };
    let mut all = Vec::new();
    terms.for_each(|it| expressions(it, &mut all));
    all.retain(|it| !it.files().is_empty());
    reading.touch(&all, &view, out);
}

/// The files read so far.
struct LayerReading<'a> {
    files: &'a dyn Files,
    read: RefCell<BTreeMap<String, Result<Arc<FileText>, LookupError>>>,
}

impl Texts for LayerReading<'_> {
    fn text(&self, path: &str) -> Result<Arc<FileText>, LookupError> {
        if let Some(known) = self.read.borrow().get(path) {
            return known.clone();
        }
        let read = self.read_now(path);
        self.read.borrow_mut().insert(path.to_owned(), read.clone());
        read
    }
}

impl LayerReading<'_> {
    fn read_now(&self, path: &str) -> Result<Arc<FileText>, LookupError> {
        let lost = |message: String| LookupError::new(DiagnosticCode::FileProblem, message);
        let outside = || {
            lost(format!("`{path}` is outside the stack's folder"))
                .help("only files in the folder of stack.yaml and below can be read")
        };
        let leaves = path.starts_with('/')
            || path.contains(['\\', '\0'])
            || path.split('/').any(|it| it == "..");
        if leaves || path.is_empty() {
            return Err(outside());
        }
        let bytes = self.files.read(path).map_err(|problem| match problem {
            FileProblem::Outside => outside(),
            FileProblem::Missing => lost(format!("the file `{path}` does not exist"))
                .help("paths are relative to the folder of stack.yaml"),
            FileProblem::TooLarge => lost(format!("`{path}` is larger than 1 MiB")),
            FileProblem::Other(why) => lost(format!("`{path}`: {why}")),
        })?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(lost(format!("`{path}` is larger than 1 MiB")));
        }
        let text = String::from_utf8(bytes).map_err(|_| lost(format!("`{path}` is not UTF-8")))?;
        Ok(Arc::new(FileText::new(path, &text)))
    }

    /// Reads what expressions will read, so that resolving needs no files.
    fn touch(
        &self,
        all: &[&Arc<crate::engine::lang::cel::expression::Expression>],
        view: &ScopeView<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        for expression in all {
            for code in expression.files() {
                match evaluate(code, &expression.text, view) {
                    // What it holds, and whether it is there at all, is told where it is used.
                    Ok(Value::Text(path)) => {
                        let _ = self.text(&path);
                    }
                    Ok(_) => {}
                    // The rehearsal tells that it was not read, and why.
                    Err(trouble) if trouble.code == DiagnosticCode::NotKnown => {}
                    Err(trouble) => out.push(expression.diagnostic(&trouble)),
                }
            }
        }
    }

    /// Keeps texts and digests in the stack; problems too, so that the rehearsal tells them.
    fn keep(self, stack: &mut Stack) {
        use sha2::Digest as _;
        for (path, read) in self.read.into_inner() {
            match read {
                Ok(text) => {
                    let digest = sha2::Sha256::digest(text.text.as_bytes());
                    stack.files.insert(path.clone(), data_encoding::HEXLOWER.encode(&digest));
                    stack.texts.insert(path, text);
                }
                Err(lost) => {
                    stack.unread.insert(path, lost);
                }
            }
        }
    }
}
