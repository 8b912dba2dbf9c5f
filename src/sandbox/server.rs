//! The sandbox over HTTP: one port for all clouds and regions, and connections that hang, break off or close.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::clock;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};
use crate::probe::{SandboxProbe, split};
use crate::shared::Sandbox;
use crate::wire::{Cut, Wires};
use crate::world::core::SandboxReply;

/// A larger body is refused. Real calls have 16 MiB at most (DynamoDB's limit of a request); four times that.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// How long open requests may take to finish when the server stops. A guess: they are answered at once, except those that a
/// fault holds for ever.
const FAREWELL: Duration = Duration::from_secs(1);

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct ServingSandbox {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServingSandbox {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops and waits until the port is free.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for ServingSandbox {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

#[derive(Clone)]
struct AppState {
    sandbox: Sandbox,
    /// Its clients sleep on the wall's clock and not on the world's.
    on_the_wall: bool,
    stop: watch::Receiver<bool>,
}

impl Sandbox {
    /// Listens on an address for clients that keep world time; port 0 takes any free one.
    pub async fn start(&self, listen: SocketAddr) -> io::Result<ServingSandbox> {
        self.listen(listen, false).await
    }

    /// The same for clients that know of no world: what they are told to wait is told in seconds on the wall.
    pub async fn serve(&self, listen: SocketAddr) -> io::Result<ServingSandbox> {
        self.listen(listen, true).await
    }

    async fn listen(&self, listen: SocketAddr, on_the_wall: bool) -> io::Result<ServingSandbox> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let door = AppState { sandbox: self.clone(), on_the_wall, stop: stopped.clone() };
        let service = Router::new()
            .fallback(answer)
            .with_state(door)
            .into_make_service_with_connect_info::<Cut>();
        let task = tokio::spawn(async move {
            let serving =
                axum::serve(Wires(listener), service).with_graceful_shutdown(async move {
                    stopped.wait_for(|it| *it).await.ok();
                });
            // Accepting never fails for good; errors of one connection end that connection.
            serving.await.ok();
        });
        Ok(ServingSandbox { address, stop, task })
    }
}

async fn answer(
    State(door): State<AppState>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: axum::extract::Request,
) -> Response {
    let Some(request) = taken(request).await else {
        return sent(SandboxAnswer { status: 413, headers: Vec::new(), body: Vec::new() });
    };
    if !is_local(&request) {
        return sent(misdirected());
    }
    let sandbox = door.sandbox.clone();
    let on_the_wall = door.on_the_wall;
    // File locks and SQLite block; they must not block other connections.
    let reply = spawn_blocking(move || match request.path.strip_prefix("/_sandbox/") {
        Some(page) => SandboxReply::Answer(own_page(&sandbox, page, &request)),
        None if on_the_wall => on_the_wall_s_clock(sandbox.handle(&request), &sandbox),
        None => sandbox.handle(&request),
    });
    let Ok(reply) = reply.await else {
        return sent(SandboxAnswer {
            status: 500,
            headers: Vec::new(),
            body: b"internal error in the sandbox".to_vec(),
        });
    };
    let mut stop = door.stop;
    match reply {
        SandboxReply::Answer(answer) => sent(answer),
        SandboxReply::Late(milliseconds, answer) => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
                _ = stop.wait_for(|it| *it) => cut.now(),
            }
            sent(answer)
        }
        SandboxReply::Hang => {
            // Until the client gives up, which drops this future, or the server stops.
            stop.wait_for(|it| *it).await.ok();
            cut.now();
            Response::default()
        }
        SandboxReply::Closed => {
            cut.now();
            Response::default()
        }
        SandboxReply::Truncated(answer) => {
            cut.after(answer.body.len() / 2);
            sent(answer)
        }
    }
}

/// A page of somewhere else that has its name resolved to loopback still sends its own name (DNS rebinding): only names of
/// this machine are answered. Clients that name no host are no browsers.
fn is_local(request: &SandboxRequest) -> bool {
    let Some(host) = request.header("host") else { return true };
    let name = split(host.trim(), 80).map(|(name, _)| name.to_lowercase());
    name.is_some_and(|name| {
        let name = name.trim_end_matches('.');
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
    })
}

fn misdirected() -> SandboxAnswer {
    let reason = "the sandbox only answers requests for localhost or a loopback address";
    SandboxAnswer::json(421, "application/json", &json!({ "errors": [{ "reason": reason }] }))
}

/// Who waits as long as it is told waits on the wall, where less of its time passes.
fn on_the_wall_s_clock(mut reply: SandboxReply, sandbox: &Sandbox) -> SandboxReply {
    let (SandboxReply::Answer(answer)
    | SandboxReply::Late(_, answer)
    | SandboxReply::Truncated(answer)) = &mut reply
    else {
        return reply;
    };
    if sandbox.is_manual() {
        return reply;
    }
    let speed = sandbox.speed().max(f64::MIN_POSITIVE);
    let (world, wall) = (seconds(sandbox.now()), seconds(clock::wall()));
    for (name, value) in &mut answer.headers {
        let Ok(told) = value.parse::<f64>() else { continue };
        match name.as_str() {
            "retry-after" => *value = format!("{:.0}", (told / speed).ceil().max(1.0)),
            "x-ratelimit-reset" => {
                *value = format!("{:.0}", (wall + (told - world).max(0.0) / speed).ceil());
            }
            _ => {}
        }
    }
    reply
}

#[expect(clippy::cast_precision_loss, reason = "seconds since the epoch stay far below 2^53")]
fn seconds(time: Millis) -> f64 {
    time as f64 / 1_000.0
}

/// The request in the sandbox's own form; `None` when its body is too large or breaks off.
async fn taken(request: axum::extract::Request) -> Option<SandboxRequest> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.ok()?.to_vec();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let query = head.uri.query().unwrap_or_default();
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
        .collect();
    Some(SandboxRequest {
        method: head.method.to_string(),
        path: decoded(head.uri.path()),
        query,
        headers,
        body,
    })
}

/// Undoes percent encoding; what is not encoded right stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|it| std::str::from_utf8(it).ok());
        match code.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn sent(answer: SandboxAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// What only a sandbox has: its clock, its contents, and looks at its addresses.
fn own_page(sandbox: &Sandbox, page: &str, request: &SandboxRequest) -> SandboxAnswer {
    let ok = |body| SandboxAnswer::json(200, "application/json", &body);
    match page {
        "clock" => ok(json!({
            "now": sandbox.now(), "speed": sandbox.speed(), "manual": sandbox.is_manual(),
        })),
        "show" => match sandbox.show() {
            Ok(all) => ok(all),
            Err(error) => {
                SandboxAnswer::json(500, "application/json", &json!({ "error": error.to_string() }))
            }
        },
        "probe" => {
            let tcp = request.parameter("tcp").and_then(|it| split(it, 80));
            let tcp = tcp.map(|(host, port)| SandboxProbe::Tcp { host, port });
            let http = request.parameter("url").map(|url| SandboxProbe::Http { url: url.into() });
            match tcp.or(http) {
                Some(probe) => ok(sandbox.probe(&probe).to_json()),
                None => SandboxAnswer::json(
                    400,
                    "application/json",
                    &json!({ "error": "add the parameter tcp=HOST:PORT or url=URL" }),
                ),
            }
        }
        _ => SandboxAnswer::json(
            404,
            "application/json",
            &json!({ "error": "unknown page; use clock, show, or probe" }),
        ),
    }
}
