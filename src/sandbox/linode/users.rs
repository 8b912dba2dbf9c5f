//! Who belongs to the sandbox's account: its owner, some colleagues, and whoever is added.

use serde_json::{Value, json};

use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError};
use crate::linode::request::listing::page;

/// The owner, and those whom the stacks that come with lifeboat let in to their machines.
const ALWAYS: [&str; 7] = ["sandbox", "ops", "someone", "example", "life", "me", "a"];

/// Whether somebody's keys can be put on a machine.
pub fn is_known(cloud: &LinodeWorld, name: &str) -> bool {
    ALWAYS.contains(&name) || cloud.users.get(&name.to_owned()).is_some()
}

/// What is wrong with a name that nobody here has; the real API only refuses it.
pub fn stranger(name: &str) -> String {
    format!(
        "{name} is not a user of this account; the sandbox has {}, and POST /account/users adds others",
        ALWAYS.join(", ")
    )
}

fn view(name: &str, email: &str) -> Value {
    json!({
        "username": name, "email": email, "restricted": false, "ssh_keys": [], "tfa_enabled": false,
        "user_type": "default", "verified_phone_number": null, "password_created": null, "last_login": null,
    })
}

fn always(name: &str) -> Value {
    view(name, &format!("{name}@example.com"))
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let added = cloud.users.iter().map(|(name, email)| view(name, email));
    page(call, ALWAYS.map(always).into_iter().chain(added).collect(), &["username"])
}

pub fn get(cloud: &LinodeWorld, name: &str) -> CallResult {
    if ALWAYS.contains(&name) {
        return Ok(always(name));
    }
    let email = cloud.users.get(&name.to_owned()).ok_or_else(LinodeError::not_found)?;
    Ok(view(name, email))
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("username");
    form.require("email");
    let name = form.sized("username", 3, 32).unwrap_or_default();
    let email = form.text("email").unwrap_or_default();
    if form.flag("restricted") == Some(true) {
        form.error(
            "restricted",
            "the sandbox does not support restricted users here; use `sandbox restrict`",
        );
    }
    if is_known(cloud, &name) {
        form.error("username", "Username is already taken");
    }
    form.finish()?;
    cloud.users.put(name.clone(), email);
    get(cloud, &name)
}
