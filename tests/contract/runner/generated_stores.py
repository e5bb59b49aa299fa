"""Feature stores that are right, made from a seed: repo, rows, and rows that come late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pandas as pd
from tests.contract.runner.repos import NOW, Repo

from feature_lineage.api.enums import ColumnNames
from feature_lineage.operations.serving import Question

UNTIL: Final = NOW - timedelta(hours=1)
"""End of the materialization."""
HEAD: Final = """
from datetime import timedelta

import pandas as pd
from feast import (
    Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

asked = RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])
"""
TYPES: Final = {
    "Int64": "Int64",
    "Int32": "Int32",
    "Float64": "Float64",
    "Float32": "Float32",
    "String": "object",
    "Bool": "boolean",
    "UnixTimestamp": "datetime64[us, UTC]",
    "Array(Int64)": "object",
    "Array(Float32)": "object",
    "Array(String)": "object",
}
"""Types of Feast and of the columns in the files."""


@dataclass
class View:
    """A feature view, and the rows of its source."""

    name: str
    keys: tuple[str, ...]
    ttl: int
    created: bool
    nulls: float
    columns: dict[str, str]
    rows: pd.DataFrame

    @property
    def code(self) -> str:
        created = ', created_timestamp_column="created"' if self.created else ""
        fields = "".join(f'Field(name="{n}", dtype={t}), ' for n, t in self.columns.items())
        return f"""
{self.name}_source = FileSource(
    name="{self.name}_source", path="data/{self.name}.parquet",
    timestamp_field="event_timestamp"{created},
)
{self.name} = FeatureView(
    name="{self.name}", entities=[{", ".join(self.keys)}], ttl=timedelta(hours={self.ttl}),
    schema=[{fields}], source={self.name}_source,
)
"""


class GeneratedStore:
    """A project that is right, whatever its rows are.

    Attributes:
        questions: what models ask for.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.entities = {
            f"e{n}": self.random.choice(("INT64", "INT64", "STRING", "INT32"))
            for n in range(self.random.randint(1, 3))
        }
        self.views = [self._view(f"v{n}") for n in range(self.random.randint(1, 3))]
        self.questions: list[Question] = []
        self.code = HEAD + "".join(
            f'{name} = Entity(name="{name}", join_keys=["{name}_id"], '
            f"value_type=ValueType.{kind})\n"
            for name, kind in self.entities.items()
        )
        self.code += "".join(view.code for view in self.views)
        self.code += self._on_demand() + self._services()
        names = self.random.choice(list(ColumnNames))
        refs = [f"{view.name}:{column}" for view in self.views for column in view.columns]
        asked = self.random.sample(refs, self.random.randint(1, len(refs)))
        self.questions.append(Question("", tuple(asked), names))

    def write(self, repo: Repo) -> None:
        for view in self.views:
            view.rows.to_parquet(repo.path / f"data/{view.name}.parquet")

    def come_late(self) -> None:
        """Rows that come to the sources after the materialization, most of them old."""
        for view in self.views:
            late = [row for row in view.rows.to_dict("records") if self.random.random() < 0.3]
            for row in late:
                row.update({name: self._value(view, kind) for name, kind in view.columns.items()})
                row["event_timestamp"] = self._time(hours=self.random.choice((1, 48, 1000)))
                if self.random.random() < 0.2:  # these, the next materialization writes
                    row["event_timestamp"] = NOW - timedelta(seconds=self.random.randint(1, 3000))
                row["created"] = NOW
            view.rows = pd.concat([view.rows, self._frame(view, late)], ignore_index=True)

    def _view(self, name: str) -> View:
        entities = sorted(self.entities)
        self.random.shuffle(entities)
        keys = tuple(entities[: self.random.choice((0, 1, 1, 1, 2))])
        columns = {
            f"{name}_f{n}": self.random.choice(list(TYPES))
            for n in range(self.random.randint(1, 5))
        }
        view = View(
            name=name,
            keys=keys,
            ttl=self.random.choice((0, 24, 24 * 30)),
            created=self.random.random() < 0.5,
            nulls=self.random.choice((0.0, 0.2, 0.9, 1.0)),
            columns=columns,
            rows=pd.DataFrame(),
        )
        records = []
        for _ in range(self.random.choice((0, 1, 5, 30)) if keys else 1):
            key = {f"{each}_id": self._key(self.entities[each]) for each in keys}
            for _ in range(self.random.randint(1, 4)):
                at = self._time(hours=self.random.choice((1, 48, 1000)))
                values = {n: self._value(view, kind) for n, kind in columns.items()}
                created = at + timedelta(minutes=self.random.randint(0, 30))
                records.append({**key, "event_timestamp": at, "created": created, **values})
        view.rows = self._frame(view, records)
        return view

    def _frame(self, view: View, records: list[dict[str, Any]]) -> pd.DataFrame:
        moment = "datetime64[us, UTC]"
        types = {f"{key}_id": self._key_type(self.entities[key]) for key in view.keys}
        types |= {"event_timestamp": moment, "created": moment}
        types |= {name: TYPES[kind] for name, kind in view.columns.items()}
        return pd.DataFrame(records, columns=list(types)).astype(types)

    def _key_type(self, kind: str) -> str:
        return {"STRING": "object", "INT64": "int64", "INT32": "int32"}[kind]

    def _key(self, kind: str) -> Any:
        number = self.random.randint(1, 40)
        return f"key '{number}' ü" if kind == "STRING" else number

    def _time(self, hours: int) -> datetime:
        return UNTIL - timedelta(microseconds=self.random.randint(1, hours * 3_600_000_000))

    def _value(self, view: View, kind: str) -> Any:
        if self.random.random() < view.nulls:
            return None
        number = self.random.randint(-1000, 1000)
        match kind:
            case "Int64":
                return number * 10**9
            case "Int32":
                return number
            case "Float64" | "Float32":
                return number / 7
            case "String":
                return self.random.choice(("", "é", f"text {number}"))
            case "Bool":
                return number % 2 == 0
            case "UnixTimestamp":
                return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number * 1234567)
            case "Array(Int64)":
                return [number] * self.random.randint(0, 3)
            case "Array(Float32)":
                return [number / 3] * self.random.randint(0, 3)
            case _:
                return ["a", f"{number}"][: self.random.randint(0, 2)]

    def _on_demand(self) -> str:
        """An on-demand view of one number, if there is one."""
        numbers = [
            (view, column)
            for view in self.views
            for column, kind in view.columns.items()
            if kind in ("Int64", "Float64", "Float32")
        ]
        if not numbers or self.random.random() < 0.4:
            return ""
        view, column = self.random.choice(numbers)
        features = self.random.choice((view.name, f'{view.name}[["{column}"]]'))
        self.questions.append(Question("computed"))
        alone = self.random.random() < 0.5
        listed = "sums" if alone else f"sums, {view.name}"
        return f"""
@on_demand_feature_view(
    sources=[{features}, asked],
    schema=[Field(name="plus", dtype=Float64), Field(name="known", dtype=Int64)],
)
def sums(df: pd.DataFrame) -> pd.DataFrame:
    number = pd.to_numeric(df["{column}"])
    return pd.DataFrame(
        {{"plus": number.astype("float64") + df["x"], "known": number.notna().astype("int64")}}
    )


computed = FeatureService(name="computed", features=[{listed}])
"""

    def _services(self) -> str:
        """All views in one service, and one view under two names."""
        self.questions.append(Question("all_views"))
        found = f"""
all_views = FeatureService(
    name="all_views", features=[{", ".join(view.name for view in self.views)}]
)
"""
        with_keys = [view for view in self.views if view.keys]
        if with_keys:
            view = self.random.choice(with_keys)
            maps = [{f"{key}_id": f"{name}_{key}" for key in view.keys} for name in ("one", "two")]
            self.questions.append(Question("pair"))
            found += f"""
pair = FeatureService(name="pair", features=[
    {view.name}.with_name("one").with_join_key_map({maps[0]}),
    {view.name}.with_name("two").with_join_key_map({maps[1]}),
])
"""
        return found
