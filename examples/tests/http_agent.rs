//! The HTTP agent on a real port, over a bus whose answers are canned.

use examples::HttpAgent;
use microagent::prelude::*;
use microagent_testing::BusMock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn get(address: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    Ok(response)
}

#[tokio::test]
async fn it_answers_with_what_another_agent_knows() -> Result<()> {
    let bus = BusMock::new();
    bus.answer(
        "rpc_comments_count",
        json!({"CommentAgent.example_rpc_handler": 3}),
    );
    let agent = Agent::<HttpAgent>::create()
        .bus(bus.bus())
        .settings(json!({"listen": "127.0.0.1:0"}))
        .start()
        .await?;

    let response = get(agent.agent().address(), "/comments/7").await?;
    assert!(
        response.starts_with("HTTP/1.1 200 OK") && response.ends_with("\r\n\r\n3"),
        "{response}"
    );
    assert_eq!(
        bus.called_of("rpc_comments_count")[0].args,
        json!({"user_id": 7})
    );

    agent.stop().await
}

#[tokio::test]
async fn a_port_in_use_is_an_error_at_start() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let listen = taken.local_addr()?.to_string();
    let agent = Agent::<HttpAgent>::create()
        .bus(BusMock::new().bus())
        .settings(json!({"listen": listen}));
    let error = agent.start().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("listening on {listen}")),
        "{error}"
    );
    Ok(())
}
