//! Both forms, what is refused, and that no error or `Debug` output shows a secret.

use proptest::prelude::*;

use super::*;

fn parsed(dsn: &str) -> Dsn {
    Dsn::parse(dsn).unwrap_or_else(|error| panic!("{dsn}: {error}"))
}

fn error_of(dsn: &str) -> String {
    Dsn::parse(dsn).unwrap_err().to_string()
}

#[test]
fn hosts_have_names_and_ports() {
    let hosts =
        |dsn: &str| -> Vec<String> { parsed(dsn).hosts().iter().map(Host::to_string).collect() };
    assert_eq!(hosts("redis://"), Vec::<String>::new());
    assert_eq!(hosts("redis:///7"), Vec::<String>::new());
    assert_eq!(hosts("redis://db:1"), ["db:1"]);
    assert_eq!(hosts("redis://[::1]:7,b"), ["[::1]:7", "b"]);
    assert_eq!(hosts("amqp://u:p@[fe80::1]/"), ["[fe80::1]"]);
}

#[test]
fn a_path_is_decoded_only_after_an_authority() {
    assert_eq!(parsed("redis+unix:///run/a%20b").path(), "/run/a b");
    assert_eq!(parsed("amqp://h/%2F").path(), "//");
    assert_eq!(parsed("amqp://h/").path(), "/");
    assert_eq!(parsed("local:a%20b/#1?x=%20").path(), "a%20b/#1");
    assert_eq!(parsed("local:").path(), "");
}

#[test]
fn logins_are_decoded() {
    let login = |dsn: &str| {
        let dsn = parsed(dsn);
        (
            dsn.user().map(str::to_owned),
            dsn.password().map(str::to_owned),
        )
    };
    let owned = |text: &str| Some(text.to_owned());
    assert_eq!(login("a://h"), (None, None));
    assert_eq!(login("a://:p%40%2F:s@h"), (None, owned("p@/:s")));
    assert_eq!(login("a://a%3Ab:p@ss@h"), (owned("a:b"), owned("p@ss")));
    assert_eq!(login("a://u@h"), (owned("u"), None));
}

#[test]
fn options_have_types() {
    let dsn = parsed("a://h?tls=true&size=12&wait=1500ms&word=a%26b&empty");
    assert_eq!(dsn.flag("tls"), Ok(Some(true)));
    assert_eq!(dsn.number("size", 1u16, 100), Ok(Some(12)));
    assert_eq!(dsn.duration("wait"), Ok(Some(Duration::from_millis(1500))));
    assert_eq!(
        (dsn.option("word"), dsn.option("empty")),
        (Some("a&b"), Some(""))
    );
    assert_eq!(dsn.flag("absent"), Ok(None));

    let texts = [
        (
            dsn.flag("size").map(drop),
            "`size`: expected `true` or `false`",
        ),
        (
            dsn.number("size", 1, 5).map(drop),
            "`size`: expected a number from 1 to 5",
        ),
        (dsn.duration("tls").map(drop), "`tls`: expected a duration"),
    ];
    for (result, expected) in texts {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_unknown_or_repeated_option_is_refused() {
    let check = |dsn: &str, known: &[&str]| parsed(dsn).check_options(known);
    assert_eq!(check("a://h?tls=1&db=2", &["db", "tls"]), Ok(()));
    assert_eq!(
        check("a://h?tsl=1", &["tls"]).unwrap_err().to_string(),
        "unknown option `tsl`; did you mean `tls`? (available: `tls`)"
    );
    assert_eq!(
        check("a:p?x", &[]).unwrap_err().to_string(),
        "unknown option `x` (none is available)"
    );
    assert_eq!(
        check("a://h?db=1&db=2", &["db"]).unwrap_err().to_string(),
        "duplicate option `db`"
    );
}

#[test]
fn an_error_names_the_part_and_what_is_expected() {
    for (dsn, expected) in [
        ("shop", "missing scheme"),
        ("://h", "missing scheme"),
        ("a b://h", "missing scheme"),
        ("a://h:0", "a port from 1 to 65535"),
        ("a://h:70000", "a port from 1 to 65535"),
        ("a://h:+80", "a port from 1 to 65535"),
        ("a://::1", "IPv6 in brackets"),
        ("a://[::1", "IPv6 in brackets"),
        ("a://h,", "invalid host"),
        ("a://h#x", "`#`"),
        ("a://u:p/x@h", "`%2F`"),
        ("a://u:p?x@h", "`%3F`"),
        (
            "a://u:%+4@h",
            "invalid password: expected two hexadecimal digits",
        ),
        (
            "a://u:%4@h",
            "invalid password: expected two hexadecimal digits",
        ),
        ("a://h/%zz", "invalid path"),
        ("a://h/%ff", "invalid path: expected UTF-8"),
        ("a://h?x=%", "invalid value of the option `x`"),
    ] {
        let text = error_of(dsn);
        assert!(text.contains(expected), "{dsn}: {text}");
    }
}

#[test]
fn no_secret_is_shown() {
    for dsn in [
        "a://us3r:s3cret/x@h/7",
        "a://us3r:s3cret?x@h/7",
        "a://us3r:s3cret#x@h/7",
        "a://us3r:s3cret%zz@h/7",
        "a://us3r:s3cret%ff@h/7",
        "a://us3r:s3cret@h:port",
        "us3r:s3cret@h",
    ] {
        let shown = match Dsn::parse(dsn) {
            Ok(dsn) => format!("{:?}", dsn.scheme()),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let shown = format!("{:?}", parsed("a://us3r:s3cret@h/7?password=s3cret"));
    assert_eq!(shown, "Dsn(a:***@h/7?password=***)");
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x0064_736e),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}", scheme in "[a-z:/@?%#]{0,6}") {
        let _ = Dsn::parse(&format!("{scheme}{text}"));
    }

    #[test]
    fn encoded_parts_come_back(user in ".{1,9}", password in ".{1,9}", path in ".{0,9}", value in ".{0,9}") {
        let dsn = format!(
            "a://{}:{}@h/{}?v={}",
            encoded(&user), encoded(&password), encoded(&path), encoded(&value)
        );
        let dsn = parsed(&dsn);
        prop_assert_eq!((dsn.user(), dsn.password()), (Some(&*user), Some(&*password)));
        prop_assert_eq!((dsn.path(), dsn.option("v")), (&*format!("/{path}"), Some(&*value)));
    }
}
