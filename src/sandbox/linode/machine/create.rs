//! Orders a machine: everything that is checked, everything that is chosen, and the jobs that bring it up.

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::catalog::{self, plan_number};
use crate::linode::data::model::{Disk, LinodeInstance};
use crate::linode::data::store::LinodeWorld;
use crate::linode::data::timeline::{BOOT, DEPLOY, PREPARE, Timeline};
use crate::linode::firewall::devices;
use crate::linode::machine::addresses;
use crate::linode::machine::view;
use crate::linode::request::body::{RequestBody, is_label};
use crate::linode::request::call::{CallResult, LinodeCall};
use crate::linode::request::events;
use crate::linode::request::tags;
use crate::linode::users;

/// What the real one takes as well (linode-openapi, and the reduced list of 4.229).
const UNMODELLED: &[&str] = &[
    "backup_id",
    "boot_size",
    "interfaces",
    "ipv4",
    "kernel",
    "network_helper",
    "placement_group",
];

/// What was deployed onto a machine: by create, and again by rebuild.
#[derive(Debug, Default)]
pub struct Deployment {
    pub image: Option<String>,
    pub booted: Option<bool>,
    pub swap: u64,
    pub user_data: Option<String>,
    pub authorized_keys: Vec<String>,
    pub authorized_users: Vec<String>,
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    // What is wrong with the region comes before what is wrong with the type.
    let region = region(&mut form, "Linodes");
    let plan = plan(&mut form);
    form.unmodelled(UNMODELLED);
    if !catalog::is_available(&plan, &region) {
        form.error("type", "This plan is not available in this region");
    }
    let label = label(&mut form, cloud, None);
    let tag_list = form.tags().unwrap_or_default();
    let group = form.text("group").unwrap_or_default();
    let private = form.flag("private_ip").unwrap_or(false);
    let backups_enabled = form.flag("backups_enabled").unwrap_or(false);
    let disk_encryption = form.one_of("disk_encryption", &["enabled", "disabled"]);
    let policy = maintenance_policy(&mut form);
    let generation = form.one_of("interface_generation", &["legacy_config", "linode"]);
    if generation.as_deref() == Some("linode") && private {
        // Only legacy interfaces have an address in 192.168.128.0/17 (techdocs: upgrade to Linode interfaces).
        form.error("private_ip", "private_ip is not supported with Linode interfaces");
    }
    let firewall = firewall(&mut form, cloud);
    let deployment = deployment(&mut form, cloud, &region);
    form.finish()?;

    let id = cloud.next_id("linode");
    let now = call.now;
    let mut instance = LinodeInstance {
        id,
        label: label.unwrap_or_else(|| format!("linode{id}")),
        group,
        public: vec![addresses::public_ipv4(cloud)],
        private: private.then(|| addresses::private_ipv4(cloud, &region)),
        ipv6: addresses::slaac(cloud, &region),
        alerts: alerts(&plan),
        region,
        plan,
        image: None,
        tags: tag_list,
        created: now,
        updated: now,
        backups_enabled,
        backup_day: None,
        backup_window: None,
        watchdog_enabled: true,
        maintenance_policy: policy.unwrap_or_else(|| "linode/migrate".into()),
        disk_encryption: disk_encryption.unwrap_or_else(|| "enabled".into()),
        interface_generation: generation.unwrap_or_else(|| "legacy_config".into()),
        user_data: None,
        authorized_keys: Vec::new(),
        authorized_users: Vec::new(),
        disks: Vec::new(),
        config_id: None,
        timeline: Timeline::default(),
        resize: None,
    };
    tags::learn(cloud, &instance.tags);
    // Deploying takes up to 4 s longer on one machine than on the next, but the same on every run: 47 to 62 s were recorded in
    // all (linodego's recordings).
    let jitter = Millis::try_from(id % 5).unwrap_or(0) * 1_000;
    let takes = if deployment.image.is_some() { DEPLOY + jitter } else { PREPARE };
    deploy(cloud, now, &mut instance, deployment, ("linode_create", "provisioning", takes));
    let view = view::instance(&instance, now);
    cloud.instances.put(id, instance);
    if let Some(firewall) = firewall {
        devices::attach(cloud, now, firewall, "linode", id);
    }
    Ok(view)
}

/// Puts the deployment onto the machine and queues the jobs: `(action, status meanwhile, duration)`, then boot.
pub fn deploy(
    cloud: &mut LinodeWorld,
    now: Millis,
    instance: &mut LinodeInstance,
    deployment: Deployment,
    (action, during, takes): (&str, &str, Millis),
) {
    let who = events::linode(instance.id, &instance.label);
    let job = instance.timeline.add(now, takes, during, "offline");
    let image = deployment.image.as_deref().and_then(catalog::image);
    let secondary = image.map_or(Value::Null, |image| {
        json!({
            "id": image["id"], "type": "image", "label": image["label"],
            "url": format!("/v4/images/{}", image["id"].as_str().unwrap_or_default()),
        })
    });
    events::write(cloud, now, action, Some(job), who.clone(), secondary);
    if let Some(image) = image {
        let name = image["label"].as_str().unwrap_or("Linux").to_owned();
        let plan_disk = plan_number(instance.plan_at(now), "disk");
        let mut disk = |label: String, filesystem: &str, size: u64| Disk {
            id: cloud.next_id("disk"),
            label,
            filesystem: filesystem.into(),
            size,
            created: now,
        };
        instance.disks =
            vec![disk(format!("{name} Disk"), "ext4", plan_disk.saturating_sub(deployment.swap))];
        if deployment.swap > 0 {
            instance.disks.push(disk(
                format!("{} MB Swap Image", deployment.swap),
                "swap",
                deployment.swap,
            ));
        }
        instance.config_id = Some(cloud.next_id("profile"));
        if deployment.booted.unwrap_or(true) {
            let boot = instance.timeline.add(now, BOOT, "booting", "running");
            let config = booted_config(instance);
            events::write(cloud, now, "linode_boot", Some(boot), who, config);
        }
    }
    instance.image = deployment.image;
    instance.user_data = deployment.user_data;
    instance.authorized_keys = deployment.authorized_keys;
    instance.authorized_users = deployment.authorized_users;
}

/// The config that a machine boots with, as its events tell it.
pub fn booted_config(it: &LinodeInstance) -> Value {
    let config = view::configs(it).into_iter().next();
    config.map_or(Value::Null, |config| {
        json!({
            "id": config["id"], "type": "linode_config", "label": config["label"],
            "url": format!("/v4/linode/instances/{}/configs/{}", it.id, config["id"]),
        })
    })
}

/// Reads and checks what create and rebuild have in common.
pub fn deployment(form: &mut RequestBody<'_>, cloud: &LinodeWorld, region: &str) -> Deployment {
    form.unmodelled(&["stackscript_id", "stackscript_data"]);
    let image = form.text("image");
    let row = image.as_deref().and_then(catalog::image);
    if image.is_some() && row.is_none() {
        form.error("image", "image is not valid");
    }
    let authorized_keys = form.texts("authorized_keys").unwrap_or_default();
    for (index, key) in authorized_keys.iter().enumerate() {
        if !is_ssh_key(key) {
            form.error(&format!("authorized_keys[{index}]"), "SSH Key contains invalid data.");
        }
    }
    let authorized_users = form.texts("authorized_users").unwrap_or_default();
    for name in authorized_users.iter().filter(|it| !users::is_known(cloud, it)) {
        form.error("authorized_users", users::stranger(name));
    }
    let password = form.text("root_pass");
    if password.as_ref().is_some_and(|it| !(7..=128).contains(&it.chars().count())) {
        form.error("root_pass", "Password does not meet strength requirement");
    }
    if image.is_some()
        && password.is_none()
        && authorized_keys.is_empty()
        && authorized_users.is_empty()
    {
        form.objection("Must provide valid root_pass, authorized_keys, or authorized_users");
    }
    Deployment {
        booted: form.flag("booted"),
        swap: form.number("swap_size").unwrap_or(512),
        user_data: user_data(form, region, row),
        image,
        authorized_keys,
        authorized_users,
    }
}

fn user_data(form: &mut RequestBody<'_>, region: &str, image: Option<&Value>) -> Option<String> {
    let metadata = form.object("metadata")?;
    let mut nested = RequestBody::within(metadata, "metadata.");
    let text = nested.text("user_data");
    if let Some(text) = &text {
        match data_encoding::BASE64.decode(text.as_bytes()) {
            Err(_) => nested.error("user_data", "user_data must be a valid base64 encoded string"),
            Ok(bytes) if bytes.len() > 65_535 => {
                nested.error("user_data", "user_data must be 65535 bytes or less when decoded");
            }
            Ok(_) => {}
        }
        let region = catalog::region(region);
        if region.is_some_and(|row| !catalog::has_capability(row, "Metadata")) {
            nested.error("user_data", "Metadata is not supported in this region");
        }
        if image.is_some_and(|row| !catalog::has_capability(row, "cloud-init")) {
            nested.error("user_data", "The image does not support cloud-init");
        }
    }
    form.absorb(nested);
    text
}

pub fn maintenance_policy(form: &mut RequestBody<'_>) -> Option<String> {
    let policy = form.text("maintenance_policy")?;
    if !["linode/migrate", "linode/power_off_on"].contains(&policy.as_str()) {
        form.error("maintenance_policy", "Unsupported maintenance policy slug format.");
    }
    Some(policy)
}

/// The region, if it exists and can do this.
pub fn region(form: &mut RequestBody<'_>, capability: &str) -> String {
    form.require("region");
    let region = form.text("region");
    if let Some(id) = &region
        && !catalog::region(id).is_some_and(|row| catalog::has_capability(row, capability))
    {
        form.error("region", "region is not valid");
    }
    region.unwrap_or_default()
}

pub fn plan(form: &mut RequestBody<'_>) -> String {
    form.require("type");
    let plan = form.text("type");
    if plan.as_deref().is_some_and(|id| catalog::plan(id).is_none()) {
        form.error("type", "A valid plan type by that ID was not found");
    }
    plan.unwrap_or_default()
}

/// The label; `own` is the machine that may keep it.
pub fn label(form: &mut RequestBody<'_>, cloud: &LinodeWorld, own: Option<u64>) -> Option<String> {
    let label = form.sized("label", 3, 64)?;
    if !is_label(&label) {
        form.error("label", "Must only use ASCII letters, numbers, underscores, dashes, and periods, begin with a letter and end with a letter or number");
    }
    let taken = cloud.instances.first(&format!("label:{}", label.to_lowercase()));
    if taken.is_some_and(|(id, _)| Some(id) != own) {
        form.error("label", "Label must be unique among your linodes");
    }
    Some(label)
}

/// The firewall to stand before a new entity; −1 means none.
pub fn firewall(form: &mut RequestBody<'_>, cloud: &LinodeWorld) -> Option<u64> {
    if form.value("firewall_id").and_then(Value::as_i64) == Some(-1) {
        return None;
    }
    let id = form.number("firewall_id")?;
    if cloud.firewalls.get(id).is_none() {
        form.error("firewall_id", "firewall_id is not valid");
    }
    Some(id)
}

fn alerts(plan: &str) -> Value {
    json!({
        "cpu": 90 * plan_number(plan, "vcpus"), "network_in": 10, "network_out": 10, "transfer_quota": 80,
        "io": 10_000, "system_alerts": [], "user_alerts": [],
    })
}

/// The kinds of keys that are taken, with a body that could be one.
pub fn is_ssh_key(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let known = [
        "ssh-dss",
        "ssh-rsa",
        "ssh-ed25519",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com",
    ]
    .contains(&kind)
        || kind.starts_with("ecdsa-sha2-nistp");
    known && words.next().is_some_and(|body| body.starts_with("AAAA"))
}
