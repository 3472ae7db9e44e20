//! The bus suite notices a driver that breaks a promise.

use std::future::Future;

use microagent_testing::bus_suite::{closing, leases, listening, payload, rpc};

use crate::{
    broken_bus::{BrokenServer, Fault},
    passes,
};

/// Asserts that a correct driver passes the clause, and that one with this fault does not.
fn noticed<C: Future<Output = ()>>(fault: Fault, clause: impl Fn(BrokenServer) -> C) {
    assert!(
        passes(BrokenServer::new(Fault::None), &clause),
        "without a fault"
    );
    assert!(!passes(BrokenServer::new(fault), &clause), "{fault:?}");
}

#[test]
fn missing_signals() {
    noticed(
        Fault::SubscribesLate,
        listening::a_subscription_is_live_when_it_returns,
    );
    noticed(
        Fault::LosesSome,
        listening::one_publisher_is_received_in_order,
    );
    noticed(
        Fault::LosesSome,
        listening::concurrent_publishers_lose_nothing,
    );
    noticed(Fault::LosesSome, listening::a_slow_reader_stops_nobody);
    noticed(Fault::LosesSome, listening::a_big_fan_out_reaches_everyone);
    noticed(
        Fault::StarEndsAtHash,
        listening::a_star_spans_colons_and_hashes,
    );
    noticed(Fault::StarEndsAtHash, rpc::a_call_gets_an_answer);
    noticed(
        Fault::StarEndsAtHash,
        rpc::concurrent_calls_get_their_own_answers,
    );
}

#[test]
fn superfluous_signals() {
    noticed(
        Fault::PublishesTwice,
        listening::every_subscriber_receives_once_its_own_process_included,
    );
    noticed(
        Fault::PublishesTwice,
        listening::overlapping_patterns_receive_once_each,
    );
    noticed(
        Fault::HearsEverything,
        listening::foreign_prefixes_and_signals_are_not_received,
    );
    noticed(
        Fault::HearsEverything,
        listening::an_exact_pattern_receives_one_channel,
    );
    noticed(
        Fault::HearsEverything,
        listening::a_star_in_the_middle_keeps_what_follows,
    );
}

#[test]
fn changed_payloads() {
    noticed(Fault::ReadsText, payload::a_payload_is_untouched);
    noticed(Fault::ReadsText, payload::a_mebibyte_arrives_whole);
    noticed(
        Fault::CountsTooMany,
        listening::receivers_are_counted_or_unknown,
    );
    noticed(Fault::CountsTooMany, rpc::a_call_without_a_receiver_fails);
}

#[test]
fn streams_that_do_not_end() {
    noticed(Fault::IgnoresClose, closing::close_ends_the_streams);
    noticed(Fault::IgnoresClose, closing::a_closed_bus_says_so);
    noticed(
        Fault::HidesCuts,
        closing::a_cut_connection_is_reported_and_restored,
    );
}

#[test]
fn leases_that_are_not_kept() {
    noticed(Fault::LeasesToAll, leases::a_lease_is_with_one_holder);
    noticed(Fault::LeasesToAll, leases::one_of_many_gets_the_lease);
    noticed(
        Fault::LeasesUnprolonged,
        leases::a_holder_prolongs_its_lease,
    );
    noticed(Fault::LeasesForEver, leases::a_lease_ends_by_itself);
}

#[test]
fn a_bus_without_leases_passes() {
    let without = || BrokenServer::new(Fault::OffersNoLeases);
    assert!(passes(without(), leases::a_lease_is_with_one_holder));
    assert!(passes(without(), leases::a_holder_prolongs_its_lease));
    assert!(passes(without(), leases::a_lease_ends_by_itself));
    assert!(passes(without(), leases::one_of_many_gets_the_lease));
}
