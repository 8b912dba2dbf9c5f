//! Operations over a cloud in memory: each law that is upheld here fails here, in milliseconds, when its line is broken.

mod memory;
mod stage;
mod calls;
mod lease;
mod journal;
mod crash;
mod unseen;
mod runs;
mod tasks;
mod surgery;
