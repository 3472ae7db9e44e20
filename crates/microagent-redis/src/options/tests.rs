//! The meaning of DSNs, and the texts of errors.

use microagent_core::ErrorKind;

use super::*;

fn parsed(dsn: &str) -> RedisOptions {
    RedisOptions::parse(dsn).unwrap()
}

fn error_text(dsn: &str) -> String {
    let error = RedisOptions::parse(dsn).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{dsn}");
    error.to_string()
}

#[test]
fn addresses_are_written_out() {
    let cases = [
        ("redis://", "redis://localhost:6379/0"),
        ("redis:///7", "redis://localhost:6379/7"),
        ("redis://db/7", "redis://db:6379/7"),
        ("redis://u:p@db:1/7/", "redis://db:1/7"),
        ("redis://[::1]:7/3", "redis://[::1]:7/3"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
        ("rediss://:p@db", "rediss://db:6379/0"),
        (
            "redis+unix:///run/a@b.sock",
            "redis+unix:///run/a@b.sock?db=0",
        ),
        (
            "redis+unix://u:p@/run/a%20b?db=3",
            "redis+unix:///run/a b?db=3",
        ),
        (
            "redis+sentinel://u:p@a,b:9/shop/4?tls=true&sentinel_password=q",
            "redis+sentinel://a:26379,b:9/shop/4?tls=true",
        ),
        (
            "redis+cluster://a,b:7/?tls=false",
            "redis+cluster://a:6379,b:7",
        ),
    ];
    for (dsn, expected) in cases {
        assert_eq!(parsed(dsn).address(), expected, "{dsn}");
    }
}

#[test]
fn an_address_reads_as_itself() {
    for dsn in [
        "rediss://db/7",
        "redis+unix:///a?db=1",
        "redis+sentinel://a,b/m/2?tls=true",
    ] {
        let address = parsed(dsn).address();
        assert_eq!(parsed(&address).address(), address);
    }
}

#[test]
fn logins_are_decoded() {
    let login = |dsn: &str| parsed(dsn).login;
    let expected = |user: Option<&str>, password: Option<&str>| Login {
        user: user.map(str::to_owned),
        password: password.map(str::to_owned),
    };
    assert_eq!(login("redis://db"), Login::default());
    assert_eq!(
        login("redis://:p%40%2F:s@db"),
        expected(None, Some("p@/:s"))
    );
    assert_eq!(
        login("redis://a%3Ab:p@ss@db"),
        expected(Some("a:b"), Some("p@ss"))
    );
    let Place::Sentinel { login, .. } =
        parsed("redis+sentinel://a/m?sentinel_user=x&sentinel_password=y%26").place
    else {
        panic!("not a sentinel");
    };
    assert_eq!(login, expected(Some("x"), Some("y&")));
}

#[test]
fn a_refusal_names_the_part_and_what_is_allowed() {
    let cases = [
        ("http://db", "`redis+cluster://`"),
        ("redis://db:0", "a port from 1 to 65535"),
        ("redis://db:70000", "a port from 1 to 65535"),
        ("redis://::1", "IPv6 in brackets"),
        ("redis://a,b", "`redis+cluster://`"),
        ("redis://db/seven", "`seven`"),
        ("redis://db/-1", "`-1`"),
        ("redis://db/99999999999", "too large"),
        ("redis://db?db=7", "`db` (none is available)"),
        ("redis+unix:///a?database=7", "`database` (available: `db`)"),
        ("redis+unix:///a?db=1&db=2", "duplicate option `db`"),
        ("redis+unix://run/redis.sock", "absolute path"),
        ("redis+unix://", "absolute path"),
        ("redis+sentinel://a,b", "missing master"),
        ("redis+sentinel://,/m", "invalid host"),
        ("redis+sentinel:///m", "missing host"),
        (
            "redis+sentinel://a/m?sentinel_user=x",
            "`sentinel_password`",
        ),
        ("redis+cluster://a/3", "database 0 only"),
        ("redis+cluster://a?tls=yes", "`true` or `false`"),
        ("redis://user@db", "without a password"),
        ("rediss://db#insecure", "`#`"),
    ];
    for (dsn, expected) in cases {
        let text = error_text(dsn);
        assert!(text.contains(expected), "{dsn}: {text}");
    }
}

#[test]
fn no_password_is_shown() {
    for dsn in [
        "redis://us3r:s3cret/x@db/7",
        "redis://us3r:s3cret?x@db/7",
        "redis://us3r:s3cret#x@db/7",
        "redis://us3r:s3cret%zz@db/7",
        "redis://us3r:s3cret%ff@db/7",
        "redis://us3r:s3cret@db:port",
        "redis+sentinel://us3r:s3cret@a",
        "postgres://us3r:s3cret@db",
    ] {
        let text = error_text(dsn);
        assert!(!text.contains("us3r") && !text.contains("s3cret"), "{text}");
    }
    let options = parsed("redis+sentinel://us3r:s3cret@a/m?sentinel_password=s3cret2");
    let shown = format!("{options:?} {options:#?} {:?} {options}", options.place);
    assert!(
        !shown.contains("us3r") && !shown.contains("s3cret"),
        "{shown}"
    );
}
