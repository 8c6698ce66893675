"""A warm interpreter: it imports the heavy libraries once, and runs each command of a clone in a fork of itself.

Importing torch, MLflow and DVC takes longer than most stages of the small clones. A command runs as it would in a new
interpreter: its own process and process group, arguments, folder, environment and module path; nothing of this project
is imported before the fork. `python` and `dvc` on the PATH of `shims` come here too, which is how the stages that DVC
starts do. What is about interpreters themselves (kills, imports, start-up) does not use it.
"""

import array
import atexit
import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = (
    "torch", "torch.utils.data", "torch.func", "torch._dynamo", "torchvision",
    "mlflow", "mlflow.tracking", "mlflow.pyfunc", "hydra",
    "hydra.core.config_store", "hydra.core.global_hydra", "omegaconf", "optuna", "pandas", "pyarrow.parquet", "jinja2",
    "scipy.stats", "scipy.optimize", "sklearn.datasets", "sklearn.linear_model", "sklearn.model_selection", "PIL.Image",
    "matplotlib.pyplot", "sqlalchemy", "alembic", "safetensors.torch", "filelock", "simplejpeg", "dvc.cli", "dvc.repo",
    "dvc.repo.reproduce", "dvc.repo.status", "dvc.commands.repro", "dvc.commands.status", "dvc.stage.run",
    # what these import when they are first used
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store", "mlflow.tracing.client",
    "sqlalchemy.dialects.sqlite", "hydra._internal.hydra", "hydra.main", "sklearn.cluster", "sklearn.ensemble",
    "sklearn.neighbors", "matplotlib.backends.backend_agg", "dvc.cli.parser", "dvc.repo.experiments",
    "dvc.repo.experiments.run", "dvc.repo.experiments.executor.local", "dvc.repo.experiments.queue.workspace",
    "dvc.repo.experiments.queue.tempdir", "dvc.repo.experiments.queue.celery", "dvc.repo.commit", "dvc.repo.add",
    "dvc.repo.index", "dvc.repo.graph", "dvc.dependency", "dvc.lock", "dvc.cachemgr", "dvc.data_cloud",
    "dvc.repo.open_repo", "dvc.repo.datasets", "dvc.repo.artifacts", "dvc_task.proc.manager", "dvc.render.match",
    "mlflow.store.tracking.sqlalchemy_workspace_store", "alembic.command", "hydra.experimental", "pyarrow.dataset",
    "hydra._internal.core_plugins.basic_launcher", "hydra._internal.core_plugins.basic_sweeper",
    "hydra._internal.core_plugins.file_config_source", "hydra._internal.core_plugins.structured_config_source",
    "hydra._internal.core_plugins.importlib_resources_config_source", "pygit2", "platformdirs", "scmrepo.git",
    "dulwich.porcelain", "ruamel.yaml", "networkx", "zc.lockfile", "flufl.lock",
)  # fmt: skip

IMPORTS = "WARM_IMPORTS"  # a folder: there each stage of DVC lists the files of the modules that it had imported

# A client in a few lines, with the modules that an interpreter has anyway: it passes on arguments, folder, environment,
# the three streams and signals, and ends with the command's exit code.
SHIM = """#!{python} -SEs
import array, json, os, signal, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
call = json.dumps({{"argv": [{program!r}, *sys.argv[1:]], "cwd": os.getcwd(), "env": dict(os.environ)}}).encode()
there.sendmsg([len(call).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
there.sendall(call)
pid = int.from_bytes(there.recv(8), "big")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int.from_bytes(there.recv(8), "big", signed=True)
sys.exit(code if code >= 0 else 128 - code)
"""


class Warm:
    """The server of one test process, started when it is first needed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = f"{self.folder.name}/socket"
        left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # a clone's modules are compiled once
        self.server = subprocess.Popen(
            [sys.executable, __file__, self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if k not in left_out} | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.server.stdout.readline()  # it listens
        self.shims = Path(self.folder.name, "bin")
        self.shims.mkdir()
        for program in ("python", "dvc"):
            shim = self.shims / program
            shim.write_text(SHIM.format(python=sys.executable, address=self.address, program=program))
            shim.chmod(0o755)
        atexit.register(self.close)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait(30)
        self.folder.cleanup()


def _serve(address: str) -> None:
    """Answers calls until the test process is gone: its end of the pipe is then closed."""
    import gc
    import importlib
    import inspect
    import selectors

    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    inspect.getmodule(sys._getframe())  # fills a table of the modules' files, which torch looks into when it is used
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(address)
        listening.listen(64)
        print("listening", flush=True)
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children of calls are reaped by their own parents
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin:
                    return
                connection, _ = listening.accept()
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    waiting.close()
                    listening.close()
                    _answer(connection)
                connection.close()


def _answer(connection: socket.socket) -> None:
    """Runs a call in a child of this process, and sends its pid and its exit code. Does not return."""
    try:
        size, ancillary, *_ = connection.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        streams = array.array("i")
        streams.frombytes(ancillary[0][2][: 3 * 4])
        content, wanted = b"", int.from_bytes(size, "big")
        while len(content) < wanted:
            content += connection.recv(wanted - len(content))
        call = json.loads(content)
        pid = os.fork()
        if pid == 0:
            connection.close()
            _run(call, streams)
        for stream in streams:
            os.close(stream)
        connection.sendall(pid.to_bytes(8, "big"))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        connection.sendall(code.to_bytes(8, "big", signed=True))
    finally:
        os._exit(0)


def _run(call: dict, streams: array.array) -> None:
    """The command, in this process. Does not return."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    program, *words = call["argv"]
    paths = [os.path.abspath(path) for path in call["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*paths, *sys.path[1:]]
    code = 1
    try:
        try:
            _main(program, words)
            code = 0
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            code = 1 if isinstance(end.code, str) else int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        atexit._run_exitfuncs()
        if (folder := call["env"].get(IMPORTS)) and (stage := call["env"].get("DVC_STAGE")):
            files = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
            Path(folder, stage).write_text("\n".join(files))
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _main(program: str, words: list[str]) -> None:
    if program == "dvc":
        from dvc.cli import main

        sys.argv = ["dvc", *words]
        sys.exit(main(words))
    if words[:1] == ["-c"]:
        sys.argv, sys.path[:0] = ["-c", *words[2:]], [""]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    elif words[:1] == ["-m"]:
        sys.argv, sys.path[:0] = ["-m", *words[2:]], [os.getcwd()]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:0] = words, [os.path.dirname(os.path.abspath(words[0]))]
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _serve(sys.argv[1])
