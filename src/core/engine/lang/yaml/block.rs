//! Puts one top-level block into the text of a stack file, takes it out, or replaces it; every other byte stays.

/// Why a text cannot be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("it is not written as one key to a line")]
    NotLines,
    #[error("it has the key twice")]
    Twice,
}

/// The text with this block in place of what the key says, or behind the line of another key. `None` takes the key out.
///
/// A block ends before the next line that begins at the margin with something else than a comment; comments and empty lines at
/// its end belong to what follows.
pub fn with_block(
    text: &str,
    key: &str,
    block: Option<&str>,
    behind: &str,
) -> Result<String, BlockError> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut starts = (0..lines.len()).filter(|it| is_key(lines[*it], key));
    let (start, second) = (starts.next(), starts.next());
    if second.is_some() {
        return Err(BlockError::Twice);
    }
    let (from, to) = if let Some(start) = start {
        (start, end_of(&lines, start))
    } else {
        let mut others = (0..lines.len()).filter(|it| is_key(lines[*it], behind));
        let at = others.next().ok_or(BlockError::NotLines)?;
        let end = end_of(&lines, at);
        (end, end)
    };
    let mut edited = lines[..from].concat();
    if let Some(block) = block {
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push('\n');
        }
        edited.push_str(block);
        if !block.ends_with('\n') {
            edited.push('\n');
        }
    }
    edited.push_str(&lines[to..].concat());
    Ok(edited)
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key)
        .and_then(|it| it.trim_start().strip_prefix(':'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// Behind the last line of the block that begins here.
fn end_of(lines: &[&str], start: usize) -> usize {
    let mut end = start + 1;
    for (at, line) in lines.iter().enumerate().skip(start + 1) {
        let is_blank = line.trim().is_empty() || line.starts_with('#');
        if !is_blank && !line.starts_with([' ', '\t']) {
            break;
        }
        if !is_blank {
            end = at + 1;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::{BlockError, with_block};

    const STACK: &str = "\
# The shop.
stack: shop
description: >
  Sells
  things.

# What there is.
resources:
  zone: { kind: linode.domain }
";
    const BLOCK: &str = "state:\n  s3: { bucket: b }\n";

    #[test]
    fn with_block_puts_in_replaces_and_takes_out() {
        let there = with_block(STACK, "state", Some(BLOCK), "stack").unwrap();
        insta::assert_snapshot!(there, @r"
        # The shop.
        stack: shop
        state:
          s3: { bucket: b }
        description: >
          Sells
          things.

        # What there is.
        resources:
          zone: { kind: linode.domain }
        ");
        let other = with_block(&there, "state", Some("state:\n  s3:\n    bucket: c"), "stack");
        assert_eq!(
            other.as_deref(),
            Ok(&*there.replace("s3: { bucket: b }", "s3:\n    bucket: c"))
        );
        assert_eq!(with_block(&other.unwrap(), "state", None, "stack").as_deref(), Ok(STACK));
        let behind = with_block(STACK, "state", Some(BLOCK), "description").unwrap();
        assert!(behind.contains("  things.\nstate:\n  s3: { bucket: b }\n\n# What"), "{behind}");
    }

    #[test]
    fn with_block_knows_what_it_cannot_edit() {
        let flow = with_block("{ stack: shop }", "state", Some(BLOCK), "stack");
        assert_eq!(flow, Err(BlockError::NotLines));
        let twice = format!("stack: shop\n{BLOCK}{BLOCK}");
        assert_eq!(with_block(&twice, "state", None, "stack"), Err(BlockError::Twice));
        assert_eq!(
            with_block("stack: x", "state", Some("state: 1"), "stack").unwrap(),
            "stack: x\nstate: 1\n"
        );
        let longer = with_block("stack: x\nstateful: 1\n", "state", None, "stack");
        assert_eq!(longer.unwrap(), "stack: x\nstateful: 1\n");
    }
}
