//! Keys, inserted rows, versions, upkeep and changing columns, as a user calls them.

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use infino::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use infino::arrow::datatypes::{DataType, Field};
use infino::{
    Connection, ErrorKind, IndexSpec, Matched, MergeSpec, NotMatched, SchemaChange, Supertable,
    TextIndex,
};
use support::{ints, ns, one, texts};

fn people(rows: &[(i64, &str)]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let name: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    RecordBatch::try_from_iter([("id", id), ("name", name)]).unwrap()
}

async fn keyed() -> (Connection, Supertable) {
    let db = infino::connect("memory://").await.unwrap();
    let index = IndexSpec::new().key(&["id"]).fts("name");
    let table = db.create_table("people", people(&[(0, "")]).schema(), index).await.unwrap();
    table.append(people(&[(1, "ann lee"), (2, "bob ray"), (3, "cat sun")])).await.unwrap();
    (db, table)
}

async fn all(db: &Connection) -> Vec<(i64, String)> {
    let rows = one(db.query_sql("SELECT id, name FROM people ORDER BY id").await.unwrap());
    ints(&rows, "id").into_iter().zip(texts(&rows, "name")).collect()
}

fn owned(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|&(id, name)| (id, name.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_known_by_their_keys() {
    let (db, table) = keyed().await;
    assert_eq!(table.indexes().key, ["id"]);
    let receipt = table.upsert(people(&[(2, "bob new"), (4, "dan fox")])).await.unwrap();
    assert_eq!((receipt.updated, receipt.inserted), (1, 1));
    assert_eq!(
        all(&db).await,
        owned(&[(1, "ann lee"), (2, "bob new"), (3, "cat sun"), (4, "dan fox")])
    );
    let error = table.append(people(&[(5, "eve"), (1, "other")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let spec = MergeSpec { matched: Matched::Delete, not_matched: NotMatched::Nothing };
    let receipt = table.merge_insert(people(&[(1, ""), (9, "")]), spec).await.unwrap();
    assert_eq!((receipt.deleted, receipt.unchanged), (1, 1));
    assert_eq!(all(&db).await.len(), 3);
    let hits = table.bm25_search("name", "ann bob", 10, &["id"]).await.unwrap();
    assert_eq!(ints(&one(hits), "id"), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inserted_rows_are_found_at_once_and_sealed_later() {
    let (db, table) = keyed().await;
    for id in 10..20 {
        table.insert(people(&[(id, "fresh fox")])).await.unwrap();
    }
    table.update_set("id = 12", &[("name", "upper(name)"), ("id", "id + 100")]).await.unwrap();
    table.delete("id = 13").await.unwrap();
    let check = async |what: &str| {
        let found = one(table.bm25_search("name", "fox", 100, &["id"]).await.unwrap());
        assert_eq!(found.num_rows(), 9, "{what}");
        let counted = "SELECT count(*) AS c FROM people WHERE match(name, 'fox') AND id > 11";
        assert_eq!(ints(&one(db.query_sql(counted).await.unwrap()), "c"), [7], "{what}");
        assert_eq!(table.count_rows().await.unwrap(), 12, "{what}");
        assert_eq!(all(&db).await.last().unwrap(), &(112, "FRESH FOX".to_owned()), "{what}");
    };
    check("fresh").await;
    let sealed = table.seal().await.unwrap();
    assert!(sealed.rows > 0);
    check("sealed").await;
    table.optimize().await.unwrap();
    check("optimized").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_does_all_of_it_in_one_commit() {
    let (db, table) = keyed().await;
    let before = table.version().await.unwrap();
    let mut writer = table.writer().unwrap().token("once");
    writer.append(&people(&[(7, "gus")])).await.unwrap();
    writer.delete("id = 1").await.unwrap();
    writer.update("id = 2", &people(&[(2, "bo")])).await.unwrap();
    writer.upsert(&people(&[(3, "cy"), (8, "hal")])).await.unwrap();
    assert_eq!(table.version().await.unwrap(), before);
    let receipt = writer.commit().await.unwrap();
    assert_eq!(receipt.version, before + 1);
    assert_eq!(all(&db).await, owned(&[(2, "bo"), (3, "cy"), (7, "gus"), (8, "hal")]));
    let mut again = table.writer().unwrap().token("once");
    again.append(&people(&[(70, "gus")])).await.unwrap();
    assert!(again.commit().await.unwrap().replayed);
    assert_eq!(all(&db).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_can_be_listed_opened_tagged_and_restored() {
    let (db, table) = keyed().await;
    let tagged = table.create_tag("start").await.unwrap();
    let early = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    table.delete("id > 1").await.unwrap();
    table.append(people(&[(5, "eve")])).await.unwrap();
    assert_eq!(table.tags().await.unwrap(), [("start".to_owned(), tagged)]);
    for old in [table.at_tag("start").await.unwrap(), table.at_time(early).await.unwrap()] {
        assert_eq!(old.count_rows().await.unwrap(), 3);
        let found = old.bm25_search("name", "bob", 10, &["id"]).await.unwrap();
        assert_eq!(ints(&one(found), "id"), [2]);
        assert_eq!(old.delete("true").await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let history = table.history(10).await.unwrap();
    assert_eq!(history[0].rows_added, 1);
    assert!(history.windows(2).all(|pair| pair[0].version == pair[1].version + 1));
    table.restore(tagged).await.unwrap();
    assert_eq!(all(&db).await.len(), 3);
    table.delete_tag("start").await.unwrap();
    assert_eq!(table.at_tag("start").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(table.at_version(9_999).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_indexes_change_under_rows() {
    let (db, table) = keyed().await;
    let add = |name: &str, data_type| SchemaChange::AddColumn {
        field: Field::new(name, data_type, true),
        default: None,
    };
    table.alter(&[add("age", DataType::Int32), add("note", DataType::Utf8)]).await.unwrap();
    table.update_set("id = 2", &[("age", "44"), ("note", "'likes foxes'")]).await.unwrap();
    let sql = async |sql: &str| one(db.query_sql(sql).await.unwrap());
    assert_eq!(
        ints(&sql("SELECT id AS n FROM people WHERE age IS NULL ORDER BY id").await, "n"),
        [1, 3]
    );

    let widen = SchemaChange::WidenColumn { column: "age".into(), to: DataType::Int64 };
    let index = SchemaChange::SetTextIndex(TextIndex {
        column: "note".into(),
        analyzer: "english-v1".into(),
        positions: true,
        stored: true,
    });
    table.alter(&[widen, index]).await.unwrap();
    assert_eq!(ints(&sql("SELECT age AS n FROM people WHERE age > 1").await, "n"), [44]);
    assert_eq!(ints(&one(table.bm25_search("note", "fox", 9, &["id"]).await.unwrap()), "id"), [2]);

    // A name that was of another column means the new one, in old files too.
    table.alter(&[SchemaChange::DropColumn("age".into())]).await.unwrap();
    table.alter(&[add("age", DataType::Int64)]).await.unwrap();
    assert_eq!(ints(&sql("SELECT count(*) AS n FROM people WHERE age IS NULL").await, "n"), [3]);
    assert_eq!(ints(&sql("SELECT count(age) AS n FROM people").await, "n"), [0]);
    let rename = SchemaChange::RenameColumn { from: "name".into(), to: "called".into() };
    table.alter(&[rename]).await.unwrap();
    let found = one(table.bm25_search("called", "ann", 9, &["id", "called"]).await.unwrap());
    assert_eq!(texts(&found, "called"), ["ann lee"]);
    assert_eq!(
        texts(&sql("SELECT called FROM people WHERE called LIKE 'bob%'").await, "called"),
        ["bob ray"]
    );
    assert_eq!(ns(&sql("SELECT id AS n FROM people ORDER BY id").await), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let db = infino::connect(dir.path().to_str().unwrap()).await.unwrap();
    let index = IndexSpec::new().key(&["id"]).fts("name");
    let table = db.create_table("people", people(&[(0, "")]).schema(), index).await.unwrap();
    table.append(people(&[(1, "ann"), (2, "bob")])).await.unwrap();
    table.delete("id = 1").await.unwrap();
    let sound = db.verify_table("people").await.unwrap();
    assert!(sound.is_sound() && sound.superfiles == 1 && sound.bytes > 0, "{sound:?}");
    let path = dir.path().join(&table.files().await.unwrap()[0].path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let report = db.verify_table("people").await.unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(db.verify_table("nobody").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn blocking_twins_do_the_same() {
    let db = infino::blocking::connect("memory://").unwrap();
    let index = IndexSpec::new().key(&["id"]);
    let table = db.create_table("people", people(&[(0, "")]).schema(), index).unwrap();
    table.insert(people(&[(1, "ann"), (2, "bob")])).unwrap();
    table.upsert(people(&[(2, "bo")])).unwrap();
    assert_eq!(table.create_tag("two").unwrap(), table.version().unwrap() - 1);
    let mut writer = table.writer().unwrap();
    writer.delete("id = 1").unwrap();
    writer.upsert(&people(&[(3, "cy")])).unwrap();
    writer.commit().unwrap();
    table.update_set("true", &[("name", "name || '!'")]).unwrap();
    let rows = one(db.query_sql("SELECT name FROM people ORDER BY id").run().unwrap());
    assert_eq!(texts(&rows, "name"), ["bo!", "cy!"]);
    assert_eq!(table.at_tag("two").unwrap().count_rows().unwrap(), 2);
    assert!(table.history(3).unwrap().len() == 3);
    let watching = table.maintain_in_background(Default::default()).unwrap();
    assert_eq!(watching.status().failures, 0);
    table.alter(&[SchemaChange::DropColumn("name".into())]).unwrap();
    assert_eq!(table.schema().unwrap().fields().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_reads_rows_in_the_order_they_came() {
    let (db, table) = keyed().await;
    table.append(people(&[(9, "zoe fox"), (4, "dan fox"), (7, "fox gil")])).await.unwrap();
    let before = table.version().await.unwrap();
    table.delete("id = 2").await.unwrap();
    assert_eq!(scanned(&table, &["id"], None).await, [1, 3, 9, 4, 7]);
    let rest = table.scan(&["name", "id"]).filter("match(name, 'fox')").offset(1).limit(5);
    let rest = one(rest.await.unwrap());
    assert_eq!((ints(&rest, "id"), rest.schema().field(0).name().as_str()), (vec![4, 7], "name"));
    let old = table.at_version(before).await.unwrap();
    assert_eq!(scanned(&old, &["_id", "id"], Some("id < 5")).await, [1, 2, 3, 4]);
    let none = one(table.scan(&["name"]).filter("id > 100").await.unwrap());
    assert_eq!((none.num_rows(), none.num_columns()), (0, 1));
    for wrong in [table.scan(&["nothing"]), table.scan(&["id"]).filter("nothing = 1")] {
        assert_eq!(wrong.await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(table.scan(&["id"]).filter("id + 1").await.unwrap_err().kind(), ErrorKind::Invalid);
    drop(db);
}

async fn scanned(table: &Supertable, columns: &[&str], filter: Option<&str>) -> Vec<i64> {
    let mut scan = table.scan(columns);
    if let Some(filter) = filter {
        scan = scan.filter(filter);
    }
    scan.await.unwrap().iter().flat_map(|batch| ints(batch, "id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_nobodys_until_it_is_published() {
    let (db, table) = keyed().await;
    let rows = people(&[(1, "new")]);
    let draft = db.draft_table("people", rows.schema(), IndexSpec::new()).await.unwrap();
    draft.table().append(rows.clone()).await.unwrap();
    assert_eq!(all(&db).await.len(), 3);
    let error = draft.publish(false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let draft = db.draft_table("people", rows.schema(), IndexSpec::new()).await.unwrap();
    draft.table().append(rows.clone()).await.unwrap();
    assert_eq!(draft.publish(true).await.unwrap().count_rows().await.unwrap(), 1);
    assert_eq!(all(&db).await, owned(&[(1, "new")]));
    assert!(table.append(people(&[(5, "late")])).await.is_err());
    let draft = db.draft_table("other", rows.schema(), IndexSpec::new()).await.unwrap();
    draft.discard().await;
    assert_eq!(db.table_names().await.unwrap(), ["people"]);
}
