# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a command that ends with its parent: ``python watch.py COMMAND...``.

For programs that do not watch their standard input, such as pip. When the input ends, as it
does when QGIS is killed, the command ends, too, with all that it has started if this leads a
process group.
"""

from __future__ import annotations

import os
import signal
import subprocess  # nosec B404
import sys
import threading


def main() -> int:
    """Run the command of the arguments and return its status."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # nosec B603
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    if sys.platform == "win32":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        command = [os.path.join(root, "System32", "taskkill.exe"), "/T", "/F", "/PID"]
        subprocess.run([*command, str(child.pid)], check=False)  # nosec B603
    elif os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGTERM)
    else:  # others are in the group
        child.terminate()


if __name__ == "__main__":
    sys.exit(main())
