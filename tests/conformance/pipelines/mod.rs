//! The pipelines that `init` writes, run block by block as hosted runners run them: clones of one repository, one store, one code host.

mod site;
mod machine;
mod expressions;
mod github;
mod gitlab;
mod days;
mod orders;
mod kills;
mod merge_requests;
mod install;
mod checks;

use github::Event;
use machine::Machine;
use site::{Proposal, Site};

/// Where two pull requests change the stack, far enough from each other for git.
const AT_HOME: &str = "  # Home\n";
const AT_STANDBY: &str = "  # Warm standby\n";

/// One resource more, behind a line of the stack.
fn balancer(behind: &str, name: &str) -> String {
    format!("{behind}  {name}: {{ kind: linode.nodebalancer, region: eu-central }}\n")
}

/// Planned in a pull request; the event that did it.
#[track_caller]
fn planned(machine: &Machine<'_>, proposal: &Proposal) -> Event {
    let event = Event::pull(proposal, machine.site.trial(proposal));
    github::run_one(machine, &event).ends_with(0).says("stored for review as sha256:");
    event
}

/// What is applied is what main says.
#[track_caller]
fn is_settled(site: &Site) {
    site.lifeboat(&["plan", "first", "--detailed-exitcode"]).ends_with(0).says("No changes.");
}
