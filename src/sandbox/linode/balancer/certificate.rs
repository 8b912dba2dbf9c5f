//! What a config says of its certificate: the common name, and a fingerprint that changes when the certificate does.

use sha2::{Digest, Sha256};

/// The bytes of the first PEM block.
fn decoded(pem: &str) -> Vec<u8> {
    let body: String = pem
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .map(str::trim)
        .collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap_or_default()
}

/// Whether there is a block of such a label with an end, and base64 in it.
pub fn is_pem(text: &str, label: &str) -> bool {
    let begins = |line: &str| line.starts_with("-----BEGIN") && line.ends_with(label);
    let Some(from) = text.lines().map(str::trim).position(begins) else { return false };
    let block: Vec<&str> = text.lines().skip(from).collect();
    let ends = block.iter().any(|line| line.trim_start().starts_with("-----END"));
    ends && !decoded(&block.join("\n")).is_empty()
}

/// Twenty bytes in colon hex. The real one is SHA-1, which nothing else here needs; this is SHA-256 cut to that length.
pub fn fingerprint(pem: &str) -> String {
    let digest = Sha256::digest(decoded(pem));
    digest[..20].iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// The text behind the last commonName (OID 2.5.4.3) of the certificate; the subject follows the issuer.
pub fn common_name(pem: &str) -> String {
    let bytes = decoded(pem);
    let at = bytes.windows(3).rposition(|window| window == [0x55, 0x04, 0x03]);
    let name = at.and_then(|at| {
        let length = usize::from(*bytes.get(at + 4)?);
        bytes.get(at + 5..at + 5 + length)
    });
    name.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}
