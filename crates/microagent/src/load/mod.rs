//! Loading declarations at run time, from a file or over HTTP. Their format is in `microagent-schema`.

#[cfg(feature = "http")]
mod web;

use microagent_core::{Declarations, Error, ErrorKind, Queue, Result, SignalDeclaration};
use microagent_schema::{decode_text, redacted};

/// Reads signals and queues from `file://PATH` or, with the feature `http`, `http(s)://…`. Warnings about the
/// file go to the log.
///
/// If the server fails or cannot be reached, the request is sent up to 3 times within 30 s. Redirects are followed to `http` and
/// `https` only. The certificates of `https` are those of the system, or of `SSL_CERT_FILE`.
///
/// # Errors
/// [`ErrorKind::Declaration`], with the source and the place in it, for malformed declarations; [`ErrorKind::Configuration`] for a
/// source that cannot be used; [`ErrorKind::Unavailable`] if it cannot be reached.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let declared = microagent::declarations::load_stuff(&format!("file://{path}")).await?;
/// assert!(declared.signal("user_created").is_some());
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
pub async fn load_stuff(source: &str) -> Result<Declarations> {
    parse_stuff(source, &load_text(source).await?)
}

/// Reads the text of declarations without parsing it, as a launcher does for its agents.
///
/// # Errors
/// As [`load_stuff`], without those of malformed declarations.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let source = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let text = microagent::declarations::load_text(source).await?;
/// assert!(microagent::declarations::parse_stuff(source, &text)?.signal("user_created").is_some());
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
pub async fn load_text(source: &str) -> Result<String> {
    let shown = redacted(source);
    let bytes = match source.split_once("://") {
        Some(("file", path)) => read_file(path).await?,
        Some(("http" | "https", _)) => fetch(source, &shown).await?,
        _ => {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "invalid source of declarations `{shown}`: expected `file://PATH`, `http://…` or `https://…`"
                ),
            ));
        }
    };
    decode_text(bytes)
        .map_err(|error| Error::new(ErrorKind::Declaration, format!("{shown}: {error}")))
}

/// Parses the text that [`load_text`] read from a source. Warnings about it go to the log.
///
/// # Errors
/// [`ErrorKind::Declaration`], with the source and the place in it, for malformed declarations.
pub fn parse_stuff(source: &str, text: &str) -> Result<Declarations> {
    let source = redacted(source);
    let declarations = Declarations::parse(text)
        .map_err(|error| Error::new(ErrorKind::Declaration, format!("{source}: {error}")))?;
    for warning in &declarations.warnings {
        tracing::warn!(source, warning, "declarations");
    }
    Ok(declarations)
}

/// Returns the signals of [`load_stuff`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let signals = microagent::declarations::load_signals(&format!("file://{path}")).await?;
/// assert!(signals.iter().any(|signal| signal.name == "user_created"));
/// # Ok::<(), microagent::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`load_stuff`].
pub async fn load_signals(source: &str) -> Result<Vec<SignalDeclaration>> {
    Ok(load_stuff(source).await?.signals)
}

/// Returns the queues of [`load_stuff`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signals.json");
/// let queues = microagent::declarations::load_queues(&format!("file://{path}")).await?;
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

async fn read_file(path: &str) -> Result<Vec<u8>> {
    tokio::fs::read(path)
        .await
        .map_err(|error| Error::new(ErrorKind::Configuration, format!("file://{path}: {error}")))
}

#[cfg(feature = "http")]
use self::web::fetch;

#[cfg(not(feature = "http"))]
async fn fetch(_url: &str, shown: &str) -> Result<Vec<u8>> {
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{shown}: loading over HTTP is not compiled in: switch on the feature `http` of the crate `microagent`"
        ),
    ))
}
