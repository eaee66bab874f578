//! The arguments of a call: by position, by name, constant or parameter.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Value, ValueWithSpan,
};
use infino_table::query::vector;

use super::{Function, PinnedTable, invalid};
use crate::sql::source::external;

/// Arguments not yet taken.
pub(super) struct Arguments {
    function: Function,
    positional: Vec<Option<SqlExpr>>,
    named: BTreeMap<String, SqlExpr>,
}

impl Arguments {
    pub(super) fn parse(function: Function, args: &[FunctionArg]) -> Result<Self> {
        let mut parsed = Self { function, positional: Vec::new(), named: BTreeMap::new() };
        for arg in args {
            let (name, arg) = match arg {
                FunctionArg::Unnamed(arg) => (None, arg),
                FunctionArg::Named { name, arg, .. } => (Some(name.value.to_lowercase()), arg),
                FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), arg, .. } => {
                    (Some(name.value.to_lowercase()), arg)
                }
                other => return Err(invalid(function, format!("{other} is no argument"))),
            };
            let FunctionArgExpr::Expr(value) = arg else {
                return Err(invalid(function, format!("{arg} is no argument")));
            };
            match name {
                None if !parsed.named.is_empty() => {
                    return Err(invalid(
                        function,
                        format!("{value} stands behind a named argument; name it too"),
                    ));
                }
                None => parsed.positional.push(Some(value.clone())),
                Some(name) => {
                    if parsed.named.insert(name.clone(), value.clone()).is_some() {
                        return Err(invalid(function, format!("{name} is given twice")));
                    }
                }
            }
        }
        Ok(parsed)
    }

    fn take(&mut self, name: &str, at: Option<usize>) -> Result<Option<SqlExpr>> {
        let positional = at.and_then(|at| self.positional.get_mut(at)).and_then(Option::take);
        match (positional, self.named.remove(name)) {
            (Some(_), Some(_)) => Err(invalid(self.function, format!("{name} is given twice"))),
            (positional, named) => Ok(positional.or(named)),
        }
    }

    /// A table's or a column's name: a string or an identifier.
    pub(super) fn name(&mut self, name: &str, at: usize) -> Result<String> {
        match self.take(name, Some(at))? {
            Some(SqlExpr::Value(ValueWithSpan {
                value: Value::SingleQuotedString(text), ..
            })) => Ok(text),
            Some(SqlExpr::Identifier(ident)) if ident.quote_style.is_some() => Ok(ident.value),
            Some(SqlExpr::Identifier(ident)) => Ok(ident.value.to_lowercase()),
            Some(other) => {
                Err(invalid(self.function, format!("{name} must be a name in quotes, not {other}")))
            }
            None => Err(invalid(self.function, format!("argument {} ({name}) is missing", at + 1))),
        }
    }

    /// Any other argument, if it is given; a bare parameter gets the type, so that clients can see what to bind.
    pub(super) fn value(
        &mut self,
        context: &mut dyn RelationPlannerContext,
        name: &str,
        at: Option<usize>,
        data_type: &DataType,
    ) -> Result<Option<Expr>> {
        let Some(value) = self.take(name, at)? else { return Ok(None) };
        Ok(Some(match context.sql_to_expr(value, &DFSchema::empty())? {
            Expr::Placeholder(Placeholder { id, field: None }) => {
                let field = Field::new(name, data_type.clone(), false);
                Expr::Placeholder(Placeholder::new_with_field(id, Some(Arc::new(field))))
            }
            expr => expr,
        }))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<()> {
        let stray = self.positional.into_iter().flatten().next().map(|value| value.to_string());
        match stray.or_else(|| self.named.into_keys().next()) {
            None => Ok(()),
            Some(stray) => {
                let values = self.function.values().iter().map(|value| value.0);
                let known = self.function.columns().iter().map(|column| column.0).chain(values);
                let known = known.collect::<Vec<_>>().join(", ");
                Err(invalid(
                    self.function,
                    format!("unknown argument {stray}; it takes table, {known}"),
                ))
            }
        }
    }
}

/// Dimension of the vector column that a call names; 0 if it names none. Checks that every column is there.
pub(super) fn dimension(
    function: Function,
    table: &PinnedTable,
    columns: &[String],
) -> Result<usize> {
    let schema = datafusion::catalog::TableProvider::schema(table);
    if let Some(unknown) = columns.iter().find(|column| schema.field_with_name(column).is_err()) {
        return Err(invalid(
            function,
            format!("the table has no column {unknown:?}; its columns are {}", table.column_list()),
        ));
    }
    let column = match function {
        Function::Vector => &columns[0],
        Function::Hybrid => &columns[1],
        _ => return Ok(0),
    };
    Ok(vector::index(&table.snapshot, column).map_err(external)?.0.dim as usize)
}
