//! Connections that can be cut: before the answer, or in the middle of its body.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: i64 = -1;
const NOTHING: i64 = -2;

/// How much of the next answer leaves through this connection.
#[derive(Debug, Clone)]
pub struct Cut(Arc<AtomicI64>);

impl Cut {
    /// Not a byte more: the connection closes without an answer.
    pub fn now(&self) {
        self.0.store(NOTHING, Ordering::SeqCst);
    }

    /// The head and so many bytes of the body.
    pub fn after(&self, bytes: usize) {
        self.0.store(i64::try_from(bytes).unwrap_or(0), Ordering::SeqCst);
    }
}

/// Accepts connections that know their [`Cut`].
pub struct Wires(pub TcpListener);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Only latency is lost when the option cannot be set.
        stream.set_nodelay(true).ok();
        (Wire { stream, cut: Cut(Arc::new(AtomicI64::new(WHOLE))) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Wires>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().cut.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.cut.0.load(Ordering::SeqCst) {
            WHOLE => Pin::new(&mut self.stream).poll_write(context, bytes),
            NOTHING => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            left => {
                let head = bytes.windows(4).position(|it| it == b"\r\n\r\n").map_or(0, |at| at + 4);
                let end = bytes.len().min(head + usize::try_from(left).unwrap_or(0));
                let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..end]);
                if written.is_ready() {
                    self.cut.now();
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
