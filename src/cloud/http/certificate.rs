//! When a certificate ends: the one field that is read out of its DER bytes; TLS itself checks the rest.

use jiff::civil::DateTime;
use jiff::tz::Offset;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, around the version of a certificate.
const VERSION: u8 = 0xa0;

/// Milliseconds since the Unix epoch; `None` for what is no certificate (RFC 5280, section 4.1).
pub(crate) fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if let Some((_, rest)) = take(fields, VERSION) {
        fields = rest;
    }
    // The serial number, the algorithm and the issuer stand before the validity.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = take(fields, tag)?;
    }
    let (validity, _) = take(fields, SEQUENCE)?;
    let (_, _, not_after) = value(validity)?;
    let (tag, text, _) = value(not_after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The content of the first value, if it has this tag, and what follows it.
fn take(der: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    value(der).filter(|it| it.0 == expected).map(|(_, content, rest)| (content, rest))
}

/// Tag, content, and what follows.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        // The long form: the low bits say how many bytes hold the length.
        let (bytes, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, or the same with four digits of the year.
fn time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = digits[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let pair = |at: usize| rest[2 * at..2 * at + 2].parse::<i8>().ok();
    let (month, day, hour, minute, second) = (pair(0)?, pair(1)?, pair(2)?, pair(3)?, pair(4)?);
    let moment = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(Offset::UTC.to_timestamp(moment).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::{GENERALIZED_TIME, UTC_TIME, not_after, time};

    /// Made by `openssl req -x509 -days 90`: its end is a `UTCTime`.
    const NINETY_DAYS: &str = "\
        MIIBijCCATGgAwIBAgIUZtqQID2gbjLDH5TEp32is33Tle0wCgYIKoZIzj0EAwIwGzEZMBcGA1UEAwwQc2hvcC5leG\
        FtcGxlLmNvbTAeFw0yNjExMjQxMTIzMDRaFw0yNzAyMjIxMTIzMDRaMBsxGTAXBgNVBAMMEHNob3AuZXhhbXBsZS5j\
        b20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASRv6v4Yj5u2TOTE4cYxTDckwhKkgsm1yvTuIJZPQENm8hHj7815G\
        VEtmrDQE1o0S6UMJcE0MgIZxZcyZH7tWH6o1MwUTAdBgNVHQ4EFgQUSqSVr4DgVc6D29XBdcZv3C66YY8wHwYDVR0j\
        BBgwFoAUSqSVr4DgVc6D29XBdcZv3C66YY8wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBS2o/5W/\
        wv52WdEoECccb9ZN7H6VWH7ag6rWyPuTq5vgIgevAHfQFG499HPbvgYIRwRA32UI5dFT1ky/4d7j9dEcg=";
    /// With `-days 36500`: its end is a `GeneralizedTime`.
    const A_CENTURY: &str = "\
        MIIBjTCCATOgAwIBAgIUAP6Q24ZwSg7tVXjvs1XD8dp/ncYwCgYIKoZIzj0EAwIwGzEZMBcGA1UEAwwQc2hvcC5leG\
        FtcGxlLmNvbTAgFw0yNjExMjQxMTIzMDRaGA8yMTI2MTAzMTExMjMwNFowGzEZMBcGA1UEAwwQc2hvcC5leGFtcGxl\
        LmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLyLcNxuUShiJ+8QJSQA37Kvuy4xl3nv7ltKZc8AIwKsBhe3G/\
        SXVXCPEq14F6467Pl2EYwToXOTLuQudg3op/mjUzBRMB0GA1UdDgQWBBTs2NMK0UWn+I2fWASPp++zFUy08TAfBgNV\
        HSMEGDAWgBTs2NMK0UWn+I2fWASPp++zFUy08TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDNis\
        C2/c/LumuEeDzHSqehZxRZvgUAc1vpgg1OUqST7gIgSV7oigZu6Xa4OMQOwueYOgRXDI4nhtB0lcdg6ygMn/4=";

    fn der(base64: &str) -> Vec<u8> {
        data_encoding::BASE64.decode(base64.as_bytes()).unwrap()
    }

    fn end(base64: &str) -> String {
        jiff::Timestamp::from_millisecond(not_after(&der(base64)).unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_end_is_what_openssl_says() {
        assert_eq!(end(NINETY_DAYS), "2027-02-22T11:23:04Z");
        assert_eq!(end(A_CENTURY), "2126-10-31T11:23:04Z");
    }

    #[test]
    fn two_digits_of_a_year_are_from_1950_to_2049() {
        let years = ["500101000000Z", "491231235959Z"].map(|it| time(UTC_TIME, it).unwrap());
        assert_eq!(years, [-631_152_000_000, 2_524_607_999_000]);
        for wrong in ["20261124112304Z", "261124112304", "26112411230xZ", "261324112304Z"] {
            assert_eq!(time(UTC_TIME, wrong), None, "{wrong}");
        }
        assert_eq!(time(GENERALIZED_TIME, "261124112304Z"), None);
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_has_no_end() {
        let whole = der(NINETY_DAYS);
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            // Whatever it makes of it, it must not panic.
            not_after(&bent);
        }
    }
}
