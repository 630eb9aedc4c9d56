"""zipocr with a fast fake reader that misbehaves on pages of certain grays.

For tests that need a separate process. ``GRACE_SECONDS`` in the environment is the time that
workers get to end.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import fakes

    import zipocr.batch.read_files
    from zipocr.batch.backends import processes
    from zipocr.cli import main

    zipocr.batch.read_files.start_reading = fakes.start_moody
    processes.GRACE_SECONDS = float(os.environ.get("GRACE_SECONDS", processes.GRACE_SECONDS))
    main(prog_name="zipocr")
