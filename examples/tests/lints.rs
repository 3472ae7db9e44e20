//! The lint settings of the crates: clippy reads one `clippy.toml` for a crate, so each of them repeats that of the workspace.

use std::{fs, io, path::PathBuf};

fn crates() -> io::Result<Vec<PathBuf>> {
    let crates = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates"))?;
    crates.map(|entry| Ok(entry?.path())).collect()
}

#[test]
fn the_settings_of_a_crate_begin_with_those_of_the_workspace() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../clippy.toml");
    let workspace = fs::read_to_string(root).unwrap();
    let crates = crates().unwrap();
    assert!(crates.len() >= 8, "{crates:?}");
    for path in crates {
        let own = fs::read_to_string(path.join("clippy.toml")).unwrap();
        let (_, rest) = own.split_once('\n').unwrap(); // the first line is a comment
        assert!(rest.starts_with(&workspace), "{}", path.display());
    }
}

#[test]
fn each_library_switches_the_disallowed_methods_on() {
    for path in crates().unwrap() {
        let source = fs::read_to_string(path.join("src/lib.rs")).unwrap();
        let on = "warn(clippy::disallowed_methods)";
        assert!(source.contains(on), "{}", path.display());
    }
}
