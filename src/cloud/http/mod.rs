//! Requests over HTTP: connections, credentials, limits, certificates, and the probing of pages.

pub(crate) mod bounded;
pub(crate) mod credentials;
pub mod connection;
pub(crate) mod identity;
pub(crate) mod transport;
pub(crate) mod certificate;
pub mod prober;
pub mod request;
pub mod webhook;
