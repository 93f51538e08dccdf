//! Connections that can be cut in the middle of an answer, which no HTTP server offers by itself.

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

const UNLIMITED: i64 = i64::MAX;

/// A handle on one connection, for the request that came over it.
#[derive(Debug, Clone)]
pub struct Link(Arc<AtomicI64>);

impl Link {
    /// Not one more byte leaves.
    pub fn cut(&self) {
        self.cut_after(0);
    }

    /// So many more bytes leave, status line and headers included; then the connection closes.
    pub fn cut_after(&self, bytes: usize) {
        self.0.store(i64::try_from(bytes).unwrap_or(UNLIMITED), Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    budget: Link,
}

/// Accepts connections as [`Wire`]s.
#[derive(Debug)]
pub struct Port(pub TcpListener);

impl Listener for Port {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Without this, an answer in two writes waits for the client's acknowledgement; a refusal costs only time.
        let _ = stream.set_nodelay(true);
        (Wire { stream, budget: Link(Arc::new(AtomicI64::new(UNLIMITED))) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Port>> for Link {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        stream.io().budget.clone()
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
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let budget = self.budget.0.load(Ordering::SeqCst);
        if budget == UNLIMITED {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        let allowed = usize::try_from(budget).unwrap_or(0).min(bytes.len());
        if allowed == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut on order")));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..allowed]);
        if let Poll::Ready(Ok(count)) = &written {
            let count = i64::try_from(*count).unwrap_or(budget);
            self.budget.0.store(budget.saturating_sub(count), Ordering::SeqCst);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
