//! Agents with schedules, some of which no start could keep.

use std::time::Duration;

use microagent_core::{Blueprint, Context, CronOptions, MicroAgent, Once, PeriodicOptions, Result};

/// One of its replicas runs a task.
pub(crate) struct OnlyOne;

/// It says whose clock its schedules follow: of two tasks one names its zone.
pub(crate) struct Clerk;

/// Its zone is on no map.
pub(crate) struct Lost;

/// Its task may be later than the next one.
pub(crate) struct Unsteady;

impl MicroAgent for OnlyOne {
    const NAME: &'static str = "OnlyOne";

    fn blueprint() -> Blueprint<Self> {
        let daily = CronOptions::at("@daily").once(Once::default());
        Blueprint::new().cron("report", daily, |_, _| Box::pin(async { Ok(()) }))
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

impl MicroAgent for Clerk {
    const NAME: &'static str = "Clerk";

    fn blueprint() -> Blueprint<Self> {
        let utc = CronOptions::at("@daily").tz("UTC");
        Blueprint::new()
            .cron("anywhere", CronOptions::at("@daily"), |_, _| {
                Box::pin(async { Ok(()) })
            })
            .cron("utc", utc, |_, _| Box::pin(async { Ok(()) }))
    }

    async fn create(cx: &Context) -> Result<Self> {
        for task in cx.info()["cron"].as_array().into_iter().flatten() {
            println!("{} by {}", task["name"], task["tz"]);
        }
        Ok(Self)
    }
}

impl MicroAgent for Lost {
    const NAME: &'static str = "Lost";

    fn blueprint() -> Blueprint<Self> {
        let daily = CronOptions::at("@daily").tz("Mars/Olympus");
        Blueprint::new().cron("report", daily, |_, _| Box::pin(async { Ok(()) }))
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

impl MicroAgent for Unsteady {
    const NAME: &'static str = "Unsteady";

    fn blueprint() -> Blueprint<Self> {
        let often = PeriodicOptions::every(Duration::from_secs(1)).jitter(Duration::from_secs(2));
        Blueprint::new().periodic("tick", often, |_, _| Box::pin(async { Ok(()) }))
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}
