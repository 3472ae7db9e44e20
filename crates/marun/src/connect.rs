//! The launcher's access to drivers and declarations, through the crate `microagent`.

use std::sync::Arc;

use microagent::{
    Connect, declarations,
    driver::{self, Role},
};
use microagent_core::{Broker, Bus, Declarations, Error, ErrorKind, Result};

use crate::member::control::{BrokerLink, BusLink};

/// Checks the DSN of a bus without a connection.
pub(crate) fn check_bus(dsn: &str) -> Result<()> {
    driver::check_dsn(dsn, Role::Bus)
}

/// Checks the DSN of a broker without a connection.
pub(crate) fn check_broker(dsn: &str) -> Result<()> {
    driver::check_dsn(dsn, Role::Broker)
}

/// Checks the prefix of a bus.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    microagent_schema::names::check_prefix(prefix)
        .map_err(|error| Error::new(ErrorKind::InvalidName, error.to_string()))
}

/// Loads and checks the text of declarations. It must run outside of a runtime.
pub(crate) fn load(url: &str) -> Result<(String, Declarations)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let text = runtime.block_on(declarations::load_text(url))?;
    let declarations = declarations::parse_stuff(url, &text)?;
    Ok((text, declarations))
}

/// Parses the text of declarations that the launcher has loaded.
pub(crate) fn declared(text: &str) -> Result<Arc<Declarations>> {
    Declarations::parse(text)
        .map(Arc::new)
        .map_err(|error| Error::new(ErrorKind::Declaration, error.to_string()))
}

/// Loads the declarations of a command, if it has a URL of them.
pub(crate) async fn declarations(url: Option<&str>) -> Result<Option<Arc<Declarations>>> {
    match url {
        Some(url) => Ok(Some(Arc::new(declarations::load_stuff(url).await?))),
        None => Ok(None),
    }
}

/// Connects a bus.
pub(crate) async fn bus(link: &BusLink, declarations: Option<&Arc<Declarations>>) -> Result<Bus> {
    let mut builder = Bus::builder(&link.dsn).strict(link.strict);
    if let Some(prefix) = &link.prefix {
        builder = builder.prefix(prefix);
    }
    if let Some(declarations) = declarations {
        builder = builder.declarations(Arc::clone(declarations));
    }
    builder.connect().await
}

/// Connects a broker.
pub(crate) async fn broker(
    link: &BrokerLink,
    declarations: Option<&Arc<Declarations>>,
) -> Result<Broker> {
    let mut builder = Broker::builder(&link.dsn);
    if let Some(declarations) = declarations {
        builder = builder.declarations(Arc::clone(declarations));
    }
    builder.connect().await
}
