//! Enters: HTTP requests and feed subscriptions of partner apps, on a socket that was handed over.
//! Leaves: asks to the vault, its answers as JSON, and the feed's messages as they came.
//! Never: a key, a decision, or a registration's octets once it has been answered (the process ends itself then).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod actions;
mod around;
mod connection;
mod cors;
mod credentials;
mod error;
mod explanation;
mod feed;
mod form;
mod guests;
mod health;
mod metrics;
mod openapi;
mod origin;
mod patient;
mod policy;
mod reason;
mod register;
mod relay;
mod reply;
mod reports;
mod request_id;
mod routes;
mod serve;
mod settings;
mod shares;
mod slowing;
mod tls;

pub use error::Error;
pub use serve::{End, serve};
pub use settings::{Limits, Settings, Times};
pub use tls::Tls;
