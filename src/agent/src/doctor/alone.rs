//! `signing-agent-vault --check`, as the user that the vault works as: nobody else reads its state and its PIN as it does.

use super::found::unknown;
use crate::handover::{self, Kind};
use config::Config;
use ipc::Finding;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// What it may take: the token, the ledger, and a module that is slow to load.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: u64 = 1 << 20;
const UNIT: &str = "signing-agent-vault.service";
/// What of the unit makes the user, the PIN and the module's surroundings.
const PROPERTIES: [&str; 7] = [
    "User",
    "Group",
    "SupplementaryGroups",
    "Environment",
    "EnvironmentFiles",
    "LoadCredential",
    "LoadCredentialEncrypted",
];

/// What it found, and who looked.
pub fn look(path: &Path, config: &Config) -> (Vec<Finding>, String) {
    let program = match handover::program(Kind::Vault) {
        Ok(program) => program,
        Err(e) => return (vec![unknown("vault-check", e, "install the rooms and this command together")], nobody()),
    };
    let (mut command, by) = match prepared(&program, config, path) {
        Ok(prepared) => prepared,
        Err(words) => return (vec![unknown("vault-check", words, "type this as root, or as that user")], nobody()),
    };
    command.arg("--check").arg("--config").arg(path);
    match run(command) {
        Ok(findings) => (findings, format!("signing-agent-vault --check, {by}, for no vault answers")),
        Err(words) => {
            let remedy = format!("type it yourself: {} --check --config {}", program.display(), path.display());
            (vec![unknown("vault-check", words, remedy)], nobody())
        }
    }
}

fn nobody() -> String {
    "this command alone, for no vault answers".into()
}

/// The command that becomes the check, and as whom. Root becomes the vault's user: by systemd where its unit says who that is and
/// hands it the PIN, else the state directory's owner.
fn prepared(program: &Path, config: &Config, path: &Path) -> Result<(Command, String), String> {
    let me = rustix::process::geteuid().as_raw();
    if me == 0 && path == Path::new(config::DEFAULT_PATH) && Path::new("/run/systemd/system").is_dir() {
        if let Some(properties) = unit() {
            let mut command = Command::new("systemd-run");
            command.args(["--quiet", "--pipe", "--wait", "--collect"]);
            properties.iter().for_each(|property| {
                command.arg("-p").arg(property);
            });
            command.arg("--").arg(program);
            return Ok((command, format!("as {UNIT} is started")));
        }
    }
    let Ok(state) = std::fs::metadata(&config.state.dir) else { return Ok((Command::new(program), "as you".into())) };
    match (me, state.uid()) {
        (me, owner) if me == owner => Ok((Command::new(program), "as you".into())),
        (0, owner) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={owner}")).arg(format!("--regid={}", state.gid()));
            command.arg(if is_known(owner) { "--init-groups" } else { "--clear-groups" });
            command.arg("--").arg(program);
            Ok((command, format!("as the state directory's owner, uid {owner}")))
        }
        (_, owner) => Err(format!("no vault answers, and {} is of uid {owner}", config.state.dir.display())),
    }
}

/// Whether the user has an account, with its groups.
fn is_known(user: u32) -> bool {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    accounts.lines().any(|line| line.split(':').nth(2) == Some(&user.to_string()))
}

/// The unit's properties as `systemd-run -p` takes them; nothing where there is no such unit.
fn unit() -> Option<Vec<String>> {
    let shown = Command::new("systemctl")
        .args(["show", UNIT, "--property", "LoadState", "--property", &PROPERTIES.join(",")])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let shown = String::from_utf8(shown.stdout).ok()?;
    shown.lines().any(|line| line == "LoadState=loaded").then_some(())?;
    // `EnvironmentFile=` is shown as `EnvironmentFiles=PATH (ignore_errors=no)`.
    let set = shown.lines().filter(|line| !line.starts_with("LoadState=") && !line.ends_with('='));
    let taken = set.map(|line| match line.strip_prefix("EnvironmentFiles=") {
        Some(file) => {
            let (path, ignore) = file.split_once(" (ignore_errors=").unwrap_or((file, "no)"));
            format!("EnvironmentFile={}{path}", if ignore.starts_with("yes") { "-" } else { "" })
        }
        None => line.to_owned(),
    });
    Some(taken.collect())
}

fn run(mut command: Command) -> Result<Vec<Finding>, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
    let (tell, told) = channel();
    for (number, pipe) in [
        (0, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
        (1, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
    ] {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut text = Vec::new();
            let read = pipe.map(|pipe| pipe.take(LONGEST).read_to_end(&mut text));
            tell.send((number, read.is_some_and(|read| read.is_ok()).then_some(text)))
        });
    }
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..texts.len() {
        let Ok((number, text)) = told.recv_timeout(PATIENCE) else {
            // Both fail only where it has ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it has not ended within {} s; the token may hang", PATIENCE.as_secs()));
        };
        texts[number] = text.unwrap_or_default();
    }
    let end = child.wait().map_err(|e| e.to_string())?;
    serde_json::from_slice(&texts[0])
        .map_err(|_| format!("it said nothing that is a report ({end}): {}", String::from_utf8_lossy(&texts[1])))
}
