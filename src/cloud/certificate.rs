//! Until when a certificate holds, read out of its DER: the one field of it that anybody here asks for.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, which old certificates leave out.
const VERSION: u8 = 0xA0;

/// The end of its validity in seconds since the Unix epoch; nothing when it is no certificate (RFC 5280, 4.1).
pub(crate) fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let rest = match element(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    let (_serial, rest) = expect(INTEGER, rest)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _not_before, rest) = element(validity)?;
    let (kind, text, _) = element(rest)?;
    time(kind, std::str::from_utf8(text).ok()?)
}

/// The content of an element of this tag, and what follows it.
fn expect(wanted: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short if short < 0x80 => (short, rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(long & 0x7F).filter(|(it, _)| it.len() <= 4)?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `310203040506Z`, or with four digits of the year.
fn time(kind: u8, text: &str) -> Option<i64> {
    let whole = match kind {
        // Two digits mean 1950 to 2049.
        UTC_TIME if text.get(..1)? < "5" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", whole).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::not_after;

    /// Self-signed by openssl for shop.example.com, until 2031-02-03T04:05:06Z.
    const UTC: &str = "\
        MIIBHTCBxAIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBzaG9wLmV4YW1wbGUuY29tMB4XDTI2MDEwMTAw\
        MDAwMFoXDTMxMDIwMzA0MDUwNlowGzEZMBcGA1UEAwwQc2hvcC5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEG\
        CCqGSM49AwEHA0IABDnhir4qMgPumGHluOKFypSEksZvrxC5GubO1MVqY6M2zTCV8vLFdk/ZpYum8GkJMS+0\
        NFwem+CQJ//J6N4MrQMwCgYIKoZIzj0EAwIDSAAwRQIhAONcXhmmNLkTP23kyFhr/FF22+qd596VQZr4geP3\
        V/inAiAqj/n3PEiA6PPH8Lo8K3+ApmwFaW8fhWe+xDSsPWH2iA==";
    /// The same until 2055-02-03T04:05:06Z, which takes the longer form.
    const GENERALIZED: &str = "\
        MIIBIDCBxgIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBzaG9wLmV4YW1wbGUuY29tMCAXDTI2MDEwMTAw\
        MDAwMFoYDzIwNTUwMjAzMDQwNTA2WjAbMRkwFwYDVQQDDBBzaG9wLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0C\
        AQYIKoZIzj0DAQcDQgAEOeGKvioyA+6YYeW44oXKlISSxm+vELka5s7UxWpjozbNMJXy8sV2T9mli6bwaQkx\
        L7Q0XB6b4JAn/8no3gytAzAKBggqhkjOPQQDAgNJADBGAiEA7XFtQFak3k4EZ5yBahR21JEkIvZDZwApcGZG\
        MlyRgmoCIQDjrOvoREwFLq7ypUGBmLTgMC4Eiso3Rhq9aKMc9OkXbg==";

    #[test]
    fn the_end_of_validity_in_both_forms() {
        for (text, end) in [(UTC, "2031-02-03T04:05:06Z"), (GENERALIZED, "2055-02-03T04:05:06Z")] {
            let der = BASE64.decode(text.as_bytes()).unwrap();
            let end: jiff::Timestamp = end.parse().unwrap();
            assert_eq!(not_after(&der), Some(end.as_second()));
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_no_certificate() {
        let der = BASE64.decode(UTC.as_bytes()).unwrap();
        assert_eq!((0..der.len()).find_map(|length| not_after(&der[..length])), None);
        for at in 0..der.len() {
            let mut damaged = der.clone();
            damaged[at] ^= 0xFF;
            // Only that it ends: many bytes say nothing about the validity.
            not_after(&damaged);
        }
        assert_eq!(not_after(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
