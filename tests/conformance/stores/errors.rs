//! What people are told when a store does not do what it should: what, where, why, and what to do.

use std::io::Write as _;
use std::net::TcpListener;

use lifeboat::store::backend::PutCondition;
use lifeboat::store::error::StoreError;
use lifeboat::store::open::{ensure_fit, open};
use lifeboat::store::remote::location::StoreLocation;

use crate::stores::proxy::{FaultProxy, ProxyFault, ProxyPlan, read_message};
use crate::stores::servers::{StoreServer, add_replica, at, create_table_with, s3, table};
use crate::stores::worker::{Worker, key};

/// What a put says, with its class; the same for a read.
fn told(location: &StoreLocation) -> String {
    let state = open(location, "shop");
    let put = state.put(&key("doc"), b"one", PutCondition::Absent).unwrap_err();
    let read = state.read(&key("doc")).unwrap_err();
    let (StoreError::Remote(put_is), StoreError::Remote(read_is)) = (&put, &read) else {
        panic!("{put:?}, {read:?}")
    };
    assert_eq!(put_is.fault, read_is.fault, "{put} | {read}");
    shown(location, &format!("{:?}: {put}\n  {}", put_is.fault, put.advice()))
}

/// Without what differs from run to run.
fn shown(location: &StoreLocation, text: &str) -> String {
    let address = location.address();
    let (_, host) = address.split_once("://").unwrap();
    text.replace(host, "HOST")
}

/// A server that gives every request one answer.
fn answering(status: u16, headers: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if read_message(&mut stream).is_ok_and(|it| it.is_some()) {
                stream.write_all(answer.as_bytes()).ok();
            }
        }
    });
    address
}

fn with(location: &StoreLocation, settings: &[(&str, &str)]) -> StoreLocation {
    let mut all = location.settings();
    for (key, value) in settings {
        all.insert((*key).into(), (*value).into());
    }
    StoreLocation::from_settings(location.protocol, all).unwrap()
}

/// Nobody listens there.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn s3_errors_say_what_where_and_what_to_do() {
    let server = StoreServer::versitygw();
    let good = server.location();
    let redirect = answering(
        301,
        "x-amz-bucket-region: eu-west-1\r\n",
        "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>",
    );
    let https = format!("https://{}", server.server.address());
    let all = [
        ("wrong bucket", with(good, &[("bucket", "shop-sate")])),
        ("unknown key id", with(good, &[("access_key_env", "CARGO_PKG_VERSION")])),
        ("wrong secret", with(good, &[("secret_key_env", "CARGO_PKG_VERSION")])),
        ("no variable", with(good, &[("secret_key_env", "LIFEBOAT_NO_SUCH_VARIABLE")])),
        ("wrong region", with(good, &[("region", "eu-west-1")])),
        ("redirect", at(good, &redirect)),
        ("https where there is none", with(good, &[("endpoint", &https)])),
        ("nobody", s3(&nobody())),
        ("a web page", at(good, &answering(200, "", "<html>hello</html>"))),
        ("a proxy's 404", at(good, &answering(404, "", "<html>not here</html>"))),
        (
            "a server that lacks it",
            at(good, &answering(501, "", "<Error><Code>NotImplemented</Code></Error>")),
        ),
    ];
    let all = all.map(|(name, location)| format!("{name}\n  {}", told(&location)));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn dynamodb_errors_say_what_where_and_what_to_do() {
    let server = StoreServer::sandbox_table();
    let good = server.location();
    let refusing = |code: &str| {
        let body =
            format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"m\"}}");
        table(&answering(400, "content-type: application/x-amz-json-1.0\r\n", &body))
    };
    let https = format!("https://{}", server.server.address());
    create_table_with(&with(good, &[("table", "other-keys")]), "id", "at");
    let all = [
        ("wrong table", with(good, &[("table", "shop-sate")])),
        ("wrong region", with(good, &[("region", "eu-west-1")])),
        ("other keys", with(good, &[("table", "other-keys")])),
        ("no variable", with(good, &[("secret_key_env", "LIFEBOAT_NO_SUCH_VARIABLE")])),
        ("unknown key id", refusing("UnrecognizedClientException")),
        ("expired", refusing("ExpiredTokenException")),
        ("not allowed", refusing("AccessDeniedException")),
        ("https where there is none", with(good, &[("endpoint", &https)])),
        ("nobody", table(&nobody())),
        ("a web page", at(good, &answering(200, "", "<html>hello</html>"))),
        ("a proxy's 404", at(good, &answering(404, "", "<html>not here</html>"))),
    ];
    let all = all.map(|(name, location)| format!("{name}\n  {}", told(&location)));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn ensure_fit_refuses_tables_that_can_keep_no_lease() {
    let server = StoreServer::sandbox_table();
    let other = with(server.location(), &[("table", "other-keys")]);
    create_table_with(&other, "id", "at");
    let global = with(server.location(), &[("table", "global")]);
    create_table_with(&global, "state", "key");
    add_replica(&global, "eu-west-1");
    let all = [other, global].map(|it| {
        let why = ensure_fit(&it, "shop").unwrap_err();
        assert!(matches!(why, StoreError::Unfit { .. } | StoreError::Remote(_)), "{why:?}");
        shown(&it, &format!("{why}\n  {}", why.advice()))
    });
    insta::assert_snapshot!(all.join("\n"));
}

/// A store has credentials of its own, and no endpoint that the environment names for something else.
#[test]
fn stores_use_a_profile_and_never_an_endpoint_of_the_environment() {
    for server in [StoreServer::versitygw(), StoreServer::sandbox_table()] {
        open(server.location(), "shop").put(&key("doc"), b"one", PutCondition::Absent).unwrap();
        let file = server.root.path().join("credentials");
        let file = file.display().to_string();
        let keys = format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\n",
            crate::process::ACCESS_KEY,
            crate::process::SECRET_KEY
        );
        let text = format!(
            "[default]\naws_access_key_id = no\naws_secret_access_key = no\n\n[state]\n{keys}"
        );
        server.root.write("credentials", &text);
        let mut settings = server.location().settings();
        settings.retain(|key, _| !key.ends_with("_env"));
        let chain = StoreLocation::from_settings(server.location().protocol, settings).unwrap();
        let profile = with(&chain, &[("profile", "state")]);
        let elsewhere = "http://127.0.0.1:1";
        let environment = [
            ("AWS_SHARED_CREDENTIALS_FILE", file.as_str()),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_ENDPOINT_URL", elsewhere),
            ("AWS_ENDPOINT_URL_S3", elsewhere),
            ("AWS_ENDPOINT_URL_DYNAMODB", elsewhere),
            ("AWS_REGION", "eu-north-1"),
        ];
        let says = |location: &StoreLocation, more: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = environment.iter().chain(more).copied().collect();
            Worker::start_in("read", &location.to_string(), &all).rest().join("\n")
        };
        assert_eq!(says(&profile, &[]), "Some(\"one\")");
        assert_eq!(says(&chain, &[("AWS_PROFILE", "state")]), "Some(\"one\")");
        let own = [
            ("AWS_ACCESS_KEY_ID", crate::process::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", crate::process::SECRET_KEY),
        ];
        assert_eq!(says(&chain, &own), "Some(\"one\")");
        let missing = with(&chain, &[("profile", "nobody")]);
        let told = says(&missing, &own);
        assert!(told.contains("there are no credentials for it"), "{told}");
    }
}

/// Law 1: outside AWS the default chain asks a metadata service in vain. That there are no credentials is no silence of the store.
#[test]
fn stores_without_credentials_are_denied_and_not_unreachable() {
    let silent = FaultProxy::before("127.0.0.1:1");
    silent.plan(ProxyPlan::All(ProxyFault::Hang));
    let silent = format!("http://{}", silent.address());
    let refusing = format!("http://{}", nobody());
    for server in [StoreServer::versitygw(), StoreServer::sandbox_table()] {
        let mut settings = server.location().settings();
        settings.retain(|key, _| !key.ends_with("_env"));
        let chain = StoreLocation::from_settings(server.location().protocol, settings).unwrap();
        for metadata in [&silent, &refusing] {
            let environment = [
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_EC2_METADATA_DISABLED", "false"),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata),
            ];
            let told = Worker::start_in("read", &chain.to_string(), &environment).rest().join("");
            assert!(told.contains("there are no credentials for it"), "{metadata}: {told}");
            assert!(told.contains("set AWS_PROFILE"), "{metadata}: {told}");
        }
    }
}
