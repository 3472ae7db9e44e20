//! Declarations at run time, from a file or over HTTP. How they are written knows `microagent-schema`.

use microagent_core::{Declarations, Error, ErrorKind, Queue, Result, SignalDeclaration};

/// Reads signals and queues from `file://PATH` or, with the feature `http`, `http(s)://…`. Warnings about the
/// file go to the log.
///
/// # Errors
/// [`ErrorKind::Declaration`], with the source and the place in it, for what is malformed; [`ErrorKind::Configuration`] for a
/// source that cannot be used; [`ErrorKind::Unavailable`] for one that cannot be reached.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let declared = microagent::load_stuff(&format!("file://{path}")).await?;
/// assert!(declared.signal("user_created").is_some());
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
pub async fn load_stuff(source: &str) -> Result<Declarations> {
    let (url, source) = (source, shown(source));
    let text = match url.split_once("://") {
        Some(("file", path)) => read_file(path).await?,
        Some(("http" | "https", _)) => fetch(url, &source).await?,
        _ => {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "`{source}` is no source of declarations: `file://PATH`, `http://…` and `https://…` are allowed"
                ),
            ));
        }
    };
    let declarations = Declarations::parse(&text)
        .map_err(|error| Error::new(ErrorKind::Declaration, format!("{source}: {error}")))?;
    for warning in &declarations.warnings {
        tracing::warn!(source, warning, "declarations");
    }
    Ok(declarations)
}

/// The signals of [`load_stuff`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let signals = microagent::load_signals(&format!("file://{path}")).await?;
/// assert!(signals.iter().any(|signal| signal.name == "user_created"));
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`load_stuff`].
pub async fn load_signals(source: &str) -> Result<Vec<SignalDeclaration>> {
    Ok(load_stuff(source).await?.signals)
}

/// The queues of [`load_stuff`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let queues = microagent::load_queues(&format!("file://{path}")).await?;
/// assert_eq!(queues[0].name(), "mailer");
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`load_stuff`].
pub async fn load_queues(source: &str) -> Result<Vec<Queue>> {
    Ok(load_stuff(source)
        .await?
        .queues
        .iter()
        .map(Queue::from)
        .collect())
}

/// The source as logs and errors may show it: a URL without who asks and without its query, which may hold a key.
fn shown(source: &str) -> String {
    match source.split_once("://") {
        None | Some(("file", _)) => source.to_owned(),
        Some((scheme, rest)) => {
            let (address, query) = rest
                .split_once('?')
                .map_or((rest, ""), |(at, _)| (at, "?…"));
            let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{path}{query}")
        }
    }
}

async fn read_file(path: &str) -> Result<String> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|error| Error::new(ErrorKind::Configuration, format!("file://{path}: {error}")))
}

#[cfg(feature = "http")]
async fn fetch(url: &str, shown: &str) -> Result<String> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Unavailable, format!("{shown}: {error}"))
    };
    let owned = url.to_owned();
    let fetched = tokio::task::spawn_blocking(move || {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(30)));
        let agent: ureq::Agent = config.build().into();
        agent.get(&owned).call()?.body_mut().read_to_string()
    });
    let text = fetched.await.map_err(|error| unreachable(&error))?;
    text.map_err(|error| unreachable(&error))
}

#[cfg(not(feature = "http"))]
async fn fetch(_url: &str, shown: &str) -> Result<String> {
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{shown}: loading over HTTP is not compiled in: switch on the feature `http` of the crate `microagent`"
        ),
    ))
}
