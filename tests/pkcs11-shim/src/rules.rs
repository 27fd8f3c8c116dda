//! The control file, read again at each call.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cryptoki_sys::{CK_RV, CKR_DEVICE_ERROR, CKR_GENERAL_ERROR};

use crate::control::{ENV_CONTROL, log_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Return(CK_RV),
    Delay(Duration),
    Hang,
    /// As a network HSM's module works.
    Dial(SocketAddr),
    /// The rest concern what the function gives out.
    Corrupt,
    Zero,
    Empty,
    Lose,
}

#[derive(Debug)]
struct Rule {
    function: String,
    fault: Fault,
    left: Option<u64>,
}

#[derive(Debug, Default)]
struct Rules {
    text: String,
    rules: Vec<Rule>,
}

static RULES: Mutex<Rules> = Mutex::new(Rules { text: String::new(), rules: Vec::new() });

/// What befalls this call before the real function; an error is the code to return instead.
pub fn before(function: &str) -> Result<(), CK_RV> {
    if function == "C_Login" {
        note(function);
    }
    let text = read();
    let is_before = |fault| matches!(fault, Fault::Return(_) | Fault::Delay(_) | Fault::Hang | Fault::Dial(_));
    match take(function, &text, is_before) {
        Some(Fault::Return(code)) => Err(code),
        Some(Fault::Dial(address)) => TcpStream::connect(address).map(drop).map_err(|_| CKR_DEVICE_ERROR),
        Some(Fault::Delay(time)) => {
            thread::sleep(time);
            Ok(())
        }
        Some(Fault::Hang) => {
            while read() == text {
                thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether what the function gives out is to be spoilt like this.
pub fn spoils(function: &str, how: Fault) -> bool {
    take(function, &read(), |fault| fault == how).is_some()
}

fn take(function: &str, text: &str, fits: impl Fn(Fault) -> bool) -> Option<Fault> {
    let mut rules = rules();
    if rules.text != text {
        // A rule that nobody understands fails every call: a test must not pass for a typing error.
        let parsed = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
            parse(line).unwrap_or(Rule { function: "*".into(), fault: Fault::Return(CKR_GENERAL_ERROR), left: None })
        });
        rules.rules = parsed.collect();
        rules.text = text.to_owned();
    }
    let matching = |rule: &&mut Rule| {
        (rule.function == "*" || rule.function == function) && fits(rule.fault) && rule.left != Some(0)
    };
    let rule = rules.rules.iter_mut().find(matching)?;
    rule.left = rule.left.map(|left| left - 1);
    let fault = rule.fault;
    drop(rules);
    if function != "C_Login" {
        note(function);
    }
    Some(fault)
}

fn parse(line: &str) -> Option<Rule> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let left = match words.last()?.strip_prefix("times=") {
        Some(times) => {
            words.pop();
            Some(times.parse().ok()?)
        }
        None => None,
    };
    let (function, fault) = match words[..] {
        [function, "return", code] => {
            (function, Fault::Return(CK_RV::from_str_radix(code.strip_prefix("0x")?, 16).ok()?))
        }
        [function, "delay-ms", time] => (function, Fault::Delay(Duration::from_millis(time.parse().ok()?))),
        [function, "hang"] => (function, Fault::Hang),
        [function, "dial", address] => (function, Fault::Dial(address.parse().ok()?)),
        [function @ ("C_Sign" | "C_DeriveKey"), "corrupt"] => (function, Fault::Corrupt),
        [function @ "C_GenerateRandom", "zero"] => (function, Fault::Zero),
        [function @ "C_CreateObject", "lose"] => (function, Fault::Lose),
        [function @ "C_FindObjects", "empty"] => (function, Fault::Empty),
        _ => return None,
    };
    Some(Rule { function: function.to_owned(), fault, left })
}

fn read() -> String {
    std::env::var_os(ENV_CONTROL).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// One write, so that the lines of several processes do not mix.
fn note(function: &str) {
    let Some(path) = std::env::var_os(ENV_CONTROL) else { return };
    if let Ok(mut file) = File::options().append(true).create(true).open(log_of(path.as_ref())) {
        let _ = file.write_all(format!("{function}\n").as_bytes());
    }
}

fn rules() -> MutexGuard<'static, Rules> {
    RULES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_understood_whole_or_not_at_all() {
        let fault = |line| parse(line).map(|rule| (rule.fault, rule.left));
        assert_eq!(fault("C_Sign return 0x30 times=1"), Some((Fault::Return(0x30), Some(1))));
        assert_eq!(fault("* return 0xE0"), Some((Fault::Return(0xe0), None)));
        assert_eq!(fault("C_Sign  delay-ms 500"), Some((Fault::Delay(Duration::from_millis(500)), None)));
        assert_eq!(fault("* hang"), Some((Fault::Hang, None)));
        for line in ["C_Sign", "C_Sign return 48", "C_Login corrupt", "* hang times=x", "C_Sign return 0x30 now"] {
            assert_eq!(fault(line), None, "{line}");
        }
    }
}
