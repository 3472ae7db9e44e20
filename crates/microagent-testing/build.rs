//! Says to the suites which services `SKIP_SERVICES` goes without, so that their tests are reported as ignored.

/// The services that tests can be gone without.
const SERVICES: [&str; 1] = ["redis"];

fn main() {
    println!("cargo::rerun-if-env-changed=SKIP_SERVICES");
    let skipped = std::env::var("SKIP_SERVICES").unwrap_or_default();
    for service in SERVICES {
        println!("cargo::rustc-check-cfg=cfg(without_{service})");
        if skipped.split_whitespace().any(|name| name == service) {
            println!("cargo::rustc-cfg=without_{service}");
        }
    }
}
