//! What the user of the token sees: read once for each refresh, since a restricted one is told "not found" of what is hidden from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::Mutex;

use crate::cloud::error::ProviderError;
use crate::cloud::linode::client::LinodeApi;
use crate::cloud::wire::decode::id;
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::schema::{GrantRoutes as Of, Kind};
use crate::engine::value::Attributes;

/// What is known of it so far.
#[derive(Clone, Default)]
pub(crate) struct UserGrants(Arc<Mutex<RestrictedUser>>);

#[derive(Default)]
enum RestrictedUser {
    #[default]
    Unread,
    SeesAll,
    Restricted(Restricted),
}

impl UserGrants {
    /// The next look begins: grants may have changed since the last one.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = RestrictedUser::Unread;
    }

    /// Nothing for a user who sees everything.
    pub(crate) async fn read(
        &self,
        linode: &LinodeApi,
    ) -> Result<Option<Restricted>, ProviderError> {
        let mut known = self.0.lock().await;
        if let RestrictedUser::Unread = &*known {
            *known = user(linode).await?;
        }
        Ok(match &*known {
            RestrictedUser::Restricted(it) => Some(it.clone()),
            RestrictedUser::Unread | RestrictedUser::SeesAll => None,
        })
    }

    /// Why what is answered for as "not found" may be there all the same, by what was read before the run.
    pub(crate) async fn hides(
        &self,
        kind: &Kind,
        id: &str,
        attributes: &Attributes,
    ) -> Option<String> {
        match &*self.0.lock().await {
            RestrictedUser::Restricted(it) => it.hides(kind, id, attributes),
            RestrictedUser::Unread | RestrictedUser::SeesAll => None,
        }
    }

    /// Who makes something is granted it.
    pub(crate) async fn made(&self, kind: &Kind, id: &str) {
        let Some(Of::Each { entity, .. }) = kind.rest.as_ref().and_then(|it| it.grants.as_ref())
        else {
            return;
        };
        if let RestrictedUser::Restricted(it) = &mut *self.0.lock().await {
            it.objects.entry(entity.clone()).or_default().insert(id.to_owned(), true);
        }
    }
}

async fn user(linode: &LinodeApi) -> Result<RestrictedUser, ProviderError> {
    let profile = linode.get("/profile", &[], None).await?;
    let garbled = |path: &str, what: &str| {
        linode.garbled(path, &format!("the response does not contain `{what}`"))
    };
    let restricted = profile.get("restricted").and_then(Json::as_bool);
    if !restricted.ok_or_else(|| garbled("/profile", "restricted"))? {
        return Ok(RestrictedUser::SeesAll);
    }
    let user = profile.get("username").and_then(Json::as_str);
    let user = user.ok_or_else(|| garbled("/profile", "username"))?;
    let grants = linode.get("/profile/grants", &[], None).await?;
    let global = grants.get("global").and_then(Json::as_object);
    let global = global.ok_or_else(|| garbled("/profile/grants", "global"))?;
    let given = global.iter().filter(|(_, it)| **it == Json::Bool(true));
    let global = given.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    Ok(RestrictedUser::Restricted(Restricted {
        user: user.to_owned(),
        objects: objects(&grants),
        global,
    }))
}

/// By sort and id: whether it may be changed. A grant of nothing is none.
fn objects(grants: &Json) -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut objects: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for (entity, rows) in grants.as_object().into_iter().flatten() {
        for row in rows.as_array().into_iter().flatten() {
            let permissions = row.get("permissions").and_then(Json::as_str);
            if let (Some(id), Some(permissions)) = (id(row), permissions) {
                let of_sort = objects.entry(entity.clone()).or_default();
                of_sort.insert(id, permissions == "read_write");
            }
        }
    }
    objects
}
