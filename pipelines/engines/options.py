"""The options of the command line for Beam: our defaults, and the names of all there are."""

import functools

from apache_beam.options.pipeline_options import PipelineOptions

DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""In memory, on one machine. Named in full: plain DirectRunner tries to download another runner."""

_DEFAULTS = {"--runner": DEFAULT_RUNNER, "--default_sdk_harness_log_level": "ERROR"}


def options(arguments: list[str]) -> PipelineOptions:
    """Beam's options from a command line. Unless they are named there, the runner is
    `DEFAULT_RUNNER`, and its workers log errors only."""
    named = {argument.partition("=")[0] for argument in arguments}
    added = [f"{name}={value}" for name, value in _DEFAULTS.items() if name not in named]
    return PipelineOptions([*arguments, *added], save_main_session=False)


@functools.lru_cache(maxsize=1)
def known_options() -> frozenset[str]:
    """Every option that one of Beam's classes of options declares. Beam drops an unknown one with a
    warning only, so the command line checks them against these."""
    from apache_beam.options.pipeline_options import _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    queue = [PipelineOptions]
    while queue:
        cls = queue.pop()
        queue += cls.__subclasses__()
        if "_add_argparse_args" in vars(cls):
            cls._add_argparse_args(parser)

    names: set[str] = set()
    for action in parser._actions:
        names.update(action.option_strings)
    return frozenset(names)
