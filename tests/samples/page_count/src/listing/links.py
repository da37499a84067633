from listing.pages import Page


def links(page: Page, url: str) -> dict[str, str]:
    found = {"self": f"{url}?page={page.number}"}
    if page.has_previous:
        found["prev"] = f"{url}?page={page.number - 1}"
    if page.has_next:
        found["next"] = f"{url}?page={page.number + 1}"
    return found
