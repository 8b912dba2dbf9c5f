//! `kinds`, `schema`, `completions`, `man`: what lifeboat says about itself.

use clap::CommandFactory as _;

use crate::cli::args::Arguments;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::engine::lang::json_schema::json_schema;
use crate::engine::schema::{Attribute, FaultDomain, Kind, OnChange};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::kinds::{builtin, example};
use crate::ops::error::OpsError;
use crate::store::remote::schema::state_schema;
use crate::store::sealed::declared::with_encrypt;

pub fn kinds(kind: Option<&str>) -> Result<Exit, OpsError> {
    let catalog = builtin();
    let Some(name) = kind else {
        let width = catalog.kinds.keys().map(String::len).max().unwrap_or(0);
        let lines: Vec<String> = catalog
            .kinds
            .values()
            .map(|it| format!("{:width$}  {}", it.kind, it.summary))
            .collect();
        out::data(&lines.join("\n"));
        return Ok(Exit::Done);
    };
    if let Some(kind) = catalog.get(name) {
        out::data(&page(kind));
        return Ok(Exit::Done);
    }
    let near = nearest(name, catalog.kinds.keys().map(String::as_str));
    let help = near.map_or_else(
        || format!("{} lists them", AdvisedCommand::Kinds { kind: None }),
        |it| format!("did you mean `{it}`?"),
    );
    Err(OpsError::input(format!("unknown kind `{name}`"), help))
}

fn page(kind: &Kind) -> String {
    let mut text = format!("{}: {}\n", kind.kind, kind.summary);
    if !kind.doc.is_empty() {
        text.push_str(&format!("\n{}\n", kind.doc.trim_end()));
    }
    let lost_with = match &kind.fault_domain {
        FaultDomain::Region(attribute) | FaultDomain::Of(attribute) => format!("its {attribute}"),
        FaultDomain::Global(name) => name.clone(),
    };
    text.push_str(&format!("\nFault domain: {lost_with}\n"));
    text.push_str(&format!("Identity: {}\n", kind.identity.by.join(", ")));
    if kind.holds_data {
        text.push_str("Holds data: deleting or replacing it requires --allow-delete\n");
    }
    text.push_str("\nAttributes:\n");
    for (name, attribute) in kind.settable() {
        text.push_str(&line(name, attribute));
        members(&mut text, attribute, 2);
    }
    text.push_str("\nRead-only attributes (set by the cloud):\n");
    for (name, attribute) in kind.attributes.iter().filter(|(_, it)| it.computed) {
        text.push_str(&line(name, attribute));
    }
    if let Some(example) = example(&kind.kind) {
        text.push_str(&format!("\nExample:\n\n{example}"));
    }
    text
}

/// The fields of a map, and of the maps in a list.
fn members(text: &mut String, attribute: &Attribute, depth: usize) {
    if let Some(of) = &attribute.of {
        return members(text, of, depth);
    }
    for (name, member) in attribute.members.iter().flatten() {
        let indent = "  ".repeat(depth);
        text.push_str(
            &line(name, member).replace("\n      ", &format!("\n{indent}      ")).replacen(
                "  ",
                &format!("{indent}  "),
                1,
            ),
        );
        members(text, member, depth + 1);
    }
}

fn line(name: &str, attribute: &Attribute) -> String {
    let mut facts = vec![match &attribute.to {
        Some(kind) => format!("reference to {kind}"),
        None => attribute.kind.word().to_owned(),
    }];
    if attribute.required {
        facts.push("required".into());
    }
    if let Some(default) = &attribute.default {
        facts.push(format!("default {default}"));
    }
    if !attribute.one_of.is_empty() {
        facts.push(attribute.choices());
    }
    if let Some((least, most)) = attribute.range {
        facts.push(format!("{least} to {most}"));
    }
    if attribute.sensitive {
        facts.push("sensitive".into());
    }
    if attribute.on_change == OnChange::Replace {
        facts.push(format!(
            "changing it forces replacement: {}",
            attribute.why.as_deref().unwrap_or("it is immutable")
        ));
    }
    if let Some(it) = &attribute.on_shrink {
        let means = match it.becomes {
            OnChange::Update => "is an update",
            OnChange::Replace => "forces replacement",
            OnChange::Refuse => "is refused",
        };
        facts.push(format!("decreasing it {means}: {}", it.why));
    }
    let doc =
        if attribute.doc.is_empty() { String::new() } else { format!("\n      {}", attribute.doc) };
    format!("  {name}: {}{doc}\n", facts.join("; "))
}

pub fn schema() -> Exit {
    out::data(&schema_text());
    Exit::Done
}

/// The JSON Schema of stack files, as `schema` prints it.
pub fn schema_text() -> String {
    let schema = json_schema(&builtin(), with_encrypt(state_schema()));
    serde_json::to_string_pretty(&schema).expect("JSON prints")
}

/// The script that asks lifeboat itself at each completion, so that it knows stacks and addresses.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, OpsError> {
    let name = shell.to_string();
    let shells = clap_complete::env::Shells::builtins();
    let mut bytes = Vec::new();
    let file = std::path::PathBuf::from("the completion script");
    match shells.completer(&name) {
        Some(it) => it
            .write_registration("COMPLETE", "lifeboat", "lifeboat", "lifeboat", &mut bytes)
            .map_err(|source| OpsError::File { file, source })?,
        None => clap_complete::generate(shell, &mut Arguments::command(), "lifeboat", &mut bytes),
    }
    out::data(&String::from_utf8_lossy(&bytes));
    Ok(Exit::Done)
}

/// The page of lifeboat itself, or of the command that these words name.
pub fn man(words: &[String]) -> Result<Exit, OpsError> {
    let mut command = Arguments::command();
    command.build();
    // A page is named `lifeboat-state-list`; nobody has to type it so.
    let words: Vec<&str> = words
        .iter()
        .flat_map(|it| it.trim_start_matches("lifeboat-").split(['-', ' ']))
        .filter(|it| !it.is_empty() && *it != "lifeboat")
        .collect();
    let mut name = "lifeboat".to_owned();
    for word in words {
        let Some(found) = command.find_subcommand(word).cloned() else {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let near = nearest(word, names);
            let help = near.map_or_else(
                || format!("`{} --help` lists them", name.replace('-', " ")),
                |it| format!("did you mean `{it}`?"),
            );
            return Err(OpsError::input(format!("there is no manual page `{name}-{word}`"), help));
        };
        name = format!("{name}-{word}");
        command = found;
    }
    let mut bytes = Vec::new();
    let file = std::path::PathBuf::from("the manual page");
    clap_mangen::Man::new(command.display_name(name.clone()).name(name))
        .render(&mut bytes)
        .map_err(|source| OpsError::File { file, source })?;
    out::data(&String::from_utf8_lossy(&bytes));
    Ok(Exit::Done)
}
