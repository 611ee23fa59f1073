//! Connections and routes. Each connection has limits: time and room for a request's head, time without reading, bytes
//! that the kernel holds for it, and their number.

use super::connections::{Connection, Connections};
use super::write_timeout::WriteTimeout;
use super::{Server, api, explain, groups, guard, metrics, minutes, movers, probes, status, stream, symbols};
use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

const THREADS: usize = 2;
/// How long the head of a request may take, and how long a connection may wait for its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may read nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const MOST_HEAD: usize = 40 << 10;
/// Bytes of an answer that the kernel holds for a client: otherwise it takes megabytes for one that does not read.
const SEND_BUFFER: usize = 256 << 10;
/// Before the next connection is taken, where there is no descriptor or no place for it.
const PAUSE: Duration = Duration::from_millis(20);

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
    let routes = if server.about.leads { of_the_run() } else { Router::new() };
    routes
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .fallback(api::no_such_path)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), guard::guard))
        .with_state(server)
}

/// What process 0 alone knows.
fn of_the_run() -> Router<Arc<Server>> {
    Router::new()
        .route("/", get(api::page))
        .route("/assets/{name}", get(api::asset))
        .route("/api/status", get(status::answer))
        .route("/api/symbols", get(symbols::answer))
        .route("/api/minutes", get(minutes::answer))
        .route("/api/movers", get(movers::answer))
        .route("/api/groups", get(groups::answer))
        .route("/api/groups/minutes", get(minutes::answer_groups))
        .route("/api/explain", get(explain::answer))
        .route("/api/digests", get(explain::answer_digests))
        .route("/api/stream", get(stream::answer))
        .route("/api/openapi.json", get(api::openapi))
        .route("/metrics", get(metrics::answer))
}

async fn accept(listener: TcpListener, server: Arc<Server>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(routes(Arc::clone(&server)));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MOST_HEAD).max_headers(64);
    let connections = &server.connections;
    loop {
        let socket = match next(&listener, connections).await {
            Ok(socket) => socket,
            Err(e) => {
                // No descriptor is free, or the client went away meanwhile.
                tracing::debug!("--http: accept: {e}");
                connections.close_one();
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(connection) = connections.enter() else { continue };
        // A small event is not to wait for the answer to the one before.
        socket.set_nodelay(true).ok();
        #[cfg(unix)]
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER).ok();
        let (owner, service) = (Arc::clone(&connection), service.clone());
        let answer = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            owner.begin_request();
            request.extensions_mut().insert::<Arc<Connection>>(Arc::clone(&owner));
            service.call(request)
        });
        let served = http.serve_connection(TokioIo::new(WriteTimeout::new(socket, WRITE_TIMEOUT)), answer);
        tokio::spawn(async move {
            tokio::select! {
                ended = served => ended.unwrap_or_else(|e| tracing::debug!("--http: {e}")),
                () = connection.asked_to_close() => {}
            }
            connection.leave();
        });
    }
}

/// The next connection, once there is room for it.
async fn next(listener: &tokio::net::TcpListener, connections: &Connections) -> io::Result<tokio::net::TcpStream> {
    while connections.is_full() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(listener.accept().await?.0)
}
