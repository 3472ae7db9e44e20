//! An agent with a web server inside: `GET /comments/7` asks the bus how many comments user 7 has.

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
    listener: std::net::TcpListener,
}

#[agent]
impl HttpAgent {
    /// Takes the port before the agent is live, so that a port in use is an error at start.
    #[on(create)]
    async fn bind(cx: &Context) -> Result<Self> {
        let Settings { listen } = cx.settings()?;
        let listener =
            std::net::TcpListener::bind(&listen).context(format!("listening on {listen}"))?;
        listener.set_nonblocking(true)?;
        info!(address = %listener.local_addr()?, "http");
        Ok(Self { listener })
    }

    /// Runs beside the handlers until the agent stops.
    #[on(server)]
    async fn serve(&self, cx: &Context) -> Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let routes = Router::new()
            .route("/comments/{user_id}", get(comments))
            .with_state(cx.bus().clone());
        axum::serve(listener, routes)
            .with_graceful_shutdown(cx.shutdown())
            .await?;
        Ok(())
    }
}

impl HttpAgent {
    /// The address that it listens on.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
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
