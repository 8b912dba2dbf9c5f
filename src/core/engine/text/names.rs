//! Names of what has no name of its own, as people read them: a list of overlays, and a stack in one of its workspaces.

use std::fmt;

/// Overlays in their order: `eu + large`, and `base` where there are none.
#[derive(Debug, Clone, Copy)]
pub struct OverlayNames<'a>(pub &'a [String]);

impl fmt::Display for OverlayNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("base"),
            names => f.write_str(&names.join(" + ")),
        }
    }
}

/// As commands name it: `shop`, or `shop@drill`.
#[derive(Debug, Clone, Copy)]
pub struct StackName<'a> {
    pub stack: &'a str,
    pub workspace: Option<&'a str>,
}

impl fmt::Display for StackName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stack)?;
        self.workspace.map_or(Ok(()), |it| write!(f, "@{it}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{OverlayNames, StackName};

    #[test]
    fn overlay_names_of_no_overlay_are_base() {
        assert_eq!(OverlayNames(&[]).to_string(), "base");
        assert_eq!(OverlayNames(&["eu".into(), "large".into()]).to_string(), "eu + large");
    }

    #[test]
    fn stack_name_has_its_workspace_behind_an_at_sign() {
        let name = |workspace| StackName { stack: "shop", workspace }.to_string();
        assert_eq!((name(None).as_str(), name(Some("drill")).as_str()), ("shop", "shop@drill"));
    }
}
