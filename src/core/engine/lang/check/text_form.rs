//! Forms of text that no pattern tells well: addresses, networks, hosts, ports, keys; what is wrong with a text, and what to write instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Tag, Tagged as _};

use crate::engine::schema::TextForm;

/// The longest label of a DNS name, in bytes (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// The longest DNS name in text: 255 bytes on the wire (RFC 1035, section 2.3.4), two of which text does not show.
const NAME_MAX: usize = 253;

/// How many pieces Linode takes in one list of ports, where a range counts as two (Linode's API reference, firewall rules).
const PORTS_MAX: usize = 15;

/// What to write instead of a text that has not this form; `None`: it has. Empty text is judged by lengths and rules.
pub fn wrong(form: TextForm, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    match form {
        TextForm::Ipv4 => address(text, false),
        TextForm::Ipv6 => address(text, true),
        TextForm::Ip => {
            text.parse::<IpAddr>().err().map(|_| "an IPv4 or IPv6 address, without mask".into())
        }
        TextForm::Ipv4Network => network(text, false),
        TextForm::Ipv6Network => network(text, true),
        TextForm::Host => host(text),
        TextForm::Zone => zone(text),
        TextForm::RecordName => record_name(text),
        TextForm::NoTrailingDot => text
            .ends_with('.')
            .then(|| format!("without the dot at its end: `{}`", text.trim_end_matches('.'))),
        TextForm::Email => email(text),
        TextForm::Ports => ports(text),
        TextForm::Backend => backend(text),
        TextForm::PublicKey => public_key(text),
        TextForm::Certificate => certificate(text),
        TextForm::PrivateKey => private_key(text),
    }
}

fn address(text: &str, six: bool) -> Option<String> {
    let (mine, example) = if six { ("IPv6", "2001:db8::1") } else { ("IPv4", "192.0.2.1") };
    match text.parse::<IpAddr>() {
        Ok(it) if it.is_ipv6() == six => None,
        Ok(it) => {
            let other = if it.is_ipv6() { "IPv6" } else { "IPv4" };
            Some(format!(
                "this is an {other} address; an {mine} address such as `{example}` is needed"
            ))
        }
        Err(_) if text.contains('/') => {
            Some(format!("an {mine} address without mask, such as `{example}`"))
        }
        Err(_) => Some(format!("an {mine} address such as `{example}`, not a host name")),
    }
}

fn network(text: &str, six: bool) -> Option<String> {
    let (most, example) = if six { (128, "2001:db8::/32") } else { (32, "192.0.2.0/24") };
    let is_mine = |it: &str| {
        if six { it.parse::<Ipv6Addr>().is_ok() } else { it.parse::<Ipv4Addr>().is_ok() }
    };
    if let Some((address, mask)) = text.split_once('/') {
        let is_mask = !mask.is_empty()
            && mask.bytes().all(|it| it.is_ascii_digit())
            && mask.parse::<u8>().is_ok_and(|it| it <= most);
        return (!(is_mine(address) && is_mask))
            .then(|| format!("an address and a mask, such as `{example}`"));
    }
    Some(if is_mine(text) {
        format!("with a mask: `{text}/{most}`")
    } else {
        format!("an address and a mask, such as `{example}`")
    })
}

/// The ASCII form of a name in another script, in words.
fn punycode(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let ascii = idna::domain_to_ascii(text).ok().filter(|it| it.is_ascii() && !it.is_empty());
    Some(match ascii {
        Some(ascii) => format!("write it in punycode, the only form that DNS supports: `{ascii}`"),
        None => {
            "letters of ASCII only; names in other scripts are written in punycode, `xn--…`".into()
        }
    })
}

fn is_label(it: &str) -> bool {
    (1..=LABEL_MAX).contains(&it.len())
        && it.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
}

fn host(text: &str) -> Option<String> {
    let example = "a host name such as `www.example.com`";
    if let Some(wrong) = punycode(text) {
        return Some(wrong);
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Some(format!("{example}, not an address"));
    }
    let is_host = bare.len() <= NAME_MAX && bare.split('.').all(is_label);
    (!is_host).then(|| example.to_owned())
}

fn zone(text: &str) -> Option<String> {
    if let Some(wrong) = punycode(text) {
        return Some(wrong);
    }
    if let Some(bare) = text.strip_suffix('.') {
        return Some(format!("without the dot at its end: `{bare}`"));
    }
    let labels: Vec<&str> = text.strip_prefix("*.").unwrap_or(text).split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    let is_top = (2..=LABEL_MAX).contains(&top.len())
        && top.bytes().all(|it| it.is_ascii_alphabetic())
        || top.strip_prefix("xn--").is_some_and(|it| !it.is_empty());
    let is_zone = labels.len() > 1
        && text.len() <= NAME_MAX
        && labels.iter().all(|it| is_label(it))
        && is_top;
    (!is_zone).then(|| "a domain name such as `example.com`".into())
}

fn record_name(text: &str) -> Option<String> {
    if text == "@" {
        return Some("write `''` for the zone itself, not `@`".into());
    }
    if let Some(wrong) = punycode(text) {
        return Some(wrong);
    }
    if let Some(bare) = text.strip_suffix('.') {
        return Some(format!("without the dot at its end: `{bare}`"));
    }
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let is_name = text == "*" || rest.split('.').all(is_label);
    (!is_name)
        .then(|| "relative to the zone: letters, digits, `-`, `_` and `.`, such as `www`".into())
}

fn email(text: &str) -> Option<String> {
    let is_email = text.is_ascii()
        && text.split_once('@').is_some_and(|(who, domain)| {
            !who.is_empty()
                && !text.contains(|it: char| it.is_whitespace() || it.is_control())
                && domain.contains('.')
                && host(domain).is_none()
                && !domain.ends_with('.')
        });
    (!is_email).then(|| "an address such as `ops@example.com`".into())
}

fn ports(text: &str) -> Option<String> {
    let says = "ports from 1 to 65535 and ascending ranges: `22`, `80, 443`, `8000-8080`";
    let port = |it: &str| {
        let it = it.trim();
        let is_plain = !it.starts_with('0') && it.bytes().all(|it| it.is_ascii_digit());
        it.parse::<u16>().ok().filter(|_| is_plain)
    };
    let mut pieces = 0;
    for part in text.split(',') {
        let is_good = if let Some((from, to)) = part.split_once('-') {
            pieces += 2;
            port(from).zip(port(to)).is_some_and(|(from, to)| from < to)
        } else {
            pieces += 1;
            port(part).is_some()
        };
        if !is_good {
            return Some(says.into());
        }
    }
    (pieces > PORTS_MAX).then(|| format!("at most {PORTS_MAX} ports; a range counts as two"))
}

fn backend(text: &str) -> Option<String> {
    let example = "`192.168.133.7:8080` or `[2001:db8::1]:8080`";
    let (address, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let six = address.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_port = !port.starts_with('0')
        && port.bytes().all(|it| it.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    let four = address.parse::<Ipv4Addr>().ok();
    let is_six = six.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok());
    if four.is_none() && !is_six {
        return Some(format!("an address and a port: {example}"));
    }
    if !is_port {
        return Some(format!("a port from 1 to 65535 behind the address: {example}"));
    }
    let is_private = four.is_none_or(|it| it.octets()[..2] == [192, 168]);
    (!is_private).then(|| "a private address, which begins with 192.168: `private_ipv4` of an instance in the same region".into())
}

fn public_key(text: &str) -> Option<String> {
    const KINDS: [&str; 5] = [
        "ssh-dss",
        "ssh-rsa",
        "ssh-ed25519",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com",
    ];
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let body = words.next().unwrap_or_default();
    let is_known = KINDS.contains(&kind) || kind.starts_with("ecdsa-sha2-nistp");
    let is_body = body.starts_with("AAAA")
        && body.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'='));
    let is_one_line = !text.trim().contains(['\n', '\r']);
    if text.contains("PRIVATE KEY") {
        return Some(
            "the public key, one line that begins with `ssh-…`; this is a private one".into(),
        );
    }
    (!(is_known && is_body && is_one_line))
        .then(|| "an OpenSSH public key such as `ssh-ed25519 AAAA… name`".into())
}

/// The label and the body of each block of PEM (RFC 7468); `None`: a block has no end, or no base64 in it.
fn blocks(text: &str) -> Option<Vec<(&str, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----")?;
        let (body, after) = after.split_once(&format!("-----END {label}-----"))?;
        // Older keys begin with headers, and an empty line.
        let body = body.split_once("\n\n").map_or(body, |it| it.1);
        let base64: String = body.split_whitespace().collect();
        found.push((label, data_encoding::BASE64.decode(base64.as_bytes()).ok()?));
        rest = after;
    }
    Some(found)
}

/// Whether bytes are one SEQUENCE of DER (X.690), which certificates and keys are.
fn is_sequence(der: &[u8]) -> bool {
    AnyRef::from_der(der).is_ok_and(|it| it.tag() == Tag::Sequence)
}

fn certificate(text: &str) -> Option<String> {
    if text.contains("PRIVATE KEY-----") {
        return Some("the certificate, but the file contains a private key, which would not be kept secret: remove it from the file, and create a new key".into());
    }
    pem(text, "CERTIFICATE", |label| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE"))
}

fn private_key(text: &str) -> Option<String> {
    const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    if text.contains("ENCRYPTED") {
        return Some("a private key without a passphrase, because nobody can type it".into());
    }
    pem(text, "PRIVATE KEY", |label| KEYS.contains(&label))
}

fn pem(text: &str, wanted: &str, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    let says = || {
        Some(format!(
            "PEM text, `-----BEGIN {wanted}-----` and base64 to its end, such as '${{file(\"files/shop.pem\")}}'"
        ))
    };
    if text.contains("\\n") {
        return Some(
            "real line breaks instead of `\\n`: use a block that begins with `|`, or a file".into(),
        );
    }
    let Some(blocks) = blocks(text) else { return says() };
    let mut wanted = blocks.iter().filter(|it| is_wanted(it.0)).peekable();
    if wanted.peek().is_some() && wanted.all(|it| is_sequence(&it.1)) { None } else { says() }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::wrong;
    use crate::engine::schema::TextForm;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn wrong_suggests_what_to_write() {
        let cases: [(TextForm, &[&str]); 15] = [
            (
                TextForm::Ipv4,
                &[
                    "192.0.2.1",
                    "www.example.com",
                    "2001:db8::1",
                    "192.0.2.1/32",
                    "192.0.2.256",
                    "[remote_addr]",
                    " 192.0.2.1",
                ],
            ),
            (TextForm::Ipv6, &["2001:db8::1", "::ffff:192.0.2.1", "192.0.2.1", "www"]),
            (TextForm::Ip, &["192.0.2.1", "::1", "10.0.0.0/8"]),
            (
                TextForm::Ipv4Network,
                &[
                    "0.0.0.0/0",
                    "10.0.0.1/8",
                    "192.0.2.1",
                    "192.0.2.0/33",
                    "::/0",
                    "10.0.0.0/",
                    "10.0.0.0/+8",
                ],
            ),
            (TextForm::Ipv6Network, &["::/0", "2001:db8::/129", "2001:db8::1", "0.0.0.0/0"]),
            (
                TextForm::Host,
                &[
                    "www.example.com",
                    "www.example.com.",
                    "www",
                    "_dmarc.example.com",
                    "192.0.2.1",
                    "bücher.example",
                    "a b",
                    "a..b",
                    "-",
                ],
            ),
            (
                TextForm::Zone,
                &[
                    "example.com",
                    "xn--bcher-kva.example",
                    "bücher.example",
                    "example.com.",
                    "example",
                    "example.123",
                    "exa mple.com",
                ],
            ),
            (
                TextForm::RecordName,
                &["www", "*.eu", "*", "_sip._tcp", "@", "www.", "büro", "a.*", "a b"],
            ),
            (TextForm::NoTrailingDot, &["letsencrypt.org", "letsencrypt.org."]),
            (
                TextForm::Email,
                &[
                    "ops@example.com",
                    "ops",
                    "ops@localhost",
                    "o ps@example.com",
                    "@example.com",
                    "büro@example.com",
                ],
            ),
            (
                TextForm::Ports,
                &[
                    "22",
                    "80, 443",
                    "8000-8080",
                    "0",
                    "80-80",
                    "90-80",
                    "65536",
                    "http",
                    "1,2,3,4,5,6,7,8,9,10,11,12,13,14-15,16",
                    "+80",
                ],
            ),
            (
                TextForm::Backend,
                &[
                    "192.168.130.1:80",
                    "[2001:db8::1]:80",
                    "192.168.300.1:80",
                    "192.168.130.1",
                    "192.168.130.1:0",
                    "192.168.130.1:99999",
                    "10.0.0.1:80",
                    "web:80",
                ],
            ),
            (
                TextForm::PublicKey,
                &[
                    "ssh-ed25519 AAAAC3Nz me",
                    "ssh-rsa",
                    "ssh-ed25519 nonsense",
                    "-----BEGIN OPENSSH PRIVATE KEY-----",
                    "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
                ],
            ),
            (
                TextForm::Certificate,
                &[
                    "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
                    "subject=a\r\n-----BEGIN CERTIFICATE-----\r\nMAMC\r\nAQE=\r\n-----END CERTIFICATE-----",
                    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n-----BEGIN DH PARAMETERS-----\nMAA=\n-----END DH PARAMETERS-----",
                    "-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----",
                    "-----BEGIN CERTIFICATE-----\nMAMCAQE=",
                    "-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----",
                    "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----",
                    "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
                    "files/shop.pem",
                ],
            ),
            (
                TextForm::PrivateKey,
                &[
                    "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
                    "-----BEGIN EC PARAMETERS-----\nBgUr\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----",
                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",
                    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END RSA PRIVATE KEY-----",
                    "-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----",
                    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
                    "key",
                ],
            ),
        ];
        let mut told = String::new();
        for (form, texts) in cases {
            for text in texts {
                let wrong = wrong(form, text).unwrap_or_else(|| "fits".into());
                writeln!(told, "{form:?} {text:?}: {wrong}").unwrap();
            }
        }
        insta::assert_snapshot!(told);
    }
}
