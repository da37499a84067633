from dataclasses import dataclass, field


@dataclass
class Node:
    title: str
    children: list["Node"] = field(default_factory=list)
    draft: bool = False

    def add(self, *children):
        self.children.extend(children)
        return self
