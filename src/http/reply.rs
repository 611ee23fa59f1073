//! Answers by their media type, and refusals.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// Why a request is refused, for its client.
#[derive(Debug)]
pub(super) struct HttpError {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl HttpError {
    pub(super) fn new(status: StatusCode, why: &str) -> Self {
        HttpError { status, why: why.to_owned() }
    }

    /// As JSON: `{"error": why}`.
    pub(super) fn answer(&self) -> Response<Body> {
        let mut response = json(serde_json::json!({ "error": self.why }).to_string());
        *response.status_mut() = self.status;
        response
    }
}

pub(super) fn with_type(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(super) fn json(text: String) -> Response<Body> {
    with_type(Body::from(text), "application/json")
}

pub(super) fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = with_type(Body::from(text), "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
}

/// This file, or 404.
pub(super) fn file_or_404(file: Option<Response<Body>>) -> Response<Body> {
    file.unwrap_or_else(|| HttpError::new(StatusCode::NOT_FOUND, "no such path; see /api/openapi.json").answer())
}
