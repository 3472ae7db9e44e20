//! Parts that the tests of this crate share: one RabbitMQ for all tests that do not disturb it, and a proxy that cuts connections.

#![allow(dead_code, reason = "not every test program uses all of it")]

use std::sync::{Arc, Mutex};

use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{Result, driver::lock};
use microagent_testing::RabbitMqServer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    task::AbortHandle,
};

/// The server of all tests that use queues of their own. It ends with the test program.
pub(crate) async fn shared() -> Result<&'static RabbitMqServer> {
    static SERVER: OnceCell<RabbitMqServer> = OnceCell::const_new();
    SERVER.get_or_try_init(RabbitMqServer::start).await
}

pub(crate) async fn connect(dsn: &str) -> Result<AmqpBroker> {
    AmqpBroker::connect(&AmqpOptions::parse(dsn)?).await
}

/// Passes bytes between clients and a server, until it is told to cut.
pub(crate) struct Proxy {
    port: u16,
    links: Arc<Mutex<Vec<AbortHandle>>>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) async fn start(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let links = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (to, open) = (to.to_owned(), Arc::clone(&links));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let passing = tokio::spawn(pass(client, to.clone())).abort_handle();
                lock(&open).push(passing);
            }
        });
        let accepting = accepting.abort_handle();
        Ok(Self {
            port,
            links,
            accepting,
        })
    }

    pub(crate) fn dsn(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// Cuts all connections; new ones are accepted.
    pub(crate) fn cut(&self) {
        let mut links = lock(&self.links);
        links.drain(..).for_each(|link| link.abort());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn pass(mut client: TcpStream, to: String) {
    if let Ok(mut server) = TcpStream::connect(to).await {
        // It ends when either side does.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
