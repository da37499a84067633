from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    name: str
    needs: tuple[str, ...] = ()
    seconds: float = 1.0
