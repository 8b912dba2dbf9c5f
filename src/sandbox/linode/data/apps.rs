//! The application on the machines: how long after a boot it answers, on which ports, and which revisions are broken.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::http::Millis;

/// Where every image listens as soon as it has booted, whatever runs on it.
const SSH: u16 = 22;

/// What is known of the application on some machines; what is not said is as it is on the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct App {
    /// World time from the end of a boot until it listens; nothing said means at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Millis>,
    /// Where it listens; nothing said means on every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<BTreeSet<u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenApp>,
}

/// How a broken application shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokenApp {
    /// It listens and answers every request with an error: a check of the connection alone is content.
    Errors,
    /// It ends as soon as it was started, and nothing listens.
    Closed,
}

/// What a connection to a port of a machine meets, firewalls aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppAnswer {
    /// A healthy one.
    Well,
    /// It is accepted, and every request is an error.
    Errors,
    /// Nothing listens.
    Closed,
    /// The machine is off, or its region is lost.
    Silent,
}

impl App {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn listens(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|it| it.contains(&port))
    }

    /// The same, where another one says nothing else.
    #[must_use]
    pub fn overlaid(self, other: &Self) -> Self {
        Self {
            start: other.start.or(self.start),
            ports: other.ports.clone().or(self.ports),
            broken: other.broken.or(self.broken),
        }
    }

    /// World time from the end of a boot until it listens.
    pub fn delay(&self) -> Millis {
        self.start.unwrap_or(0)
    }

    /// Once the machine runs for so long.
    pub fn answers(&self, port: u16, runs_for: Millis, unhealthy: bool) -> AppAnswer {
        if port == SSH && self.ports.as_ref().is_none_or(|it| !it.contains(&SSH)) {
            return AppAnswer::Well;
        }
        match self.broken {
            _ if !self.listens(port) || runs_for < self.delay() => AppAnswer::Closed,
            Some(BrokenApp::Closed) => AppAnswer::Closed,
            Some(BrokenApp::Errors) => AppAnswer::Errors,
            None if unhealthy => AppAnswer::Errors,
            None => AppAnswer::Well,
        }
    }

    /// Where users would look for it.
    pub fn front(&self) -> Vec<u16> {
        self.ports.as_ref().map_or_else(|| vec![80, 443], |it| it.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{App, AppAnswer, BrokenApp};

    #[test]
    fn answers_on_ssh_before_the_application_and_on_no_other_port() {
        let app = App { start: Some(60_000), ports: Some([8080].into()), broken: None };
        let at = |port, runs_for| app.answers(port, runs_for, false);
        assert_eq!((at(22, 0), at(8080, 59_999)), (AppAnswer::Well, AppAnswer::Closed));
        assert_eq!((at(8080, 60_000), at(80, 60_000)), (AppAnswer::Well, AppAnswer::Closed));
    }

    #[test]
    fn answers_errors_or_nothing_when_the_application_is_broken() {
        let broken = |how| App { broken: Some(how), ..App::default() }.answers(80, 1, false);
        assert_eq!(broken(BrokenApp::Errors), AppAnswer::Errors);
        assert_eq!(broken(BrokenApp::Closed), AppAnswer::Closed);
        assert_eq!(App::default().answers(80, 0, true), AppAnswer::Errors);
        assert_eq!(App::default().answers(80, 0, false), AppAnswer::Well);
    }
}
