"""A shop: words, filters, facets, prices that change, and pictures of likeness as vectors."""

from __future__ import annotations

import numpy as np
from embedding import embed

import infino

KINDS = ["shoe", "boot", "sandal", "jacket", "coat", "hat", "scarf", "glove"]
COLOURS = ["red", "green", "blue", "black", "white"]
MAKERS = ["Alpina", "Borea", "Ciel"]


def catalogue(count: int) -> list[dict[str, object]]:
    """Products, always the same ones."""
    draw = np.random.default_rng(42)
    rows: list[dict[str, object]] = []
    for number in range(count):
        kind, colour, maker = (str(draw.choice(names)) for names in (KINDS, COLOURS, MAKERS))
        rows.append(
            {
                "sku": f"{maker[0]}{number:05}",
                "title": f"{maker} {colour} {kind}",
                "maker": maker,
                "price": round(float(draw.gamma(4.0, 20.0)), 2),
                "in_stock": bool(draw.random() < 0.8),
            }
        )
    vectors = embed([str(row["title"]) for row in rows])
    return [{**row, "embedding": vector} for row, vector in zip(rows, vectors)]


def main() -> None:
    """Fills the shop and asks it things."""
    db = infino.connect("shop-data")
    products = db.create_table(
        "products",
        catalogue(5000),
        index={"title": "fts:english-v1", "maker": "keyword", "embedding": "vector:cosine"},
        key="sku",
        mode="overwrite",
    )

    affordable = "in_stock AND price < 60 AND maker IN ('Alpina', 'Ciel')"
    found = products.search("red boots").where(affordable).mode("all").limit(5)
    print("red boots under 60, in stock:")
    print(found.select(["sku", "title", "price"]).to_pandas().to_string(index=False))
    assert all(row["price"] < 60 and "red boot" in row["title"] for row in found.to_list())

    one = found.to_list()[0]
    alike = products.search(embed([one["title"]])[0]).where(f"sku <> '{one['sku']}'").limit(5)
    print(f"\nlike {one['title']}:", [row["title"] for row in alike.to_list()])

    facets = db.query_sql(
        """
        SELECT maker, count(*) AS products, round(avg(price), 2) AS price
        FROM products WHERE match(title, 'boots') AND in_stock
        GROUP BY maker ORDER BY maker
        """
    )
    print("\nfacets of boots in stock:")
    print(facets.to_pandas().to_string(index=False))

    vector = embed([one["title"]])[0]
    same = {"title": one["title"], "maker": one["maker"], "in_stock": True, "embedding": vector}
    today = [{**same, "sku": one["sku"], "price": 1.0}, {**same, "sku": "N00001", "price": 50.0}]
    receipt = products.upsert(today)
    print(f"\nprices of the day: {receipt.updated} changed, {receipt.inserted} new")
    cheapest = products.search("red boots").mode("all").where("price <= 1.0").limit(1).to_list()
    assert cheapest[0]["sku"] == one["sku"]


if __name__ == "__main__":
    main()
