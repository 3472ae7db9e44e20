//! The shop's front: a web server inside of an agent.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use microagent::prelude::*;
use tokio::net::TcpListener;

use crate::{Order, queues, signals};

/// The response of a request handler.
type Response = std::result::Result<(StatusCode, String), (StatusCode, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    listen: String,
}

/// Takes orders over HTTP: `POST /orders` with `{"item": "teapot", "quantity": 2, "email": "ann@example.com"}`.
///
/// A customer that repeats a request, because the response was lost, sends both with the same header `Idempotency-Key`: it
/// becomes the number of the order, which is charged once.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    listener: TakeOnce<TcpListener>,
}

#[agent]
impl Web {
    /// Binds the port before the agent is live, so that a port in use is an error at the start.
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        let Settings { listen } = cx.settings()?;
        let listener = TcpListener::bind(&listen)
            .await
            .context(format!("listening on {listen}"))?;
        let address = listener.local_addr()?;
        info!(%address, "the shop is open");
        Ok(Self {
            address,
            listener: listener.into(),
        })
    }

    #[on(server)]
    async fn serve(&self, cx: &Context) -> Result<()> {
        let routes = Router::new()
            .route("/orders", post(place_order))
            .with_state(cx.clone());
        axum::serve(self.listener.take()?, routes)
            .with_graceful_shutdown(cx.shutdown())
            .await?;
        Ok(())
    }
}

impl Web {
    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An order as a customer sends it.
#[derive(Deserialize)]
struct Wanted {
    item: String,
    quantity: u64,
    email: String,
}

async fn place_order(State(cx): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let wanted: Wanted = serde_json::from_slice(&body)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let left = stock_of(&cx, &wanted.item).await.map_err(unavailable)?;
    if left < wanted.quantity {
        let text = format!("only {left} of `{}` left", wanted.item);
        return Err((StatusCode::CONFLICT, text));
    }
    let order = Order {
        order_id: order_id(&headers),
        item: wanted.item,
        quantity: wanted.quantity,
        email: wanted.email,
    };
    let sent = cx.broker().send(queues::ORDERS, &order).await;
    sent.map_err(unavailable)?;
    Ok((StatusCode::ACCEPTED, order.order_id))
}

/// Returns the idempotency key of the request, or a number that no other order has.
fn order_id(headers: &HeaderMap) -> String {
    let key = headers.get("idempotency-key");
    let key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
    key.unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)))
}

/// Asks the stock, wherever it runs.
async fn stock_of(cx: &Context, item: &str) -> Result<u64> {
    let question = signals::StockAsked {
        item: item.to_owned(),
    };
    cx.bus().call("web", question).await?.one()
}

fn unavailable(error: Error) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
