//! The policy in force, and its shadow: read when the vault starts, and again when the operator says so.

use crate::clock;
use crate::ledger::LastSigned;
use crate::people::Named;
use crate::shadow::Shadow;
use crate::signed;
use config::guard;
use policy::Policy;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What is larger is no policy.
const LARGEST: u64 = 16 << 20;
/// The keys of the configuration.
const FILE: &str = "[policy] file";

/// What is judged by, from one reading of a file.
#[derive(Debug)]
pub struct Active {
    pub policy: Policy,
    pub text: String,
    /// `None`: no file is named, and everything is held.
    pub file: Option<PathBuf>,
    /// What lies beside it, or why that cannot be read.
    pub signatures: Result<String, String>,
    /// Why the file's policy is not the one in force: then nothing is signed.
    pub refused: Option<String>,
    /// Unix seconds.
    loaded: u64,
}

impl Active {
    /// Words begin with the file, and the place in it where there is one; where it cannot be read, with the configuration's `key`.
    pub fn read(file: &Path, key: &str) -> Result<Active, String> {
        // Each time, for they may have been replaced.
        [file, &signed::beside(file)].into_iter().try_for_each(guard::check).map_err(|e| format!("{key} {e}"))?;
        let text = read(file).map_err(|e| format!("{key} {}: {e}", file.display()))?;
        let policy = Policy::parse(&text).map_err(|e| format!("{}:{e}", file.display()))?;
        Ok(Active { policy, text, file: Some(file.to_owned()), signatures: signed::read(file), ..Active::hold_all() })
    }

    fn hold_all() -> Active {
        Active {
            policy: Policy::hold_all(),
            text: String::new(),
            file: None,
            signatures: Ok(String::new()),
            refused: None,
            loaded: clock::now(),
        }
    }

    /// Everything is held in its place, and nothing is signed.
    fn refuse(&self, words: &str) -> Active {
        Active { file: self.file.clone(), refused: Some(words.to_owned()), ..Active::hold_all() }
    }

    pub fn hash(&self) -> String {
        hex::encode(self.policy.hash())
    }

    /// When its file was read, Unix seconds.
    pub fn loaded(&self) -> Option<u64> {
        self.file.is_some().then_some(self.loaded)
    }

    /// The file and the hash, for people.
    pub fn name(&self) -> String {
        match &self.file {
            Some(file) if self.refused.is_some() => format!("REFUSED, and nothing is signed: {}", file.display()),
            Some(file) => format!("{} (SHA-256 {})", file.display(), self.hash()),
            None if self.refused.is_some() => "REFUSED, and nothing is signed: none is named".to_owned(),
            None => "none: everything is held for the partner app".to_owned(),
        }
    }

    /// Its file, or that there is none.
    pub fn source(&self) -> String {
        if self.refused.is_some() {
            let file = self.file.as_deref().map_or("it".into(), |file| file.display().to_string());
            return format!("none, for {file} is refused");
        }
        self.file.as_ref().map_or_else(|| "none".to_owned(), |file| file.display().to_string())
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::other("larger than 16 MiB: this is no policy"));
    }
    Ok(text)
}

/// What the room judges by now.
pub struct Policies {
    active: RwLock<Arc<Active>>,
    /// The one that is read from `file` at a reload.
    file: Option<PathBuf>,
    /// What is judged beside it.
    pub shadow: Shadow,
    /// One reload at a time.
    pub reloading: Mutex<()>,
}

impl Policies {
    /// The policy that the configuration names; everything is held where it names none.
    pub fn load(config: &config::PolicyFile) -> Result<Policies, String> {
        let active = match &config.file {
            Some(file) => Active::read(file, FILE)?,
            None => Active::hold_all(),
        };
        let shadow = Shadow::start(config.shadow.clone());
        Ok(Policies {
            active: RwLock::new(Arc::new(active)),
            file: config.file.clone(),
            shadow,
            reloading: Mutex::default(),
        })
    }

    pub fn active(&self) -> Arc<Active> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again; nothing is in force by that. `None`: no file is named.
    pub fn read_again(&self) -> Option<Result<Active, String>> {
        self.file.as_ref().map(|file| Active::read(file, FILE))
    }

    /// Whether the vault may begin with the policy that was read, by its deed and its ledger; what is to be remembered of it.
    /// Where it may not, everything is held, and [`Active::refused`] says why.
    pub fn admit(&self, people: &Named, last: Option<LastSigned>) -> Option<LastSigned> {
        // What an earlier try refused may be another file by now.
        if self.active().refused.is_some()
            && let Some(Ok(again)) = self.read_again()
        {
            self.replace(again);
        }
        let active = self.active();
        signed::check(people, &active, last).unwrap_or_else(|words| {
            self.replace(active.refuse(&words));
            None
        })
    }

    /// From now on it is judged by this one.
    pub fn replace(&self, active: Active) {
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(active);
    }
}
