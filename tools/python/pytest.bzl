"""pytest as Bazel's test runner."""

load("@rules_python//python:defs.bzl", "py_test")

# Of a test that waits most of its time, for time-outs, retries or a rate: others run beside it meanwhile.
MOSTLY_WAITS = ["resources:cpu:0.4"]

def pytest_test(name, srcs, deps = [], args = [], **kwargs):
    """Runs the tests of some files with pytest.

    `bazel test --test_filter=EXPRESSION` becomes pytest's `-k EXPRESSION`; the results go to Bazel's test.xml test by
    test; a target that collects no test fails; a sharded target (`shard_count`) divides its tests among the shards.

    Args:
      name: of the target.
      srcs: the test modules, which pytest collects, and no other sources.
      deps: libraries that they import, without pytest itself.
      args: further arguments of pytest.
      **kwargs: what py_test takes besides.
    """
    py_test(
        name = name,
        srcs = srcs + [Label("//tools/python:pytest_main.py")],
        args = ["$(rootpath %s)" % src for src in srcs] + args,
        data = kwargs.pop("data", []) + [Label("//:pyproject.toml")],
        main = Label("//tools/python:pytest_main.py"),
        deps = deps + [
            Label("@pip//pytest"),
        ],
        **kwargs
    )
