//! Tags: made on first use, spelt as they were first spelt, and the way back from a tag to what wears it.

use crate::sandbox::linode::store::Linode;

/// Remembers tags that are new.
pub fn learn(cloud: &mut Linode, tags: &[String]) {
    for tag in tags {
        let key = tag.to_lowercase();
        if cloud.tags.get(&key).is_none() {
            cloud.tags.put(key, tag.clone());
        }
    }
}

/// Forgets a tag and takes it from everything that wears it; false when there is none.
pub fn delete(cloud: &mut Linode, tag: &str) -> bool {
    let key = tag.to_lowercase();
    let keep = |tags: &mut Vec<String>| tags.retain(|it| it.to_lowercase() != key);
    let index = format!("tag:{key}");
    for id in cloud.instances.ids(&index) {
        cloud.instances.edit(id, |it| keep(&mut it.tags));
    }
    for id in cloud.nodebalancers.ids(&index) {
        cloud.nodebalancers.edit(id, |it| keep(&mut it.tags));
    }
    for id in cloud.domains.ids(&index) {
        cloud.domains.edit(id, |it| keep(&mut it.tags));
    }
    for id in cloud.firewalls.ids(&index) {
        cloud.firewalls.edit(id, |it| keep(&mut it.tags));
    }
    cloud.tags.remove(&key).is_some()
}
