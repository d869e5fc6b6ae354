"""Beam, without doing the same again: most of the seconds of a small build are Beam's construction
of pipelines, which inspects the same methods and parses the same options hundreds of times.

Only answers that depend on nothing but a class or on words are remembered; what Beam runs is the
same. Builds in processes of their own, and on other engines, are not changed.
"""

import copy
import sys
from typing import Any

remembers = False


def remember() -> None:
    """Make Beam remember the state of each class of DoFn, and each view of options.

    Does nothing before something has imported Beam, and nothing the second time.
    """
    global remembers
    if remembers or "apache_beam.runners.portability.fn_api_runner.fn_runner" not in sys.modules:
        return
    remembers = True

    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.transforms import userstate

    inspect = userstate.get_dofn_specs
    views: dict[tuple[type, tuple[str, ...]], Any] = {}
    stateless: set[type] = set()

    def get_dofn_specs(dofn: Any) -> Any:
        # a class without state has none in any of its objects; those of a function are their own
        kind = type(dofn)
        if kind in stateless:
            return set(), set()
        specs = inspect(dofn)
        if not any(specs) and kind.__module__.partition(".")[0] in ("apache_beam", "pipelines"):
            stateless.add(kind)
        return specs

    def view_as(options: Any, kind: type) -> Any:
        key = (kind, tuple(options._flags))
        if key not in views:
            views[key] = kind(options._flags)
        view = kind.__new__(kind)  # copying one would ask for views of it
        view.__dict__.update(views[key].__dict__)
        view.__dict__["_visible_options"] = copy.deepcopy(views[key]._visible_options)
        for name in view._visible_option_list():
            if name not in options._all_options:
                options._all_options[name] = getattr(view._visible_options, name)
        view.__dict__["_all_options"] = options._all_options
        return view

    userstate.get_dofn_specs = get_dofn_specs
    PipelineOptions.view_as = view_as
