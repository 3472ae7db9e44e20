use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct UserCreated {
    user_id: u64,
    email: String,
}

#[derive(Serialize, Deserialize, Signal)]
struct UserDeleted {
    user_id: u64,
}

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(UserCreated, UserDeleted)]
    async fn either(&self, user_id: u64, email: String) {
        info!("{user_id} {email}");
    }
}

fn main() {}
