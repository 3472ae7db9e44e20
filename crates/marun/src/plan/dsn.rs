//! The launcher's handling of DSNs: it makes the folders of `local:` absolute. Only the drivers
//! interpret DSNs.

use std::path::Path;

use crate::{local::DEFAULT_FOLDER, settings::Place};

/// The scheme of the embedded driver.
const LOCAL: &str = "local:";

/// Returns the DSN with an absolute folder, for all processes. A relative folder of `local:` starts
/// at the folder of the settings file.
pub(crate) fn absolute(dsn: &str, place: &Place) -> String {
    let Some(rest) = dsn.strip_prefix(LOCAL) else {
        return dsn.to_owned();
    };
    let (path, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = match path {
        "" => DEFAULT_FOLDER,
        path => path,
    };
    if Path::new(path).is_absolute() {
        return dsn.to_owned();
    }
    format!("{LOCAL}{}{query}", place.folder().join(path).display())
}

/// Returns whether the DSN is of the embedded driver, whose hub the launcher hosts.
pub(crate) fn is_local(dsn: &str) -> bool {
    dsn.starts_with(LOCAL)
}

/// Returns whether the DSN connects only agents in the same process.
pub(crate) fn is_memory(dsn: &str) -> bool {
    dsn.starts_with("memory:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_folders_start_at_the_settings_file() {
        let place = Place::top(Path::new("/srv/app/settings.toml"));
        let cases = [
            ("local:", &*format!("local:/srv/app/{DEFAULT_FOLDER}")),
            ("local:queues", "local:/srv/app/queues"),
            (
                "local:?a=b",
                &*format!("local:/srv/app/{DEFAULT_FOLDER}?a=b"),
            ),
            ("local:/var/q?a=b", "local:/var/q?a=b"),
            ("redis://localhost/7", "redis://localhost/7"),
        ];
        for (dsn, expected) in cases {
            assert_eq!(absolute(dsn, &place), expected);
        }
    }
}
