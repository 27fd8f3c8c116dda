//! Enters: nothing.
//! Leaves: nothing; the measurements are in `benches/`, and `make bench` runs them.
//! Never: part of the daemon.
