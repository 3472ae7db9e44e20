//! Parts that the tests of this crate share: one Kafka for all tests that do not disturb it, and a cut of connections.

#![allow(dead_code, reason = "not every test program uses all of it")]

pub(crate) mod steps;

use microagent_core::Result;
use microagent_kafka::{KafkaBroker, KafkaOptions};
use microagent_testing::KafkaServer;
use rustix::{
    net::{Shutdown, getpeername, shutdown},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use tokio::sync::OnceCell;

/// The server of all tests that use queues of their own. It ends with the test program.
pub(crate) async fn shared() -> Result<&'static KafkaServer> {
    static SERVER: OnceCell<KafkaServer> = OnceCell::const_new();
    SERVER.get_or_try_init(KafkaServer::start).await
}

/// Connects. Without options the answers may take longer than usual: the machine may be loaded.
pub(crate) async fn connect(dsn: &str) -> Result<KafkaBroker> {
    let patient = if dsn.contains('?') {
        dsn.to_owned()
    } else {
        format!("{dsn}?timeout=60")
    };
    KafkaBroker::connect(&KafkaOptions::parse(&patient)?).await
}

/// Cuts all connections of this process to a server. A proxy is of no use: Kafka tells its clients its own address.
pub(crate) fn cut(address: &str) -> std::io::Result<()> {
    let port: Option<u16> = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Others open and close files meanwhile.
        let Ok(socket) = pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        let peer = getpeername(&socket).ok().flatten();
        let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| Some(peer.port()) == port) {
            // It may have been closed meanwhile.
            let _ = shutdown(&socket, Shutdown::Both);
        }
    }
    Ok(())
}
