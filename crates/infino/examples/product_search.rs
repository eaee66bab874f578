//! Products: words and vectors ranked together, filters first, counts beside the results, suggestions while somebody types.
//!
//! `cargo run --example product_search`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use infino::arrow::array::{
    ArrayRef, FixedSizeListArray, Float64Array, RecordBatch, StringArray, UInt32Array,
};
use infino::arrow::datatypes::Float32Type;
use infino::arrow::util::pretty::print_batches;
use infino::{IndexSpec, Metric, TextMode};

const DIM: usize = 16;
/// Name, brand, price, stock, and what stands in for the vector of its picture: which kind of thing it is.
const PRODUCTS: [(&str, &str, f64, u32, usize); 6] = [
    ("red running shoe", "acme", 80.0, 5, 0),
    ("blue running shoe", "acme", 95.0, 0, 0),
    ("trail running shoe", "bolt", 120.0, 7, 0),
    ("running socks, three pairs", "bolt", 12.0, 40, 1),
    ("leather shoe polish", "acme", 6.0, 90, 2),
    ("wool socks", "bolt", 9.0, 33, 1),
];

#[tokio::main]
async fn main() -> Result<(), infino::Error> {
    let db = infino::connect("memory://").await?;
    let rows = products(&PRODUCTS);
    let index = IndexSpec::new()
        .fts("name")
        .keyword("brand")
        .vector("picture", DIM, Metric::Cosine)
        .key(&["name"]);
    let shop = db.create_table("products", rows.schema(), index).await?;
    shop.append(rows).await?;

    // What a customer asks and the picture they look at; only what can be bought counts.
    let filter = "stock > 0 AND price BETWEEN 50 AND 150";
    let hits = shop
        .hybrid_search(
            "name",
            "running shoe",
            "picture",
            &picture(0),
            10,
            &["name", "brand", "price"],
        )
        .filter(filter)
        .await?;
    assert_eq!(hits[0].num_rows(), 2, "min(k, rows that pass) rows come back");
    print_batches(&hits)?;

    // How many there are of each brand among all that match, not only among the first ten.
    let facets = "SELECT brand, count(*) AS products, min(price) AS from_price FROM products
                  WHERE match(name, $1, 'all') AND stock > 0 GROUP BY brand ORDER BY products DESC, brand";
    print_batches(&db.query_sql(facets).bind("running").await?)?;

    // While somebody types "runn".
    let suggestions = shop.bm25_search("name", "runn", 3, &["name"]).mode(TextMode::Prefix).await?;
    assert_eq!(suggestions[0].num_rows(), 3);
    print_batches(&suggestions)?;

    // A new price, and a product that sells out, take the place of what was there.
    shop.upsert(products(&[("trail running shoe", "bolt", 99.0, 3, 0)])).await?;
    shop.update_set("name = 'red running shoe'", &[("stock", "0")]).await?;
    let hits = shop
        .bm25_search("name", "shoe", 10, &["name", "price"])
        .filter("stock > 0 AND price < 100")
        .await?;
    print_batches(&hits)?;
    Ok(())
}

fn products(products: &[(&str, &str, f64, u32, usize)]) -> RecordBatch {
    let text = |of: fn(&(&str, &str, f64, u32, usize)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(products.iter().map(of)))
    };
    let pictures = products.iter().map(|product| Some(picture(product.4).map(Some).to_vec()));
    let pictures =
        FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(pictures, DIM as i32);
    RecordBatch::try_from_iter([
        ("name", text(|product| product.0.to_owned())),
        ("brand", text(|product| product.1.to_owned())),
        (
            "price",
            Arc::new(Float64Array::from_iter_values(products.iter().map(|product| product.2)))
                as ArrayRef,
        ),
        (
            "stock",
            Arc::new(UInt32Array::from_iter_values(products.iter().map(|product| product.3))),
        ),
        ("picture", Arc::new(pictures)),
    ])
    .expect("columns of one length")
}

fn picture(kind: usize) -> [f32; DIM] {
    std::array::from_fn(|axis| if axis == kind { 1.0 } else { 0.05 })
}
