from build_plan.task import Task


def parse_plan(text):
    """Lines such as `test: build lint 2.5` (the number, seconds, may be missing)."""
    tasks = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, _, rest = line.partition(":")
        words = rest.split()
        seconds = float(words.pop()) if words and words[-1].replace(".", "").isdigit() else 1.0
        tasks.append(Task(name.strip(), tuple(words), seconds))
    return tasks
