//! By whom a comment or an issue has to be to count as ours: anybody can write its marker.

use crate::cloud::error::ProviderError;
use crate::code_host::host::{CodeHost, HostUser};

/// Whom we write as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnAuthor {
    Known(HostUser),
    /// The host does not tell the token of a job whose it is: it is one of these.
    OfJob(&'static [&'static str]),
}

impl OwnAuthor {
    /// Who it is: as was said on the command line, else as the host tells.
    pub async fn find(host: &dyn CodeHost, said: Option<&str>) -> Result<Self, ProviderError> {
        if let Some(login) = said {
            return Ok(Self::Known(HostUser { id: None, login: login.to_owned() }));
        }
        Ok(host.me().await?.map_or_else(|| Self::OfJob(host.job_logins()), Self::Known))
    }

    /// Whether this user is who we write as. Nobody is nobody.
    pub fn is(&self, user: &HostUser) -> bool {
        let same = |login: &str| !login.is_empty() && login.eq_ignore_ascii_case(&user.login);
        match self {
            Self::Known(HostUser { id: Some(own), .. }) if user.id.is_some() => {
                user.id == Some(*own)
            }
            Self::Known(own) => same(&own.login),
            Self::OfJob(logins) => logins.iter().any(|it| same(it)),
        }
    }

    /// The users whose issues are asked for.
    pub(super) fn all(&self) -> Vec<HostUser> {
        match self {
            Self::Known(own) => vec![own.clone()],
            Self::OfJob(logins) => {
                let user = |it: &&str| HostUser { id: None, login: (*it).to_owned() };
                logins.iter().map(user).collect()
            }
        }
    }

    /// What was just made tells who made it: an app has a name of its own.
    pub(super) fn learn(&mut self, made_by: &HostUser) {
        if !self.is(made_by) && !made_by.login.is_empty() {
            *self = Self::Known(made_by.clone());
        }
    }
}
