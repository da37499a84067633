"""Which task comes before which."""


class CycleError(ValueError):
    pass


class Graph:
    def __init__(self, tasks):
        self.tasks = {task.name: task for task in tasks}

    def needs(self, name):
        return self.tasks[name].needs

    def order(self):
        """All names, each after everything that it needs."""
        done = []
        visiting = set()

        def visit(name):
            if name in done:
                return
            if name in visiting:
                raise CycleError(name)
            visiting.add(name)
            done.append(name)
            for other in self.needs(name):
                visit(other)
            visiting.discard(name)

        for name in self.tasks:
            visit(name)
        return done
