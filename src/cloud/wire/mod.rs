//! From attributes to the bodies and paths of an API, and back.

pub(crate) mod encode;
pub(crate) mod decode;
pub(crate) mod routes;
