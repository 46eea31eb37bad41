//! Tests of planning as a whole: scripts in, topology text or errors out.

mod errors;
mod inserts;
mod pulls;
mod sources;
mod topologies;

use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::sql::ast::StatementKind;
use crate::sql::parse_script;
use crate::types::{Column, FormatSpec, SqlType};

use super::explain::explain;
use super::{Environment, PlanConfig, Planned, Schemas, Target, plan_query, source};

/// Plans statement after statement, as the engine would, over a catalog of its own.
pub(super) struct Script {
    pub(super) catalog: Catalog,
    pub(super) config: PlanConfig,
    pub(super) partitions: Vec<(&'static str, i32)>,
    pub(super) last: Option<Planned>,
}

impl Script {
    pub(super) fn new() -> Self {
        let config = PlanConfig { default_value_format: Some("JSON".to_owned()), ..PlanConfig::default() };
        Self { catalog: Catalog::default(), config, partitions: Vec::new(), last: None }
    }

    /// Runs a script that must work; returns the topology text of its last query.
    pub(super) fn explain(&mut self, script: &str) -> String {
        self.run(script).unwrap_or_else(|error| panic!("{error} {:?}", error.hints()));
        self.last.as_ref().map(|planned| explain(&planned.topology)).unwrap_or_default()
    }

    pub(super) fn run(&mut self, script: &str) -> Result<()> {
        for statement in parse_script(script)? {
            let catalog = self.catalog.clone();
            let counts = self.partitions.clone();
            let partitions = move |topic: &str| counts.iter().find(|(name, _)| *name == topic).map(|(_, count)| *count);
            let env = Environment {
                catalog: &catalog,
                config: &self.config,
                partitions: &partitions,
                check_format: &check_format,
                schemas: &OneSchema,
            };
            let text = statement.text.as_str();
            match &statement.kind {
                StatementKind::CreateSource(create) => {
                    let declared = source::declare(env, create, text)?;
                    self.catalog.add_source(declared.source, create.or_replace)?;
                }
                StatementKind::Alter { table, name, columns } => {
                    let altered = source::alter(env, *table, name, columns, text)?;
                    self.catalog.add_source(altered, true)?;
                }
                StatementKind::CreateType { name, ty, .. } => {
                    let ty = super::types::resolve_type(ty, &catalog)?;
                    self.catalog.add_type(&name.text, ty);
                }
                StatementKind::CreateAs(create) => {
                    let planned = plan_query(env, &create.query, Target::Create(create), text)?;
                    let sink = planned.sink.clone().expect("CREATE AS has a sink");
                    self.catalog.add_source(Source { created_by: Some("Q".to_owned()), ..sink }, create.or_replace)?;
                    self.last = Some(planned);
                }
                StatementKind::InsertSelect { target, properties, query } => {
                    self.last = Some(plan_query(env, query, Target::Insert { target, properties }, text)?);
                }
                StatementKind::InsertValues { target, columns, values } => {
                    super::insert::insert_values(catalog.source(&target.text)?, columns, values)?;
                }
                StatementKind::Query(query) => self.last = Some(plan_query(env, query, Target::Push, text)?),
                other => return Err(Error::internal(format!("the test harness cannot run {other:?}"))),
            }
        }
        Ok(())
    }
}

/// A registry that knows the topic `registered`: a key `ID` and values `NAME` and `TOTAL`.
struct OneSchema;

impl Schemas for OneSchema {
    fn infer(&self, _format: &FormatSpec, topic: &str, is_key: bool) -> Result<Vec<Column>> {
        match (topic, is_key) {
            ("registered", true) => Ok(vec![Column::key("ID", SqlType::Int)]),
            ("registered", false) => {
                Ok(vec![Column::value("NAME", SqlType::String), Column::value("TOTAL", SqlType::BigInt)])
            }
            _ => Err(Error::not_found(format!("no schema for {topic}"))),
        }
    }

    fn check(&self, format: &FormatSpec, _topic: &str, _is_key: bool, columns: &[Column]) -> Result<()> {
        match format.properties.get("SCHEMA_ID") {
            Some(_) if columns.iter().any(|column| column.name == "STRANGE") => {
                Err(Error::semantic("a column is not in the schema"))
            }
            _ => Ok(()),
        }
    }
}

/// KAFKA takes one primitive column; the other formats take everything.
fn check_format(format: &FormatSpec, _is_key: bool, columns: &[Column]) -> Result<()> {
    if format.name == "KAFKA" && (columns.len() != 1 || columns[0].ty.is_nested()) {
        return Err(Error::semantic(format!("the format KAFKA cannot hold {} columns", columns.len())));
    }
    Ok(())
}

/// Streams and tables.
pub(super) const SOURCES: &str = "
    CREATE STREAM orders (id INT KEY, user_id INT, amount DOUBLE, items ARRAY<STRUCT<sku STRING, qty INT>>, at STRING)
        WITH (kafka_topic = 'orders', value_format = 'JSON', partitions = 4);
    CREATE STREAM payments (id INT KEY, order_id INT, status STRING)
        WITH (kafka_topic = 'payments', value_format = 'JSON');
    CREATE TABLE users (id INT PRIMARY KEY, name STRING, country STRING)
        WITH (kafka_topic = 'users', value_format = 'JSON');
    CREATE TABLE tiers (id INT PRIMARY KEY, tier STRING)
        WITH (kafka_topic = 'tiers', value_format = 'JSON');
    CREATE TABLE scores (id INT PRIMARY KEY, score DOUBLE)
        WITH (kafka_topic = 'scores', format = 'JSON');
    CREATE STREAM clicks (page STRING KEY, n INT)
        WITH (kafka_topic = 'clicks', value_format = 'JSON', window_type = 'TUMBLING', window_size = '10 SECONDS');
";
