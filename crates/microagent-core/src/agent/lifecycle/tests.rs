//! Ends that the tests of whole agents cannot reach, because those run in one runtime.

use std::sync::LazyLock;

use microagent_schema::SignalDeclaration;
use serde::{Deserialize, Serialize};
use tokio::{runtime, task::yield_now};

use super::*;
use crate::{Agent, HandlerReply, MemoryBus, ReceiverOptions, Signal};

#[derive(Serialize, Deserialize)]
struct Created {}

impl Signal for Created {
    const NAME: &'static str = "created";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("created", []));
        &DECLARED
    }
}

struct Listener;

impl MicroAgent for Listener {
    const NAME: &'static str = "Listener";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().receiver::<Created>("created", ReceiverOptions::default(), |_, _| {
            Ok(Box::pin(async { HandlerReply::of(&()) }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

#[test]
fn a_handle_that_is_dropped_outside_of_the_runtime_leaves_the_bus() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let bus = Bus::new(Arc::new(MemoryBus::new()));
    let start = || Agent::new(Listener).bus(bus.clone()).start();
    let first = runtime.block_on(start()).unwrap();
    drop(first);

    let second = runtime.block_on(async {
        let start_again = async {
            loop {
                match start().await {
                    Ok(second) => return second,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Configuration),
                }
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), start_again).await
    });
    assert!(second.is_ok(), "the bus still knows the first one");
}
