//! Connections that a handler can cut without an answer, as a failing network would.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts its connection: whatever would be written after [`Cut::now`] never leaves.
#[derive(Clone, Default)]
pub(crate) struct Cut(Arc<Cutting>);

#[derive(Default)]
struct Cutting {
    cut: AtomicBool,
    last_words: OnceLock<Vec<u8>>,
}

impl Cut {
    pub(crate) fn now(&self) {
        self.0.cut.store(true, Ordering::Release);
    }

    /// Cuts it, with these octets in the place of what would be written.
    pub(crate) fn say(&self, octets: &[u8]) {
        let _ = self.0.last_words.set(octets.to_vec());
        self.now();
    }

    fn check(&self) -> io::Result<()> {
        if self.0.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        stream.io().cut.clone()
    }
}

pub(crate) struct Loopback(pub(crate) TcpListener);

impl Listener for Loopback {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (tcp, from) = Listener::accept(&mut self.0).await;
        // Answers are small and waited for; without this each costs up to 40 ms.
        let _ = tcp.set_nodelay(true);
        (Line { tcp, cut: Cut::default(), said: 0 }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(crate) struct Line {
    tcp: TcpStream,
    cut: Cut,
    /// How much of the last words has left.
    said: usize,
}

impl Line {
    /// Ready where the connection may be written to; an error where it is cut, once the last words have left.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let (Err(cut), Some(words)) = (self.cut.check(), self.cut.0.last_words.get()) {
            while let Some(rest) = words.get(self.said..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut self.tcp).poll_write(cx, rest) {
                    Poll::Ready(Ok(count @ 1..)) => self.said += count,
                    Poll::Ready(_) => return Poll::Ready(Err(cut)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            return Poll::Ready(Err(cut));
        }
        Poll::Ready(self.cut.check())
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_cut(cx))?;
        Pin::new(&mut self.tcp).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_cut(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_cut(cx))?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, from)
    }
}
