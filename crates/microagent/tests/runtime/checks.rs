//! The contents of an agent's manifest before anything starts.

use microagent::{ErrorKind, blueprint::AgentType, declarations, prelude::*};

use super::MAILER;

/// The same queue by another name.
const POST: Queue = Queue::new("mailer");

#[derive(Default)]
struct Rivals;

#[agent]
impl Rivals {
    #[consumer(MAILER)]
    async fn first(&self) {}

    #[consumer(POST)]
    async fn second(&self) {}
}

#[test]
fn two_consumers_of_one_queue_through_two_constants_are_refused() {
    let manifest = AgentType::of::<Rivals>().manifest();
    let error = manifest.configured(&json!({})).unwrap_err();
    let text = "handler `second`: queue `mailer` has a consumer already, `first`: a message goes to one handler, \
                so an agent has one consumer per queue";
    assert_eq!(error.to_string(), text);
}

struct Bare;

#[agent]
impl Bare {
    #[on(pre_start)]
    async fn starts(&mut self) {}
}

struct Created;

#[agent]
impl Created {
    #[on(create)]
    async fn create() -> Self {
        Self
    }
}

#[test]
fn a_type_that_cannot_be_built_by_its_name_says_so() {
    let problem = AgentType::of::<Bare>().manifest().creation_problem.unwrap();
    assert!(
        problem.starts_with("`Bare` has neither `#[on(create)]` nor `Default`"),
        "{problem}"
    );
    assert_eq!(AgentType::of::<Rivals>().manifest().creation_problem, None);
    assert_eq!(AgentType::of::<Created>().manifest().creation_problem, None);
}

#[derive(Serialize, Deserialize, Signal)]
struct Paid {
    amount: u64,
    by: Option<String>,
}

struct Cashier;

#[agent]
impl Cashier {
    #[receiver(Paid)]
    async fn paid(&self, amount: u64, by: Option<String>) {
        drop((amount, by));
    }
}

/// Starts the receiver on a bus whose declarations have these types.
async fn start_with(amount: &str) -> Result<()> {
    let text = format!(
        r#"{{"signals": [{{"name": "paid", "providing_args": {{"amount": {amount}, "by": "string"}}}}]}}"#
    );
    let declared = declarations::parse_stuff("file:///signals.json", &text)?;
    let bus = Bus::builder("memory://").declarations(declared);
    let agent = Agent::new(Cashier)
        .bus(bus.connect().await?)
        .start()
        .await?;
    agent.stop().await
}

#[tokio::test]
async fn an_agent_whose_types_are_not_those_of_the_declarations_does_not_start() {
    start_with(r#""number""#).await.unwrap();
    start_with(r#"["number", "string"]"#).await.unwrap();
    let error = start_with(r#"["string", "null"]"#).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Declaration);
    assert_eq!(
        error.to_string(),
        "receiver `paid` of Cashier: signal `paid`: argument `amount` is a number in the code, and a string or null in the \
         declarations"
    );
}
