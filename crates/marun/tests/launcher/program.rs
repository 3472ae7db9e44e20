//! The program with the agents that the tests run.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// Returns the path of the program.
///
/// It is an example, which cargo builds for all tests of the crate, but not for those that are
/// selected with `--test`.
pub(crate) fn program_path() -> PathBuf {
    static PROBLEM: OnceLock<Option<String>> = OnceLock::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_marun")).with_file_name("examples");
    let path = folder.join("test-agents");
    if let Some(problem) = PROBLEM.get_or_init(|| problem_of(&path)) {
        panic!(
            "{} {problem}; `cargo test -p marun` builds it, but not with `--test`: run `cargo build -p marun --examples` first",
            path.display()
        );
    }
    path
}

/// Returns why the program cannot be used. Cargo lists the sources of a program in a file beside
/// it.
fn problem_of(program: &Path) -> Option<String> {
    let Some(built) = modified(program) else {
        return Some("is missing".to_owned());
    };
    let sources = fs::read_to_string(program.with_extension("d")).ok()?;
    let mut sources = sources.lines().next()?.split(' ').skip(1);
    let newer = sources.find(|source| modified(Path::new(source)).is_some_and(|time| time > built));
    newer.map(|source| format!("is older than {source}"))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
