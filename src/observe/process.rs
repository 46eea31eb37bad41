//! What the operating system says of this process; nothing where it does not say it as Linux does.

use std::fs;

/// Ticks a second in `/proc/self/stat`: the same on every Linux that programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory.
pub fn resident_bytes() -> Option<f64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Processor time used.
pub fn cpu_seconds() -> Option<f64> {
    cpu(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn cpu(stat: &str) -> Option<f64> {
    // The second field is the program's name in brackets, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_texts_are_understood() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads: 3\n"), Some(2_097_152.0));
        assert_eq!(resident("Name:\tx\n"), None);
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu(stat), Some(1.75));
        assert_eq!(cpu("nonsense"), None);
    }
}
