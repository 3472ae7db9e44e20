//! The variables of the environment that configure the export. Each is checked here, because the SDK ignores a value that it
//! does not know.

use std::{fs, time::Duration};

use microagent_core::{Error, ErrorKind, Result, driver::redacted};
use ureq::{
    http::Uri,
    tls::{Certificate, PemItem, parse_pem},
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// The collector of `OTEL_TRACES_EXPORTER=otlp` without an endpoint.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318/v1/traces";

/// The names in `OTEL_TRACES_SAMPLER` that the SDK knows.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// The numbers that the SDK reads itself and ignores if they are not numbers.
const NUMBERS: [&str; 4] = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
];

/// The configuration of the export.
#[derive(Debug)]
pub(crate) struct Config {
    /// The URL to which spans are sent.
    pub(crate) endpoint: String,
    pub(crate) timeout: Duration,
    /// The certificates that are trusted instead of those of the system.
    pub(crate) trusted: Vec<Certificate<'static>>,
}

impl Config {
    /// Reads the variables. Returns `None` if traces are not exported.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], with the variable and what it expects.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let variables = Variables(&variable);
        if variables.is_off()? {
            return Ok(None);
        }
        let Some(endpoint) = variables.endpoint()? else {
            return Ok(None);
        };
        variables.check_protocol()?;
        variables.check_headers()?;
        variables.check_compression()?;
        variables.check_sampler()?;
        variables.check_numbers()?;
        Ok(Some(Self {
            endpoint,
            timeout: variables.timeout()?,
            trusted: variables.certificates()?,
        }))
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// Returns a variable; one that is empty counts as not set.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable for traces, or else for all signals, with its name.
    fn of_exporter(&self, name: &str) -> Option<(String, String)> {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
            .into_iter()
            .map(|prefix| format!("{prefix}{name}"))
            .find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn is_off(&self) -> Result<bool> {
        let disabled = self.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(true);
        }
        match self.get("OTEL_TRACES_EXPORTER").as_deref() {
            Some("none") => Ok(true),
            None | Some("otlp") => Ok(false),
            Some(other) => Err(invalid("OTEL_TRACES_EXPORTER", other, "`otlp` or `none`")),
        }
    }

    fn endpoint(&self) -> Result<Option<String>> {
        let (name, value) = match (self.get(TRACES_ENDPOINT), self.get(ENDPOINT)) {
            (Some(endpoint), _) => (TRACES_ENDPOINT, endpoint),
            (None, Some(base)) => (ENDPOINT, base),
            (None, None) => {
                let asked = self.get("OTEL_TRACES_EXPORTER").is_some();
                return Ok(asked.then(|| DEFAULT_ENDPOINT.to_owned()));
            }
        };
        check_url(name, &value)?;
        Ok(Some(if name == ENDPOINT {
            format!("{}/v1/traces", value.trim_end_matches('/'))
        } else {
            value
        }))
    }

    fn check_protocol(&self) -> Result<()> {
        match self.of_exporter("PROTOCOL") {
            Some((name, value)) if value != "http/protobuf" => {
                Err(invalid(&name, &value, "`http/protobuf`"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the form of the headers; the error does not contain them, because they are often secrets.
    fn check_headers(&self) -> Result<()> {
        let Some((name, value)) = self.of_exporter("HEADERS") else {
            return Ok(());
        };
        let has_name = |pair: &str| {
            pair.split_once('=')
                .is_some_and(|(name, _)| !name.trim().is_empty())
        };
        if value.split(',').all(has_name) {
            return Ok(());
        }
        let text = format!("invalid value of {name}: expected `NAME=VALUE`, separated by commas");
        Err(Error::new(ErrorKind::Configuration, text))
    }

    fn check_compression(&self) -> Result<()> {
        match self.of_exporter("COMPRESSION") {
            Some((name, value)) if !["gzip", "none"].contains(&&*value) => {
                Err(invalid(&name, &value, "`gzip` or `none`"))
            }
            _ => Ok(()),
        }
    }

    fn check_sampler(&self) -> Result<()> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(sampler) = self.get(NAME) else {
            return Ok(());
        };
        if !SAMPLERS.contains(&&*sampler) {
            let expected = SAMPLERS.map(|name| format!("`{name}`")).join(", ");
            return Err(invalid(NAME, &sampler, &format!("one of {expected}")));
        }
        let Some(ratio) = self.get(RATIO) else {
            return Ok(());
        };
        match ratio.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
            _ => Err(invalid(RATIO, &ratio, "a number from 0 to 1")),
        }
    }

    fn check_numbers(&self) -> Result<()> {
        NUMBERS
            .into_iter()
            .try_for_each(|name| match self.get(name) {
                Some(value) if value.parse::<u32>().is_err() => {
                    Err(invalid(name, &value, "a whole number"))
                }
                _ => Ok(()),
            })
    }

    fn timeout(&self) -> Result<Duration> {
        let Some((name, value)) = self.of_exporter("TIMEOUT") else {
            return Ok(Duration::from_secs(10));
        };
        match value.parse() {
            Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
            _ => Err(invalid(&name, &value, "milliseconds, at least 1")),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate<'static>>> {
        for part in ["CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            if let Some((name, _)) = self.of_exporter(part) {
                let text = format!("{name} is not supported by the exporter of traces");
                return Err(Error::new(ErrorKind::Configuration, text));
            }
        }
        let Some((name, path)) = self.of_exporter("CERTIFICATE") else {
            return Ok(Vec::new());
        };
        let pem = fs::read(&path).map_err(|error| {
            let text = format!("cannot read `{path}` of {name}: {error}");
            Error::new(ErrorKind::Configuration, text)
        })?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return Err(invalid(&name, &path, "a file with certificates in PEM"));
        }
        Ok(found)
    }
}

fn check_url(name: &str, value: &str) -> Result<()> {
    let is_usable = value.parse::<Uri>().is_ok_and(|url| {
        let scheme = url.scheme_str();
        (scheme == Some("http") || scheme == Some("https"))
            && url.host().is_some_and(|host| !host.is_empty())
    });
    if is_usable {
        return Ok(());
    }
    Err(invalid(
        name,
        &redacted(value),
        "`http://HOST[:PORT]` or `https://HOST[:PORT]`",
    ))
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    let text = format!("invalid {name} `{value}`: expected {expected}");
    Error::new(ErrorKind::Configuration, text)
}

#[cfg(test)]
mod tests;
