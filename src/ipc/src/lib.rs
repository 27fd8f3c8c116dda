//! Enters: asks of the doors and of the operator's command, as frames on a Unix stream socket.
//! Leaves: answers, one for each ask, matched by request id.
//! Never: logic. What an ask means, and who may ask it, is the vault's to say.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod actions;
mod answers;
mod asks;
mod credentials;
#[cfg(feature = "door")]
mod door;
mod frame;
mod metrics;
mod spans;
mod status;
mod types;

pub use access::*;
pub use actions::*;
pub use answers::*;
pub use asks::*;
pub use credentials::*;
#[cfg(feature = "door")]
pub use door::{Lane, LaneLost, tell_vitals};
pub use frame::{Error, Framed, MAX_FRAME, ask_once, decode, encode, read_frame, write_frame};
pub use metrics::{FAMILIES, Family, Kind, Sample, Vitals, text as metrics_text};
pub use spans::{MAX_REQUEST_ID, RequestId, Span, Work, unix_nanos};
pub use status::*;
pub use types::*;

/// The environment variable that names the lane which a door connects to.
pub const LANE_VARIABLE: &str = "SIGNING_AGENT_LANE";
/// Where systemd's socket units put the lanes: `api.sock`, `courier.sock` and `admin.sock` in this directory.
pub const SYSTEM_LANES: &str = "/run/signing-agent";
/// A door's exit code after a registration was answered: what passed through its buffers cannot be wiped, so it is started anew.
pub const EXIT_RETIRED: u8 = 10;
/// A door's exit code when its lane ended.
pub const EXIT_LANE_LOST: u8 = 11;
/// A room's exit code when its configuration is at fault (`EX_CONFIG` of sysexits.h): starting it again would not help.
pub const EXIT_CONFIG: u8 = 78;
