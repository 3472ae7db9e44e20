//! The options of this driver, parsed from a DSN: a folder.
//!
//! Parsing accesses no files. Connecting checks whether the folder can be used.

use std::path::{Path, PathBuf};

use microagent_core::{Result, driver::Dsn};

use crate::error::refused_dsn;

/// The folder through which the processes of one machine communicate.
///
/// ```
/// use microagent_local::LocalOptions;
///
/// assert_eq!(LocalOptions::parse("local:")?.folder().to_str(), Some(".microagent"));
/// assert_eq!(LocalOptions::parse("local:/var/lib/shop")?.folder().to_str(), Some("/var/lib/shop"));
///
/// let refused = LocalOptions::parse("local:shop?durable=false").unwrap_err();
/// assert!(refused.to_string().contains("`durable`"));
/// # Ok::<(), microagent_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    folder: PathBuf,
}

impl LocalOptions {
    /// The folder of a DSN without a path.
    pub const DEFAULT_FOLDER: &str = ".microagent";

    /// Parses a DSN: `local:PATH`, relative to the working directory or absolute. `local:` means
    /// `local:.microagent`.
    ///
    /// # Errors
    /// [`Configuration`](microagent_core::ErrorKind::Configuration) for another scheme, for a path that begins with `//`, and for any query
    /// parameter.
    pub fn parse(dsn: &str) -> Result<Self> {
        let Some(rest) = dsn.strip_prefix("local:") else {
            return Err(refused_dsn(dsn, "expected `local:PATH`"));
        };
        if rest.starts_with("//") {
            let plain = rest.trim_start_matches('/');
            let why = format!(
                "expected a path that does not begin with `//`: write `local:{plain}` for a relative one, `local:/{plain}` for an \
                 absolute one"
            );
            return Err(refused_dsn(dsn, &why));
        }
        let parsed = Dsn::parse(dsn)
            .and_then(|parsed| parsed.check_options(&[]).map(|()| parsed))
            .map_err(|error| refused_dsn(dsn, &error.to_string()))?;
        let folder = match parsed.path() {
            "" => Self::DEFAULT_FOLDER,
            path => path,
        };
        Ok(Self {
            folder: folder.into(),
        })
    }

    /// Returns the folder as it is written in the DSN.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn address(&self) -> String {
        format!("local:{}", self.folder.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_write() {
        let error_text = |dsn: &str| LocalOptions::parse(dsn).unwrap_err().to_string();
        assert!(error_text("local://shop").contains("`local:shop`"));
        assert!(error_text("local:///var/shop").contains("`local:/var/shop`"));
        assert!(error_text("redis://x").contains("`local:PATH`"));
        assert!(error_text("local:?a").contains("`a`"));
    }

    #[test]
    fn the_address_is_the_dsn() {
        let options = LocalOptions::parse("local:a b/c").unwrap();
        assert_eq!(options.address(), "local:a b/c");
        assert_eq!(
            LocalOptions::parse("local:x?").unwrap().address(),
            "local:x"
        );
    }
}
