//! Every option that settings can set is read, checked and written, and everything else is refused with
//! the option's name.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::time::Duration;

use microagent_schema::{
    ConsumerOptions, CronOptions, DeadLetter, HandlerOptions, LONGEST_DURATION, OnFailure, Once,
    Overflow, Overlap, PeriodicOptions, ReceiverOptions, RetryPolicy, WhenUnknown,
};
use serde_json::{Map, Value, json};

const SECOND: Duration = Duration::from_secs(1);

fn retries() -> RetryPolicy {
    RetryPolicy::after([SECOND / 2, 2 * SECOND])
}

fn table(given: Value) -> Map<String, Value> {
    given.as_object().cloned().unwrap()
}

#[test]
fn every_option_of_a_receiver_is_read() {
    let given = json!({
        "timeout": 5, "concurrency": 2, "buffer": "0", "overflow": "drop_newest", "retry": [0.5, "2s"],
        "on_error": "drop", "on_timeout": "drop", "on_panic": "drop", "on_undecodable": "retry",
    });
    assert_eq!(
        given.as_object().unwrap().len(),
        ReceiverOptions::OPTIONS.len()
    );
    let read = ReceiverOptions::default()
        .overridden(&table(given))
        .unwrap();
    let expected = ReceiverOptions::default()
        .timeout(5 * SECOND)
        .concurrency(2)
        .buffer(0)
        .overflow(Overflow::DropNewest)
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::Drop)
        .on_panic(OnFailure::Drop)
        .on_undecodable(OnFailure::Retry);
    assert_eq!(read, expected);
}

#[test]
fn every_option_of_a_consumer_is_read() {
    let given = json!({
        "timeout": "1500ms", "concurrency": "2", "prefetch": 4, "retry": [0.5, "2s"], "retry_jitter": 0.5, "on_error": "drop",
        "on_timeout": "dead_letter", "on_panic": "drop", "on_undecodable": "retry", "dead_letter": "lost",
        "max_crashes": 1, "driver": {"group": "billing", "lanes": 2},
    });
    let settable = ConsumerOptions::OPTIONS.len() - ConsumerOptions::OF_ATTRIBUTE.len();
    assert_eq!(given.as_object().unwrap().len(), settable);
    let before = ConsumerOptions::default().driver("lag", "1");
    let expected = before
        .clone()
        .timeout(3 * SECOND / 2)
        .concurrency(2)
        .prefetch(4)
        .retry(retries())
        .retry_jitter(SECOND / 2)
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::DeadLetter)
        .on_panic(OnFailure::Drop)
        .on_undecodable(OnFailure::Retry)
        .dead_letter(DeadLetter::Queue("lost".into()))
        .max_crashes(1)
        .driver("group", "billing")
        .driver("lanes", "2");
    assert_eq!(before.overridden(&table(given)).unwrap(), expected);
}

#[test]
fn every_option_of_a_periodic_task_is_read() {
    let given = json!({
        "period": 30, "timeout": 5, "start_after": 0, "overlap": "skip", "jitter": 3, "retry": [0.5, "2s"],
        "on_error": "drop", "on_timeout": "drop", "on_panic": "drop",
    });
    assert_eq!(
        given.as_object().unwrap().len(),
        PeriodicOptions::OPTIONS.len()
    );
    let before = PeriodicOptions::every(SECOND).start_after(SECOND);
    let expected = PeriodicOptions::every(30 * SECOND)
        .timeout(5 * SECOND)
        .overlap(Overlap::Skip)
        .jitter(3 * SECOND)
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::Drop)
        .on_panic(OnFailure::Drop);
    assert_eq!(before.overridden(&table(given)).unwrap(), expected);
}

#[test]
fn every_option_of_a_cron_task_is_read() {
    let given = json!({
        "cron": "0 5 * * *", "tz": "Europe/Berlin", "timeout": 5, "overlap": "queue", "jitter": 3,
        "once": {"crashed": "run"}, "retry": [0.5, "2s"], "on_error": "drop", "on_timeout": "drop", "on_panic": "drop",
    });
    assert_eq!(given.as_object().unwrap().len(), CronOptions::OPTIONS.len());
    let expected = CronOptions::at("0 5 * * *")
        .tz("Europe/Berlin")
        .timeout(5 * SECOND)
        .overlap(Overlap::Queue)
        .jitter(3 * SECOND)
        .once(Once::default().crashed(WhenUnknown::Run))
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::Drop)
        .on_panic(OnFailure::Drop);
    let read = CronOptions::at("@daily").overridden(&table(given));
    assert_eq!(read.unwrap(), expected);
}

#[test]
fn once_can_be_switched_in_each_way() {
    for (given, expected) in [
        (json!(true), Some(Once::default())),
        (json!("true"), Some(Once::default())),
        (json!(false), None),
        (json!("false"), None),
    ] {
        let before = CronOptions::at("@daily").once(Once::default().crashed(WhenUnknown::Run));
        let read = before.overridden(&table(json!({"once": given}))).unwrap();
        assert_eq!(read.once, expected, "{given}");
    }
}

#[test]
fn an_option_that_is_not_given_stays() {
    let before = ConsumerOptions::default().timeout(SECOND).prefetch(99);
    for given in [json!({}), json!({"timeout": null, "prefetch": null})] {
        assert_eq!(before.overridden(&table(given)).unwrap(), before);
    }
}

/// Asserts that options are written and read without a loss, and that the fields are the named options.
fn assert_written<T: HandlerOptions + PartialEq + std::fmt::Debug>(options: &T) {
    let written = serde_json::to_value(options).unwrap();
    assert_eq!(
        serde_json::from_value::<T>(written.clone()).unwrap(),
        *options
    );
    let fields: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    let names: Vec<_> = T::OPTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(fields, names);
    let mut extended = written;
    extended["no_such_option"] = json!(1);
    let error = serde_json::from_value::<T>(extended)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("unknown field `no_such_option`"),
        "{error}"
    );
}

#[test]
fn options_are_written_and_read_without_a_loss() {
    let odd = Duration::new(86_401, 123_456_789);
    assert_written(
        &ReceiverOptions::default()
            .timeout(Duration::MAX)
            .retry(retries()),
    );
    for dead_letter in [DeadLetter::None, DeadLetter::Queue("lost".into())] {
        let options = ConsumerOptions::default().timeout(odd).driver("a", "b");
        assert_written(&options.prefetch(99).dead_letter(dead_letter));
    }
    assert_written(&PeriodicOptions::every(odd).jitter(odd / 7));
    assert_written(&PeriodicOptions::every(3 * LONGEST_DURATION));
    assert_written(&CronOptions::at("@daily").tz("UTC").once(Once::default()));
    assert_written(&CronOptions::at("@daily"));
    let own_queue = serde_json::to_value(ConsumerOptions::default()).unwrap();
    assert_eq!(
        serde_json::from_value::<ConsumerOptions>(own_queue).unwrap(),
        ConsumerOptions::default()
    );
}

/// The error about these options over the default ones.
fn refused<T: HandlerOptions>(defaults: &T, given: Value) -> String {
    let read = defaults.overridden(&table(given));
    let error = read.and_then(|options| options.validate()).unwrap_err();
    error.to_string()
}

#[test]
fn a_bad_option_of_a_cron_task_is_named_with_the_available_ones() {
    let cron = |given| refused(&CronOptions::at("@daily"), given);
    let cases = [
        (
            json!({"cron": "0 25 * * *"}),
            "`cron`: hour: 25 is out of range 0-23",
        ),
        (json!({"timeout": 0}), "`timeout`: it must be longer than 0"),
        (
            json!({"once": {"crash": "run"}}),
            "`once`: unknown option `crash`; did you mean `crashed`? (available: `crashed`, `unavailable`)",
        ),
        (
            json!({"once": {"crashed": "retry"}}),
            "`once`: `crashed`: unknown value `retry` (available: `skip`, `run`)",
        ),
        (
            json!({"once": "yes"}),
            "`once`: this is \"yes\"; `true`, `false` and a table are allowed",
        ),
        (
            json!({"overlap": "forbid"}),
            "`overlap`: unknown value `forbid` (available: `allow`, `skip`, `queue`)",
        ),
        (
            json!({"overlap": 3}),
            "`overlap`: invalid value `3` (available: `allow`, `skip`, `queue`)",
        ),
        (
            json!({"timezone": "UTC"}),
            "`timezone`: unknown option; did you mean `tz`? (available: `cron`, `timeout`, `tz`, `overlap`, `jitter`, \
             `once`, `retry`, `on_error`, `on_timeout`, `on_panic`)",
        ),
        (
            json!({"on_undecodable": "drop"}),
            "`on_undecodable`: unknown option: the runs of a schedule have no payload to decode",
        ),
        (
            json!({"timeout": 1e10}),
            "`timeout`: invalid duration \"10000000000\": it is longer than 100 years, 36500 days; expected seconds (`30`, `1.5`) or a \
             number with a unit (`1500ms`, `2m`)",
        ),
        (
            json!({"retry": [1, -4]}),
            "`retry`: invalid duration \"-4\": it is negative; expected seconds (`30`, `1.5`) or a number with a unit (`1500ms`, \
             `2m`)",
        ),
        (
            json!({"jitter": "1 day"}),
            "`jitter`: a run starts up to this much later; less than a day is allowed, not 86400s",
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(cron(given), expected);
    }
}

#[test]
fn a_bad_option_of_a_consumer_is_named_with_what_is_allowed() {
    let consumer = |given| refused(&ConsumerOptions::default(), given);
    let cases = [
        (
            json!({"concurrency": 0}),
            "`concurrency`: a whole number of at least 1 is allowed",
        ),
        (
            json!({"max_crashes": -1}),
            "`max_crashes`: this is -1; a whole number is allowed",
        ),
        (
            json!({"retry": 3}),
            "`retry`: this is 3; a list of the delays before each retry is allowed",
        ),
        (
            json!({"dead_letter": "Dead Letters"}),
            "`dead_letter`: invalid queue name `Dead Letters`: expected lower-case letters, digits and `_`, not \
             starting with a digit",
        ),
        (
            json!({"autoack": false}),
            "`autoack`: only the handler's attribute can set it: it decides whether the handler takes the `Delivery`",
        ),
        (
            json!({"driver": {"group": []}}),
            "`driver`: `group` is []; a text, a number, `true` or `false` is allowed",
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(consumer(given), expected);
    }
}

#[test]
fn only_a_message_can_become_a_dead_letter() {
    let expected = "`on_error`: only a message of a queue can become a dead letter (available: `retry`, `drop`)";
    let given = json!({"on_error": "dead_letter"});
    let follows = OnFailure::DeadLetter;
    let periodic = PeriodicOptions::every(SECOND);
    let cron = CronOptions::at("@daily");
    assert_eq!(
        refused(&ReceiverOptions::default(), given.clone()),
        expected
    );
    assert_eq!(refused(&periodic, given.clone()), expected);
    assert_eq!(refused(&cron, given), expected);
    let built = [
        ReceiverOptions::default().on_error(follows).validate(),
        periodic.on_error(follows).validate(),
        cron.on_error(follows).validate(),
    ];
    for error in built {
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_rule_about_two_options_names_both() {
    let options = ConsumerOptions::default().prefetch(20);
    let given = table(json!({"concurrency": 40}));
    let error = options.overridden(&given).unwrap().validate().unwrap_err();
    assert_eq!(error.option.as_deref(), Some("prefetch"));
    assert_eq!(error.other, Some("concurrency"));
    assert_eq!(
        error.message,
        "20 is less than `concurrency`, which is 40: every running handler has a message in flight; at least 40 is \
         allowed, or a smaller `concurrency`"
    );
    let error = PeriodicOptions::every(SECOND)
        .jitter(SECOND)
        .validate()
        .unwrap_err();
    assert_eq!(error.other, Some("period"));
}

#[test]
fn all_violations_are_found() {
    let options = ReceiverOptions {
        timeout: Duration::ZERO,
        concurrency: 0,
        ..Default::default()
    };
    let options = options.on_panic(OnFailure::DeadLetter);
    let found: Vec<_> = options
        .violations()
        .into_iter()
        .filter_map(|error| error.option)
        .collect();
    assert_eq!(found, ["timeout", "concurrency", "on_panic"]);
}

#[test]
fn dead_letters_never_come_back_to_their_own_queue() {
    let error = DeadLetter::from("mailer").check_for("mailer").unwrap_err();
    assert!(
        error.message.starts_with(
            "its dead letters would go from `mailer` to `mailer`: it would take them again"
        ),
        "{error}"
    );
    assert!(DeadLetter::OwnQueue.check_for("mailer.dead").is_err());
    for good in [
        DeadLetter::OwnQueue,
        DeadLetter::None,
        "lost".into(),
        "lost.dead".into(),
    ] {
        assert_eq!(good.check_for("mailer"), Ok(()));
    }
}

/// The option that an error about this one suggests.
fn suggested(option: &str) -> Option<String> {
    let error = CronOptions::form(option).unwrap_err().to_string();
    let (_, near) = error.split_once("did you mean `")?;
    near.split_once('`').map(|(near, _)| near.to_owned())
}

#[test]
fn a_slip_and_a_synonym_are_understood() {
    for (option, near) in [
        ("timout", "timeout"),
        ("time_out", "timeout"),
        ("timezone", "tz"),
        ("zone", "tz"),
        ("tx", "tz"),
        ("onerror", "on_error"),
        ("backoff", "retry"),
        ("retries", "retry"),
    ] {
        assert_eq!(suggested(option).as_deref(), Some(near), "{option}");
    }
}

#[test]
fn an_unrelated_name_is_not_guessed() {
    // `workers` is a synonym of an option that cron tasks do not have.
    for option in ["priority", "times", "workers", "x"] {
        assert_eq!(suggested(option), None, "{option}");
    }
}
