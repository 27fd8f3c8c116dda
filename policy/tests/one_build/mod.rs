//! All of the crate's tests in one crate, for `make mutants` alone: there each mutant costs one build of it, and not one of
//! each file. Of [`noise`], which takes seconds, `disguises` has the promises.

#[path = "../amounts.rs"]
mod amounts;
#[path = "../bounds.rs"]
mod bounds;
#[path = "../cases.rs"]
mod cases;
#[path = "../conditions.rs"]
mod conditions;
#[path = "../disguises.rs"]
mod disguises;
#[path = "../exact.rs"]
mod exact;
#[path = "../explain.rs"]
mod explain;
#[path = "../language.rs"]
mod language;
#[path = "../laws.rs"]
mod laws;
#[path = "../release.rs"]
mod release;
#[path = "../rules.rs"]
mod rules;
#[path = "../samples.rs"]
mod samples;
#[path = "../shipped.rs"]
mod shipped;
#[path = "../tutorial.rs"]
mod tutorial;
#[path = "../windows.rs"]
mod windows;
