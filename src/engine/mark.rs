//! Owner marks: the tag by which lifeboat knows its own objects again.

use sha2::{Digest, Sha256};

use crate::engine::address::Address;

/// `lb:<stack, at most 20>:<12 base32 characters of SHA-256(lineage, address)>`, lower case.
pub fn mark(stack: &str, lineage: &str, address: &Address) -> String {
    let stack: String = stack.chars().take(20).collect();
    format!("lb:{stack}:{}", short(&format!("{lineage} {address}"), 12)).to_lowercase()
}

/// The first characters of the base32 SHA-256 of a text, lower case.
pub fn short(text: &str, characters: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    data_encoding::BASE32_NOPAD.encode(&digest).to_lowercase().chars().take(characters).collect()
}

/// Whether a tag is an owner mark, whoever made it.
pub fn is_mark(tag: &str) -> bool {
    tag.strip_prefix("lb:").is_some_and(|it| it.contains(':'))
}
