//! What is checked once every instance is resolved as far as it can be: rules of kinds, and what does not go together across resources.

pub mod attribute_reads;
pub mod sample_values;
pub mod shut_ports;
pub mod kind_rules;
pub mod implied;
pub mod offers;
pub mod conflicts;
pub mod dry_run;
pub mod undo_secrets;
