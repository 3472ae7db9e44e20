//! Finds programs: by a path relative to the settings file, or by name.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::settings::{Place, SettingsError};

/// The folders in which a name is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// The folder of the running executable, where cargo puts all binaries of a workspace, then
    /// `PATH`.
    BesideThenPath,
    /// Only `PATH`, as in a shell.
    Path,
}

/// Finds the program in the settings at `place`. A name with a `/` is a path relative to the
/// settings file.
pub(crate) fn locate(name: &str, place: &Place, search: Search) -> Result<PathBuf, SettingsError> {
    if name.contains('/') {
        let path = place.folder().join(name);
        return match problem(&path) {
            None => Ok(path),
            Some(problem) => Err(place.error(format!("{} {problem}", path.display()))),
        };
    }
    let folders = folders(search);
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| problem(path).is_none());
    found.ok_or_else(|| {
        let beside = match search {
            Search::BesideThenPath => "neither beside the launcher nor in PATH",
            Search::Path => "not in PATH",
        };
        place.error(format!(
            "unknown program `{name}`: it is {beside}; expected a name there, or a path with a `/`, relative to the settings file"
        ))
    })
}

fn folders(search: Search) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if search == Search::BesideThenPath {
        let here = env::current_exe().ok();
        folders.extend(here.as_deref().and_then(Path::parent).map(Path::to_owned));
    }
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

/// Returns why the file cannot be run.
fn problem(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Err(_) => Some("does not exist; is it built?"),
        Ok(meta) if !meta.is_file() => Some("is not a file"),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => Some("is not executable"),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(folder: &Path, name: &str, search: Search) -> Result<PathBuf, String> {
        let place = Place::top(&folder.join("s.toml")).child("program", Some(1));
        locate(name, &place, search).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_starts_at_the_settings_file() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("run.sh");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let find = |name| find(folder.path(), name, Search::BesideThenPath);
        assert!(find("./run.sh").unwrap_err().ends_with("is not executable"));
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(find("./run.sh").unwrap().ends_with("run.sh"));
        assert!(
            find("./walk.sh")
                .unwrap_err()
                .ends_with("walk.sh does not exist; is it built?")
        );
        let absolute = folder.path().to_str().unwrap();
        assert!(find(absolute).unwrap_err().ends_with("is not a file"));
    }

    #[test]
    fn a_bare_name_is_in_path() {
        let nowhere = Path::new("/nowhere");
        assert!(find(nowhere, "sh", Search::Path).unwrap().ends_with("sh"));
        let own = env::current_exe().unwrap();
        let own_name = own.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            find(nowhere, own_name, Search::BesideThenPath).unwrap(),
            own
        );
        let message = find(nowhere, own_name, Search::Path).unwrap_err();
        assert!(
            message.contains("s.toml:1: program: unknown program"),
            "{message}"
        );
        assert!(message.contains("not in PATH"), "{message}");
    }
}
