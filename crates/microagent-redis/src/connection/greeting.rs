//! The words with which a server turns a connection away. It says them at once and closes, so whoever sends a command first may
//! find nothing but a broken connection.

use std::time::Duration;

use microagent_core::{Error, ErrorKind};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    error::error_of,
    options::{Place, RedisOptions, parse::REDIS_PORT},
};

/// The time that a server may take to tell why it refuses the connection.
const WITHIN: Duration = Duration::from_millis(500);

/// The longest reason that is read.
const LONGEST: usize = 512;

/// Connects once more, sends nothing, and returns the error that the server sends before it closes the connection.
/// A server behind TLS, a sentinel or a cluster says nothing there.
pub(super) async fn refusal(options: &RedisOptions) -> Option<Error> {
    let asking = async {
        match &options.place {
            Place::Tcp(host) if !options.tls => {
                read(
                    TcpStream::connect((host.name.as_str(), host.port.unwrap_or(REDIS_PORT))).await,
                )
                .await
            }
            Place::Unix(path) => read(UnixStream::connect(path).await).await,
            _ => None,
        }
    };
    let line = timeout(WITHIN, asking).await.ok()??;
    let answer = redis::parse_redis_value(&line).ok()?;
    let error = error_of(answer.extract_error().err()?);
    Some(match error.kind() {
        ErrorKind::Refused => error,
        // Such as too many connections: waiting may heal it.
        _ => Error::new(ErrorKind::Unavailable, error.to_string()),
    })
}

async fn read(stream: std::io::Result<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut stream = stream.ok()?;
    let mut line = Vec::new();
    while line.len() < LONGEST && !line.ends_with(b"\r\n") {
        if stream.read_buf(&mut line).await.ok()? == 0 {
            break;
        }
    }
    Some(line)
}
