//! Formats the options of a handler that are not the default. No option is known by name, so that
//! new ones are shown too.

use std::time::Duration;

use humantime::format_duration;
use microagent_core::{
    ConsumerManifest, ConsumerOptions, CronManifest, CronOptions, PeriodicManifest,
    PeriodicOptions, ReceiverManifest, ReceiverOptions,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(super) fn of_receiver(receiver: &ReceiverManifest) -> String {
    changed(&receiver.options, &ReceiverOptions::default())
}

pub(super) fn of_consumer(consumer: &ConsumerManifest) -> String {
    let mut default = ConsumerOptions::default();
    default.dead_letter = default.dead_letter.named(&consumer.queue);
    changed(&consumer.options, &default)
}

/// Formats the options of a periodic task, except its period.
pub(super) fn of_periodic(task: &PeriodicManifest) -> String {
    changed(&task.options, &PeriodicOptions::every(task.options.period))
}

/// Formats the options of a cron task, except its schedule and zone.
pub(super) fn of_cron(task: &CronManifest) -> String {
    let default = CronOptions::at(task.options.cron.clone()).tz(task.tz().to_owned());
    changed(&task.options, &default)
}

/// Returns for example `, timeout 5s, retry [1s, 1m]`, or an empty string if all options are the
/// default.
fn changed<T: Serialize>(given: &T, default: &T) -> String {
    let default = options(default);
    let mut text = String::new();
    for (name, value) in options(given) {
        if default.get(&name) != Some(&value) {
            text.push_str(", ");
            text.push_str(&describe(&name, &value));
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

fn describe(name: &str, value: &Value) -> String {
    match value {
        Value::Null => format!("{name} none"),
        Value::String(word) => format!("{name} {word}"),
        // All numbers with a decimal point are durations.
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
    use microagent_core::{Manifest, Once, WhenUnknown};

    use super::*;

    /// Returns the manifest of an agent with a handler of each kind, whose program sets no options.
    fn configured(handlers: &Value) -> Manifest {
        let manifest: Manifest = serde_json::from_value(json!({
            "name": "Silent",
            "receivers": [{"name": "hear", "signal": "heard"}],
            "consumers": [{"name": "take", "queue": "queue", "dead_letter": "queue.dead"}],
            "periodic": [{"name": "often", "period": 1.0}],
            "cron": [{"name": "daily", "cron": "@daily", "tz": "UTC"}],
            "hooks": [],
        }))
        .unwrap();
        manifest.configured(handlers).unwrap()
    }

    #[test]
    fn default_options_are_not_shown() {
        let manifest = configured(&json!({}));
        assert_eq!(of_receiver(&manifest.receivers[0]), "");
        assert_eq!(of_consumer(&manifest.consumers[0]), "");
        assert_eq!(of_periodic(&manifest.periodic[0]), "");
        assert_eq!(of_cron(&manifest.cron[0]), "");
    }

    #[test]
    fn changed_options_are_shown() {
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
    fn options_of_once_are_shown() {
        let mut task = configured(&json!({})).cron.remove(0);
        task.options.once = Some(Once::default().crashed(WhenUnknown::Run));
        let expected = r#", once {"crashed":"run","unavailable":"skip"}"#;
        assert_eq!(of_cron(&task), expected);
    }

    #[test]
    fn the_queue_of_dead_letters_is_shown_only_if_it_is_not_the_default() {
        let mut consumer = configured(&json!({})).consumers.remove(0);
        consumer.queue = "jobs".to_owned();
        consumer.options = consumer.options.dead_letter("jobs.dead");
        assert_eq!(of_consumer(&consumer), "");
        consumer.options = consumer.options.dead_letter("none");
        assert_eq!(of_consumer(&consumer), ", dead_letter none");
    }
}
