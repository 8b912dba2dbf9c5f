//! `policy test`: runs the tests that stand beside the policies of a project.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use crate::cli::args::Plain;
use crate::cli::args::policy::PolicyTestArgs;
use crate::cli::commands::plan;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{out, report};
use crate::engine::lang::load::Layer;
use crate::engine::lang::lower::policies::{POLICIES, check_references};
use crate::engine::lang::lower::policy_file::{PolicyFile, TestedPlan, policy_file};
use crate::engine::lang::yaml::reader::{BYTES_MAX, parse};
use crate::engine::plan::policy::seen_plan;
use crate::engine::plan::policy_test::{PolicyTestResult, run_test, written_plan};
use crate::engine::text::diagnostic::{Sources, stops};
use crate::ops::error::OpsError;
use crate::ops::load::layers::policy_files;
use crate::ops::load::stack_ref;
use crate::render::policy_tests::{TestedFile, json, text};

/// Runs the tests of these files, or of all that the project has.
pub fn test(context: &CommandContext, arguments: &PolicyTestArgs) -> Result<Exit, OpsError> {
    let root = stack_ref::root(&context.directory).unwrap_or_else(|| context.directory.clone());
    let files = match arguments.files.as_slice() {
        [] => policy_files(&root)?,
        named => named.iter().map(|it| given(&context.directory, it)).collect::<Result<_, _>>()?,
    };
    if files.is_empty() {
        return Err(OpsError::input(
            format!("there are no policies in {}", root.join(POLICIES).display()),
            "write some into policies/NAME.yaml; docs/policies.md shows one with a test",
        ));
    }
    let read = read_all(context, files)?;
    let mut tested = Vec::new();
    for (layer, file) in &read {
        // Given ones are named as they were given; the project's are below its root.
        let folder = if arguments.files.is_empty() { &root } else { &context.directory };
        let folder = folder.join(&layer.file);
        let folder = folder.parent().unwrap_or(&root);
        tested.push(run(context, (layer, file), folder)?);
    }
    out::data(
        match arguments.format {
            Plain::Json => json(&tested),
            Plain::Text => text(&tested),
        }
        .trim_end(),
    );
    let has_tests = tested.iter().any(|it| !it.results.is_empty());
    let has_passed = tested.iter().flat_map(|it| &it.results).all(PolicyTestResult::has_passed);
    Ok(if has_tests && has_passed { Exit::Done } else { Exit::Failed })
}

fn given(directory: &Path, file: &Path) -> Result<Layer, OpsError> {
    let path = directory.join(file);
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path)
        .and_then(|it| it.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|source| OpsError::File { file: path, source })?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Layer { name, file: file.display().to_string(), bytes })
}

/// All files, or what is wrong with any of them.
fn read_all(
    context: &CommandContext,
    files: Vec<Layer>,
) -> Result<Vec<(Layer, PolicyFile)>, OpsError> {
    let (mut sources, mut diagnostics, mut read) = (Sources::default(), Vec::new(), Vec::new());
    for layer in files {
        let (node, mistakes) = parse(&layer.file, &layer.bytes, &mut sources);
        diagnostics.extend(mistakes);
        let Some(node) = node else { continue };
        let file = policy_file(&node, &sources, &mut diagnostics);
        check_references(&file.policies, None, &mut diagnostics);
        read.push((layer, file));
    }
    if stops(&diagnostics) {
        return Err(OpsError::Mistakes { diagnostics, sources });
    }
    report::all(&diagnostics, &sources, context.color);
    Ok(read)
}

fn run(
    context: &CommandContext,
    (layer, file): (&Layer, &PolicyFile),
    folder: &Path,
) -> Result<TestedFile, OpsError> {
    let mut results = Vec::new();
    let mut spoken = BTreeSet::new();
    for test in &file.tests {
        let plan = match &test.plan {
            TestedPlan::Written(plan) => written_plan(plan),
            TestedPlan::File(path, _) => {
                seen_plan(&plan::read(&context.directory, &folder.join(path))?.0, None)
            }
        };
        spoken.extend(test.expect.iter().map(|(it, _)| it.clone()));
        results.push(run_test(test, &file.policies, plan));
    }
    let untested = file.policies.keys().filter(|it| !spoken.contains(*it)).cloned().collect();
    Ok(TestedFile { file: layer.file.clone(), results, untested })
}
