//! `declare!`: a deployment's file as types.

use microagent::{JsonType, prelude::*};

microagent::declare!("tests/declared.json");

fn sample() -> signals::AllTypes {
    signals::AllTypes {
        text: "a".to_owned(),
        number: 1.into(),
        flag: true,
        list: vec![json!(1)],
        object: serde_json::Map::new(),
        maybe: None,
        either: json!("x"),
        r#type: "t".to_owned(),
    }
}

#[test]
fn fields_have_the_declared_types_and_their_names_on_the_wire() {
    let wire = serde_json::to_string(&sample()).unwrap();
    let expected = r#"{"text":"a","number":1,"flag":true,"list":[1],"object":{},"maybe":null,"either":"x","type":"t"}"#;
    assert_eq!(wire, expected);
    assert_eq!(
        serde_json::from_str::<signals::AllTypes>(&wire).unwrap(),
        sample()
    );
    assert_eq!(
        signals::UserCreated {
            user_id: json!([1])
        }
        .user_id,
        json!([1]),
        "an undeclared type is any value"
    );
}

#[test]
fn signals_carry_their_declaration_and_the_prefix_of_the_file() {
    assert_eq!(<signals::UserCreated as Signal>::NAME, "user_created");
    assert_eq!(<signals::V2Ready as Signal>::NAME, "v2_ready");
    assert_eq!(<signals::Started as Signal>::PREFIX, Some("SHOP"));
    let declared = <signals::AllTypes as Signal>::declaration();
    assert!(declared.typed && !<signals::UserCreated as Signal>::declaration().typed);
    assert_eq!(
        declared.argument("maybe").unwrap().types,
        [JsonType::String, JsonType::Null]
    );
}

#[test]
fn queues_are_constants_with_their_exchange_and_topics() {
    assert_eq!(queues::MAILER, Queue::new("mailer"));
    assert_eq!(queues::PUSHER.exchange(), Some("events"));
    assert_eq!(queues::SAVE.topics().collect::<Vec<_>>(), ["m.*", "n.#"]);
}

#[tokio::test(start_paused = true)]
async fn the_prefix_of_the_file_is_where_its_signals_travel_unless_the_bus_has_its_own() {
    use futures_util::StreamExt;
    use microagent::BusEvent;

    async fn channel_of_a_signal(bus: Bus) -> String {
        let mut heard = bus.driver().subscribe("*").await.unwrap();
        bus.send("test", signals::Started {}).await.unwrap();
        match heard.next().await {
            Some(BusEvent::Message(published)) => published.channel,
            other => panic!("{other:?}"),
        }
    }

    let plain = Bus::connect("memory://").await.unwrap();
    assert_eq!(channel_of_a_signal(plain).await, "SHOP:started:test");
    let own = Bus::builder("memory://")
        .prefix("OWN")
        .connect()
        .await
        .unwrap();
    assert_eq!(channel_of_a_signal(own).await, "OWN:started:test");
}
