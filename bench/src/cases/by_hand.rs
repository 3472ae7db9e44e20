//! The loop that a careful engineer writes without a framework: receive, decode, spawn, apply the timeout.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use microagent::Result;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::agents::Countdown;

/// The same arguments as those of the measured handlers.
#[derive(Deserialize)]
pub(crate) struct Args {
    pub(crate) user_id: u64,
    pub(crate) text: String,
    pub(crate) email: String,
}

impl Args {
    /// Decodes and counts a message where it stands, without a task of its own.
    pub(crate) fn handle(body: &[u8], countdown: &Countdown) -> Result<()> {
        let args: Self = serde_json::from_slice(body)?;
        countdown.count(args.user_id, &args.text, &args.email);
        Ok(())
    }
}

/// Handles all bodies, at most `concurrency` at a time, each decoded and within 60 s.
pub(crate) async fn handle_all(
    mut bodies: mpsc::UnboundedReceiver<Bytes>,
    concurrency: usize,
    countdown: Countdown,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(concurrency));
    while let Some(body) = bodies.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let args: Args = serde_json::from_slice(&body)?;
        spawn_handler(args, countdown.clone(), place);
    }
    countdown.done().await;
    Ok(())
}

/// Runs a handler in a task of its own. It never hangs; a careful engineer limits its time nevertheless.
pub(crate) fn spawn_handler(args: Args, countdown: Countdown, place: OwnedSemaphorePermit) {
    tokio::spawn(async move {
        let handler = async { countdown.count(args.user_id, &args.text, &args.email) };
        let _ = timeout(Duration::from_secs(60), handler).await;
        drop(place);
    });
}
