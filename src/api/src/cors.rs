//! Cross-origin requests (the Fetch standard's CORS protocol) of the web pages that the configuration names, and of no others.

use crate::origin::Homes;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What pages may send; a token goes in `Authorization`, and cookies there are none.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-request-id");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
/// What pages may read besides the body.
const SHOWN: HeaderValue = HeaderValue::from_static("retry-after, www-authenticate, x-request-id");
/// For so long a browser need not ask again, seconds.
const AGE: HeaderValue = HeaderValue::from_static("600");

/// The answer to a browser that asks whether a page may ask. It comes without a token, so it says nothing of who may what.
pub(crate) fn preflight(homes: &Homes, request: &Request) -> Option<Response> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks || homes.page(request.headers()).is_none() {
        return None;
    }
    let mut response = (StatusCode::NO_CONTENT, Body::empty()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, AGE);
    Some(response)
}

/// Lets the page that asked read the answer; `page` is its origin, where the configuration names it.
pub(crate) fn let_read(homes: &Homes, page: Option<HeaderValue>, headers: &mut HeaderMap) {
    if homes.has_pages() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(page) = page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    }
}
