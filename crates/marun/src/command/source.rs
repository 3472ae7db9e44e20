//! Connects the bus or broker of a command: a DSN, or one in a settings file.

use std::{path::Path, sync::Arc, time::Duration};

use microagent_core::{Broker, Bus, Declarations, Result};
use microagent_schema::suggest::{available, unknown};
use tokio::time::timeout;

use super::print_message;
use crate::{
    cli::{BrokerArgs, BusArgs},
    connect,
    exit::Failure,
    local,
    member::control::{BrokerLink, BusLink},
    plan,
    settings::{Located, Settings, SettingsError},
};

/// The time in which a server must be reached. It is short, because a person waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects the bus of the arguments. It is strict, because on the command line an undeclared
/// argument is a typing error.
pub(super) async fn bus(args: &BusArgs) -> Result<Bus, Failure> {
    let (link, declarations) = match (&args.source.bus, &args.source.settings) {
        (Some(dsn), _) => {
            refuse_memory(dsn).map_err(|reason| Failure::usage(format!("--bus: {reason}")))?;
            let link = BusLink {
                dsn: dsn.clone(),
                prefix: args.prefix.clone(),
                strict: true,
            };
            (link, args.declarations.as_deref().map(url_here))
        }
        (None, Some(file)) => bus_of(file, args.bus_name.as_deref())?,
        (None, None) => return Err(Failure::usage("missing --bus or --settings")),
    };
    warn_if_new(&link.dsn);
    let declarations = load(declarations).await?;
    let bus = connect::bus(&link, declarations.as_ref()).await?;
    reached(&bus.driver().address(), bus.ready()).await?;
    Ok(bus)
}

/// Connects the broker of the arguments.
pub(super) async fn broker(args: &BrokerArgs) -> Result<Broker, Failure> {
    let (link, declarations) = match (&args.source.broker, &args.source.settings) {
        (Some(dsn), _) => {
            refuse_memory(dsn).map_err(|reason| Failure::usage(format!("--broker: {reason}")))?;
            let link = BrokerLink { dsn: dsn.clone() };
            (link, args.declarations.as_deref().map(url_here))
        }
        (None, Some(file)) => broker_of(file, args.broker_name.as_deref())?,
        (None, None) => return Err(Failure::usage("missing --broker or --settings")),
    };
    warn_if_new(&link.dsn);
    let declarations = load(declarations).await?;
    let broker = connect::broker(&link, declarations.as_ref()).await?;
    reached(&broker.driver().address(), broker.ready()).await?;
    Ok(broker)
}

/// Prints a message if the folder of `local:` is new, because a mistyped folder would look like an
/// empty one.
fn warn_if_new(dsn: &str) {
    if let Some(folder) = local::new_folder(dsn) {
        let folder = folder.display();
        print_message(format!("`local:{folder}` is new: the folder did not exist"));
    }
}

/// Refuses a bus or broker that only this process could use: a message that it got would be lost, and
/// it would look empty.
fn refuse_memory(dsn: &str) -> Result<(), &'static str> {
    if plan::is_memory(dsn) {
        Err(
            "`memory://` cannot be used by a command: it exists only inside one process, \
             where no agent can reach it; use `local:PATH` or a server",
        )
    } else {
        Ok(())
    }
}

/// Refuses a bus or broker of the settings that only this process could use.
fn refuse_memory_at(dsn: Option<&Located<String>>) -> Result<(), SettingsError> {
    dsn.map_or(Ok(()), |dsn| {
        refuse_memory(&dsn.value).map_err(|reason| dsn.place.error(reason))
    })
}

fn bus_of(file: &Path, name: Option<&str>) -> Result<(BusLink, Option<String>), Failure> {
    let settings = Settings::read(file)?;
    let name = choose("bus", name, settings.buses.keys(), file)?;
    let link = plan::bus_link(&settings, &name).ok_or_else(|| no_such("bus", &name, file, &[]))?;
    refuse_memory_at(settings.buses.get(&name).map(|bus| &bus.dsn))?;
    let url = settings.declarations.as_ref().map(plan::declarations_url);
    Ok((
        BusLink {
            strict: true,
            ..link
        },
        url,
    ))
}

fn broker_of(file: &Path, name: Option<&str>) -> Result<(BrokerLink, Option<String>), Failure> {
    let settings = Settings::read(file)?;
    let name = choose("broker", name, settings.brokers.keys(), file)?;
    let link = plan::broker_link(&settings, &name);
    let link = link.ok_or_else(|| no_such("broker", &name, file, &[]))?;
    refuse_memory_at(settings.brokers.get(&name).map(|broker| &broker.dsn))?;
    let url = settings.declarations.as_ref().map(plan::declarations_url);
    Ok((link, url))
}

/// Returns the given name if it exists, or the only name.
fn choose<'a>(
    kind: &str,
    name: Option<&str>,
    known: impl Iterator<Item = &'a String>,
    file: &Path,
) -> Result<String, Failure> {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match (name, known.as_slice()) {
        (Some(name), _) if known.contains(&name) => Ok(name.to_owned()),
        (Some(name), _) => Err(no_such(kind, name, file, &known)),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Failure::usage(format!(
            "{}: this file has no `[{kind}.NAME]`",
            file.display()
        ))),
        (None, several) => Err(Failure::usage(format!(
            "{}: this file has several {kind}{}; choose one with --name ({})",
            file.display(),
            if kind == "bus" { "es" } else { "s" },
            available(several)
        ))),
    }
}

fn no_such(kind: &str, name: &str, file: &Path, known: &[&str]) -> Failure {
    let problem = unknown(kind, name, known.iter().copied());
    Failure::usage(format!("{}: {problem}", file.display()))
}

/// Returns the URL of declarations. A path is relative to the current folder.
fn url_here(source: &str) -> String {
    let path = match source.split_once("://") {
        None => source,
        Some(("file", path)) => path,
        Some(_) => return source.to_owned(),
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    format!("file://{}", path.display())
}

async fn load(url: Option<String>) -> Result<Option<Arc<Declarations>>> {
    connect::declarations(url.as_deref()).await
}

async fn reached(address: &str, ready: impl Future<Output = Result<()>>) -> Result<(), Failure> {
    let Ok(ready) = timeout(CONNECT_TIMEOUT, ready).await else {
        let seconds = CONNECT_TIMEOUT.as_secs();
        let text = format!("cannot reach {address} within {seconds} s");
        return Err(Failure::failed(text));
    };
    Ok(ready?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: Option<&str>, known: &[&str]) -> Result<String, String> {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        let chosen = choose("bus", name, known.iter(), Path::new("s.toml"));
        chosen.map_err(|failure| failure.message)
    }

    #[test]
    fn the_only_name_is_the_default() {
        assert_eq!(run(None, &["main"]).unwrap(), "main");
        assert_eq!(run(Some("b"), &["a", "b"]).unwrap(), "b");
    }

    #[test]
    fn errors_list_the_available_names() {
        let cases = [
            (
                None,
                &["a", "b"][..],
                "s.toml: this file has several buses; choose one with --name (available: `a`, `b`)",
            ),
            (None, &[], "s.toml: this file has no `[bus.NAME]`"),
            (
                Some("man"),
                &["main"],
                "s.toml: unknown bus `man`; did you mean `main`? (available: `main`)",
            ),
            (
                Some("a"),
                &[],
                "s.toml: unknown bus `a` (none is available)",
            ),
        ];
        for (name, known, expected) in cases {
            assert_eq!(run(name, known).unwrap_err(), expected);
        }
    }

    #[test]
    fn paths_are_relative_to_the_current_folder() {
        let here = std::env::current_dir().unwrap();
        let expected = format!("file://{}/signals.json", here.display());
        assert_eq!(url_here("signals.json"), expected);
        assert_eq!(
            url_here("file:///etc/signals.json"),
            "file:///etc/signals.json"
        );
        assert_eq!(url_here("https://x/y"), "https://x/y");
    }
}
