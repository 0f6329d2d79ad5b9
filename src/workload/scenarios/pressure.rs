//! Too much for what there is: all connections of the database are taken, or more tasks come than the queue can do.

use std::collections::VecDeque;
use std::time::Duration;

use opentelemetry::trace::SpanContext;

use super::pace::{self, Pace};
use super::{Parameter, Run, Running, Scenario, Unit};
use crate::error::chain;
use crate::workload::db::CONNECTIONS;
use crate::workload::queue::CAPACITY;

const POOL: [Parameter; 2] = [
    Parameter {
        name: "connections",
        about: "connections to hold; a database in memory has one",
        unit: Unit::Of("connections"),
        default: CONNECTIONS as u64,
        min: 1,
        max: CONNECTIONS as u64,
    },
    Parameter::DURATION,
];

pub(super) const POOL_EXHAUSTION: Scenario = Scenario {
    name: "pool-exhaustion",
    summary: "holds the database connections that requests need",
    parameters: &POOL,
    run: pool,
};

/// How soon a connection is asked for again after the database refused one, which it does at once.
const AGAIN: Duration = Duration::from_millis(100);

fn pool(Run { lab, values, mut cancel }: Run) -> Running {
    Box::pin(async move {
        let database = lab.workload.database();
        let pool = match database.open().await {
            Ok(pool) => pool,
            Err(error) => return tracing::warn!(error = chain(&error), "there is no database to exhaust"),
        };
        let before = pool.size() as usize;
        let wanted = values.get(&POOL[0]).min(pool.options().get_max_connections().into());
        let mut held = Vec::new();
        let mut told = false;
        while (held.len() as u64) < wanted && !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => {}
                // Requests hold some of them: it is tried again.
                connection = pool.acquire() => match connection {
                    Ok(connection) => held.push(connection),
                    Err(sqlx::Error::PoolTimedOut) => {}
                    Err(error) => {
                        if !std::mem::replace(&mut told, true) {
                            tracing::warn!(%error, "a database connection that was to be held cannot be opened");
                        }
                        tokio::time::sleep(AGAIN).await;
                    }
                },
            }
        }
        cancel.cancelled().await;
        // The pool keeps as many as it had; those that were opened for this are closed.
        for (index, connection) in held.into_iter().enumerate() {
            if index < before {
                drop(connection);
            } else if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a database connection was not closed well");
            }
        }
    })
}

const QUEUE: [Parameter; 3] = [
    Parameter { about: "how many tasks come", ..pace::rate("tasks per second", 160, 2_000) },
    Parameter {
        name: "work",
        about: "how long each of them takes; four are done at once",
        unit: Unit::Time,
        default: 50,
        // Some 400 traces a second at most, and a full queue is empty after 5 s at most.
        min: 10,
        max: 200,
    },
    Parameter::DURATION,
];

pub(super) const QUEUE_PRESSURE: Scenario = Scenario {
    name: "queue-pressure",
    summary: "sends twice as many tasks as the queue can do",
    parameters: &QUEUE,
    run: queue,
};

fn queue(Run { lab, values, cancel }: Run) -> Running {
    Box::pin(async move {
        let queue = lab.workload.queue();
        let work = values.duration(&QUEUE[1]);
        let mut pace = Pace::new(cancel, values.get(&QUEUE[0]), u64::MAX);
        // No more than these can wait.
        let mut sent = VecDeque::with_capacity(CAPACITY);
        while pace.next().await {
            // Those that are rejected are counted by the queue, which is what is to be seen.
            if let Ok(id) = queue.submit(work, SpanContext::NONE) {
                if sent.len() == CAPACITY {
                    sent.pop_front();
                }
                sent.push_back(id);
            }
        }
        queue.withdraw(sent.make_contiguous());
    })
}
