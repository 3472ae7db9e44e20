//! Asks all agents on a bus.

use std::{
    collections::BTreeSet,
    io,
    time::{Duration, SystemTime},
};

use microagent_core::{
    Error, ErrorKind,
    status::{StatusWatch, WatchEvent},
};
use tokio::{
    signal::ctrl_c,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};

use super::{show, show_once};
use crate::{
    cli::{BusArgs, BusSource},
    command::{print_message, source},
    exit::{self, Failure},
    status::{BUS_PATIENCE, BusView},
};

/// The time between two looks with `--watch`.
const PERIOD: Duration = Duration::from_secs(1);

/// The number of looks after which the agents are asked again, before their lease ends.
const ASK_EVERY: u32 = 4;

/// The time by which a question outlasts [`BUS_PATIENCE`], because the wall clock may be slower than the timer.
const MARGIN: Duration = Duration::from_millis(50);

/// The time in which the server must list the agents.
const LISTING: Duration = Duration::from_secs(5);

pub(super) async fn run(
    dsn: &str,
    prefix: Option<&str>,
    json: bool,
    watch: bool,
) -> Result<(), Failure> {
    let args = BusArgs {
        source: BusSource {
            bus: Some(dsn.to_owned()),
            settings: None,
        },
        prefix: prefix.map(str::to_owned),
        declarations: None,
        bus_name: None,
    };
    let bus = source::bus(&args).await?;
    let (address, prefix) = (bus.driver().address(), bus.prefix());
    let mut asker = Asker {
        view: BusView::new(address.clone(), prefix),
        watch: StatusWatch::open(&bus).await?,
        warns: true,
    };
    asker.ask_once().await?;
    if asker.view.is_empty() {
        // Without a list of the others, the error is as true.
        let others = asker.watch.prefixes().await.unwrap_or_default();
        return Err(nobody(&address, prefix, &others));
    }
    let shown = if watch {
        asker.look_until_interrupted(json).await
    } else {
        show_once(&asker.view.status(SystemTime::now()), json)
    };
    bus.close().await?;
    shown
}

/// Returns the failure to find an agent under this prefix, while there are agents under `others`.
fn nobody(address: &str, prefix: &str, others: &BTreeSet<String>) -> Failure {
    let names: Vec<_> = others.iter().map(|other| format!("`{other}`")).collect();
    let hint = if names.is_empty() {
        "check that its agents run, with this bus and this prefix".to_owned()
    } else {
        let names = names.join(", ");
        format!("agents are connected under {names}, which `--prefix` selects")
    };
    Failure {
        code: exit::NO_RESPONDERS,
        message: format!("no agent answers on {address} under the prefix `{prefix}`; {hint}"),
    }
}

/// Asks, and keeps what is known of the agents.
struct Asker {
    view: BusView,
    watch: StatusWatch,
    /// The next answer that cannot be read is reported.
    warns: bool,
}

impl Asker {
    /// Asks until all agents have answered, at most for [`BUS_PATIENCE`].
    async fn ask_once(&mut self) -> Result<(), Failure> {
        self.list().await?;
        let deadline = Instant::now() + BUS_PATIENCE + MARGIN;
        self.watch.ask().await?;
        // A bus that does not list its agents may have more of them than have answered.
        while !self.view.all_answered() {
            match timeout_at(deadline, self.watch.next()).await {
                Ok(event) => self.take(event)?,
                // An agent that has ended meanwhile did not have to answer.
                Err(_) => return Ok(self.list().await?),
            }
            if let Some(reason) = self.view.error() {
                let text = format!("the connection was lost while waiting for answers: {reason}");
                return Err(Error::new(ErrorKind::Unavailable, text).into());
            }
        }
        Ok(())
    }

    async fn look_until_interrupted(&mut self, json: bool) -> Result<(), Failure> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interrupted = std::pin::pin!(ctrl_c());
        let mut earlier = None;
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                result = &mut interrupted => return result.map_err(no_signals),
                event = self.watch.next() => self.take(event)?,
                _ = ticks.tick() => {
                    looks = looks.wrapping_add(1);
                    self.renew(looks.is_multiple_of(ASK_EVERY)).await?;
                    let status = self.view.status(SystemTime::now());
                    show(&status, earlier.as_ref(), json)?;
                    earlier = Some(status);
                }
            }
        }
    }

    /// Lists the agents again, and asks them if it is time for that. Without the bus, it does neither.
    async fn renew(&mut self, asks: bool) -> Result<(), Failure> {
        let renewed = async {
            if asks {
                self.watch.ask().await?;
            }
            self.list().await
        };
        match renewed.await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                self.view.lost(error.to_string(), SystemTime::now());
                Ok(())
            }
            renewed => Ok(renewed?),
        }
    }

    /// Lists the agents that are connected.
    ///
    /// # Errors
    /// All errors but those of a bus that cannot list them.
    async fn list(&mut self) -> microagent_core::Result<()> {
        let asked = SystemTime::now();
        let listed = timeout(LISTING, self.watch.agents()).await;
        let listed = listed.unwrap_or_else(|_| {
            let text = format!("the agents were not listed within {LISTING:?}");
            Err(Error::new(ErrorKind::Unavailable, text))
        });
        let now = SystemTime::now();
        match listed {
            Ok(agents) => self.view.list(agents, asked, now),
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Refused) => {
                if self.view.not_listed(now) {
                    print_message(format!("agents that do not answer are not shown: {error}"));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take(&mut self, event: Option<WatchEvent>) -> Result<(), Failure> {
        let now = SystemTime::now();
        match event {
            Some(WatchEvent::Answer(answer)) => self.view.answer(answer.id, answer.status, now),
            Some(WatchEvent::Invalid(error)) => {
                if std::mem::take(&mut self.warns) {
                    print_message(format!("invalid answer on the bus; ignored: {error}"));
                }
            }
            Some(WatchEvent::Lost(reason)) => self.view.lost(reason, now),
            // The next list shows who is there.
            Some(_) => {}
            None => return Err(Failure::failed("the bus was closed")),
        }
        Ok(())
    }
}

fn no_signals(error: io::Error) -> Failure {
    Failure::failed(format!("cannot receive process signals: {error}"))
}
