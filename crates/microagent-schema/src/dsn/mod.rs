//! DSNs: the text that says which server a driver connects to, how it logs in there, and with which options.
//!
//! This is the only place that knows the syntax. Each driver decides which paths and options it allows, and
//! what they mean.

mod error;
mod read;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr, time::Duration};

pub use self::error::DsnError;
use crate::{parse_duration, suggest};

/// A DSN, split into its parts and percent-decoded.
///
/// There are two forms:
///
/// | form | example |
/// |---|---|
/// | `SCHEME://[USER[:PASSWORD]@][HOST[:PORT][,HOST[:PORT]…]][PATH][?NAME=VALUE[&NAME=VALUE…]]` | `redis://shop:s3cret@db.example/7` |
/// | `SCHEME:PATH[?NAME=VALUE…]` | `local:/var/lib/shop` |
///
/// In the first form, `/`, `?`, `#` and `%` in a user name, a password, a path or an option are
/// written percent-encoded. `Debug` shows no user name, no password and no value of an option.
///
/// ```
/// use microagent_schema::Dsn;
///
/// let dsn = Dsn::parse("redis://shop:s3cret@db.example:6380/7?tls=true")?;
/// assert_eq!((dsn.scheme(), dsn.path()), ("redis", "/7"));
/// assert_eq!((dsn.user(), dsn.password()), (Some("shop"), Some("s3cret")));
/// assert_eq!((dsn.hosts()[0].name.as_str(), dsn.hosts()[0].port), ("db.example", Some(6380)));
/// assert!(dsn.check_options(&["tls"]).is_ok());
/// assert_eq!(dsn.flag("tls")?, Some(true));
///
/// let error = dsn.check_options(&["database"]).unwrap_err();
/// assert_eq!(error.to_string(), "unknown option `tls` (available: `database`)");
/// # Ok::<(), microagent_schema::DsnError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    scheme: String,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<Host>,
    path: String,
    options: Vec<(String, String)>,
}

/// A host of a DSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an IP address, an IPv6 address without its brackets.
    pub name: String,
    /// The port, if the DSN has one.
    pub port: Option<u16>,
}

impl Dsn {
    /// Reads a DSN of either form.
    ///
    /// # Errors
    /// [`DsnError`] with the part and what is expected there. It quotes nothing that may belong to
    /// a user name or a password.
    pub fn parse(dsn: &str) -> Result<Self, DsnError> {
        read::read(dsn)
    }

    /// Returns the scheme of a DSN, without reading the rest; `None` if it has none.
    ///
    /// ```
    /// use microagent_schema::Dsn;
    ///
    /// assert_eq!(Dsn::scheme_of("redis+unix:///run/redis.sock"), Some("redis+unix"));
    /// assert_eq!(Dsn::scheme_of("/var/lib/shop"), None);
    /// ```
    #[must_use]
    pub fn scheme_of(dsn: &str) -> Option<&str> {
        let (scheme, _) = dsn.split_once(':')?;
        let mut letters = scheme.chars();
        let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
        let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        (begins && letters.all(goes_on)).then_some(scheme)
    }

    /// Returns the scheme, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the user name. An empty one counts as absent.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the password. An empty one counts as absent.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the hosts, in their order; none where the DSN names none.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the path, with the slash that it begins with. In the form without `//` it is the text
    /// as it stands there; otherwise it is percent-decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Checks that there are no options other than these, and none twice.
    ///
    /// # Errors
    /// [`DsnError`] with the option and those that are available.
    pub fn check_options(&self, known: &[&str]) -> Result<(), DsnError> {
        for (index, (name, _)) in self.options.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let text = suggest::unknown("option", name, known.iter().copied());
                return Err(DsnError::new(text));
            }
            if self.options[..index]
                .iter()
                .any(|(earlier, _)| earlier == name)
            {
                return Err(DsnError::new(format!("duplicate option `{name}`")));
            }
        }
        Ok(())
    }

    /// Returns the value of an option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut named = self.options.iter().filter(|(given, _)| given == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// Returns all options, in their order.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of an option that is `true` or `false`.
    ///
    /// # Errors
    /// [`DsnError`] for any other value.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, DsnError> {
        self.value(name, "`true` or `false`", |text| text.parse().ok())
    }

    /// Returns the value of an option that is a number between `least` and `most`.
    ///
    /// # Errors
    /// [`DsnError`] for any other value.
    pub fn number<N>(&self, name: &str, least: N, most: N) -> Result<Option<N>, DsnError>
    where
        N: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let expected = format!("a number from {least} to {most}");
        self.value(name, &expected, |text| {
            text.parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
        })
    }

    /// Returns the value of an option that is a duration, as [`parse_duration`] reads it.
    ///
    /// # Errors
    /// [`DsnError`] for any other value.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, DsnError> {
        self.value(name, "a duration such as `30` or `1500ms`", |text| {
            parse_duration(text).ok()
        })
    }

    fn value<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DsnError> {
        let Some(text) = self.option(name) else {
            return Ok(None);
        };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(DsnError::new(format!(
                "invalid value of the option `{name}`: expected {expected}"
            ))),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(Host::to_string).collect();
        let login = if self.user.is_some() || self.password.is_some() {
            "***@"
        } else {
            ""
        };
        write!(
            f,
            "Dsn({}:{login}{}{}",
            self.scheme,
            hosts.join(","),
            self.path
        )?;
        for (index, (name, _)) in self.options.iter().enumerate() {
            write!(f, "{}{name}=***", if index == 0 { '?' } else { '&' })?;
        }
        f.write_str(")")
    }
}

impl Host {
    /// Creates a host without a port.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: None,
        }
    }

    /// Returns the host with this port if it has none.
    #[must_use]
    pub fn or_port(mut self, port: u16) -> Self {
        self.port.get_or_insert(port);
        self
    }
}

/// The host and, if it has one, the port; an IPv6 address in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]", self.name)?;
        } else {
            f.write_str(&self.name)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
