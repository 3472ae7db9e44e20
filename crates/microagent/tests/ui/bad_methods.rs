use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

trait Listens {
    async fn started(&self);
}

struct OnATrait;

#[agent]
impl Listens for OnATrait {
    #[receiver(Started)]
    async fn started(&self) {}
}

struct UserAgent;

#[agent]
impl UserAgent {
    #[cfg_attr(unix, receiver(Started))]
    async fn hidden(&self) {}

    #[periodic(1)]
    unsafe fn dangerous(&self) {}

    #[receiver(Started)]
    const LIMIT: u8 = 1;

    #[on(create)]
    fn builds_nothing(_cx: &Context) {}

    #[on(server, timeout = 5)]
    async fn serve(&self) {}
}

fn main() {}
