//! Questions that touch every part of a file under [`super::keyed_schema`].

use arrow::array::RecordBatch;
use infino_fts::{CorpusStats, Hit, Operator, Query};
use infino_superfile::{KeyEncoder, Superfile, SuperfileError, arrow_schema};
use infino_vector::{Neighbor, SearchParams};

use super::{DIM, batch, keyed_columns, keyed_schema, mix};

/// What a question of a file answers.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Hits(Vec<Hit>),
    Matches(Vec<u32>),
    Neighbors(Vec<Neighbor>),
    Rows(RecordBatch),
    Keys(Vec<(usize, u32)>),
}

pub const QUESTIONS: usize = 13;

/// Asks `file` the question of this number.
pub async fn ask(file: &Superfile, question: usize) -> Result<Answer, SuperfileError> {
    match question {
        0..5 => {
            let reader = file.text().await?;
            let query = match question {
                0 => Query::matching("body", "brown fox jumps over lazy", Operator::Or),
                1 => Query::matching("body", "dogs while rust compiles", Operator::And),
                2 => Query::phrase("body", "brown fox"),
                3 => Query::matching("body", "row5 row50 row501 row599", Operator::Or),
                _ => Query::term("key", "key-7"),
            };
            let prepared = file.run_text(reader.prepare(&query)?).await?;
            let stats = CorpusStats::of(&reader, &prepared);
            let search = reader.search(&prepared, &stats, 20, None, None)?;
            Ok(Answer::Hits(file.run_text(search).await?))
        }
        5 => {
            let reader = file.text().await?;
            let query = Query::matching("body", "fox over", Operator::Or);
            let prepared = file.run_text(reader.prepare(&query)?).await?;
            let matches = file.run_text(reader.matches(&prepared)?).await?;
            Ok(Answer::Matches(matches.iter().collect()))
        }
        6..9 => {
            let index = file.vector(3).await?;
            let query: Vec<f32> = (0..u64::from(DIM))
                .map(|i| mix(question as u64 * 99 + i) as f32 / u64::MAX as f32)
                .collect();
            let params = SearchParams { k: 10, exact: question == 8, ..Default::default() };
            let search = index.search(&query, &params, None)?;
            Ok(Answer::Neighbors(file.run_vector(3, search).await?))
        }
        9 => Ok(Answer::Rows(file.rows(&[3, 540, 77], &["n", "key"]).await?)),
        10 => Ok(Answer::Rows(file.rows(&[500, 499, 0], &["body"]).await?)),
        11 => Ok(Answer::Rows(file.rows(&[450], &["embedding", "body"]).await?)),
        _ => {
            let rows = [7..9, 500..510, 100_000..100_050].into_iter().flatten();
            let schema = keyed_schema();
            let encoder =
                KeyEncoder::of(&schema, arrow_schema(&schema)?.as_ref())?.expect("it has a key");
            let batches = rows.map(|row| batch(&schema, 1, keyed_columns(row..row + 1)));
            let digests = batches.map(|batch| encoder.digests(&batch));
            let digests = digests.collect::<Result<Vec<_>, _>>()?.concat();
            let mut hashes: Vec<u64> = digests.iter().map(|key| key.hash()).collect();
            hashes.sort_unstable();
            Ok(Answer::Keys(file.key_docs(&hashes).await?))
        }
    }
}
