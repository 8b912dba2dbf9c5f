//! The rows of the Linode half: what is stored of each kind and under which keys it is found.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Millis;
use crate::linode::data::timeline::Timeline;
use crate::rows::keyed::Keyed;

/// A machine. Write-only inputs are kept too, so that `sandbox show` can tell them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinodeInstance {
    pub id: u64,
    pub label: String,
    pub group: String,
    pub region: String,
    pub plan: String,
    pub image: Option<String>,
    pub tags: Vec<String>,
    pub created: Millis,
    pub updated: Millis,
    pub public: Vec<String>,
    pub private: Option<String>,
    pub ipv6: String,
    pub alerts: Value,
    pub backups_enabled: bool,
    pub backup_day: Option<String>,
    pub backup_window: Option<String>,
    pub watchdog_enabled: bool,
    pub maintenance_policy: String,
    pub disk_encryption: String,
    pub interface_generation: String,
    pub user_data: Option<String>,
    pub authorized_keys: Vec<String>,
    pub authorized_users: Vec<String>,
    pub disks: Vec<Disk>,
    pub config_id: Option<u64>,
    pub timeline: Timeline,
    /// The plan that a running resize leads to, and when.
    pub resize: Option<(Millis, String)>,
}

impl LinodeInstance {
    pub fn plan_at(&self, now: Millis) -> &str {
        match &self.resize {
            Some((at, plan)) if *at <= now => plan,
            _ => &self.plan,
        }
    }

    pub fn addresses(&self) -> Vec<String> {
        self.public.iter().chain(&self.private).cloned().collect()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Disk {
    pub id: u64,
    pub label: String,
    pub filesystem: String,
    pub size: u64,
    pub created: Millis,
}

impl Keyed for LinodeInstance {
    fn keys(&self) -> Vec<String> {
        let mut keys = vec![format!("label:{}", self.label.to_lowercase())];
        keys.extend(self.public.iter().map(|address| format!("address:{address}")));
        keys.extend(
            self.private.iter().map(|address| format!("private:{}/{address}", self.region)),
        );
        keys.push(format!("address:{}", self.ipv6));
        keys.extend(tag_keys(&self.tags));
        keys
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeBalancer {
    pub id: u64,
    pub label: String,
    pub region: String,
    pub tier: String,
    pub ipv4: String,
    pub ipv6: String,
    pub client_conn_throttle: u64,
    pub client_udp_sess_throttle: u64,
    pub tags: Vec<String>,
    pub created: Millis,
    pub updated: Millis,
}

impl NodeBalancer {
    pub fn hostname(&self) -> String {
        format!("{}.ip.linodeusercontent.com", self.ipv4.replace('.', "-"))
    }
}

impl Keyed for NodeBalancer {
    fn keys(&self) -> Vec<String> {
        let mut keys = vec![
            format!("label:{}", self.label.to_lowercase()),
            format!("address:{}", self.ipv4),
            format!("address:{}", self.ipv6),
        ];
        keys.extend(tag_keys(&self.tags));
        keys
    }
}

/// A port of a NodeBalancer; the settings that need no logic stay together as they are shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    pub id: u64,
    #[serde(default)]
    pub created: Millis,
    pub nodebalancer: u64,
    pub port: u64,
    pub protocol: String,
    pub algorithm: String,
    pub stickiness: String,
    pub check: String,
    pub check_interval: u64,
    pub check_timeout: u64,
    pub check_attempts: u64,
    pub check_path: String,
    pub check_body: String,
    pub check_passive: bool,
    pub proxy_protocol: String,
    pub cipher_suite: String,
    pub udp_check_port: u64,
    pub ssl_cert: Option<String>,
    pub ssl_key: Option<String>,
}

impl Keyed for Config {
    fn keys(&self) -> Vec<String> {
        vec![format!("nodebalancer:{}", self.nodebalancer)]
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BalancerNode {
    pub id: u64,
    pub config: u64,
    pub nodebalancer: u64,
    pub label: String,
    pub address: String,
    pub weight: u64,
    pub mode: String,
    /// Since when the checks look at this address.
    pub since: Millis,
    #[serde(default)]
    pub created: Millis,
}

impl Keyed for BalancerNode {
    fn keys(&self) -> Vec<String> {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        vec![format!("config:{}", self.config), format!("host:{host}")]
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Domain {
    pub id: u64,
    pub domain: String,
    pub kind: String,
    pub status: String,
    pub description: String,
    pub soa_email: String,
    pub group: String,
    pub master_ips: Vec<String>,
    pub axfr_ips: Vec<String>,
    pub ttl_sec: u64,
    pub retry_sec: u64,
    pub refresh_sec: u64,
    pub expire_sec: u64,
    pub tags: Vec<String>,
    pub created: Millis,
    pub updated: Millis,
}

impl Keyed for Domain {
    fn keys(&self) -> Vec<String> {
        let mut keys = vec![format!("domain:{}", self.domain.to_lowercase())];
        keys.extend(tag_keys(&self.tags));
        keys
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainRecord {
    pub id: u64,
    pub domain: u64,
    pub kind: String,
    pub name: String,
    pub target: String,
    pub priority: u64,
    pub weight: u64,
    pub port: u64,
    pub service: Option<String>,
    pub protocol: Option<String>,
    pub ttl_sec: u64,
    pub tag: Option<String>,
    pub created: Millis,
    pub updated: Millis,
}

impl Keyed for DomainRecord {
    fn keys(&self) -> Vec<String> {
        vec![
            format!("domain:{}", self.domain),
            format!("name:{}/{}", self.domain, self.name.to_lowercase()),
        ]
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Firewall {
    pub id: u64,
    pub label: String,
    pub status: String,
    /// As it came: rules are echoed, not rebuilt.
    pub rules: Value,
    pub version: u64,
    pub tags: Vec<String>,
    pub created: Millis,
    pub updated: Millis,
}

impl Keyed for Firewall {
    fn keys(&self) -> Vec<String> {
        let mut keys = vec![format!("label:{}", self.label.to_lowercase())];
        keys.extend(tag_keys(&self.tags));
        keys
    }
}

/// What a firewall protects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub id: u64,
    pub firewall: u64,
    pub entity_type: String,
    pub entity_id: u64,
    pub created: Millis,
}

impl Keyed for Device {
    fn keys(&self) -> Vec<String> {
        vec![
            format!("firewall:{}", self.firewall),
            format!("entity:{}/{}", self.entity_type, self.entity_id),
        ]
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    pub id: u64,
    pub label: String,
    pub region: String,
    /// In GB; while it grows already the new size.
    pub size: u64,
    pub encryption: String,
    pub tags: Vec<String>,
    /// The machine that it is attached to, or was until `leaves_at`.
    pub linode: Option<u64>,
    /// What it shows until `busy_until`, and `active` from then on.
    pub busy: String,
    pub busy_until: Millis,
    /// Its machine can read from it from then on.
    pub readable_at: Millis,
    /// It is on its way off its machine, and gone from it then.
    pub leaves_at: Option<Millis>,
    pub created: Millis,
    pub updated: Millis,
}

impl Volume {
    pub fn status(&self, now: Millis) -> &str {
        if now < self.busy_until { &self.busy } else { "active" }
    }

    pub fn linode_at(&self, now: Millis) -> Option<u64> {
        self.linode.filter(|_| self.leaves_at.is_none_or(|at| now < at))
    }
}

impl Keyed for Volume {
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.linode.iter().map(|id| format!("linode:{id}")).collect();
        keys.extend(tag_keys(&self.tags));
        keys
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SshKey {
    pub id: u64,
    pub label: String,
    pub ssh_key: String,
    pub created: Millis,
    /// Whose profile it is in; empty: of the user who sees everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

impl Keyed for SshKey {
    fn keys(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Something that happened, or is happening; where it stands follows from the time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinodeEvent {
    pub id: u64,
    pub action: String,
    pub created: Millis,
    /// When the job starts and ends; `None` for a mere notification.
    pub job: Option<(Millis, Millis)>,
    pub entity: Value,
    pub secondary_entity: Value,
    pub seen: bool,
}

impl Keyed for LinodeEvent {
    fn keys(&self) -> Vec<String> {
        Vec::new()
    }
}

fn tag_keys(tags: &[String]) -> impl Iterator<Item = String> {
    tags.iter().map(|tag| format!("tag:{}", tag.to_lowercase()))
}
