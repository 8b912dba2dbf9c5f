//! From the merged tree to declared resources, their instances, and what each of them needs.

pub mod instances;
pub mod dependencies;
pub mod references;
pub mod resources;
pub mod recovery_keys;
pub mod allow;
pub mod tasks;
pub mod task_links;
pub mod notify;
pub mod policies;
pub mod policy_file;
