//! The database: SQLite, created and seeded with its first use.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use otel_exemplars::BoundHistogram;
use serde::Serialize;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::OnceCell;

use super::{CANCELLED, Failure};
use crate::config;
use crate::names::{self, attribute};
use crate::telemetry::Instruments;

/// `db.system.name`.
pub(super) const SYSTEM: &str = "sqlite";
/// `db.operation.name`.
pub(super) const OPERATION: &str = "SELECT";
/// `db.collection.name`.
pub(super) const COLLECTION: &str = "products";
/// `db.query.summary`.
pub(super) const SUMMARY: &str = "SELECT products";

/// Rows in the table; a request can ask for all of them.
pub const PRODUCTS: u32 = 10_000;

/// Connections to a file: each is a thread, and readers of SQLite's write-ahead log do not wait for each other.
pub(super) const CONNECTIONS: u32 = 8;

/// How long a request waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection waits for another process that seeds the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const QUERY: &str = "SELECT id, sku, name, price_cents, stock FROM products ORDER BY price_cents, id LIMIT ?1";

/// Creates the table and fills it with rows that are the same everywhere. `user_version` tells that it is done.
const SEED: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS products (
        id INTEGER PRIMARY KEY, sku TEXT NOT NULL, name TEXT NOT NULL,
        price_cents INTEGER NOT NULL, stock INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS products_by_price ON products (price_cents, id)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT OR IGNORE INTO products
        SELECT i, printf('P-%05d', i), printf('Product number %d', i), 100 + (i * 7919) % 99901, (i * 31) % 500 FROM n",
    "PRAGMA user_version = 1",
];

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Its key.
    pub id: i64,
    /// Its stock keeping unit.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Its price in cents.
    pub price_cents: i64,
    /// How many there are.
    pub stock: i64,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file cannot be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be opened, created or seeded.
    #[error("cannot open the database {name}; PHASELAB_DATABASE names it")]
    Open {
        /// The file, or `:memory:`.
        name: String,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// All connections are busy.
    #[error("no connection was free within {ACQUIRE_TIMEOUT:?}")]
    Busy,
}

/// A handle on the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: config::Database,
    /// Opened with the first use, so that a database that comes late makes the service unready, not dead.
    pool: OnceCell<SqlitePool>,
    durations: Durations,
}

/// `db.client.operation.duration`, bound for each way an operation can end.
#[derive(Debug)]
struct Durations {
    good: BoundHistogram,
    failed: BoundHistogram,
    cancelled: BoundHistogram,
}

impl Database {
    pub(super) fn new(place: &config::Database, instruments: &Instruments) -> Self {
        let bind = |error_type: Option<&'static str>| {
            let mut attributes = vec![
                KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM),
                KeyValue::new(attribute::DB_OPERATION_NAME, OPERATION),
                KeyValue::new(attribute::DB_COLLECTION_NAME, COLLECTION),
            ];
            attributes.extend(error_type.map(|error_type| KeyValue::new(attribute::ERROR_TYPE, error_type)));
            instruments.db_duration.bind(&attributes)
        };
        let durations =
            Durations { good: bind(None), failed: bind(Some("database_error")), cancelled: bind(Some(CANCELLED)) };
        let database = Self(Arc::new(Inner { place: place.clone(), pool: OnceCell::new(), durations }));
        database.observe(instruments);
        database
    }

    /// The connections of a database that is open.
    fn observe(&self, instruments: &Instruments) {
        let gauge = |instrument, count: fn(i64, i64) -> i64| {
            let of = self.clone();
            instruments.observe_gauge(instrument, move |gauge| {
                if let Some(pool) = of.0.pool.get() {
                    let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
                    gauge.observe(count(pool.size().into(), idle), &[]);
                }
            });
        };
        // Both are read one after the other, and a connection may come back in between.
        gauge(names::APP_DB_POOL_ACTIVE, |all, idle| (all - idle).max(0));
        gauge(names::APP_DB_POOL_IDLE, |_, idle| idle);
    }

    /// Opens the database if it is not open yet.
    ///
    /// # Errors
    /// When it cannot be opened, created or seeded; the next call tries again.
    pub async fn open(&self) -> Result<&SqlitePool, OpenError> {
        self.0.pool.get_or_try_init(|| open(&self.0.place)).await
    }

    /// Asks whether queries work.
    ///
    /// # Errors
    /// Why they do not.
    pub async fn check(&self) -> Result<(), Failure> {
        let pool = self.open().await.map_err(Failure::DatabaseUnavailable)?;
        let found: Option<i64> =
            sqlx::query_scalar("SELECT id FROM products LIMIT 1").fetch_optional(pool).await.map_err(failure)?;
        found.map(|_| ()).ok_or(Failure::Query(sqlx::Error::RowNotFound))
    }

    /// The `count` cheapest products, after `latency`, which stands for a slow database and is part of the operation.
    ///
    /// Records `db.client.operation.duration`; the span of the operation is the caller's.
    ///
    /// # Errors
    /// When the database is unavailable or the query fails.
    ///
    /// # Cancel safety
    /// When the future is dropped, the operation is recorded as cancelled.
    pub async fn products(&self, count: u32, latency: Duration) -> Result<Vec<Product>, Failure> {
        let operation = Operation::start(&self.0.durations);
        let result = self.select(count, latency).await;
        operation.finish(result.is_ok());
        result
    }

    async fn select(&self, count: u32, latency: Duration) -> Result<Vec<Product>, Failure> {
        let pool = self.open().await.map_err(Failure::DatabaseUnavailable)?;
        // On a connection, as the pool's own stream of rows enters the current span once for each of them.
        let mut connection = pool.acquire().await.map_err(failure)?;
        let rows: Vec<Row> = sqlx::query_as(QUERY).bind(count).fetch_all(&mut *connection).await.map_err(failure)?;
        // The latency comes when the connection is free again: a slow request shall not take one away from fast ones.
        drop(connection);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        Ok(products_of(rows))
    }

    /// Closes the connections, so that the write-ahead log is folded into the file.
    pub async fn close(&self) {
        if let Some(pool) = self.0.pool.get() {
            pool.close().await;
        }
    }
}

/// The columns of a product.
type Row = (i64, String, String, i64, i64);

// With a frame of its own, so that a profile names it.
#[inline(never)]
fn products_of(rows: Vec<Row>) -> Vec<Product> {
    let product = |(id, sku, name, price_cents, stock)| Product { id, sku, name, price_cents, stock };
    rows.into_iter().map(product).collect()
}

fn failure(error: sqlx::Error) -> Failure {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Failure::DatabaseUnavailable(OpenError::Busy),
        error => Failure::Query(error),
    }
}

async fn open(place: &config::Database) -> Result<SqlitePool, OpenError> {
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
    let options = SqliteConnectOptions::new().busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
    let (name, pool, options) = match place {
        // The rows live in the connection: one, for ever.
        config::Database::Memory => {
            let pool = pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
            (":memory:".to_owned(), pool, options.in_memory(true))
        }
        config::Database::File(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                tokio::fs::create_dir_all(folder)
                    .await
                    .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
            }
            let options = options
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            (path.display().to_string(), pool.max_connections(CONNECTIONS), options)
        }
    };
    let opened = async {
        let pool = pool.connect_with(options).await?;
        seed(&pool).await?;
        Ok(pool)
    };
    opened.await.map_err(|source| OpenError::Open { name, source })
}

/// Seeds in one transaction, so that a second process on the same file waits and then finds it done.
async fn seed(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    if version == 0 {
        for statement in SEED {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}

/// One operation, recorded when it ends however it ends.
struct Operation<'a> {
    durations: &'a Durations,
    started: Instant,
    good: Option<bool>,
}

impl<'a> Operation<'a> {
    fn start(durations: &'a Durations) -> Self {
        Self { durations, started: Instant::now(), good: None }
    }

    fn finish(mut self, good: bool) {
        self.good = Some(good);
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let bound = match self.good {
            Some(true) => &self.durations.good,
            Some(false) => &self.durations.failed,
            None => &self.durations.cancelled,
        };
        bound.record(self.started.elapsed().as_secs_f64());
    }
}
