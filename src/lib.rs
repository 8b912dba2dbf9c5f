//! The map of the house: layers from the top, the way of the data, and the laws.
//!
//! Lifeboat is a declarative plan/apply engine for disaster recovery. People describe the desired world in YAML layers;
//! lifeboat compares it with what state records and with what the clouds say, shows a plan, and runs it in the order of
//! its dependency graph.
//!
//! # The rooms
//!
//! **engine** decides, **kinds** describe, **render** shows, **cloud** acts, **store** remembers, **sandbox** pretends,
//! **ops** joins, **cli** speaks.
//!
//! | room | may use | knows nothing of |
//! |---|---|---|
//! | [`engine`] | itself | files, clocks, environment, randomness, network, async, terminals |
//! | [`kinds`] | `engine` | the same; its `kind.yaml` files are data |
//! | [`render`] | `engine` | the same |
//! | [`cloud`] | `engine` | state, stacks; it decides nothing |
//! | [`store`] | `engine` | clouds |
//! | [`sandbox`] | itself only | `kinds` and `engine`, so that it can catch their mistakes |
//! | [`ops`] | all above | words and terminals |
//! | [`cli`] | all above | |
//!
//! **A module uses only modules declared above its own in their common parent.** The order of the `mod` lines is the
//! order of the layers and the order of reading; `tests/it/tidy.rs` enforces it.
//!
//! # The way of the data
//!
//! ```text
//!  stacks/**.yaml ─▶ Node (spans) ─overlays─▶ Node ─lower(Catalog)─▶ Stack ─▶ Graph ┐
//!                                                kinds/**/kind.yaml ─▶ Catalog ─────┤
//!  store: snapshot + journal ─▶ replay ─▶ State ────────────────────────────────────┼─ propose ─▶ Plan ─▶ text │ json │ markdown │ html
//!  cloud: list/read ─▶ Observation ─────────────────────────────────────────────────┘               │
//!  ══════════════ pure above ════════════════════════════════════════════════════════════════════════│═════════ acts below
//!              ┌──────────────── startable steps ◀─── Schedule ◀── bindings still hold? ◀── Lease ◀──┘
//!              ▼                                        ▲
//!    journal: began ─▶ cloud call ─▶ journal: ended ─▶ fold ─▶ … until over ─▶ snapshot, serial + 1
//! ```
//!
//! - [`engine::lang::load`] reads layers, [`engine::graph`] orders them, [`engine::plan::draft::refresh`] says what has to be looked at.
//! - [`engine::plan::diff::attributes`] is where it is decided *which* attributes differ; `on_change` and `on_shrink` of the kind say what that means;
//!   [`engine::plan::planner`] turns it into one action for each address. "Where is it decided that another region means
//!   replace?" — in `src/core/kinds/linode/instance/kind.yaml`, at `region`.
//! - [`engine::plan::steps::order`] lowers actions to steps and says what each waits for; [`engine::plan::guard::rules`] refuses.
//! - [`engine::schedule`] says which steps may start now. [`ops::apply::run`] starts them, [`ops::apply::execute_step`] carries one out,
//!   [`engine::retry`] decides what a fault means.
//! - [`engine::fault_domain`] says what is lost together. A plan under loss freezes it ([`engine::plan::availability::frozen`]); what would be done to it,
//!   what a switch does not carry ([`engine::plan::draft::switch_scope`]), what would have to reach something unseen (`engine::plan::build::defer_unreachable`), and what that
//!   still needs (`engine::plan::steps::retain_dependencies`), is held. Where users are directed decides what waits for what
//!   (`engine::plan::traffic::shifts`, over the closures of [`engine::plan::draft::topology`]); gates are steps like any other ([`ops::apply::gates`]).
//! - [`ops::load::switch_target`] says where a command goes: from which overlays to which, under which losses. Where switches were turned before they
//!   ended, the world is between several overlays, and all of them are left. A drill is three such runs in an
//!   instance of its own ([`ops::drill`], [`ops::load::workspace`]); the second and the third are planned on paper before the first
//!   ([`engine::plan::simulate`]).
//! - [`ops::apply::timing`] measures every step on the world's clock, [`engine::recovery::report`] tells the phases of a switch from that and
//!   compares them with the objectives; what was cut off it reads from the journal
//!   ([`engine::recovery::report::journaled`]). [`engine::recovery::predict`] carries the next one out on paper.
//! - Destroy is the same with an empty stack; a saved plan is the same with its steps read from a file. There is no second path.
//!
//! # The laws
//!
//! 1. Unseen is not absent: what could not be looked at is never deleted, forgotten or made again ([`engine::observed`]).
//! 2. A plan is a script: `apply PLANFILE` runs its steps and nothing else, if its bindings hold ([`ops::plan::bindings::broken_bindings`]).
//! 3. Intent before call: "began" is durable before a request leaves, and settled after a crash ([`ops::plan::recover`]).
//! 4. One writer: nothing is written without a [`store::lease::Lease`], and no call leaves but on its [`store::keep_alive::LeaseGuard`]; epochs only
//!    grow ([`store::lock_record`]). A switch stops what is no switch, waits for its like, and turns one that goes elsewhere ([`store::preempt`]).
//! 5. A reader never sees a torn or empty state ([`store::file`]).
//! 6. The second run is empty: what the server rewrites is normalized before it is compared ([`engine::normalize`]).
//! 7. Never empty a serving set ([`engine::plan::steps::order`], [`engine::plan::guard::rules`]).
//! 8. No destroy that was not shown, and no data by accident ([`engine::plan::guard::rules`]).
//! 9. No secret leaves: [`engine::value::Secret`] has no Display and no JSON; plans and state keep fingerprints.
//! 10. Everything has a limit and a reason ([`engine::retry`], the waits of each `kind.yaml`).
//!
//! # A new kind
//!
//! is a folder under `src/core/kinds/` with `kind.yaml`, `example.yaml` and `life.yaml`. The build script finds it; checking,
//! diffing, guarding, the REST driver, `lifeboat kinds`, the JSON Schema and the life test in `tests/it/kinds.rs` read it. A
//! kind of Linode needs no Rust but the sandbox's own view of it in `src/sandbox/linode/`.

pub use lifeboat_core::{engine, kinds, render};
pub mod cloud;
pub mod store;
pub use lifeboat_sandbox as sandbox;
pub mod ops;
pub mod cli;
