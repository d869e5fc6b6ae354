"""`python java.py ARGUMENTS`: become `java ARGUMENTS`, a process that ends with the one that
started it.

Beam's job server is a child of the driver. When the driver is killed, nobody else would end it and
the Spark in it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that this process gets at its parent's death."""

if __name__ == "__main__":
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(1)
    os.execvp("java", ["java", *sys.argv[1:]])
