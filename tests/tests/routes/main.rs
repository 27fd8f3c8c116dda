//! Every route, every way of letting in, every scope: exactly those pass that may. The rows are held against the OpenAPI document, which
//! is made of the router itself: a route without a row here fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod certificates;
#[path = "../walls/door.rs"]
#[allow(dead_code, reason = "shared")]
mod door;
mod secure;
mod table;
mod tokens;
