//! No answer of AWS is read without end: the SDK reads bodies whole, whatever their length.

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// The longest answer that is read. A full page of a list has some hundred kilobytes, the description of a table some ten, so
/// 16 MiB is far above both, and a server that sends without end cannot fill the memory.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Ends the reading of a body that is too long with an error.
#[derive(Debug)]
pub(crate) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, BODY_BYTES_MAX));
        Ok(())
    }
}
