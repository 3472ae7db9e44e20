use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct UserCreated {
    user_id: u64,
    email: String,
}

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(UserCreated)]
    async fn welcome(&self, cx: &Context, usr_id: u64) {
        info!("{} {usr_id}", cx.name());
    }
}

fn main() {}
