//! The operator's commands on a whole house: what they do is done.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod partner_key;
