//! `declare!`: a deployment's file as types.

use microagent::{ErrorKind, declarations::JsonType, prelude::*};

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
fn a_number_is_any_number_of_rust() {
    let (price, count): (f64, usize) = (9.99, 3);
    for number in [
        price.into(),
        count.into(),
        0.5_f32.into(),
        (-1_i64).into(),
        u128::MAX.into(),
    ] {
        let number: Number = number;
        let signal = signals::AllTypes {
            number: number.clone(),
            ..sample()
        };
        let wire = serde_json::to_string(&signal).unwrap();
        assert!(wire.contains(&format!("\"number\":{number},")), "{wire}");
        assert_eq!(
            serde_json::from_str::<signals::AllTypes>(&wire).unwrap(),
            signal
        );
    }
}

#[derive(Default)]
struct Echoing;

#[agent]
impl Echoing {
    #[receiver(signals::AllTypes)]
    async fn all(&self, number: Number) -> Number {
        number
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_travels_as_it_was_sent_and_nan_does_not() {
    let bus = Bus::connect("memory://").await.unwrap();
    let agent = Agent::new(Echoing).bus(bus.clone()).start().await.unwrap();
    let call = async |number| {
        let answer = bus
            .call("test", signals::AllTypes { number, ..sample() })
            .await?;
        Ok(answer.one::<Number>()?.to_string())
    };
    for (number, json) in [
        (9.99.into(), "9.99"),
        (u64::MAX.into(), "18446744073709551615"),
        (i128::MIN.into(), "-170141183460469231731687303715884105728"),
    ] {
        let answer: Result<String> = call(number).await;
        assert_eq!(answer.unwrap(), json);
    }
    let refused: Result<String> = call(f64::NAN.into()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidPayload);
    let text = refused.to_string();
    assert!(
        text.contains("invalid number `NaN`: expected a finite number"),
        "{text}"
    );
    agent.stop().await.unwrap();
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
    use microagent::driver::BusEvent;

    async fn channel_of_a_signal(bus: Bus) -> String {
        let mut events = bus.driver().subscribe("*").await.unwrap();
        bus.send("test", signals::Started {}).await.unwrap();
        match events.next().await {
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
