//! The keys of encrypted states: read from the environment, told by their ids, never shown.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::engine::text::redact::redactor;
use crate::store::seal_error::{NamedKey, SealError};
use crate::store::sealed::declared::StateEncryption;

/// The length of a key, in bytes: XChaCha20-Poly1305 has one.
pub const KEY_BYTES: usize = 32;

/// How much of a digest tells keys apart: eight bytes, so that two of a lifetime's keys do not meet by chance.
const ID_BYTES: usize = 8;

/// What is said before a key is hashed, so that its id is no digest that anything else may use.
const ID_PURPOSE: &[u8] = b"lifeboat key id\0";

/// A key, and the variable that holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    bytes: [u8; KEY_BYTES],
    name: NamedKey,
}

/// The key with which is written, and those with which may have been written before.
#[derive(Debug, Clone)]
pub struct KeyRing {
    /// The first is the one with which is written.
    keys: Vec<SecretKey>,
}

impl SecretKey {
    /// The key in a text, 64 hexadecimal digits or base64 of 32 bytes; `variable` is where it came from.
    pub fn parse(variable: &str, text: &str) -> Result<Self, SealError> {
        let wrong = |why| SealError::NoKey { variable: variable.into(), why };
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        // Whatever it is, it was meant to be secret.
        redactor().learn_text(text);
        let decoded = if text.len() == 2 * KEY_BYTES {
            data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes())
        } else {
            data_encoding::BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes())
        };
        let decoded = decoded
            .map_err(|_| wrong("it is neither 64 hexadecimal digits nor base64 of 32 bytes"))?;
        let bytes: [u8; KEY_BYTES] = decoded
            .try_into()
            .map_err(|_| wrong("it has another length than the 32 bytes of a key"))?;
        if bytes.iter().all(|it| *it == bytes[0]) {
            return Err(wrong("all of its bytes are the same"));
        }
        let digest = Sha256::new().chain_update(ID_PURPOSE).chain_update(bytes).finalize();
        let id = data_encoding::HEXLOWER.encode(&digest[..ID_BYTES]);
        Ok(Self { bytes, name: NamedKey { variable: variable.into(), id } })
    }

    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    pub fn name(&self) -> &NamedKey {
        &self.name
    }

    /// What the key is called.
    pub fn id(&self) -> &str {
        &self.name.id
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} in {})", self.name.id, self.name.variable)
    }
}

impl KeyRing {
    pub fn new(current: SecretKey, older: Vec<SecretKey>) -> Self {
        let mut keys = vec![current];
        keys.extend(older);
        Self { keys }
    }

    /// The keys that are declared, as the environment holds them; `place` is what they are for. Old keys that are not set are left
    /// out: they can go once nothing is encrypted with them any more.
    pub fn read(
        declared: &StateEncryption,
        place: &str,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SealError> {
        let variable = &declared.key_env;
        let text = read(variable)
            .filter(|it| !it.is_empty())
            .ok_or_else(|| SealError::NotSet { place: place.into(), variable: variable.clone() })?;
        let current = SecretKey::parse(variable, &text)?;
        let set = declared.old_key_env.iter().filter_map(|it| Some((it, read(it)?)));
        let older = set.filter(|(_, text)| !text.is_empty());
        let older = older.map(|(name, text)| SecretKey::parse(name, &text));
        Ok(Self::new(current, older.collect::<Result<_, _>>()?))
    }

    /// The one with which is written.
    pub fn current(&self) -> &SecretKey {
        &self.keys[0]
    }

    pub fn with_id(&self, id: &str) -> Option<&SecretKey> {
        self.keys.iter().find(|it| it.id() == id)
    }

    pub fn names(&self) -> Vec<NamedKey> {
        self.keys.iter().map(|it| it.name().clone()).collect()
    }
}

/// A variable of the environment, if it is text.
pub fn of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::{KeyRing, SecretKey};
    use crate::store::sealed::declared::StateEncryption;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn parse_reads_hex_and_base64_and_never_shows_a_key() {
        let key = SecretKey::parse("K", HEX).unwrap();
        for same in
            [&HEX.to_uppercase(), BASE64, BASE64.trim_end_matches('='), &format!(" {HEX}\n")]
        {
            assert_eq!(SecretKey::parse("K", same).unwrap(), key, "{same}");
        }
        assert_eq!(format!("{key:?}"), "SecretKey(706463130fc9e6e1 in K)");
        let mut said = Vec::new();
        for wrong in
            ["", " ", "secret", &HEX[2..], &format!("{HEX}00"), &"0".repeat(64), &BASE64[4..]]
        {
            let why = SecretKey::parse("K", wrong).unwrap_err();
            said.push(format!("{why}: {}", why.advice()));
        }
        said.dedup();
        insta::assert_snapshot!(said.join("\n"), @r#"
the variable K does not hold a key: it is empty: a key is 32 random bytes, as 64 hexadecimal digits or in base64; for a state that does not exist yet, make one and keep it: `export K="$(head -c 32 /dev/urandom | base64)"`
the variable K does not hold a key: it is neither 64 hexadecimal digits nor base64 of 32 bytes: a key is 32 random bytes, as 64 hexadecimal digits or in base64; for a state that does not exist yet, make one and keep it: `export K="$(head -c 32 /dev/urandom | base64)"`
the variable K does not hold a key: all of its bytes are the same: a key is 32 random bytes, as 64 hexadecimal digits or in base64; for a state that does not exist yet, make one and keep it: `export K="$(head -c 32 /dev/urandom | base64)"`
the variable K does not hold a key: it has another length than the 32 bytes of a key: a key is 32 random bytes, as 64 hexadecimal digits or in base64; for a state that does not exist yet, make one and keep it: `export K="$(head -c 32 /dev/urandom | base64)"`
"#);
    }

    #[test]
    fn read_needs_the_new_key_and_takes_old_ones_that_are_set() {
        let declared = StateEncryption {
            key_env: "NEW".into(),
            old_key_env: vec!["OLD".into(), "GONE".into()],
        };
        let other = "ff".to_owned() + &HEX[2..];
        let read = |name: &str| match name {
            "NEW" => Some(BASE64.to_owned()),
            "OLD" => Some(other.clone()),
            _ => None,
        };
        let ring = KeyRing::read(&declared, "s3://shop", read).unwrap();
        let names: Vec<_> = ring.names().into_iter().map(|it| it.variable).collect();
        assert_eq!(names, ["NEW", "OLD"]);
        assert_eq!(ring.with_id(&ring.names()[1].id).unwrap().name().variable, "OLD");
        let why =
            KeyRing::read(&declared, "s3://shop", |name| read(name).filter(|_| name != "NEW"));
        insta::assert_snapshot!(why.unwrap_err().to_string(), @"s3://shop is encrypted, and the variable NEW, which should hold its key, is not set");
        KeyRing::read(&declared, "s3://shop", |it| {
            Some(if it == "OLD" { "x".into() } else { HEX.into() })
        })
        .unwrap_err();
    }
}
