//! What a process says of itself, from files that were opened before the walls stood: behind them there is no /proc.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The file, for a room's life.
#[derive(Clone, Debug)]
pub struct Vitals {
    stat: Option<Arc<File>>,
    /// Unix seconds.
    began: u64,
    /// Octets.
    page: u64,
    /// Clock ticks in a second.
    ticks: u64,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Octets.
    pub resident: u64,
    /// Milliseconds, of user and system.
    pub processor: u64,
    /// Unix seconds.
    pub began: u64,
}

impl Vitals {
    /// Opens what there is; where there is nothing, nothing is read later.
    pub fn open() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            stat: File::open("/proc/self/stat").ok().map(Arc::new),
            began: now.map_or(0, |now| now.as_secs()),
            page: rustix::param::page_size() as u64,
            ticks: rustix::param::clock_ticks_per_second(),
        }
    }

    pub fn read(&self) -> Option<Reading> {
        let mut buffer = [0; 1024];
        let length = self.stat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        // The command's name is in parentheses, and may have any in it. Field 3 comes after the last.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        // proc_pid_stat(5)
        let (user, system, pages) = (field(14)?, field(15)?, field(24)?);
        Some(Reading {
            resident: pages * self.page,
            processor: (user + system) * 1000 / self.ticks.max(1),
            began: self.began,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory_and_its_time() {
        let vitals = Vitals::open();
        let before = vitals.read().unwrap();
        assert!(before.resident > 100_000 && before.began > 1_700_000_000, "{before:?}");
        let mut held = vec![0_u8; 32 << 20];
        held.iter_mut().step_by(1024).for_each(|octet| *octet = 1);
        let after = vitals.read().unwrap();
        assert!(after.resident > before.resident + 20_000_000 && held[1024] == 1, "{before:?} {after:?}");
        assert!(after.processor >= before.processor);
    }
}
