//! Properties of decoding: whatever the server says, there is an answer, and no body is lost or changed.

use std::sync::Arc;

use microagent_core::ErrorKind;
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;

fn bulk(bytes: impl Into<Vec<u8>>) -> Value {
    Value::BulkString(bytes.into())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..24)
}

/// Any value of the protocol, a few levels deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_map(Value::Double),
        ".{0,8}".prop_map(Value::SimpleString),
        bytes().prop_map(Value::BulkString),
    ];
    leaf.prop_recursive(3, 64, 8, |inner| {
        prop_oneof![
            4 => vec(inner.clone(), 0..8).prop_map(Value::Array),
            1 => vec(inner.clone(), 0..4).prop_map(Value::Set),
            1 => vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

/// A reply of the right shape with one value in it replaced.
fn nearly_a_reply() -> impl Strategy<Value = Vec<Value>> {
    let right = vec![
        bulk("ok"),
        Value::Int(-1),
        Value::Int(0),
        Value::Array(vec![Value::Array(vec![
            Value::Int(7),
            bulk("2 0"),
            bulk("{}"),
        ])]),
        Value::Int(8),
        Value::Array(vec![bulk("{}")]),
        Value::Array(vec![bulk("")]),
        Value::Int(2),
        Value::Array(vec![bulk("\u{e9}")]),
    ];
    (0..right.len(), any_value()).prop_map(move |(at, value)| {
        let mut reply = right.clone();
        reply[at] = value;
        reply
    })
}

/// A message aside as the scripts tell of it.
fn aside(id: Value, meta: &[u8], body: &[u8]) -> Value {
    Value::Array(vec![id, bulk(meta), bulk(body)])
}

fn bodies_of(messages: &[StoredMessage]) -> Vec<Vec<u8>> {
    messages.iter().map(|taken| taken.body.clone()).collect()
}

/// Decoded or refused: never anything else.
fn is_an_answer<T: std::fmt::Debug>(decoded: Result<T>) -> std::result::Result<(), TestCaseError> {
    if let Err(error) = decoded {
        prop_assert_eq!(error.kind(), ErrorKind::Driver, "{}", error);
    }
    Ok(())
}

/// The same inputs in every run: what fails once fails always.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(0x7265_706c_7900),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_reply_is_decoded_or_refused(value in any_value(), reply in vec(any_value(), 0..11)) {
        is_an_answer(peek(value))?;
        is_an_answer(suspect(reply.clone()))?;
        is_an_answer(take(reply))?;
    }

    #[test]
    fn nearly_a_reply_is_decoded_or_refused(reply in nearly_a_reply()) {
        is_an_answer(take(reply))?;
    }

    #[test]
    fn any_bytes_on_the_wire_are_decoded_or_refused(bytes in bytes()) {
        if let Ok(value) = redis::parse_redis_value(&bytes) {
            is_an_answer(peek(value.clone()))?;
            is_an_answer(take(vec![value; 9]))?;
        }
    }

    #[test]
    fn no_body_is_held_up_by_what_stands_beside_it(
        again in vec((any::<u64>(), bytes(), bytes()), 0..4),
        fresh in vec((bytes(), bytes()), 0..4),
        first in any::<i64>(),
    ) {
        let entries = again.iter().map(|(id, meta, body)| aside(bulk(id.to_string()), meta, body));
        let reply = vec![
            bulk("ok"),
            Value::Int(-1),
            Value::Int(0),
            Value::Array(entries.collect()),
            Value::Int(first.saturating_abs()),
            Value::Array(fresh.iter().map(|(body, _)| bulk(body.clone())).collect()),
            Value::Array(fresh.iter().map(|(_, why)| bulk(why.clone())).collect()),
            Value::Int(0),
            Value::Array(Vec::new()),
        ];
        let TakeReply::Messages { messages, .. } = take(reply)? else {
            panic!("a reply of nine values");
        };
        let sent = again.iter().map(|(_, _, body)| body);
        let sent: Vec<_> = sent.chain(fresh.iter().map(|(body, _)| body)).cloned().collect();
        prop_assert_eq!(bodies_of(&messages), sent.clone());
        for (taken, body) in messages.into_iter().zip(sent) {
            let message = taken.into_message(&Arc::from("mailer"));
            prop_assert_eq!(&message.payload()[..], &body[..]);
            prop_assert!(message.attempt() >= 1);
        }
    }

    #[test]
    fn every_shown_message_is_whole(due in vec((bytes(), bytes(), bytes()), 0..4), bodies in vec(bytes(), 0..4)) {
        let entries = due.iter().map(|(id, meta, body)| aside(bulk(id.clone()), meta, body));
        let reply = Value::Array(vec![
            Value::Array(entries.collect()),
            Value::Array(bodies.iter().cloned().map(bulk).collect()),
            Value::Array(Vec::new()),
            Value::Array(Vec::new()),
            Value::Array((0..bodies.len()).map(|n| bulk(format!("{n}-ab").into_bytes())).collect()),
        ]);
        let sent = due.iter().map(|(_, _, body)| body).chain(&bodies);
        let (ids, shown): (Vec<_>, Vec<_>) = peek(reply)?.into_iter().unzip();
        prop_assert_eq!(bodies_of(&shown), sent.cloned().collect::<Vec<_>>());
        prop_assert!(ids[due.len()..].iter().all(|id| id.ends_with("-ab")));
    }

    #[test]
    fn any_meta_is_read_and_its_own_comes_back(text in ".{0,24}", attempt in any::<u32>(), crashes in any::<u32>(), first in any::<Option<u64>>()) {
        let _ = Meta::parse(&text);
        let meta = Meta { attempt, crashes, first_failure: first };
        prop_assert_eq!(Meta::parse(&meta.to_text()), meta);
        prop_assert!(meta.failed(std::time::SystemTime::now()).attempt >= attempt);
    }
}
