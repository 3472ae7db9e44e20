//! Requests to a launcher that is built without the feature for them, as these tests are then.

#[cfg(not(feature = "otel"))]
use rustix::process::Signal;

#[cfg(not(feature = "otel"))]
use crate::group::Group;
#[cfg(not(feature = "operate"))]
use crate::group::output_of;
#[cfg(any(not(feature = "operate"), not(feature = "otel")))]
use crate::group::{Folder, marun};

#[test]
#[cfg(not(feature = "operate"))]
fn metrics_that_are_not_compiled_in() {
    let folder = Folder::of("[agent.a]\nbackend = 'Actor'\n");
    let settings = folder.settings();
    let (code, out, message) = output_of(marun(), &["run", "--http", "127.0.0.1:0", &settings]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{message}");
    let reason = "--http is not supported by this launcher: enable the feature `operate`";
    assert!(message.contains(reason), "{message}");
}

#[test]
#[cfg(not(feature = "otel"))]
fn traces_that_are_not_compiled_in() {
    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
    const EXPORTER: (&str, &str) = ("OTEL_TRACES_EXPORTER", "otlp");
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    for (variables, warned) in [
        (&[ENDPOINT][..], Some(ENDPOINT.0)),
        (&[ENDPOINT, (traces, ENDPOINT.1)], Some(traces)),
        (&[EXPORTER], Some(EXPORTER.0)),
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], None),
        (&[EXPORTER, ("OTEL_SDK_DISABLED", "true")], None),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None),
        (&[("OTEL_SERVICE_NAME", "shop")], None),
    ] {
        let mut launcher = marun();
        launcher.envs(variables.iter().copied());
        let folder = Folder::of("[agent.a]\nbackend = 'Actor'\n");
        let mut group = Group::run(launcher, folder, &[]);
        group.wait_until_ready();
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
        let count = usize::from(warned.is_some());
        assert_eq!(group.count("exports no traces"), count, "{}", group.log());
        if let Some(variable) = warned {
            let warning = format!("{variable} has no effect");
            group.assert_has(&["WARN", &warning, "feature `otel` of the crate `marun`"]);
        }
    }
}
