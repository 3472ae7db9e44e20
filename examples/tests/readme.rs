//! Builds a package of a user's own with exactly the dependencies that the README lists, and runs the README's example in it.
//! CI has no Docker, so the `Dockerfile` of the shop is only compared with the repository.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const README: &str = include_str!("../../README.md");

/// A program whose signals have arguments of every kind of number.
const NUMBERS: &str = r#"
use microagent::prelude::*;

microagent::declare!("signals.json");

struct Cashier;

#[agent]
impl Cashier {
    #[receiver(signals::Paid)]
    async fn paid(&self, amount: f64, pieces: u32, rest: Number) -> String {
        format!("{pieces} for {amount}, {rest}")
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = Bus::connect("memory://").await?;
    let agent = Agent::new(Cashier).bus(bus.clone()).start().await?;
    let paid = signals::Paid { amount: 9.5.into(), pieces: 3.into(), rest: 1.into() };
    println!("{}", bus.call("test", paid).await?);
    agent.stop().await
}
"#;

/// Returns the first block of this language after a heading.
fn block_after<'a>(heading: &str, language: &str) -> &'a str {
    let (_, section) = README.split_once(heading).unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

/// Creates the package beside a clone of this repository, and outside of this workspace.
fn package(folder: &Path) -> PathBuf {
    symlink(fs::canonicalize(ROOT).unwrap(), folder.join("microagent")).unwrap();
    let package = folder.join("readme");
    fs::create_dir_all(package.join("src/bin")).unwrap();
    let dependencies = block_after("## In your own crate", "toml");
    let manifest = format!(
        "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{dependencies}"
    );
    let signals = r#"{"signals": [{"name": "paid", "providing_args": {"amount": "number", "pieces": "number", "rest": "number"}}]}"#;
    for (name, text) in [
        ("Cargo.toml", &*manifest),
        ("signals.json", signals),
        ("src/bin/example.rs", block_after("# MicroAgent", "rust")),
        ("src/bin/numbers.rs", NUMBERS),
    ] {
        fs::write(package.join(name), text).unwrap();
    }
    // The versions of the workspace, so that no registry is asked.
    fs::copy(
        Path::new(ROOT).join("Cargo.lock"),
        package.join("Cargo.lock"),
    )
    .unwrap();
    package
}

#[test]
fn the_dependencies_of_the_readme_build_its_example_and_number_fields() {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    for (program, expected) in [
        (
            "example",
            "{\"UserAgent.welcome\":\"welcome, ann@example.com\"}\n",
        ),
        ("numbers", "{\"Cashier.paid\":\"3 for 9.5, 1\"}\n"),
    ] {
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline", "--bin", program])
            .current_dir(&package)
            .env("CARGO_TARGET_DIR", target)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {errors}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{errors}"
        );
    }
}

#[test]
fn the_dockerfile_names_files_that_are_there_and_the_oldest_rust() {
    let dockerfile = fs::read_to_string(Path::new(ROOT).join("examples/shop/Dockerfile")).unwrap();
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let (_, rust) = manifest.split_once("rust-version = \"").unwrap();
    let image = format!("FROM rust:{}-slim", rust.split_once('"').unwrap().0);
    assert!(dockerfile.contains(&image), "{image}");
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY examples/"));
    let copied: Vec<&str> = copied.flat_map(str::split_whitespace).collect();
    let (folder, sources) = copied.split_last().unwrap();
    assert_eq!((*folder, sources.len()), ("/srv/shop/", 2));
    for source in sources {
        let path = source.strip_prefix("examples/").unwrap_or(source);
        assert!(
            Path::new(ROOT).join("examples").join(path).exists(),
            "{source}"
        );
    }
    assert!(dockerfile.contains(r#"["/usr/local/bin/shop", "run", "/srv/shop/settings.toml"]"#));
}
