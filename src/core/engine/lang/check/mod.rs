//! Single values against what their kind says, and conditions against what can be probed.

pub mod text_form;
pub mod attribute;
pub mod probe_address;
pub mod gate;
pub mod task_work;
