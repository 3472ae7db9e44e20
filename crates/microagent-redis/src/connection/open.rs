//! One attempt to reach a Redis: the right server, logged in, ready to serve.

use std::time::Duration;

use microagent_core::{Error, ErrorKind, Result, driver::Host};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult,
    aio::PubSub,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::time::timeout;

use super::{
    greeting,
    link::{Commands, Link},
};
use crate::{
    RedisOptions,
    error::{error_of, refused_database},
    options::{Login, Place, parse::REDIS_PORT},
};

/// The time that one attempt may take, from the name look-up to the first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Opens connections of the kind that the options ask for.
#[derive(Debug)]
pub(super) struct Opener {
    options: RedisOptions,
}

impl Opener {
    /// # Errors
    /// [`ErrorKind::Configuration`] when a cargo feature is off.
    pub(super) fn new(options: &RedisOptions) -> Result<Self> {
        check_features(options)?;
        #[cfg(feature = "tls")]
        if options.tls {
            // Without it, a program with two providers among its crates would be asked to choose. One that has chosen, has.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self {
            options: options.clone(),
        })
    }

    pub(super) fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// A connection for commands, each of which may stay without an answer for so long.
    pub(super) async fn commands(&self, response: Duration) -> Result<Commands> {
        let opening = async {
            let mut commands = Commands::new(self.link(response).await?);
            match redis::cmd("PING").query_async::<()>(&mut commands).await {
                Err(error) if error.code() != Some("NOPERM") => Err(error),
                _ => Ok(commands),
            }
        };
        self.in_time(opening).await
    }

    /// A connection for subscriptions, in a cluster to any of its nodes.
    pub(super) async fn pubsub(&self) -> Result<PubSub> {
        let opening = async {
            let mut pubsub = self.client().await?.get_async_pubsub().await?;
            let _: redis::Value = pubsub.ping().await?;
            Ok(pubsub)
        };
        self.in_time(opening).await
    }

    async fn in_time<T>(&self, opening: impl Future<Output = RedisResult<T>>) -> Result<T> {
        let error = match timeout(CONNECT_TIMEOUT, opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => self.why(error).await,
            Err(_) => {
                let text = format!("no answer within {CONNECT_TIMEOUT:?}");
                Error::new(ErrorKind::Unavailable, text)
            }
        };
        Err(error.context(self.options.address()))
    }

    /// Converts an error of connecting, with the server's own text if there is one.
    async fn why(&self, error: redis::RedisError) -> Error {
        if let Some(refused) = refused_database(&error, self.options.database) {
            return refused;
        }
        let greeting = if error.is_connection_dropped() {
            greeting::refusal(&self.options).await
        } else {
            None
        };
        greeting.unwrap_or_else(|| error_of(error))
    }

    async fn link(&self, response: Duration) -> RedisResult<Link> {
        #[cfg(feature = "cluster")]
        if let Place::Cluster(nodes) = &self.options.place {
            return self.cluster(nodes, response).await;
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response));
        let client = self.client().await?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Link::Single(connection.await?))
    }

    #[cfg(feature = "cluster")]
    async fn cluster(&self, nodes: &[Host], response: Duration) -> RedisResult<Link> {
        let nodes = nodes.iter().map(|node| self.info(node));
        let nodes = nodes.collect::<RedisResult<Vec<_>>>()?;
        let builder = redis::cluster::ClusterClientBuilder::new(nodes)
            .tcp_settings(tcp_settings())
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(response);
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Link::Cluster(connection))
    }

    /// A client of one server: the only one, the primary that the sentinels name, or any node of a cluster.
    async fn client(&self) -> RedisResult<Client> {
        match &self.options.place {
            Place::Tcp(host) => Client::open(self.info(host)?),
            Place::Unix(path) => Client::open(self.info_at(ConnectionAddr::Unix(path.clone()))?),
            #[cfg(feature = "sentinel")]
            Place::Sentinel {
                sentinels,
                master,
                login,
            } => self.primary(sentinels, master, login).await,
            #[cfg(not(feature = "sentinel"))]
            Place::Sentinel { sentinels, .. } => Client::open(self.info(&sentinels[0])?),
            Place::Cluster(nodes) => {
                let node = fastrand::choice(nodes).unwrap_or(&nodes[0]);
                Client::open(self.info(node)?)
            }
        }
    }

    #[cfg(feature = "sentinel")]
    async fn primary(
        &self,
        sentinels: &[Host],
        master: &str,
        login: &Login,
    ) -> RedisResult<Client> {
        use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};

        let sentinels = sentinels.iter().map(|sentinel| {
            let info = self.address_of(sentinel).into_connection_info()?;
            let settings = with_login(RedisConnectionInfo::default(), login);
            Ok(info
                .set_tcp_settings(tcp_settings())
                .set_redis_settings(settings))
        });
        let sentinels = sentinels.collect::<RedisResult<Vec<_>>>()?;
        let mut node = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(self.redis_settings())
            .set_tcp_settings(tcp_settings());
        if self.options.tls {
            node = node.set_tls_mode(redis::TlsMode::Secure);
        }
        let mut sentinel = Sentinel::build(sentinels)?;
        sentinel.async_master_for(master, Some(&node)).await
    }

    fn info(&self, host: &Host) -> RedisResult<ConnectionInfo> {
        self.info_at(self.address_of(host))
    }

    fn info_at(&self, address: ConnectionAddr) -> RedisResult<ConnectionInfo> {
        let info = address.into_connection_info()?;
        Ok(info
            .set_tcp_settings(tcp_settings())
            .set_redis_settings(self.redis_settings()))
    }

    fn address_of(&self, host: &Host) -> ConnectionAddr {
        let (host, port) = (host.name.clone(), host.port.unwrap_or(REDIS_PORT));
        if self.options.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn redis_settings(&self) -> RedisConnectionInfo {
        let settings = RedisConnectionInfo::default().set_db(self.options.database.into());
        with_login(settings, &self.options.login)
    }
}

fn with_login(mut settings: RedisConnectionInfo, login: &Login) -> RedisConnectionInfo {
    if let Some(user) = &login.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password);
    }
    settings
}

/// Small messages leave at once, and a peer that vanished without a word is noticed by the system within half a minute.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(20));
    settings
}

fn check_features(options: &RedisOptions) -> Result<()> {
    let missing = |what, feature| {
        let text = format!(
            "{}: {what} needs the cargo feature `{feature}` of `microagent-redis`, which is off",
            options.address()
        );
        Err(Error::new(ErrorKind::Configuration, text))
    };
    if options.tls && !cfg!(feature = "tls") {
        return missing("TLS", "tls");
    }
    match options.place {
        Place::Sentinel { .. } if !cfg!(feature = "sentinel") => missing("a sentinel", "sentinel"),
        Place::Cluster(_) if !cfg!(feature = "cluster") => missing("a cluster", "cluster"),
        _ => Ok(()),
    }
}
