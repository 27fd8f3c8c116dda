//! Where the tests take hold of the jail, in builds with debug assertions alone: a release build has not even the names.

/// Set: the room builds neither Landlock's walls nor seccomp's. The control of every test that runs into them.
#[cfg(debug_assertions)]
pub const NO_JAIL: &str = "SIGNING_AGENT_TEST_NO_JAIL";
/// Names what the room attempts against its own walls as soon as they stand; then it ends.
#[cfg(debug_assertions)]
pub const ATTEMPT: &str = "SIGNING_AGENT_TEST_ATTEMPT";

#[cfg(debug_assertions)]
pub(crate) fn no_jail() -> bool {
    std::env::var_os(NO_JAIL).is_some()
}

#[cfg(not(debug_assertions))]
pub(crate) fn no_jail() -> bool {
    false
}

/// For the moment before the first byte from outside.
#[cfg(debug_assertions)]
pub fn attempt() {
    if let Ok(what) = std::env::var(ATTEMPT) {
        crate::attempts::run(&what);
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn attempt() {}
