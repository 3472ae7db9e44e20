//! An agent with a web server inside: `GET /comments/7` asks the bus how many comments user 7 has.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use microagent::prelude::*;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::signals;

/// The address to listen on, from the agent's settings.
#[derive(Deserialize)]
struct Settings {
    listen: String,
}

/// Serves what other agents know.
#[derive(Debug)]
pub struct HttpAgent {
    address: SocketAddr,
    listener: TakeOnce<TcpListener>,
}

#[agent]
impl HttpAgent {
    /// Takes the port before the agent is live, so that a port in use is an error at start.
    #[on(create)]
    async fn bind(cx: &Context) -> Result<Self> {
        let Settings { listen } = cx.settings()?;
        let listener = TcpListener::bind(&listen)
            .await
            .context(format!("listening on {listen}"))?;
        let address = listener.local_addr()?;
        info!(%address, "http");
        Ok(Self {
            address,
            listener: listener.into(),
        })
    }

    /// Runs beside the handlers until the agent stops. The web server owns the listener from here on.
    #[on(server)]
    async fn serve(&self, cx: &Context) -> Result<()> {
        let routes = Router::new()
            .route("/comments/{user_id}", get(comments))
            .with_state(cx.bus().clone());
        axum::serve(self.listener.take()?, routes)
            .with_graceful_shutdown(cx.shutdown())
            .await?;
        Ok(())
    }
}

impl HttpAgent {
    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn comments(
    State(bus): State<Bus>,
    Path(user_id): Path<u64>,
) -> std::result::Result<String, (StatusCode, String)> {
    let question = signals::RpcCommentsCount {
        user_id: user_id.into(),
    };
    let count: Result<u64> = match bus.call("http_agent", question).await {
        Ok(answer) => answer.one(),
        Err(error) => Err(error),
    };
    count
        .map(|count| count.to_string())
        .map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}
