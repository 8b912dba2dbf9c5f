//! The names of all that can be lost, and what a misspelt one may have meant.

use crate::dynamodb::places::REGIONS;
use crate::linode::data::catalog;

/// What of Linode belongs to no region: zones, records, firewalls, keys.
pub const GLOBAL: &str = "linode:global";

/// Every fault domain of this world.
pub fn all() -> Vec<String> {
    let linode = catalog::regions().iter().filter_map(|row| row["id"].as_str());
    let mut names = vec![GLOBAL.to_owned()];
    names.extend(linode.map(|region| format!("linode:{region}")));
    names.extend(REGIONS.iter().map(|region| format!("aws:{region}")));
    names
}

/// The name that was most likely meant; a region alone stands for what it would be with its cloud before it.
pub fn nearest(word: &str, names: &[String]) -> Option<String> {
    let region = |name: &String| name.split_once(':').is_some_and(|(_, region)| region == word);
    let closest = || {
        let limit = (word.chars().count() / 3).max(1);
        names
            .iter()
            .map(|name| (strsim::damerau_levenshtein(word, name), name))
            .filter(|(distance, _)| *distance <= limit)
            .min()
            .map(|(_, name)| name)
    };
    names.iter().find(|name| region(name)).or_else(closest).cloned()
}

#[cfg(test)]
mod tests {
    use super::{all, nearest};

    #[test]
    fn nearest_recognizes_a_misspelled_name() {
        for (word, meant) in [
            ("linode:us-eest", Some("linode:us-east")),
            ("us-east", Some("linode:us-east")),
            ("us-east-1", Some("aws:us-east-1")),
            ("linode:globl", Some("linode:global")),
            ("aws:us-east1", Some("aws:us-east-1")),
            ("gcp:mars", None),
        ] {
            assert_eq!(nearest(word, &all()).as_deref(), meant, "{word}");
        }
    }
}
