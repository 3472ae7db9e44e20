//! The list of the clauses, and the macro that makes tests of them.

/// The conformance suite of signal buses, on a [`BusServer`](crate::BusServer): one test for each clause, in a module `bus`.
///
/// - `bus_suite!(Server)` runs in real time, for drivers of servers.
/// - `bus_suite!(paused, Server)` runs in tokio's paused time, for drivers that wait for nothing outside the runtime.
/// - `bus_suite!(needs = "a Redis server: scripts/services", Server)` is ignored, with this reason, unless the tests run
///   with `--include-ignored`.
/// - `bus_suite!(service = redis, Server)` is ignored if `SKIP_SERVICES` names the service when the tests are built.
///
/// A clause that runs asserts something: none is left out because a server or a capability is missing. A server that does not
/// start fails its clauses.
///
/// ```
/// use microagent_core::{MemoryBus, MemoryOptions, Result};
/// use microagent_testing::{BusServer, Cut, bus_suite};
///
/// struct Server(MemoryOptions);
///
/// impl BusServer for Server {
///     type Bus = MemoryBus;
///
///     async fn start() -> Result<Self> {
///         let dsn = std::env::var("TEST_DSN").map_err(|_| "TEST_DSN is not set")?;
///         MemoryOptions::parse(&dsn).map(Self)
///     }
///
///     async fn connect(&self) -> Result<MemoryBus> {
///         Ok(MemoryBus::open(&self.0))
///     }
///
///     async fn cut(&self) -> Result<Cut> {
///         Ok(Cut::NoConnection)
///     }
/// }
///
/// bus_suite!(needs = "a server at TEST_DSN", Server);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! bus_suite {
    (paused, $server:ty) => { $crate::bus_suite!(@clauses Paused, $server, []); };
    (needs = $needs:literal, $server:ty) => { $crate::bus_suite!(@clauses Real, $server, [#[ignore = $needs]]); };
    (service = $service:ident, $server:ty) => { $crate::__suite_of_service!($service, bus_suite, $server); };
    (@clauses $time:ident, $server:ty, $attributes:tt) => {
        type BusSuiteServer = $server;
        mod bus {
            use super::BusSuiteServer;
            $crate::__clauses!(bus_suite::listening, BusServer, $time, BusSuiteServer, $attributes, [
                a_subscription_is_live_when_it_returns,
                every_subscriber_receives_once_its_own_process_included,
                overlapping_patterns_receive_once_each,
                a_star_spans_colons_and_hashes,
                a_star_in_the_middle_keeps_what_follows,
                an_exact_pattern_receives_one_channel,
                foreign_prefixes_and_signals_are_not_received,
                one_publisher_is_received_in_order,
                receivers_are_counted_or_unknown,
                channels_are_listed_by_their_head,
                dropping_a_subscription_ends_it_alone,
                a_slow_reader_stops_nobody,
                a_big_fan_out_reaches_everyone,
                concurrent_publishers_lose_nothing,
            ]);
            $crate::__clauses!(bus_suite::payload, BusServer, $time, BusSuiteServer, $attributes, [
                a_payload_is_untouched,
                a_mebibyte_arrives_whole,
            ]);
            $crate::__clauses!(bus_suite::closing, BusServer, $time, BusSuiteServer, $attributes, [
                close_ends_the_streams,
                a_closed_bus_says_so,
                closing_twice_is_harmless,
                closing_one_leaves_the_others,
                a_dropped_stream_and_bus_listen_no_more,
                a_cut_connection_is_reported_and_restored,
            ]);
            $crate::__clauses!(bus_suite::leases, BusServer, $time, BusSuiteServer, $attributes, [
                a_lease_is_with_one_holder,
                a_holder_prolongs_its_lease,
                a_lease_ends_by_itself,
                one_of_many_gets_the_lease,
            ]);
            $crate::__clauses!(bus_suite::rpc, BusServer, $time, BusSuiteServer, $attributes, [
                a_call_gets_an_answer,
                a_call_reaches_its_own_process,
                a_waiter_receives_from_every_process,
                a_call_without_a_receiver_fails,
                an_unanswered_call_times_out,
                a_remote_failure_is_reported,
                no_value_is_null,
                concurrent_calls_get_their_own_answers,
                a_bad_sender_is_refused_before_sending,
            ]);
        }
    };
    ($server:ty) => { $crate::bus_suite!(@clauses Real, $server, []); };
}
