"""Every Feast object and option that Potluck supports: items on shelves in shops, and their sales.

For the parity test. What is not in here is refused at `apply`: `tests/stores/test_supported.py`.
"""

from datetime import timedelta

from feast import (
    BatchFeatureView,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    Project,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int32, Int64, String

from potluck.contract.settings import source_path
from potluck.stores.declare import parquet, pass_through, predictions

project = Project(name="everything", description="All that a repo may hold", owner="tests")

# A key of each type.
item = Entity(
    name="item",
    join_keys=["item_id"],
    value_type=ValueType.INT64,
    description="What is sold",
    owner="a",
)
shop = Entity(name="shop", value_type=ValueType.STRING)  # its join key is called as it is
shelf = Entity(name="shelf", join_keys=["shelf_no"], value_type=ValueType.INT32)

sales = parquet("everything", "sales")
population = parquet("everything", "population")

# A default of 0 is a default: a field that has one is never missing, required or not.
NOTHING = {"default": "0", "required": "true"}

# A plain view, with a field of each type, tags and defaults.
item_record = FeatureView(
    name="item_record",
    entities=[item],
    schema=[
        Field(name="weight", dtype=Float64, description="in grams"),
        Field(name="pieces", dtype=Int64, tags=NOTHING),
        Field(name="size_code", dtype=Int32, tags={"categorical": "true"}),
        Field(name="fragile", dtype=Bool, tags={"default": "false"}),
        Field(name="maker", dtype=String, tags={"default": ""}),
    ],
    source=parquet("everything", "items"),
    description="The catalogue",
    owner="somebody",
    org="shops",
    tags={"unknown": "missing"},
)

# The same key again: columns under other names in the file, a creation date, and a lifetime.
item_price = FeatureView(
    name="item_price",
    entities=[item],
    schema=[
        Field(name="price", dtype=Float64),
        Field(name="reduced", dtype=Bool),
        Field(name="offers", dtype=Int64),
    ],
    source=FileSource(
        name="prices",
        path=source_path("everything", "prices"),
        timestamp_field="event_timestamp",
        created_timestamp_column="made_at",
        field_mapping={
            "id": "item_id",
            "seen_at": "event_timestamp",
            "entered": "made_at",
            "EUR": "price",
        },
        description="As the till has it",
        owner="tills",
    ),
    ttl=timedelta(days=3650),
    tags={"unknown": "missing"},
)

# A batch view that takes its source as it is, of which one field is read; and a view that can be
# pushed to.
item_stock = BatchFeatureView(
    name="item_stock",
    entities=[item],
    schema=[Field(name="in_stock", dtype=Int64), Field(name="ordered", dtype=Int64)],
    source=parquet("everything", "stock"),
    online=True,
    tags={"unknown": "missing"},
)
item_clicks = FeatureView(
    name="item_clicks",
    entities=[item],
    schema=[Field(name="clicks", dtype=Int64), Field(name="last_page", dtype=String)],
    source=PushSource(name="click_push", batch_source=parquet("everything", "clicks")),
    tags={"unknown": "missing"},
)

# A key of text, and a composite key.
shop_record = FeatureView(
    name="shop_record",
    entities=[shop],
    schema=[Field(name="town", dtype=String)],
    source=parquet("everything", "shops"),
)
shelf_record = FeatureView(
    name="shelf_record",
    entities=[shop, shelf],
    schema=[Field(name="height", dtype=Float64), Field(name="lit", dtype=Bool)],
    source=parquet("everything", "shelves"),
    ttl=timedelta(0),
)

# A view that no service of a model reads, and that is not online.
archive = FeatureView(
    name="archive",
    entities=[item],
    schema=[Field(name="old_price", dtype=Float64)],
    source=parquet("everything", "archive"),
    online=False,
)

basket = RequestSource(
    name="basket",
    schema=[
        Field(name="wanted", dtype=Int64, tags={"required": "true"}),
        Field(name="paid in %", dtype=Float64),
        Field(name="coupons", dtype=Int32, tags={"default": "0"}),
        Field(name="member", dtype=Bool, tags={"default": "false"}),
        Field(name="note", dtype=String, tags={"default": ""}),
        Field(name="channel", dtype=Int64, tags={"categorical": "true"}),
    ],
    description="What a customer brings",
    owner="web",
)
visit = RequestSource(
    name="visit", schema=[Field(name="year", dtype=Int64, tags={"default": "request_time.year"})]
)

basket_columns, visit_columns = pass_through(basket), pass_through(visit)


@on_demand_feature_view(
    mode="python",
    sources=[basket, visit, item_record, item_price[["price"]]],
    schema=[
        Field(name="total", dtype=Float64),
        Field(name="load", dtype=Float64),
        Field(name="since", dtype=Int64),
        Field(name="band", dtype=String),
        Field(name="unused", dtype=Bool),
    ],
    description="Of request and records",
    owner="b",
    org="shops",
)
def basket_of_item(inputs):
    """The basket's price and weight, years since 1900, and a class of the price.

    Missing where a part is.
    """

    def product(*names):
        return [
            None if None in row else float(row[0]) * row[1]
            for row in zip(*(inputs[name] for name in names), strict=True)
        ]

    def band(total):
        if total is None:
            return None
        return "low" if total < 100 else "high"

    totals = product("wanted", "price")
    years = [None if year is None else year - 1900 for year in inputs["year"]]
    return {
        "total": totals,
        "load": product("wanted", "weight"),
        "since": years,
        "band": [band(total) for total in totals],
        "unused": [total is None for total in totals],
    }


@on_demand_feature_view(
    mode="python",
    sources=[item_clicks, item_stock],
    schema=[Field(name="clicks_a_piece", dtype=Float64), Field(name="scarce", dtype=Bool)],
)
def demand(inputs):
    """Of records alone."""
    pairs = list(zip(inputs["clicks"], inputs["in_stock"], strict=True))
    return {
        "clicks_a_piece": [
            None if None in pair or not pair[1] else pair[0] / pair[1] for pair in pairs
        ],
        "scarce": [None if stock is None else stock < 5 for _, stock in pairs],
    }


item_predictions = predictions("everything", item)

LABEL = {"label": "sales.amount", "objective": "regression"}

everything_realtime = FeatureService(
    name="everything_realtime",
    features=[basket_columns, visit_columns],
    tags=LABEL,
    description="The basket alone",
    owner="c",
)
everything_hybrid = FeatureService(
    name="everything_hybrid",
    features=[
        item_record,
        item_price,
        item_stock[["in_stock"]],
        item_clicks[["last_page"]],
        basket_columns,
        basket_of_item[["since", "band", "total", "load"]],
        demand,
    ],
    tags={**LABEL, "transform": "identity", "population": "population"},
)
everything_batch = FeatureService(
    name="everything_batch", features=[item_predictions], tags={"scored_by": "everything_hybrid"}
)

# Three keys, two of them in one view; not scored by night.
everything_pair = FeatureService(
    name="everything_pair",
    features=[shelf_record, shop_record, item_price[["price", "offers"]], basket_columns],
    tags={
        "label": "sales.returned",
        "objective": "binary",
        "unknown": "item_price=missing,shop_record=refuse",
    },
)
