//! Connections over TLS. The client reads and writes a stream that is made here: its own TLS features add a crate that is banned.

use std::{
    fmt,
    io::{self, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_util::{
    Stream,
    io::{AsyncRead, AsyncWrite},
};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, uri::AMQPUri};
use microagent_core::{Error, ErrorKind, Result};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Connects over TLS, and trusts the certificates of the system or of `SSL_CERT_FILE`.
///
/// # Errors
/// `Configuration` if there are none; those of the client.
pub(crate) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
) -> Result<lapin::Result<Connection>> {
    let name = ServerName::try_from(uri.authority.host.clone())
        .map_err(|_| refused("the host of `amqps://` is not a name or an address"))?;
    let reactor = Secured {
        plain: Tokio::current(),
        connector: TlsConnector::from(Arc::new(trust()?)),
        name,
    };
    let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), reactor));
    let open = async |uri: AMQPUri, runtime: Runtime<RuntimeParts<Tokio, Secured>>| {
        let host = (uri.authority.host, uri.authority.port);
        let stream = runtime.tcp_connect(runtime.to_socket_addrs(host)).await?;
        Ok(AsyncTcpStream::Plain(stream))
    };
    Ok(Connection::connector(uri, runtime, open, properties).await)
}

fn trust() -> Result<ClientConfig> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let why = found.errors.first();
        let why = why.map_or_else(String::new, |error| format!(": {error}"));
        return Err(refused(format!(
            "no certificate of an authority was found, neither the system's nor in `SSL_CERT_FILE`{why}"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| refused(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

/// The reactor of tokio, whose connections are made over TLS to a server of this name.
#[derive(Clone)]
struct Secured {
    plain: Tokio,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Reactor for Secured {
    type TcpStream = Compat<TlsStream<TcpStream>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.plain.register(socket)
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.plain.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.plain.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (connector, name) = (self.connector.clone(), self.name.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let secured = connector.connect(name, stream).await;
            let failed = |error: io::Error| io::Error::new(error.kind(), format!("TLS: {error}"));
            Ok(secured.map_err(failed)?.compat())
        }
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
