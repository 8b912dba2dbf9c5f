//! Which names of buckets, tables, prefixes, regions and variables there can be.

/// Between 3 and 63 characters, as Amazon S3 documents it (user guide, "General purpose bucket naming rules"); what speaks its
/// protocol takes the same.
pub(super) fn is_bucket(text: &str) -> bool {
    let is_inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || ".-".contains(it);
    let is_outer = |it: Option<char>| it.is_some_and(|it| it != '.' && it != '-');
    (3..=63).contains(&text.len())
        && text.chars().all(is_inner)
        && is_outer(text.chars().next())
        && is_outer(text.chars().last())
        && !text.contains("..")
        && text.parse::<std::net::Ipv4Addr>().is_err()
}

/// Between 3 and 255 characters (developer guide, "Naming rules").
pub(super) fn is_table(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
    (3..=255).contains(&text.len()) && text.chars().all(is_part)
}

/// Parts that need no quoting anywhere, and lead nowhere else. At most 512 bytes: a key of S3 has at most 1,024, and what
/// lifeboat puts behind it needs a few hundred.
pub(super) fn is_prefix(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "_.-@=+".contains(it);
    let is_name = |it: &str| !matches!(it, "" | "." | "..") && it.chars().all(is_part);
    text.is_empty() || (text.len() <= 512 && text.split('/').all(is_name))
}

pub(super) fn is_region(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    (2..=64).contains(&text.len()) && text.chars().all(is_part)
}

/// As `linode:us-east`, or one word.
pub(super) fn is_fault_domain(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || ":_.-".contains(it);
    (1..=100).contains(&text.len())
        && text.chars().all(is_part)
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
}

/// The name of a variable of the environment: not what is in it.
pub fn is_variable(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    (1..=100).contains(&text.len())
        && text.chars().all(is_part)
        && !text.starts_with(|it: char| it.is_ascii_digit())
}

/// As the files of AWS's tools take it.
pub(super) fn is_profile(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.chars().all(|it| !it.is_control() && !"[]&#".contains(it))
}

#[cfg(test)]
mod tests {
    use super::{is_bucket, is_fault_domain, is_prefix, is_table, is_variable};

    #[test]
    fn is_bucket_keeps_to_the_rules_of_s3() {
        for good in ["shop-state", "abc", "a.b.c", "0ab"] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in ["ab", "Shop", "shop_state", "-abc", "abc-", "a..b", "10.0.0.1", "a/b", "äbc"] {
            assert!(!is_bucket(bad), "{bad}");
        }
        assert!(is_bucket(&"a".repeat(63)) && !is_bucket(&"a".repeat(64)));
    }

    #[test]
    fn is_prefix_leads_nowhere_else() {
        for good in ["", "lifeboat", "a/b", "a@b"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["/", "/a", "a/", "a//b", "..", "a/../b", "a b", "a%2f", "a#b", "a?b"] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn is_table_and_others_take_names_only() {
        assert!(is_table("Shop_state.1") && !is_table("ab") && !is_table("shop state"));
        assert!(is_fault_domain("linode:us-east") && !is_fault_domain("") && !is_fault_domain("A"));
        assert!(is_variable("STATE_KEY") && !is_variable("1A") && !is_variable("a/b+c"));
    }
}
