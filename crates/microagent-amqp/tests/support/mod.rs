//! Parts that the tests of this crate share: one RabbitMQ for all tests that do not disturb it, and a proxy that cuts connections.

#![allow(dead_code, reason = "not every test program uses all of it")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{Result, driver::lock};
use microagent_testing::RabbitMqServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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

/// Passes bytes between clients and a server, until it is told to cut or to keep the answers back.
pub(crate) struct Proxy {
    port: u16,
    links: Arc<Mutex<Vec<AbortHandle>>>,
    is_mute: Arc<AtomicBool>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) async fn start(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let links = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let is_mute = Arc::<AtomicBool>::default();
        let (to, open, mute) = (to.to_owned(), Arc::clone(&links), Arc::clone(&is_mute));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let passing = pass(client, to.clone(), Arc::clone(&mute));
                let passing = tokio::spawn(passing).abort_handle();
                lock(&open).push(passing);
            }
        });
        let accepting = accepting.abort_handle();
        Ok(Self {
            port,
            links,
            is_mute,
            accepting,
        })
    }

    pub(crate) fn dsn(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// While it is mute, what the server answers is lost.
    pub(crate) fn mute(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::SeqCst);
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

/// Ends when either side does.
async fn pass(client: TcpStream, to: String, is_mute: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(to).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if !is_mute.load(Ordering::SeqCst)
                && to_client.write_all(&bytes[..count]).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = answers => {}
    }
}
