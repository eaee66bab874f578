//! `CREATE TABLE` with indexes, and `DROP TABLE`.
//!
//! ```sql
//! CREATE TABLE docs (id BIGINT PRIMARY KEY, title TEXT, body TEXT, embedding FLOAT[384])
//! WITH (fts = 'body:english-v1', keyword = 'title', vector = 'embedding:cosine')
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Constraint, ScalarValue};
use datafusion::logical_expr::{CreateMemoryTable, DdlStatement, DropTable, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    CreateTable, CreateTableOptions, Expr, SqlOption, Statement as SqlStatement, Value,
};
use futures::TryStreamExt;
use infino_format::schema::RerankCodec;

use super::annotate::{self, metric_named};
use super::session;
use super::statement::{self, Outcome};
use crate::{Connection, Error, ErrorKind, IndexSpec, Metric};

/// Makes a table, of columns or of the rows of a query.
pub(super) async fn create_table(
    connection: &Connection,
    sql: &str,
    mut create: CreateTable,
    params: &[ScalarValue],
) -> Result<Outcome, Error> {
    let options = match std::mem::take(&mut create.table_options) {
        CreateTableOptions::None => Vec::new(),
        CreateTableOptions::With(options) | CreateTableOptions::Options(options) => options,
        other => return Err(Error::invalid(format!("CREATE TABLE takes WITH (…), not {other}"))),
    };
    let mut parsed = Statement::Statement(Box::new(SqlStatement::CreateTable(create)));
    let state = session::statement_state(connection, sql, &mut parsed).await?;
    let plan = statement::plan(&state, parsed, params).await?;
    let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) = plan else {
        return Err(Error::invalid("CREATE TABLE: only plain tables can be made"));
    };
    if !table.column_defaults.is_empty() {
        return Err(Error::invalid("CREATE TABLE: columns have no DEFAULT; leave it out"));
    }
    let key = key(&table)?;
    let name = statement::table_name(&table.name)?.to_owned();
    if table.if_not_exists && connection.table_names().await?.contains(&name) {
        return Ok(Outcome::nothing());
    }
    let schema = plain(&annotate::stripped(table.input.schema().as_arrow()));
    let key = key.iter().map(String::as_str).collect::<Vec<_>>();
    let index = indexes("CREATE TABLE", &schema, &options, str::to_owned)?.key(&key);
    if matches!(table.input.as_ref(), LogicalPlan::EmptyRelation(_)) && !table.or_replace {
        connection.create_table(&name, schema, index).await?;
        return Ok(Outcome::nothing());
    }
    // The name comes last: until then the query reads what it named before, and nobody sees a part of the rows.
    let made = connection.make_unnamed(&name, &schema, index).await?;
    let filled = async {
        let mut writer = made.writer()?;
        let mut count = 0;
        let mut rows = statement::stream(&state, &table.input).await?;
        while let Some(batch) = rows.try_next().await? {
            count += batch.num_rows() as u64;
            writer.append(&fitted(&schema, &batch)?).await?;
        }
        drop(rows);
        writer.commit().await?;
        connection.name_table(&made, table.or_replace).await?;
        Ok::<_, Error>(count)
    };
    match filled.await {
        Ok(_) if matches!(table.input.as_ref(), LogicalPlan::EmptyRelation(_)) => {
            Ok(Outcome::nothing())
        }
        Ok(count) => Ok(Outcome::count(count)),
        Err(error) => {
            // Nothing names it. If it cannot be removed either, it is garbage of which only the space is lost.
            if let Err(left) = connection.discard(made.table().root()).await {
                tracing::warn!(%left, "removing a table that could not be filled failed");
            }
            Err(error)
        }
    }
}

/// The columns that PRIMARY KEY names.
fn key(table: &CreateMemoryTable) -> Result<Vec<String>, Error> {
    let mut key = Vec::new();
    for constraint in table.constraints.iter() {
        match constraint {
            Constraint::PrimaryKey(columns) if key.is_empty() => {
                let schema = table.input.schema();
                key.extend(columns.iter().map(|&at| schema.field(at).name().clone()));
            }
            _ => {
                return Err(Error::invalid(
                    "CREATE TABLE: of constraints only one PRIMARY KEY is enforced, so others are refused",
                ));
            }
        }
    }
    Ok(key)
}

/// Drops a table.
pub(super) async fn drop_table(
    connection: &Connection,
    drop: &DropTable,
) -> Result<Outcome, Error> {
    let names = connection.names().await?;
    let written = statement::table_name(&drop.name)?;
    let name = session::named(&names, written).map_or(written, |(name, _)| name);
    match connection.drop_table(name).await {
        Err(error) if error.kind() == ErrorKind::NotFound && drop.if_exists => {}
        other => other?,
    }
    Ok(Outcome::nothing())
}

/// The schema with plain strings, which every reader of Arrow knows, where the planner prefers views.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().filter(|field| field.name() != "_id").map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns of `schema` out of a batch of a plan.
pub(super) fn fitted(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).expect("the plan gives every column");
        Ok(cast(column, field.data_type())?)
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>, Error>>()?)?)
}

/// The indexes that options name; `meant` says which column a name in them means.
pub(super) fn indexes(
    statement: &str,
    schema: &Schema,
    options: &[SqlOption],
    meant: impl Fn(&str) -> String,
) -> Result<IndexSpec, Error> {
    let unknown = |option: &str| {
        Error::invalid(format!(
            "{statement}: unknown option {option}; it takes fts, keyword, vector"
        ))
    };
    let mut index = IndexSpec::new();
    for option in options {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(unknown(&option.to_string()));
        };
        let Expr::Value(value) = value else { return Err(unknown(&option.to_string())) };
        let Value::SingleQuotedString(list) = &value.value else {
            return Err(Error::invalid(format!("option {key}: its value must be text in quotes")));
        };
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let mut parts = item.split(':').map(str::trim);
            let column = &meant(parts.next().unwrap_or_default());
            index = match key.value.to_lowercase().as_str() {
                "fts" => match parts.next() {
                    None => index.fts(column),
                    Some(analyzer) => index.fts_with(column, analyzer),
                },
                "keyword" => index.keyword(column),
                "vector" => vector(schema, index, column, &mut parts)?,
                other => return Err(unknown(other)),
            };
            if let Some(stray) = parts.next() {
                return Err(Error::invalid(format!("option {key}: {stray:?} says nothing here")));
            }
        }
    }
    Ok(index)
}

/// `column[:metric[:recall]]`.
fn vector<'a>(
    schema: &Schema,
    index: IndexSpec,
    column: &str,
    parts: &mut impl Iterator<Item = &'a str>,
) -> Result<IndexSpec, Error> {
    let dim = match schema.field_with_name(column).map(Field::data_type) {
        Ok(DataType::FixedSizeList(_, dim)) => usize::try_from(*dim).unwrap_or(0),
        _ => {
            return Err(Error::invalid(format!(
                "option vector: {column:?} must be a column of type FLOAT[dimensions]"
            )));
        }
    };
    let metric = match parts.next() {
        None => Metric::L2,
        Some(name) => metric_named(name).ok_or_else(|| {
            Error::invalid(format!(
                "option vector: no metric is called {name:?}; known are l2, cosine, inner_product"
            ))
        })?,
    };
    let recall = match parts.next() {
        None => 0.95,
        Some(recall) => recall.parse().map_err(|_| {
            Error::invalid(format!("option vector: {recall:?} is no recall between 0 and 1"))
        })?,
    };
    Ok(index.vector_with(column, dim, metric, RerankCodec::Sq8Residual, recall))
}
