//! What a restricted user sees and may change: lists without the rest, "Not found" of it, and a no to what is only to be looked at.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::linode::data::restricted::{GLOBAL, RestrictedToken};
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError};

/// The sort that a path is about, the grant to add one, and what follows in the path.
fn sort<'p>(path: &'p [&'p str]) -> Option<(&'static str, &'static str, &'p [&'p str])> {
    Some(match path {
        ["linode", "instances", rest @ ..] => ("linode", "add_linodes", rest),
        ["nodebalancers", rest @ ..] => ("nodebalancer", "add_nodebalancers", rest),
        ["domains", rest @ ..] => ("domain", "add_domains", rest),
        ["networking", "firewalls", rest @ ..] => ("firewall", "add_firewalls", rest),
        ["volumes", rest @ ..] => ("volume", "add_volumes", rest),
        _ => return None,
    })
}

fn forbidden() -> LinodeError {
    LinodeError::with_status(403, "Unauthorized")
}

/// Whether a user may make a call at all.
pub fn check(
    cloud: &LinodeWorld,
    user: Option<&RestrictedToken>,
    method: &str,
    path: &[&str],
) -> Result<(), LinodeError> {
    if let ["profile", "sshkeys", id] = path {
        // Of each user's own.
        let key = id.parse().ok().and_then(|it| cloud.sshkeys.get(it));
        let own = key.is_none_or(|it| it.user == user.map_or("", |it| it.name.as_str()));
        return if own { Ok(()) } else { Err(LinodeError::not_found()) };
    }
    let Some(user) = user else { return Ok(()) };
    if matches!(path, ["account"] | ["account", "settings"]) {
        return Err(forbidden());
    }
    let Some((entity, add, rest)) = sort(path) else { return Ok(()) };
    match rest {
        [] if method == "POST" && !user.may.contains(add) => Err(forbidden()),
        [] => Ok(()),
        [id, ..] => match id.parse().ok().map(|it| user.grant(entity, it)) {
            Some(None) => Err(LinodeError::not_found()),
            Some(Some(false)) if method != "GET" => Err(forbidden()),
            // Without an id: `types`, `settings`.
            None | Some(Some(_)) => Ok(()),
        },
    }
}

/// The ids that a list shows to a user; `None`: it shows all that is in it.
pub fn seen(user: &RestrictedToken, path: &[&str]) -> Option<BTreeSet<u64>> {
    let (entity, _, rest) = sort(path)?;
    rest.is_empty()
        .then(|| user.objects.get(entity).into_iter().flatten().map(|it| *it.0).collect())
}

/// Who makes something may change it.
pub fn made(
    cloud: &mut LinodeWorld,
    token: &str,
    call: &LinodeCall<'_>,
    path: &[&str],
    made: &Value,
) {
    let Some((entity, _, [])) = sort(path) else { return };
    let is_made = call.request.method == "POST" && call.user.is_some();
    if let Some(id) = made["id"].as_u64().filter(|_| is_made)
        && let Some(user) = cloud.restricted.get_mut(&token.to_owned())
    {
        user.objects.entry(entity.to_owned()).or_default().insert(id, true);
    }
}

/// What a restricted user may do; nothing for one who may do everything.
pub fn grants(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let Some(user) = &call.user else { return Ok(Value::Null) };
    let mut all = Map::new();
    for entity in ["database", "image", "longview", "placement_group", "stackscript", "vpc"] {
        all.insert(entity.to_owned(), json!([]));
    }
    for entity in ["domain", "firewall", "linode", "nodebalancer", "volume"] {
        let granted = user.objects.get(entity).into_iter().flatten();
        let rows = granted.filter_map(|(id, write)| {
            let label = label(cloud, entity, *id)?;
            let permissions = if *write { "read_write" } else { "read_only" };
            Some(json!({ "id": id, "label": label, "permissions": permissions }))
        });
        all.insert(entity.to_owned(), rows.collect());
    }
    let mut global: Map<String, Value> =
        GLOBAL.iter().map(|it| ((*it).to_owned(), user.may.contains(*it).into())).collect();
    global.insert("account_access".to_owned(), Value::Null);
    all.insert("global".to_owned(), global.into());
    Ok(all.into())
}

fn label(cloud: &LinodeWorld, entity: &str, id: u64) -> Option<String> {
    match entity {
        "linode" => cloud.instances.get(id).map(|it| it.label.clone()),
        "nodebalancer" => cloud.nodebalancers.get(id).map(|it| it.label.clone()),
        "domain" => cloud.domains.get(id).map(|it| it.domain.clone()),
        "volume" => cloud.volumes.get(id).map(|it| it.label.clone()),
        _ => cloud.firewalls.get(id).map(|it| it.label.clone()),
    }
}

/// The objects of a label; of a zone, its name.
pub fn called(cloud: &LinodeWorld, label: &str) -> Vec<(&'static str, u64)> {
    let instances = cloud.instances.iter().filter(|(_, it)| it.label == label);
    let balancers = cloud.nodebalancers.iter().filter(|(_, it)| it.label == label);
    let zones = cloud.domains.iter().filter(|(_, it)| it.domain == label);
    let walls = cloud.firewalls.iter().filter(|(_, it)| it.label == label);
    let volumes = cloud.volumes.iter().filter(|(_, it)| it.label == label);
    let found = instances.map(|(id, _)| ("linode", id));
    let found = found.chain(balancers.map(|(id, _)| ("nodebalancer", id)));
    let found = found.chain(zones.map(|(id, _)| ("domain", id)));
    let found = found.chain(walls.map(|(id, _)| ("firewall", id)));
    found.chain(volumes.map(|(id, _)| ("volume", id))).collect()
}
