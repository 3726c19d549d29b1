"""``python -m dulcimer``."""

from __future__ import annotations

from dulcimer.cli.main import main

if __name__ == "__main__":
    main()
