//! Says what is missing before the build of the client, whose own error names a configure check.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CXX");
    let chosen = std::env::var("CXX");
    let has_compiler = match &chosen {
        Ok(compiler) => runs(compiler),
        Err(_) => ["c++", "g++", "clang++"].into_iter().any(runs),
    };
    let needed = [
        (has_compiler, "a C++ compiler (g++)"),
        (runs("make"), "make"),
    ];
    let missing: Vec<_> = needed
        .into_iter()
        .filter_map(|(is_there, what)| (!is_there).then_some(what))
        .collect();
    if !missing.is_empty() {
        println!(
            "cargo::error=the driver of `kafka://` needs {}: install the package `build-essential`, or build without the feature `kafka`",
            missing.join(" and ")
        );
    }
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
