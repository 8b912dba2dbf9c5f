//! The commands as `--help` lists them: in groups, the way people meet them. Clap knows groups of options only.

use clap::{Command, CommandFactory as _};

use crate::cli::args::Arguments;

/// Every command that is shown stands in exactly one of these.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Configuration", &["init", "validate", "render", "explain", "graph", "policy"]),
    ("Plan and apply", &["plan", "show", "apply", "ci", "destroy"]),
    ("Recovery", &["audit", "drill", "failover", "failback", "approve", "recovered", "watch"]),
    ("State and reports", &["status", "reports", "state"]),
    ("Sandbox", &["sandbox"]),
    ("Reference", &["kinds", "functions", "schema", "completions", "man", HELP]),
];

/// Clap adds this one itself.
const HELP: &str = "help";
const HELP_SAYS: &str = "Show this message or the help of a command";

/// The command line, with the help in groups.
pub(super) fn grouped() -> Command {
    let command = Arguments::command();
    let template = template(&command);
    command.help_template(template)
}

fn template(command: &Command) -> String {
    let says = |name: &str| {
        let found = command.find_subcommand(name).and_then(Command::get_about);
        found.map_or_else(|| HELP_SAYS.to_owned(), ToString::to_string)
    };
    let names = GROUPS.iter().flat_map(|(_, names)| *names);
    let width = names.map(|it| it.len()).max().unwrap_or_default();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, names) in GROUPS {
        text.push_str(&format!("\n{heading}:\n"));
        for name in names {
            text.push_str(&format!("  {name:width$}  {}\n", says(name)));
        }
    }
    text + "\nOptions:\n{options}{after-help}"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{GROUPS, HELP, grouped};
    use crate::cli::args::Arguments;

    #[test]
    fn groups_hold_every_visible_command_once() {
        let mut named: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        named.sort_unstable();
        let command = Arguments::command();
        let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
        let mut shown: Vec<&str> = shown.map(clap::Command::get_name).chain([HELP]).collect();
        shown.sort_unstable();
        assert_eq!(named, shown);
    }

    /// Text of a template is not wrapped by clap.
    #[test]
    fn grouped_fits_80_columns() {
        let help = grouped().term_width(80).render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(help);
    }
}
