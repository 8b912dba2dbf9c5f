//! A server that answers as a script says, for tests of what goes wrong on the way.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One scripted answer.
#[derive(Debug, Clone)]
pub(crate) enum ScriptedReply {
    /// Status, further headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Half of the body that the head promises.
    Half(String),
    /// Reads the request and closes.
    Cut,
    /// Reads the request and never answers.
    Hang,
}

/// A good JSON answer.
pub(crate) fn ok(body: &serde_json::Value) -> ScriptedReply {
    ScriptedReply::Say(200, vec![("content-type", "application/json".into())], body.to_string())
}

/// A refusal in the API's envelope.
pub(crate) fn no(status: u16, reason: &str) -> ScriptedReply {
    let body = serde_json::json!({ "errors": [{ "reason": reason }] });
    ScriptedReply::Say(status, vec![("content-type", "application/json".into())], body.to_string())
}

/// A page of something in front of the API.
pub(crate) fn page(status: u16) -> ScriptedReply {
    let html = "<html><head><title>Bad Gateway</title></head></html>".to_owned();
    ScriptedReply::Say(status, vec![("content-type", "text/html".into())], html)
}

/// The address of a server that speaks these lines, one per request, and what it was asked.
pub(crate) struct Script {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Lines are chosen by the first word that the request's first line contains, each used once in its turn.
    pub(crate) async fn of(lines: Vec<(&'static str, ScriptedReply)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::new(Mutex::new(VecDeque::from(lines)));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(speak(stream, Arc::clone(&lines), Arc::clone(&heard)));
            }
        });
        Self { url, asked }
    }

    /// The requests so far: first line and, after ` | `, the lines of headers that matter.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn speak(
    mut stream: TcpStream,
    lines: Arc<Mutex<VecDeque<(&'static str, ScriptedReply)>>>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    let request = heard(&mut stream).await;
    let first = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    let target = request
        .to_lowercase()
        .lines()
        .find_map(|it| it.strip_prefix("x-amz-target: dynamodb_20120810.").map(str::to_owned));
    let first = target.unwrap_or(first);
    let filter = request.lines().find(|it| it.to_lowercase().starts_with("x-filter"));
    asked.lock().unwrap().push(match filter {
        Some(filter) => format!("{first} | {filter}"),
        None => first.clone(),
    });
    let line = {
        let mut lines = lines.lock().unwrap();
        let at = lines.iter().position(|(word, _)| first.contains(word));
        at.and_then(|at| lines.remove(at)).map(|(_, line)| line)
    };
    let (status, headers, body, sent) = match line {
        Some(ScriptedReply::Say(status, headers, body)) => (status, headers, body.clone(), body),
        Some(ScriptedReply::Half(body)) => {
            let half = body[..body.len() / 2].to_owned();
            (200, Vec::new(), body, half)
        }
        Some(ScriptedReply::Cut) => return,
        Some(ScriptedReply::Hang) => return std::future::pending().await,
        None => (500, Vec::new(), String::new(), "the script has no such line".to_owned()),
    };
    let mut answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        write!(answer, "{name}: {value}\r\n").unwrap();
    }
    answer.push_str("connection: close\r\n\r\n");
    answer.push_str(&sent);
    stream.write_all(answer.as_bytes()).await.ok();
}

/// One whole request.
async fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| {
                it.to_lowercase()
                    .strip_prefix("content-length:")
                    .and_then(|it| it.trim().parse().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
