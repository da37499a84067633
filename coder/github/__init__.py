"""The GitHub Action: an event in; a draft pull request, a comment, annotations and a summary out."""
