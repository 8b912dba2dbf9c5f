//! The form of what is encrypted: one line that says with which key and as what, a nonce, and what only that key opens.
//!
//! ```text
//! lifeboat-sealed 1 KEY_ID VARIABLE NAME
//! 24 bytes of nonce, then the text encrypted with XChaCha20-Poly1305, then 16 bytes of tag
//! ```
//!
//! The whole first line is authenticated: what is put in the place of something else, or named otherwise, does not open.

use chacha20poly1305::aead::{Aead as _, Generate as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::engine::state::codec::CodecError;
use crate::store::seal_error::NamedKey;
use crate::store::sealed::secret_key::{KeyRing, SecretKey};

const MAGIC: &str = "lifeboat-sealed";

/// The newest version that is read.
pub const SEAL_VERSION: u32 = 1;

/// In bytes: long enough to be drawn by chance for as many objects as one likes.
const NONCE_BYTES: usize = 24;

/// The longest first line, in bytes. Names of keys in a store have some hundred at most.
const HEADER_MAX: usize = 4096;

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealHeader {
    pub key: NamedKey,
    /// As what it was encrypted: `shop/head`, `plan of shop`.
    pub name: String,
    /// Where what follows the line begins.
    at: usize,
}

/// Why something does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// It is not what was sealed.
    Damaged(CodecError),
    /// It is sealed with a key that is not here.
    WrongKey(NamedKey),
}

/// Whether bytes say of themselves that they are encrypted.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.strip_prefix(MAGIC.as_bytes()).is_some_and(|it| it.starts_with(b" "))
}

/// The first line.
pub fn header(bytes: &[u8]) -> Result<SealHeader, CodecError> {
    if !is_sealed(bytes) {
        return Err(CodecError::Unsealed);
    }
    let end = bytes.iter().take(HEADER_MAX).position(|it| *it == b'\n').ok_or(CodecError::Torn)?;
    let wrong = |why: &str| CodecError::Damaged { line: 1, why: why.into() };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong("it is not text"))?;
    let mut words = line.splitn(5, ' ').skip(1);
    let version = words.next().and_then(|it| it.parse().ok());
    match version {
        Some(SEAL_VERSION) => {}
        Some(newer) => return Err(CodecError::NewerSeal(newer)),
        None => return Err(wrong("it has no version")),
    }
    let (Some(id), Some(variable), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(wrong("it does not say with which key, and as what"));
    };
    let key = NamedKey { id: id.into(), variable: variable.into() };
    Ok(SealHeader { key, name: name.into(), at: end + 1 })
}

/// The bytes in a form that only this key opens, under this name.
pub fn seal(key: &SecretKey, name: &str, bytes: &[u8]) -> Vec<u8> {
    let NamedKey { variable, id } = key.name();
    let line = format!("{MAGIC} {SEAL_VERSION} {id} {variable} {name}\n");
    let nonce = XNonce::generate();
    let payload = Payload { msg: bytes, aad: line.as_bytes() };
    let sealed = cipher(key).encrypt(&nonce, payload);
    // It fails for more than 256 GiB alone, which no memory holds twice.
    let sealed = sealed.expect("it is not too long");
    [line.as_bytes(), nonce.as_slice(), &sealed].concat()
}

/// What was sealed under this name.
pub fn open(keys: &KeyRing, name: &str, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    let header = header(bytes).map_err(OpenError::Damaged)?;
    let Some(key) = keys.with_id(&header.key.id) else {
        return Err(OpenError::WrongKey(header.key));
    };
    let altered = || OpenError::Damaged(CodecError::Altered { key: key.id().into() });
    let (line, rest) = bytes.split_at(header.at);
    let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or_else(altered)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| altered())?;
    let opened =
        cipher(key).decrypt(&nonce, Payload { msg: sealed, aad: line }).map_err(|_| altered())?;
    // Only now is it known that the name is the one that was given.
    if header.name != name {
        return Err(OpenError::Damaged(CodecError::Misplaced { name: header.name }));
    }
    Ok(opened)
}

fn cipher(key: &SecretKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key.bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{OpenError, header, open, seal};
    use crate::engine::state::codec::CodecError;
    use crate::store::sealed::secret_key::{KeyRing, SecretKey};

    fn key(variable: &str, first: u8) -> SecretKey {
        let bytes: Vec<u8> = (0..32).map(|it| it ^ first).collect();
        SecretKey::parse(variable, &data_encoding::HEXLOWER.encode(&bytes)).unwrap()
    }

    fn ring() -> KeyRing {
        KeyRing::new(key("NEW", 1), vec![key("OLD", 2)])
    }

    #[test]
    fn seal_shows_its_key_and_its_name_and_no_text() {
        let sealed = seal(&key("SHOP_KEY", 1), "shop/head", b"plain text");
        let shown = String::from_utf8_lossy(&sealed);
        let (line, rest) = shown.split_once('\n').unwrap();
        insta::assert_snapshot!(line, @"lifeboat-sealed 1 53b4a564d385ed54 SHOP_KEY shop/head");
        assert!(!rest.contains("plain"));
        assert_ne!(
            sealed,
            seal(&key("SHOP_KEY", 1), "shop/head", b"plain text"),
            "a nonce of its own"
        );
    }

    #[test]
    fn open_says_what_is_wrong_and_with_which_key() {
        let ring = ring();
        let good = seal(&key("OLD", 2), "shop/head", b"text");
        assert_eq!(open(&ring, "shop/head", &good).unwrap(), b"text");
        let stranger = key("THEIRS", 3);
        let foreign = seal(&stranger, "shop/head", b"text");
        assert_eq!(
            open(&ring, "shop/head", &foreign),
            Err(OpenError::WrongKey(stranger.name().clone()))
        );
        let altered =
            || Err(OpenError::Damaged(CodecError::Altered { key: key("", 2).id().into() }));
        // The line says another name, or it is in another place.
        let renamed = [
            &b"lifeboat-sealed 1 "[..],
            header(&good).unwrap().key.id.as_bytes(),
            b" OLD shop/other\n",
            &good[header(&good).unwrap().at..],
        ]
        .concat();
        assert_eq!(open(&ring, "shop/other", &renamed), altered());
        assert_eq!(
            open(&ring, "shop/other", &good),
            Err(OpenError::Damaged(CodecError::Misplaced { name: "shop/head".into() }))
        );
        assert_eq!(open(&ring, "shop/head", b"{}"), Err(OpenError::Damaged(CodecError::Unsealed)));
        let newer = [b"lifeboat-sealed 2 ", &good[18..]].concat();
        let OpenError::Damaged(why) = open(&ring, "shop/head", &newer).unwrap_err() else {
            panic!()
        };
        insta::assert_snapshot!(why.to_string(), @"it is encrypted in version 2 of the form, but this version of lifeboat reads version 1");
        for cut in 0..good.len() {
            open(&ring, "shop/head", &good[..cut]).unwrap_err();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn open_gives_back_what_was_sealed_and_refuses_every_flipped_bit(
            text in proptest::collection::vec(any::<u8>(), 0..200),
            name in "[a-z@/.0-9-]{1,40}",
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let ring = ring();
            let mut sealed = seal(ring.current(), &name, &text);
            prop_assert_eq!(open(&ring, &name, &sealed), Ok(text));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&ring, &name, &sealed).is_err());
        }
    }
}
