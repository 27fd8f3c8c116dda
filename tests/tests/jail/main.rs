//! The jail from inside: the real rooms, in their real jails, try what a captured room would try.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod attempts;
mod minimal;
mod names;
mod network;
mod room;
mod start;

/// Whether this process may do what a control run needs: CAP_SYS_ADMIN.
fn is_root() -> bool {
    signing_agent_tests::capable(21)
}
