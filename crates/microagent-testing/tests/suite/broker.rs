//! The broker suite notices a driver that breaks a promise.

use std::future::Future;

use microagent_testing::broker_suite::{
    browsing, closing, consuming, crashing, leases, load, options, settling,
};

use crate::{
    broken_broker::{BrokenServer, Fault},
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
fn wrong_deliveries() {
    noticed(
        Fault::SendsTwice,
        consuming::one_consumer_gets_them_in_order,
    );
    noticed(Fault::SendsTwice, consuming::a_message_is_with_one_consumer);
    noticed(Fault::SendsTwice, load::a_thousand_through_two_consumers);
    noticed(Fault::SendsTwice, load::concurrent_senders_lose_nothing);
    noticed(
        Fault::PrefetchesMore,
        consuming::prefetch_is_the_most_that_is_unsettled,
    );
    noticed(Fault::ReadsText, consuming::a_payload_is_untouched);
    noticed(Fault::ReadsText, consuming::a_mebibyte_arrives_whole);
    noticed(Fault::CountsOneMore, consuming::length_counts_what_waits);
    noticed(
        Fault::CountsOneMore,
        consuming::declaring_again_changes_nothing,
    );
    noticed(
        Fault::Misdates,
        consuming::messages_sent_before_are_delivered,
    );
    let undeclared = consuming::an_undeclared_queue_is_made_or_refused;
    noticed(Fault::CreatesInSecret, undeclared);
    noticed(Fault::LosesUndeclared, undeclared);
    noticed(
        Fault::ClaimsPartitions,
        consuming::a_full_consumer_leaves_the_rest_to_others,
    );
    let prefetch = consuming::prefetch_is_the_most_that_is_unsettled;
    noticed(Fault::ClaimsUnsettled, prefetch);
    noticed(Fault::ClaimsUnsettled, consuming::length_counts_what_waits);
    let retry = settling::a_waiting_retry_is_in_nobody_s_way;
    noticed(Fault::ClaimsUnsettled, retry);
}

#[test]
fn wrong_settlements() {
    noticed(Fault::AcksNothing, settling::acked_is_gone);
    noticed(Fault::AcksNothing, settling::settled_in_any_order);
    noticed(Fault::AcksNothing, closing::close_flushes_settlements);
    noticed(Fault::AcksWhatItGives, settling::dropped_is_returned);
    noticed(
        Fault::AcksWhatItGives,
        settling::a_retry_without_delay_comes_at_once,
    );
    noticed(Fault::AcksWhatItGives, closing::close_ends_the_streams);
    noticed(
        Fault::CountsReturns,
        settling::returned_comes_next_as_the_same_attempt,
    );
    noticed(Fault::CountsReturns, settling::settling_outlives_the_stream);
    noticed(Fault::RetriesAtOnce, settling::a_retry_waits_and_counts);
    noticed(
        Fault::RetriesAtOnce,
        settling::a_waiting_retry_is_in_nobody_s_way,
    );
    noticed(Fault::RetriesUncounted, settling::a_retry_waits_and_counts);
    noticed(
        Fault::RetriesUncounted,
        settling::a_retry_outlives_its_connection,
    );
    noticed(
        Fault::RetriesWithoutHeaders,
        settling::a_retry_waits_and_counts,
    );
    noticed(
        Fault::BuriesNothing,
        settling::a_dead_letter_arrives_with_its_reason,
    );
    noticed(
        Fault::ForgetsFirstFailures,
        settling::a_dead_letter_arrives_with_its_reason,
    );
    noticed(
        Fault::BuriesNothing,
        settling::dead_letters_go_to_the_chosen_queue,
    );
}

#[test]
fn crashes_that_are_not_counted() {
    noticed(
        Fault::AcksWhatItGives,
        crashing::a_crash_returns_what_was_in_flight,
    );
    noticed(Fault::AcksWhatItGives, crashing::the_dead_settle_nothing);
    noticed(
        Fault::CrashesSilently,
        crashing::a_crash_suspects_only_what_was_in_flight,
    );
    noticed(Fault::CrashesSilently, crashing::suspects_run_alone);
    noticed(
        Fault::CrashesSilently,
        crashing::suspects_run_alone_among_queues,
    );
    noticed(Fault::SuspectsNobody, crashing::crashes_add_up);
    noticed(
        Fault::AcksWhatItGives,
        crashing::a_cut_connection_is_restored,
    );
}

#[test]
fn options_that_are_ignored() {
    noticed(Fault::IgnoresDelays, options::a_delay_is_kept_or_refused);
    noticed(
        Fault::IgnoresDelays,
        options::a_delayed_message_reaches_who_waits_already,
    );
    noticed(
        Fault::IgnoresOptions,
        options::headers_travel_or_are_refused,
    );
    noticed(
        Fault::IgnoresOptions,
        options::keys_keep_order_or_are_refused,
    );
    noticed(
        Fault::IgnoresOptions,
        options::exchanges_send_to_all_their_queues_or_are_refused,
    );
    noticed(
        Fault::IgnoresOptions,
        options::topics_choose_the_queue_or_are_refused,
    );
    noticed(
        Fault::IgnoresOptions,
        options::unknown_consumer_options_are_refused,
    );
    noticed(Fault::IgnoresSizes, options::too_large_is_refused);
    let headers = options::too_large_headers_are_refused;
    noticed(Fault::IgnoresHeaderSizes, headers);
    noticed(Fault::IgnoresOptions, headers);
    noticed(Fault::IgnoresOptions, options::ids_travel_or_are_refused);
    noticed(
        Fault::IgnoresOptions,
        options::unknown_options_of_a_declaration_are_refused,
    );
}

#[test]
fn leases_without_exclusion() {
    noticed(Fault::LeasesToAll, leases::a_lease_is_with_one_holder);
    noticed(Fault::LeasesToAll, leases::a_holder_prolongs_its_lease);
    noticed(Fault::LeasesToAll, leases::one_of_many_gets_the_lease);
    noticed(
        Fault::LeasesUnprolonged,
        leases::a_holder_prolongs_its_lease,
    );
    noticed(Fault::LeasesForEver, leases::a_lease_ends_by_itself);
}

#[test]
fn wrong_browsing() {
    noticed(Fault::TakesWhatItShows, browsing::peeking_takes_nothing);
    noticed(
        Fault::KeepsReasons,
        browsing::a_requeued_dead_letter_is_a_new_message,
    );
    noticed(Fault::PurgesNothing, browsing::purging_removes_what_waits);
    let by_choice = browsing::messages_are_moved_and_removed_by_choice;
    noticed(Fault::PurgesAll, by_choice);
    noticed(Fault::SelectsTheFirst, by_choice);
    noticed(
        Fault::ForgetsFlights,
        browsing::depth_counts_by_state_or_what_waits_only,
    );
    noticed(Fault::IsAlwaysUp, closing::a_connection_tells_its_state);
    noticed(Fault::BuriesNothing, browsing::a_dead_letter_can_be_read);
}

#[test]
fn streams_that_do_not_end() {
    noticed(Fault::IgnoresClose, closing::close_ends_the_streams);
    noticed(Fault::IgnoresClose, closing::a_closed_broker_says_so);
    let outlive = closing::messages_outlive_all_connections_or_end_with_them;
    noticed(Fault::ClaimsDurable, outlive);
    noticed(Fault::Outlives, outlive);
}

#[test]
fn capabilities_that_are_not_reported() {
    noticed(Fault::HidesCaps, options::a_delay_is_kept_or_refused);
    noticed(
        Fault::HidesCaps,
        options::a_delayed_message_reaches_who_waits_already,
    );
    noticed(Fault::HidesCaps, options::headers_travel_or_are_refused);
    noticed(Fault::HidesCaps, leases::a_lease_is_with_one_holder);
    noticed(Fault::HidesCaps, leases::a_holder_prolongs_its_lease);
    noticed(Fault::HidesCaps, leases::a_lease_ends_by_itself);
    noticed(Fault::HidesCaps, leases::one_of_many_gets_the_lease);
    noticed(Fault::HidesCaps, browsing::peeking_takes_nothing);
    noticed(Fault::HidesCaps, browsing::a_dead_letter_can_be_read);
    noticed(
        Fault::HidesCaps,
        browsing::a_requeued_dead_letter_is_a_new_message,
    );
    noticed(Fault::HidesCaps, browsing::purging_removes_what_waits);
    noticed(
        Fault::HidesCaps,
        browsing::messages_are_moved_and_removed_by_choice,
    );
    noticed(
        Fault::HidesCaps,
        browsing::depth_counts_by_state_or_what_waits_only,
    );
    noticed(Fault::HidesCaps, closing::a_connection_tells_its_state);
}
