use super::*;
use crate::broker::Caps;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn only_the_format_of_the_recommendation_is_a_context() {
    let later = PARENT.replacen("00", "01", 1) + "-more";
    for parent in [PARENT, &*later] {
        assert_eq!(TraceContext::new(parent, None).unwrap().parent(), parent);
    }
    let long = later.clone() + &"0".repeat(LONGEST);
    let line_break = later + "\r\n";
    for other in [
        "",
        "t1",
        &PARENT[1..],
        &PARENT.to_uppercase(),
        &format!("{PARENT}-more"),
        &long,
        &line_break,
    ] {
        assert_eq!(TraceContext::new(other, None), None, "{other}");
    }
}

#[test]
fn a_state_that_cannot_travel_is_left_out() {
    let state = |text: &str| TraceContext::new(PARENT, Some(text)).unwrap().state;
    assert_eq!(state("a=1,b=2").as_deref(), Some("a=1,b=2"));
    for text in ["", "a=\n", &"a".repeat(LONGEST + 1)] {
        assert_eq!(state(text), None, "{text}");
    }
}

#[test]
fn without_a_subscriber_there_is_no_span() {
    assert!(!is_enabled());
    let mut options = SendOptions::default();
    let caps = Caps {
        headers: true,
        ..Caps::default()
    };
    inject(&Span::none(), caps, &mut options);
    assert_eq!(options, SendOptions::default());
}
