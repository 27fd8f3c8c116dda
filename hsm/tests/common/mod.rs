//! A token of its own for each test. SoftHSM reads SOFTHSM2_CONF from the environment and is one library for the whole
//! process, so each test runs itself again as a child with its own environment: threads of `cargo test` and processes
//! of nextest are then the same.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::Attribute;
use cryptoki::session::{Session, UserType};
use pkcs11_shim::{Control, ENV_CONTROL, ENV_MODULE};

use hsm::{Config, Curve, Module, PinSource, Token, TokenSelector};

const CHILD: &str = "HSM_TEST_CHILD";
const CONTROL: &str = "faults";
pub const LABEL: &str = "signing-agent";

/// What softhsm-setup.sh made.
pub struct Place {
    pub dir: PathBuf,
    pub module: PathBuf,
    pub pin_file: PathBuf,
}

/// `name` is the test's own name.
pub fn with_token(name: &str, body: fn(&Place)) {
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        let path = |variable| PathBuf::from(std::env::var_os(variable).unwrap());
        let pin_file = path("SIGNING_AGENT_TOKEN_PIN_FILE");
        body(&Place { dir: pin_file.parent().unwrap().into(), module: path("SIGNING_AGENT_TOKEN_MODULE"), pin_file });
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let environment = setup(dir.path());
    let module = environment.iter().find(|(name, _)| name == "SIGNING_AGENT_TOKEN_MODULE").unwrap().1.clone();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .envs(environment)
        .env(CHILD, name)
        .env(ENV_MODULE, module)
        .env(ENV_CONTROL, dir.path().join(CONTROL))
        .env("CREDENTIALS_DIRECTORY", dir.path())
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(child.status.success() && said.contains("1 passed"), "{name}: {}\n{said}", child.status);
}

/// Runs the script that people use; its `export` lines as pairs.
pub fn setup(dir: &Path) -> Vec<(String, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../softhsm-setup.sh");
    let output = Command::new(script).arg(dir).output().unwrap();
    assert!(output.status.success(), "softhsm-setup.sh: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap())
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

impl Place {
    pub fn config(&self) -> Config {
        Config {
            module: Module::load(&self.module).unwrap(),
            token: TokenSelector::Label(LABEL.into()),
            pin: PinSource::File(self.pin_file.clone()),
            identity_curve: Curve::P256,
            generations: Default::default(),
            refused_pin_marker: self.marker(),
            workers: 2,
            watch: Default::default(),
        }
    }

    /// The same token by the module that fails where it is told to.
    pub fn shim_config(&self) -> Config {
        Config { module: Module::load(&Control::module()).unwrap(), ..self.config() }
    }

    pub fn control(&self) -> Control {
        Control::new(&self.dir.join(CONTROL))
    }

    pub fn marker(&self) -> PathBuf {
        self.dir.join("pin-refused")
    }

    pub fn tokens(&self) -> PathBuf {
        self.dir.join("tokens")
    }

    pub fn open(&self) -> Token {
        Token::open(self.config()).unwrap()
    }

    /// With its three keys.
    pub fn ready(&self) -> Token {
        let token = self.open();
        token.ensure_keys().unwrap();
        token
    }

    pub fn pin(&self) -> String {
        fs::read_to_string(&self.pin_file).unwrap().trim().into()
    }

    pub fn write_pin(&self, pin: &str) {
        fs::write(&self.pin_file, pin).unwrap();
        fs::set_permissions(&self.pin_file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Another client of the same library in this process: dlopen gives both the same one.
    pub fn library(&self) -> Pkcs11 {
        Pkcs11::new(&self.module).unwrap()
    }

    /// A client before or after [`Token`]: what it does with the token is on the disk afterwards.
    pub fn as_another_client(&self, work: impl FnOnce(&Session)) {
        let library = self.library();
        library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        {
            let session = self.session(&library);
            session.login(UserType::User, Some(&self.pin().into())).unwrap();
            work(&session);
        }
        library.finalize().unwrap();
    }

    pub fn session(&self, library: &Pkcs11) -> Session {
        let slot = library.get_slots_with_initialized_token().unwrap()[0];
        library.open_rw_session(slot).unwrap()
    }
}

pub fn label(role: &str) -> Attribute {
    Attribute::Label(format!("signing-agent {role}").into_bytes())
}

/// The error's words; the token must not open.
pub fn refused(config: Config) -> String {
    Token::open(config).map(drop).expect_err("opened").to_string()
}

pub fn digest(n: u32) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(n.to_be_bytes()).into()
}
