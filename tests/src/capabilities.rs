//! What this process may do.

/// Whether this process may look into others that are not dumpable: CAP_SYS_PTRACE.
pub fn looks_inside() -> bool {
    capable(19)
}

/// Whether this process has a capability, by its bit (capabilities(7)).
pub fn capable(bit: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("CapEff");
    u64::from_str_radix(effective.trim(), 16).expect("hex") & (1 << bit) != 0
}
