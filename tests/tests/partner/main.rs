//! Partner apps from outside: the Go agent's own clients, the examples of the documents, and the commands of
//! docs/partner-apps.md, each with a token and with a certificate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod clients;
mod page;
mod programs;
