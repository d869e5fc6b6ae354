"""Arguments that several commands have."""

from typing import Annotated

import tyro

HomeFolder = Annotated[str, tyro.conf.arg(metavar="HOME", help="The folder of a build.")]
