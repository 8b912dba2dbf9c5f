//! What may be wrong with what is asked of the sandbox, in words for people.

use crate::engine::lang::check::gate::parse_duration;
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::ops::error::OpsError;
use crate::sandbox::SandboxError;

pub(super) fn wrong(why: SandboxError) -> OpsError {
    let help = |near: &Option<String>, otherwise: &str| match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    };
    match &why {
        SandboxError::UnknownFaultDomain { name, near } => OpsError::input(
            format!("unknown fault domain `{name}`; nothing was changed"),
            help(near, "write `linode:REGION`, `linode:global` or `aws:REGION`"),
        ),
        SandboxError::NoSuchObject { fault_domain, name, near } => OpsError::input(
            format!("{fault_domain} has no resource named `{name}`; nothing was changed"),
            help(near, &format!("run {} to list its resources", Typed::SandboxShow)),
        ),
        _ => OpsError::Sandbox(why.to_string()),
    }
}

pub(super) fn seconds(duration: &str) -> Result<u64, OpsError> {
    parse_duration(duration).ok_or_else(|| {
        let what = format!("`{duration}` is not a valid duration");
        OpsError::usage(what, "write 90s, 5m, 24h or 7d")
    })
}
