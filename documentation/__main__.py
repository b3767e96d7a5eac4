"""`make reference`: write what is generated from the code in docs/reference and brokenreg/client."""

from __future__ import annotations

from documentation.generated import GENERATED, ROOT


def _write() -> None:
    for each in GENERATED:
        if not each.is_current():
            (ROOT / each.file).write_text(each.content(), encoding="utf-8")
            print(f"{each.file}: written")


if __name__ == "__main__":
    _write()
