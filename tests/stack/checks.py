"""Runs the functions of a module whose names begin with `check_`, and counts them. With words, only those whose names have all of them."""

import sys
import traceback

from services import Failed


def check(condition, why):
    if not condition:
        raise Failed(why)


class Checks:
    """How many have passed and failed so far."""

    def __init__(self):
        self.passed = self.failed = 0

    def run(self, names, words):
        """`names`: the module's globals."""
        for name, test in list(names.items()):
            if not name.startswith("check_") or not all(word in name for word in words):
                continue
            print(f"test {name.removeprefix('check_').replace('_', ' ')}", flush=True)
            try:
                test()
                self.passed += 1
            except Failed as why:
                self.failed += 1
                print(f"  FAILED: {why}")
            except Exception:
                self.failed += 1
                traceback.print_exc(file=sys.stdout)

    def exit_code(self):
        """After the closing line, which `./test` counts."""
        print(f"test result: {'FAILED' if self.failed else 'ok'}. {self.passed} passed; {self.failed} failed; 0 ignored")
        return 1 if self.failed or not self.passed else 0
