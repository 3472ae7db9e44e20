//! What the launcher itself does with DSNs: it makes the folders of `local:` absolute. What a DSN means know the drivers.

use std::path::Path;

use crate::{local::DEFAULT_FOLDER, settings::Place};

/// The scheme of the embedded default.
const LOCAL: &str = "local:";

/// The DSN as all processes can use it: a relative folder of `local:` starts at the settings file, wherever the
/// launcher was called.
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

/// Whether the DSN is of the embedded default, whose hub the launcher hosts.
pub(crate) fn is_local(dsn: &str) -> bool {
    dsn.starts_with(LOCAL)
}

/// Whether nobody outside of the process can be reached.
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
