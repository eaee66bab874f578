//! `ALTER TABLE`.
//!
//! ```sql
//! ALTER TABLE docs ADD COLUMN year BIGINT, DROP COLUMN draft, RENAME COLUMN body TO text, ALTER COLUMN hits TYPE BIGINT;
//! ALTER TABLE docs SET (fts = 'text:english-v1', vector = 'embedding:cosine'), DROP INDEX title;
//! ALTER TABLE docs RENAME TO papers;
//! ```
//!
//! All changes of one statement are one commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, Ident,
    ObjectName, RenameTableNameKind, Statement as SqlStatement,
};

use super::identifiers;
use super::session;
use super::statement::Outcome;
use super::{annotate, ddl};
use crate::{Connection, Error, SchemaChange, Supertable};

/// Changes a table's columns, indexes or name.
pub(super) async fn run(connection: &Connection, alter: AlterTable) -> Result<Outcome, Error> {
    let names = connection.names().await?;
    let written = name_of(&alter.name)?;
    let Some((name, _)) = session::named(&names, &written) else {
        return match alter.if_exists {
            true => Ok(Outcome::nothing()),
            false => Err(crate::connection::not_found(&written, names.keys())),
        };
    };
    if let [AlterTableOperation::RenameTable { table_name }] = alter.operations.as_slice() {
        let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = table_name;
        connection.rename_table(name, &name_of(to)?).await?;
        return Ok(Outcome::nothing());
    }
    let table = connection.open_table(name).await?;
    let mut plan = Plan::of(&table, &connection.inner.state)?;
    for operation in &alter.operations {
        plan.add(operation).await?;
    }
    if !plan.changes.is_empty() {
        table.alter(&plan.changes).await?;
    }
    Ok(Outcome::nothing())
}

/// A name as it is meant: without quotes in lower case.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn name_of(name: &ObjectName) -> Result<String, Error> {
    match name.0.last().and_then(|part| part.as_ident()) {
        Some(ident) => Ok(folded(ident)),
        None => Err(Error::invalid(format!("{name} is no name of a table"))),
    }
}

/// The changes of one statement, and the columns as they leave them.
struct Plan<'a> {
    state: &'a SessionState,
    fields: Vec<Arc<Field>>,
    indexed: infino_format::schema::IndexSet,
    changes: Vec<SchemaChange>,
}

impl<'a> Plan<'a> {
    fn of(table: &Supertable, state: &'a SessionState) -> Result<Self, Error> {
        let fields = table.schema()?.fields().to_vec();
        Ok(Self { state, fields, indexed: table.indexes(), changes: Vec::new() })
    }

    async fn add(&mut self, operation: &AlterTableOperation) -> Result<(), Error> {
        match operation {
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                column_position: None,
                ..
            } => {
                let field = self.field(column_def).await?;
                if *if_not_exists && self.place(field.name()).is_some() {
                    return Ok(());
                }
                self.fields.push(Arc::new(field.clone()));
                self.changes.push(SchemaChange::AddColumn { field, default: None });
            }
            AlterTableOperation::DropColumn {
                column_names,
                if_exists,
                drop_behavior: None,
                ..
            } => {
                for ident in column_names {
                    let name = match self.column(ident) {
                        Err(_) if *if_exists => continue,
                        name => name?,
                    };
                    self.fields.retain(|field| *field.name() != name);
                    self.changes.push(SchemaChange::DropColumn(name));
                }
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let (from, to) = (self.column(old_column_name)?, folded(new_column_name));
                if let Some(at) = self.place(&from) {
                    self.fields[at] = Arc::new(self.fields[at].as_ref().clone().with_name(&to));
                }
                self.changes.push(SchemaChange::RenameColumn { from, to });
            }
            AlterTableOperation::AlterColumn {
                column_name,
                op: AlterColumnOperation::SetDataType { data_type, using: None, .. },
            } => {
                let column = self.column(column_name)?;
                let name = Ident::with_quote('"', &column);
                let of = ColumnDef { name, data_type: data_type.clone(), options: Vec::new() };
                let to = self.field(&of).await?.data_type().clone();
                self.changes.push(SchemaChange::WidenColumn { column, to });
            }
            AlterTableOperation::SetOptionsParens { options } => {
                let schema = Schema::new(self.fields.clone());
                let columns = self.names();
                let index = ddl::indexes("ALTER TABLE", &schema, options, |name| {
                    let meant = identifiers::meant(&Ident::new(name), &columns);
                    meant.map_or_else(|| name.to_owned(), Clone::clone)
                })?;
                let set = index.into_set();
                self.changes.extend(set.text.into_iter().map(SchemaChange::SetTextIndex));
                self.changes.extend(set.vectors.into_iter().map(SchemaChange::SetVectorIndex));
            }
            AlterTableOperation::DropIndex { name } => {
                let column = self.column(name)?;
                let known = self.changes.len();
                if self.indexed.text.iter().any(|index| index.column == column) {
                    self.changes.push(SchemaChange::DropTextIndex(column.clone()));
                }
                if self.indexed.vectors.iter().any(|index| index.column == column) {
                    self.changes.push(SchemaChange::DropVectorIndex(column.clone()));
                }
                if self.changes.len() == known {
                    return Err(Error::invalid(format!(
                        "ALTER TABLE: column {column:?} has no index to drop"
                    )));
                }
            }
            other => {
                return Err(Error::invalid(format!(
                    "ALTER TABLE: {other} is not supported; ADD COLUMN, DROP COLUMN, RENAME COLUMN, ALTER COLUMN … TYPE, \
                     SET (fts, keyword, vector), DROP INDEX and, alone, RENAME TO are"
                )));
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    fn names(&self) -> BTreeSet<String> {
        self.fields.iter().map(|field| field.name().clone()).collect()
    }

    /// The column that a name means.
    fn column(&self, ident: &Ident) -> Result<String, Error> {
        let names = self.names();
        identifiers::meant(ident, &names).cloned().ok_or_else(|| {
            let known = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::invalid(format!(
                "ALTER TABLE: the table has no column {ident}; its columns are {known}"
            ))
        })
    }

    /// The column that a definition makes in `CREATE TABLE`.
    async fn field(&self, column: &ColumnDef) -> Result<Field, Error> {
        let stray = column
            .options
            .iter()
            .find(|option| !matches!(option.option, ColumnOption::Null | ColumnOption::NotNull));
        if let Some(stray) = stray {
            return Err(Error::invalid(format!(
                "ALTER TABLE: {} of column {} is not supported; set values with UPDATE",
                stray.option, column.name
            )));
        }
        let name = ObjectName::from(vec![Ident::new("altered")]);
        let create = CreateTableBuilder::new(name).columns(vec![column.clone()]).build();
        let create = Statement::Statement(Box::new(SqlStatement::CreateTable(create)));
        match self.state.statement_to_plan(create).await? {
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) => {
                let schema = ddl::plain(&annotate::stripped(table.input.schema().as_arrow()));
                match schema.fields().first() {
                    Some(field) => Ok(field.as_ref().clone()),
                    None => Err(Error::invalid(format!(
                        "ALTER TABLE: column name {} is reserved",
                        column.name
                    ))),
                }
            }
            _ => Err(Error::invalid(format!("ALTER TABLE: {column} is no column"))),
        }
    }
}
