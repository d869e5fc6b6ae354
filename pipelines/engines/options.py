"""TODO-DOC pipelines/engines/options.py."""

import functools

from apache_beam.options.pipeline_options import PipelineOptions

DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""In memory, on one machine. Named in full: plain DirectRunner tries to download another runner."""


def options(arguments: list[str]) -> PipelineOptions:
    """Beam's options from a command line, the runner ours unless one is named; its workers only
    speak of errors unless told otherwise."""
    defaults = {"--runner": DEFAULT_RUNNER, "--default_sdk_harness_log_level": "ERROR"}
    named = {argument.partition("=")[0] for argument in arguments}
    return PipelineOptions(
        [*arguments, *(f"{name}={value}" for name, value in defaults.items() if name not in named)],
        save_main_session=False,
    )


@functools.lru_cache(maxsize=1)
def known_options() -> frozenset[str]:
    """Every option that a class of Beam's options has: what else it is given, Beam drops with only
    a warning."""
    from apache_beam.options.pipeline_options import _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    queue = [PipelineOptions]
    while queue:
        cls = queue.pop()
        queue += cls.__subclasses__()
        if "_add_argparse_args" in vars(cls):
            cls._add_argparse_args(parser)
    return frozenset(option for action in parser._actions for option in action.option_strings)
