//! Answers that come from before the clouds: refusals of faults, a gateway's page, and who calls.

use serde_json::json;

use crate::http::{SandboxAnswer, SandboxRequest};
use crate::linode;

/// A refusal in the words of whom was called.
pub fn refusal(request: &SandboxRequest, status: u16, reason: &str) -> SandboxAnswer {
    if linode::auth::segments(&request.path).is_some() {
        return SandboxAnswer::json(
            status,
            "application/json",
            &json!({ "errors": [{ "reason": reason }] }),
        );
    }
    let (status, kind) = match status {
        401 => (400, "com.amazon.coral.service#ExpiredTokenException"),
        403 => (400, "com.amazon.coral.service#AccessDeniedException"),
        429 => (400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
        503 => (503, "com.amazonaws.dynamodb.v20120810#ServiceUnavailable"),
        _ => (status, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
    };
    SandboxAnswer::json(
        status,
        "application/x-amz-json-1.0",
        &json!({ "__type": kind, "message": reason }),
    )
}

/// The page of a gateway that has nobody behind it.
pub fn bad_gateway() -> SandboxAnswer {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>\
                </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    let headers =
        vec![("content-type".into(), "text/html".into()), ("server".into(), "nginx".into())];
    SandboxAnswer { status: 502, headers, body: page.as_bytes().to_vec() }
}

/// STS: who calls. The account is one that AWS never gives out.
pub fn caller_identity() -> SandboxAnswer {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
        <GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/sandbox</Arn>\
        <UserId>AIDASANDBOX</UserId><Account>000000000000</Account></GetCallerIdentityResult>\n\
        <ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>\n\
        </GetCallerIdentityResponse>\n";
    let headers = vec![("content-type".into(), "text/xml".into())];
    SandboxAnswer { status: 200, headers, body: body.as_bytes().to_vec() }
}
