"""Lets ``python -m zipocr`` do what ``zipocr`` does."""

from zipocr.cli import main

if __name__ == "__main__":
    main()
