"""`corpus fetch`: download a corpus."""


def fetch(arguments: list[str]) -> int:
    """Download a corpus: news archives, a Wikipedia dump, or a list of files."""
    from pipelines.commands.fetch_run import fetch_corpus

    return fetch_corpus(arguments)
