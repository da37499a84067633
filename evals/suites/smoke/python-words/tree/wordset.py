def words(text):
    return set(text.lower().split())


def common(one, other):
    """The words of both texts, sorted."""
    return sorted(words(one) | words(other))


def similarity(one, other):
    """Shared words as a share of all words, from 0 to 1; two empty texts are alike."""
    everything = words(one) | words(other)
    if not everything:
        return 1.0
    return len(common(one, other)) / len(everything)
