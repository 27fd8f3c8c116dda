//! The courier: its binary as a process, or, with shortened times, its library in a thread.

use super::{PATIENCE, Vault};
use signing_agent_courier::{End, Outside, Pace, serve};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The real binary, logging at trace level into a file of the vault's directory.
pub struct Courier {
    child: Child,
    log: PathBuf,
}

pub fn write_config(vault: &Vault, backend: &str) -> PathBuf {
    let path = vault.dir.path().join("signing-agent.toml");
    std::fs::write(&path, format!("[backend]\n{backend}\n[log]\nlevel = \"trace\"\n")).unwrap();
    path
}

impl Courier {
    /// `backend` is what stands under `[backend]`.
    pub fn start(vault: &Vault, backend: &str) -> Courier {
        Self::start_on(vault, backend, None)
    }

    /// On a system whose CAs are those of `system_cas` (a PEM file) alone.
    pub fn start_on(vault: &Vault, backend: &str, system_cas: Option<&Path>) -> Courier {
        let log = vault.dir.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_signing-agent-courier"))
            .arg("--config")
            .arg(write_config(vault, backend))
            .env(ipc::LANE_VARIABLE, vault.lane())
            .envs(system_cas.map(|path| ("SSL_CERT_FILE", path)))
            // A proxy in the environment must not matter.
            .env("http_proxy", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("ALL_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Courier { child, log }
    }

    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for the exit code.
    pub fn code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the courier does not end; its log:\n{}", self.log());
    }

    pub fn wait_for_log(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "{words:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library with a pace of the test's; it ends when the vault retires it or hangs up.
pub fn start_with_pace(vault: &Vault, pace: Pace) -> std::thread::JoinHandle<End> {
    let (lane, path) = (vault.lane(), write_config(vault, "url = \"http://127.0.0.1:9/p\""));
    std::thread::spawn(move || {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let outside = Outside::new(config::load(&path).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lane = ipc::Lane::connect(&lane).await.unwrap();
            serve(lane, outside, pace, std::future::pending()).await
        })
    })
}
