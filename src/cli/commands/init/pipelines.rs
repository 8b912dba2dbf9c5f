//! The pipelines that `init` writes, for hosted runners: plan, apply, drift, drill, failover.

use crate::cli::args::CiHost;

const GITHUB: [(&str, &str); 3] = [
    (".github/workflows/lifeboat.yml", include_str!("github/lifeboat.yml")),
    (".github/workflows/lifeboat-drill.yml", include_str!("github/lifeboat-drill.yml")),
    (".github/workflows/lifeboat-failover.yml", include_str!("github/lifeboat-failover.yml")),
];
const GITLAB: [(&str, &str); 1] = [(".gitlab-ci.yml", include_str!("gitlab/gitlab-ci.yml"))];

/// Scripts that stand on a line of their own, as deep as that line.
const SCRIPTS: [(&str, &str); 2] =
    [("@@install@@", include_str!("install.sh")), ("@@switch@@", include_str!("switch.sh"))];

/// Actions of other people, pinned by a digest that independent public workflows show for that version.
const CHECKOUT: &str = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2";
const AWS: &str =
    "aws-actions/configure-aws-credentials@8df5847569e6427dd6c4fb1cf565c83acfa8afa7 # v6.0.0";

const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files with their texts.
pub(super) fn pipelines(ci: CiHost) -> Vec<(&'static str, String)> {
    let all = match ci {
        CiHost::Github => &GITHUB[..],
        CiHost::Gitlab => &GITLAB,
        CiHost::None => &[],
    };
    all.iter().map(|(name, text)| (*name, filled(text))).collect()
}

/// The action that comes with this version.
fn own_action() -> String {
    let of = SOURCE.splitn(4, '/').last().unwrap_or_default();
    format!("{of}@v{VERSION} # by tag: what it installs is compared with its checksum")
}

fn filled(template: &str) -> String {
    let action = own_action();
    let words = [
        ("@@action@@", action.as_str()),
        ("@@checkout@@", CHECKOUT),
        ("@@aws@@", AWS),
        ("@@source@@", SOURCE),
        ("@@version@@", VERSION),
    ];
    let mut text = String::new();
    for line in template.lines() {
        let script = SCRIPTS.iter().find(|(name, _)| line.trim() == *name);
        let Some((name, script)) = script else {
            let whole = |line: String, (name, word): &(&str, &str)| line.replace(name, word);
            text.push_str(&words.iter().fold(line.to_owned(), whole));
            text.push('\n');
            continue;
        };
        let indent = line.trim_end().strip_suffix(name).unwrap_or_default();
        for line in script.lines() {
            text.push_str(indent);
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{CiHost, filled, own_action, pipelines};

    #[test]
    fn filled_sets_scripts_in_as_deep_as_their_line() {
        let text = filled("a: |\n    @@switch@@\nb: '@@version@@'\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a: |");
        assert!(lines[1].starts_with("    # Shows a failover"), "{text}");
        assert!(lines[2..lines.len() - 1].iter().all(|it| it.starts_with("    ")), "{text}");
        assert_eq!(lines[lines.len() - 1], format!("b: '{}'", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn pipelines_leave_nothing_to_fill_in() {
        for (ci, files) in [(CiHost::Github, 3), (CiHost::Gitlab, 1), (CiHost::None, 0)] {
            let all = pipelines(ci);
            assert_eq!(all.len(), files, "{ci:?}");
            assert!(all.iter().all(|(_, text)| !text.contains("@@")), "{all:?}");
        }
    }

    #[test]
    fn own_action_is_the_repository_of_cargo_toml() {
        let name = own_action();
        let of = name.split_once('@').unwrap().0;
        assert!(env!("CARGO_PKG_REPOSITORY").ends_with(&format!("/{of}")), "{name}");
        assert_eq!(of.matches('/').count(), 1, "an owner and a name: {name}");
    }
}
