//! The list of the clauses, and the macro that makes tests of them.

/// The conformance suite of queue brokers, on a [`BrokerServer`](crate::BrokerServer): one test for each clause, in a module
/// `broker`.
///
/// - `broker_suite!(Server)` runs in real time, for drivers of servers.
/// - `broker_suite!(paused, Server)` runs in tokio's paused time, for drivers that wait for nothing outside the runtime.
/// - `broker_suite!(needs = "a Redis server: scripts/services", Server)` is ignored, with this reason, unless the tests
///   run with `--include-ignored`.
/// - `broker_suite!(service = redis, Server)` is ignored if `SKIP_SERVICES` names the service when the tests are built.
///
/// A clause that runs asserts something: none is left out because a server or a capability is missing. A server that does not
/// start fails its clauses.
///
/// ```
/// use microagent_core::{MemoryBroker, MemoryOptions, Result};
/// use microagent_testing::{BrokerServer, Cut, broker_suite};
///
/// struct Server(MemoryOptions);
///
/// impl BrokerServer for Server {
///     type Broker = MemoryBroker;
///
///     async fn start() -> Result<Self> {
///         let dsn = std::env::var("TEST_DSN").map_err(|_| "TEST_DSN is not set")?;
///         MemoryOptions::parse(&dsn).map(Self)
///     }
///
///     async fn connect(&self) -> Result<MemoryBroker> {
///         Ok(MemoryBroker::open(&self.0))
///     }
///
///     async fn crash(&self, connection: &MemoryBroker) {
///         connection.crash();
///     }
///
///     async fn cut(&self) -> Result<Cut> {
///         Ok(Cut::NoConnection)
///     }
/// }
///
/// broker_suite!(needs = "a server at TEST_DSN", Server);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! broker_suite {
    (paused, $server:ty) => { $crate::broker_suite!(@clauses Paused, $server, []); };
    (needs = $needs:literal, $server:ty) => { $crate::broker_suite!(@clauses Real, $server, [#[ignore = $needs]]); };
    (service = $service:ident, $server:ty) => { $crate::__suite_of_service!($service, broker_suite, $server); };
    (@clauses $time:ident, $server:ty, $attributes:tt) => {
        type BrokerSuiteServer = $server;
        mod broker {
            use super::BrokerSuiteServer;
            $crate::__clauses!(broker_suite::consuming, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                messages_sent_before_are_delivered,
                a_waiting_consumer_is_woken,
                one_consumer_gets_them_in_order,
                a_message_is_with_one_consumer,
                a_full_consumer_leaves_the_rest_to_others,
                prefetch_is_the_most_that_is_unsettled,
                queues_do_not_leak,
                a_payload_is_untouched,
                a_mebibyte_arrives_whole,
                length_counts_what_waits,
                declaring_again_changes_nothing,
                an_undeclared_queue_is_made_or_refused,
            ]);
            $crate::__clauses!(broker_suite::settling, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                acked_is_gone,
                settled_in_any_order,
                returned_comes_next_as_the_same_attempt,
                dropped_is_returned,
                a_retry_waits_and_counts,
                a_retry_without_delay_comes_at_once,
                a_waiting_retry_is_in_nobody_s_way,
                a_retry_outlives_its_connection,
                a_dead_letter_arrives_with_its_reason,
                dead_letters_go_to_the_chosen_queue,
                dropping_the_stream_returns_the_rest,
                settling_outlives_the_stream,
            ]);
            $crate::__clauses!(broker_suite::crashing, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                a_crash_returns_what_was_in_flight,
                crashes_add_up,
                a_crash_suspects_only_what_was_in_flight,
                suspects_run_alone,
                suspects_run_alone_among_queues,
                the_dead_settle_nothing,
                a_cut_connection_is_restored,
            ]);
            $crate::__clauses!(broker_suite::options, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                a_delay_is_kept_or_refused,
                a_delayed_message_reaches_who_waits_already,
                headers_travel_or_are_refused,
                keys_keep_order_or_are_refused,
                exchanges_send_to_all_their_queues_or_are_refused,
                topics_choose_the_queue_or_are_refused,
                unknown_consumer_options_are_refused,
                unknown_properties_are_refused,
                unknown_options_of_a_declaration_are_refused,
                ids_travel_or_are_refused,
                too_large_is_refused,
                too_large_headers_are_refused,
            ]);
            $crate::__clauses!(broker_suite::closing, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                close_flushes_settlements,
                close_ends_the_streams,
                a_closed_broker_says_so,
                closing_twice_is_harmless,
                a_connection_tells_its_state,
                closing_one_leaves_the_others,
                messages_outlive_all_connections_or_end_with_them,
            ]);
            $crate::__clauses!(broker_suite::browsing, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                peeking_takes_nothing,
                a_dead_letter_can_be_read,
                a_requeued_dead_letter_is_a_new_message,
                purging_removes_what_waits,
                messages_are_moved_and_removed_by_choice,
                released_messages_wait_as_new_or_it_is_refused,
                depth_counts_by_state_or_what_waits_only,
            ]);
            $crate::__clauses!(broker_suite::leases, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                a_lease_is_with_one_holder,
                a_holder_prolongs_its_lease,
                a_lease_ends_by_itself,
                one_of_many_gets_the_lease,
            ]);
            $crate::__clauses!(broker_suite::load, BrokerServer, $time, BrokerSuiteServer, $attributes, [
                a_thousand_through_two_consumers,
                concurrent_senders_lose_nothing,
            ]);
        }
    };
    ($server:ty) => { $crate::broker_suite!(@clauses Real, $server, []); };
}
