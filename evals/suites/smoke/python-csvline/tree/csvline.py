def split_line(line):
    """The fields of one line of comma-separated values."""
    fields = []
    for part in line.split(","):
        if len(part) >= 2 and part[0] == part[-1] == '"':
            part = part[1:-1]
        fields.append(part)
    return fields
