//! The server over loopback, with a client that knows nothing of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::manual;
use crate::faults::state::LostHow;
use crate::{Sandbox, SandboxOptions, ServingSandbox};

/// Longer than any answer takes, shorter than anyone likes to wait.
const PATIENCE: Duration = Duration::from_millis(400);

async fn served() -> (Sandbox, ServingSandbox, reqwest::Client) {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    let serving = sandbox.start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    // Without TLS there is nothing to load and nothing to wait for.
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    (sandbox, serving, client)
}

fn get(client: &reqwest::Client, serving: &ServingSandbox, path: &str) -> reqwest::RequestBuilder {
    client.get(format!("{}{path}", serving.url())).bearer_auth("token")
}

fn post(
    client: &reqwest::Client,
    serving: &ServingSandbox,
    label: &str,
) -> reqwest::RequestBuilder {
    let body = json!({ "region": "us-east", "label": label });
    client.post(format!("{}/v4/nodebalancers", serving.url())).bearer_auth("token").json(&body)
}

#[tokio::test]
async fn serve_answers_clients_at_the_same_time_and_filters_lists() {
    let (sandbox, serving, client) = served().await;
    let calls: Vec<_> = (0..10)
        .map(|number| tokio::spawn(post(&client, &serving, &format!("lb-{number}")).send()))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    let list = get(&client, &serving, "/v4beta/nodebalancers?page=1&page_size=100")
        .header("X-Filter", r#"{"label":"lb-7"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(list.headers()["x-spec-version"], "4.229.1");
    let list: Value = list.json().await.unwrap();
    assert_eq!((&list["results"], &list["data"][0]["label"]), (&json!(1), &json!("lb-7")));
    let image = get(&client, &serving, "/v4/images/linode%2Fdebian12").send().await.unwrap();
    assert_eq!(image.status(), 200);
    assert_eq!(sandbox.counts()["POST /nodebalancers"], 10);
    serving.stop().await;
}

#[tokio::test]
async fn serve_hangs_in_a_lost_region_until_the_client_gives_up() {
    let (sandbox, serving, client) = served().await;
    let made: Value = post(&client, &serving, "front").send().await.unwrap().json().await.unwrap();
    sandbox.lose("linode:us-east", LostHow::Hang).unwrap();
    let path = format!("/v4/nodebalancers/{}", made["id"]);
    let error = get(&client, &serving, &path).timeout(PATIENCE).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(get(&client, &serving, "/v4/nodebalancers").send().await.unwrap().status(), 200);
    sandbox.lose("linode:us-east", LostHow::Refuse).unwrap();
    let error = get(&client, &serving, &path).send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    sandbox.lose("aws:us-east-1", LostHow::Hang).unwrap();
    let call = client
        .post(serving.url())
        .header("x-amz-target", "DynamoDB_20120810.ListTables")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, x",
        )
        .timeout(PATIENCE);
    assert!(call.send().await.unwrap_err().is_timeout());
    // Someone still hangs; the server stops all the same.
    sandbox.lose("linode:us-east", LostHow::Hang).unwrap();
    sandbox.record();
    let hanging = tokio::spawn(get(&client, &serving, &path).send());
    while sandbox.recorded().is_empty() {
        tokio::task::yield_now().await;
    }
    serving.stop().await;
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn serve_carries_out_a_lost_reply_and_breaks_off_a_truncated_one() {
    let (sandbox, serving, client) = served().await;
    sandbox.fault("POST /nodebalancers lost_reply".parse().unwrap()).unwrap();
    let error = post(&client, &serving, "first").send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    sandbox.fault("POST /nodebalancers truncated".parse().unwrap()).unwrap();
    let half = post(&client, &serving, "second").send().await.unwrap();
    assert_eq!(half.status(), 200);
    assert!(half.text().await.is_err(), "the body is shorter than its length says");
    sandbox.fault("GET /nodebalancers html502".parse().unwrap()).unwrap();
    let page = get(&client, &serving, "/v4/nodebalancers").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].as_bytes()),
        (502, &b"text/html"[..])
    );
    let list: Value =
        get(&client, &serving, "/v4/nodebalancers").send().await.unwrap().json().await.unwrap();
    assert_eq!(list["results"], 2);
}

#[tokio::test]
async fn serve_has_pages_of_its_own_and_says_who_calls() {
    let (_sandbox, serving, client) = served().await;
    let made: Value = post(&client, &serving, "front").send().await.unwrap().json().await.unwrap();
    let page = async |path: &str| -> Value {
        get(&client, &serving, path).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(
        page("/_sandbox/clock").await,
        json!({ "now": 1_767_225_600_000_i64, "speed": 100.0, "manual": true })
    );
    let probe = format!("/_sandbox/probe?tcp={}:80", made["ipv4"].as_str().unwrap());
    assert_eq!(page(&probe).await, json!({ "outcome": "refused" }));
    assert_eq!(
        page("/_sandbox/probe?url=http%3A%2F%2Fa.b%2F").await,
        json!({ "outcome": "unresolved" })
    );
    assert_eq!(page("/_sandbox/show").await["linode"]["nodebalancers"][0]["label"], "front");
    let sts = client.post(serving.url()).body("Action=GetCallerIdentity&Version=2011-06-15");
    let sts = sts.send().await.unwrap().text().await.unwrap();
    assert!(sts.contains("<Account>000000000000</Account>"), "{sts}");
}

#[tokio::test]
async fn serve_answers_only_names_of_this_machine() {
    let (_sandbox, serving, client) = served().await;
    let port = serving.address().port();
    let asked = async |host: String| {
        let call = get(&client, &serving, "/v4/regions").header("host", host);
        call.send().await.unwrap().status().as_u16()
    };
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "[::1]:80".into(),
        "a.localhost".into(),
    ] {
        assert_eq!(asked(host.clone()).await, 200, "{host}");
    }
    for host in [
        "evil.example".to_owned(),
        format!("localhost.evil.example:{port}"),
        "10.0.0.1".into(),
        "a:b:c".into(),
    ] {
        assert_eq!(asked(host.clone()).await, 421, "{host}");
    }
}

#[tokio::test]
async fn serve_tells_seconds_on_the_wall_without_world_time() {
    let sandbox = Sandbox::open(None, &SandboxOptions::default()).unwrap();
    let waits = async |serving: &ServingSandbox| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        sandbox.fault("GET /regions 429 retry_after=250".parse().unwrap()).unwrap();
        let answer = get(&client, serving, "/v4/regions").send().await.unwrap();
        answer.headers()["retry-after"].to_str().unwrap().to_owned()
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    assert_eq!(waits(&sandbox.serve(listen).await.unwrap()).await, "3");
    assert_eq!(waits(&sandbox.start(listen).await.unwrap()).await, "250");
}
