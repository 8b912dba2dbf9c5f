//! Drives the real binary against the sandbox: one file per subject, one home per test.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod harness;
mod advised_commands;
mod tidy;
mod compatibility;
mod schema;
mod main_job;
mod readme;
mod mistakes;
mod terminal;
mod unreachable;
mod completion;
mod sandbox_lose;
mod recovery_reports;
mod guards;
mod kinds;
mod notify;
mod offers;
mod drift;
mod converge;
mod drill;
mod drill_preview;
mod killed_switch_reports;
mod audit;
mod lease;
mod watch;
mod user_routes;
mod two_sites;
mod switch;
mod active_active;
mod region_losses;
mod remembered_variables;
mod quorum;
mod tasks;
mod task_cuts;
mod task_undos;
mod run_documents;
mod where_to;
mod live;
mod gates;
mod deferred;
mod kill_points;
mod phases;
mod policies;
mod crash;
mod random_lives;
mod matrix;
mod concurrent_switches;
mod redirected_switches;
mod step_order;
mod edited_plans;
mod reviewed_plans;
mod ci_server;
mod ci_jobs;
mod ci_plan;
mod ci_apply;
mod ci_drift;
mod pipelines;
mod encrypted_states;
mod break_glass;
mod rebuilds;
mod sandbox_serve;
mod secrets;
mod heartbeats;
mod hostile_input;
mod json_documents;
mod state_files;
mod state_surgery;
mod state_mirror;
mod state_stores;
mod token_grants;
mod foreign_records;
mod outdated_state;
mod logs;
mod retired_words;
mod stray_targets;
mod balancer_firewalls;

/// A test file that nobody lists would pass for ever.
#[test]
fn test_files_are_all_listed_in_main() {
    let here = harness::repository().join("tests/it");
    let listed = std::fs::read_to_string(here.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|it| *it != "main") {
            let line = format!("mod {module};\n");
            assert!(listed.contains(&line), "tests/it/{name} is not listed in tests/it/main.rs");
        }
    }
}
