use std::rc::Rc;

use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started)]
    async fn keeps_an_rc(&self) {
        let count = Rc::new(1);
        std::future::ready(()).await;
        drop(count);
    }
}

fn main() {}
