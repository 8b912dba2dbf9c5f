//! Owner marks: the tag by which lifeboat knows its own objects again.

use sha2::{Digest, Sha256};

use crate::engine::address::Address;

/// 60 bits: a collision becomes likely with a thousand million tags in one account. A tag of Linode has at most 50 characters,
/// and with this the longest has 36.
const CODE_CHARACTERS: usize = 12;

/// `lb:<stack, at most 20>:<12 base32 characters of SHA-256(lineage, address)>`, lower case.
pub fn ownership_tag(stack: &str, lineage: &str, address: &Address) -> String {
    let stack: String = stack.chars().take(20).collect();
    format!("lb:{stack}:{}", short(&format!("{lineage} {address}"), CODE_CHARACTERS)).to_lowercase()
}

/// Whether an owner mark names this stack; which lineage and address it is of does not show.
pub fn is_of(tag: &str, stack: &str) -> bool {
    let stack: String = stack.chars().take(20).collect();
    is_ownership_tag(tag)
        && tag
            .strip_prefix("lb:")
            .and_then(|it| it.rsplit_once(':'))
            .is_some_and(|(it, _)| it == stack.to_lowercase())
}

/// The first characters of the base32 SHA-256 of a text, lower case.
pub fn short(text: &str, characters: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    data_encoding::BASE32_NOPAD.encode(&digest).to_lowercase().chars().take(characters).collect()
}

/// Whether a tag has the shape of an owner mark, whoever made it; anything else is the user's own.
pub fn is_ownership_tag(tag: &str) -> bool {
    let Some((stack, code)) = tag.strip_prefix("lb:").and_then(|it| it.rsplit_once(':')) else {
        return false;
    };
    !stack.is_empty()
        && code.len() == CODE_CHARACTERS
        && code.bytes().all(|it| it.is_ascii_lowercase() || (b'2'..=b'7').contains(&it))
}

#[cfg(test)]
mod tests {
    use super::{is_of, is_ownership_tag, ownership_tag};
    use crate::engine::address::Address;

    #[test]
    fn is_ownership_tag_accepts_only_the_exact_shape() {
        let made = ownership_tag("woocommerce", "lineage", &Address::index("web", 0));
        assert!(is_ownership_tag(&made), "{made}");
        for other in ["lb:", "lb:x:short", "lb:front:internal", "shop", "lb:x:ABCDEFGH2345"] {
            assert!(!is_ownership_tag(other), "{other}");
        }
    }

    #[test]
    fn ownership_tag_differs_by_stack_lineage_and_address() {
        let web = Address::one("web");
        let one = ownership_tag("shop", "a", &web);
        assert_ne!(one, ownership_tag("shop", "b", &web));
        assert_ne!(one, ownership_tag("shop", "a", &Address::one("lb")));
        assert!(is_of(&one, "shop") && !is_of(&one, "shop2") && !is_of("lb:shop:x", "shop"));
        let long = ownership_tag("a-very-long-name-of-a-stack", "a", &web);
        assert!(long.len() <= 50, "Linode's tags have at most 50 characters: {long}");
    }
}
