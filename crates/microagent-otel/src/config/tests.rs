use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<Config>> {
    let find = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::read(find)
}

fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
    read(variables).unwrap().map(|config| config.endpoint)
}

#[test]
fn the_endpoint_is_that_of_the_specification() {
    assert_eq!(endpoint(&[]), None);
    assert_eq!(endpoint(&[(ENDPOINT, "  ")]), None);
    let base = (ENDPOINT, "http://collector:4318/");
    let traces = (TRACES_ENDPOINT, "https://other/path");
    assert_eq!(
        endpoint(&[base]).as_deref(),
        Some("http://collector:4318/v1/traces")
    );
    assert_eq!(
        endpoint(&[base, traces]).as_deref(),
        Some("https://other/path")
    );
    let asked = ("OTEL_TRACES_EXPORTER", "otlp");
    assert_eq!(endpoint(&[asked]).as_deref(), Some(DEFAULT_ENDPOINT));
    for off in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        assert_eq!(endpoint(&[base, off]), None, "{off:?}");
    }
}

/// A variable, an invalid value of it, and the begin of what the error says was expected.
const INVALID: [(&str, &str, &str); 10] = [
    (
        ENDPOINT,
        "collector:4318",
        "expected `http://HOST[:PORT]` or `https://HOST[:PORT]`",
    ),
    (
        TRACES_ENDPOINT,
        "ftp://collector",
        "expected `http://HOST[:PORT]` or `https://HOST[:PORT]`",
    ),
    (
        "OTEL_TRACES_EXPORTER",
        "zipkin",
        "expected `otlp` or `none`",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "grpc",
        "expected `http/protobuf`",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "http/json",
        "expected `http/protobuf`",
    ),
    (
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "zstd",
        "expected `gzip` or `none`",
    ),
    (
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "10s",
        "expected milliseconds, at least 1",
    ),
    (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "/dev/null",
        "expected a file with certificates in PEM",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "sometimes",
        "expected one of `always_on`",
    ),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "expected a whole number"),
];

#[test]
fn each_invalid_variable_is_an_error_that_names_it() {
    let base = (ENDPOINT, "http://collector:4318");
    for (name, value, expected) in INVALID {
        let error = read(&[(name, value), base]).unwrap_err().to_string();
        let start = format!("invalid {name} `{value}`: {expected}");
        assert!(error.starts_with(&start), "{error}");
    }
    let ratio = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    let error = read(&[base, ratio[0], ratio[1]]).unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid OTEL_TRACES_SAMPLER_ARG `2`: expected a number from 0 to 1"
    );
}

#[test]
fn secrets_are_in_no_error() {
    let base = (ENDPOINT, "http://collector:4318");
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "secret");
    let error = read(&[base, headers]).unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid value of OTEL_EXPORTER_OTLP_HEADERS: expected `NAME=VALUE`, separated by commas"
    );
    let error = read(&[(ENDPOINT, "ftp://user:secret@collector")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("collector") && !error.contains("secret"),
        "{error}"
    );
    let key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem");
    let error = read(&[base, key]).unwrap_err().to_string();
    assert_eq!(
        error,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY is not supported by the exporter of traces"
    );
}
