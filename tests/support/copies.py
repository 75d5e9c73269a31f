"""Scripts run in copies of one process, which has imported what takes most of their time."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Goes on as a copy where it is told of a script, and tells how each came to its end.
SERVER = """
import gc, os, runpy, signal, sys
{head}
gc.freeze()  # the end of a copy would look through all of this: most of a second
while True:
    line = sys.stdin.readline().rstrip("\\n")
    if not line:
        sys.exit()
    if os.fork() == 0:
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
script, folder, outputs, seconds = line.split("\\t")
signal.alarm(int(seconds))
os.chdir(folder)
for stream, name in enumerate((os.devnull, f"{{outputs}}/out", f"{{outputs}}/err")):
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if stream else os.O_RDONLY
    os.dup2(os.open(name, flags), stream)
sys.argv, sys.path[0] = [script], os.path.dirname(script)
runpy.run_path(script, run_name="__main__")
"""


class Copies:
    """A process that has run a head, and is copied for each script that is to be run.

    A script finds nothing in its own names of what the head has imported. Where processes can not
    be copied each starts anew. The head must start no threads.
    """

    def __init__(self, head, *options, **environment):
        self.command, self.environment = [sys.executable, *options], {**os.environ, **environment}
        self.outputs = tempfile.TemporaryDirectory()
        self.server = None
        if hasattr(os, "fork"):
            self.server = subprocess.Popen(
                [*self.command, "-c", SERVER.format(head=head)],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.server:
            self.server.communicate(timeout=60)
        self.outputs.cleanup()

    def run(self, script, folder, seconds):
        """Run a script in a folder, for so long at most, as `subprocess.run` does."""
        if not self.server:
            return subprocess.run(
                [*self.command, str(script)],
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        self.server.stdin.write(f"{script}\t{folder}\t{self.outputs.name}\t{seconds}\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        printed = [Path(self.outputs.name, name).read_text("utf-8") for name in ("out", "err")]
        return subprocess.CompletedProcess(script, code, *printed)
