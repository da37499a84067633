from build_plan.graph import Graph


def total_seconds(tasks):
    return sum(task.seconds for task in tasks)


def critical_path(tasks):
    """The length of the longest chain in seconds."""
    graph = Graph(tasks)
    ends = {}
    for name in graph.order():
        start = max((ends[other] for other in graph.needs(name)), default=0)
        ends[name] = start + graph.tasks[name].seconds
    return max(ends.values(), default=0)
