"""A stand-in for ``python -m geosr``, for what the real one does too slowly or never.

``interpreter`` makes a program that takes the arguments of Python and runs this file.
"""

import json
import os
import signal
import subprocess
import sys
import time

INFO = {
    "geosr": "0.1.0",
    "protocol": 1,
    "python": "3.11.7",
    "gdal": "3.10.3",
    "processors": 4,
    "packages": {"rasterio": "1.4.4", "tensorflow": None, "keras": None},
    "runtimes": ["openvino"],
    "nvidia_driver": None,
    "models": ["geosr-lite-x2"],
    "problem": None,
}


def interpreter(folder, **info):
    """Return the path of a fake interpreter in ``folder``, whose ``geosr info`` is changed so."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "python"
    facts = json.dumps({**INFO, **info})
    here = os.path.abspath(__file__)
    program.write_text(f'#!/bin/sh\nFAKE_INFO=\'{facts}\' exec "{sys.executable}" "{here}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def finish(output="out.tif"):
    say("result", output=output, width=2, height=3, stats={})


def until_stdin_ends():
    while os.read(0, 4096):
        pass


def good(*words):
    say("start", protocol=1, version="0.1.0", device="cpu", tiles=2, output_mpx=1.0)
    say("progress", done=1, total=2)
    say("somethingnew", words=words)
    say("progress", done=2, total=2)
    finish()


def noisy():
    os.write(1, b"2026-01-01 some library \xff\xfe prints\n{not json}\n[1, 2]\n")
    os.write(2, "Ünïcode on stderr\n".encode())
    good()


def talkative(count):
    for number in range(int(count)):
        sys.stderr.write(f"line {number} {'x' * 80}\n")
        say("progress", done=number, total=int(count))
    finish()


def refused():
    say("error", code="input.bands", message="There is no band 9.", hint="Use 1 to 4.")
    sys.exit(2)


def traceback():
    raise RuntimeError("something broke")


def many_lines_then_crash():
    for number in range(120):
        sys.stderr.write(f"line {number}\n")
    sys.exit(7)


def die(number):
    os.kill(os.getpid(), int(number))


def status(number):
    sys.exit(int(number))


def silent():
    pass


def no_module():
    sys.stderr.write(f"{sys.executable}: No module named geosr\n")
    sys.exit(1)


def speaks(protocol):
    say("start", protocol=int(protocol), version="9.9.9", device="cpu", tiles=1, output_mpx=1.0)
    until_stdin_ends()


def polite(path):
    """End as geosr does: when its standard input ends, and remove what was begun."""
    with open(path, "w") as file:
        file.write("begun")
    say("progress", done=1, total=9)
    until_stdin_ends()
    os.unlink(path)
    say("error", code="cancelled", message="Stopped by the end of standard input.", hint="")
    sys.exit(1)


def needs_term():
    """Ignore the end of standard input."""
    say("progress", done=1, total=9)
    time.sleep(60)


def stubborn(pid_file):
    """Ignore everything but SIGKILL, and start another that does the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(pid_file, "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    say("progress", done=1, total=9)
    time.sleep(60)


def leaves_a_child(pid_file):
    """End well, but leave a process that holds the output open."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(pid_file, "w") as file:
        file.write(str(child.pid))
    finish()


def done_when_cancelled():
    """Finish although the input has ended."""
    say("progress", done=1, total=1)
    until_stdin_ends()
    finish()


def environment():
    say("result", output="", environ=dict(os.environ), argv=sys.argv)


def info(*_):
    print("a library says hello")
    print(os.environ["FAKE_INFO"])


def serve(*_):
    """Answer some requests; die at others."""
    say("ready", protocol=1, version="0.1.0", models=["m"], max_mpx=4.0)
    for line in sys.stdin:
        request = json.loads(line)
        do, number = request["do"], request.get("id")
        if do == "ping":
            say("ping", id=number)
        elif do == "preview" and request["source"] == "crash":
            sys.stderr.write("about to crash\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        elif do == "preview" and request["source"] == "memory":
            os.kill(os.getpid(), signal.SIGKILL)
        elif do == "preview":
            say("phase", id=number, message="Upscaling")
            say("preview", id=number, path="p.tif")
        # "warm" is never answered: it waits for the end


def serve_of_the_future():
    say("ready", protocol=99, version="9.9.9", models=[], max_mpx=4.0)
    until_stdin_ends()


if __name__ == "__main__":
    arguments = [each for each in sys.argv[1:] if each not in ("-m", "geosr")]
    name, rest = arguments[0], arguments[1:]
    options = {"--progress", "json", "--exit-with-stdin", "--json"}
    globals()[name.replace("-", "_")](*(each for each in rest if each not in options))
