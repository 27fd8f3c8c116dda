//! A port, and how it meets those who come: served, refused, slammed or left waiting. Each way has a runtime of its own, whose
//! end closes every connection.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::line::{Cut, Loopback};

/// How the backend's port meets those who come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// As it should.
    Open,
    /// Nobody listens: connections are refused.
    Closed,
    /// Connections are taken and closed at once.
    Slamming,
    /// Connections are taken, kept, and never answered.
    Mute,
    /// Connections are taken, sent these octets, and closed.
    Saying(Vec<u8>),
}

/// The port; it is kept from others while nobody listens.
pub(crate) struct Entrance {
    address: SocketAddr,
    knocks: Arc<AtomicU64>,
    held: Mutex<Held>,
}

enum Held {
    Running(#[allow(dead_code, reason = "its end is what counts")] Running),
    /// Bound, and not listening.
    Kept(#[allow(dead_code, reason = "that it is bound is what counts")] TcpSocket),
    Nothing,
}

struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Entrance {
    /// Takes the port; nobody listens yet.
    pub(crate) fn new(wished: SocketAddr) -> io::Result<Self> {
        let socket = bind(wished)?;
        let address = socket.local_addr()?;
        Ok(Self { address, knocks: Arc::default(), held: Mutex::new(Held::Kept(socket)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn knocks(&self) -> u64 {
        self.knocks.load(Ordering::SeqCst)
    }

    /// Serves these routes from now on.
    pub(crate) fn serve(&self, routes: Router) -> io::Result<()> {
        self.run(async |listener| {
            let service = routes.into_make_service_with_connect_info::<Cut>();
            let _ = axum::serve(Loopback(listener), service).await;
        })
    }

    /// Does not serve from now on.
    pub(crate) fn stand(&self, door: Door) -> io::Result<()> {
        if door == Door::Closed {
            return self.empty().map(drop);
        }
        let knocks = Arc::clone(&self.knocks);
        self.run(async move |listener: TcpListener| {
            let mut waiting = Vec::new();
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { continue };
                knocks.fetch_add(1, Ordering::SeqCst);
                match &door {
                    Door::Mute => waiting.push(stream),
                    Door::Saying(octets) => {
                        let octets = octets.clone();
                        tokio::spawn(async move {
                            let _ = stream.write_all(&octets).await;
                            let _ = stream.shutdown().await;
                        });
                    }
                    Door::Open | Door::Closed | Door::Slamming => {}
                }
            }
        })
    }

    /// Ends what there was, and keeps the port.
    fn empty(&self) -> io::Result<std::sync::MutexGuard<'_, Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*held, Held::Kept(_)) {
            *held = Held::Nothing;
            *held = Held::Kept(bind(self.address)?);
        }
        Ok(held)
    }

    fn run(&self, serve: impl AsyncFnOnce(TcpListener) + Send + 'static) -> io::Result<()> {
        let mut held = self.empty()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
        let Held::Kept(socket) = std::mem::replace(&mut *held, Held::Nothing) else { return Ok(()) };
        let listener = {
            let _inside = runtime.enter();
            socket.listen(1024)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("custody-simulator".into()).spawn(move || {
            // Ends with the handle; what is still running then is dropped with the runtime, connections included.
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        *held = Held::Running(Running { stop: Some(stop), thread: Some(thread) });
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
