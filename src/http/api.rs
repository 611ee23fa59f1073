//! The page's files, and the document that describes the API.

use super::assets;
use super::query::Query;
use super::reply::{file_or_404, json};
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::Response;

pub(super) async fn page() -> Response<Body> {
    file_or_404(assets::file("index.html"))
}

pub(super) async fn asset(Path(name): Path<String>) -> Response<Body> {
    file_or_404(assets::file(&name))
}

pub(super) async fn openapi(RawQuery(query): RawQuery) -> Response<Body> {
    match Query::parse(query.as_deref(), &[]) {
        Ok(_) => {
            json(include_str!("openapi.json").replace("\"0.0.0\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\"")))
        }
        Err(error) => error.answer(),
    }
}

pub(super) async fn no_such_path() -> Response<Body> {
    file_or_404(None)
}
