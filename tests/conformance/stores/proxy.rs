//! What stands between lifeboat and a server, and may lose, cut, delay or refuse any request on its way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a server may take for one request: far longer than a client waits.
const UPSTREAM_MAX: Duration = Duration::from_secs(60);

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// It is carried out, and the connection is cut before the answer.
    LoseReply,
    /// It is carried out, and half of the answer arrives.
    HalfReply,
    /// The connection is cut, and nothing is carried out.
    CutBefore,
    /// 500 instead of carrying it out.
    Fail,
    /// 500 after it was carried out.
    FailAfter,
    /// 503 SlowDown, with so many seconds to wait.
    SlowDown(Option<u64>),
    /// Neither carried out nor answered.
    Hang,
    /// Carried out, and not answered.
    HangAfter,
    /// Carried out twice, as something on the way may do; the second answer arrives.
    SendTwice,
}

/// Which requests something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyPlan {
    Pass,
    At(usize, ProxyFault),
    All(ProxyFault),
    /// Each of some, drawn by a seed.
    Some(u64),
}

/// When a request is held until somebody lets it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    Before(usize),
    After(usize),
}

pub(crate) struct FaultProxy {
    address: String,
    shared: Arc<ProxyShared>,
}

struct ProxyShared {
    upstream: String,
    plan: Mutex<ProxyPlan>,
    hold: Mutex<Option<(HoldPoint, Sender<()>)>>,
    seen: AtomicUsize,
    is_over: AtomicBool,
}

impl FaultProxy {
    pub(crate) fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(ProxyShared {
            upstream: upstream.into(),
            plan: Mutex::new(ProxyPlan::Pass),
            hold: Mutex::new(None),
            seen: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_over.load(SeqCst) {
                    return;
                }
                let (serving, Ok(stream)) = (Arc::clone(&serving), stream) else { continue };
                // A connection that breaks is what this is for.
                std::thread::spawn(move || serving.serve(stream).ok());
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on, counted from the next request.
    pub(crate) fn plan(&self, plan: ProxyPlan) {
        *self.shared.plan.lock().unwrap() = plan;
        self.shared.seen.store(0, SeqCst);
    }

    /// How many requests came since the plan.
    pub(crate) fn seen(&self) -> usize {
        self.shared.seen.load(SeqCst)
    }

    /// Tells when a request is held; it is held for good.
    pub(crate) fn hold(&self, at: HoldPoint) -> Receiver<()> {
        let (tell, told) = channel();
        *self.shared.hold.lock().unwrap() = Some((at, tell));
        self.shared.seen.store(0, SeqCst);
        told
    }

    pub(crate) fn let_go(&self) {
        *self.shared.hold.lock().unwrap() = None;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, SeqCst);
        // Whoever waits for the next connection gets one.
        TcpStream::connect(&self.address).ok();
    }
}

impl ProxyShared {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let Some(request) = read_message(&mut client)? else { return Ok(()) };
        let at = self.seen.fetch_add(1, SeqCst);
        if self.holds(HoldPoint::Before(at)) {
            return until_closed(&mut client);
        }
        let fault = self.fault(at);
        match fault {
            Some(ProxyFault::CutBefore) => return cut(&client),
            Some(ProxyFault::Hang) => return until_closed(&mut client),
            Some(ProxyFault::Fail) => {
                return client.write_all(&refusal(500, "InternalError", None));
            }
            Some(ProxyFault::SlowDown(wait)) => {
                return client.write_all(&refusal(503, "SlowDown", wait));
            }
            Some(ProxyFault::SendTwice) => drop(self.forward(&request)?),
            _ => {}
        }
        let reply = self.forward(&request)?;
        if self.holds(HoldPoint::After(at)) {
            return until_closed(&mut client);
        }
        match fault {
            Some(ProxyFault::LoseReply) => cut(&client),
            Some(ProxyFault::HangAfter) => until_closed(&mut client),
            Some(ProxyFault::FailAfter) => client.write_all(&refusal(500, "InternalError", None)),
            Some(ProxyFault::HalfReply) => {
                client.write_all(&reply[..reply.len() / 2])?;
                cut(&client)
            }
            _ => client.write_all(&reply),
        }
    }

    fn holds(&self, at: HoldPoint) -> bool {
        match &*self.hold.lock().unwrap() {
            Some((point, tell)) if *point == at => {
                tell.send(()).ok();
                true
            }
            _ => false,
        }
    }

    fn fault(&self, at: usize) -> Option<ProxyFault> {
        match *self.plan.lock().unwrap() {
            ProxyPlan::At(point, fault) if point == at => Some(fault),
            ProxyPlan::All(fault) => Some(fault),
            ProxyPlan::Some(seed) => drawn(seed, at),
            ProxyPlan::Pass | ProxyPlan::At(..) => None,
        }
    }

    /// The whole answer of the server.
    fn forward(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.upstream)?;
        server.set_read_timeout(Some(UPSTREAM_MAX))?;
        server.write_all(&closing(request))?;
        let mut reply = Vec::new();
        // Some servers cut where they should close.
        server.read_to_end(&mut reply).ok();
        if reply.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(closing(&reply))
    }
}

/// One fault in three requests, of those that need no waiting.
fn drawn(seed: u64, at: usize) -> Option<ProxyFault> {
    const FAULTS: [ProxyFault; 6] = [
        ProxyFault::LoseReply,
        ProxyFault::HalfReply,
        ProxyFault::CutBefore,
        ProxyFault::Fail,
        ProxyFault::FailAfter,
        ProxyFault::SlowDown(None),
    ];
    // SplitMix64.
    let mut it = seed.wrapping_add((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^= it >> 31;
    FAULTS.get(usize::try_from(it % 18).unwrap()).copied()
}

fn refusal(status: u16, code: &str, wait: Option<u64>) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>planted</Message></Error>"
    );
    let wait = wait.map_or_else(String::new, |it| format!("Retry-After: {it}\r\n"));
    format!(
        "HTTP/1.1 {status} Planted\r\nContent-Type: application/xml\r\n{wait}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn cut(client: &TcpStream) -> std::io::Result<()> {
    client.shutdown(Shutdown::Both)
}

fn until_closed(client: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while client.read(&mut rest)? > 0 {}
    Ok(())
}

/// A whole request: its head, and as many bytes as it promises.
pub(crate) fn read_message(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        if let Some(head) = head_length(&bytes) {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|it| it.strip_prefix("content-length:"));
            let length = length.map_or(0, |it| it.trim().parse().unwrap());
            if bytes.len() >= head + length {
                return Ok(Some(bytes));
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|it| it + 4)
}

/// The same message as the last of its connection.
fn closing(message: &[u8]) -> Vec<u8> {
    let Some(head) = head_length(message) else { return message.to_vec() };
    let text = String::from_utf8_lossy(&message[..head - 4]).into_owned();
    let lines = text.split("\r\n").filter(|it| !it.to_lowercase().starts_with("connection:"));
    let mut all = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    all.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    all.extend_from_slice(&message[head..]);
    all
}
