//! A shop of five agents. [`Web`] takes orders over HTTP and puts them into a queue, [`Orders`] charges them at a payment
//! service that fails now and then, [`Stock`] answers calls, [`Mailer`] settles its messages itself, and [`Reporter`]
//! sends a mail every morning.
//!
//! Messages are delivered at least once, and signals with them, so each handler may see an order twice. The number of the order
//! decides: [`Payments`] uses it as the idempotency key of a charge, and [`Stock`] and [`Reporter`] count each number once.
//!
//! Copy this folder to start an application of your own.

mod mailer;
mod orders;
mod payments;
mod reporter;
mod stock;
mod web;

pub use mailer::{Mail, Mailer};
pub use orders::{Order, Orders};
pub use payments::{Declined, PaymentService, Payments};
pub use reporter::Reporter;
pub use stock::Stock;
pub use web::Web;

microagent::declare!("signals.json");
