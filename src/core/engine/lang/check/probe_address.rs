//! What a gate knocks at: `host:port` and the address of a page, with expressions still in them or without.

/// Why a text is nothing that `tcp` could try.
const NO_ADDRESS: &str =
    "`tcp` takes host:port with a port from 1 to 65535, such as `${self.ipv4}:22`";
/// Why a text is nothing that `http` could try.
const NO_PAGE: &str = "`http` takes an address that begins with http:// or https://";
/// Stands for what only an expression will say.
const ANYTHING: &str = "x";

/// The host, without brackets, and the port.
pub fn address(text: &str) -> Result<(&str, u16), &'static str> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| {
        // `parse` would take a sign.
        let port = Some(port).filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?;
        Some((host.trim_matches(['[', ']']), port.parse::<u16>().ok()?))
    });
    parts.filter(|(host, port)| !host.is_empty() && *port > 0).ok_or(NO_ADDRESS)
}

/// The address of a page, as it is.
pub fn page(text: &str) -> Result<&str, &'static str> {
    let rest = ["http://", "https://"].iter().find_map(|it| text.strip_prefix(it));
    rest.filter(|it| !it.is_empty()).map(|_| text).ok_or(NO_PAGE)
}

/// The host of a page, without brackets, and its port: that of its scheme, where none is written.
pub fn host_of_page(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = page(url).ok()?.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let otherwise = if scheme == "https" { 443 } else { 80 };
    Some(address(authority).unwrap_or((authority.trim_matches(['[', ']']), otherwise)))
}

/// Why a text of the layers can become no `host:port`, as far as that can be read without its expressions.
pub fn no_address(text: &str) -> Option<&'static str> {
    let Some(rest) = behind_expressions(text) else { return address(text).err() };
    // An expression may make all of it.
    (!rest.is_empty()).then(|| address(&format!("{ANYTHING}{rest}")).err()).flatten()
}

/// The same for the address of a page.
pub fn no_page(text: &str) -> Option<&'static str> {
    match text.find("${") {
        Some(0) => None,
        Some(at) => page(&format!("{}{ANYTHING}", &text[..at])).err(),
        None => page(text).err(),
    }
}

/// What stands behind the last expression; `None`: there is none.
fn behind_expressions(text: &str) -> Option<&str> {
    let end = text.rfind('}').filter(|_| text.contains("${"))?;
    Some(&text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::{address, host_of_page, no_address, no_page, page};

    /// What cannot be tried on the day is told before: both ask the same question.
    #[test]
    fn no_address_and_no_page_report_what_can_already_be_read() {
        for text in [
            "${self.ipv4}:22",
            "192.0.2.1:80",
            "[2001:db8::1]:443",
            "${a.host}${b}:8080",
            "${a.of}",
        ] {
            assert_eq!(no_address(text), None, "{text}");
        }
        for text in ["foo", "", ":22", "h:0", "h:99999", "${a}:99999", "${a}:", "${a}/22", "h:+22"]
        {
            assert!(no_address(text).is_some(), "{text}");
            assert!(text.contains("${") || address(text).is_err(), "{text}");
        }
        for text in ["http://${lb.ipv4}/ok", "https://example.com", "${vars.url}"] {
            assert_eq!(no_page(text), None, "{text}");
        }
        for text in ["ftp://x", "htp://x/", "example.com", "", "http://", "x${vars.url}"] {
            assert!(no_page(text).is_some(), "{text}");
            assert!(text.contains("${") || page(text).is_err(), "{text}");
        }
    }

    #[test]
    fn address_and_host_of_page_separate_host_and_port() {
        assert_eq!(address("192.0.2.1:80"), Ok(("192.0.2.1", 80)));
        assert_eq!(address("[2001:db8::1]:443"), Ok(("2001:db8::1", 443)));
        assert!(address("[]:443").is_err());
        assert_eq!(page("https://example.com/"), Ok("https://example.com/"));
        for (url, host, port) in [
            ("http://192.0.2.1/ok", "192.0.2.1", 80),
            ("https://192.0.2.1?a=b", "192.0.2.1", 443),
            ("http://192.0.2.1:8080/ok", "192.0.2.1", 8080),
            ("https://[2001:db8::1]/", "2001:db8::1", 443),
            ("https://[2001:db8::1]:8443", "2001:db8::1", 8443),
        ] {
            assert_eq!(host_of_page(url), Some((host, port)), "{url}");
        }
    }
}
