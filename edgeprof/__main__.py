"""``python -m edgeprof`` is the command ``edgeprof``."""

from edgeprof.cli import main

if __name__ == "__main__":
    main()
