//! Every option that settings can say arrives, and what they cannot say is refused with its name.

use std::{fmt::Debug, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    ConsumerOptions, CronOptions, DeadLetter, Doubt, OnFailure, Once, Overflow, Overlap,
    PeriodicOptions, ReceiverOptions, RetryPolicy,
};

const SECOND: Duration = Duration::from_secs(1);

fn retries() -> RetryPolicy {
    RetryPolicy::after([SECOND / 2, 2 * SECOND])
}

#[test]
fn every_option_of_a_receiver_arrives() {
    let said = json!({
        "timeout": 5, "concurrency": 2, "buffer": "0", "overflow": "drop_newest", "retry": [0.5, "2s"],
        "on_error": "drop", "on_timeout": "drop", "on_panic": "drop", "on_undecodable": "retry",
    });
    let mut options = ReceiverOptions::default();
    let read: ForReceiver = read("heard", &said).unwrap();
    read.apply(&mut options);
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
    assert_eq!(options, expected);
}

#[test]
fn every_option_of_a_consumer_arrives() {
    let said = json!({
        "timeout": "1500ms", "concurrency": "2", "prefetch": 4, "retry": [0.5, "2s"], "on_error": "drop",
        "on_timeout": "dead_letter", "on_panic": "drop", "on_undecodable": "retry", "dead_letter": "lost",
        "max_crashes": 1, "driver": {"group": "billing"},
    });
    let mut options = ConsumerOptions::default().native("lag", "1");
    let read: ForConsumer = read("taken", &said).unwrap();
    read.apply("taken", &mut options).unwrap();
    let expected = ConsumerOptions::default()
        .native("lag", "1")
        .timeout(3 * SECOND / 2)
        .concurrency(2)
        .prefetch(4)
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::DeadLetter)
        .on_panic(OnFailure::Drop)
        .on_undecodable(OnFailure::Retry)
        .dead_letter(DeadLetter::Queue("lost".into()))
        .max_crashes(1)
        .native("group", "billing");
    assert_eq!(options, expected);
}

#[test]
fn every_option_of_a_periodic_task_arrives() {
    let said = json!({
        "period": 30, "timeout": 5, "start_after": 0, "overlap": "skip", "jitter": 3, "retry": [0.5, "2s"],
        "on_error": "drop", "on_timeout": "drop", "on_panic": "drop",
    });
    let mut options = PeriodicOptions::every(SECOND).start_after(SECOND);
    let read: ForPeriodic = read("tick", &said).unwrap();
    read.apply(&mut options);
    let expected = PeriodicOptions::every(30 * SECOND)
        .timeout(5 * SECOND)
        .overlap(Overlap::Skip)
        .jitter(3 * SECOND)
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::Drop)
        .on_panic(OnFailure::Drop);
    assert_eq!(options, expected);
}

#[test]
fn every_option_of_a_cron_task_arrives() {
    let said = json!({
        "cron": "0 5 * * *", "tz": "Europe/Berlin", "timeout": 5, "overlap": "queue", "jitter": 3,
        "once": {"crashed": "run"}, "retry": [0.5, "2s"], "on_error": "drop", "on_timeout": "drop", "on_panic": "drop",
    });
    let mut options = CronOptions::at("@daily");
    let read: ForCron = read("report", &said).unwrap();
    read.apply(&mut options);
    let expected = CronOptions::at("0 5 * * *")
        .tz("Europe/Berlin")
        .timeout(5 * SECOND)
        .overlap(Overlap::Queue)
        .jitter(3 * SECOND)
        .once(Once::default().crashed(Doubt::Run))
        .retry(retries())
        .on_error(OnFailure::Drop)
        .on_timeout(OnFailure::Drop)
        .on_panic(OnFailure::Drop);
    assert_eq!(options, expected);
}

#[test]
fn once_can_be_switched_in_each_way() {
    for (said, expected) in [
        (json!(true), Some(Once::default())),
        (json!("true"), Some(Once::default())),
        (json!(false), None),
        (json!("false"), None),
    ] {
        let mut options = CronOptions::at("@daily").once(Once::default().crashed(Doubt::Run));
        let read: ForCron = read("report", &json!({"once": said})).unwrap();
        read.apply(&mut options);
        assert_eq!(options.once, expected, "{said}");
    }
}

#[test]
fn what_is_not_said_stays() {
    let mut options = ConsumerOptions::default().timeout(SECOND).prefetch(99);
    let before = options.clone();
    read::<ForConsumer>("taken", &json!({}))
        .unwrap()
        .apply("taken", &mut options)
        .unwrap();
    assert_eq!(options, before);
}

fn refused<T: DeserializeOwned + Debug>(said: &Value) -> String {
    read::<T>("report", said).unwrap_err().to_string()
}

#[test]
fn a_bad_option_is_named_with_what_is_allowed() {
    let cron = refused::<ForCron>;
    assert_eq!(
        cron(&json!({"cron": "0 25 * * *"})),
        "handler `report`: `cron`: hour: 25 is out of range 0-23"
    );
    assert_eq!(
        cron(&json!({"tz": "Mars"})),
        "handler `report`: `tz`: `Mars` is no time zone: IANA names such as `UTC` or `Europe/Berlin` are allowed"
    );
    assert_eq!(
        cron(&json!({"timeout": 0})),
        "handler `report`: `timeout`: it must be longer than 0"
    );
    assert_eq!(
        cron(&json!({"once": {"crash": "run"}})),
        "handler `report`: `once`: unknown field `crash`, expected `crashed` or `unavailable`"
    );
    assert_eq!(
        cron(&json!({"overlap": "forbid"})),
        "handler `report`: `overlap`: unknown variant `forbid`, expected one of `allow`, `skip`, `queue`"
    );
    assert!(
        cron(&json!({"every": 5}))
            .starts_with("handler `report`: unknown option `every`, expected one of `cron`"),
    );
    assert_eq!(
        cron(&json!(5)),
        "handler `report`: its options are a table, not 5"
    );
    let nothing_to_decode = "handler `report`: there is no option `on_undecodable` of a periodic or cron task: its runs have no payload to decode";
    let undecodable = json!({"on_undecodable": "drop"});
    assert_eq!(cron(&undecodable), nothing_to_decode);
    assert_eq!(refused::<ForPeriodic>(&undecodable), nothing_to_decode);
    assert_eq!(
        refused::<ForReceiver>(&json!({"on_undecodable": "dead_letter"})),
        "handler `report`: `on_undecodable`: unknown variant `dead_letter`, expected `retry` or `drop`"
    );
    let consumer = refused::<ForConsumer>;
    assert_eq!(
        consumer(&json!({"concurrency": 0})),
        "handler `report`: `concurrency`: a whole number of at least 1 is allowed"
    );
    assert_eq!(
        consumer(&json!({"max_crashes": -1})),
        "handler `report`: `max_crashes`: this is -1; a whole number is allowed"
    );
    assert!(consumer(&json!({"dead_letter": "Dead Letters"})).contains("`dead_letter`: "));
    assert!(consumer(&json!({"retry": 3})).contains("`retry`: "));
    assert!(consumer(&json!({"autoack": false})).contains("unknown option `autoack`"));
}

#[test]
fn a_prefetch_below_the_concurrency_is_refused() {
    let read: ForConsumer = read("taken", &json!({"prefetch": 4})).unwrap();
    let error = read
        .apply("taken", &mut ConsumerOptions::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("handler `taken`: `prefetch` is 4, which is less than `concurrency`, 16")
    );
}
