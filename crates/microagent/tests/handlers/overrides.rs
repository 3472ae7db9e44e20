//! Options from the settings, over those of the attributes.

use microagent::{AgentType, ErrorKind, Wiring, prelude::*};

use super::{MAILER, UserCreated, UserDeleted};

#[derive(Default)]
struct Configured;

#[agent]
impl Configured {
    #[receiver(UserCreated, UserDeleted, timeout = 5)]
    async fn heard(&self) {}

    #[consumer(MAILER, prefetch = 20)]
    async fn send_email(&self) {}

    #[cron("@daily")]
    async fn report(&self) {}

    #[cron("@hourly", tz = "America/New_York")]
    async fn hourly(&self) {}

    #[periodic(15)]
    async fn tick(&self) {}

    #[on(server)]
    async fn http(&self, cx: &Context) {
        cx.shutdown().await;
    }
}

async fn start(handlers: Value, zone: Option<&str>) -> Result<Value> {
    let mut wiring = Wiring::named("configured");
    wiring.bus = Some(Bus::connect("memory://").await?);
    wiring.broker = Some(Broker::connect("memory://").await?);
    wiring.handlers = handlers;
    wiring.zone = zone.map(str::to_owned);
    let agent = AgentType::of::<Configured>().start(wiring).await?;
    let info = agent.info();
    agent.stop().await?;
    Ok(info)
}

#[tokio::test]
async fn they_replace_those_of_the_attributes_and_are_seen_in_the_info() {
    let handlers = json!({
        "heard": {"timeout": "2m"},
        "send_email": {"concurrency": "4", "retry": [60], "dead_letter": "none"},
        "report": {"cron": "0 5 * * mon-fri", "jitter": 30},
        "tick": {"period": 1.5},
    });
    let manifest = Configured::blueprint().manifest();
    let configured = serde_json::to_value(manifest.configured(&handlers).unwrap()).unwrap();
    let info = start(handlers.clone(), None).await.unwrap();
    for kind in ["receivers", "consumers", "periodic", "cron"] {
        assert_eq!(info[kind], configured[kind], "it is known before the start");
    }
    let info = start(handlers, Some("Europe/Berlin")).await.unwrap();
    let timeouts = [
        &info["receivers"][0]["timeout"],
        &info["receivers"][1]["timeout"],
    ];
    assert_eq!(timeouts, [&json!(120.0), &json!(120.0)]);
    assert_eq!(info["consumers"][0]["concurrency"], 4);
    assert_eq!(info["consumers"][0]["retry"], json!([60.0]));
    assert_eq!(info["consumers"][0]["dead_letter"], Value::Null);
    assert_eq!(info["cron"][0]["cron"], "0 5 * * mon-fri");
    assert_eq!(info["cron"][0]["tz"], "Europe/Berlin");
    assert_eq!(
        info["cron"][1]["tz"], "America/New_York",
        "it says so itself"
    );
    assert_eq!(info["periodic"][0]["period"], 1.5);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_start() {
    let cases = [
        (
            json!({"send_mail": {}}),
            "Configured has no handler `send_mail`; those with options are `heard`, `send_email`, `tick`, `report`, `hourly`",
        ),
        (
            json!({"http": {"timeout": 5}}),
            "handler `http`: a hook of kind `server` has no options",
        ),
        (
            json!({"tick": {"cron": "@daily"}}),
            "handler `tick`: unknown option `cron`",
        ),
        (
            json!({"tick": {"jitter": 20}}),
            "task `tick`: a jitter of 20s: less than 15s is allowed here",
        ),
        (
            json!({"send_email": {"concurrency": 40, "prefetch": 2}}),
            "handler `send_email`: `prefetch` is 2",
        ),
        (
            json!({"send_email": {"concurrency": 40}}),
            "handler `send_email`: `prefetch` is 20, which is less than `concurrency`, 40",
        ),
        (
            json!({"send_email": {"dead_letter": "mailer"}}),
            "handler `send_email`: its dead letters would go from `mailer` to `mailer`: it would take them again",
        ),
        (
            json!({"heard": {"on_error": "dead_letter"}}),
            "handler `heard`: `on_error`: unknown variant `dead_letter`, expected `retry` or `drop`",
        ),
        (json!([]), "the options of handlers are a table"),
    ];
    for (handlers, expected) in cases {
        let found = Configured::blueprint().manifest().configured(&handlers);
        let error = start(handlers, None).await.unwrap_err();
        assert_eq!(error.to_string(), found.unwrap_err().to_string());
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = start(Value::Null, Some("Mars")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("task `report`: `Mars` is no time zone"),
        "{error}"
    );
}
