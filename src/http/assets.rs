//! The page's files, as they are in `src/http/page/`.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

/// Name and content.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The answer with this file; none if there is no such file.
pub(super) fn file(name: &str) -> Option<Response<Body>> {
    let (name, content) = FILES.iter().find(|(known, _)| *known == name)?;
    let mut response = Response::new(Body::from(*content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    Some(response)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_page_names_is_there() {
        let page = FILES.iter().find(|(name, _)| *name == "index.html").expect("the page").1;
        let page = std::str::from_utf8(page).unwrap();
        let named: Vec<_> = page.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(named.len() > 3, "{named:?}");
        for name in named {
            assert!(file(name).is_some(), "{name}");
        }
        assert!(FILES.iter().all(|(name, _)| media_type(name) != "application/octet-stream"));
        assert!(file("../mod.rs").is_none() && file("").is_none());
    }
}
