//! Enters: a directory with files in the formats of tests/vectors.
//! Leaves: a line for each file and each failed case, then `N passed, N failed`, and exit code 0 if none failed.
//! Never: a panic over a malformed file; that is a failed case.

mod check;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        let _ = writeln!(std::io::stderr(), "usage: vectors DIR");
        return ExitCode::from(2);
    };
    match check::directory(Path::new(directory), &mut out) {
        Ok(tally) if tally.good() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
