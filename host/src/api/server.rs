//! Takes connections and gives each its limits: how many there are, how long a head may take and how long it may be, how
//! long a piece of an answer may wait to be taken. axum's own server has none of these.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::peers::Peers;

/// Head of a request, its path and all its headers. The longest that makes sense has a document key of 512 bytes,
/// percent-encoded, and a token.
const HEAD_LIMIT_BYTES: usize = 32 << 10;
const HEADERS_LIMIT: usize = 64;
/// What is still read of a body that nobody wants, so that whoever sends it gets to read the answer: a socket that is
/// closed on unread bytes takes the answer back.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(2);
/// After a failed `accept`: there are no descriptors left, most likely, and they do not come back sooner for asking.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection may.
#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    /// Of one peer; as many as there are where it is zero.
    pub connections_of_peer: usize,
    /// For the first byte on a new connection.
    pub first_byte_timeout: Duration,
    /// For a head to come, and for the next one on a connection that is kept.
    pub header_timeout: Duration,
    /// For a piece of an answer to be taken.
    pub write_timeout: Duration,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, router: axum::Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (connections, peers) = (TaskTracker::new(), Peers::default());
    loop {
        // Who finds no place waits in the kernel's queue.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("nobody closes it"),
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("the API cannot take a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(among) = peers.enter(peer.ip(), limits.connections_of_peer) else {
            tracing::debug!(%peer, "has as many connections as one peer may");
            continue;
        };
        let (router, limits, stop) = (router.clone(), limits.clone(), stop.clone());
        connections.spawn(async move {
            attend(stream, peer, router, &limits, stop).await;
            drop((among, place));
        });
    }
    connections.close();
    connections.wait().await;
}

/// One connection, to its end.
async fn attend(stream: TcpStream, peer: SocketAddr, router: axum::Router, limits: &Limits, stop: CancellationToken) {
    // Answers are small and whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    // Whoever says nothing at all is let go sooner than who is slow.
    let mut first = [0];
    let spoke = tokio::select! {
        spoke = tokio::time::timeout(limits.first_byte_timeout, stream.peek(&mut first)) => spoke.is_ok(),
        () = stop.cancelled() => false,
    };
    if !spoke {
        return;
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answered = router.clone().oneshot(request.map(Body::new));
        Box::pin(answered) as Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(HEAD_LIMIT_BYTES);
    let io = TokioIo::new(Prompt::new(stream, limits.write_timeout));
    let mut connection = builder.serve_connection(io, service);
    let mut stopped = Box::pin(stop.cancelled());
    let mut stopping = false;
    let ended = poll_fn(|context| {
        if !stopping && stopped.as_mut().poll(context).is_ready() {
            stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context)
    })
    .await;
    match ended {
        Ok(()) => linger(connection.into_parts().io.into_inner().stream).await,
        // Somebody hung up, was too slow, or does not speak HTTP.
        Err(error) => tracing::debug!(%peer, "a connection ended: {error}"),
    }
}

/// Ends a connection so that the last answer arrives.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut unwanted = vec![0; 16 << 10];
    let drain = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut unwanted).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

/// A stream whose other end must take what is written to it: who asks for a large answer and does not read it would keep
/// a connection's place for ever.
struct Prompt {
    stream: TcpStream,
    patience: Duration,
    /// While something waits to be taken.
    until: Option<Pin<Box<Sleep>>>,
}

impl Prompt {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, until: None }
    }

    fn judge<T>(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.until = None;
            return wrote;
        }
        let patience = self.patience;
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not taken")))
    }
}

impl AsyncRead for Prompt {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
