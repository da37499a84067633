from collections.abc import Callable, Iterable
from typing import Any


def where(rows: Iterable[dict[str, Any]], **conditions: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row.get(k) == v for k, v in conditions.items())]


def order_by(rows: Iterable[dict[str, Any]], key: str, reverse: bool = False) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row[key], reverse=reverse)


def select(rows: Iterable[dict[str, Any]], convert: Callable[[dict[str, Any]], Any]) -> list[Any]:
    return [convert(row) for row in rows]
