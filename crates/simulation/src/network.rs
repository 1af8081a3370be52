//! The network between billing and ordering: late, lost, repeated and cut off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use billing::pull::Transport;
use billing::upstream::{Answer, Fault};
use url::Url;

use crate::processes::{OrderingProcess, Reply};
use crate::sim::{Sim, lock};

/// The other side's name, as billing's faults tell it.
const SYSTEM: &str = "Ordering";

/// Of how many requests one suffers each of the faults.
const ONE_IN: u64 = 12;

/// Who answers for ordering.
#[derive(Default)]
pub(crate) struct Providers {
    pub(crate) current: Mutex<Vec<Arc<OrderingProcess>>>,
    /// One of the past that was not switched off.
    pub(crate) past: Mutex<Option<Arc<OrderingProcess>>>,
}

impl Providers {
    /// One of those that count.
    pub(crate) fn any(&self, sim: &Sim) -> Arc<OrderingProcess> {
        let current = lock(&self.current);
        Arc::clone(&current[sim.dice.index(current.len())])
    }
}

/// What carries billing's questions.
#[derive(Clone)]
pub(crate) struct Network {
    sim: Arc<Sim>,
    providers: Arc<Providers>,
    /// What was answered so far, by question.
    answered: Arc<Mutex<HashMap<String, Vec<Reply>>>>,
}

impl Network {
    pub(crate) fn new(sim: Arc<Sim>, providers: Arc<Providers>) -> Self {
        Self { sim, providers, answered: Arc::default() }
    }

    /// Brings a question to ordering; what answers.
    async fn send(&self, question: &str) -> Result<Reply, Fault> {
        self.sim.gates.pass(format!("ask {question}")).await;
        if self.sim.fault(ONE_IN) {
            self.sim.note("the question is lost");
            return Err(Fault::timeout(SYSTEM));
        }
        if self.sim.fault(ONE_IN)
            && let Some(reply) = self.old(question)
        {
            self.sim.note("an old answer is repeated");
            return Ok(reply);
        }
        let past = lock(&self.providers.past).clone().filter(|_| self.sim.fault(4));
        if past.is_some() {
            self.sim.note("one of the past is asked");
        }
        let process = past.unwrap_or_else(|| self.providers.any(&self.sim));
        let request = Request::get(question).body(Body::empty()).expect("it is an address");
        let reply = process.handle(request).await.ok_or_else(|| {
            self.sim.note("who was asked is dead");
            Fault::unreachable(SYSTEM, "the connection broke")
        })?;
        lock(&self.answered).entry(question.to_owned()).or_default().push(reply.clone());
        Ok(reply)
    }

    /// What was answered to the same question some time ago.
    fn old(&self, question: &str) -> Option<Reply> {
        let answered = lock(&self.answered);
        let replies = answered.get(question)?;
        Some(replies[self.sim.dice.index(replies.len())].clone())
    }

    /// Brings the answer back.
    async fn receive(&self, mut reply: Reply) -> Result<Answer, Fault> {
        if self.sim.fault(4) {
            // Long enough for others to write, stamp and pull meanwhile.
            for _ in 0..self.sim.dice.below(12) {
                self.sim.gates.pass("the answer is on its way").await;
            }
        }
        self.sim.gates.pass(format!("answer {}", reply.status)).await;
        if self.sim.fault(ONE_IN) {
            self.sim.note("the answer is lost");
            return Err(Fault::timeout(SYSTEM));
        }
        if self.sim.fault(ONE_IN) {
            reply.body.truncate(self.sim.dice.index(reply.body.len().max(1)));
            self.sim.note(format!("the answer is cut off after {} bytes", reply.body.len()));
        }
        Ok(Answer::new(SYSTEM, reply.status, reply.headers, reply.body, self.sim.time()))
    }
}

#[async_trait]
impl Transport for Network {
    async fn get(&self, url: Url, _: Duration) -> Result<Answer, Fault> {
        let question = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let reply = self.send(&question).await?;
        self.receive(reply).await
    }
}
