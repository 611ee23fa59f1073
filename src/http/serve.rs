//! Connections and routes. Each connection has limits: time and room for a request's head, time without reading, and
//! their number.

use super::patient::Patient;
use super::{Server, api, assets, guard, metrics, status, stream};
use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const THREADS: usize = 2;
/// Connections at once; more are closed at once.
const MOST_CONNECTIONS: usize = 2048;
/// How long the head of a request may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer may read nothing of its answer.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const MOST_HEAD: usize = 40 << 10;

pub(super) fn start(listener: TcpListener, server: Arc<Server>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(4)
        .thread_name("http")
        .enable_all()
        .build()?;
    let serve = move || {
        runtime.block_on(async move {
            let hub = Arc::clone(&server.hub);
            tokio::spawn(async move { hub.work().await });
            if let Err(e) = accept(listener, server).await {
                tracing::error!("--http: {e}");
            }
        });
    };
    std::thread::Builder::new().name("http".into()).spawn(serve).map(drop)
}

fn routes(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", get(|| async { api::found(assets::file("index.html")) }))
        .route("/assets/{name}", get(api::asset))
        .route("/api/status", get(status::answer))
        .route("/api/symbols", get(api::symbols))
        .route("/api/minutes", get(api::minutes))
        .route("/api/stream", get(stream::answer))
        .route("/api/openapi.json", get(api::openapi))
        .route("/metrics", get(metrics::answer))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .fallback(|| async { api::found(None) })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), guard::guard))
        .with_state(server)
}

async fn accept(listener: TcpListener, server: Arc<Server>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(routes(Arc::clone(&server)));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(MOST_HEAD).max_headers(64);
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(e) => {
                // Too many files open, or a client that went away meanwhile.
                tracing::debug!("--http: accept: {e}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if server.connections.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
            server.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        // A small event is not to wait for the answer to the one before.
        socket.set_nodelay(true).ok();
        let connection = http.serve_connection(TokioIo::new(Patient::new(socket, READ_PATIENCE)), service.clone());
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("--http: {e}");
            }
            server.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
