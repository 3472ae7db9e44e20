//! A way to a server that can be led elsewhere, as the address of a primary is after a fail-over.

use std::sync::{Arc, Mutex};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// Passes connections on to an address.
pub(crate) struct Proxy {
    port: u16,
    to: Arc<Mutex<String>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(Mutex::new(address));
        let accepting = tokio::spawn(accept(listener, to.clone()));
        Self {
            port,
            to,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(crate) fn dsn(&self) -> String {
        format!("redis://127.0.0.1:{}/7", self.port)
    }

    /// New connections go there; those that are open stay.
    pub(crate) fn lead_to(&self, address: String) {
        *self.to.lock().unwrap() = address;
    }
}

async fn accept(listener: TcpListener, to: Arc<Mutex<String>>) {
    loop {
        let (mut inner, _) = listener.accept().await.unwrap();
        let to = to.lock().unwrap().clone();
        tokio::spawn(async move {
            if let Ok(mut outer) = TcpStream::connect(to).await {
                // A connection that breaks is none of its business.
                drop(copy_bidirectional(&mut inner, &mut outer).await);
            }
        });
    }
}
