"""zipocr with a stand-in for its reader that is quick, and does what a page's gray demands.

For tests that need a process of its own.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import fakes

    import zipocr.batch.read_files
    from zipocr.cli import main

    zipocr.batch.read_files.start_reading = fakes.start_moody
    main(prog_name="zipocr")
