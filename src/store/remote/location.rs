//! Where a store is: read from an address or from `state:` in a stack, checked, and written back as it was read.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cloud::settings::is_loopback;
use crate::engine::text::diagnostic::nearest;
use crate::store::remote::names::{
    is_bucket, is_fault_domain, is_prefix, is_profile, is_region, is_table, is_variable,
};

/// What signs requests for a store that is in no region.
const REGION_ELSEWHERE: &str = "us-east-1";

/// What a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreProtocol {
    S3,
    DynamoDb,
}

impl StoreProtocol {
    pub(super) const ALL: [Self; 2] = [Self::S3, Self::DynamoDb];

    /// As it stands in an address and in `state:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::DynamoDb => "dynamodb",
        }
    }

    /// What the key of its bucket or table is called.
    pub fn container_word(self) -> &'static str {
        match self {
            Self::S3 => "bucket",
            Self::DynamoDb => "table",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Whose credentials a store is asked with. Empty: what the AWS default chain finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialSource {
    pub profile: Option<String>,
    pub role_arn: Option<String>,
    /// Names of variables of the environment.
    pub variables: Option<CredentialVariables>,
}

/// The variables of the environment that hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialVariables {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

/// A bucket or a table, and where in it states are kept. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, BTreeMap<String, String>>")]
#[serde(into = "BTreeMap<String, BTreeMap<String, String>>")]
pub struct StoreLocation {
    pub protocol: StoreProtocol,
    /// The bucket or the table.
    pub container: String,
    /// Empty: states stand at the top.
    pub prefix: String,
    /// The region of AWS; elsewhere what requests are signed for.
    pub region: String,
    /// Where no AWS answers, or not where it does by itself: without a path.
    pub endpoint: Option<String>,
    /// What is lost together with it.
    pub fault_domain: String,
    pub credentials: CredentialSource,
}

/// The stores that a stack's `state:` declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, serde_json::Value>")]
pub struct DeclaredStores {
    pub primary: StoreLocation,
    pub mirror: Option<StoreLocation>,
    pub witness: Option<StoreLocation>,
}

/// Why something says no place of a store, and what to write. It never repeats a value that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct LocationError {
    pub what: String,
    pub remedy: String,
}

pub(super) fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> LocationError {
    LocationError { what: what.into(), remedy: remedy.into() }
}

/// The keys of `state:` beside the bucket or the table.
pub(super) const KEYS: [&str; 9] = [
    "access_key_env",
    "endpoint",
    "fault_domain",
    "prefix",
    "profile",
    "region",
    "role_arn",
    "secret_key_env",
    "session_token_env",
];

impl StoreLocation {
    /// What people call the store itself, without its settings.
    pub fn name(&self) -> String {
        let Self { protocol, container, prefix, .. } = self;
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{}://{container}{slash}{prefix}", protocol.as_str())
    }

    /// Who answers for it.
    pub fn address(&self) -> String {
        self.endpoint.clone().unwrap_or_else(|| {
            let top = if self.region.starts_with("cn-") { "com.cn" } else { "com" };
            format!("https://{}.{}.amazonaws.{top}", self.protocol.as_str(), self.region)
        })
    }

    /// Whether requests travel in the clear; only ever to this machine.
    pub fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|it| it.starts_with("http://"))
    }

    /// Its settings as they are written, its bucket or table among them.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                all.insert(key.into(), value.into());
            }
        };
        set(self.protocol.container_word(), Some(&self.container));
        set("prefix", Some(self.prefix.as_str()).filter(|it| !it.is_empty()));
        let is_foreign = !is_aws(self.endpoint.as_deref());
        set(
            "region",
            Some(self.region.as_str()).filter(|it| !is_foreign || *it != REGION_ELSEWHERE),
        );
        set("endpoint", self.endpoint.as_deref());
        set("fault_domain", is_foreign.then_some(self.fault_domain.as_str()));
        let CredentialSource { profile, role_arn, variables } = &self.credentials;
        set("profile", profile.as_deref());
        set("role_arn", role_arn.as_deref());
        if let Some(variables) = variables {
            set("access_key_env", Some(&variables.access_key));
            set("secret_key_env", Some(&variables.secret_key));
            set("session_token_env", variables.session_token.as_deref());
        }
        all
    }

    /// The store without how it is reached: two that are equal in this are one.
    pub fn identity(&self) -> String {
        format!("{} in {} at {}", self.name(), self.region, self.address())
    }

    /// The place that these settings say.
    pub fn from_settings(
        protocol: StoreProtocol,
        mut settings: BTreeMap<String, String>,
    ) -> Result<Self, LocationError> {
        let word = protocol.container_word();
        for key in settings.keys() {
            let known = KEYS.into_iter().chain([word]);
            if !known.clone().any(|it| it == key) {
                let what = format!("`{}` has no key `{}`", protocol.as_str(), plain(key));
                let all =
                    || format!("its keys are {}", known.clone().collect::<Vec<_>>().join(", "));
                let near = nearest(key, known.clone());
                return Err(wrong(
                    what,
                    near.map_or_else(all, |it| format!("did you mean `{it}`?")),
                ));
            }
        }
        let mut take = |key: &str| settings.remove(key);
        let container = take(word).unwrap_or_default();
        let prefix = take("prefix").unwrap_or_default();
        let endpoint = take("endpoint").map(|it| it.trim_end_matches('/').to_owned());
        check_container(protocol, &container)?;
        if !is_prefix(&prefix) {
            let remedy = "write names of letters, digits, `_`, `-` and `.`, with `/` between them";
            return Err(wrong(format!("`{}` is no prefix", plain(&prefix)), remedy));
        }
        check_endpoint(endpoint.as_deref())?;
        let is_foreign = !is_aws(endpoint.as_deref());
        let region = match take("region") {
            Some(region) if is_region(&region) => region,
            Some(region) => {
                let what = format!("`{}` is no region", plain(&region));
                return Err(wrong(what, "write one as `eu-central-1`"));
            }
            None if is_foreign => REGION_ELSEWHERE.into(),
            None => {
                let what = format!("it is not said in which region the {word} is");
                return Err(wrong(what, "add `region`"));
            }
        };
        let fault_domain = fault_domain(is_foreign, &region, take("fault_domain"))?;
        let credentials = credentials(&mut take, is_foreign)?;
        Ok(Self { protocol, container, prefix, region, endpoint, fault_domain, credentials })
    }
}

fn check_container(protocol: StoreProtocol, container: &str) -> Result<(), LocationError> {
    let (is_one, remedy) = match protocol {
        StoreProtocol::S3 => (
            is_bucket(container),
            "a bucket's name has 3 to 63 lower-case letters, digits, `-` and `.`",
        ),
        StoreProtocol::DynamoDb => {
            (is_table(container), "a table's name has 3 to 255 letters, digits, `_`, `-` and `.`")
        }
    };
    if is_one {
        return Ok(());
    }
    let word = protocol.container_word();
    Err(if container.is_empty() {
        wrong(format!("there is no `{word}`"), remedy)
    } else {
        wrong(format!("`{}` is no name of a {word}", plain(container)), remedy)
    })
}

/// Law 9: nothing that signs a request travels in the clear, except to this machine.
fn check_endpoint(endpoint: Option<&str>) -> Result<(), LocationError> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let remedy = "write it as `https://HOST:PORT`";
    let Ok(url) = reqwest::Url::parse(endpoint) else {
        return Err(wrong("`endpoint` is no address", remedy));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let remedy =
            "name variables of the environment that hold them: `access_key_env`, `secret_key_env`";
        return Err(wrong("`endpoint` holds credentials, which are not shown here", remedy));
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() || !is_bare {
        return Err(wrong(format!("`{}` is no endpoint", plain(endpoint)), remedy));
    }
    if url.scheme() == "http" && !is_loopback(endpoint) {
        let what = format!("`{}` is plain HTTP, and leads away from this machine", plain(endpoint));
        return Err(wrong(what, "use an https:// address: states are never sent in the clear"));
    }
    Ok(())
}

/// Whether it is AWS that answers there.
fn is_aws(endpoint: Option<&str>) -> bool {
    let Some(endpoint) = endpoint else { return true };
    let url = reqwest::Url::parse(endpoint).ok();
    let host = url.as_ref().and_then(|it| it.host_str()).unwrap_or_default();
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|it| host.ends_with(it))
}

fn fault_domain(
    is_foreign: bool,
    region: &str,
    said: Option<String>,
) -> Result<String, LocationError> {
    let derived = format!("aws:{region}");
    match said {
        None if !is_foreign => Ok(derived),
        None => Err(wrong(
            "a store at an endpoint of its own needs a fault domain",
            "add `fault_domain`: what is lost together with it, as `linode:us-east`, or a name of your own",
        )),
        Some(said) if !is_fault_domain(&said) => {
            let what = format!("`{}` is no fault domain", plain(&said));
            Err(wrong(what, "write one as `linode:us-east`, or a name of your own"))
        }
        Some(said) if is_foreign || said == derived => Ok(said),
        Some(said) => {
            let what = format!("this store is in `{derived}`, not in `{said}`");
            Err(wrong(what, "leave `fault_domain` out: it follows from the region"))
        }
    }
}

fn credentials(
    take: &mut impl FnMut(&str) -> Option<String>,
    is_foreign: bool,
) -> Result<CredentialSource, LocationError> {
    let (profile, role_arn) = (take("profile"), take("role_arn"));
    if profile.as_ref().is_some_and(|it| !is_profile(it)) {
        let remedy = "write a name that stands in the AWS configuration file";
        return Err(wrong("`profile` is no name of a profile", remedy));
    }
    let is_role = |it: &String| it.starts_with("arn:") && it.contains(":role/") && is_arn(it);
    if role_arn.as_ref().is_some_and(|it| !is_role(it)) {
        let remedy = "write it as `arn:aws:iam::123456789012:role/NAME`";
        return Err(wrong("`role_arn` is no ARN of a role", remedy));
    }
    if role_arn.is_some() && is_foreign {
        let remedy = "name a `profile`, or variables of the environment that hold its keys";
        return Err(wrong("`role_arn` is for AWS, and this store is elsewhere", remedy));
    }
    let mut variable = |key: &str| match take(key) {
        Some(name) if !is_variable(&name) => Err(wrong(
            format!(
                "`{key}` is no name of a variable; what it says is not shown, since it may be a secret"
            ),
            "write the name of a variable of the environment that holds the value",
        )),
        name => Ok(name),
    };
    let access_key = variable("access_key_env")?;
    let secret_key = variable("secret_key_env")?;
    let session_token = variable("session_token_env")?;
    let variables = match (access_key, secret_key, session_token) {
        (Some(access_key), Some(secret_key), session_token) => {
            Some(CredentialVariables { access_key, secret_key, session_token })
        }
        (None, None, None) => None,
        _ => {
            let what = "`access_key_env` and `secret_key_env` go together";
            return Err(wrong(what, "name both, and `session_token_env` only beside them"));
        }
    };
    if profile.is_some() && variables.is_some() {
        let what = "`profile` and `access_key_env` are two sources of credentials";
        return Err(wrong(what, "leave one of them out"));
    }
    Ok(CredentialSource { profile, role_arn, variables })
}

fn is_arn(text: &str) -> bool {
    text.len() <= 2048
        && text.chars().all(|it| it.is_ascii_alphanumeric() || ":/_+=,.@-".contains(it))
}

/// For a message: without what could move a cursor, and not without end.
fn plain(text: &str) -> String {
    text.chars().take(80).map(|it| if it.is_control() { '?' } else { it }).collect()
}

impl fmt::Display for StoreLocation {
    /// As [`StoreLocation::from_str`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, container, prefix, .. } = self;
        write!(f, "{}://{container}", protocol.as_str())?;
        let mut settings = self.settings();
        settings.remove(protocol.container_word());
        if *protocol == StoreProtocol::S3 && settings.remove("prefix").is_some() {
            write!(f, "/{prefix}")?;
        }
        for (at, (key, value)) in settings.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            f.write_char(mark)?;
            write!(f, "{key}={}", value.replace('%', "%25").replace('+', "%2B").replace(' ', "+"))?;
        }
        Ok(())
    }
}

impl FromStr for StoreLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let remedy =
            "write it as `s3://BUCKET/PREFIX?region=REGION` or `dynamodb://TABLE?region=REGION`";
        let Ok(url) = reqwest::Url::parse(text.trim()) else {
            return Err(wrong("this is no address of a store", remedy));
        };
        let Some(protocol) = StoreProtocol::parse(url.scheme()) else {
            return Err(wrong(format!("no store speaks `{}`", plain(url.scheme())), remedy));
        };
        if !url.username().is_empty() || url.password().is_some() {
            let remedy = "name variables of the environment that hold them: `access_key_env`, `secret_key_env`";
            return Err(wrong("the address holds credentials, which are not shown here", remedy));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(wrong("the address of a store has neither a port nor a `#`", remedy));
        }
        // They are gone from a parsed address, and another prefix is left than somebody wrote.
        let written = text.split('?').next().unwrap_or_default().to_ascii_lowercase();
        if written.replace("%2e", ".").split('/').any(|it| it == "." || it == "..") {
            return Err(wrong("the address of a store has no `.` or `..` in its path", remedy));
        }
        let mut settings = BTreeMap::new();
        for (key, value) in url.query_pairs() {
            if settings.insert(key.to_string(), value.to_string()).is_some() {
                return Err(wrong(format!("`{}` is given twice", plain(&key)), "keep one of them"));
            }
        }
        let path = url.path().trim_start_matches('/').trim_end_matches('/');
        let word = protocol.container_word();
        let twice = match protocol {
            StoreProtocol::S3 => ["prefix", word].iter().any(|it| settings.contains_key(*it)),
            StoreProtocol::DynamoDb => !path.is_empty() || settings.contains_key(word),
        };
        if twice {
            let what = match protocol {
                StoreProtocol::S3 => "bucket and prefix stand before the `?`",
                StoreProtocol::DynamoDb => "a table has no path; its prefix is a setting",
            };
            return Err(wrong(what, remedy.replace("TABLE?", "TABLE?prefix=PREFIX&")));
        }
        settings.insert(word.into(), url.host_str().unwrap_or_default().into());
        if protocol == StoreProtocol::S3 {
            settings.insert("prefix".into(), path.into());
        }
        Self::from_settings(protocol, settings)
    }
}

impl TryFrom<BTreeMap<String, BTreeMap<String, String>>> for StoreLocation {
    type Error = LocationError;

    fn try_from(map: BTreeMap<String, BTreeMap<String, String>>) -> Result<Self, LocationError> {
        let remedy = "write `s3: { bucket: …, region: … }` or `dynamodb: { table: …, region: … }`";
        let mut map = map.into_iter();
        let (Some((key, settings)), None) = (map.next(), map.next()) else {
            return Err(wrong("a store is one of `s3` and `dynamodb`", remedy));
        };
        let Some(protocol) = StoreProtocol::parse(&key) else {
            return Err(unknown("a store", &key, &["s3", "dynamodb"]));
        };
        Self::from_settings(protocol, settings)
    }
}

impl From<StoreLocation> for BTreeMap<String, BTreeMap<String, String>> {
    fn from(it: StoreLocation) -> Self {
        [(it.protocol.as_str().to_owned(), it.settings())].into()
    }
}

fn unknown(what: &str, key: &str, known: &[&str]) -> LocationError {
    let near = nearest(key, known.iter().copied());
    let all = || format!("its keys are {}", known.join(", "));
    let remedy = near.map_or_else(all, |it| format!("did you mean `{it}`?"));
    wrong(format!("{what} has no key `{}`", plain(key)), remedy)
}

impl TryFrom<BTreeMap<String, serde_json::Value>> for DeclaredStores {
    type Error = LocationError;

    fn try_from(map: BTreeMap<String, serde_json::Value>) -> Result<Self, LocationError> {
        const KEYS: [&str; 4] = ["s3", "dynamodb", "mirror", "witness"];
        if let Some(key) = map.keys().find(|it| !KEYS.contains(&it.as_str())) {
            return Err(unknown("`state`", key, &KEYS));
        }
        let one = |value: &serde_json::Value| -> Result<StoreLocation, LocationError> {
            serde_json::from_value(value.clone()).map_err(|why| {
                let remedy = "write plain texts: no numbers, no lists, no `${…}`";
                match why.to_string() {
                    // Said by us: it has its own remedy.
                    text if text.contains("; ") => {
                        let (what, remedy) = text.split_once("; ").unwrap_or((&text, remedy));
                        wrong(what, remedy)
                    }
                    text => wrong(text, remedy),
                }
            })
        };
        let primary = map.iter().filter(|(key, _)| StoreProtocol::parse(key).is_some());
        let primary: serde_json::Map<_, _> =
            primary.map(|(key, value)| (key.clone(), value.clone())).collect();
        let primary = one(&primary.into())?;
        let mirror = map.get("mirror").map(one).transpose()?;
        let witness = map.get("witness").map(one).transpose()?;
        let stores = Self { primary, mirror, witness };
        stores.check()?;
        Ok(stores)
    }
}
