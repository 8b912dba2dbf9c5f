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
//! | room | crate | may use | knows nothing of |
//! |---|---|---|---|
//! | [`engine`] | `lifeboat-core` (`src/core/`) | itself | files, clocks, environment, network, async, terminals |
//! | [`kinds`] | `lifeboat-core` | `engine` | the same; its `kind.yaml` files are data |
//! | [`render`] | `lifeboat-core` | `engine` | the same |
//! | [`cloud`] | `lifeboat` (`src/`) | `engine` | state, stacks; it decides nothing |
//! | [`code_host`] | `lifeboat` | `engine`, `render`; of `cloud` how one connects and tries again | stacks, states, plans |
//! | [`store`] | `lifeboat` | `engine`; of `cloud` how one connects and tries again | what the clouds hold |
//! | [`sandbox`] | `lifeboat-sandbox` (`src/sandbox/`) | itself only | `kinds` and `engine`, so that it can catch their mistakes |
//! | [`ops`] | `lifeboat` | all above | words and terminals |
//! | [`cli`] | `lifeboat` | all above | |
//!
//! The borders of the crates keep the core pure and the sandbox independent: neither has the other, a cloud, or an async runtime
//! (the core) among its dependencies, and `src/core/.clippy.toml` refuses files, clocks and processes.
//!
//! **A module uses only modules declared above its own in their common parent.** The order of the `mod` lines is the
//! order of the layers and the order of reading; `tests/it/tidy.rs` enforces it.
//!
//! # The way of the data
//!
//! ```text
//!  stacks/**.yaml ─▶ Node (spans) ─overlays─▶ Node ─lower(Catalog)─▶ Stack ─▶ Graph ┐
//!                                                kinds/**/kind.yaml ─▶ Catalog ─────┤
//!  store: snapshot + journal ─▶ replay ─▶ State ────────────────────────────────────┼─ plan ─▶ Plan ─▶ text │ json │ markdown │ html
//!  cloud: list/read ─▶ Observation ─────────────────────────────────────────────────┘            │
//!  ══════════════ pure above ═════════════════════════════════════════════════════════════════════│════════════ acts below
//!              ┌──────────────── startable steps ◀─── Schedule ◀── bindings still hold? ◀── Lease ◀┘
//!              ▼                                        ▲
//!    journal: began ─▶ cloud call ─▶ journal: ended ─▶ fold ─▶ … until complete ─▶ snapshot, serial + 1
//! ```
//!
//! - **Layers to a stack** ([`engine::lang`]): `yaml` reads nodes with spans, `merge` lays overlays over them, `lower` makes
//!   resources and instances of them, `cel` evaluates expressions, `check` and `validate` find mistakes, all in one run of
//!   [`engine::lang::load`]. [`engine::graph`] orders the instances.
//! - **A stack to a plan** ([`engine::plan`]): [`engine::plan::draft::refresh`] says what has to be read.
//!   [`engine::plan::diff::attributes`] is where it is decided *which* attributes differ; `on_change` and `on_shrink` of the kind
//!   say what that means; [`engine::plan::build`] makes one change for each address, and says what is deferred or orphaned.
//!   "Where is it decided that another region means replace?" — in `src/core/kinds/linode/instance/kind.yaml`, at `region`.
//! - **Losses** ([`engine::plan::availability`]): [`engine::fault_domain`] says what fails together; a plan under loss freezes it.
//!   [`engine::plan::draft::switch_scope`] says what a switch does not carry.
//! - **Users** ([`engine::plan::traffic`], over the serving closures of [`engine::plan::draft::topology`]): which changes shift
//!   traffic, what has to serve before, what must stay until users have left. Gates are steps like any other ([`ops::apply::gates`]).
//! - **Changes to steps** ([`engine::plan::steps`]): the calls of each change, what every call waits for, and a check of the whole
//!   ([`engine::plan::steps::verify`]) that is independent of what ordered it. [`engine::plan::guard`] refuses,
//!   [`engine::plan::checks`] holds the plan against what could not be read and what the clouds would refuse.
//! - **Steps to calls** ([`ops::apply`]): [`engine::schedule`] says which steps may start now, [`ops::apply::run`] starts them,
//!   [`ops::apply::execute_step`] carries one out, [`engine::retry`] decides what an error means.
//! - **Tasks** ([`engine::task`]): what a switch does that is no resource. [`engine::plan::build::tasks`] says which run,
//!   [`engine::plan::steps::tasks`] puts them among the steps, [`ops::apply::task_steps`] carries them out, and
//!   [`ops::tasks::supervise`] is the process that ends their programs, also when lifeboat is killed.
//! - **Switches** ([`ops::load::switch_target`]): from which overlays to which, under which losses. A drill is three runs in a workspace
//!   of its own ([`ops::drill`], [`ops::load::workspace`]); the second and the third are simulated before the first begins
//!   ([`engine::plan::simulate`]).
//! - **Recoveries** ([`engine::recovery`]): `report` tells the phases of a switch from the times that [`ops::apply::timing`] measures,
//!   or, after a crash, from the journal; `predict` carries the next one out on paper; `audit` looks for what would stop it;
//!   `watch` decides when one is needed; `completion` decides when one is over.
//! - Destroy is the same with an empty stack; a saved plan is the same with its steps read from a file. There is no second path.
//!
//! # The laws
//!
//! 1. Unknown is not absent, and a "no" is not silence: what could not be read is never deleted, forgotten or created again
//!    ([`engine::observed`]).
//! 2. A plan is a script: `apply PLANFILE` runs its steps and nothing else, if its bindings hold ([`ops::plan::bindings::broken_bindings`]).
//! 3. Intent before call: "began" is durable before a request leaves; what was pending after a crash is recovered by reading
//!    ([`ops::plan::recover`]).
//! 4. One writer: nothing is written without a [`store::lease::Lease`], and no call leaves without a fresh heartbeat
//!    ([`store::keep_alive::LeaseGuard`]); epochs only grow ([`store::lock_record`]). A switch may preempt what is no switch
//!    ([`store::preempt`]). A store behind a network keeps a lease only after its conditional puts were raced
//!    ([`store::remote::probe`]).
//! 5. A reader never sees a torn, empty or outdated state ([`store::state_store`], [`store::known_serials`]). What is durable when is
//!    said once, at the seam between what is remembered and where ([`store::backend`]).
//! 6. What validates can be applied, and the second run is empty: what the server rewrites is normalized before it is compared
//!    ([`engine::normalize`]).
//! 7. Never empty a serving set ([`engine::plan::traffic::serving`], [`engine::plan::steps::order`]).
//! 8. No destroy that was not shown, and no data by accident ([`engine::plan::guard`]).
//! 9. No secret leaves: [`engine::value::Secret`] has no Display and no JSON; plans and state keep fingerprints; every text from
//!    outside passes one redactor ([`engine::text::redact`]) and one escaper for its medium.
//! 10. Everything has a limit and a reason ([`engine::retry`], the waits of each `kind.yaml`).
//! 11. Over means seen: a switch is complete when its changes were read where the layers want them
//!     ([`engine::recovery::completion`]).
//!
//! # A new kind
//!
//! is a folder under `src/core/kinds/` with `kind.yaml`, `example.yaml` and `life.yaml`. The build script finds it; checking,
//! diffing, guarding, the REST driver, `lifeboat kinds`, the JSON Schema and the life test in `tests/it/kinds.rs` read it. A
//! kind of Linode needs no Rust but the sandbox's own view of it in `src/sandbox/linode/`.

#![doc = include_str!("../docs/glossary.md")]

pub use lifeboat_core::{engine, kinds, render};
pub mod cloud;
pub mod code_host;
pub mod store;
pub use lifeboat_sandbox as sandbox;
pub mod ops;
pub mod cli;
