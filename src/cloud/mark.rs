//! Owner marks on the wire: `lb:<stack>:<12 base32>` as one more tag, and never part of what is observed.

/// The tag key that carries the mark where tags are a map.
pub(crate) const KEY: &str = "lifeboat";

/// Whether a tag is an owner mark, whoever's it is.
pub(crate) fn is_mark(tag: &str) -> bool {
    let Some((stack, code)) = tag.strip_prefix("lb:").and_then(|it| it.rsplit_once(':')) else {
        return false;
    };
    !stack.is_empty()
        && code.len() == 12
        && code.bytes().all(|it| it.is_ascii_lowercase() || (b'2'..=b'7').contains(&it))
}

#[cfg(test)]
mod tests {
    use super::is_mark;

    #[test]
    fn only_the_shape_of_a_mark_is_one() {
        assert!(is_mark("lb:woocommerce@drill:abcdefgh2345"));
        for other in ["lb:", "lb:x:short", "shop", "lb:front", "lb:x:ABCDEFGH2345"] {
            assert!(!is_mark(other), "{other}");
        }
    }
}
