//! `notify`: events that are posted to a server on loopback, which takes them, refuses them, or says nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::Home;

const SHOP: &str = "woocommerce";
const SECRET: &str = "hook-hush-4711";

/// What was posted: its headers, in lower case, and its body.
#[derive(Clone)]
struct Posted {
    head: String,
    body: String,
}

impl Posted {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|it| it.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver that answers with a status, or with nothing.
struct Receiver {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    over: Arc<AtomicBool>,
}

impl Receiver {
    fn answering(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            posted: Arc::default(),
            over: Arc::default(),
        };
        let (posted, over) = (Arc::clone(&receiver.posted), Arc::clone(&receiver.over));
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(it) = read(&stream) else { continue };
                posted.lock().unwrap().push(it);
                match status {
                    None => hanging.push(stream),
                    Some(status) => {
                        let head = "content-length: 0\r\nconnection: close";
                        write!(stream, "HTTP/1.1 {status} x\r\n{head}\r\n\r\n").ok();
                    }
                }
            }
        });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/services/T0/secret-path", self.address)
    }

    fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    fn events(&self) -> String {
        let posted = self.posted();
        posted.iter().map(|it| it.header("x-lifeboat-event")).collect::<Vec<_>>().join(" ")
    }

    fn forget(&self) {
        self.posted.lock().unwrap().clear();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // Wakes the thread up, so that it sees it.
        TcpStream::connect(self.address).ok();
    }
}

fn read(stream: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.replace('\r', "").to_lowercase();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { head, body: String::from_utf8(body).ok()? })
}

/// HMAC-SHA-256 as RFC 2104 says it, of a key that fits into a block.
fn signature(body: &str) -> String {
    let padded = |with: u8| {
        let mut key = [with; 64];
        SECRET.bytes().enumerate().for_each(|(at, it)| key[at] ^= it);
        key
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    data_encoding::HEXLOWER.encode(&outer)
}

/// The example with webhooks, one a line.
fn shop(hooks: &str) -> Home {
    let mut home = Home::woocommerce();
    let stack = std::fs::read_to_string(home.path("stacks/woocommerce/stack.yaml")).unwrap();
    let declared = "variables:\n  hook_secret: { type: string, sensitive: true }\n";
    let stack = stack.replacen("variables:\n", declared, 1);
    home.stack(SHOP, format!("{stack}\nnotify:\n{hooks}"));
    home.set("LIFEBOAT_VAR_hook_secret", SECRET);
    home
}

fn signed(receiver: &Receiver) -> String {
    format!("  - {{ url: '{}', secret: '${{vars.hook_secret}}' }}\n", receiver.url())
}

fn failover(home: &Home) -> crate::harness::Output {
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--planned", "--yes"]).code(0)
}

#[test]
fn failover_posts_signed_events_of_the_switch_and_nothing_secret() {
    let (receiver, steps) = (Receiver::answering(Some(204)), Receiver::answering(Some(200)));
    let steps_alone = format!("  - {{ url: '{}', events: [steps] }}\n", steps.url());
    let home = shop(&(signed(&receiver) + &steps_alone));
    home.sandbox(&["explain", SHOP, "notify"])
        .code(0)
        .shows(&[
            "http://127.0.0.1/…: switch, drill, watch, audit; signed  # stacks/woocommerce/stack.yaml:",
            "http://127.0.0.1/…: steps; not signed  # stacks/woocommerce/stack.yaml:",
        ])
        .done();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    assert_eq!(receiver.events() + &steps.events(), "", "an apply is no switch");
    let output = failover(&home);
    assert!(
        !output.stderr.contains("secret-path") && !output.stderr.contains("posted"),
        "{output}"
    );
    assert_eq!(receiver.events(), "run-began gate-open phase run-ended");
    let mut deliveries = Vec::new();
    for it in receiver.posted() {
        assert_eq!(it.header("x-lifeboat-signature"), format!("sha256={}", signature(&it.body)));
        assert_eq!(it.header("content-type"), "application/json");
        let json = it.json();
        assert_eq!((&json["topic"], &json["stack"]), (&"switch".into(), &SHOP.into()), "{json}");
        assert_eq!(json["event"], it.header("x-lifeboat-event"));
        assert_eq!(json["delivery"], it.header("x-lifeboat-delivery"));
        assert!(json["time"].is_string() && json["used"].is_u64(), "{json}");
        deliveries.push(it.header("x-lifeboat-delivery").to_owned());
    }
    deliveries.dedup();
    assert_eq!(deliveries.len(), 4);
    let told = steps.posted();
    assert!(told.len() > 3 && told.iter().all(|it| it.json()["topic"] == "steps"));
    assert!(told.iter().all(|it| it.header("x-lifeboat-signature").is_empty()));
    for it in receiver.posted().iter().chain(&told) {
        let whole = format!("{}{}", it.head.lines().skip(1).collect::<String>(), it.body);
        assert!(!whole.contains(SECRET) && !whole.contains("secret-path"), "{whole}");
    }
}

/// What a server does with events is its own affair: the switch is made, and its end is told what was not posted.
#[test]
fn failover_waits_for_no_server_that_refuses_or_says_nothing() {
    let (broken, silent) = (Receiver::answering(Some(500)), Receiver::answering(None));
    let refusing = Receiver::answering(Some(403));
    let home = shop(&(signed(&broken) + &signed(&silent) + &signed(&refusing)));
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    let output = failover(&home).says(&[
        "applied: ",
        "failover of woocommerce to failover_eu: complete",
        "answered 403",
        "warning: events not posted to http://127.0.0.1/… within 3 s after the end: ",
    ]);
    assert_eq!(output.stderr.matches("answered 403").count(), 1, "it is told once: {output}");
    assert_eq!(
        refusing.events(),
        "run-began gate-open phase run-ended",
        "a refusal is not repeated"
    );
    // A delivery that may be taken later is tried again, as the same.
    let posted = broken.posted();
    assert!(posted.len() > 1, "{}", broken.events());
    assert_eq!(posted[0].body, posted[1].body);
    assert_eq!(silent.posted().len(), 1);
    assert_eq!(home.state(SHOP).unwrap().active, ["failover_eu"]);
}

#[test]
fn drill_watch_and_audit_post_what_they_find() {
    let receiver = Receiver::answering(Some(200));
    let home = shop(&signed(&receiver));
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.sandbox(&["audit", SHOP]).code(0).done();
    assert_eq!(receiver.events(), "", "it passes");
    home.sandbox(&["audit", SHOP, "--here", "linode:us-east"]).code(1).done();
    assert_eq!(receiver.events(), "audit-failed");
    let failed = receiver.posted()[0].json();
    assert_eq!(failed["topic"], "audit");
    assert!(failed["findings"][0]["rule"].is_string() && failed["errors"].as_u64() > Some(0));
    receiver.forget();
    home.sandbox(&["drill", SHOP, "--to", "drill_eu", "--yes"]).code(0).done();
    let parts: Vec<Value> = receiver.posted().iter().map(|it| it.json()["part"].clone()).collect();
    assert_eq!(parts.first(), Some(&json!("apply")), "{parts:?}");
    assert_eq!(parts.last(), Some(&json!("cleanup")), "{parts:?}");
    assert!(receiver.posted().iter().all(|it| it.json()["topic"] == "drill"));
    receiver.forget();
    let words = ["watch", SHOP, "--to", "failover_eu", "--url", "http://shop.example.com/"];
    let rest = ["--down", "2/3", "--up", "2", "--rounds"];
    home.sandbox(&[&words[..], &rest, &["1"]].concat()).code(0).done();
    home.lose("linode:us-east");
    home.sandbox(&[&words[..], &rest, &["2"]].concat()).code(0).done();
    assert_eq!(receiver.events(), "down", "single probes are no news");
    assert_eq!(receiver.posted()[0].json()["topic"], "watch");
}

#[test]
fn failover_says_where_it_does_not_post_and_why() {
    let receiver = Receiver::answering(Some(200));
    let mut home = shop(&(signed(&receiver) + "  - { url: https://hooks.example.com/x }\n"));
    home.set("LIFEBOAT_VAR_hook_secret", "");
    home.sandbox(&["apply", SHOP, "--yes"]).code(1).says(&["Not a secret", "stack.yaml:"]).done();
    home.set("LIFEBOAT_VAR_other", "");
    home.sandbox(&["validate", SHOP]).code(1).says(&["this is empty"]).done();
    let home = home_without_secret(&receiver);
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    failover(&home)
        .says(&[
            "warning: no events are posted to the webhook at stacks/woocommerce/stack.yaml:",
            "a sensitive variable that it uses was not given",
            "no events are posted to https://hooks.example.com/… (stacks/woocommerce/stack.yaml:",
            "the sandbox posts to loopback addresses only",
        ])
        .done();
    assert_eq!(receiver.events(), "");
}

fn home_without_secret(receiver: &Receiver) -> Home {
    let home = Home::woocommerce();
    let hooks = signed(receiver) + "  - { url: https://hooks.example.com/x }\n";
    let stack = std::fs::read_to_string(shop(&hooks).path("stacks/woocommerce/stack.yaml"));
    home.stack(SHOP, stack.unwrap());
    home
}
