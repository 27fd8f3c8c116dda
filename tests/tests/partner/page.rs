//! The commands of docs/partner-apps.md, as they stand there.

use crate::agent::{Agent, Door, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use signing_agent_tests::{binary, until};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PAGE: &str = include_str!("../../../docs/partner-apps.md");
const CERTIFICATE: &str = "\n## With a certificate\n";

/// The page's commands before its chapter on certificates, and those of that chapter, block by block.
fn blocks() -> (Vec<String>, Vec<String>) {
    let (before, chapter) = PAGE.split_once(CERTIFICATE).unwrap();
    let of = |text: &str| -> Vec<String> {
        let starts = text.split("\n```sh\n").skip(1);
        starts.map(|block| block.split_once("\n```\n").unwrap().0.to_owned()).collect()
    };
    (of(before), of(chapter))
}

/// Commands in a directory of their own, as somebody pastes them.
struct Shell {
    child: Child,
    dir: PathBuf,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shell {
    fn start(agent: &Agent, dir: &Path, variables: &[(&str, &str)], commands: &str) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
        let commands = commands.replace("/usr/share/signing-agent/examples", examples.to_str().unwrap());
        let scheme = agent.url().split("//").next().unwrap().to_owned();
        let commands = commands.replace(&format!("{scheme}//127.0.0.1:8007"), &agent.url());
        let programs = binary("signing-agent").parent().unwrap().display().to_string();
        let log = File::create(dir.join("said")).unwrap();
        let child = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(dir)
            // The system's own Python comes first: Debian's packages are for it.
            .env("PATH", format!("{programs}:/usr/bin:{}", std::env::var("PATH").unwrap()))
            .env("NODE_PATH", "/usr/share/nodejs")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SIGNING_AGENT_ADMIN_LANE", agent.house.state().join("lanes/admin.sock"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, dir: dir.to_owned() }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap()
    }

    fn ends_well(mut self, agent: &Agent) -> String {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}\n{}", self.said(), agent.house.log());
        self.said()
    }
}

/// What the example that was started last decides.
fn decides(agent: &Agent, shell: &Shell) {
    agent.listeners(1);
    let id = agent.order(json!({}));
    until("it is decided", || shell.said().contains(&format!("approved {id} ")), || shell.said());
    agent.ended(&id, "approved");
    agent.listeners(0);
}

fn page_dir(agent: &Agent) -> PathBuf {
    let dir = agent.path("page");
    fs::create_dir(&dir).unwrap();
    dir
}

#[test]
fn the_page_goes_from_nothing_to_the_first_decision() {
    let (blocks, _) = blocks();
    let [token, client, register, python, node, by_hand] = blocks.as_slice() else {
        panic!("the page has other blocks: {blocks:#?}")
    };
    let mut agent = Agent::start(Door::Token);
    let dir = page_dir(&agent);
    // The agent has the test's own token by that name.
    assert!(agent.house.output(&["token", "revoke", "my-app"]).status.success());
    Shell::start(&agent, &dir, &[], token).ends_well(&agent);
    agent.token = Some(fs::read_to_string(dir.join("my-token")).unwrap().trim().to_owned());

    let partner = agent.house.partner();
    fs::write(dir.join("api-key"), partner["apiKey"].as_str().unwrap()).unwrap();
    let pem = STANDARD.decode(partner["base64PrivateKey"].as_str().unwrap()).unwrap();
    fs::write(dir.join("private.pem"), pem).unwrap();
    let said = Shell::start(&agent, &dir, &[], &[client.as_str(), register].join("\n")).ends_well(&agent);
    assert!(said.starts_with(r#"{"agentID":"","feedURL":"ws://"#), "{said}");
    let code = agent.house.control("GET", "/agents", None)[0]["accountCode"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!(r#"{{"agentID":"{code}","feedURL":"#)), "{said}");
    assert!(!dir.join("registration.json").exists());

    agent.house.wait("feeds=1");
    let url = format!("export SIGNING_AGENT_URL={}\n", agent.url());
    for app in [python, node] {
        let shell = Shell::start(&agent, &dir, &[], &(url.clone() + app));
        decides(&agent, &shell);
        shell.ends_well(&agent);
    }
    let ids = [agent.order(json!({})), agent.order(json!({}))];
    // A lost answer: the same again.
    let again = format!("{url}{by_hand}\n{by_hand}");
    let shell = Shell::start(&agent, &dir, &[("ACTION", &ids[0]), ("OTHER", &ids[1])], &again);
    let said = shell.ends_well(&agent);
    for (id, status) in ids.iter().zip(["approved", "rejected"]) {
        agent.ended(id, status);
        assert_eq!(said.matches(&json!({"actionID": id, "status": status}).to_string()).count(), 2, "{said}");
    }
    assert_eq!(agent.house.action(&ids[0])["approvals"], 1, "the backend heard of it once");
    agent.house.assert_no_panic();
}

#[test]
fn the_pages_chapter_on_certificates_goes_to_a_decision_too() {
    let (_, blocks) = blocks();
    let [request, use_it] = blocks.as_slice() else { panic!("the chapter has other blocks: {blocks:#?}") };
    let mut agent = Agent::start(Door::Certificate);
    let dir = page_dir(&agent);
    Shell::start(&agent, &dir, &[], request).ends_well(&agent);
    for file in ["ca.pem", "ca.key"] {
        fs::copy(agent.path(file), dir.join(file)).unwrap();
    }
    sign(&dir, "ca", "my-app", "extendedKeyUsage=clientAuth\n");
    let lines = PAGE.split_once("\n```toml\n").unwrap().1.split_once("```").unwrap().0;
    assert!(agent.house.settings.api.ends_with(lines), "the house lets in whom the page lets in");

    let body = fs::read_to_string(agent.registration()).unwrap();
    let host = agent.address();
    let request =
        format!("POST /api/v1/register HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(crate::agent::exchange(&mut *agent.wire(), &request).unwrap().status, 200);
    agent.house.wait("feeds=1");
    let shell = Shell::start(&agent, &dir, &[], use_it);
    decides(&agent, &shell);
    decides(&agent, &shell);
    let code = agent.house.control("GET", "/agents", None)[0]["accountCode"].as_str().unwrap().to_owned();
    assert!(shell.ends_well(&agent).starts_with(&format!(r#"{{"agentID":"{code}","#)));
    agent.house.assert_no_panic();
}
