"""Runs the test functions of the files beside it on any interpreter: `micropython tests/device/run.py [file
...]`.

Exits with 1 where one failed. pytest collects the same files under CPython.
"""

import gc
import os
import sys

try:
    from sys import print_exception
except ImportError:
    from traceback import print_exception


def main(names):
    folder = __file__.rpartition("/")[0] or "."
    sys.path.insert(0, folder)
    names = names or sorted(
        name for name in os.listdir(folder) if name.startswith("test_") and name.endswith(".py")
    )
    passed = failed = 0
    for name in names:
        module = __import__(name[: -len(".py")])
        for test in sorted(dir(module)):
            if not test.startswith("test_"):
                continue
            gc.collect()
            try:
                getattr(module, test)()
                passed += 1
            except Exception as error:
                failed += 1
                print("FAILED %s %s" % (name, test))
                print_exception(error)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main(sys.argv[1:])
