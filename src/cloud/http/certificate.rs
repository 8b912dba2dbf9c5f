//! When a certificate ends; TLS itself checks the rest.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Milliseconds since the Unix epoch; `None` for what is no certificate (RFC 5280, section 4.1).
pub(crate) fn not_after(der: &[u8]) -> Option<i64> {
    let certificate = Certificate::from_der(der).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(end.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::not_after;

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
    fn not_after_is_what_openssl_says() {
        assert_eq!(end(NINETY_DAYS), "2027-02-22T11:23:04Z");
        assert_eq!(end(A_CENTURY), "2126-10-31T11:23:04Z");
    }

    #[test]
    fn not_after_is_none_of_a_cut_or_damaged_certificate() {
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
