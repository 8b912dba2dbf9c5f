//! Scripts against the whole of it: requests at world times in, answers as text out.

mod client;
mod lifecycle;
mod links;
mod side;
mod rules;
mod billing;
mod joining;
mod leaving;
mod groups;
mod items;
mod wire;
mod rows;
mod sequences;
