//! The options of a handler that are not the default, for people. It knows none by name but those that say which handler
//! it is, so that a new one is shown too.

use std::time::Duration;

use humantime::format_duration;
use microagent_core::{ConsumerManifest, CronManifest, PeriodicManifest, ReceiverManifest};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::defaults::{DEFAULTS, QUEUE};

pub(super) fn of_receiver(receiver: &ReceiverManifest) -> String {
    changed(receiver, DEFAULTS.receivers.first(), &["name", "signal"])
}

pub(super) fn of_consumer(consumer: &ConsumerManifest) -> String {
    let default = DEFAULTS.consumers.first().cloned();
    let default = default.map(|default| ConsumerManifest {
        dead_letter: default
            .dead_letter
            .map(|name| name.replacen(QUEUE, &consumer.queue, 1)),
        ..default
    });
    changed(consumer, default.as_ref(), &["name", "queue"])
}

pub(super) fn of_periodic(task: &PeriodicManifest) -> String {
    changed(task, DEFAULTS.periodic.first(), &["name", "period"])
}

pub(super) fn of_cron(task: &CronManifest) -> String {
    let shown = ["name", "cron", "tz", "own_tz"];
    changed(task, DEFAULTS.cron.first(), &shown)
}

/// `, timeout 5s, retry [1s, 1m]`, without those that are shown already; nothing where all are the default.
fn changed<T: Serialize>(handler: &T, default: Option<&T>, shown: &[&str]) -> String {
    let default = default.map(options).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in options(handler) {
        if !shown.contains(&name.as_str()) && default.get(&name) != Some(&value) {
            text.push_str(", ");
            text.push_str(&told(&name, &value));
        }
    }
    text
}

fn options(handler: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(handler) {
        Ok(Value::Object(options)) => options,
        _ => Map::new(),
    }
}

fn told(name: &str, value: &Value) -> String {
    match value {
        Value::Null => format!("{name} none"),
        Value::String(word) => format!("{name} {word}"),
        // All numbers with a point are times.
        Value::Number(number) if number.is_f64() => format!("{name} {}", time(value)),
        Value::Array(times) => {
            let times: Vec<_> = times.iter().map(time).collect();
            format!("{name} [{}]", times.join(", "))
        }
        Value::Object(_) if *value == json!({"crashed": "skip", "unavailable": "skip"}) => {
            name.to_owned()
        }
        other => format!("{name} {other}"),
    }
}

fn time(seconds: &Value) -> String {
    let duration = seconds
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map_or_else(
        || seconds.to_string(),
        |duration| format_duration(duration).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use microagent_core::{Doubt, Manifest, Once};

    use super::*;

    fn configured(handlers: &Value) -> Manifest {
        DEFAULTS.configured(handlers).unwrap()
    }

    #[test]
    fn nothing_is_said_of_what_nobody_has_changed() {
        let manifest = configured(&json!({}));
        assert_eq!(of_receiver(&manifest.receivers[0]), "");
        assert_eq!(of_consumer(&manifest.consumers[0]), "");
        assert_eq!(of_periodic(&manifest.periodic[0]), "");
        assert_eq!(of_cron(&manifest.cron[0]), "");
    }

    #[test]
    fn whatever_was_changed_is_said() {
        let manifest = configured(&json!({
            "hear": {"buffer": 9, "overflow": "drop_newest", "timeout": 90},
            "take": {"concurrency": 8, "prefetch": 20, "retry": [0.5, "2m"], "on_timeout": "drop", "dead_letter": "parked"},
            "often": {"jitter": 0.1, "overlap": "queue", "start_after": "1m 30s", "retry": []},
            "daily": {"tz": "Europe/Berlin", "on_panic": "drop", "once": true},
        }));
        assert_eq!(
            of_receiver(&manifest.receivers[0]),
            ", timeout 1m 30s, buffer 9, overflow drop_newest"
        );
        assert_eq!(
            of_consumer(&manifest.consumers[0]),
            ", concurrency 8, prefetch 20, retry [500ms, 2m], on_timeout drop, dead_letter parked"
        );
        assert_eq!(
            of_periodic(&manifest.periodic[0]),
            ", start_after 1m 30s, overlap queue, jitter 100ms"
        );
        assert_eq!(of_cron(&manifest.cron[0]), ", once, on_panic drop");
    }

    #[test]
    fn what_replicas_agree_on_in_doubt_is_said() {
        let mut task = DEFAULTS.cron[0].clone();
        task.once = Some(Once::default().crashed(Doubt::Run));
        let told = r#", once {"crashed":"run","unavailable":"skip"}"#;
        assert_eq!(of_cron(&task), told);
    }

    #[test]
    fn dead_letters_of_another_queue_are_no_change_but_none_is() {
        let mut consumer = DEFAULTS.consumers[0].clone();
        consumer.queue = "jobs".to_owned();
        consumer.dead_letter = Some("jobs.dead".to_owned());
        assert_eq!(of_consumer(&consumer), "");
        consumer.dead_letter = None;
        assert_eq!(of_consumer(&consumer), ", dead_letter none");
    }
}
