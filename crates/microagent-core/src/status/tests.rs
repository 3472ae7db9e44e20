//! The version of a status, and its states by the connections.

use serde_json::json;

use super::*;

#[test]
fn names_of_states_are_those_in_json() {
    let states = [
        AgentState::Starting,
        AgentState::Ready,
        AgentState::NoBus,
        AgentState::NoBroker,
        AgentState::Blocked,
        AgentState::Draining,
        AgentState::Stopped,
    ];
    for state in states {
        assert_eq!(json!(state), state.name());
    }
    let kinds = [
        HandlerKind::Signal,
        HandlerKind::Queue,
        HandlerKind::Periodic,
        HandlerKind::Cron,
    ];
    for kind in kinds {
        assert_eq!(json!(kind), kind.name());
    }
}

#[test]
fn times_are_text_and_durations_are_seconds() {
    let text = r#"{"handler":"tick","schedule":"5s","next":"2026-01-01T12:00:00.250Z","last":null,
        "delay":0.5,"skipped":{"overlapping":0,"late":1,"without_lease":0,"of_other_replicas":0}}"#;
    let schedule: ScheduleStatus = serde_json::from_str(text).unwrap();
    assert_eq!(schedule.delay, Duration::from_millis(500));
    let next = schedule
        .next
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(next.unwrap().as_millis() % 1_000, 250);
    let written: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(json!(schedule), written);
    let broken = text.replace("2026-01", "2026-13");
    assert!(serde_json::from_str::<ScheduleStatus>(&broken).is_err());
}

#[test]
fn quantiles_are_interpolated_and_bounded() {
    let mut durations = Durations::default();
    assert_eq!(durations.quantile(0.5), None);
    durations.counts = vec![0; duration_bounds().len() + 1];
    durations.counts[15] = 3;
    assert_eq!(durations.quantile(0.5), Some(Duration::from_secs(60)));
    durations.counts[2] = 97;
    let half = durations.quantile(0.5).unwrap();
    assert!(half > Duration::from_micros(2_500) && half < Duration::from_millis(5));
    let earlier = durations.clone();
    durations.counts[3] += 2;
    assert_eq!(durations.since(&earlier).count(), 2);
}
