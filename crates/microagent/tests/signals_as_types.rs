//! Signals as types, from a file and in code: names that Rust has taken, and what is declared about the arguments.

use std::collections::HashMap;

use microagent::{declarations::JsonType, prelude::*};

/// A file whose names are keywords, types of the prelude and unusual words.
mod unusual {
    microagent::declare!("tests/names.json");
}

use unusual::{queues, signals};

#[derive(Default)]
struct Listener;

#[agent]
impl Listener {
    #[receiver(signals::Keywords)]
    async fn by_name(
        &self,
        r#type: u8,
        r#async: String,
        r#gen: Value,
        union: Option<u8>,
    ) -> String {
        format!(
            "{type} {async} {gen} {union:?}",
            r#type = r#type,
            r#async = r#async,
            r#gen = r#gen
        )
    }

    #[receiver(signals::V2Ready3)]
    #[expect(non_snake_case, reason = "the file's name of the argument")]
    async fn camel(&self, userId: u64, a1: Option<Vec<u8>>) -> String {
        format!("{userId} {a1:?}")
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_may_be_keywords() {
    let bus = Bus::connect("memory://").await.unwrap();
    let agent = Agent::new(Listener).bus(bus.clone()).start().await.unwrap();
    let keywords = signals::Keywords {
        r#type: 1.into(),
        r#async: "soon".into(),
        r#await: json!(null),
        r#fn: json!(null),
        r#match: json!(null),
        r#dyn: json!(null),
        r#gen: json!([2]),
        r#try: json!(null),
        union: 3.into(),
        r#static: json!(null),
        r#abstract: json!(null),
        r#yield: json!(null),
        r#box: json!(null),
    };
    let wire = serde_json::to_value(&keywords).unwrap();
    assert!(wire["type"] == 1 && wire["async"] == "soon" && wire.as_object().unwrap().len() == 13);
    let answer = bus.call("test", keywords).await.unwrap();
    assert_eq!(answer.one::<String>().unwrap(), "1 soon [2] Some(3)");

    let ready = signals::V2Ready3 {
        userId: 7.into(),
        _private: json!(null),
        a1: Some(vec![json!(1)]),
    };
    let answer = bus.call("test", ready).await.unwrap();
    assert_eq!(answer.one::<String>().unwrap(), "7 Some([1])");
    agent.stop().await.unwrap();
}

#[test]
fn signals_and_queues_may_be_called_like_types_and_keywords() {
    let named = signals::String {
        option: Some(true),
        vec: "x".to_owned(),
    };
    let wire = r#"{"option":true,"vec":"x"}"#;
    assert_eq!(serde_json::to_string(&named).unwrap(), wire);
    let absent: signals::String = serde_json::from_str(r#"{"vec":"x"}"#).unwrap();
    assert_eq!(absent.option, None);
    assert_eq!(
        serde_json::to_string(&absent).unwrap(),
        r#"{"option":null,"vec":"x"}"#
    );
    assert_eq!(<signals::String as Signal>::NAME, "string");
    assert_eq!(<signals::V2Ready3 as Signal>::NAME, "_v2__ready_3");
    assert_eq!(<signals::Match as Signal>::PREFIX, None);
    assert_eq!((queues::TYPE.name(), queues::_Q2.name()), ("type", "_q2"));
}

mod code_first {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize, Signal)]
    pub(super) struct RPCUserV2Created {
        pub(super) user_id: u64,
        pub(super) r#type: Option<String>,
        pub(super) tags: Vec<String>,
        pub(super) counts: HashMap<String, u64>,
        pub(super) ratio: f64,
        pub(super) extra: Value,
        #[serde(rename = "box", with = "as_text")]
        pub(super) r#box: bool,
    }

    #[derive(Clone, Debug, Serialize, Deserialize, Signal)]
    #[signal(name = "renamed", prefix = "SHOP")]
    pub(super) struct Named {}

    mod as_text {
        use serde::{Deserialize, Deserializer, Serializer};

        pub(super) fn serialize<S: Serializer>(flag: &bool, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(if *flag { "yes" } else { "no" })
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
            Ok(String::deserialize(from)? == "yes")
        }
    }
}

use code_first::{Named, RPCUserV2Created};

#[test]
fn a_signal_in_code_declares_what_the_types_of_its_fields_tell() {
    assert_eq!(RPCUserV2Created::NAME, "rpc_user_v2_created");
    let declared = RPCUserV2Created::declaration();
    assert!(declared.typed);
    let types: Vec<_> = declared
        .arguments
        .iter()
        .map(|argument| (argument.name.as_str(), argument.types.clone()))
        .collect();
    use JsonType::{Array, Null, Number, Object, String};
    assert_eq!(
        types,
        [
            ("user_id", vec![Number]),
            ("type", vec![String, Null]),
            ("tags", vec![Array]),
            ("counts", vec![Object]),
            ("ratio", vec![Number]),
            ("extra", vec![]),
            ("box", vec![]),
        ]
    );
}

#[test]
fn a_signal_in_code_never_breaks_its_own_declaration() {
    let sent = RPCUserV2Created {
        user_id: 1,
        r#type: None,
        tags: vec!["a".to_owned()],
        counts: HashMap::new(),
        ratio: 0.5,
        extra: json!(null),
        r#box: true,
    };
    let wire = serde_json::to_value(&sent).unwrap();
    assert_eq!(wire["box"], "yes");
    let violations = RPCUserV2Created::declaration().violations(wire.as_object().unwrap());
    assert!(violations.is_empty(), "{violations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_signal_in_code_may_name_itself_and_its_prefix() {
    use futures_util::StreamExt;

    let bus = Bus::connect("memory://").await.unwrap();
    let mut events = bus.driver().subscribe("*").await.unwrap();
    bus.send("test", Named {}).await.unwrap();
    let Some(microagent::driver::BusEvent::Message(published)) = events.next().await else {
        panic!("nothing was published");
    };
    assert_eq!(published.channel, "SHOP:renamed:test");
    assert_eq!(&*published.payload, b"{}");
}

#[tokio::test(start_paused = true)]
async fn received_signals_are_checked_against_the_types_in_code() {
    let bus = Bus::builder("memory://")
        .strict(true)
        .connect()
        .await
        .unwrap();
    let signal = bus.undeclared("rpc_user_v2_created").unwrap();

    struct Counting;

    #[agent]
    impl Counting {
        #[receiver(RPCUserV2Created)]
        async fn receive(&self) {}
    }

    let agent = Agent::new(Counting).bus(bus.clone()).start().await.unwrap();
    signal
        .send("web", &json!({"user_id": "1", "type": null, "tags": [], "counts": {}, "ratio": 1, "extra": 1, "box": "no"}))
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(agent.info()["stats"]["receive"]["undecodable"], 1);
    agent.stop().await.unwrap();
}
