//! What the compiler says about code that is wrong: each message names what, where, why and what is allowed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::Command,
};

/// The texts hold sentences of the compiler's own, which other releases word otherwise: they are those of the oldest release
/// that is supported.
const KEPT_FOR: &str = env!("CARGO_PKG_RUST_VERSION");

#[test]
fn compile_errors_are_those_that_a_newcomer_can_read() {
    let compiler = compiler();
    if !compiler.starts_with(&format!("rustc {KEPT_FOR}.")) {
        let why = format!("the texts are those of rustc {KEPT_FOR}, and this is {compiler}");
        writeln!(io::stderr(), "\nskipped: compile errors: {why}").unwrap();
        return;
    }
    // The package that the texts are compiled in is `tests/trybuild/microagent` beside this folder.
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken.json");
    fs::copy("tests/ui/broken.json", beside).unwrap();
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// Such as `rustc 1.95.0 (59807616e 2026-04-14)`.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}
