//! How a room is started: its program, its environment, and its sockets as systemd would hand them over (sd_listen_fds(3)).

use crate::error::Error;
use command_fds::{CommandFdExt, FdMapping};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where packages put the rooms.
pub const LIBEXEC: &str = "/usr/libexec/signing-agent";

/// What a door keeps of this process's environment. The vault keeps all: PKCS#11 modules are configured by variables of their
/// own (`SOFTHSM2_CONF` and many more), and the systemd credential comes by `CREDENTIALS_DIRECTORY`.
const DOORS_KEEP: &[&str] = &[
    "RUST_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NO_COLOR",
    #[cfg(debug_assertions)]
    config::seams::SPEED,
    #[cfg(debug_assertions)]
    jail::NO_JAIL,
];

/// The sockets of a room, by the names that systemd's socket units give them.
pub type Named = Vec<(&'static str, OwnedFd)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Vault,
    Api,
    Courier,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Vault => "vault",
            Kind::Api => "api",
            Kind::Courier => "courier",
        }
    }
}

/// The room's program: beside this one, else in `../libexec/signing-agent` (another PREFIX than /usr), else in [`LIBEXEC`].
pub fn program(kind: Kind) -> Result<PathBuf, Error> {
    let own = own_path()?;
    let name = format!("signing-agent-{}", kind.name());
    let prefix = own.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
    let libexec = prefix.join("libexec/signing-agent").join(&name);
    let places = [own.with_file_name(&name), libexec, Path::new(LIBEXEC).join(&name)];
    places.into_iter().find(|place| place.is_file()).ok_or(Error::NoRoom { name })
}

fn own_path() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::system("find this program's own path"))
}

/// What it takes to start a room.
#[derive(Debug)]
pub struct Recipe {
    pub kind: Kind,
    shim: PathBuf,
    program: PathBuf,
    config: PathBuf,
    /// The lane that a door connects to.
    lane: Option<PathBuf>,
}

impl Recipe {
    /// `config` is absolute.
    pub fn find(kind: Kind, config: &Path, lane: Option<PathBuf>) -> Result<Recipe, Error> {
        Ok(Recipe { kind, shim: own_path()?, program: program(kind)?, config: config.to_owned(), lane })
    }

    /// The command that becomes the room. The thread that spawns it must outlive the room: the kernel ends the room with it.
    pub fn command(&self, sockets: &Named) -> io::Result<Command> {
        let mut command = Command::new(&self.shim);
        command.args(["shim", "--parent", &std::process::id().to_string(), "--"]);
        command.arg(&self.program).arg("--config").arg(&self.config);
        self.environment(&mut command);
        // stdout is for the results of this command; a room only logs.
        command.stdin(Stdio::null()).stdout(io::stderr().as_fd().try_clone_to_owned()?);
        // A terminal's Ctrl-C goes to its whole process group, but which room ends when is for this process to say.
        command.process_group(0);
        let mut names = Vec::new();
        let mut mappings = Vec::new();
        for (child_fd, (name, socket)) in (3..).zip(sockets) {
            names.push(*name);
            mappings.push(FdMapping { parent_fd: socket.try_clone()?, child_fd });
        }
        if !names.is_empty() {
            command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        }
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        Ok(command)
    }

    fn environment(&self, command: &mut Command) {
        if self.kind == Kind::Vault {
            // What systemd handed to this process is not the vault's.
            for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"]
            {
                command.env_remove(name);
            }
        } else {
            command.env_clear();
            let kept = |name: &&str| std::env::var_os(name).map(|value| (OsString::from(name), value));
            command.envs(DOORS_KEEP.iter().filter_map(kept));
        }
        if let Some(lane) = &self.lane {
            command.env(ipc::LANE_VARIABLE, lane);
        }
    }
}
