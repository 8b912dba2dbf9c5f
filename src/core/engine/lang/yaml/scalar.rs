//! YAML 1.2 core schema: what a plain scalar means, and which texts only look like numbers.

/// What a plain scalar resolves to.
#[derive(Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// `007`: a decimal integer to YAML 1.2, something else to most people.
    ZeroLed(i64),
    Float(f64),
    /// An integer that no `i64` holds.
    TooBig,
    /// A number that is not finite.
    NotFinite,
    Text,
}

/// Resolves the text of a plain scalar.
pub fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Scalar::Text;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return match i64::from_str_radix(digits, radix) {
                Ok(number) if !digits.starts_with(['+', '-']) => Scalar::Int(number),
                Err(_) if is_digits(digits, radix) => Scalar::TooBig,
                _ => Scalar::Text,
            };
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Scalar::NotFinite;
    }
    if is_digits(digits, 10) {
        return match text.parse() {
            Ok(number) if digits.len() > 1 && digits.starts_with('0') => Scalar::ZeroLed(number),
            Ok(number) => Scalar::Int(number),
            Err(_) => Scalar::TooBig,
        };
    }
    if !is_float(digits) {
        return Scalar::Text;
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Scalar::Float(number),
        Ok(_) => Scalar::NotFinite,
        Err(_) => Scalar::Text,
    }
}

fn is_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|it| it.is_digit(radix))
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, then perhaps `[eE][-+]?[0-9]+`.
fn is_float(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let exponent_holds =
        exponent.is_none_or(|it| is_digits(it.strip_prefix(['+', '-']).unwrap_or(it), 10));
    let mantissa_holds = match mantissa.split_once('.') {
        None => is_digits(mantissa, 10),
        Some(("", fraction)) => is_digits(fraction, 10),
        Some((whole, fraction)) => {
            is_digits(whole, 10) && (fraction.is_empty() || is_digits(fraction, 10))
        }
    };
    mantissa_holds && exponent_holds
}

#[cfg(test)]
mod tests {
    use super::{Scalar, resolve};

    #[test]
    fn resolve_follows_the_core_schema_of_yaml() {
        for text in [
            "yes", "no", "on", "y", "tRUE", "1_000", "0b1", "-0x1F", "1.2.3", "-", "+", ".", "0x",
            "12:30:00", "1e",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
        for (text, number) in [("0", 0), ("-12", -12), ("+3", 3), ("0o7", 7), ("0x1F", 31)] {
            assert_eq!(resolve(text), Scalar::Int(number), "{text}");
        }
        assert_eq!(resolve("007"), Scalar::ZeroLed(7));
        assert_eq!(resolve("1e3"), Scalar::Float(1000.0));
        assert_eq!(resolve(".5"), Scalar::Float(0.5));
        assert_eq!(resolve("5."), Scalar::Float(5.0));
        assert_eq!(resolve("1e400"), Scalar::NotFinite);
        assert_eq!(resolve("-.inf"), Scalar::NotFinite);
        assert_eq!(resolve("9223372036854775807"), Scalar::Int(i64::MAX));
        assert_eq!(resolve("9223372036854775808"), Scalar::TooBig);
        assert_eq!(resolve("~"), Scalar::Null);
    }
}
