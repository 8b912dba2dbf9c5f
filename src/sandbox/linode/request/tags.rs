//! Tags: made on first use, spelt as they were first spelt, and the way back from a tag to what wears it.

use crate::linode::data::store::LinodeWorld;

/// Remembers tags that are new.
pub fn learn(cloud: &mut LinodeWorld, tags: &[String]) {
    for tag in tags {
        let key = tag.to_lowercase();
        if cloud.tags.get(&key).is_none() {
            cloud.tags.put(key, tag.clone());
        }
    }
}

/// Forgets a tag and takes it from everything that wears it; false when there is none.
pub fn delete(cloud: &mut LinodeWorld, tag: &str) -> bool {
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
    for id in cloud.volumes.ids(&index) {
        cloud.volumes.edit(id, |it| keep(&mut it.tags));
    }
    cloud.tags.remove(&key).is_some()
}

/// Whether there is such an object; kinds as `POST /tags` names them.
pub fn exists(cloud: &LinodeWorld, kind: &str, id: u64) -> bool {
    match kind {
        "linodes" => cloud.instances.get(id).is_some(),
        "domains" => cloud.domains.get(id).is_some(),
        "nodebalancers" => cloud.nodebalancers.get(id).is_some(),
        "volumes" => cloud.volumes.get(id).is_some(),
        _ => cloud.firewalls.get(id).is_some(),
    }
}

/// An object wears a tag from now on.
pub fn put_on(cloud: &mut LinodeWorld, kind: &str, id: u64, tag: &str) {
    let wear = |tags: &mut Vec<String>| {
        if !tags.iter().any(|it| it.eq_ignore_ascii_case(tag)) {
            tags.push(tag.to_owned());
        }
    };
    match kind {
        "linodes" => cloud.instances.edit(id, |it| wear(&mut it.tags)),
        "domains" => cloud.domains.edit(id, |it| wear(&mut it.tags)),
        "nodebalancers" => cloud.nodebalancers.edit(id, |it| wear(&mut it.tags)),
        "volumes" => cloud.volumes.edit(id, |it| wear(&mut it.tags)),
        _ => cloud.firewalls.edit(id, |it| wear(&mut it.tags)),
    };
}
