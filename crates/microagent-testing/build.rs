//! Tells the suites and `needs!` what is missing, so that the tests which need it are reported as ignored: the services that
//! `SKIP_SERVICES` names, and the oldest supported release of Rust when another one compiles.

use std::{env, process::Command};

/// The services that `SKIP_SERVICES` may name.
const SERVICES: [&str; 6] = [
    "redis",
    "rabbitmq",
    "kafka",
    "python",
    "prometheus",
    "unshare",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SKIP_SERVICES");
    let skipped = env::var("SKIP_SERVICES").unwrap_or_default();
    for service in SERVICES {
        tell(
            service,
            skipped.split_whitespace().any(|name| name == service),
        );
    }
    tell("oldest_rust", !is_oldest_rust());
}

fn tell(what: &str, is_missing: bool) {
    println!("cargo::rustc-check-cfg=cfg(without_{what})");
    if is_missing {
        println!("cargo::rustc-cfg=without_{what}");
    }
}

/// Returns true if the compiler says, such as in `rustc 1.95.0 (59807616e 2026-04-14)`, that it is the `rust-version` of this crate.
fn is_oldest_rust() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    let version = Command::new(variable("RUSTC")).arg("--version").output();
    let oldest = format!("rustc {}.", variable("CARGO_PKG_RUST_VERSION"));
    version.is_ok_and(|it| it.stdout.starts_with(oldest.as_bytes()))
}
