//! The list of clauses, as the tests of a driver.

/// The failure suite, on a [`FailureServer`](crate::failure_suite::FailureServer): one test for each clause, in a module
/// `failures`. Each test starts a server of its own, in real time.
///
/// - `failure_suite!(Server)` runs.
/// - `failure_suite!(needs = "a server: scripts/services", Server)` is ignored, with this reason, unless the tests run with
///   `--include-ignored`.
/// - `failure_suite!(service = redis, Server)` is ignored if `SKIP_SERVICES` names the service when the tests are built.
///
/// The constant `failures::PROGRAM` starts processes of the driver's own tests: the test program once more, which plays a part
/// in [`FailureServer::play`](crate::failure_suite::FailureServer::play). The tests have no test attribute of their own for that,
/// and nothing else has to be built.
///
/// `docs/driver-guide.md` shows a driver that joins all three suites.
#[macro_export]
macro_rules! failure_suite {
    (needs = $needs:literal, $server:ty) => { $crate::failure_suite!(@clauses Real, $server, [#[ignore = $needs]]); };
    (service = $service:ident, $server:ty) => { $crate::__suite_of_service!($service, failure_suite, $server); };
    (@clauses Real, $server:ty, $attributes:tt) => {
        $crate::__failures_module!($server, $attributes, {
            outages: [
                line_17_a_cut_subscription_is_live_again,
                line_18_a_server_that_stands_still_is_noticed,
            ],
            signals: [
                line_20_a_slow_receiver_drops_its_own,
                line_21_a_panic_stays_with_its_handler,
            ],
            calls: [
                line_24_a_call_without_a_receiver_fails_at_once,
                line_25_a_failure_is_an_answer,
                line_26_a_lost_connection_ends_what_waits,
                line_27_late_answers_are_counted_and_forgotten,
                line_29_a_first_call_hears_its_answer,
            ],
        });
    };
    ($server:ty) => { $crate::failure_suite!(@clauses Real, $server, []); };
}

/// The clauses of the failure suite that are about queues, for a driver that has no bus: its
/// [`FailureServer::Bus`](crate::failure_suite::FailureServer::Bus) is [`NoBus`](crate::failure_suite::NoBus). Everything else is
/// as in [`failure_suite!`](macro@crate::failure_suite), with the same forms.
#[macro_export]
macro_rules! queue_failure_suite {
    (needs = $needs:literal, $server:ty) => { $crate::queue_failure_suite!(@clauses Real, $server, [#[ignore = $needs]]); };
    (service = $service:ident, $server:ty) => { $crate::__suite_of_service!($service, queue_failure_suite, $server); };
    (@clauses Real, $server:ty, $attributes:tt) => {
        $crate::__failures_module!($server, $attributes, {});
    };
    ($server:ty) => { $crate::queue_failure_suite!(@clauses Real, $server, []); };
}

/// Makes the module of a suite: the clauses about queues, which both suites have, and these.
#[doc(hidden)]
#[macro_export]
macro_rules! __failures_module {
    ($server:ty, $attributes:tt, { $($group:ident: $clauses:tt),* $(,)? }) => {
        type FailureSuiteServer = $server;
        mod failures {
            use super::FailureSuiteServer;

            /// The test program, as the program of the tests' processes.
            #[allow(dead_code, reason = "not every driver has processes of its own")]
            pub(crate) const PROGRAM: $crate::failure_suite::Program =
                $crate::failure_suite::Program::of(module_path!());

            $crate::__failures!(queues, FailureSuiteServer, $attributes, [
                line_01_a_killed_consumer_loses_nothing,
                line_02_what_was_handed_out_and_not_started_is_not_lost,
                line_03_a_kill_during_the_drain_loses_nothing,
                line_06_a_late_ack_cannot_remove_what_another_has,
                line_07_a_killer_is_parked_and_its_neighbours_are_not,
                line_08_what_cannot_be_decoded_is_parked_at_once,
                line_09_a_retry_outlives_the_process_that_asked_for_it,
                line_10_equal_messages_have_attempts_of_their_own,
            ]);
            $crate::__failures!(outages, FailureSuiteServer, $attributes, [
                line_11_consuming_goes_on_after_a_restart,
            ]);
            $( $crate::__failures!($group, FailureSuiteServer, $attributes, $clauses); )*
        }
    };
}

/// Makes tests of the clauses of one module. [`failure_suite!`] calls it.
#[doc(hidden)]
#[macro_export]
macro_rules! __failures {
    ($group:ident, $server:ty, $attributes:tt, [$($clause:ident),* $(,)?]) => {
        $( $crate::__failures!(@one $group, $server, $attributes, $clause); )*
    };
    (@one $group:ident, $server:ty, [$($attribute:tt)*], $clause:ident) => {
        #[test]
        $($attribute)*
        fn $clause() {
            $crate::failure_suite::run::<$server, _>(
                module_path!(),
                $crate::failure_suite::$group::$clause::<$server>,
            );
        }
    };
}

/// All three suites on one [`FailureServer`](crate::failure_suite::FailureServer), which becomes a
/// [`BusServer`](crate::BusServer) and a [`BrokerServer`](crate::BrokerServer): the modules `bus`, `broker` and `failures`.
///
/// - `all_suites!(Server)` runs.
/// - `all_suites!(service = redis, Server)` is ignored if `SKIP_SERVICES` names the service when the tests are built.
#[macro_export]
macro_rules! all_suites {
    (service = $service:ident, $server:ty) => {
        $crate::__serve_all_suites!($server);
        $crate::bus_suite!(service = $service, $server);
        $crate::broker_suite!(service = $service, $server);
        $crate::failure_suite!(service = $service, $server);
    };
    ($server:ty) => {
        $crate::__serve_all_suites!($server);
        $crate::bus_suite!($server);
        $crate::broker_suite!($server);
        $crate::failure_suite!($server);
    };
}

/// Makes a server of the conformance suites of one of the failure suite. [`all_suites!`] calls it.
#[doc(hidden)]
#[macro_export]
macro_rules! __serve_all_suites {
    ($server:ty) => {
        impl $crate::BusServer for $server {
            type Bus = <Self as $crate::FailureServer>::Bus;

            async fn start() -> $crate::failure_suite::Result<Self> {
                <Self as $crate::FailureServer>::start(failures::PROGRAM).await
            }

            async fn connect(&self) -> $crate::failure_suite::Result<Self::Bus> {
                <Self as $crate::FailureServer>::bus(&$crate::FailureServer::address(self)).await
            }

            async fn cut(&self) -> $crate::failure_suite::Result<$crate::Cut> {
                $crate::FailureServer::cut(self).await?;
                Ok($crate::Cut::Done)
            }
        }

        impl $crate::BrokerServer for $server {
            type Broker = <Self as $crate::FailureServer>::Broker;

            async fn start() -> $crate::failure_suite::Result<Self> {
                <Self as $crate::FailureServer>::start(failures::PROGRAM).await
            }

            async fn connect(&self) -> $crate::failure_suite::Result<Self::Broker> {
                <Self as $crate::FailureServer>::broker(&$crate::FailureServer::address(self)).await
            }

            async fn crash(&self, connection: &Self::Broker) {
                <Self as $crate::FailureServer>::crash(connection);
            }

            async fn cut(&self) -> $crate::failure_suite::Result<$crate::Cut> {
                $crate::FailureServer::cut(self).await?;
                Ok($crate::Cut::Done)
            }
        }
    };
}
