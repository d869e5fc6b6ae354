"""The sources by kind: ours by name, the user's own by `module:function`, a function without
arguments that returns a `Source`."""

import importlib

from corpora.document import Source, SourceOptions, Survey
from shards.errors import UserError, nearest

KINDS = {
    "books": "corpora.books.source:source",
    "cc_news": "corpora.cc_news.source:source",
    "files": "corpora.files.source:source",
    "openwebtext": "corpora.openwebtext.source:source",
    "stories": "corpora.stories.source:source",
    "wikipedia": "corpora.wikipedia.source:source",
}
"""Each kind and the function that returns its source."""


def load_source(kind: str) -> Source:
    """The source of a kind.

    Raises `UserError` for an unknown kind, a module that does not import, and a function that
    returns no source.
    """
    address = KINDS.get(kind, kind)
    if ":" not in address:
        raise UserError(
            f"kind = {kind!r}: no such kind of source",
            nearest(kind, KINDS) + ", or your own as module:function",
        )

    module_name, function_name = address.split(":", 1)
    try:
        module = importlib.import_module(module_name)
        source = getattr(module, function_name)()
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"kind = {kind!r}: {type(error).__name__}: {error}",
            "name an importable module:function; docs/sources.md shows one",
        ) from None

    if not isinstance(source, Source) or not issubclass(source.options, SourceOptions):
        raise UserError(
            f"kind = {kind!r}: {function_name} does not return a corpora.document.Source",
            "docs/sources.md shows one",
        )
    return source


def survey_of(options: SourceOptions) -> Survey | None:
    """The survey of a source, when these options ask for one."""
    survey = load_source(options.kind).survey
    return survey if survey is not None and survey.asked(options) else None


def module_file(kind: str) -> str | None:
    """The file of the user's own module, whose change redoes the source; None for our kinds."""
    if kind in KINDS:
        return None
    # A package without an `__init__.py` has no file.
    return getattr(importlib.import_module(kind.split(":", 1)[0]), "__file__", None)
