//! What a process says of itself, from files that were opened before the walls stood: behind them there is no /proc.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Clock ticks in a second, as /proc has them on Linux (proc_pid_stat(5)).
const TICKS: f64 = 100.0;
/// Octets of a page.
const PAGE: f64 = 4096.0;

/// The two files, for a room's life.
#[derive(Clone, Debug)]
pub struct Vitals {
    stat: Option<Arc<File>>,
    /// Unix seconds.
    began: f64,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Octets.
    pub resident: f64,
    /// Seconds, of user and system.
    pub processor: f64,
    /// Unix seconds.
    pub began: f64,
}

impl Vitals {
    /// Opens what there is; where there is nothing, nothing is read later.
    pub fn open() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let began = now.map_or(0.0, |now| now.as_secs_f64());
        Self { stat: File::open("/proc/self/stat").ok().map(Arc::new), began }
    }

    pub fn read(&self) -> Option<Reading> {
        let mut buffer = [0; 1024];
        let length = self.stat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        // The command's name is in parentheses, and may have any in it. Field 3 comes after the last.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Reading { resident: field(24)? * PAGE, processor: (field(14)? + field(15)?) / TICKS, began: self.began })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory_and_its_time() {
        let vitals = Vitals::open();
        let before = vitals.read().unwrap();
        assert!(before.resident > 100_000.0 && before.began > 1.7e9, "{before:?}");
        let mut held = vec![0_u8; 32 << 20];
        held.iter_mut().step_by(1024).for_each(|octet| *octet = 1);
        let after = vitals.read().unwrap();
        assert!(after.resident > before.resident + 2e7 && held[1024] == 1, "{before:?} {after:?}");
        assert!(after.processor >= before.processor);
    }
}
